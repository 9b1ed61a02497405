//! The HTTP message signature (RFC 9421) over a request as a portal gets it: method, authority,
//! path, query, time and every identity header (ENV-03). It is made for each request, so that what
//! one request says of a member cannot be said of another. A key of `signing` makes it, or a secret
//! that the portal has too. How a portal checks it: `docs/message-signatures.md`.
//!
//! What is not covered is not said by us. The names of what is covered are signed with it, so a
//! header that is not among them counts as absent; and a request of nobody's is signed as such.

mod base;
mod content_digest;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use self::base::{Base, Parameters, Unfit};
use super::assertion::{Signing, SigningError};
use super::{IdentityError, Signers};
use crate::config::{SIGNATURE_HEADERS, SignedBy};
use crate::gate::Timestamp;
use crate::gate::identity::{Covered, Envelope, Lines};
use crate::signing_key::SigningAlgorithm;

/// What our signature is called among others (RFC 9421, section 4.1).
const LABEL: &str = "anteport";
/// What it is for (RFC 9421, section 2.3), so that no other use of the key can be taken for it.
const TAG: &[u8] = b"anteport-identity";
/// What `Signature-Input` and `Content-Digest` have in bytes and `Signature` beside what was signed
/// with, without the names of identity headers.
const OVERHEAD: usize = 480;

/// Signs the requests to one portal.
#[derive(Debug)]
pub struct RequestSigner {
    signing: Signing,
    lifetime: Duration,
}

/// A request as it goes to the portal.
#[derive(Clone, Copy)]
pub struct Outbound<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The host that the portal sees.
    pub authority: &'a HeaderValue,
    /// Path and query, byte for byte.
    pub target: &'a str,
    /// What it says of a member; `None` says that it is nobody's.
    pub envelope: Option<&'a Envelope>,
    /// The whole body, if it is here.
    pub body: Option<&'a [u8]>,
    /// What no other request has: its name in the logs. By it a verifier knows a replay.
    pub nonce: &'a HeaderValue,
}

/// Neither what it asks for nor what it says of a member is shown (LOG-01).
impl fmt::Debug for Outbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("method", self.method)
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}

impl RequestSigner {
    pub(super) fn new(settings: &crate::config::Signature, signers: &Arc<Signers>) -> Self {
        let signing = match &settings.signed_by {
            SignedBy::Key(algorithm) => Signing::Key(Arc::clone(signers), *algorithm),
            SignedBy::Secret(secret) => Signing::by_secret(secret),
        };
        Self { signing, lifetime: settings.lifetime }
    }

