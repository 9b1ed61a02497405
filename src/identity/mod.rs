//! What the portal is told about a member: plain headers as mapped, and the signed assertion.
//! Rendered once per session and lifetime, sent with every request. `mapping.rs` makes one header of
//! the claims; the signature over them and the request is made for each (`signature`). Deliberately
//! not here: what is taken from visitors (`gate::identity`), and which of the headers a route sends
//! (`gate::route`).

mod assertion;
mod error;
mod kept_signers;
mod mapping;
mod plain;
mod presets;
mod signature;
mod signers;
mod tokens;
mod transform;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use assertion::{SigningError, secret_jwk, token_claims};
pub use error::IdentityError;
pub use kept_signers::KeptSigners;
pub(crate) use mapping::is_told;
pub use plain::{Marks, encode};
pub use presets::{Presets, Published, describe};
pub use signature::{Outbound, RequestSigner};
pub use signers::Signers;

use assertion::Signing;
use mapping::{Fault, FaultKind};

use crate::config::{Mapping, SignedBy};
use crate::gate::identity::{ASSERTION, Envelope, Told};
use crate::gate::{EXTENSIONS, GroupsUnknown, Session, Timestamp, TokenKind, VerifiedClaims};

/// What one portal is told.
#[derive(Debug)]
pub struct Identity {
    headers: Vec<(HeaderName, Mapping)>,
    assertion: Option<AssertionFor>,
    signer: Option<RequestSigner>,
    /// What routes send that do not send all of it.
    parts: Vec<Vec<HeaderName>>,
    presets: Presets,
    tokens: Vec<(TokenKind, HeaderName)>,
    signers: Arc<Signers>,
    /// What tells what this one rendered from what one of another configuration did.
    made: u64,
}

/// How many there have been. An exchange of keys adds to the version as well, and no process lives
/// to see so many of either that two versions meet.
static MADE: AtomicU64 = AtomicU64::new(0);
/// See [`MADE`].
const EXCHANGES: u32 = 32;

#[derive(Debug)]
struct AssertionFor {
    issuer: String,
    audience: String,
    lifetime: std::time::Duration,
    signing: Signing,
}

/// The most bytes that identity headers have together: old servers take 8 KiB of headers, and
/// the browser's own need room too (HDR-10).
pub const LARGEST: usize = 5 * 1024;

/// The most bytes of one token of the provider's, which come on top of that: whoever asks for
/// tokens has a server that takes them.
pub const LARGEST_TOKEN: usize = 8 * 1024;

impl Identity {
    /// For a portal as configured; `issuer` is its public URL without a trailing slash.
    #[must_use]
    pub fn new(settings: &crate::config::Identity, issuer: &str, signers: &Arc<Signers>) -> Self {
        let assertion = settings.assertion.as_ref().map(|assertion| AssertionFor {
            issuer: issuer.to_owned(),
            audience: assertion.audience.clone(),
            lifetime: assertion.lifetime,
            signing: match &assertion.signed_by {
                SignedBy::Key(algorithm) => Signing::Key(Arc::clone(signers), *algorithm),
                SignedBy::Secret(secret) => Signing::by_secret(secret),
            },
        });
        let signer = settings.signature.as_ref();
        Self {
            headers: settings.headers.clone(),
            assertion,
            signer: signer.map(|signature| RequestSigner::new(signature, signers)),
            parts: settings.parts.clone(),
            presets: Presets::new(&settings.presets, signers),
            tokens: settings.tokens.clone(),
            signers: Arc::clone(signers),
            made: MADE.fetch_add(1, Ordering::Relaxed) << EXCHANGES,
        }
    }

    /// What signs the requests to the portal, if they are signed.
    #[must_use]
    pub const fn signer(&self) -> Option<&RequestSigner> {
        self.signer.as_ref()
    }

    /// What the portal is told in the way of other gates.
    #[must_use]
    pub const fn presets(&self) -> &Presets {
        &self.presets
    }

    /// The plain headers, each with how it is made.
    pub fn mapped(&self) -> impl Iterator<Item = (&HeaderName, &Mapping)> {
        self.headers.iter().map(|(name, mapping)| (name, mapping))
    }

