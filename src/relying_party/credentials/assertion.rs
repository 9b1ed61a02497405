//! The assertion by which a certificate proves that it is us who ask (`private_key_jwt`; RFC 7523,
//! section 2.2, and azure.md, section 3.2). Values only.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::config::{AssertionAlgorithm, ClientCertificate};
use crate::gate::{Secret, Timestamp};

/// How far back an assertion is dated, for a provider whose clock is behind ours (REL-03).
const BACK: Duration = Duration::from_secs(60);
/// For how long it is good from now on.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// An assertion for this client, to this token endpoint; `id` is used once. `None` if the key does
/// not sign.
pub(super) fn make(
    certificate: &ClientCertificate,
    client_id: &str,
    token_endpoint: &str,
    id: &str,
    now: Timestamp,
) -> Option<Secret<String>> {
    let thumbprints = certificate.certificate();
    let (encoding, header): (&'static dyn RsaEncoding, _) = match certificate.algorithm() {
        AssertionAlgorithm::Ps256 => {
            let thumbprint = thumbprints.sha256_thumbprint();
            (&RSA_PSS_SHA256, json!({ "typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint }))
        }
        AssertionAlgorithm::Rs256 => {
            let thumbprint = thumbprints.sha1_thumbprint();
            (&RSA_PKCS1_SHA256, json!({ "typ": "JWT", "alg": "RS256", "x5t": thumbprint }))
        }
    };
    let from = now.before(BACK).unix_seconds();
    let claims = json!({
        "aud": token_endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": id,
        "iat": from,
        "nbf": from,
        "exp": now.after(LIFETIME).unix_seconds(),
    });
    let encoded = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encoded(header), encoded(claims));
    let key = certificate.key();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).ok()?;
    Some(Secret::new(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))))
}
