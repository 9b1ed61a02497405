//! What a route asks of a member beyond a sign-in, and whether a session has it. Keys are all to
//! hold, and of a list one. What is not known is not there: a claim that is missing, of another
//! type, or left out by the provider satisfies nothing (AZ-05). Deliberately not here: which routes
//! a request meets (`route`), and what is asked of the provider when a sign-in is too old or too
//! weak (`login`).

use std::time::Duration;

use serde_json::Value;

use super::claims::{AccountKind, EXTENSION, GroupsUnknown, VerifiedClaims};
use super::session::Session;
use super::time::Timestamp;

/// What a member needs besides a session. The default asks for nothing more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// All of these.
    pub rights: Vec<Right>,
    /// How long ago the person may have proved who they are, by the provider's word.
    pub max_age: Option<Duration>,
    /// An authentication context of Entra ID, `c1` to `c99`, that the sign-in has to satisfy.
    pub authentication_context: Option<String>,
    /// What the operator tells those who are refused.
    pub hint: Option<String>,
}

/// One thing that a member needs: any one of a list, compared to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// An app role, from `roles`.
    Roles(Vec<String>),
    /// A group, from `groups`.
    Groups(Vec<String>),
    /// A value of a claim: its text, its number or truth value as written, or one of its elements.
    Claim {
        /// Its name.
        name: String,
        /// One of these.
        values: Vec<String>,
    },
    /// A tenant, of which the member's identity is.
    Tenants(Vec<String>),
    /// What kind of account it is.
    Accounts(Vec<AccountKind>),
    /// A class of authentication, from `acr`.
    Acr(Vec<String>),
    /// A method of authentication, from `amr`.
    Amr(Vec<String>),
}

/// Which kind of right a member does not have. Which right it is stays unsaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// None of the roles.
    Role,
    /// None of the groups.
    Group,
    /// Whether any of the groups cannot be said (AZ-05).
    Groups(GroupsUnknown),
    /// None of a claim's values.
    Claim,
    /// None of the tenants.
    Tenant,
    /// None of the kinds of account.
    Account,
    /// None of the classes of authentication.
    Acr,
    /// None of the methods of authentication.
    Amr,
}

impl Lack {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Role,
        Self::Group,
        Self::Groups(GroupsUnknown::LeftOut),
        Self::Groups(GroupsUnknown::Unresolved),
        Self::Claim,
        Self::Tenant,
        Self::Account,
        Self::Acr,
        Self::Amr,
    ];

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Role => "role-missing",
            Self::Group => "group-missing",
            Self::Groups(GroupsUnknown::LeftOut) => "groups-left-out",
            Self::Groups(GroupsUnknown::Unresolved) => "groups-unknown",
            Self::Claim => "claim-missing",
            Self::Tenant => "tenant-not-admitted",
            Self::Account => "account-not-admitted",
            Self::Acr => "acr-missing",
            Self::Amr => "amr-missing",
        }
    }

    /// What is missing, for the operator.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Role => "has none of the roles that the route requires",
            Self::Group => "is in none of the groups that the route requires",
            Self::Groups(GroupsUnknown::LeftOut) => {
                "has groups that the provider left out of the token"
            }
            Self::Groups(GroupsUnknown::Unresolved) => "has groups that could not be asked for",
            Self::Claim => "has not the claim that the route requires",
            Self::Tenant => "is of none of the tenants that the route requires",
            Self::Account => "has none of the kinds of account that the route requires",
            Self::Acr => "did not sign in in a class that the route requires (`acr`)",
            Self::Amr => "did not sign in by a method that the route requires (`amr`)",
        }
    }
}

/// What comes of a requirement for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is there.
    Passes,
    /// A right is missing.
    Lacks(Lack),
    /// The sign-in is too old, or not in the context that is asked for.
    SignsInAgain,
}

/// Why a member may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmet<'r> {
    /// A right is missing, which no other sign-in of this account would mend.
    Lacks(Lack),
    /// Another sign-in could do: one that is younger, if this one is too old, and in this context.
    SignIn { max_age: Option<Duration>, authentication_context: Option<&'r str> },
}

impl Requirement {
    /// Asks for nothing more than a sign-in.
    pub const NOTHING: Self =
        Self { rights: Vec::new(), max_age: None, authentication_context: None, hint: None };

