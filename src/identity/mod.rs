//! What the portal is told about a member: plain headers as mapped, and the signed assertion.
//! Rendered once per session and lifetime, sent with every request. Deliberately not here: what
//! is taken from visitors (`gate::identity`).

mod assertion;
mod kept_signers;
mod plain;
mod presets;
mod signers;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use assertion::SigningError;
pub use kept_signers::KeptSigners;
pub use plain::encode;
pub use presets::{Presets, Published, describe};
pub use signers::Signers;

use assertion::Signing;

use crate::config::SignedBy;
use crate::gate::identity::{ASSERTION, Envelope};
use crate::gate::{GroupsUnknown, Session, Timestamp, element};

/// What one portal is told.
#[derive(Debug)]
pub struct Identity {
    headers: Vec<(HeaderName, String)>,
    assertion: Option<AssertionFor>,
    presets: Presets,
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
        /// The claim's name.
        claim: String,
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
    /// No assertion could be made.
    #[error("the assertion could not be made")]
    Assertion(#[from] SigningError),
}

impl IdentityError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "identity-claim-form",
            Self::Preset { .. } => "identity-preset-value",
            Self::GroupOverage => "identity-group-overage",
            Self::GroupsUnresolved => "identity-groups-unresolved",
            Self::TooLarge { .. } => "identity-too-large",
            Self::Assertion(_) => "identity-assertion",
        }
    }
}

/// The most bytes that identity headers have together: old servers take 8 KiB of headers, and
/// the browser's own need room too (HDR-10).
pub const LARGEST: usize = 5 * 1024;

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
        let presets = Presets::new(&settings.presets, signers);
        Self { headers: settings.headers.clone(), assertion, presets }
    }

    /// What the portal is told in the way of other gates.
    #[must_use]
    pub const fn presets(&self) -> &Presets {
        &self.presets
    }

    /// Renders a member's identity.
    ///
    /// # Errors
    /// What cannot be told. It is asked at login, so that no request meets it later.
    pub fn render(&self, session: &Session, now: Timestamp) -> Result<Envelope, IdentityError> {
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        let mut claims = Map::new();
        for (header, claim) in &self.headers {
            let (name, _) = element(claim);
            if let "groups" | "group_names" = name {
                groups_are_known(session)?;
            }
            let Some(value) = session.claims().mapped(claim).filter(|value| !value.is_null())
            else {
                continue;
            };
            let text = encode(value).and_then(|text| HeaderValue::try_from(text).ok());
            let text = text.ok_or_else(|| IdentityError::Form {
                claim: claim.clone(),
                header: header.clone(),
            })?;
            headers.push((header.clone(), text));
            // The assertion has the claim as it is, under its own name.
            let (name, whole) = match session.claims().get(claim) {
                Some(whole) => (claim.as_str(), whole),
                None => (name, session.claims().get(name).unwrap_or(value)),
            };
            claims.insert(name.to_owned(), whole.clone());
        }
        let mut renew = session.ends();
        if let Some(assertion) = &self.assertion {
            let token = assertion.sign(claims, session, now)?;
            let value = HeaderValue::try_from(token).map_err(|_| SigningError::Random)?;
            headers.push((HeaderName::from_static(ASSERTION), value));
            // Half of its life is left on arrival, however late in its turn a request comes.
            renew = now.after(assertion.lifetime / 2);
        }
        if let Some(earlier) = self.presets.render(session, now, &mut headers)? {
            renew = renew.min(earlier);
        }
        let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > LARGEST {
            return Err(IdentityError::TooLarge { size });
        }
        Ok(Envelope { headers, renew })
    }
}

/// Groups that are not known are never "none" (AZ-05).
fn groups_are_known(session: &Session) -> Result<(), IdentityError> {
    match session.claims().groups_unknown() {
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
    use crate::gate::{Lifetimes, Subject, VerifiedClaims};
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
    fn hdr_10_identity_headers_are_as_large_as_old_servers_take_and_no_larger() {
        let name = HeaderName::from_static("x-auth-note");
        let signers = Arc::new(Signers::new(Vec::new()));
        let identity = Identity {
            headers: vec![(name.clone(), "note".into())],
            assertion: None,
            presets: Presets::new(&crate::config::Presets::default(), &signers),
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
