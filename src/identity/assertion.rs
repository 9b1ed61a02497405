//! The signed assertion, `X-Anteport-Assertion`: a JWT (RFC 7519) that says to one portal, for a
//! minute, who is asking (ENV-01). ES256 with a key made at start; its public half is at
//! `/.auth/jwks.json`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

/// Signs assertions, with one key and one algorithm (ENV-04).
pub struct Signer {
    key: EncodingKey,
    header: Header,
    jwks: String,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key could not be made or used.
    #[error("no signing key could be made")]
    Key,
    /// The token could not be signed.
    #[error("the assertion could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl Signer {
    /// With a new P-256 key.
    ///
    /// # Errors
    /// [`SigningError::Key`] when the system's generator fails.
    pub fn generate() -> Result<Self, SigningError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| SigningError::Key)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| SigningError::Key)?;
        // An uncompressed point (SEC 1, section 2.3.3): 4, then x and y of 32 bytes each.
        let point = pair.public_key().as_ref();
        let x = URL_SAFE_NO_PAD.encode(point.get(1..33).ok_or(SigningError::Key)?);
        let y = URL_SAFE_NO_PAD.encode(point.get(33..65).ok_or(SigningError::Key)?);
        // RFC 7638: the thumbprint of these members in this order, so a key names itself.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, thumbprint.as_bytes()));
        let jwks = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig",
        }] });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid);
        Ok(Self { key: EncodingKey::from_ec_der(pkcs8.as_ref()), header, jwks: jwks.to_string() })
    }

    /// A compact JWS over these claims.
    ///
    /// # Errors
    /// [`SigningError::Sign`]; nothing is sent to the portal then.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, SigningError> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map_err(SigningError::Sign)
    }

    /// The public key as a JWK set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.header.kid).finish_non_exhaustive()
    }
}
