//! Who is signed in: the store of sessions. Deliberately not here: what a session is
//! (`gate::Session`) and whether it lets somebody through (`gate::decide`).

mod arriving;
mod break_glass;
mod calls;
mod carried;
mod claims;
pub mod cookie;
mod copies;
mod digest;
mod ending;
mod error;
mod handed_on;
mod index;
mod kept_forms;
mod kept_keys;
mod listing;
mod logins;
mod marks;
mod open;
mod portal_cookies;
mod redis;
mod remote;
mod renewing;
mod revocation;
mod revoked;
mod seal;
mod sign_out;
mod signed_in;
mod snapshot;
mod table;
mod together;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use calls::{Hearing, ObserveStore, StoreCall, StoreOutcome, StoreState};
pub use carried::Shown;
pub use claims::Word;
pub use digest::Digest;
pub use ending::{Waiting, Watch, Watched};
pub use error::{Ended, EndedHere, StoreError};
pub use index::Meant;
pub use kept_forms::member_mark;
pub use kept_keys::{KeptKeys, KeptKeysError};
pub use listing::{Cursor, ListError, Listed, Page, Wanted};
pub use logins::{Earlier, Logins};
pub use portal_cookies::PortalProofs;
pub(crate) use redis::{NotKept, RoundTrip, StoreFault, examine};
pub use remote::Lease;
pub use renewing::Renewing;
pub use revocation::{Revocation, RevokeError};
pub use seal::{Purpose, Seal, SealError, sealed_length};
pub use signed_in::SignedIn;
pub(crate) use snapshot::can_be_left;
pub use turn::Turn;

use self::arriving::Arriving;
use self::carried::Carrier;
use self::claims::Claimed;
use self::index::Index;
use self::marks::Marks;
use self::remote::{Known, Remote};
use self::revoked::Revoked;
use self::snapshot::Snapshot;
use self::table::{Gone, Table};
use crate::clock::Clock;
use crate::config;
use crate::gate::{Secret, Session, SessionId, Timestamp};

/// All sessions.
pub struct Sessions {
    table: Arc<Table>,
    store: Store,
    /// Where sessions are in their browsers.
    carrier: Option<Carrier>,
    everybody: AtomicI64,
    /// No session lasts longer, whatever was configured when it began.
    longest: Duration,
    /// What strangers have said in the providers' names.
    claimed: Claimed,
    is_ours: Ours,
    next_part: AtomicUsize,
    watched: Arc<Watched>,
    arriving: Arc<Arriving>,
    /// Where sessions go when the process ends, if they do.
    snapshot: Option<Snapshot>,
    /// They are another process's.
    gone: AtomicBool,
    /// Held by each refresh that is under way here.
    leases: Arc<()>,
    ended: Box<dyn Fn(Ended) + Send + Sync>,
}

/// Where the truth is.
enum Store {
    /// In this process: its table; or, where sessions are in their browsers, what was ended.
    Memory { index: Index, marks: Box<Marks>, revoked: Option<Box<Revoked>>, capacity: u64 },
    /// In a store that others share; the table has copies.
    Remote(Box<Remote>, u64),
}

/// What is known here of a session, without asking anybody.
#[derive(Debug)]
pub enum Here {
    /// It is live.
    Member(Arc<SignedIn>),
    /// There is none, or it is over.
    Nobody,
    /// Only the store can tell.
    Ask,
}

/// Which sessions may be taken from outside of this process: those of a portal that there is,
/// with a provider that it has.
#[derive(Clone)]
pub struct Ours(Arc<dyn Fn(&Session) -> bool + Send + Sync>);

impl Ours {
    /// Those that `is_ours` says.
    pub fn new(is_ours: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_ours))
    }

    fn include(&self, session: &Session) -> bool {
        (self.0)(session)
    }
}

/// How much of the table housekeeping looks at each time: all of it in eight.
const PARTS_AT_ONCE: usize = 128;

