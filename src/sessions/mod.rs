//! Who is signed in: the store of sessions. Deliberately not here: what a session is (`gate::Session`)
//! and whether it lets somebody through (`gate::decide`).

pub mod cookie;
mod digest;
mod index;
mod marks;
mod portal_cookies;
mod renewing;
mod seal;
mod sign_out;
mod signed_in;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use digest::Digest;
pub use index::Meant;
pub use portal_cookies::PortalProofs;
pub use renewing::Renewing;
pub use seal::{Purpose, Seal};
pub use signed_in::SignedIn;

use self::index::Index;
use self::marks::Marks;
use self::table::{Gone, Table};
use crate::gate::{Secret, Session, SessionId, Timestamp};

/// All sessions.
pub struct Sessions {
    table: Table,
    index: Index,
    marks: Marks,
    capacity: u64,
    /// Where housekeeping goes on.
    next_part: AtomicUsize,
    ended: Box<dyn Fn(Ended) + Send + Sync>,
}

/// How a session ended without anybody's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One of its lifetimes was over.
    Expired,
    /// There was no room.
    Evicted,
}

/// Why the store does not answer. It is never "no": who asks has not found out (GEN-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No randomness.
    #[error("the system's random generator failed")]
    Random,
    /// It does not answer, or not in time, or with something that it was not told.
    #[error("the store of sessions does not answer")]
    Unavailable,
}

impl StoreError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Random => "session-random",
            Self::Unavailable => "session-store-unavailable",
        }
    }
}

impl From<Unspecified> for StoreError {
    fn from(_: Unspecified) -> Self {
        Self::Random
    }
}

/// How much of the table housekeeping looks at each time: all of it in eight.
const PARTS_AT_ONCE: usize = 128;

impl Sessions {
    /// An empty store. Those that end without anybody's doing are told to `ended`.
    #[must_use]
    pub fn new(
        settings: &crate::config::Sessions,
        ended: impl Fn(Ended) + Send + Sync + 'static,
    ) -> Self {
        Self {
            table: Table::default(),
            index: Index::default(),
            marks: Marks::default(),
            capacity: settings.capacity,
            next_part: AtomicUsize::new(0),
            ended: Box::new(ended),
        }
    }

    /// Starts a session under a new id (SESS-01).
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn start(&self, session: Session) -> Result<(SessionId, Arc<SignedIn>), StoreError> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random)?;
        let id = SessionId::new(random);
        let member = self.keep(Digest::of_id(&id), session);
        Ok((id, member))
    }

    fn keep(&self, key: Digest, session: Session) -> Arc<SignedIn> {
        let record = session.to_record();
        let member = Arc::new(SignedIn::new(session));
        // First, so that whoever ends it by its name from now on finds it.
        self.index.add(member.session(), &key);
        self.table.put(key, Arc::clone(&member), record.expose(), 0);
        member
    }

    /// The session of this id, if it is live.
    #[must_use]
    pub fn find(&self, id: &SessionId, now: Timestamp) -> Option<Arc<SignedIn>> {
        let found = self.table.find(&Digest::of_id(id))?.signed_in;
        found.session().is_live(now).then_some(found)
    }

    /// Puts a session in the place of an earlier state of it; `None` if that is not there any more: a
    /// sign-out wins over a refresh under way (OIDC-14).
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn renew(
        &self,
        id: &SessionId,
        earlier: &Arc<SignedIn>,
        session: Session,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let record = session.to_record();
        let next = Arc::new(earlier.renewed(session));
        let is_done = self.table.replace(&Digest::of_id(id), earlier, &next, record.expose());
        Ok(is_done.then_some(next))
    }

    /// Ends a session: a copy of its cookie is worthless from here on (SESS-04).
    ///
    /// # Errors
    /// When the store could not be told. It is over here all the same.
    pub async fn end(&self, id: &SessionId) -> Result<Option<Arc<SignedIn>>, StoreError> {
        Ok(self.remove(&Digest::of_id(id)))
    }

    fn remove(&self, key: &Digest) -> Option<Arc<SignedIn>> {
        self.forgotten(self.table.remove(key)?)
    }

    /// What has been taken out of the table goes from the index too.
    fn forgotten(&self, gone: Gone) -> Option<Arc<SignedIn>> {
        let key = gone.key;
        let signed_in = gone.into_session()?;
        self.index.remove(signed_in.session(), &key);
        Some(signed_in)
    }

    /// About how many sessions there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.table.count()
    }

    /// Looks after a part of the sessions: forgets what has ended. To be called every second, beside
    /// the requests.
    pub fn tidy(&self, now: Timestamp) {
        let parts = self.table.parts();
        let first = self.next_part.fetch_add(PARTS_AT_ONCE, Ordering::Relaxed);
        for part in first..first.wrapping_add(PARTS_AT_ONCE) {
            self.forget(self.table.tidy(part % parts.len(), now), Ended::Expired);
        }
        self.forget(self.table.shrink(self.capacity), Ended::Evicted);
        self.marks.tidy();
    }

    fn forget(&self, gone: Vec<Gone>, how: Ended) {
        for gone in gone {
            if self.forgotten(gone).is_some() {
                (self.ended)(how);
            }
        }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// What a session may be known by to others: random, and good for nothing else.
///
/// # Errors
/// When the system's generator fails.
pub fn new_handle() -> Result<String, StoreError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// What proves that something was set during a session.
///
/// # Errors
/// When the system's generator fails.
pub fn new_proof() -> Result<Secret<[u8; 16]>, StoreError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    Ok(Secret::new(random))
}
