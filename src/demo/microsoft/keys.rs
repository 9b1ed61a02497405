//! The keys that sign ID tokens: RSA-2048, made anew at each start (CFG-05) and off the path of
//! starting, because that takes a tenth of a second or three.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::tenants::Product;
use crate::demo::certificates;

/// The key rings: products do not share theirs, not even for the same tenant.
#[derive(Debug, Default)]
pub(super) struct Rings {
    entra: Keys,
    /// All tenants of B2C share one.
    b2c: Keys,
    external: Keys,
    /// Of an application that has a key of its own.
    own: Keys,
}

impl Rings {
    pub(super) fn of(&self, product: Product) -> &Keys {
        match product {
            Product::EntraId | Product::Personal => &self.entra,
            Product::AzureAdB2c => &self.b2c,
            Product::ExternalId => &self.external,
        }
    }

    pub(super) const fn own(&self) -> &Keys {
        &self.own
    }

    fn all(&self) -> [&Keys; 4] {
        [&self.entra, &self.b2c, &self.external, &self.own]
    }

    /// Makes those that most ask for.
    pub(super) async fn prepare(&self) {
        self.entra.prepare().await;
    }

    pub(super) fn publish_next(&self) {
        self.all().into_iter().for_each(Keys::publish_next);
    }

    pub(super) fn rotate(&self) {
        self.all().into_iter().for_each(Keys::rotate);
    }

    pub(super) fn replace(&self) {
        self.all().into_iter().for_each(Keys::replace);
    }
}

/// The published keys, and which of them signs.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Published>);

#[derive(Clone, Debug, Default)]
struct Published {
    signing: LazyKey,
    /// Published before it signs.
    next: Option<LazyKey>,
    retired: Vec<LazyKey>,
    /// Signs for personal accounts only, and so nothing that is valid here.
    personal: LazyKey,
}

/// A key that is made when somebody first needs it.
#[derive(Clone, Debug, Default)]
struct LazyKey(Arc<OnceLock<Arc<SigningKey>>>);

impl LazyKey {
    async fn ready(&self) -> Arc<SigningKey> {
        if let Some(key) = self.0.get() {
            return Arc::clone(key);
        }
        let place = Arc::clone(&self.0);
        let make = move || Arc::clone(place.get_or_init(|| Arc::new(SigningKey::generate())));
        let made = tokio::task::spawn_blocking(make).await;
        made.expect("making a key does not panic")
    }
}

impl Keys {
    fn published(&self) -> MutexGuard<'_, Published> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn prepare(&self) {
        let published = self.published().clone();
        tokio::join!(published.signing.ready(), published.personal.ready());
    }

    fn publish_next(&self) {
        self.published().next.get_or_insert_default();
    }

    fn rotate(&self) {
        let mut published = self.published();
        let next = published.next.take().unwrap_or_default();
        let before = std::mem::replace(&mut published.signing, next);
        published.retired.insert(0, before);
        published.retired.truncate(4);
    }

    fn replace(&self) {
        let mut published = self.published();
        published.signing = LazyKey::default();
        published.next = None;
        published.retired.clear();
    }

    pub(super) async fn signing(&self) -> Arc<SigningKey> {
        let key = self.published().signing.clone();
        key.ready().await
    }

    /// What verifies with the keys that sign and have signed, each an `RSAPublicKey`.
    pub(super) async fn published_keys(&self) -> Vec<Vec<u8>> {
        let published = self.published().clone();
        let mut keys = Vec::new();
        for key in std::iter::once(&published.signing).chain(&published.retired) {
            keys.push(key.ready().await.pair.public_key().as_ref().to_vec());
        }
        keys
    }

    pub(super) async fn personal(&self) -> Arc<SigningKey> {
        let key = self.published().personal.clone();
        key.ready().await
    }

    /// A key that nobody publishes.
    pub(super) async fn foreign(&self) -> Arc<SigningKey> {
        LazyKey::default().ready().await
    }

    /// The key set: the keys of the tenant, then those of personal accounts.
    pub(super) async fn set(&self, members: &Members) -> Value {
        let published = self.published().clone();
        let mut keys = Vec::new();
        let current = std::iter::once(&published.signing).chain(&published.next);
        for key in current.chain(&published.retired) {
            keys.push(key.ready().await.jwk(members, None));
        }
        if let Members::Named { personal_issuer: Some(issuer), .. } = members {
            keys.push(published.personal.ready().await.jwk(members, Some(issuer)));
        }
        json!({ "keys": keys })
    }
}

/// What a key set says of its keys.
#[derive(Clone, Debug)]
pub(super) enum Members {
    /// As little as B2C does.
    Bare,
    /// Whose they are.
    Named {
        /// The template that they are for.
        issuer: String,
        /// `cloud_instance_name`.
        cloud: &'static str,
        /// And that of personal accounts, whose keys are in the same set.
        personal_issuer: Option<String>,
    },
}

/// An RSA key with its id.
#[derive(Debug)]
pub(super) struct SigningKey {
    pair: KeyPair,
    kid: String,
    /// The certificate that names it, in DER.
    certificate: Vec<u8>,
}

impl SigningKey {
    fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048)
            .expect("the operating system has randomness for a key");
        let certificate = certificates::of_signing_key(&pair);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate));
        Self { pair, kid, certificate }
    }

    /// As it is published; `own_issuer` is whose alone it is, if it is somebody's.
    fn jwk(&self, members: &Members, own_issuer: Option<&str>) -> Value {
        let (modulus, exponent) = components(self.pair.public_key().as_ref());
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        match members {
            Members::Bare => json!({
                "kid": self.kid, "nbf": 1_493_763_266, "use": "sig", "kty": "RSA", "e": e, "n": n,
            }),
            Members::Named { issuer, cloud, .. } => json!({
                "kty": "RSA",
                "use": "sig",
                "kid": self.kid,
                "x5t": self.kid,
                "n": n,
                "e": e,
                "x5c": [STANDARD.encode(&self.certificate)],
                "cloud_instance_name": cloud,
                "issuer": own_issuer.unwrap_or(issuer),
            }),
        }
    }

    /// A JWT, as it should be.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let input = signing_input("RS256", Some(&self.kid), claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
            .expect("a key that was made here signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A JWT signed with what everybody knows: the published key, taken for a shared secret.
    pub(super) fn sign_with_public_key(&self, claims: &Value) -> String {
        let input = signing_input("HS256", Some(&self.kid), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        let tag = hmac::sign(&key, input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
    }
}

/// A JWT that nobody signed.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", signing_input("none", None, claims))
}

fn signing_input(alg: &str, kid: Option<&str>, claims: &Value) -> String {
    let mut header = json!({ "typ": "JWT", "alg": alg });
    if let (Some(kid), Some(header)) = (kid, header.as_object_mut()) {
        header.insert("kid".to_owned(), kid.into());
    }
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1) of 2,048 bits, whose DER has one
/// shape: a sequence header of 4 bytes; an integer header of 4, a zero and 256 bytes; an integer
/// header of 2 and the exponent.
fn components(der: &[u8]) -> (&[u8], &[u8]) {
    (der.get(9..265).unwrap_or_default(), der.get(267..).unwrap_or_default())
}
