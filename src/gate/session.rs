//! A session: one person signed in, on one portal. Deliberately not here: where sessions are kept.

mod record;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{PortalTokens, Renewal, Secret, Timestamp, VerifiedClaims};

/// What the session cookie holds: 256 bits from the system's generator (SESS-01).
#[derive(Clone)]
pub struct SessionId(Secret<[u8; 32]>);

impl SessionId {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(random))
    }

    /// From the cookie's value; anything but the 43 characters of [`SessionId::cookie_value`]
    /// is nobody's.
    #[must_use]
    pub fn parse(cookie_value: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if cookie_value.len() != 43 {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice_unchecked(cookie_value, &mut bytes).ok()?;
        (length == 32).then(|| Self::new(bytes))
    }

    /// The cookie's value: base64url without padding.
    #[must_use]
    pub fn cookie_value(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose())
    }

    /// The bytes, for the store to hash.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// What a visitor shows to be somebody's session.
#[derive(Clone, Debug)]
pub enum Ticket {
    /// The id of a session that is kept.
    Id(SessionId),
    /// The session itself, sealed.
    Sealed(Secret<String>),
}

/// How long sessions last. Enforced by us, not by the cookie's expiry (SESS-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Ends a session that nobody used for this long.
    pub idle: Duration,
    /// Ends every session, however busy.
    pub absolute: Duration,
}

impl Lifetimes {
    /// How often use is worth noting where that takes a look at the store: seldom enough to cost
    /// nothing, and often enough that nobody loses time by it.
    #[must_use]
    pub fn touch_interval(&self) -> Duration {
        (self.idle / 16).min(Duration::from_secs(5))
    }
}

/// What a session is at the provider that it came from: for signing out there, and from there.
#[derive(Clone, Default)]
pub struct AtProvider {
    /// The provider's own session: `sid` of the ID token, or `session_state` of the callback.
    pub sid: Option<String>,
    /// `sub`, where the provider may sign a person out by it.
    pub sub: Option<String>,
    /// The ID token, where the provider wants it back at a sign-out (`id_token_hint`).
    pub id_token: Option<Secret<String>>,
}

/// What a provider calls somebody stays out of logs (LOG-01).
impl fmt::Debug for AtProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtProvider(…)")
    }
}

/// One person signed in on one portal.
///
/// In the order in which it is read: every request asks whether it is live, and among a million
/// sessions each line of memory that has to be fetched for that costs as much as all the rest.
#[derive(Debug)]
#[repr(C)]
pub struct Session {
    /// Unix milliseconds. The one thing about a session that changes; a lost update costs nothing.
    last_used: AtomicI64,
    started: Timestamp,
    lifetimes: Lifetimes,
    /// When the provider said what the claims say.
    said: Timestamp,
    /// When the token ends that said it.
    token_ends: Option<Timestamp>,
    renewal: Option<Renewal>,
    provider: Arc<str>,
    portal: Arc<str>,
    claims: VerifiedClaims,
    handle: String,
    at_provider: AtProvider,
    /// What its portal gets of the provider's tokens; few do.
    tokens: Option<Arc<PortalTokens>>,
    /// How often it has become another state of itself.
    revision: u32,
    /// What only we can prove with that something was set during it.
    proof: Secret<[u8; 16]>,
}

