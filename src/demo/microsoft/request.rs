//! An authorization request, checked in Microsoft's order: as long as it is not known where the
//! visitor may be sent back to, an error is a page, and the application never hears of it.

use url::Url;

use super::accounts::Account;
use super::errors::AadError;
use super::state::PkceChallenge;
use super::{Call, Microsoft};
use crate::demo::CLIENT_ID;
use crate::demo::parameters::Parameters;

/// The longest query that is read; a longer one is AADSTS90015.
const LONGEST_QUERY: usize = 16 * 1024;

/// Where an answer goes, and how.
#[derive(Clone, Debug)]
pub(super) struct ReturnAddress {
    /// As it was asked for, which the code is bound to.
    pub(super) redirect_uri: String,
    /// The same, parsed: without a path it has got a `/`, as at Microsoft.
    pub(super) url: Url,
    /// Echoed as it came.
    pub(super) state: Option<String>,
    /// Whether the answer is a form that sends itself.
    pub(super) form_post: bool,
}

/// A request in which nothing is missing or wrong.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationRequest {
    pub(super) address: ReturnAddress,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<PkceChallenge>,
    pub(super) prompt: Prompt,
    pub(super) login_hint: Option<String>,
}

/// What the visitor is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// The sign-in page, unless somebody is signed in.
    IfNeeded,
    /// No page at all.
    None,
    /// The sign-in page.
    Always,
}

/// Where the refusal of a request is shown.
#[derive(Debug)]
pub(super) enum Refusal {
    /// On a page of Microsoft's.
    Page(AadError),
    /// At the redirect URI.
    Redirect(Box<ReturnAddress>, AadError),
}

impl AuthorizationRequest {
    pub(super) fn read(microsoft: &Microsoft, call: &Call) -> Result<Self, Refusal> {
        if call.query_length > LONGEST_QUERY {
            return Err(Refusal::Page(query_too_long()));
        }
        let parameters = call.parameters();
        if let Some(name) = parameters.repeated() {
            return Err(Refusal::Page(AadError::repeated(name)));
        }
        check_client_id(parameters).map_err(Refusal::Page)?;
        let address = ReturnAddress::read(microsoft, parameters).map_err(Refusal::Page)?;
        match Self::read_rest(parameters, &address) {
            Ok(request) => Ok(request),
            Err(error) => Err(Refusal::Redirect(Box::new(address), error)),
        }
    }

    /// Everything of which the application hears when it is wrong.
    fn read_rest(parameters: &Parameters, address: &ReturnAddress) -> Result<Self, AadError> {
        check_response_type(parameters)?;
        check_response_mode(parameters)?;
        Ok(Self {
            address: address.clone(),
            scope: scope(parameters)?,
            nonce: parameters.get("nonce").map(str::to_owned),
            challenge: challenge(parameters)?,
            prompt: prompt(parameters)?,
            login_hint: parameters.get("login_hint").map(str::to_owned),
        })
    }

    /// Whether somebody who is signed in as `account` need not be asked again.
    pub(super) fn is_content_with(&self, account: &Account) -> bool {
        let hint = self.login_hint.as_deref();
        self.prompt != Prompt::Always && hint.is_none_or(|hint| account.is_meant_by(hint))
    }
}

impl ReturnAddress {
    fn read(microsoft: &Microsoft, parameters: &Parameters) -> Result<Self, AadError> {
        let registered = &microsoft.options.redirect_uris;
        let redirect_uri = match parameters.get("redirect_uri") {
            Some(asked) if registered.iter().any(|known| known == asked) => asked,
            Some(asked) => return Err(AadError::redirect_uri(asked)),
            None => registered.first().ok_or_else(no_redirect_uri)?,
        };
        let url = Url::parse(redirect_uri).map_err(|_| AadError::redirect_uri(redirect_uri))?;
        Ok(Self {
            redirect_uri: redirect_uri.to_owned(),
            url,
            state: parameters.get("state").map(str::to_owned),
            form_post: parameters.get("response_mode") == Some("form_post"),
        })
    }
}

fn check_client_id(parameters: &Parameters) -> Result<(), AadError> {
    match parameters.get("client_id") {
        None => Err(AadError::missing("client_id")),
        Some(known) if known.eq_ignore_ascii_case(CLIENT_ID) => Ok(()),
        Some(unknown) => Err(AadError::unknown_application(unknown)),
    }
}

fn check_response_type(parameters: &Parameters) -> Result<(), AadError> {
    match parameters.get("response_type") {
        None => Err(AadError::missing("response_type")),
        Some("code") => Ok(()),
        Some(other) => Err(AadError::new(
            700_054,
            "unsupported_response_type",
            format!("response_type '{other}' is not enabled for the application."),
        )),
    }
}

fn check_response_mode(parameters: &Parameters) -> Result<(), AadError> {
    match parameters.get("response_mode") {
        None | Some("query" | "form_post") => Ok(()),
        Some(other) => Err(AadError::new(
            70007,
            "invalid_request",
            format!("'{other}' is not a supported value of 'response_mode' here."),
        )),
    }
}

fn scope(parameters: &Parameters) -> Result<String, AadError> {
    let scope = parameters.get("scope").ok_or_else(|| AadError::missing("scope"))?;
    if scope.split_ascii_whitespace().any(|part| part == "openid") {
        return Ok(scope.to_owned());
    }
    Err(AadError::new(
        70011,
        "invalid_scope",
        format!(
            "The provided value for the input parameter 'scope' is not valid. The scope '{scope}' \
             lacks 'openid'."
        ),
    ))
}

fn challenge(parameters: &Parameters) -> Result<Option<PkceChallenge>, AadError> {
    // Without a method `plain` is assumed (RFC 7636, 4.3).
    let hashed = match parameters.get("code_challenge_method") {
        None | Some("plain") => false,
        Some("S256") => true,
        Some(other) => {
            return Err(AadError::new(
                501_491,
                "invalid_request",
                format!("The code_challenge_method '{other}' is not supported."),
            ));
        }
    };
    let Some(value) = parameters.get("code_challenge") else {
        return match hashed {
            true => Err(AadError::missing("code_challenge")),
            false => Ok(None),
        };
    };
    if !(43..=128).contains(&value.len()) {
        return Err(AadError::new(
            50147,
            "invalid_request",
            "Invalid size of Code_Challenge parameter.",
        ));
    }
    Ok(Some(PkceChallenge { value: value.to_owned(), hashed }))
}

fn prompt(parameters: &Parameters) -> Result<Prompt, AadError> {
    match parameters.get("prompt") {
        None => Ok(Prompt::IfNeeded),
        Some("none") => Ok(Prompt::None),
        Some("login" | "select_account" | "consent") => Ok(Prompt::Always),
        Some(other) => Err(AadError::new(
            90023,
            "invalid_request",
            format!("The value '{other}' of 'prompt' is not supported."),
        )),
    }
}

fn query_too_long() -> AadError {
    AadError::new(90015, "invalid_request", "The size of the request's query string is too long.")
}

fn no_redirect_uri() -> AadError {
    AadError::new(500_113, "invalid_request", "No reply address is registered for the application.")
}