impl Sessions {
    /// An empty store. Those that end without anybody's doing are told to `ended`.
    #[must_use]
    pub fn new(
        settings: &config::Sessions,
        seal: &Arc<Seal>,
        clock: &Clock,
        is_ours: Ours,
        ended: impl Fn(Ended) + Send + Sync + 'static,
    ) -> Self {
        let has_copies = !matches!(settings.store, config::Store::Memory { .. });
        let carries = matches!(settings.store, config::Store::Cookie { .. });
        let table = Arc::new(Table::new(has_copies));
        let watched = Arc::<Watched>::default();
        let capacity = settings.capacity;
        let snapshot = match &settings.store {
            config::Store::Memory { snapshot: Some(path) } => {
                Some(Snapshot::new(path, seal, settings.lifetimes.absolute))
            }
            _ => None,
        };
        let is_here = matches!(
            settings.store,
            config::Store::Memory { .. } | config::Store::Cookie { revocations: None }
        );
        let arriving = Arc::new(Arriving::new(snapshot.is_none() && is_here));
        let store = match &settings.store {
            config::Store::Redis(redis) | config::Store::Cookie { revocations: Some(redis) } => {
                let known = Known {
                    table: Arc::clone(&table),
                    watched: Arc::clone(&watched),
                    endings: carries.then(Arc::default),
                    arriving: Arc::clone(&arriving),
                };
                let (seal, clock) = (Arc::clone(seal), clock.clone());
                let lifetimes = settings.lifetimes;
                let remote = Remote::new(redis, lifetimes, seal, known, clock, is_ours.clone());
                Store::Remote(Box::new(remote), capacity)
            }
            config::Store::Memory { .. } | config::Store::Cookie { revocations: None } => {
                Store::Memory {
                    index: Index::default(),
                    marks: Box::default(),
                    revoked: carries.then(Box::default),
                    capacity,
                }
            }
        };
        let idle = settings.lifetimes.idle;
        Self {
            table,
            store,
            carrier: carries.then(|| Carrier::new(Arc::clone(seal), idle)),
            everybody: AtomicI64::new(0),
            longest: settings.lifetimes.absolute,
            claimed: Claimed::new(Instant::now()),
            is_ours,
            next_part: AtomicUsize::new(0),
            watched,
            arriving,
            snapshot,
            gone: AtomicBool::new(false),
            leases: Arc::default(),
            ended: Box::new(ended),
        }
    }

    /// Keeps what the store needs; to be run beside the requests, for ever.
    pub async fn keep(&self) {
        match &self.store {
            Store::Memory { .. } => std::future::pending().await,
            Store::Remote(remote, _) => remote.keep().await,
        }
    }

    /// Waits until what there is of sessions can be found: a snapshot has been read, or a store
    /// that others share has been reached for the first time.
    pub async fn arrived(&self) {
        self.arriving.wait().await;
    }

    /// Waits until a snapshot that is being read has been, if one is.
    pub async fn read_to_its_end(&self) {
        if self.snapshot.is_some() {
            self.arriving.wait().await;
        }
    }

    /// Waits for a moment until all that an earlier process left is known here.
    ///
    /// # Errors
    /// When it takes longer: nobody can say then whose a session is, or what was ended.
    async fn settled(&self) -> Result<(), StoreError> {
        self.still_here()?;
        match &self.snapshot {
            Some(_) => self.arriving.wait_a_moment().await,
            None => Ok(()),
        }
    }

    /// Whether a session could begin: its size is known before (SESS-05). `None` where no browser has
    /// to keep it.
    #[must_use]
    pub fn foresee(&self, session: &Session) -> Option<Result<(), StoreError>> {
        let carrier = self.carrier.as_ref()?;
        Some(carrier.seal(&SessionId::new([0; 32]), session).map(drop))
    }