    /// Writes identity headers down, as they will be covered in each request that has them; and
    /// how many bytes at most a signature adds to those.
    pub(super) fn written_down(
        &self,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<(Covered, usize), IdentityError> {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let (lines, names) = base::written_down(headers).map_err(unfit)?;
        let (signature, lines) = match &self.signing {
            Signing::Key(_, SigningAlgorithm::EdDsa | SigningAlgorithm::Es256) => {
                (64, Lines::Written(lines.into()))
            }
            // Of the longest key that is taken.
            Signing::Key(_, SigningAlgorithm::Rs256) => (8192 / 8, Lines::Written(lines.into())),
            Signing::Secret(key, _) => {
                let mut begun = hmac::Context::with_key(key);
                begun.update(&lines);
                (32, Lines::Begun(Box::new(begun)))
            }
        };
        let size = OVERHEAD + names.len() + signature * 4 / 3;
        Ok((Covered { names, lines }, size))
    }

    /// The headers that go with a request besides what it has: it is signed as of now.
    ///
    /// # Errors
    /// When it cannot be signed; it goes nowhere then.
    pub fn sign(
        &self,
        request: &Outbound<'_>,
        now: Timestamp,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, IdentityError> {
        let digest = request.body.and_then(content_digest::of);
        let [content_digest, input_name, signature_name] = SIGNATURE_HEADERS.clone();
        let covered = request.envelope.and_then(|envelope| envelope.covered.as_ref());
        let base = covering(request, covered, digest.as_ref()).map_err(unfit)?.close();
        let (input, signature) = match &self.signing {
            Signing::Key(signers, algorithm) => {
                let key = signers.of(*algorithm).ok_or(SigningError::NoKey(algorithm.name()));
                let key = key.map_err(IdentityError::Signature)?;
                if covered.is_some_and(|covered| matches!(covered.lines, Lines::Begun(_))) {
                    return Err(unfit(Unfit));
                }
                let base = self.parameters(base, request, (key.id(), name(*algorithm)), now);
                let (base, input) = base.map_err(unfit)?.finish();
                let signature = key.sign(&base).ok_or(SigningError::Random);
                (input, encoded(&signature.map_err(IdentityError::Signature)?))
            }
            Signing::Secret(key, id) => {
                let base = self.parameters(base, request, (id, "hmac-sha256"), now);
                let (rest, input) = base.map_err(unfit)?.finish();
                let mut code = match covered.map(|covered| &covered.lines) {
                    Some(Lines::Begun(begun)) => hmac::Context::clone(begun),
                    Some(Lines::Written(_)) | None => hmac::Context::with_key(key),
                };
                code.update(&rest);
                (input, encoded(code.sign().as_ref()))
            }
        };
        let value = |text: Vec<u8>| HeaderValue::from_maybe_shared(Bytes::from(text));
        let mut headers = Vec::with_capacity(SIGNATURE_HEADERS.len());
        headers.extend(digest.map(|digest| (content_digest, digest)));
        headers.push((input_name, value(input).map_err(|_| unfit(Unfit))?));
        headers.push((signature_name, value(signature).map_err(|_| unfit(Unfit))?));
        Ok(headers)
    }

    fn parameters(
        &self,
        base: Parameters,
        request: &Outbound<'_>,
        (key, algorithm): (&str, &str),
        now: Timestamp,
    ) -> Result<Parameters, Unfit> {
        // In this order because there are verifiers (`httpsig` for Rust) that write the parameters
        // anew and do not repeat them as they came.
        let base = base
            .number(";created=", now.unix_seconds())
            .number(";expires=", now.after(self.lifetime).unix_seconds());
        base.text(";nonce=", request.nonce.as_bytes())?
            .text(";alg=", algorithm.as_bytes())?
            .text(";keyid=", key.as_bytes())?
            .text(";tag=", TAG)
    }
}

/// Covers a request: what its member's requests have alike comes first.
fn covering(
    request: &Outbound<'_>,
    covered: Option<&Covered>,
    digest: Option<&HeaderValue>,
) -> Result<Base, Unfit> {
    if request.envelope.is_some_and(|envelope| covered.is_none() && !envelope.headers.is_empty()) {
        return Err(Unfit);
    }
    let known = match covered.map(|covered| &covered.lines) {
        Some(Lines::Written(lines)) => lines.len(),
        Some(Lines::Begun(_)) | None => 0,
    };
    let mut base = Base::new(LABEL, known + request.target.len());
    if let Some(covered) = covered {
        base.cover_all(covered);
    }
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target, None),
    };
    base.cover("\"@method\"", request.method.as_str().as_bytes())?;
    base.cover("\"@authority\"", request.authority.as_bytes())?;
    base.cover("\"@path\"", path.as_bytes())?;
    // With its question mark, which stands alone where there is no query (RFC 9421, section 2.2.7).
    let with_mark = request.target.get(path.len()..).filter(|query| !query.is_empty());
    base.cover("\"@query\"", with_mark.unwrap_or("?").as_bytes())?;
    if query == Some("") {
        // Which is also how a question mark without a query looks: this tells them apart.
        base.cover("\"@request-target\"", request.target.as_bytes())?;
    }
    if let Some(digest) = digest {
        base.cover("\"content-digest\"", digest.as_bytes())?;
    }
    Ok(base)
}

/// As RFC 9421, section 6.2, names it.
const fn name(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::Es256 => "ecdsa-p256-sha256",
        SigningAlgorithm::EdDsa => "ed25519",
        SigningAlgorithm::Rs256 => "rsa-v1_5-sha256",
    }
}

/// The value of `Signature`.
fn encoded(signature: &[u8]) -> Vec<u8> {
    let mut value = String::with_capacity(LABEL.len() + 3 + signature.len().div_ceil(3) * 4);
    value.push_str(LABEL);
    value.push_str("=:");
    STANDARD.encode_string(signature, &mut value);
    value.push(':');
    value.into_bytes()
}

fn unfit(_: Unfit) -> IdentityError {
    IdentityError::Signature(SigningError::Ambiguous)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
