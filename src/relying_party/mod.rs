//! What we are towards an identity provider: a relying party. Where visitors are sent, how a code
//! becomes tokens, and when an ID token is believed.
//!
//! `authorization` writes the request that visitors are sent with; [`issuers`] says whose tokens
//! are believed, [`id_token`] judges them and [`keys`] reads key sets, all without a network;
//! `discovery` keeps what is known of the provider fresh; `http` makes the calls; `token_request`
//! asks the token endpoint with our `credentials`, and `redeem` is what a login asks there; `registration` asks Graph when those credentials end.
//! Deliberately not here: cookies and callbacks, which the gate and the server have, and any
//! address that comes from a visitor (OIDC-11).

mod authorization;
mod credentials;
mod discovery;
mod graph;
mod groups;
mod http;
pub mod id_token;
pub mod issuers;
mod json;
pub mod keys;
mod languages;
mod logout_token;
mod redeem;
mod refresh;
mod registration;
mod sign_out;
mod token_request;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::credentials::Credentials;
use self::discovery::{Discovery, Known};
use self::http::Http;
use self::id_token::{Expected, UnverifiedToken};
use crate::clock::Clock;
use crate::config::{AnswerBy, Provider, ProviderKind};
use crate::gate::login::{AuthorizationRequest, Demands, Grant, Journey, Prompt, Redemption};
use crate::gate::{CanonicalPath, Challenge, Timestamp, VerifiedClaims};

pub use self::credentials::{CredentialError, CredentialFault, CredentialState};
pub use self::discovery::{DiscoveryError, MetadataError};
pub use self::graph::GraphError;
pub use self::http::HttpError;
pub use self::id_token::IdTokenError;
pub use self::logout_token::{LogoutToken, LogoutTokenError};
pub use self::redeem::{TokenRefusal, Tokens};
pub use self::refresh::Refreshed;
pub use self::registration::RegistrationError;
pub use self::sign_out::is_sid;

/// Told of every call to the provider: what it was, how it ended, how long it took.
pub type Observe = Arc<dyn Fn(Call, Outcome, Duration) + Send + Sync>;

/// The calls that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// For the metadata.
    Discovery,
    /// For the signing keys.
    Keys,
    /// For tokens.
    Token,
    /// For the groups of somebody.
    Graph,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Discovery, Self::Keys, Self::Token, Self::Graph];

    /// Its name in a metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::Token => "token",
            Self::Graph => "graph",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With what we asked for.
    Ok,
    /// With an answer that is a refusal, or of no use.
    Refused,
    /// Without an answer, or with one that says «not now».
    Unreachable,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Unreachable];

    /// Its name in a metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Every bound on what we ask of the provider, and how often (LIM-06).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection to be made, the name resolved.
    pub connect: Duration,
    /// For a call from beginning to end, and for metadata and keys together.
    pub total: Duration,
    /// The largest answer that is read.
    pub answer_bytes: usize,
    /// For how long visitors are told of a failed fetch before another tries again.
    pub retry: Duration,
    /// For how long unknown key ids make us fetch nothing, after one that the provider does not
    /// have either (OIDC-08).
    pub missed_key: Duration,
    /// When the background task looks again after such a miss.
    pub second_look: Duration,
    /// How often metadata and keys are fetched while all is well.
    pub refresh: Duration,
    /// For how long the last good copy is used (AZ-06).
    pub outage: Duration,
    /// The longest pause between the background task's tries while nothing is known: with a
    /// fetch, it is back within five seconds of the provider (REL-01).
    pub longest_pause: Duration,
    /// The same while a copy is good, and nobody waits.
    pub longest_calm_pause: Duration,
    /// For everything that is asked of Graph about somebody, pauses included.
    pub graph: Duration,
    /// The most pages of groups that are asked for.
    pub graph_pages: usize,
    /// For how long what Graph said of somebody is used again.
    pub graph_cache: Duration,
    /// Of how many people that is kept.
    pub graph_members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(5),
            answer_bytes: 1024 * 1024,
            retry: Duration::from_secs(1),
            missed_key: Duration::from_secs(5 * 60),
            second_look: Duration::from_secs(30),
            refresh: Duration::from_secs(60 * 60),
            outage: Duration::from_secs(24 * 60 * 60),
            longest_pause: Duration::from_secs(4),
            longest_calm_pause: Duration::from_secs(60),
            graph: Duration::from_secs(6),
            graph_pages: 20,
            graph_cache: Duration::from_secs(5 * 60),
            graph_members: 10_000,
        }
    }
}

/// The background task's pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A set of endpoints and whom they are for; B2C has one for each policy.
struct Flow {
    journey: Journey,
    /// What tokens of it name (AZ-04).
    policy: Option<String>,
    discovery: Discovery,
}

