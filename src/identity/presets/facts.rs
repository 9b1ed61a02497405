//! What presets tell of a member, and how it becomes a header's value.
//!
//! Other gates send text as it is, and lists with commas between. What a portal reads as itself is
//! sent so; what it could read as something else refuses the login (HDR-09): two members, or one
//! group and two, never look alike.

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::address;
use crate::config::{self, PresetClaims};
use crate::gate::{ClaimPath, EXTENSIONS, Session, Subject};
use crate::identity::{IdentityError, Marks, encode, is_known, mapping};

/// What is known of a member.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) session: &'a Session,
    claims: &'a PresetClaims,
    addresses: &'a config::Addresses,
}

/// A text, and the claim that it is from.
pub(super) struct Fact<'a> {
    claim: &'a str,
    pub(super) text: String,
}

/// Several.
pub(super) struct List<'a> {
    claim: &'a str,
    pub(super) elements: Vec<String>,
}

impl<'a> Fact<'a> {
    pub(super) fn of(claim: &'a str, text: &str) -> Self {
        Self { claim, text: text.to_owned() }
    }
}

impl<'a> From<Option<Fact<'a>>> for List<'a> {
    fn from(fact: Option<Fact<'a>>) -> Self {
        let claim = fact.as_ref().map(|fact| fact.claim).unwrap_or_default();
        Self { claim, elements: fact.into_iter().map(|fact| fact.text).collect() }
    }
}

impl<'a> Facts<'a> {
    pub(super) const fn new(session: &'a Session, settings: &'a config::Presets) -> Self {
        Self { session, claims: &settings.claims, addresses: &settings.addresses }
    }