impl Session {
    /// A session that starts now. `portal` is the host it is valid at (HOST-02), and `handle` what
    /// others may know it by (`sid` of the assertion): it is random and opens nothing.
    #[must_use]
    pub fn start(
        claims: VerifiedClaims,
        provider: Arc<str>,
        portal: Arc<str>,
        handle: String,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> Self {
        let last_used = AtomicI64::new(now.unix_millis());
        Self {
            token_ends: claims.ends(),
            claims,
            provider,
            portal,
            handle,
            at_provider: AtProvider::default(),
            tokens: None,
            started: now,
            said: now,
            renewal: None,
            lifetimes,
            last_used,
            revision: 0,
            proof: Secret::new([0; 16]),
        }
    }

    /// The session of the same person with other claims, known by another handle: it lasts no
    /// longer than this one would have.
    #[must_use]
    pub fn continued(&self, claims: VerifiedClaims, handle: String, now: Timestamp) -> Self {
        let (provider, portal) = (Arc::clone(&self.provider), Arc::clone(&self.portal));
        let session = Self::start(claims, provider, portal, handle, self.lifetimes, now);
        let renewal = self.renewal.clone();
        let (at_provider, proof) = (self.at_provider.clone(), self.proof.clone());
        let (started, said, tokens) = (self.started, self.said, self.tokens.clone());
        Self { started, said, renewal, at_provider, proof, tokens, ..session }
    }

    /// The same, with what proves that something was set during it: random, or an earlier session's
    /// of the same member, whose things this one takes over.
    #[must_use]
    pub fn proven_by(self, proof: Secret<[u8; 16]>) -> Self {
        Self { proof, ..self }
    }

    /// How often it has become another state of itself: of two, the one with more is the later.
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// What proves that something was set during it.
    #[must_use]
    pub const fn proof(&self) -> &Secret<[u8; 16]> {
        &self.proof
    }

    /// The same, about which the provider can be asked again.
    #[must_use]
    pub fn renewable(self, renewal: Option<Renewal>) -> Self {
        Self { renewal, ..self }
    }

    /// The same session, with what the provider says now.
    pub(super) fn with_word(
        &self,
        claims: VerifiedClaims,
        renewal: Option<Renewal>,
        now: Timestamp,
    ) -> Self {
        let session = self.continued(claims, self.handle.clone(), now);
        session.last_used.store(self.last_used().unix_millis(), Ordering::Relaxed);
        let revision = self.revision.saturating_add(1);
        Self { said: now, renewal, revision, ..session }
    }

    /// The same, whose claims are as old as that.
    pub(super) fn said_at(self, said: Timestamp) -> Self {
        Self { said, ..self }
    }

    /// When the provider said what the claims say.
    #[must_use]
    pub const fn said(&self) -> Timestamp {
        self.said
    }

    /// When the token ends that said it.
    #[must_use]
    pub const fn token_ends(&self) -> Option<Timestamp> {
        self.token_ends
    }

    /// What it takes to ask the provider again about its member, if that is possible.
    #[must_use]
    pub const fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }

    pub(super) fn with_tokens(self, tokens: Option<Arc<PortalTokens>>) -> Self {
        Self { tokens, ..self }
    }

    /// What its portal gets of the provider's tokens.
    #[must_use]
    pub fn tokens(&self) -> Option<&PortalTokens> {
        self.tokens.as_deref()
    }

    /// With what it is at its provider.
    #[must_use]
    pub fn known_as(self, at_provider: AtProvider) -> Self {
        Self { at_provider, ..self }
    }

    /// What it is at its provider.
    #[must_use]
    pub const fn at_provider(&self) -> &AtProvider {
        &self.at_provider
    }

    /// Whether it still stands for somebody.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.lasts_until()
    }

    /// The moment at which it is over unless it is used before.
    #[must_use]
    pub fn lasts_until(&self) -> Timestamp {
        self.ends().min(self.last_used().after(self.lifetimes.idle))
    }

    /// Whether it was made for the portal at this host (HOST-02).
    #[must_use]
    pub fn is_for(&self, portal: &str) -> bool {
        &*self.portal == portal
    }

    /// The host of the portal that it was made for.
    #[must_use]
    pub fn portal(&self) -> &str {
        &self.portal
    }

    /// Notes that it was used.
    pub fn touch(&self, now: Timestamp) {
        self.last_used.fetch_max(now.unix_millis(), Ordering::Relaxed);
    }

    /// Who is signed in.
    #[must_use]
    pub fn claims(&self) -> &VerifiedClaims {
        &self.claims
    }

    /// The provider that said so, by its name in the configuration.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What others may know it by.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// When the person signed in.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// When the person proved who they are, as the provider says (`auth_time`), and never later
    /// than the session began. Without its word nobody knows: the session may have begun by single
    /// sign-on, long after a password was typed.
    #[must_use]
    pub fn authenticated(&self) -> Option<Timestamp> {
        self.claims.authenticated().map(|time| time.min(self.started))
    }

    /// The moment after which it is over however much it is used.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.started.after(self.lifetimes.absolute)
    }

    /// When it was used last.
    #[must_use]
    pub fn last_used(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.last_used.load(Ordering::Relaxed))
    }

    /// How long it lasts.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }
}
