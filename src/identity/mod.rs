//! What the portal is told about a member: plain headers as mapped, and the signed assertion.
//! Rendered once per session and lifetime, sent with every request. `mapping.rs` makes one header of
//! the claims; the signature over them and the request is made for each (`signature`). Deliberately
//! not here: what is taken from visitors (`gate::identity`), and which of the headers a route sends
//! (`gate::route`).

mod assertion;
mod kept_signers;
mod mapping;
mod plain;
mod presets;
mod signature;
mod signers;
mod tokens;
mod transform;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use assertion::{SigningError, secret_jwk, token_claims};
pub use kept_signers::KeptSigners;
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
}

#[derive(Debug)]
struct AssertionFor {
    issuer: String,
    audience: String,
    lifetime: std::time::Duration,
    signing: Signing,
}

/// Why a member's identity cannot be told to the portal. It refuses the login: nothing is cut
/// short or sent raw (HDR-09).
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A claim that is no text, number, truth value or list of them.
    #[error("claim `{claim}` has a form that header `{header}` cannot carry")]
    Form {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// A claim without which nobody signs in.
    #[error("claim `{claim}` is not there, and header `{header}` requires it")]
    Missing {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// What is to be done to a claim does not apply to what it says.
    #[error("`{transform}` of header `{header}` does not apply to what claim `{claim}` says")]
    Transform {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// The step, as it is written.
        transform: String,
    },
    /// A value for which the operator has no word, where there has to be one.
    #[error("claim `{claim}` has a value that `map` of header `{header}` does not admit")]
    Unmapped {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// A value that no header carries, which cannot come up: it is ASCII.
    #[error("header `{header}` cannot carry what it was made of")]
    Unencoded {
        /// The header's name.
        header: HeaderName,
    },
    /// A value that the header of a preset cannot carry in the way of the gate that it is of.
    #[error("header `{header}` of a preset cannot be sent: claim `{claim}` {why}")]
    Preset {
        /// The claim's name.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// What is the matter with it.
        why: &'static str,
    },
    /// An address that the portal would take for verified, and that nobody is known to have
    /// verified (AZ-02).
    #[error(
        "header `{header}` of a preset means a verified address, and {why} verified claim `{claim}`"
    )]
    Unverified {
        /// The claim's name.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// What is known of it.
        why: &'static str,
    },
    /// The provider left the groups out because there are too many (AZ-05).
    #[error("the provider did not send the groups, because there are too many of them")]
    GroupOverage,
    /// They were to be asked for, and could not be (AZ-05).
    #[error("the groups could not be asked for")]
    GroupsUnresolved,
    /// More than [`LARGEST`] bytes in all (HDR-10).
    #[error("the identity headers have {size} bytes; {LARGEST} are what old servers accept")]
    TooLarge {
        /// Bytes of all names and values.
        size: usize,
    },
    /// A token of the provider's of more than [`LARGEST_TOKEN`] bytes.
    #[error("the provider's {kind} has {size} bytes; header `{header}` takes {LARGEST_TOKEN}")]
    TokenTooLarge {
        /// Which token.
        kind: &'static str,
        /// The header's name.
        header: HeaderName,
        /// Its bytes.
        size: usize,
    },
    /// A token of the provider's that no header carries as it is.
    #[error("the provider's {kind} has characters that header `{header}` cannot carry")]
    TokenForm {
        /// Which token.
        kind: &'static str,
        /// The header's name.
        header: HeaderName,
    },
    /// No assertion could be made.
    #[error("the assertion could not be made")]
    Assertion(#[from] SigningError),
    /// The request could not be signed.
    #[error("the message signature could not be made")]
    Signature(#[source] SigningError),
}

impl IdentityError {
    /// Whether no sign-in mends it, whoever comes: nothing can be signed.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Assertion(_) | Self::Signature(_))
    }

    /// Whether it is what the session's claims say, and stays so with them. What could not be found
    /// out or made is none of that (GEN-03).
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::GroupsUnresolved | Self::Assertion(_) | Self::Signature(_) => false,
            Self::Form { .. }
            | Self::Unencoded { .. }
            | Self::Missing { .. }
            | Self::Transform { .. }
            | Self::Unmapped { .. }
            | Self::Preset { .. }
            | Self::Unverified { .. }
            | Self::GroupOverage
            | Self::TooLarge { .. }
            | Self::TokenTooLarge { .. }
            | Self::TokenForm { .. } => true,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } | Self::Unencoded { .. } => "identity-claim-form",
            Self::Missing { .. } => "identity-claim-missing",
            Self::Transform { .. } => "identity-claim-transform",
            Self::Unmapped { .. } => "identity-claim-unmapped",
            Self::Preset { .. } => "identity-preset-value",
            Self::Unverified { .. } => "identity-email-unverified",
            Self::GroupOverage => "identity-group-overage",
            Self::GroupsUnresolved => "identity-groups-unresolved",
            Self::TooLarge { .. } => "identity-too-large",
            Self::TokenTooLarge { .. } => "identity-token-too-large",
            Self::TokenForm { .. } => "identity-token-form",
            Self::Assertion(_) => "identity-assertion",
            Self::Signature(_) => "identity-signature",
        }
    }
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

    /// How often the signing keys have been exchanged (ENV-02).
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.signers.exchanges()
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
        let exchanges = self.signers.exchanges();
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
            self.enveloped(told, renew, exchanges)
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok((Envelope { headers, renew, exchanges, covered, parts }, size))
    }

    /// Some of the headers, as they go along on routes that do not send all.
    fn enveloped(
        &self,
        headers: Vec<(HeaderName, HeaderValue)>,
        renew: Timestamp,
        exchanges: u64,
    ) -> Result<Envelope, IdentityError> {
        let covered = self.signer.as_ref().map(|signer| signer.written_down(&headers));
        let covered = covered.transpose()?.map(|(covered, _)| covered);
        Ok(Envelope { headers, renew, exchanges, covered, parts: Vec::new() })
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
mod tests {
    use super::*;
    use crate::gate::{Lifetimes, Subject};
    use std::time::Duration;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn session(claim: &str, value: Value) -> Session {
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let claims =
            VerifiedClaims::assertion(subject, Map::from_iter([(claim.to_owned(), value)]));
        let lifetimes =
            Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
        Session::start(claims, "corporate".into(), "h".into(), "s".into(), lifetimes, NOON)
    }

    #[test]
    fn a_route_is_told_its_part_and_one_that_is_not_known_nothing() {
        let [one, other] = ["x-auth-one", "x-auth-other"].map(HeaderName::from_static);
        let mapping = || Mapping::claim("note".parse().unwrap());
        let signers = Arc::new(Signers::new(Vec::new()));
        let identity = Identity {
            headers: vec![(one.clone(), mapping()), (other.clone(), mapping())],
            assertion: None,
            signer: None,
            parts: vec![vec![], vec![other.clone()]],
            presets: Presets::new(&crate::config::Presets::default(), &signers),
            tokens: Vec::new(),
            signers,
        };
        let envelope = identity.render(&session("note", Value::from("n")), NOON).unwrap();
        for (told, names) in [
            (Told::All, vec![one, other.clone()]),
            (Told::Part(0), vec![]),
            (Told::Part(1), vec![other]),
            (Told::Part(2), vec![]),
            (Told::Part(u16::MAX), vec![]),
        ] {
            let here = envelope.told(told).headers.iter().map(|(name, _)| name.clone());
            assert_eq!(here.collect::<Vec<_>>(), names, "{told:?}");
        }
    }

    #[test]
    fn the_assertion_has_the_claims_that_headers_are_made_of_as_they_are() {
        let mapping = Mapping::Template {
            template: "{a.b}/{c}".parse().unwrap(),
            transforms: vec![crate::config::Transform::Upper],
            otherwise: crate::config::Otherwise::Nothing,
        };
        let headers = [(HeaderName::from_static("x-auth-note"), mapping)];
        let claims = serde_json::json!({ "a": { "b": "x", "d": 1 }, "c": null, "e": 2 });
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let claims = VerifiedClaims::assertion(subject, claims.as_object().unwrap().clone());
        let said = Value::Object(read(&headers, &claims).unwrap());
        assert_eq!(said, serde_json::json!({ "a": { "b": "x", "d": 1 } }));
    }

    #[test]
    fn hdr_09_a_number_arrives_in_the_assertion_as_it_was_written_or_refuses_the_login() {
        // A template reads one part, and the assertion has the whole claim.
        let mapping = Mapping::Template {
            template: "{member.name}".parse().unwrap(),
            transforms: vec![],
            otherwise: crate::config::Otherwise::Nothing,
        };
        let headers = [(HeaderName::from_static("x-auth-note"), mapping)];
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let said = |number: &str| {
            let text = format!("{{\"member\":{{\"name\":\"n\",\"numbers\":[{number}]}}}}");
            let claims: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let claims = VerifiedClaims::assertion(subject.clone(), claims);
            let read = read(&headers, &claims).map(|read| serde_json::to_string(&read).unwrap());
            (text, read)
        };
        for number in [
            "0",
            "-7",
            // Beyond what a number of JavaScript's holds, and as it was all the same.
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1.5",
            "123456.789012345",
        ] {
            let (text, read) = said(number);
            assert_eq!(read.unwrap(), text);
        }
        for number in [
            "18446744073709551616",
            "-9223372036854775809",
            "12345678901234567890123",
            "9007199254740993.0",
            "0.12345678901234567",
            "1e22",
        ] {
            let (text, read) = said(number);
            match read {
                Ok(read) => panic!("{text} became {read}"),
                Err(error) => assert_eq!(error.code(), "identity-claim-form"),
            }
        }
    }

    #[test]
    fn hdr_10_identity_headers_are_as_large_as_old_servers_take_and_no_larger() {
        let name = HeaderName::from_static("x-auth-note");
        let mapping = Mapping::claim("note".parse().unwrap());
        let signers = Arc::new(Signers::new(Vec::new()));
        let identity = Identity {
            headers: vec![(name.clone(), mapping)],
            assertion: None,
            signer: None,
            parts: Vec::new(),
            presets: Presets::new(&crate::config::Presets::default(), &signers),
            tokens: Vec::new(),
            signers,
        };
        let render = |length: usize| {
            identity.render(&session("note", Value::from("n".repeat(length))), NOON)
        };
        let room = LARGEST - name.as_str().len() - 4;
        assert_eq!(render(room).unwrap().headers.len(), 1);
        let error = render(room + 1).unwrap_err();
        assert_eq!(error.code(), "identity-too-large", "and nothing is cut short");
        // What is encoded counts as it is on the wire.
        let error = identity.render(&session("note", Value::from("é".repeat(room / 3))), NOON);
        assert_eq!(error.unwrap_err().code(), "identity-too-large");
    }
}