    /// Starts a session under a new id (SESS-01).
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn start(
        &self,
        session: Session,
        now: Timestamp,
    ) -> Result<(SessionId, Arc<SignedIn>), StoreError> {
        self.still_here()?;
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random)?;
        let id = SessionId::new(random);
        let key = Digest::of_id(&id);
        if let Some(carrier) = &self.carrier {
            // What is too large is refused before anything has begun (SESS-05).
            carrier.seal(&id, &session)?;
        }
        let member = match &self.store {
            Store::Remote(remote, _) => remote.start(&key, session, now).await?,
            Store::Memory { index, .. } => {
                let record = session.to_record();
                let member = Arc::new(SignedIn::new(session));
                // First, so that whoever ends it by its name from now on finds it.
                index.add(index::names(member.session()), &key);
                self.table.put(key, Arc::clone(&member), record.expose(), 0);
                member
            }
        };
        Ok((id, member))
    }

    /// What is known here of the session of this id.
    #[must_use]
    pub fn here(&self, id: &SessionId, now: Timestamp) -> Here {
        let key = Digest::of_id(id);
        match &self.store {
            Store::Remote(remote, _) => remote.here(&key, now),
            Store::Memory { .. } if self.are_gone() => Here::Ask,
            Store::Memory { revoked, .. } => match self.table.find(&key) {
                Some(found)
                    if self.is_valid(found.signed_in.session(), now)
                        && revoked.as_ref().is_none_or(|all| all.spare(&key, &found.signed_in)) =>
                {
                    Here::Member(found.signed_in)
                }
                None if !self.arriving.is_over() => Here::Ask,
                Some(_) | None => Here::Nobody,
            },
        }
    }

    /// A session is used of which the store is still to be asked: what is known of it here does not
    /// become too old meanwhile. Whether it is one is the store's to say.
    pub fn use_meanwhile(&self, id: &SessionId, now: Timestamp) {
        if let Store::Remote(remote, _) = &self.store {
            remote.use_meanwhile(&Digest::of_id(id), now);
        }
    }

    /// The session of this id, if it is live.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn find(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        match (self.here(id, now), &self.store) {
            (Here::Member(member), _) => Ok(Some(member)),
            (Here::Ask, Store::Remote(remote, _)) => remote.ask(&Digest::of_id(id), now).await,
            (Here::Ask, Store::Memory { .. }) => {
                self.settled().await?;
                match self.here(id, now) {
                    Here::Member(member) => Ok(Some(member)),
                    Here::Nobody => Ok(None),
                    Here::Ask => Err(StoreError::Unavailable),
                }
            }
            (Here::Nobody, _) => Ok(None),
        }
    }

    /// Ends a session: a copy of its cookie is worthless from here on (SESS-04).
    ///
    /// When the store could not be told, it is over here all the same, if it is known here. Where
    /// sessions are in their browsers and no more endings can be remembered, it is not.
    pub async fn end(&self, id: &SessionId, now: Timestamp) -> EndedHere<Option<Arc<SignedIn>>> {
        self.end_key(&Digest::of_id(id), now).await
    }

    async fn end_key(&self, key: &Digest, now: Timestamp) -> EndedHere<Option<Arc<SignedIn>>> {
        if let Err(error) = self.settled().await {
            return (None, Err(error));
        }
        match &self.store {
            Store::Remote(remote, _) => remote.end(key, now).await,
            Store::Memory { index, revoked, .. } => {
                // First: what cannot be remembered is not over, for its browser would show it
                // again.
                if let (Some(revoked), Some(known)) = (revoked, self.table.peek(key))
                    && let Err(error) = revoked.add(*key, known.session().ends())
                {
                    return (None, Err(error));
                }
                (self.table.remove(key).and_then(|gone| forgotten(index, gone)), Ok(()))
            }
        }
    }

    /// Where the truth is, and how that is.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> StoreState {
        match &self.store {
            Store::Remote(remote, _) => remote.state(now),
            Store::Memory { .. } => StoreState::Memory { is_reading: !self.arriving.is_over() },
        }
    }

    /// Every call to a store that others share is told to `observe` from now on.
    pub fn observe(&self, observe: ObserveStore) {
        if let Store::Remote(remote, _) = &self.store {
            remote.observe(observe);
        }
    }

    /// About how many sessions are known here.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.table.count()
    }

    /// Looks after a part of the sessions: forgets what has ended. To be called every second,
    /// beside the requests.
    pub fn tidy(&self, now: Timestamp) {
        let parts = self.table.parts();
        let first = self.next_part.fetch_add(PARTS_AT_ONCE, Ordering::Relaxed);
        for part in first..first.wrapping_add(PARTS_AT_ONCE) {
            self.forget(self.table.tidy(part % parts.len(), now), Ended::Expired);
        }
        let (Store::Memory { capacity, .. } | Store::Remote(_, capacity)) = &self.store;
        self.forget(self.table.shrink(*capacity), Ended::Evicted);
        if let Store::Memory { marks, revoked, .. } = &self.store {
            marks.tidy();
            if let Some(revoked) = revoked {
                revoked.tidy(now);
            }
        }
    }

    fn forget(&self, gone: Vec<Gone>, how: Ended) {
        for gone in gone {
            match &self.store {
                Store::Remote(remote, _) => remote.known().forgotten(gone),
                Store::Memory { index, revoked, .. } => {
                    // A copy is no session that ends.
                    if forgotten(index, gone).is_some() && revoked.is_none() {
                        (self.ended)(how);
                    }
                }
            }
        }
    }

    fn is_valid(&self, session: &Session, now: Timestamp) -> bool {
        let everybody = self.everybody.load(Ordering::Acquire);
        session.started().unix_millis() > everybody && now < lasts_until(session, self.longest)
    }
}

/// Until when a session lasts if nobody uses it: no longer than what was ended is remembered,
/// whatever was configured when it began (SESS-04).
fn lasts_until(session: &Session, longest: Duration) -> Timestamp {
    session.lasts_until().min(session.started().after(longest))
}

/// What has been taken out of the table goes from the index too.
fn forgotten(index: &Index, gone: Gone) -> Option<Arc<SignedIn>> {
    let key = gone.key;
    let signed_in = gone.into_session()?;
    index.remove(index::names(signed_in.session()), &key);
    // What is not there any more is over, for whoever waits for that too (SESS-10).
    signed_in.ending().tell();
    Some(signed_in)
}

#[cfg(test)]
impl Sessions {
    /// In memory, for tests.
    fn in_memory(lifetimes: crate::gate::Lifetimes, capacity: u64) -> Self {
        let settings = config::Sessions {
            store: config::Store::Memory { snapshot: None },
            keys: config::SealingKeys::default(),
            lifetimes,
            refresh_interval: lifetimes.idle,
            capacity,
        };
        let seal = Arc::new(Seal::new(&[]).unwrap());
        Self::new(&settings, &seal, &Clock::system(), Ours::new(|_| true), |_| {})
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