    /// Whether it asks for nothing more than a sign-in.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.rights.is_empty() && self.max_age.is_none() && self.authentication_context.is_none()
    }

    /// The first thing that a session has not. A right that is certainly missing comes before one
    /// that may be there, and any before another sign-in, which would be for nothing.
    pub(super) fn unmet(&self, session: &Session, now: Timestamp) -> Option<Unmet<'_>> {
        let mut unknown = None;
        for right in &self.rights {
            match right.lack(session.claims()) {
                Some(lack @ Lack::Groups(_)) => unknown = Some(lack),
                Some(lack) => return Some(Unmet::Lacks(lack)),
                None => {}
            }
        }
        if let Some(lack) = unknown {
            return Some(Unmet::Lacks(lack));
        }
        // What nobody said is too long ago; the sign-in that follows has to say it.
        let shown = session.authenticated();
        let is_too_old = |most: &Duration| shown.is_none_or(|shown| now.since(shown) > *most);
        let too_old = self.max_age.filter(is_too_old);
        let context = self.authentication_context.as_deref();
        let is_weak = context.is_some_and(|context| !has_context(session.claims(), context));
        // A sign-in that is only younger would lose the context again.
        (too_old.is_some() || is_weak)
            .then_some(Unmet::SignIn { max_age: too_old, authentication_context: context })
    }

    /// Whether somebody who is nobody's member yet could have all rights that it asks for. What a
    /// directory of members says later is not asked for here, and groups that are not known may be
    /// there (GEN-03).
    #[must_use]
    pub fn could_be_met(&self, claims: &VerifiedClaims) -> bool {
        self.rights.iter().all(|right| {
            right.is_the_directorys() || matches!(right.lack(claims), None | Some(Lack::Groups(_)))
        })
    }

    /// What comes of it for a session, as a whole.
    #[must_use]
    pub fn verdict(&self, session: &Session, now: Timestamp) -> Verdict {
        match self.unmet(session, now) {
            None => Verdict::Passes,
            Some(Unmet::Lacks(lack)) => Verdict::Lacks(lack),
            Some(Unmet::SignIn { .. }) => Verdict::SignsInAgain,
        }
    }

    /// What it asks for, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut said: Vec<String> = self.rights.iter().map(Right::in_words).collect();
        said.extend(self.max_age.map(|age| format!("max_age {} s", age.as_secs())));
        let context = self.authentication_context.as_ref();
        said.extend(context.map(|context| format!("authentication_context {context}")));
        said.join("; ")
    }

    /// The groups that it names.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.rights.iter().flat_map(|right| match right {
            Right::Groups(groups) => groups.iter().map(String::as_str),
            _ => [].iter().map(String::as_str),
        })
    }
}

/// Whether a sign-in satisfied an authentication context: `acrs` is a list, or one of them alone
/// (azure.md, section 4.1).
#[must_use]
pub fn has_context(claims: &VerifiedClaims, context: &str) -> bool {
    says(claims, "acrs", context)
}

impl Right {
    fn is_the_directorys(&self) -> bool {
        matches!(self, Self::Claim { name, .. } if name.starts_with(EXTENSION))
    }

    pub(super) fn in_words(&self) -> String {
        let (what, values) = match self {
            Self::Roles(roles) => ("roles", roles.join(" or ")),
            Self::Groups(groups) => ("groups", groups.join(" or ")),
            Self::Claim { name, values } => (name.as_str(), values.join(" or ")),
            Self::Tenants(tenants) => ("tenants", tenants.join(" or ")),
            Self::Accounts(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                ("account", kinds.join(" or "))
            }
            Self::Acr(classes) => ("acr", classes.join(" or ")),
            Self::Amr(methods) => ("amr", methods.join(" or ")),
        };
        format!("{what} {values}")
    }

    pub(super) fn lack(&self, claims: &VerifiedClaims) -> Option<Lack> {
        let any =
            |name: &str, values: &[String]| values.iter().any(|value| says(claims, name, value));
        let (holds, lack) = match self {
            Self::Roles(roles) => (any("roles", roles), Lack::Role),
            Self::Groups(groups) => match claims.groups_unknown() {
                Some(unknown) => (false, Lack::Groups(unknown)),
                None => (any("groups", groups), Lack::Group),
            },
            Self::Claim { name, values } => match claims.unknown(name) {
                Some(unknown) => (false, Lack::Groups(unknown)),
                None => (any(name, values), Lack::Claim),
            },
            Self::Tenants(tenants) => {
                let tenant = claims.subject().tenant();
                let is_one = tenant.is_some_and(|tenant| tenants.iter().any(|one| one == tenant));
                (is_one, Lack::Tenant)
            }
            Self::Accounts(kinds) => {
                let is_one = claims.account().is_some_and(|kind| kinds.contains(&kind));
                (is_one, Lack::Account)
            }
            Self::Acr(classes) => (any("acr", classes), Lack::Acr),
            Self::Amr(methods) => (any("amr", methods), Lack::Amr),
        };
        (!holds).then_some(lack)
    }
}

/// Whether a claim is this value, or a list with it.
fn says(claims: &VerifiedClaims, name: &str, wanted: &str) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => text == wanted,
        Value::Bool(truth) => wanted == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claims.get(name) {
        Some(Value::Array(values)) => values.iter().any(is),
        Some(value) => is(value),
        None => false,
    }
}
