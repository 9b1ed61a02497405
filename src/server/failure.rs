//! What the provider said about a login that failed, put into our words: for the page, the log and
//! the status. Deliberately not here: the texts themselves (`catalogue`), and statuses (`respond`).

use super::login::LoginFailure;
use crate::catalogue::{self, Class, Entry};
use crate::gate::login::ProviderError;
use crate::members::MembersError;
use crate::pages::Words;
use crate::relying_party::{IdTokenError, RelyingPartyError};

/// What the provider said. None of it is its own text (OIDC-16).
#[derive(Clone, Copy, Debug)]
pub(super) struct ProviderSaid<'a> {
    entry: &'static Entry,
    /// `AADSTS…` or `AADB2C…`.
    pub(super) code: Option<&'a str>,
    pub(super) correlation_id: Option<&'a str>,
    pub(super) trace_id: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
}

impl ProviderSaid<'_> {
    /// Who can do something about it.
    pub(super) const fn class(&self) -> Class {
        self.entry.class
    }

    /// For the member.
    pub(super) fn words(&self) -> Words {
        Words { title: self.entry.class.title(), sentence: &self.entry.member }
    }

    /// For the operator: what happened, what to do, and where, as the log can write it.
    pub(super) fn advice(&self) -> String {
        format!("{} {}", self.entry.what, self.entry.to_do())
    }
}

/// An answer at the redirect URI. What is denied for a reason that nobody knows is not taken for a
/// visitor who cancelled.
fn at_redirect(error: &ProviderError) -> ProviderSaid<'_> {
    let name = match (error.error, error.is_cancel()) {
        ("access_denied", false) => "unknown",
        (name, _) => name,
    };
    let entry = catalogue::explain(error.code.as_deref(), name);
    ProviderSaid {
        entry,
        code: error.code.as_deref(),
        correlation_id: error.trail.correlation_id.as_deref(),
        trace_id: error.trail.trace_id.as_deref(),
        timestamp: error.trail.timestamp.as_deref(),
    }
}

/// The stable name of an answer at the redirect URI, by who can do something about it.
pub(super) fn code(error: &ProviderError) -> &'static str {
    match at_redirect(error).class() {
        Class::Cancelled => "login-cancelled",
        Class::Account => "login-refused-by-provider",
        Class::Again => "login-broken-off",
        Class::Interaction => "login-interaction-required",
        Class::Operator => "login-misconfigured",
        Class::Temporary => "provider-busy",
    }
}

impl LoginFailure {
    /// Whether this account is the matter, so that another one may be let in.
    pub(super) fn is_about_account(&self) -> bool {
        match self {
            Self::Identity { .. } | Self::Members { error: MembersError::Refused { .. }, .. } => {
                true
            }
            Self::RelyingParty(RelyingPartyError::IdToken(error)) => matches!(
                error,
                IdTokenError::Guest
                    | IdTokenError::Issuer
                    | IdTokenError::Tenant
                    | IdTokenError::Subject
            ),
            Self::RelyingParty(_) | Self::Provider(_) => {
                self.provider_said().is_some_and(|said| said.class() == Class::Account)
            }
            Self::Login(_)
            | Self::Members { error: MembersError::Directory(_), .. }
            | Self::Circle
            | Self::SignedOut
            | Self::Store(_)
            | Self::Seal => false,
        }
    }

    /// The key of whoever it is about, if a provider has vouched for them.
    pub(super) fn member(&self) -> Option<&str> {
        match self {
            Self::Members { member, .. } | Self::Identity { member, .. } => Some(member),
            Self::Login(_)
            | Self::Provider(_)
            | Self::RelyingParty(_)
            | Self::Circle
            | Self::SignedOut
            | Self::Store(_)
            | Self::Seal => None,
        }
    }

    /// What the portal's members have to say to whoever is refused.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Members { error, .. } => error.message(),
            Self::Login(_)
            | Self::Provider(_)
            | Self::RelyingParty(_)
            | Self::Identity { .. }
            | Self::Circle
            | Self::SignedOut
            | Self::Store(_)
            | Self::Seal => None,
        }
    }

    /// What the provider said, if it said anything that can be told.
    pub(super) fn provider_said(&self) -> Option<ProviderSaid<'_>> {
        match self {
            Self::Provider(error) => Some(at_redirect(error)),
            Self::RelyingParty(error) => {
                let refusal = error.token_refusal()?;
                let known = catalogue::explain(refusal.code.as_deref(), refusal.error);
                let is_passing = refusal.is_temporary() && known.class != Class::Temporary;
                let entry = match is_passing {
                    true => catalogue::explain(None, "temporarily_unavailable"),
                    false => known,
                };
                Some(ProviderSaid {
                    entry,
                    code: refusal.code.as_deref(),
                    correlation_id: refusal.trail.correlation_id.as_deref(),
                    trace_id: refusal.trail.trace_id.as_deref(),
                    timestamp: refusal.trail.timestamp.as_deref(),
                })
            }
            Self::Login(_)
            | Self::Identity { .. }
            | Self::Members { .. }
            | Self::Circle
            | Self::SignedOut
            | Self::Store(_)
            | Self::Seal => None,
        }
    }
}