    /// What names the member, by the claim that the operator chose or by the usual one. It has to
    /// be there: a portal that is told groups of nobody could take them for somebody's.
    pub(super) fn user(
        &self,
        usual: &'static str,
        header: &'static str,
    ) -> Result<Fact<'a>, IdentityError> {
        let claim = self.claims.user.as_deref().unwrap_or(usual);
        let fact = self.text(claim, header)?;
        let mut fact = fact.ok_or_else(|| unfit(header, claim, "is missing"))?;
        // Azure AD B2C says this of everybody, where `sub` is not set up; what it points to is
        // what it is, where it is set up.
        if let ("sub", Subject::Directory { object, .. }) = (claim, self.session.claims().subject())
            && fact.text.starts_with("Not supported")
        {
            object.clone_into(&mut fact.text);
        }
        Ok(fact)
    }

    /// The same towards a portal that takes an address for verified: one may be what names a member.
    pub(super) fn verified_user(
        &self,
        usual: &'static str,
        header: &'static str,
    ) -> Result<Fact<'a>, IdentityError> {
        let fact = self.user(usual, header)?;
        let path: ClaimPath = fact.claim.parse().map_err(|_| form(header, fact.claim))?;
        let is_address =
            fact.claim == self.claims.email || ["email", "emails"].contains(&path.name());
        if is_address {
            self.check_address(&fact, header)?;
        }
        Ok(fact)
    }

    /// A claim that the operator named, as a list, for a portal that takes every address in it for
    /// verified (AZ-02).
    pub(super) fn verified_list(
        &self,
        claim: &'a str,
        header: &'static str,
    ) -> Result<List<'a>, IdentityError> {
        let list = self.list(claim, header)?;
        let path: ClaimPath = claim.parse().map_err(|_| form(header, claim))?;
        let usual: Result<ClaimPath, _> = self.claims.email.parse();
        let are_addresses = ["email", "emails"].contains(&path.name())
            || usual.is_ok_and(|usual| usual.name() == path.name());
        for element in &list.elements {
            let fact = Fact::of(claim, element);
            if are_addresses || self.is_denied(&fact) {
                self.check_address(&fact, header)?;
            }
        }
        Ok(list)
    }

    /// The e-mail address, for a portal that takes it for verified (AZ-02).
    pub(super) fn verified_email(
        &self,
        header: &'static str,
    ) -> Result<Option<Fact<'a>>, IdentityError> {
        let fact = self.text(&self.claims.email, header)?;
        if let Some(fact) = &fact {
            self.check_address(fact, header)?;
        }
        Ok(fact)
    }

    /// The e-mail address, unless the provider says that nobody has verified it.
    pub(super) fn email(&self, header: &'static str) -> Result<Option<Fact<'a>>, IdentityError> {
        let fact = self.text(&self.claims.email, header)?;
        Ok(fact.filter(|fact| !self.is_denied(fact)))
    }

    /// Whether the provider says that nobody has verified an address. Of what the portal's own
    /// directory of members says it knows nothing.
    fn is_denied(&self, fact: &Fact<'_>) -> bool {
        let path: Result<ClaimPath, _> = fact.claim.parse();
        let is_the_directorys = path.is_ok_and(|path| path.name() == EXTENSIONS);
        !is_the_directorys && address::is_denied(self.session.claims(), &fact.text)
    }

    /// Whether an address is one that somebody has verified: the provider, the portal's own
    /// directory of members, or the operator in their place where it is only not known.
    fn check_address(&self, fact: &Fact<'_>, header: &'static str) -> Result<(), IdentityError> {
        let claims = self.session.claims();
        let path: ClaimPath = fact.claim.parse().map_err(|_| form(header, fact.claim))?;
        let parties = &self.addresses.providers;
        let kind = parties.iter().find(|(name, _)| **name == *self.session.provider());
        let verified = kind.and_then(|(_, kind)| address::verified_by_any(kind, claims));
        let is_known = path.name() == EXTENSIONS || verified == Some(fact.text.as_str());
        let why = match self.is_denied(fact) {
            true => "the provider says that nobody has",
            false if is_known || self.addresses.are_theirs => return Ok(()),
            false => "the provider does not say that somebody has",
        };
        let (claim, header) = (fact.claim.to_owned(), HeaderName::from_static(header));
        Err(IdentityError::Unverified { claim, header, why })
    }

    pub(super) fn name(&self, header: &'static str) -> Result<Option<Fact<'a>>, IdentityError> {
        self.text(&self.claims.name, header)
    }

    /// The groups; it is an error if they are not known (AZ-05).
    pub(super) fn groups(&self, header: &'static str) -> Result<List<'a>, IdentityError> {
        self.list(&self.claims.groups, header)
    }

    /// What stands at a path, which was read with the configuration, too; null is nothing, and it
    /// is an error if groups are asked for that are not known (AZ-05).
    fn value(&self, claim: &str, header: &'static str) -> Result<Option<&'a Value>, IdentityError> {
        let path: ClaimPath = claim.parse().map_err(|_| form(header, claim))?;
        self.check_known(path.name())?;
        self.session.claims().at(&path).map_err(|_| form(header, claim))
    }

    /// A claim that is one text, number or truth value; one without characters is none.
    pub(super) fn text(
        &self,
        claim: &'a str,
        header: &'static str,
    ) -> Result<Option<Fact<'a>>, IdentityError> {
        let Some(value) = self.value(claim, header)? else {
            return Ok(None);
        };
        let text = scalar(value).ok_or_else(|| form(header, claim))?;
        Ok(Some(Fact { claim, text }).filter(|fact| !fact.text.is_empty()))
    }

    /// Whether all can be said of a claim, by its name (AZ-05).
    pub(super) fn check_known(&self, claim: &str) -> Result<(), IdentityError> {
        is_known(self.session.claims(), claim)
    }

    /// A claim that is a list of them, or one alone.
    pub(super) fn list(
        &self,
        claim: &'a str,
        header: &'static str,
    ) -> Result<List<'a>, IdentityError> {
        let values = match self.value(claim, header)? {
            None => &[][..],
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let elements: Option<Vec<String>> = values.iter().map(scalar).collect();
        Ok(List { claim, elements: elements.ok_or_else(|| form(header, claim))? })
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        other => mapping::scalar(other),
    }
}

/// The headers of an envelope that is being made.
pub(super) struct Headers<'h>(pub(super) &'h mut Vec<(HeaderName, HeaderValue)>);

impl Headers<'_> {
    /// Text that names somebody or something, as it is.
    pub(super) fn exactly(
        &mut self,
        header: &'static str,
        fact: &Fact<'_>,
    ) -> Result<(), IdentityError> {
        self.prefixed(header, "", fact)
    }

    /// The same behind something of ours.
    pub(super) fn prefixed(
        &mut self,
        header: &'static str,
        prefix: &str,
        fact: &Fact<'_>,
    ) -> Result<(), IdentityError> {
        match why_not(&fact.text) {
            Some(why) => Err(unfit(header, fact.claim, why)),
            None => self.set(header, fact.claim, format!("{prefix}{}", fact.text)),
        }
    }

    /// Text for display: what a header could not carry is percent-encoded, and a `%` with it.
    pub(super) fn displayed(
        &mut self,
        header: &'static str,
        fact: &Fact<'_>,
    ) -> Result<(), IdentityError> {
        self.displayed_at(&HeaderName::from_static(header), header, fact)
    }

    /// The same, where the operator chose the header.
    pub(super) fn displayed_at(
        &mut self,
        header: &HeaderName,
        family: &'static str,
        fact: &Fact<'_>,
    ) -> Result<(), IdentityError> {
        let value = HeaderValue::try_from(encode(&fact.text, Marks::NONE));
        let value = value.map_err(|_| form(family, fact.claim))?;
        self.0.push((header.clone(), value));
        Ok(())
    }

    /// Names with commas between; an empty list is no header.
    pub(super) fn listed(
        &mut self,
        header: &'static str,
        list: &List<'_>,
    ) -> Result<(), IdentityError> {
        match joined(header, list)? {
            Some(text) => self.set(header, list.claim, text),
            None => Ok(()),
        }
    }

    /// The same, where the operator chose the header.
    pub(super) fn listed_at(
        &mut self,
        header: &HeaderName,
        family: &'static str,
        list: &List<'_>,
    ) -> Result<(), IdentityError> {
        if let Some(text) = joined(family, list)? {
            let value = HeaderValue::try_from(text).map_err(|_| form(family, list.claim))?;
            self.0.push((header.clone(), value));
        }
        Ok(())
    }

    /// Text of ours.
    pub(super) fn ours(&mut self, header: &'static str, text: String) -> Result<(), IdentityError> {
        self.set(header, header, text)
    }

    fn set(
        &mut self,
        header: &'static str,
        claim: &str,
        text: String,
    ) -> Result<(), IdentityError> {
        let value = HeaderValue::try_from(text).map_err(|_| form(header, claim))?;
        self.0.push((HeaderName::from_static(header), value));
        Ok(())
    }
}

fn joined(header: &'static str, list: &List<'_>) -> Result<Option<String>, IdentityError> {
    for element in &list.elements {
        let why = match element.as_str() {
            "" => Some("has an element without characters"),
            text if text.contains(',') => Some("has an element with a comma in it"),
            text => why_not(text),
        };
        if let Some(why) = why {
            return Err(unfit(header, list.claim, why));
        }
    }
    Ok((!list.elements.is_empty()).then(|| list.elements.join(",")))
}

/// Why text cannot be sent as it is.
fn why_not(text: &str) -> Option<&'static str> {
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Some("has characters other than those of ASCII");
    }
    // Servers take them away.
    (text.trim() != text).then_some("begins or ends with a space")
}

fn form(header: &'static str, claim: &str) -> IdentityError {
    let header = HeaderName::from_static(header);
    IdentityError::Form { claim: claim.to_owned(), header }
}

fn unfit(header: &'static str, claim: &str, why: &'static str) -> IdentityError {
    let header = HeaderName::from_static(header);
    IdentityError::Preset { claim: claim.to_owned(), header, why }
}