/// Ourselves, towards one provider. Shared by all workers.
pub struct RelyingParty {
    provider: Arc<Provider>,
    http: Arc<Http>,
    /// The first is for signing in.
    flows: Vec<Flow>,
    clock: Clock,
    observe: Observe,
    limits: Limits,
    credentials: Credentials,
    memberships: groups::Memberships,
}

impl RelyingParty {
    /// Makes no call: the program starts while the provider is down.
    #[must_use]
    pub fn new(provider: Arc<Provider>, clock: Clock, observe: Observe) -> Arc<Self> {
        Self::with_limits(provider, clock, observe, Limits::default())
    }

    /// With other bounds than usual.
    #[must_use]
    pub fn with_limits(
        provider: Arc<Provider>,
        clock: Clock,
        observe: Observe,
        limits: Limits,
    ) -> Arc<Self> {
        let http = Arc::new(Http::new(limits, provider.trusted.clone()));
        let flow = |(journey, kind): (Journey, ProviderKind)| Flow {
            journey,
            policy: match &kind {
                ProviderKind::AzureAdB2c(b2c) => Some(b2c.policy.clone()),
                ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) | ProviderKind::Oidc(_) => {
                    None
                }
            },
            discovery: Discovery::new(
                Arc::clone(&provider.name),
                kind,
                Arc::clone(&http),
                clock.clone(),
                Arc::clone(&observe),
                limits,
            ),
        };
        Arc::new(Self {
            flows: provider.kind.flows().into_iter().map(flow).collect(),
            credentials: Credentials::new(Arc::clone(&provider), limits),
            provider,
            http,
            clock,
            observe,
            limits,
            memberships: groups::Memberships::default(),
        })
    }

    /// The provider's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.provider.name
    }

    /// What its button says, if that is its own to say.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.provider.label.as_deref()
    }

    /// Whether visitors can be sent there for this.
    #[must_use]
    pub fn offers(&self, journey: Journey) -> bool {
        self.provider.kind.offers(journey)
    }

    /// The endpoints of a journey, or those for signing in where it has none of its own.
    fn flow(&self, journey: Journey) -> Result<&Flow, RelyingPartyError> {
        let of_its_own = self.flows.iter().find(|flow| flow.journey == journey);
        let found = match self.offers(journey) {
            true => of_its_own.or_else(|| self.flows.first()),
            false => None,
        };
        found.ok_or(RelyingPartyError::NoSuchJourney { journey })
    }

    /// The endpoints for signing in.
    fn main(&self) -> Option<&Discovery> {
        self.flows.first().map(|flow| &flow.discovery)
    }

    /// What a visitor's link asks for, as far as the operator lets it (OIDC-19).
    #[must_use]
    pub fn wishes(&self, query: &str) -> Demands {
        authorization::wishes(&self.provider.request, query)
    }

    /// How a visitor is asked for another account than the one that is signed in there. User flows of
    /// B2C have no choice of accounts, and know `login` alone (azure.md, section 2.2).
    #[must_use]
    pub fn another_account(&self) -> Prompt {
        match &self.provider.kind {
            ProviderKind::AzureAdB2c(_) => Prompt::Login,
            ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) | ProviderKind::Oidc(_) => {
                Prompt::SelectAccount
            }
        }
    }

    /// A challenge with what the operator asks for in every login. `accepted_languages` is what the
    /// browser sent as `Accept-Language`.
    #[must_use]
    pub fn complete(&self, challenge: Challenge, accepted_languages: Option<&str>) -> Challenge {
        authorization::complete(&self.provider, challenge, accepted_languages)
    }

    /// Whether callbacks are posted by a form on the provider's page, and so by another site.
    #[must_use]
    pub fn posts_callbacks(&self) -> bool {
        self.provider.request.answer != AnswerBy::Query
    }

    /// The path of the redirect URI, if it is not ours.
    #[must_use]
    pub fn callback_path(&self) -> Option<&str> {
        self.provider.callback_path.as_ref().map(CanonicalPath::as_str)
    }

    /// Where a visitor is sent: code flow, PKCE with S256, `state` and `nonce`, whatever the
    /// metadata says (OIDC-01).
    ///
    /// # Errors
    /// When nothing is known of the provider, and it cannot be asked; or for a journey that it does
    /// not offer.
    pub async fn authorization_url(
        &self,
        request: &AuthorizationRequest,
        redirect_uri: &str,
    ) -> Result<String, RelyingPartyError> {
        let known = self.flow(request.journey)?.discovery.known().await?;
        let endpoint = known.metadata.authorization_endpoint.clone();
        Ok(authorization::url(endpoint, &self.provider, request, redirect_uri))
    }

    /// Exchanges a code for tokens. It can only be called with a [`Redemption`], so `state` has
    /// been accepted (OIDC-03); and the code leaves only for the issuer that the callback is from
    /// (OIDC-04).
    ///
    /// # Errors
    /// When the provider cannot be asked, or refuses.
    pub async fn redeem(
        &self,
        redemption: &Redemption,
        redirect_uri: &str,
    ) -> Result<Tokens, RelyingPartyError> {
        let known = self.flow(redemption.journey())?.discovery.known().await?;
        check_callback(redemption, &known)?;
        let code = match (redemption.grant(), self.provider.request.answer) {
            (Grant::Code(code), AnswerBy::Query | AnswerBy::FormPost) => code,
            (Grant::IdToken(token), AnswerBy::IdTokenByForm) => {
                return Ok(Tokens::of_callback(token.clone()));
            }
            (Grant::Code(_), AnswerBy::IdTokenByForm)
            | (Grant::IdToken(_), AnswerBy::Query | AnswerBy::FormPost) => {
                return Err(RelyingPartyError::CallbackGrant);
            }
        };
        let form = redeem::form(code, redemption.verifier(), redirect_uri);
        self.token_request(&known.metadata.token_endpoint, &form, Tokens::read).await
    }

    /// Judges the ID token of a login (OIDC-09).
    ///
    /// # Errors
    /// Why it is not believed, or that its key could not be looked for.
    pub async fn verify(
        &self,
        tokens: &Tokens,
        redemption: &Redemption,
        now: Timestamp,
    ) -> Result<VerifiedClaims, RelyingPartyError> {
        let token = UnverifiedToken::read(tokens.id_token.expose())?;
        let flow = self.flow(redemption.journey())?;
        let (known, key) = flow.discovery.key(token.key_id()).await?;
        let key = key.ok_or(IdTokenError::KeyUnknown)?;
        let expected = Expected {
            issuers: &known.metadata.issuers,
            policy: flow.policy.as_deref(),
            client_id: &self.provider.client_id,
            nonce: redemption.nonce(),
            is_refreshed: false,
            access_token: tokens.access_token.as_ref(),
            clock_skew: self.provider.clock_skew,
            max_age: redemption.max_age(),
            context: redemption.context(),
        };
        Ok(token.verify(&key, &expected, now)?)
    }

    /// Whether logins can begin without asking the provider first.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.main().is_some_and(|main| main.current().is_some())
    }

    /// How old the signing keys are, if there are any.
    #[must_use]
    pub fn keys_age(&self, now: Timestamp) -> Option<Duration> {
        Some(self.main()?.last()?.keys_age(now))
    }

    /// How our credentials are, in the order of the configuration.
    #[must_use]
    pub fn credentials(&self) -> Vec<CredentialState> {
        self.credentials.states(self.clock.now())
    }

    /// Warns of credentials that end soon, 30, 14 and 3 days before and at their end, once each; to
    /// be called now and then.
    pub fn announce_ends(&self) {
        self.credentials.announce_ends(self.clock.now());
    }

    /// Keeps metadata and keys fresh; to be spawned once. Never returns.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut flows = JoinSet::new();
        for index in 0..self.flows.len() {
            flows.spawn(Arc::clone(&self).keep_flow_fresh(index));
        }
        while flows.join_next().await.is_some() {}
    }

    async fn keep_flow_fresh(self: Arc<Self>, index: usize) {
        let Some(flow) = self.flows.get(index) else {
            return;
        };
        let mut pause = FIRST_PAUSE;
        let mut is_failing = false;
        loop {
            let wait = match flow.discovery.refresh().await {
                Ok(_) => {
                    if std::mem::take(&mut is_failing) {
                        tracing::info!(
                            provider = &*self.provider.name,
                            flow = flow.journey.name(),
                            "the provider's metadata and keys can be fetched again"
                        );
                    }
                    pause = FIRST_PAUSE;
                    self.limits.refresh
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        self.report(flow, &error);
                    }
                    let longest = match flow.discovery.current() {
                        Some(_) => self.limits.longest_calm_pause,
                        None => self.limits.longest_pause,
                    };
                    let wait = pause.min(longest);
                    pause = wait.saturating_mul(2);
                    wait
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = flow.discovery.second_look() => {}
            }
        }
    }

    fn report(&self, flow: &Flow, error: &DiscoveryError) {
        let known = flow.discovery.last();
        let now = self.clock.now();
        tracing::warn!(
            provider = &*self.provider.name,
            flow = flow.journey.name(),
            reason = error.code(),
            error = error as &dyn std::error::Error,
            keys_age_seconds = known.map(|known| known.keys_age(now).as_secs()),
            "the provider's metadata and keys cannot be fetched"
        );
    }
}

