//! A provider that lies in one particular way, the proxy that is told to trust it, and a visitor
//! who comes back from it: the relying-party side of the OpenID conformance suite, through the
//! proxy.

use std::sync::LazyLock;

use anteport::gate::Timestamp;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use url::Url;

use crate::provider::{
    CLIENT, KEYS, OBJECT, Provider, Reply, TENANT, base64, jwk, metadata, numbers, sign_by,
};
use crate::world::browser::{Answer, Browser};
use crate::world::{MORNING, Plan, World};

/// A second key of the usual size.
pub static OTHER: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// The same key, published with half of its modulus: too short to be believed.
pub fn weak(id: &str, key: &RsaKeyPair) -> Value {
    let mut weak = jwk(id, key);
    weak["n"] = json!(base64(&numbers(key).0[128..]));
    weak
}

/// How a token is signed.
pub enum Signature {
    Rs256,
    Rs512,
    Ps256,
    /// With this as the shared secret.
    Hs256(Vec<u8>),
    /// Not at all: nothing stands behind the last dot.
    None,
}

/// What the provider says; a test changes one thing about it.
pub struct Lie {
    pub issuer: String,
    pub header: Value,
    pub claims: Value,
    pub signature: Signature,
    pub key: &'static RsaKeyPair,
    pub keys: Vec<Value>,
    /// In place of the key set.
    pub key_set: Option<Reply>,
    /// Changes header and claims as text, before they are signed.
    pub spell: fn(String, String) -> (String, String),
    /// Changes the token once it is signed.
    pub finish: fn(String) -> String,
    /// Makes the token endpoint's answer of the token.
    pub answer: fn(String) -> Reply,
    /// What stands in the callback besides.
    pub callback: String,
}

impl Lie {
    /// Sets a claim.
    pub fn claim(&mut self, name: &str, value: Value) {
        self.claims[name] = value;
    }

    /// Takes a claim away.
    pub fn without(&mut self, name: &str) {
        self.claims.as_object_mut().unwrap().remove(name).unwrap();
    }

    /// Changes the published key that signs; another good one stands beside it.
    pub fn bad_key(&mut self, change: impl FnOnce(&mut Value)) {
        let mut bad = jwk("one", self.key);
        change(&mut bad);
        self.keys = vec![bad, jwk("good", &OTHER)];
    }

    pub fn token(&self) -> String {
        let (header, claims) = (self.spell)(self.header.to_string(), self.claims.to_string());
        let (header, claims) = (header.as_bytes(), claims.as_bytes());
        let token = match &self.signature {
            Signature::Rs256 => sign_by(&RSA_PKCS1_SHA256, header, claims, self.key),
            Signature::Rs512 => sign_by(&RSA_PKCS1_SHA512, header, claims, self.key),
            Signature::Ps256 => sign_by(&RSA_PSS_SHA256, header, claims, self.key),
            Signature::None => format!("{}.{}.", base64(header), base64(claims)),
            Signature::Hs256(secret) => {
                let input = format!("{}.{}", base64(header), base64(claims));
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                format!("{input}.{}", base64(hmac::sign(&key, input.as_bytes())))
            }
        };
        (self.finish)(token)
    }
}

/// The public key in DER, as somebody might take it for a secret.
pub fn public_der(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().as_ref().to_vec()
}

/// Its modulus alone.
pub fn modulus(key: &RsaKeyPair) -> Vec<u8> {
    numbers(key).0
}

/// The same provider, once as Microsoft's and once as anybody's.
pub const KINDS: [&str; 2] = [
    "
    kind: entra_id
    authority: \"BASE\"
    tenant: TENANT",
    "
    kind: oidc
    issuer: \"BASE/TENANT/v2.0\"",
];

/// What became of a visitor whose provider answers so.
pub struct Outcome {
    pub answer: Answer,
    pub world: World,
    pub provider: Provider,
    pub browser: Browser,
}

/// Signs in with a provider of each kind that has told this lie.
pub async fn tell(lie: impl Fn(&mut Lie)) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for kind in KINDS {
        outcomes.push(tell_as(kind, &lie).await);
    }
    outcomes
}

/// A world whose provider is this one.
pub async fn trusting(provider: &Provider, kind: &str) -> World {
    let lines = kind.replace("BASE", &provider.base()).replace("TENANT", TENANT);
    World::start_with(Plan {
        provider: String::leak(lines),
        microsoft_is_up: false,
        // A crowd of one address: each of its browsers opens a connection a request.
        listen: ", max_connections_per_address: 4096",
        ..Plan::default()
    })
    .await
}

