//! What we know of the provider: its metadata and signing keys, kept fresh, one copy for all
//! workers. Construction reads nothing, so the program starts and serves while the provider is
//! down; the last good copy outlives an outage (AZ-06).
//!
//! **When a token names a key that we do not know** (OIDC-08), the key set is fetched again, once
//! for all who wait. If it brings the key, nothing more is held against anybody: keys may be
//! replaced a hundred times an hour and no login fails. If it does not, no further token of its
//! sort makes its bearer's request fetch for five minutes, so that forged ids cannot be used to
//! flood the provider. That alone would shut out a real new key for as long, when it comes right
//! after a forged id or when the provider signs with it before publishing it everywhere. So a miss
//! also makes the background task look a second time, half a minute later, and so does every
//! further miss of a login: a real key waits half a minute at most.
//!
//! ID tokens and logout tokens are two sorts, and each has five minutes of its own: anybody may
//! post a logout token, so what one of them did not find never keeps a login from looking. Of
//! strangers' making we fetch once in five minutes for each sort, and in the background once in
//! half a minute at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::issuers::{self, Issuers};
use super::keys::{KeySetError, Keys, SigningKey};
use super::{Call, Limits, Observe, Outcome};
use crate::clock::Clock;
use crate::config::ProviderKind;
use crate::gate::Timestamp;
use crate::outgoing::{Http, HttpError};

/// The provider's metadata and keys, as last read.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) metadata: Arc<Metadata>,
    keys: Arc<Keys>,
    keys_read: Timestamp,
}

/// What we need of the metadata; the rest of the document is of no interest.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) issuers: Issuers,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) end_session_endpoint: Option<Url>,
    /// Whether callbacks carry `iss` (RFC 9207, section 3).
    pub(super) promises_issuer: bool,
    keys_endpoint: Url,
    cloud: Option<String>,
}

/// The one copy of what is known, and its upkeep.
pub(super) struct Discovery {
    /// The provider's name in the configuration.
    provider: Arc<str>,
    kind: ProviderKind,
    http: Arc<Http>,
    clock: Clock,
    observe: Observe,
    limits: Limits,
    known: ArcSwapOption<Known>,
    /// Held by whoever fetches; the others wait for the outcome.
    flight: Mutex<Flight>,
    /// How many fetches have ended: who waited for one takes its outcome.
    ended: AtomicU64,
    /// A key id was not found: look again soon.
    missed: Notify,
}

/// How the last fetches went.
#[derive(Default)]
struct Flight {
    failure: Option<(DiscoveryError, Instant)>,
    /// When a login last asked for a key that the provider does not have.
    missed: Option<Timestamp>,
    /// The same of a logout token.
    missed_logout: Option<Timestamp>,
}

/// What names a key. Each sort has its own word in how often we look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    /// An ID token, at the end of a login or with a refresh.
    Login,
    /// A logout token, which anybody can post.
    LogoutToken,
}

impl Flight {
    const fn missed(&mut self, by: NamedBy) -> &mut Option<Timestamp> {
        match by {
            NamedBy::Login => &mut self.missed,
            NamedBy::LogoutToken => &mut self.missed_logout,
        }
    }
}

impl Discovery {
    pub(super) fn new(
        provider: Arc<str>,
        kind: ProviderKind,
        http: Arc<Http>,
        clock: Clock,
        observe: Observe,
        limits: Limits,
    ) -> Self {
        Self {
            provider,
            kind,
            http,
            clock,
            observe,
            limits,
            known: ArcSwapOption::empty(),
            flight: Mutex::default(),
            ended: AtomicU64::new(0),
            missed: Notify::new(),
        }
    }

    /// Whether what the other knows is known of the same provider.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    /// Knows what the other does.
    pub(super) fn inherit(&self, before: &Self) {
        self.known.store(before.known.load_full());
    }

