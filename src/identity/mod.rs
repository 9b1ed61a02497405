//! What the portal is told about a member: plain headers as mapped, and the signed assertion.
//! Rendered once per session and lifetime, sent with every request. Deliberately not here: what
//! is taken from visitors (`gate::identity`).

mod assertion;
mod kept_signers;
mod plain;
mod signers;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use assertion::{SigningError, assertion_claims};
pub use kept_signers::KeptSigners;
pub use plain::encode;
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
        /// The claim's name.
        claim: String,
        /// The header's name.
        header: HeaderName,
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
        Self { headers: settings.headers.clone(), assertion, signers: Arc::clone(signers) }
    }

    /// How often the signing keys have been exchanged (ENV-02).
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.signers.exchanges()
    }

    /// Renders a member's identity.
    ///
    /// # Errors
    /// What cannot be told. It is asked at login, so that no request meets it later.
    pub fn render(&self, session: &Session, now: Timestamp) -> Result<Envelope, IdentityError> {
        // Before anything is signed: a key that goes while this does is one more exchange.
        let exchanges = self.signers.exchanges();
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        let mut claims = Map::new();
        for (header, claim) in &self.headers {
            let (name, _) = element(claim);
            if let ("groups" | "group_names", Some(unknown)) =
                (name, session.claims().groups_unknown())
            {
                return Err(match unknown {
                    GroupsUnknown::LeftOut => IdentityError::GroupOverage,
                    GroupsUnknown::Unresolved => IdentityError::GroupsUnresolved,
                });
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
        let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > LARGEST {
            return Err(IdentityError::TooLarge { size });
        }
        Ok(Envelope { headers, renew, exchanges })
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
        let identity = Identity {
            headers: vec![(name.clone(), "note".into())],
            assertion: None,
            signers: Arc::new(Signers::new(Vec::new())),
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
