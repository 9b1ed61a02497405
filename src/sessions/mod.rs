//! Who is signed in: the store, in this process's memory. Deliberately not here: what a session
//! is (`gate::Session`) and whether it lets somebody through (`gate::decide`).

pub mod cookie;
mod index;
mod kept_forms;
mod renewing;
mod seal;
mod sign_out;

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::notification::RemovalCause;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

pub use index::Meant;
pub use kept_forms::member_mark;
pub use renewing::Renewing;
pub use seal::{Purpose, Seal, sealed_length};

use self::index::Index;
use crate::gate::identity::Envelope;
use crate::gate::login::PendingLogin;
use crate::gate::{KeptForm, Secret, Session, SessionId, Timestamp};

/// All sessions of this process.
#[derive(Debug)]
pub struct Sessions {
    table: Cache<Digest, Arc<SignedIn>, Hashing>,
    spent_logins: Cache<Digest, (), Hashing>,
    spent_logout_tokens: Cache<Digest, (), Hashing>,
    spent_forms: Cache<Digest, (), Hashing>,
    /// Which sessions their members ended, and when: logins that were under way then become no
    /// session.
    signed_out: Cache<Digest, Timestamp, Hashing>,
    /// The same of names that providers said. Anybody can say one in a provider's name, so what they
    /// fill is apart from what members did themselves (OIDC-14).
    signed_out_there: Cache<Digest, Timestamp, Hashing>,
    index: Arc<Index>,
}

/// A session and the identity headers rendered for it. It is replaced as a whole when the provider
/// says something else of its member; what goes on then is in [`Lasting`].
#[derive(Debug)]
pub struct SignedIn {
    session: Session,
    envelope: ArcSwapOption<Envelope>,
    lasting: Arc<Lasting>,
}

/// What outlives a session's claims.
#[derive(Debug, Default)]
struct Lasting {
    /// Digests of the portal's own session cookies that were set during this session, the newest
    /// last (PATH-18).
    portal_cookies: Mutex<Vec<Digest>>,
    renewing: Renewing,
}

/// How many of the portal's own session cookies a session remembers.
const PORTAL_COOKIES: usize = 16;

impl SignedIn {
    fn new(session: Session, earlier: Option<&Self>) -> Self {
        let lasting = Lasting::default();
        if let Some(earlier) = earlier {
            let earlier = &earlier.lasting.portal_cookies;
            let known = earlier.lock().unwrap_or_else(PoisonError::into_inner).clone();
            *lasting.portal_cookies.lock().unwrap_or_else(PoisonError::into_inner) = known;
        }
        Self { session, envelope: ArcSwapOption::empty(), lasting: Arc::new(lasting) }
    }

    /// The same member, of whom the provider says something else now.
    fn renewed(&self, session: Session) -> Self {
        let lasting = Arc::clone(&self.lasting);
        Self { session, envelope: ArcSwapOption::empty(), lasting }
    }

    /// Who asks the provider again about this member.
    #[must_use]
    pub fn renewing(&self) -> &Renewing {
        &self.lasting.renewing
    }

    /// The portal set this cookie during this session.
    pub fn remember_cookie(&self, name: &[u8], value: &[u8]) {
        let cookie = Digest::of_pair(name, value);
        let mut known = self.lasting.portal_cookies.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&cookie) {
            if known.len() >= PORTAL_COOKIES {
                known.remove(0);
            }
            known.push(cookie);
        }
    }

    /// Whether the portal set this cookie during this session.
    #[must_use]
    pub fn knows_cookie(&self, name: &[u8], value: &[u8]) -> bool {
        let known = self.lasting.portal_cookies.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&Digest::of_pair(name, value))
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The rendered identity headers while they are fresh (ENV-02).
    #[must_use]
    pub fn envelope(&self, now: Timestamp) -> Option<Arc<Envelope>> {
        self.envelope.load_full().filter(|envelope| now < envelope.renew)
    }

    /// Keeps newly rendered headers for the requests to come.
    pub fn keep(&self, envelope: &Arc<Envelope>) {
        self.envelope.store(Some(Arc::clone(envelope)));
    }
}

/// The most spent logins that are remembered. Whoever pushes others out gains nothing by it: what is
/// used again takes the browser's own sealed cookie, and a code that the provider takes once.
const SPENT_LOGINS: u64 = 100_000;

/// The most sign-outs of each sort that are remembered for the logins under way.
const SIGN_OUTS: u64 = 20_000;

/// The most logout tokens that are remembered.
const SPENT_LOGOUT_TOKENS: u64 = 100_000;

/// How long a logout token has to be remembered: longer than one is taken.
const LOGOUT_TOKEN: Duration = Duration::from_secs(30 * 60);

/// How the table came to forget a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One of its lifetimes was over.
    Expired,
    /// There was no room.
    Evicted,
}