    /// What is known, fetched if it is not; all who ask meanwhile share one fetch.
    pub(super) async fn known(&self) -> Result<Arc<Known>, DiscoveryError> {
        if let Some(known) = self.current() {
            return Ok(known);
        }
        let ended = self.ended.load(Ordering::Acquire);
        let flight = self.board().await?;
        if let Some(known) = self.current() {
            return Ok(known);
        }
        self.unless_just_failed(&flight, ended)?;
        self.fetch(flight).await
    }

    /// The key of this id, looked for again if it is not known. `None`: the provider has none.
    pub(super) async fn key(
        &self,
        id: &str,
    ) -> Result<(Arc<Known>, Option<Arc<SigningKey>>), DiscoveryError> {
        self.key_named(id, NamedBy::Login).await
    }

    /// The same for a logout token.
    pub(super) async fn key_of_logout_token(
        &self,
        id: &str,
    ) -> Result<(Arc<Known>, Option<Arc<SigningKey>>), DiscoveryError> {
        self.key_named(id, NamedBy::LogoutToken).await
    }

    async fn key_named(
        &self,
        id: &str,
        by: NamedBy,
    ) -> Result<(Arc<Known>, Option<Arc<SigningKey>>), DiscoveryError> {
        let known = self.known().await?;
        if let Some(key) = known.keys.get(id).cloned() {
            return Ok((known, Some(key)));
        }
        self.look_again(id, known, by).await
    }

    async fn look_again(
        &self,
        id: &str,
        known: Arc<Known>,
        by: NamedBy,
    ) -> Result<(Arc<Known>, Option<Arc<SigningKey>>), DiscoveryError> {
        let ended = self.ended.load(Ordering::Acquire);
        let mut flight = self.board().await?;
        let known = self.current().unwrap_or(known);
        if let Some(key) = known.keys.get(id).cloned() {
            return Ok((known, Some(key)));
        }
        // «Could not find out» is not «no» (GEN-03).
        self.unless_just_failed(&flight, ended)?;
        let missed = *flight.missed(by);
        if self.is_recent(missed) {
            if by == NamedBy::Login {
                self.missed.notify_one();
            }
            return Ok((known, None));
        }
        let deadline = self.http.deadline();
        let known = match self.fetch_keys(&known.metadata, deadline).await {
            Ok(keys) => self.learned(&mut flight, Arc::clone(&known.metadata), keys),
            Err(error) => return Err(self.failed(&mut flight, error)),
        };
        let key = known.keys.get(id).cloned();
        *flight.missed(by) = key.is_none().then(|| self.clock.now());
        if key.is_none() {
            self.missed.notify_one();
        }
        Ok((known, key))
    }

    /// Whether a miss is so recent that no other key id of its sort makes us fetch. A clock that
    /// was set back does not lengthen that.
    fn is_recent(&self, missed: Option<Timestamp>) -> bool {
        let now = self.clock.now();
        missed.is_some_and(|missed| missed <= now && now.since(missed) < self.limits.missed_key)
    }

    /// Fetches metadata and keys, whatever is known.
    pub(super) async fn refresh(&self) -> Result<Arc<Known>, DiscoveryError> {
        self.fetch(self.flight.lock().await).await
    }

    /// Returns when a key id was not found and it is time to look a second time.
    pub(super) async fn second_look(&self) {
        self.missed.notified().await;
        sleep(self.limits.second_look).await;
    }

    /// The copy that may be used: the last good one, for as long as an outage may last (AZ-06).
    pub(super) fn current(&self) -> Option<Arc<Known>> {
        let now = self.clock.now();
        let is_good = |known: &Arc<Known>| now.since(known.keys_read) < self.limits.outage;
        self.known.load_full().filter(is_good)
    }

    /// The last copy, however old.
    pub(super) fn last(&self) -> Option<Arc<Known>> {
        self.known.load_full()
    }

