//! What an ID token says, once it has been believed.

use std::fmt;

use serde_json::{Map, Value};

/// The claims of an ID token that passed every check. The type is the proof.
#[derive(Clone, PartialEq)]
pub struct VerifiedClaims {
    subject: Subject,
    claims: Map<String, Value>,
}

/// Claims that are about a token or the act of signing in.
const OF_TOKEN: [&str; 22] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "ver",
    "tfp",
    "acr",
    "acrs",
    "amr",
    "auth_time",
    "aio",
    "rh",
    "uti",
    "newUser",
];

impl VerifiedClaims {
    /// Asserts that `claims` were verified and are about `subject`. It has one caller,
    /// `relying_party::id_token`: search for this name to see where trust begins.
    #[must_use]
    pub fn assertion(subject: Subject, claims: Map<String, Value>) -> Self {
        Self { subject, claims }
    }

    /// These claims with what another token says anew of the same member. What is about a token and
    /// not about the person stays: by whom, for whom, when and in which way they were signed in.
    #[must_use]
    pub fn updated(&self, later: &Self) -> Self {
        let mut claims = self.claims.clone();
        let of_person = later.claims.iter().filter(|(name, _)| !OF_TOKEN.contains(&name.as_str()));
        claims.extend(of_person.map(|(name, value)| (name.clone(), value.clone())));
        Self { subject: self.subject.clone(), claims }
    }

    /// These claims, and of earlier ones about the same member those of `names` that are missing.
    #[must_use]
    pub fn completed_from(mut self, earlier: &Self, names: &[&str]) -> Self {
        for name in names {
            if let (None, Some(value)) = (self.claims.get(*name), earlier.claims.get(*name)) {
                self.claims.insert((*name).to_owned(), value.clone());
            }
        }
        self
    }

    /// Whom the claims are about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// One claim by its name, at the top level.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// What a mapping names: a claim, or an element of one that is a list, such as `emails[0]`. A
    /// claim whose own name ends like this goes first.
    #[must_use]
    pub fn mapped(&self, path: &str) -> Option<&Value> {
        self.get(path).or_else(|| match element(path) {
            (name, Some(index)) => self.get(name)?.as_array()?.get(index),
            (_, None) => None,
        })
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// All claims, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.claims.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A claim's name, and which element of it a mapping names.
#[must_use]
pub fn element(path: &str) -> (&str, Option<usize>) {
    let index = path.strip_suffix(']').and_then(|path| path.rsplit_once('['));
    match index.map(|(name, index)| (name, index.parse().ok())) {
        Some((name, Some(index))) => (name, Some(index)),
        Some((_, None)) | None => (path, None),
    }
}

/// Names only: what a member's claims say stays out of logs (LOG-01).
impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims").finish_non_exhaustive()
    }
}

/// Who somebody is: never an e-mail address or a name, which change and can be chosen (AZ-02).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A directory object: the tenant's and the object's GUID, from `tid` and `oid`.
    Directory {
        /// `tid`.
        tenant: String,
        /// `oid`.
        object: String,
    },
    /// Any other OpenID provider: `iss` and `sub`.
    Issuer {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
}

impl Subject {
    /// The stable key of this member, as the portal receives it in the assertion's `sub`:
    /// `tid.oid`, or `iss#sub`. Two members never share one: a GUID has no dot, an issuer no `#`.
    #[must_use]
    pub fn member_key(&self) -> String {
        match self {
            Self::Directory { tenant, object } => format!("{tenant}.{object}"),
            Self::Issuer { issuer, subject } => format!("{issuer}#{subject}"),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}
