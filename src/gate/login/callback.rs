//! The callback: what a provider sends a visitor back with, read in the one way that it can be read
//! and reduced to what may be shown.

use super::{LoginError, Secret, Trail};

/// The part of a `state` that names its cookie.
pub(super) fn number(state: &str) -> Option<&str> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    state.get(..12).filter(|number| number.bytes().all(is_ours))
}

/// The request that the provider sent the visitor back with.
#[derive(Debug)]
pub struct Callback {
    state: Secret<String>,
    answer: Result<Grant, ProviderError>,
    issuer: Option<String>,
    session_state: Option<Secret<String>>,
}

/// What a provider sends when it agrees.
#[derive(Debug)]
pub enum Grant {
    /// An authorization code.
    Code(Secret<String>),
    /// An ID token, straight from the authorization endpoint.
    IdToken(Secret<String>),
}

/// An error answer of the provider (RFC 6749, section 4.1.2.1), reduced to what may be shown. Its
/// stable name is not given here: that takes to know whose matter the provider's own code is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider answered `{error}`{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct ProviderError {
    /// `error`, if it is one that there is.
    pub error: &'static str,
    /// Whether `error_subcode` says so, as Microsoft's does of a cancelled sign-in.
    pub says_cancel: bool,
    /// `AADSTS…` or `AADB2C…`, from the description.
    pub code: Option<String>,
    /// By what the provider finds it again, from the description.
    pub trail: Box<Trail>,
}

impl ProviderError {
    /// Whether the visitor pressed Cancel.
    #[must_use]
    pub fn is_cancel(&self) -> bool {
        self.error == "access_denied"
            && (self.says_cancel
                || matches!(self.code.as_deref(), None | Some("AADSTS65004" | "AADB2C90091")))
    }

    /// Whether the visitor pressed «Forgot your password?» in a user flow of B2C that leaves the
    /// rest to the application (azure.md, section 6).
    #[must_use]
    pub fn is_forgotten_password(&self) -> bool {
        self.error == "access_denied" && self.code.as_deref() == Some("AADB2C90118")
    }
}

impl Callback {
    /// The longest query or form that is read: an authorization code of B2C alone can be over 2,400
    /// bytes, and an ID token with groups over 10,000.
    pub const LONGEST: usize = 64 * 1024;

    /// Reads a callback's query, or its form, which is spelled alike.
    ///
    /// # Errors
    /// Without exactly one `state` and exactly one of `code`, `id_token` and `error` (OIDC-05).
    pub fn read(parameters: &str) -> Result<Self, LoginError> {
        if parameters.len() > Self::LONGEST {
            return Err(LoginError::Malformed);
        }
        let mut seen = Parameters::default();
        for (name, value) in url::form_urlencoded::parse(parameters.as_bytes()) {
            seen.note(&name, value.into_owned())?;
        }
        let state = Secret::new(seen.state.ok_or(LoginError::StateMissing)?);
        let answer = match (seen.code, seen.id_token, seen.error) {
            (Some(code), None, None) if !code.is_empty() => Ok(Grant::Code(Secret::new(code))),
            (None, Some(token), None) => Ok(Grant::IdToken(Secret::new(token))),
            (None, None, Some(error)) => Err(ProviderError {
                error: error_word(&error),
                says_cancel: seen.subcode.as_deref() == Some("cancel"),
                code: seen.description.as_deref().and_then(microsoft_code),
                trail: Box::new(seen.description.as_deref().map(Trail::of).unwrap_or_default()),
            }),
            _ => return Err(LoginError::Malformed),
        };
        let session_state = seen.session_state.map(Secret::new);
        Ok(Self { state, answer, issuer: seen.issuer, session_state })
    }

    /// The number of the login that it belongs to, if its `state` has the form of ours.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        number(self.state.expose())
    }

    /// Its `iss`, if there is one (RFC 9207).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Its `state`, to be spent.
    #[must_use]
    pub const fn state(&self) -> &Secret<String> {
        &self.state
    }

    /// `session_state`, which is `sid` by another name at Entra ID (azure.md, section 2.1).
    pub(super) fn session_state(&self) -> Option<Secret<String>> {
        self.session_state.clone()
    }

    /// What the provider said, and its `iss`.
    pub(super) fn into_answer(self) -> (Result<Grant, ProviderError>, Option<String>) {
        (self.answer, self.issuer)
    }
}

#[derive(Default)]
struct Parameters {
    state: Option<String>,
    code: Option<String>,
    id_token: Option<String>,
    error: Option<String>,
    description: Option<String>,
    subcode: Option<String>,
    issuer: Option<String>,
    session_state: Option<String>,
}

impl Parameters {
    fn note(&mut self, name: &str, value: String) -> Result<(), LoginError> {
        let place = match name {
            "state" => &mut self.state,
            "code" => &mut self.code,
            "id_token" => &mut self.id_token,
            "error" => &mut self.error,
            "error_description" => &mut self.description,
            "error_subcode" => &mut self.subcode,
            "iss" => &mut self.issuer,
            "session_state" => &mut self.session_state,
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(LoginError::Repeated),
        }
    }
}

/// What `error` may say: nobody writes anything else into our log by it (LOG-01). RFC 6749,
/// sections 4.1.2.1 and 5.2; OpenID Connect Core 1.0, section 3.1.2.6; RFC 8707; RFC 9470;
/// Microsoft's own.
const ERRORS: [&str; 25] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "insufficient_user_authentication",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_resource",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "redirect_uri_mismatch",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unmet_authentication_requirements",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// The error of a provider, if it is one that there is; else `unknown`.
#[must_use]
pub fn error_word(text: &str) -> &'static str {
    ERRORS.into_iter().find(|known| *known == text).unwrap_or("unknown")
}

/// The first `AADSTS…` or `AADB2C…` of a description (azure.md, section 5).
pub fn microsoft_code(description: &str) -> Option<String> {
    ["AADSTS", "AADB2C"].iter().find_map(|family| {
        let (_, after) = description.split_once(family)?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).take(9).collect();
        (!digits.is_empty()).then(|| format!("{family}{digits}"))
    })
}