    /// What is rendered from now on is of this version: another one for each configuration, and after
    /// each exchange of the signing keys (ENV-02).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.made.wrapping_add(self.signers.exchanges())
    }

    /// Whether a route is told anything of a member.
    #[must_use]
    pub fn tells(&self, told: Told) -> bool {
        match told {
            Told::All => true,
            Told::Part(index) => {
                let part = self.parts.get(usize::from(index));
                part.is_some_and(|names| !names.is_empty())
            }
        }
    }

    /// Renders a member's identity.
    ///
    /// # Errors
    /// What cannot be told. It is asked at login, so that no request meets it later.
    pub fn render(&self, session: &Session, now: Timestamp) -> Result<Envelope, IdentityError> {
        self.measure(session, now).map(|(envelope, _)| envelope)
    }

    /// The same with how many bytes it has of the [`LARGEST`], what signs a request among them.
    ///
    /// # Errors
    /// As [`Identity::render`].
    pub fn measure(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<(Envelope, usize), IdentityError> {
        self.render_of(&self.headers, true, session, now)
    }

    /// Whether everything can be told that the provider's claims alone decide: what can be known
    /// before the directory of members has been asked.
    ///
    /// # Errors
    /// What cannot be told, whatever the directory says.
    pub fn foresee(&self, session: &Session, now: Timestamp) -> Result<Envelope, IdentityError> {
        let headers = self.headers.iter().filter(|(_, mapping)| !reads_extensions(mapping));
        let headers: Vec<_> = headers.cloned().collect();
        let with_presets = !self.presets.read_extensions();
        self.render_of(&headers, with_presets, session, now).map(|(envelope, _)| envelope)
    }

    /// What [`Identity::foresee`] leaves out, by the names of its headers: the directory of members
    /// has a say in it. Those of presets are `None`.
    pub fn unforeseen(&self) -> impl Iterator<Item = Option<&HeaderName>> {
        let mapped = self.headers.iter().filter(|(_, mapping)| reads_extensions(mapping));
        let of_presets =
            (!self.presets.is_empty() && self.presets.read_extensions()).then_some(None);
        mapped.map(|(name, _)| Some(name)).chain(of_presets)
    }

    /// Renders some of the headers, with those of presets or without.
    fn render_of(
        &self,
        mapped: &[(HeaderName, Mapping)],
        with_presets: bool,
        session: &Session,
        now: Timestamp,
    ) -> Result<(Envelope, usize), IdentityError> {
        // Before anything is signed: a key that goes while this does is one more exchange.
        let version = self.version();
        let mut headers = Vec::with_capacity(mapped.len() + 1);
        headers.extend(told(mapped, session.claims())?);
        let mut renew = session.ends();
        if let Some(assertion) = &self.assertion {
            let token = assertion.sign(read(mapped, session.claims())?, session, now)?;
            let value = HeaderValue::try_from(token).map_err(|_| SigningError::Random)?;
            headers.push((HeaderName::from_static(ASSERTION), value));
            // Half of its life is left on arrival, however late in its turn a request comes.
            renew = now.after(assertion.lifetime / 2);
        }
        if with_presets && let Some(earlier) = self.presets.render(session, now, &mut headers)? {
            renew = renew.min(earlier);
        }
        let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let size = size.sum::<usize>();
        // They have a bound of their own.
        if let Some(earlier) = self.add_tokens(session, now, &mut headers)? {
            renew = renew.min(earlier);
        }
        let covered = self.signer.as_ref().map(|signer| signer.written_down(&headers));
        let (covered, added) = covered.transpose()?.unzip();
        let size = size + added.unwrap_or(0);
        if size > LARGEST {
            return Err(IdentityError::TooLarge { size });
        }
        let parts = self.parts.iter().map(|names| {
            let told = headers.iter().filter(|(name, _)| names.contains(name)).cloned().collect();
            self.enveloped(told, renew, version)
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok((Envelope { headers, renew, version, covered, parts }, size))
    }

    /// Some of the headers, as they go along on routes that do not send all.
    fn enveloped(
        &self,
        headers: Vec<(HeaderName, HeaderValue)>,
        renew: Timestamp,
        version: u64,
    ) -> Result<Envelope, IdentityError> {
        let covered = self.signer.as_ref().map(|signer| signer.written_down(&headers));
        let covered = covered.transpose()?.map(|(covered, _)| covered);
        Ok(Envelope { headers, renew, version, covered, parts: Vec::new() })
    }
}

/// The plain headers of a member. Those of which there is nothing to say are not among them.
///
/// # Errors
/// What cannot be told.
pub fn told(
    headers: &[(HeaderName, Mapping)],
    claims: &VerifiedClaims,
) -> Result<Vec<(HeaderName, HeaderValue)>, IdentityError> {
    let mut told = Vec::with_capacity(headers.len());
    for (header, mapping) in headers {
        for path in mapping.paths() {
            is_known(claims, path.name())?;
        }
        let value = mapping::value(mapping, claims).map_err(|fault| of_header(fault, header))?;
        let Some(value) = value else {
            continue;
        };
        let value = HeaderValue::try_from(value);
        let value = value.map_err(|_| IdentityError::Unencoded { header: header.clone() })?;
        told.push((header.clone(), value));
    }
    Ok(told)
}

fn of_header(fault: Fault, header: &HeaderName) -> IdentityError {
    let Fault { claim, kind } = fault;
    let header = header.clone();
    match kind {
        FaultKind::Form => IdentityError::Form { claim, header },
        FaultKind::Missing => IdentityError::Missing { claim, header },
        FaultKind::Unmapped => IdentityError::Unmapped { claim, header },
        FaultKind::Transform(transform) => {
            IdentityError::Transform { claim, header, transform: transform.to_string() }
        }
    }
}

/// Whether what a directory of members says is in it.
fn reads_extensions(mapping: &Mapping) -> bool {
    mapping.paths().any(|path| path.name() == EXTENSIONS)
}

/// The claims that the headers are made of, whole and as they are: what the assertion says.
fn read(
    headers: &[(HeaderName, Mapping)],
    claims: &VerifiedClaims,
) -> Result<Map<String, Value>, IdentityError> {
    let paths = headers.iter().flat_map(|(_, mapping)| mapping.paths());
    let read = paths.filter_map(|path| Some((path.name(), claims.get(path.name())?)));
    let read = read.filter(|(_, value)| !value.is_null());
    read.map(|(name, value)| Ok((name.to_owned(), exactly(name, value, ASSERTION)?))).collect()
}

/// A claim as it goes into a header of JSON, if it can arrive there as the provider wrote it
/// (HDR-09).
fn exactly(name: &str, value: &Value, header: &'static str) -> Result<Value, IdentityError> {
    match mapping::is_exact(value) {
        true => Ok(value.clone()),
        false => Err(IdentityError::Form {
            claim: name.to_owned(),
            header: HeaderName::from_static(header),
        }),
    }
}

/// "Not known" is not "in none" (AZ-05): whether all can be said of a claim, by its name.
fn is_known(claims: &VerifiedClaims, name: &str) -> Result<(), IdentityError> {
    match claims.unknown(name) {
        None => Ok(()),
        Some(GroupsUnknown::LeftOut) => Err(IdentityError::GroupOverage),
        Some(GroupsUnknown::Unresolved) => Err(IdentityError::GroupsUnresolved),
    }
}

impl AssertionFor {
    /// The mapped claims under their own names, and over them what the assertion itself says.
    fn sign(
        &self,
        mut claims: Map<String, Value>,
        session: &Session,
        now: Timestamp,
    ) -> Result<String, SigningError> {
        let expires = now.after(self.lifetime).unix_seconds();
        for reserved in ["nbf", "jti"] {
            claims.remove(reserved);
        }
        claims.insert("iss".to_owned(), self.issuer.clone().into());
        claims.insert("aud".to_owned(), self.audience.clone().into());
        claims.insert("sub".to_owned(), session.claims().subject().member_key().into());
        claims.insert("iat".to_owned(), now.unix_seconds().into());
        claims.insert("exp".to_owned(), expires.into());
        claims.insert("sid".to_owned(), session.handle().into());
        self.signing.sign(&claims)
    }
}

#[cfg(test)]
mod tests;