impl Sessions {
    /// An empty store for at most `capacity` sessions; beyond, the least recently used goes. The
    /// table forgets on its own what the lifetimes have ended, beside the requests, and tells
    /// `ended`.
    #[must_use]
    pub fn new(
        settings: &crate::config::Sessions,
        ended: impl Fn(Ended) + Send + Sync + 'static,
    ) -> Self {
        let index = Arc::new(Index::default());
        let named = Arc::clone(&index);
        let table = Cache::builder()
            .max_capacity(settings.capacity)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(settings.lifetimes.absolute)
            .time_to_idle(settings.lifetimes.idle)
            .eviction_listener(move |id, gone: Arc<SignedIn>, cause| {
                // What takes its place after a refresh has the same names.
                if cause != RemovalCause::Replaced {
                    named.remove(gone.session(), &id);
                }
                match cause {
                    RemovalCause::Expired => ended(Ended::Expired),
                    RemovalCause::Size => ended(Ended::Evicted),
                    // By us, who know why.
                    RemovalCause::Explicit | RemovalCause::Replaced => {}
                }
            })
            .build_with_hasher(Hashing::default());
        // A login that was begun more than its limit ago is refused without asking here.
        Self {
            table,
            spent_logins: remembered(SPENT_LOGINS, PendingLogin::LIMIT * 2),
            spent_logout_tokens: remembered(SPENT_LOGOUT_TOKENS, LOGOUT_TOKEN),
            spent_forms: remembered(kept_forms::SPENT, KeptForm::LIMIT * 2),
            signed_out: remembered(SIGN_OUTS, PendingLogin::LIMIT),
            signed_out_there: remembered(SIGN_OUTS, PendingLogin::LIMIT),
            index,
        }
    }

    /// Starts a session under a new id (SESS-01). One that goes on from an `earlier` one of the same
    /// member knows the same cookies of the portal.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn start(
        &self,
        session: Session,
        earlier: Option<&SignedIn>,
    ) -> Result<SessionId, Unspecified> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random)?;
        let id = SessionId::new(random);
        let (key, signed_in) = (Digest::of(id.bytes()), Arc::new(SignedIn::new(session, earlier)));
        self.table.insert(key, Arc::clone(&signed_in));
        self.index.add(signed_in.session(), key);
        if !self.table.contains_key(&key) {
            // It is gone already, and whoever took it may have been here before us.
            self.index.remove(signed_in.session(), &key);
        }
        Ok(id)
    }

    /// The session of this id, if it is live.
    #[must_use]
    pub fn find(&self, id: &SessionId, now: Timestamp) -> Option<Arc<SignedIn>> {
        let found = self.table.get(&Digest::of(id.bytes()))?;
        found.session.is_live(now).then_some(found)
    }

    /// Puts a session in the place of an earlier state of it; `None` if that is not there any more: a
    /// sign-out wins over a refresh under way (OIDC-14).
    #[must_use]
    pub fn renew(
        &self,
        id: &SessionId,
        earlier: &Arc<SignedIn>,
        session: Session,
    ) -> Option<Arc<SignedIn>> {
        let next = Arc::new(earlier.renewed(session));
        let put = Arc::clone(&next);
        let done = self.table.entry(Digest::of(id.bytes())).and_compute_with(|entry| match entry {
            Some(entry) if Arc::ptr_eq(entry.value(), earlier) => Op::Put(put),
            Some(_) | None => Op::Nop,
        });
        matches!(done, CompResult::ReplacedWith(_)).then_some(next)
    }

    /// Ends a session: a copy of its cookie is worthless from here on (SESS-04).
    #[must_use]
    pub fn end(&self, id: &SessionId) -> Option<Arc<SignedIn>> {
        self.table.remove(&Digest::of(id.bytes()))
    }

    /// Spends a login's `state`: true once, also when two callbacks come at the same moment
    /// (OIDC-02).
    #[must_use]
    pub fn spend_login(&self, state: &Secret<String>) -> bool {
        self.spent_logins.entry(Digest::of(state.expose().as_bytes())).or_insert(()).is_fresh()
    }

    /// About how many sessions there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.table.entry_count()
    }

    /// Forgets what has ended; to be called now and then, beside the requests.
    pub fn tidy(&self) {
        self.table.run_pending_tasks();
        self.spent_logins.run_pending_tasks();
        self.spent_logout_tokens.run_pending_tasks();
        self.spent_forms.run_pending_tasks();
        self.signed_out.run_pending_tasks();
        self.signed_out_there.run_pending_tasks();
    }
}

/// What is remembered for a time, within a bound.
fn remembered<V: Clone + Send + Sync + 'static>(
    most: u64,
    time: Duration,
) -> Cache<Digest, V, Hashing> {
    Cache::builder()
        .max_capacity(most)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(time)
        .build_with_hasher(Hashing::default())
}

/// What a session may be known by to others: random, and good for nothing else.
///
/// # Errors
/// When the system's generator fails.
pub fn new_handle() -> Result<String, Unspecified> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// A key of the tables: SHA-256, so that memory holds no id that opens anything (SESS-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest([u8; 32]);

impl Digest {
    /// Of a name and a value: no cookie's name has a `=`.
    fn of_pair(name: &[u8], value: &[u8]) -> Self {
        Self::of(&[name, b"=", value].concat())
    }

    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }
}

impl std::hash::Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// A digest is evenly spread already.
#[derive(Clone, Copy, Debug, Default)]
struct FirstEight(u64);

type Hashing = BuildHasherDefault<FirstEight>;

impl Hasher for FirstEight {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
