//! A relying party, its provider, and logins from one to the other and back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteport::clock::Clock;
use anteport::config::{self, Credential, EntraId, ProviderKind, Tenant, Tenants};
use anteport::gate::login::{
    Accepted, AuthorizationRequest, Callback, LoginSeed, PendingLogin, Redemption,
};
use anteport::gate::{Challenge, ReturnTo, Timestamp, VerifiedClaims};
use anteport::relying_party::{Call, Limits, Outcome, RelyingParty, RelyingPartyError};
use serde_json::{Value, json};

use crate::lines::hear_every_thread;
use crate::provider::{CLIENT, KEYS, OBJECT, Provider, TENANT, token};

pub const NOON: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
pub const REDIRECT: &str = "https://members.example.org/.auth/login/corporate/callback";

pub struct World {
    pub provider: Provider,
    pub rp: Arc<RelyingParty>,
    pub clock: Clock,
    pub observed: Arc<Mutex<Vec<(Call, Outcome)>>>,
}

/// Nobody is made to wait, and nobody else's failure is passed on.
pub fn quick() -> Limits {
    Limits { retry: Duration::ZERO, ..Limits::default() }
}

pub fn entra(login: &str, tenants: Tenants) -> ProviderKind {
    ProviderKind::EntraId(EntraId { login: login.parse().unwrap(), tenants, guests: false })
}

pub fn configured(authority: &str) -> config::Provider {
    config::Provider {
        name: "corporate".into(),
        kind: entra(authority, Tenants::One(Tenant::Id(TENANT.to_owned()))),
        label: None,
        client_id: CLIENT.to_owned(),
        credentials: vec![Credential::secret("secret A".to_owned())],
        learns_ends: None,
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        clock_skew: Duration::from_secs(60),
        callback_path: None,
        request: config::RequestOptions::default(),
        trusted: None,
        groups: config::Groups::default(),
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(quick(), |_| {}).await
    }

    pub async fn with(limits: Limits, change: impl FnOnce(&mut config::Provider)) -> Self {
        let provider = Provider::start().await;
        let mut configured = configured(&provider.base());
        change(&mut configured);
        Self::of(provider, configured, limits)
    }

    pub fn of(provider: Provider, configured: config::Provider, limits: Limits) -> Self {
        hear_every_thread();
        let clock = Clock::at(NOON);
        let observed = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&observed);
        let rp = RelyingParty::with_limits(
            Arc::new(configured),
            clock.clone(),
            Arc::new(move |call, outcome, _| notes.lock().unwrap().push((call, outcome))),
            limits,
        );
        Self { provider, rp, clock, observed }
    }

    pub fn claims(&self, nonce: &str) -> Value {
        claims(&self.provider.issuer(), nonce, self.clock.now())
    }

    /// A login in which the provider signs with this key.
    pub async fn log_in(&self, kid: &str, key: usize) -> Result<VerifiedClaims, RelyingPartyError> {
        let (pending, request) = begin(self.clock.now());
        self.rp.authorization_url(&request, REDIRECT).await?;
        let claims = self.claims(request.nonce.expose());
        self.provider.issue(token(kid, &claims, &KEYS[key]));
        let redemption = accept(pending, &request, "", self.clock.now());
        let tokens = self.rp.redeem(&redemption, REDIRECT).await?;
        self.rp.verify(&tokens, &redemption, self.clock.now()).await
    }
}

pub fn claims(issuer: &str, nonce: &str, now: Timestamp) -> Value {
    let now = now.unix_seconds();
    json!({
        "aud": CLIENT, "iss": issuer, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
        "aio": "AWQAm/8", "name": "Ines Caldera", "nonce": nonce, "oid": OBJECT,
        "preferred_username": "ines@harborclub.example", "rh": "0.AXYA", "sid": "005d6f1c",
        "sub": "p3Jv0YxPairwise", "tid": TENANT, "uti": "q8L", "ver": "2.0",
        "login_hint": "O.Ciopaque", "roles": ["treasurer"],
    })
}

/// Begins a login, each with other randomness.
pub fn begin(now: Timestamp) -> (PendingLogin, AuthorizationRequest) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let byte = NEXT.fetch_add(1, Ordering::Relaxed);
    let challenge = Challenge::sign_in(ReturnTo::root());
    let seed = LoginSeed { state: [byte; 16], nonce: [byte; 16], verifier: [byte; 32] };
    PendingLogin::begin(challenge, "corporate", None, &seed, now)
}

/// The callback of a login, with more in its query.
pub fn accept(
    pending: PendingLogin,
    request: &AuthorizationRequest,
    more: &str,
    now: Timestamp,
) -> Redemption {
    let query = format!("code=0.AXYAcode&state={}{more}", request.state.expose());
    let callback = Callback::read(&query).unwrap();
    match pending.accept(callback, "corporate", now).unwrap() {
        Accepted::Redeem(redemption) => redemption,
        other => panic!("{other:?}"),
    }
}

pub fn query(url: &str) -> HashMap<String, String> {
    let url: url::Url = url.parse().unwrap();
    url.query_pairs().into_owned().collect()
}