async fn tell_as(kind: &str, change: impl Fn(&mut Lie)) -> Outcome {
    let provider = Provider::start().await;
    let base = provider.base();
    let mut document = metadata(&base);
    document["userinfo_endpoint"] = json!(format!("{base}/userinfo"));
    provider.set_metadata(Reply::Json(200, document));

    // The lie is known before the nonce is: the key set is asked for first.
    let mut lie = truth(&provider.issuer());
    change(&mut lie);
    match lie.key_set.clone() {
        Some(reply) => provider.set_keys(reply),
        None => provider.publish(&lie.keys),
    }
    let world = trusting(&provider, kind).await;
    let mut browser = world.browser();
    let off = browser.open("/reports?year=2026").await;
    if off.status != 303 {
        return Outcome { answer: off, world, provider, browser };
    }
    let off = Outgoing::read(&off);
    let mut lie = truth(&provider.issuer());
    lie.claim("nonce", json!(off.nonce));
    change(&mut lie);
    let (answer, token) = (lie.answer, lie.token());
    provider.set_token(move |_| answer(token.clone()));
    let mut callback = off.callback("0.AXYAcode");
    let query = format!("{}{}", callback.query().unwrap(), lie.callback);
    callback.set_query(Some(&query));
    let answer = browser.open_url(&callback).await;
    Outcome { answer, world, provider, browser }
}

/// What a visitor is sent to the provider with.
pub struct Outgoing {
    pub nonce: String,
    state: String,
    redirect_uri: String,
}

impl Outgoing {
    pub fn read(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{}", answer.text());
        let url = answer.location();
        let asked =
            |name: &str| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
        Self { nonce: asked("nonce"), state: asked("state"), redirect_uri: asked("redirect_uri") }
    }

    /// Where the provider sends them back to.
    pub fn callback(&self, code: &str) -> Url {
        let mut url = Url::parse(&self.redirect_uri).unwrap();
        url.query_pairs_mut().append_pair("code", code).append_pair("state", &self.state);
        url
    }
}

/// What a provider says that does not lie.
pub fn truth(issuer: &str) -> Lie {
    let now = Timestamp::unix_seconds(MORNING);
    Lie {
        issuer: issuer.to_owned(),
        header: json!({"typ": "JWT", "alg": "RS256", "kid": "one"}),
        claims: json!({
            "iss": issuer, "aud": CLIENT, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
            "nonce": "not known yet", "sub": "p3Jv0YxPairwise", "oid": OBJECT, "tid": TENANT,
            "name": "Ines Caldera", "preferred_username": "ines@harborclub.example", "ver": "2.0",
        }),
        signature: Signature::Rs256,
        key: &KEYS[0],
        keys: vec![jwk("one", &KEYS[0])],
        key_set: None,
        spell: |header, claims| (header, claims),
        finish: |token| token,
        answer: |token| Reply::Json(200, crate::provider::token_answer(&token)),
        callback: String::new(),
    }
}

impl Outcome {
    /// No session, this one code, and nothing for the portal.
    pub async fn assert_refused(self, code: &str) {
        let text = self.answer.text();
        assert!((400..600).contains(&self.answer.status), "{} {text}", self.answer.status);
        let shown = format!(">{code}<");
        assert!(text.contains(&shown), "no `{code}` in {text}");
        let cookies = self.answer.all("set-cookie");
        assert!(!cookies.iter().any(|one| one.starts_with("__Host-anteport=")), "{cookies:?}");
        assert!(self.world.portal.received().is_empty(), "the portal was asked");
        assert_eq!(self.world.metric("anteport_sessions_created_total").await, 0.0);
        let series = format!("anteport_logins_total{{provider=\"corporate\",result=\"{code}\"}}");
        assert_eq!(self.world.metric(&series).await, 1.0, "{series}");
        assert!(self.provider.count("/token") <= 1, "the exchange was repeated");
        assert_eq!(self.provider.count("/userinfo"), 0, "userinfo was asked");
        self.world.stop().await;
    }

    /// A session: what was odd is none of our business.
    pub async fn assert_let_in(mut self) {
        assert_eq!(self.answer.status, 303, "{}", self.answer.text());
        let landed = self.browser.follow_from(self.answer.clone()).await;
        assert_eq!(landed.text(), "the portal answers /reports?year=2026");
        assert_eq!(self.world.portal.last().header("x-auth-user"), Some(OBJECT));
        assert_eq!(self.provider.count("/userinfo"), 0, "userinfo was asked");
        self.world.stop().await;
    }
}
