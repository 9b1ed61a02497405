//! A key that signs what portals are told: read from PEM, made anew, and its public half as a JWK.
//! Which of several signs is `identity`'s to say. One key has one algorithm (ENV-04).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::certificate::rsa_parts;
use crate::gate::Secret;

/// How something is signed (RFC 7518, section 3.1, and RFC 8037, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA (PKCS #1 v1.5) with SHA-256, for verifiers that know nothing newer.
    Rs256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// As it stands at `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}

/// A private key.
pub struct SigningKey {
    pair: Pair,
    id: String,
    public: Value,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Why keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Something else than PEM.
    #[error("it is not PEM with private keys, as `anteport keys generate` writes it")]
    NotPem,
    /// No key at all.
    #[error("there is no `PRIVATE KEY` in it")]
    None,
    /// An older form.
    #[error(
        "there is an `EC PRIVATE KEY` or `RSA PRIVATE KEY` in it: `openssl pkcs8 -topk8 -nocrypt` \
         writes it as a `PRIVATE KEY`"
    )]
    OldForm,
    /// A key that we do not sign with.
    #[error("a key in it is none of P-256, Ed25519, and RSA of 2048 to 8192 bits")]
    Kind,
    /// One key is there twice.
    #[error("one key is there twice")]
    Twice,
    /// The system's generator failed.
    #[error("no key could be made")]
    Random,
}

impl SigningKey {
    /// The keys of a PEM text (PKCS #8), in its order.
    ///
    /// # Errors
    /// When one cannot be used, or there is none.
    pub fn read_all(pem: &[u8]) -> Result<Vec<Self>, SigningKeyError> {
        Ok(Self::read_each(pem)?.into_iter().map(|(key, _)| key).collect())
    }

    /// The same, each as it is written by itself.
    ///
    /// # Errors
    /// As [`SigningKey::read_all`].
    pub fn read_each(pem: &[u8]) -> Result<Vec<(Self, Secret<String>)>, SigningKeyError> {
        let mut keys: Vec<(Self, Secret<String>)> = Vec::new();
        for der in PrivateKeyDer::pem_slice_iter(pem) {
            let PrivateKeyDer::Pkcs8(der) = der.map_err(|_| SigningKeyError::NotPem)? else {
                return Err(SigningKeyError::OldForm);
            };
            let der = der.secret_pkcs8_der();
            let key = Self::from_pkcs8(der)?;
            if keys.iter().any(|(known, _)| known.id == key.id) {
                return Err(SigningKeyError::Twice);
            }
            keys.push((key, written(der)));
        }
        match keys.is_empty() {
            true => Err(SigningKeyError::None),
            false => Ok(keys),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        let p256 =
            || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::P256);
        let ed25519 = || Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519);
        let rsa = || RsaKeyPair::from_pkcs8(der).map(Pair::Rsa);
        let pair = p256().or_else(|_| ed25519()).or_else(|_| rsa());
        Self::new(pair.map_err(|_| SigningKeyError::Kind)?)
    }

    /// A new one, and as it is written.
    ///
    /// # Errors
    /// [`SigningKeyError::Random`].
    pub fn generate(
        algorithm: SigningAlgorithm,
    ) -> Result<(Self, Secret<String>), SigningKeyError> {
        let failed = |_| SigningKeyError::Random;
        let (pair, der) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                let pair = pair.map_err(failed)?;
                let der = pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec();
                (Pair::P256(pair), der)
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                // The form that every library reads (RFC 8410, section 7).
                let der = pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec();
                (Pair::Ed25519(pair), der)
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let der = pair.as_der().map_err(failed)?.as_ref().to_vec();
                (Pair::Rsa(pair), der)
            }
        };
        Ok((Self::new(pair)?, written(&der)))
    }

    fn new(pair: Pair) -> Result<Self, SigningKeyError> {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // RFC 7638 and RFC 8037, appendix A.3: the thumbprint of just these members in this order,
        // so that a key names itself.
        let (named, public) = match &pair {
            Pair::P256(pair) => {
                // An uncompressed point (SEC 1, section 2.3.3): 4, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let x = encoded(point.get(1..33).ok_or(SigningKeyError::Kind)?);
                let y = encoded(point.get(33..65).ok_or(SigningKeyError::Kind)?);
                (
                    format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
                    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
                )
            }
            Pair::Ed25519(pair) => {
                let x = encoded(pair.public_key().as_ref());
                (
                    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
                    json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
                )
            }
            Pair::Rsa(pair) => {
                let parts = rsa_parts(pair.public_key().as_ref()).ok_or(SigningKeyError::Kind)?;
                let (n, e) = (encoded(&parts.0), encoded(&parts.1));
                (
                    format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
                    json!({ "kty": "RSA", "n": n, "e": e }),
                )
            }
        };
        let id = encoded(digest(&SHA256, named.as_bytes()).as_ref());
        let mut key = Self { pair, id, public };
        let more = json!({ "kid": key.id, "alg": key.algorithm().name(), "use": "sig" });
        if let (Value::Object(public), Value::Object(more)) = (&mut key.public, more) {
            public.extend(more);
        }
        Ok(key)
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self.pair {
            Pair::P256(_) => SigningAlgorithm::Es256,
            Pair::Ed25519(_) => SigningAlgorithm::EdDsa,
            Pair::Rsa(_) => SigningAlgorithm::Rs256,
        }
    }

    /// Its thumbprint (RFC 7638), which is its `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its public half, as a JWK (RFC 7517).
    #[must_use]
    pub const fn public(&self) -> &Value {
        &self.public
    }

    /// Signs; `None` if the generator of the system fails.
    #[must_use]
    pub fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => {
                pair.sign(&random, input).ok().map(|signature| signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Some(pair.sign(input).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

/// A key in PEM (RFC 7468, section 10).
fn written(der: &[u8]) -> Secret<String> {
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Secret::new(pem)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}