    /// Waits until nobody else fetches. Whoever leaves while fetching makes way for the next.
    async fn board(&self) -> Result<MutexGuard<'_, Flight>, DiscoveryError> {
        let limit = self.limits.total;
        let turn = timeout(limit, self.flight.lock()).await;
        turn.map_err(|_| DiscoveryError::Slow { limit })
    }

    /// The failure of the fetch that we waited for, or of one a moment ago: a provider that is
    /// down is not asked once for each visitor.
    fn unless_just_failed(&self, flight: &Flight, ended: u64) -> Result<(), DiscoveryError> {
        let was_shared = ended != self.ended.load(Ordering::Acquire);
        match &flight.failure {
            Some((error, at)) if was_shared || at.elapsed() < self.limits.retry => {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    async fn fetch(
        &self,
        mut flight: MutexGuard<'_, Flight>,
    ) -> Result<Arc<Known>, DiscoveryError> {
        // One deadline for both documents: a visitor waits for their sum.
        let deadline = self.http.deadline();
        let fetched = match self.fetch_metadata(deadline).await {
            Ok(metadata) => self.fetch_keys(&metadata, deadline).await.map(|keys| (metadata, keys)),
            Err(error) => Err(error),
        };
        match fetched {
            Ok((metadata, keys)) => Ok(self.learned(&mut flight, Arc::new(metadata), keys)),
            Err(error) => Err(self.failed(&mut flight, error)),
        }
    }

    fn learned(&self, flight: &mut Flight, metadata: Arc<Metadata>, keys: Keys) -> Arc<Known> {
        let known = Arc::new(Known { metadata, keys: Arc::new(keys), keys_read: self.clock.now() });
        self.known.store(Some(Arc::clone(&known)));
        flight.failure = None;
        self.ended.fetch_add(1, Ordering::Release);
        known
    }

    fn failed(&self, flight: &mut Flight, error: DiscoveryError) -> DiscoveryError {
        flight.failure = Some((error.clone(), Instant::now()));
        self.ended.fetch_add(1, Ordering::Release);
        error
    }

    async fn fetch_metadata(&self, deadline: Instant) -> Result<Metadata, DiscoveryError> {
        let began = Instant::now();
        let metadata = match self.http.get(&self.kind.metadata_url(), deadline).await {
            Ok(document) => self.read_metadata(&document),
            Err(error) => Err(DiscoveryError::call(Call::Discovery, error)),
        };
        self.note(Call::Discovery, metadata.as_ref().err(), began);
        metadata
    }

    fn read_metadata(&self, document: &[u8]) -> Result<Metadata, DiscoveryError> {
        let metadata = Metadata::read(document, &self.kind).map_err(DiscoveryError::Metadata)?;
        // The tenant that a domain stood for is the one that sessions were given for; a domain
        // that moves to somebody else does not take the members with it.
        match self.last() {
            Some(last) if last.metadata.issuers != metadata.issuers => {
                Err(DiscoveryError::Metadata(MetadataError::TenantChanged))
            }
            _ => Ok(metadata),
        }
    }

    async fn fetch_keys(
        &self,
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Keys, DiscoveryError> {
        let began = Instant::now();
        let keys = match self.http.get(&metadata.keys_endpoint, deadline).await {
            Ok(document) => Keys::read(&document, &metadata.issuers, metadata.cloud.as_deref())
                .map_err(DiscoveryError::Keys),
            Err(error) => Err(DiscoveryError::call(Call::Keys, error)),
        };
        self.note(Call::Keys, keys.as_ref().err(), began);
        if let Ok(keys) = &keys {
            let odd = keys.refused().iter().filter(|key| !key.is_expected());
            for problem in odd {
                tracing::warn!(
                    provider = &*self.provider,
                    reason = problem.code(),
                    "a signing key of the provider was passed over"
                );
            }
        }
        keys
    }

    fn note(&self, call: Call, error: Option<&DiscoveryError>, began: Instant) {
        let outcome = match error {
            None => Outcome::Ok,
            Some(error) if error.is_unreachable() => Outcome::Unreachable,
            Some(_) => Outcome::Refused,
        };
        (self.observe)(call, outcome, began.elapsed());
    }
}

impl Known {
    /// Its keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How old its keys are.
    pub(super) fn keys_age(&self, now: Timestamp) -> Duration {
        now.since(self.keys_read)
    }
}

/// The members that are read. One that is there twice is an error.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    cloud_instance_name: Option<String>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl Metadata {
    pub(super) fn read(document: &[u8], kind: &ProviderKind) -> Result<Self, MetadataError> {
        let document: Document =
            serde_json::from_slice(document).map_err(|_| MetadataError::Malformed)?;
        let endpoint = |name, text: &str| endpoint(name, text, kind);
        Ok(Self {
            issuers: Issuers::of(kind, &document.issuer)?,
            authorization_endpoint: endpoint(
                "authorization_endpoint",
                &document.authorization_endpoint,
            )?,
            token_endpoint: endpoint("token_endpoint", &document.token_endpoint)?,
            end_session_endpoint: document
                .end_session_endpoint
                .map(|text| endpoint("end_session_endpoint", &text))
                .transpose()?,
            keys_endpoint: endpoint("jwks_uri", &document.jwks_uri)?,
            cloud: document.cloud_instance_name,
            promises_issuer: document
                .authorization_response_iss_parameter_supported
                .unwrap_or(false),
        })
    }
}

/// An endpoint where the provider's may be.
fn endpoint(name: &'static str, text: &str, kind: &ProviderKind) -> Result<Url, MetadataError> {
    let url = Url::parse(text).map_err(|_| MetadataError::Endpoint { name })?;
    // A host is written into the policies of our pages, where other characters mean something.
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.host_str().is_some_and(|host| host.bytes().all(is_host));
    let is_there = is_plain && issuers::may_be_at(kind, &url);
    is_there.then_some(url).ok_or(MetadataError::Endpoint { name })
}

/// Why metadata or keys are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A call did not bring a document.
    #[error("the provider's {} could not be fetched", .call.name())]
    Call {
        /// Which.
        call: Call,
        /// Why; shared by all who waited for it.
        #[source]
        error: Arc<HttpError>,
    },
    /// The fetch of somebody else took too long.
    #[error("the provider's metadata and keys did not come within {limit:?}")]
    Slow {
        /// For both documents together.
        limit: Duration,
    },
    /// The metadata was not accepted.
    #[error("the provider's metadata was not accepted")]
    Metadata(#[source] MetadataError),
    /// The key set was not accepted.
    #[error("the provider's key set was not accepted")]
    Keys(#[source] KeySetError),
}

impl DiscoveryError {
    fn call(call: Call, error: HttpError) -> Self {
        Self::Call { call, error: Arc::new(error) }
    }

    /// Whether the provider could not be asked, as opposed to having given an answer that is of
    /// no use.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Call { error, .. } => error.is_unreachable(),
            Self::Slow { .. } => true,
            Self::Metadata(_) | Self::Keys(_) => false,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Call { error, .. } => error.code(),
            Self::Slow { .. } => "provider-slow",
            Self::Metadata(error) => error.code(),
            Self::Keys(_) => "provider-keys-refused",
        }
    }
}

/// Why metadata was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not a metadata document, or one without what we need.
    #[error("the answer is not an OpenID provider's metadata")]
    Malformed,
    /// Another issuer than configuration stands for.
    #[error("its issuer is not that of the configured provider")]
    Issuer,
    /// An endpoint elsewhere.
    #[error("its `{name}` is not where this provider's may be")]
    Endpoint {
        /// Which.
        name: &'static str,
    },
    /// The domain stands for another tenant than before.
    #[error("the configured domain belongs to another tenant than at the start")]
    TenantChanged,
    /// The tenant where anybody can have an account (AZ-03).
    #[error("its tenant is that of personal Microsoft accounts")]
    PersonalAccounts,
}

impl MetadataError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "provider-metadata-malformed",
            Self::Issuer => "provider-issuer",
            Self::Endpoint { .. } => "provider-endpoint-elsewhere",
            Self::TenantChanged => "provider-tenant-changed",
            Self::PersonalAccounts => "provider-personal-accounts",
        }
    }
}