impl std::fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelyingParty")
            .field("provider", &self.provider.name)
            .finish_non_exhaustive()
    }
}

/// `iss` of the callback, compared before the code goes anywhere (RFC 9207, section 2.4).
fn check_callback(redemption: &Redemption, known: &Known) -> Result<(), RelyingPartyError> {
    match redemption.issuer() {
        Some(issuer) if known.metadata.issuers.find(issuer).is_some() => Ok(()),
        None if !known.metadata.promises_issuer => Ok(()),
        Some(_) | None => Err(RelyingPartyError::CallbackIssuer),
    }
}

/// A fresh id by which Microsoft's support finds the request (azure.md, section 3.6).
fn request_id() -> Vec<(HeaderName, HeaderValue)> {
    let id = guid().and_then(|id| HeaderValue::from_str(&id).ok());
    id.into_iter()
        .map(|id| (HeaderName::from_static("client-request-id"), id))
        .chain([(
            HeaderName::from_static("return-client-request-id"),
            HeaderValue::from_static("true"),
        )])
        .collect()
}

/// A random GUID (RFC 9562, section 5.4: version 4, variant 10). `None` without randomness.
fn guid() -> Option<String> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let id = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    Some(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xffff,
        (id >> 48) & 0xffff,
        id & 0xffff_ffff_ffff
    ))
}

