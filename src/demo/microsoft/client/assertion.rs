//! Client assertions, checked for real: signature, who it is from and for, and its time. One that
//! names a certificate is the application's own; any other is of an issuer that it trusts.

use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::FederatedCredential;
use crate::certificate::Certificate;
use crate::demo::microsoft::errors::AadError;
use crate::demo::microsoft::tenants::{Place, Product};
use crate::demo::microsoft::{Call, Microsoft};
use crate::gate::Timestamp;

/// The only type that there is (RFC 7523, section 2.2).
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// By how much clocks may differ.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// A JWT in its parts.
struct Jwt<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: serde_json::from_slice(&decoded(header)?).ok()?,
            claims: serde_json::from_slice(&decoded(claims)?).ok()?,
            signed,
            signature: decoded(signature)?,
        })
    }

    fn header(&self, name: &str) -> &str {
        self.header.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text; Kubernetes writes `aud` as a list of one.
    fn claim(&self, name: &str) -> &str {
        let claim = match self.claims.get(name) {
            Some(Value::Array(several)) => match several.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            other => other,
        };
        claim.and_then(Value::as_str).unwrap_or_default()
    }

    /// A NumericDate (RFC 7519, section 2); MSAL for Python writes fractions of seconds.
    fn time(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.claims.get(name)?;
        let whole = seconds.as_i64().map(Timestamp::from_unix_seconds);
        whole.or_else(|| {
            let millis =
                std::time::Duration::try_from_secs_f64(seconds.as_f64()?).ok()?.as_millis();
            Some(Timestamp::from_unix_millis(i64::try_from(millis).ok()?))
        })
    }

    fn is_signed_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        public_key: &[u8],
    ) -> bool {
        let key = UnparsedPublicKey::new(algorithm, public_key);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// It has an end, and its time is now.
    fn check_time(&self, now: Timestamp) -> Result<(), AadError> {
        let has_begun = self.time("nbf").is_none_or(|begin| begin <= now.after(SKEW));
        let has_ended = self.time("exp").is_none_or(|end| end <= now.before(SKEW));
        if has_begun && !has_ended {
            return Ok(());
        }
        let text = "Client assertion is not within its valid time range.";
        Err(AadError::new(700_024, "invalid_client", text))
    }
}

pub(super) async fn check(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
    client_id: &str,
    text: &str,
) -> Result<&'static str, AadError> {
    if call.form.get("client_assertion_type") != Some(TYPE) {
        let text = "The value of 'client_assertion_type' is not supported.";
        return Err(AadError::new(90_023, "invalid_request", text));
    }
    let malformed = || {
        let text = "Invalid JWT token. The token is malformed.";
        AadError::new(50_027, "invalid_client", text)
    };
    let jwt = Jwt::read(text).ok_or_else(malformed)?;
    let is_own = jwt.header.contains_key("x5t") || jwt.header.contains_key("x5t#S256");
    let method = match is_own {
        true => of_certificate(microsoft, place, call, client_id, &jwt)?,
        false => federated(microsoft, &jwt).await?,
    };
    let proofs = &microsoft.options.proofs;
    if proofs.once && !microsoft.state().use_assertion(jwt.claim("jti")) {
        let text = "The client assertion has been used before.";
        return Err(AadError::new(50_012, "invalid_client", text));
    }
    Ok(method)
}

/// MSAL for Python writes the padding that RFC 7515 leaves out, and Microsoft takes both.
fn thumbprint(written: &str) -> &str {
    written.trim_end_matches('=')
}

