//! What we are towards an identity provider: a relying party. Where visitors are sent, how a code
//! becomes tokens, and when an ID token is believed.
//!
//! `authorization` writes the request that visitors are sent with; [`issuers`] says whose tokens
//! are believed, [`id_token`] judges them and [`keys`] reads key sets, all without a network;
//! `discovery` knows the provider and `upkeep` keeps that fresh, with calls within [`Limits`];
//! `token_request` asks the token endpoint with our `credentials`, `redeem` for a login and
//! `refresh` later on; `graph` and `groups` say which groups somebody is in, and `registration`
//! when our credentials end; `address` says which address is verified; `sign_out` and
//! `logout_token` are about the end of a session there; `examination` asks one thing at a time, for
//! `doctor`. Deliberately not here: cookies and callbacks, which the gate and the server have, and
//! any address that comes from a visitor (OIDC-11).

mod authorization;
mod calls;
mod credentials;
mod discovery;
mod error;
mod examination;
mod graph;
mod groups;
pub mod id_token;
pub mod issuers;
pub mod keys;
mod languages;
mod limits;
mod logout_token;
mod redeem;
mod refresh;
mod registration;
mod request_id;
mod sign_out;
mod token_request;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use self::credentials::Credentials;
use self::discovery::{Discovery, Known};
use self::id_token::{Expected, UnverifiedToken};
use self::request_id::{guid, request_id};
use crate::address;
use crate::clock::Clock;
use crate::config::{AnswerBy, Provider, ProviderKind};
use crate::gate::login::{AuthorizationRequest, Demands, Grant, Journey, Prompt, Redemption};
use crate::gate::{CanonicalPath, Challenge, Secret, Timestamp, VerifiedClaims};
use crate::outgoing::Http;

pub use self::calls::{Call, Observe, Outcome};
pub use self::credentials::{CredentialError, CredentialFault, CredentialState};
pub use self::discovery::{DiscoveryError, MetadataError};
pub use self::error::RelyingPartyError;
pub(crate) use self::examination::{AtRedirect, Tried, fits};
pub use self::graph::GraphError;
pub use self::id_token::IdTokenError;
pub use self::limits::Limits;
pub use self::logout_token::{LogoutToken, LogoutTokenError};
pub use self::redeem::{TokenRefusal, Tokens};
pub use self::refresh::{RefreshError, Refreshed};
pub use self::registration::RegistrationError;
pub use self::sign_out::is_sid;
pub use crate::outgoing::HttpError;

/// A set of endpoints and whom they are for; B2C has one for each policy.
struct Flow {
    journey: Journey,
    /// What tokens of it name (AZ-04).
    policy: Option<String>,
    discovery: Discovery,
}

/// What the provider was asked, as far as the ID token of its answer has to agree.
struct Asked<'a> {
    journey: Journey,
    nonce: &'a Secret<String>,
    is_refreshed: bool,
    max_age: Option<Duration>,
    context: Option<&'a str>,
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
    /// Unix milliseconds; before then nobody is asked about again.
    no_refresh_before: AtomicI64,
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
        let http = Arc::new(Http::new(limits.of_calls(), provider.trusted.clone()));
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
            no_refresh_before: AtomicI64::new(0),
        })
    }

    /// Whether this is what we are towards such a provider.
    #[must_use]
    pub fn is_of(&self, provider: &Provider) -> bool {
        *self.provider == *provider
    }

    /// Takes over what was known of the provider under another configuration, as far as it was found
    /// at the same place and believed for the same reasons: nobody has to wait for it again, nor for
    /// a provider that is down.
    pub fn inherit(&self, before: &Self) {
        if self.provider.trusted != before.provider.trusted {
            return;
        }
        for flow in &self.flows {
            let mut flows = before.flows.iter();
            if let Some(known) = flows.find(|known| known.discovery.is_like(&flow.discovery)) {
                flow.discovery.inherit(&known.discovery);
            }
        }
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

    /// The verified address of somebody who signed in, if there is one.
    #[must_use]
    pub fn verified_address<'c>(
        &self,
        claims: &'c VerifiedClaims,
        journey: Journey,
    ) -> Option<&'c str> {
        let flows = self.provider.kind.flows();
        let flow = flows.iter().find(|(known, _)| *known == journey).or_else(|| flows.first());
        address::verified(flow.map(|(_, kind)| kind)?, claims)
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

    /// How a visitor is asked for another account than the one that is signed in there. User flows
    /// of B2C have no choice of accounts, and know `login` alone (azure.md, section 2.2).
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

    /// Whether a callback is of this provider, as far as it says: `iss` is compared whatever else
    /// the callback brings (OIDC-04), and once more before a code goes anywhere.
    ///
    /// # Errors
    /// When it names another issuer.
    pub fn check_issuer(&self, issuer: Option<&str>) -> Result<(), RelyingPartyError> {
        let known = self.main().and_then(Discovery::last);
        let (Some(issuer), Some(known)) = (issuer, known) else {
            return Ok(());
        };
        let is_known = known.metadata.issuers.find(issuer).is_some();
        is_known.then_some(()).ok_or(RelyingPartyError::CallbackIssuer)
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
        let asked = Asked {
            journey: redemption.journey(),
            nonce: redemption.nonce(),
            is_refreshed: false,
            max_age: redemption.max_age(),
            context: redemption.context(),
        };
        self.judge(&tokens.id_token, tokens.access_token.as_ref(), &asked, now).await
    }

    /// Judges an ID token, of a login or of a refresh, with the key that it names.
    async fn judge(
        &self,
        id_token: &Secret<String>,
        access_token: Option<&Secret<String>>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<VerifiedClaims, RelyingPartyError> {
        let token = UnverifiedToken::read(id_token.expose())?;
        let flow = self.flow(asked.journey)?;
        let (known, key) = flow.discovery.key(token.key_id()).await?;
        let key = key.ok_or(IdTokenError::KeyUnknown)?;
        let expected = Expected {
            issuers: &known.metadata.issuers,
            policy: flow.policy.as_deref(),
            client_id: &self.provider.client_id,
            nonce: asked.nonce,
            is_refreshed: asked.is_refreshed,
            access_token,
            clock_skew: self.provider.clock_skew,
            max_age: asked.max_age,
            context: asked.context,
        };
        Ok(token.verify(&key, &expected, now)?)
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