/// Why the provider did not lead to verified claims.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyError {
    /// Metadata or keys are not known.
    #[error("nothing is known of the provider")]
    Discovery(#[from] DiscoveryError),
    /// The callback is of another issuer, or of none (OIDC-04).
    #[error("the callback is not from the provider that the login began with")]
    CallbackIssuer,
    /// The callback brings something else than was asked for.
    #[error("the callback does not bring what the authorization request asked for")]
    CallbackGrant,
    /// No endpoint for this.
    #[error("the provider has no `{}` in the configuration", .journey.name())]
    NoSuchJourney {
        /// Which.
        journey: Journey,
    },
    /// The token endpoint gave no answer.
    #[error("the token endpoint gave no answer")]
    TokenCall(#[source] HttpError),
    /// The token endpoint said no.
    #[error("the token endpoint answered {0}")]
    TokenRefused(TokenRefusal),
    /// Every client credential was refused; this is of the last one.
    #[error("no client credential is accepted; the last one was answered {refusal}")]
    CredentialsRefused {
        /// What the provider answered.
        refusal: TokenRefusal,
        /// Whether all of them are secrets.
        are_secrets: bool,
    },
    /// No client credential could be sent.
    #[error("no client credential is available")]
    CredentialUnavailable(#[source] CredentialError),
    /// There is no credential to ask with.
    #[error("the provider has no client credential in the configuration")]
    NoCredential,
    /// The answer of the token endpoint cannot be read.
    #[error("the token endpoint's answer has no ID token that could be read")]
    TokenAnswer,
    /// The ID token is not believed.
    #[error("the ID token was not accepted")]
    IdToken(#[from] IdTokenError),
}

impl RelyingPartyError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Discovery(error) => error.code(),
            Self::CallbackIssuer => "login-callback-issuer",
            Self::CallbackGrant => "login-callback-malformed",
            Self::NoSuchJourney { .. } => "login-journey-unknown",
            Self::TokenCall(error) => error.code(),
            Self::TokenRefused(refusal) if refusal.is_temporary() => "provider-busy",
            Self::TokenRefused(_) => "token-request-refused",
            Self::CredentialsRefused { are_secrets: true, .. } => "client-secret-refused",
            Self::CredentialsRefused { .. } => "client-credential-refused",
            Self::CredentialUnavailable(_) | Self::NoCredential => "client-credential-unavailable",
            Self::TokenAnswer => "token-answer-malformed",
            Self::IdToken(error) => error.code(),
        }
    }

    /// The token endpoint's refusal, if it was one.
    #[must_use]
    pub const fn token_refusal(&self) -> Option<&TokenRefusal> {
        match self {
            Self::TokenRefused(refusal) | Self::CredentialsRefused { refusal, .. } => Some(refusal),
            Self::Discovery(_)
            | Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::TokenCall(_)
            | Self::CredentialUnavailable(_)
            | Self::NoCredential
            | Self::TokenAnswer
            | Self::IdToken(_) => None,
        }
    }

    /// Whether the visitor can do no better than try later (GEN-03): the page is a 503.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Discovery(_)
            | Self::TokenCall(_)
            | Self::CredentialsRefused { .. }
            | Self::CredentialUnavailable(_)
            | Self::NoCredential
            | Self::TokenAnswer => true,
            Self::TokenRefused(refusal) => refusal.is_temporary(),
            Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::IdToken(_) => false,
        }
    }
}