/// `private_key_jwt`: PS256 with the SHA-256 of the certificate, or RS256 with its SHA-1.
fn of_certificate(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
    client_id: &str,
    jwt: &Jwt<'_>,
) -> Result<&'static str, AadError> {
    let certificates = microsoft.options.proofs.certificates.iter();
    let mut certificates = certificates.filter_map(|der| Certificate::read(der));
    let (algorithm, found): (&'static dyn VerificationAlgorithm, _) = match jwt.header("alg") {
        "PS256" => {
            let named = thumbprint(jwt.header("x5t#S256"));
            (&RSA_PSS_2048_8192_SHA256, certificates.find(|it| it.sha256_thumbprint() == named))
        }
        "RS256" => {
            let named = thumbprint(jwt.header("x5t"));
            (&RSA_PKCS1_2048_8192_SHA256, certificates.find(|it| it.sha1_thumbprint() == named))
        }
        _ => (&RSA_PSS_2048_8192_SHA256, None),
    };
    let unsigned = |what: &str| {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered \
             on application. [Reason - {what}]"
        );
        AadError::new(700_027, "invalid_client", text)
    };
    let certificate = found.ok_or_else(|| unsigned("The key was not found."))?;
    let key = certificate.rsa_public_key().unwrap_or_default();
    if !jwt.is_signed_by(algorithm, key) {
        return Err(unsigned("The key was found, but the signature does not fit it."));
    }
    if certificate.ends() <= microsoft.now() {
        let text = "The provided certificate is not within its specified validity time range.";
        return Err(AadError::new(1_000_502, "invalid_client", text));
    }
    jwt.check_time(microsoft.now())?;
    let asked = format!("{}{}", microsoft.base, call.uri.path());
    let audiences = [asked, place.endpoint(&microsoft.base, "oauth2/v2.0/token")];
    let is_theirs = jwt.claim("iss").eq_ignore_ascii_case(client_id);
    if !is_theirs || !audiences.iter().any(|it| it == jwt.claim("aud")) {
        let text = "Invalid JWT token. Issuer or audience is not the expected one.";
        return Err(AadError::new(50_027, "invalid_client", text));
    }
    if jwt.claim("sub") != jwt.claim("iss") {
        let text = "Subject must match issuer claim in the client assertion.";
        return Err(AadError::new(50_048, "invalid_client", text));
    }
    Ok("private_key_jwt")
}

/// A token of another issuer, or of a managed identity.
async fn federated(microsoft: &Microsoft, jwt: &Jwt<'_>) -> Result<&'static str, AadError> {
    let refused = |number, what: &str| {
        let text = format!("No matching federated identity record found for presented {what}.");
        Err(AadError::new(number, "invalid_client", text))
    };
    if microsoft.options.proofs.any_federated {
        return jwt.check_time(microsoft.now()).map(|()| "federated credential");
    }
    let own = microsoft.issuer();
    let mut left: Vec<&FederatedCredential> = microsoft.options.proofs.federated.iter().collect();
    for (name, number, what) in [
        ("iss", 700_211, "assertion issuer"),
        ("sub", 700_213, "assertion subject"),
        ("aud", 700_212, "assertion audience"),
    ] {
        let claim = jwt.claim(name);
        let expected = |it: &FederatedCredential| match name {
            "iss" => it.issuer.clone().unwrap_or_else(|| own.clone()),
            "sub" => it.subject.clone(),
            _ => it.audience.clone(),
        };
        let is_near = left.iter().any(|it| expected(it).eq_ignore_ascii_case(claim));
        left.retain(|it| expected(it) == claim);
        match (left.is_empty(), is_near) {
            (false, _) => {}
            (true, true) => return refused(7_002_138, "assertion; it differs in case only"),
            (true, false) => return refused(number, what),
        }
    }
    let keys = match left.first() {
        Some(it) if it.issuer.is_some() => it.keys.clone(),
        Some(_) => microsoft.keys.of(Product::EntraId).published_keys().await,
        None => Vec::new(),
    };
    let is_signed = jwt.header("alg") == "RS256"
        && keys.iter().any(|key| jwt.is_signed_by(&RSA_PKCS1_2048_8192_SHA256, key));
    if !is_signed {
        let text = "Client assertion failed signature validation.";
        return Err(AadError::new(700_027, "invalid_client", text));
    }
    jwt.check_time(microsoft.now())?;
    Ok("federated credential")
}
