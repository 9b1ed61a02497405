//! What a visitor goes to the provider for, and what is asked for besides.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a visitor goes to the provider for. Azure AD B2C has a policy for each, and the token of
/// one is never taken for another's (AZ-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Journey {
    /// To sign in, or up where the provider offers that on the same page.
    SignIn,
    /// To make an account.
    SignUp,
    /// To choose a new password.
    PasswordReset,
    /// To change what the provider knows of them.
    ProfileEdit,
}

impl Journey {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SignIn, Self::SignUp, Self::PasswordReset, Self::ProfileEdit];

    /// Its name in `flow=`, in the configuration and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignUp => "sign_up",
            Self::PasswordReset => "password_reset",
            Self::ProfileEdit => "profile_edit",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|journey| journey.name() == name)
    }

    /// Whether somebody is signed in at its end.
    #[must_use]
    pub const fn signs_in(self) -> bool {
        matches!(self, Self::SignIn | Self::SignUp)
    }
}

/// What a login asks of the provider besides a sign-in. What can be verified in the ID token is.
/// What is asked for once, and not again at a detour, is not remembered.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demands {
    /// `prompt`. Asked for once.
    #[serde(skip)]
    pub prompt: Option<Prompt>,
    /// `max_age`: how long ago the person may have authenticated (OpenID Connect Core 1.0, section
    /// 3.1.2.1). `auth_time` of the ID token has to agree.
    pub max_age: Option<Duration>,
    /// An authentication context of Entra, `c1` to `c99`, that `acrs` of the ID token has to name
    /// (azure.md, section 9).
    pub context: Option<String>,
    /// `login_hint`: who is expected.
    pub login_hint: Option<String>,
    /// Whether nobody but the member of the session that it began with may come back.
    pub same_member: bool,
    /// Whether an answer of the provider began it, and not the visitor: no second one does.
    pub is_detour: bool,
    /// Whether it is only to be shown what would come of it: no session does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_test: bool,
    /// Further parameters by name, each of which the operator lets a visitor set (OIDC-19). Asked
    /// for once.
    #[serde(skip)]
    pub parameters: Vec<(String, String)>,
}

/// Who is expected stays out of logs (LOG-01), and so does what a visitor set.
impl fmt::Debug for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demands")
            .field("prompt", &self.prompt)
            .field("max_age", &self.max_age)
            .field("context", &self.context)
            .field("same_member", &self.same_member)
            .field("is_detour", &self.is_detour)
            .field("is_test", &self.is_test)
            .finish_non_exhaustive()
    }
}

/// `prompt` of an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Show that it is still you.
    Login,
    /// Say which account.
    SelectAccount,
    /// Agree once more to what the application may do.
    Consent,
    /// Make an account (OpenID Connect Initiating User Registration 1.0).
    Create,
}

impl Prompt {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Login, Self::SelectAccount, Self::Consent, Self::Create];

    /// Its name in the request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SelectAccount => "select_account",
            Self::Consent => "consent",
            Self::Create => "create",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prompt| prompt.name() == name)
    }
}
