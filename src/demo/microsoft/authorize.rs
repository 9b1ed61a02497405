//! The authorization endpoint: a request that is in order leads to the sign-in page, or past it
//! when the browser is known, and back to the redirect URI with a code.

use http::Method;

use super::accounts::{Account, PASSWORD};
use super::errors::AadError;
use super::faults::AuthorizeError;
use super::request::{AuthorizationRequest, Prompt, Refusal, ReturnAddress};
use super::state::{Grant, IssuedCode, Sso};
use super::{Call, Microsoft, pages, sso};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::demo::story::{Narrator, shortened};
use crate::gate::Secret;

/// Random bytes of a code: with them it has about a thousand characters, as Entra ID's do.
const CODE_BYTES: usize = 750;

/// An authorization request.
pub(super) fn begin(microsoft: &Microsoft, tenant: &str, call: &Call) -> Answer {
    microsoft.counts.authorize.up();
    let request = match AuthorizationRequest::read(microsoft, call) {
        Ok(request) => request,
        Err(refusal) => return refuse(microsoft, &refusal),
    };
    tell_of_request(microsoft, &request);
    let planned = microsoft.state().authorize_errors.pop_front();
    if let Some(error) = planned {
        return fail(microsoft, &request.address, &error);
    }
    match (microsoft.sso(&call.headers), request.prompt) {
        (Some(sso), _) if request.is_content_with(sso.account) => {
            tell(
                microsoft,
                "The browser was signed in already, so nobody was asked",
                vec![("account".to_owned(), sso.account.username.to_owned())],
            );
            grant(microsoft, tenant, &request, &sso)
        }
        (_, Prompt::None) => refuse_at(microsoft, &request.address, &nobody_signed_in()),
        (_, Prompt::IfNeeded | Prompt::Always) => {
            tell(microsoft, "The sign-in page was shown", vec![]);
            let username = suggested(&request);
            pages::login(tenant, call.parameters(), &request.address, username, false)
        }
    }
}

/// The sign-in page, filled in; it carries the request along.
pub(super) fn submit(microsoft: &Microsoft, tenant: &str, call: &Call) -> Answer {
    if call.method != Method::POST {
        return pages::error(microsoft, &AadError::only_post(&call.method));
    }
    let request = match AuthorizationRequest::read(microsoft, call) {
        Ok(request) => request,
        Err(refusal) => return refuse(microsoft, &refusal),
    };
    if call.form.get("cancel").is_some() {
        return fail(microsoft, &request.address, &cancelled());
    }
    let username = call.form.get("username").unwrap_or_default();
    let password = call.form.get("password").unwrap_or_default();
    let Some(account) = Account::named(username).filter(|_| password == PASSWORD) else {
        tell(microsoft, "The password was wrong (AADSTS50126)", vec![]);
        return pages::login(tenant, call.parameters(), &request.address, username, true);
    };
    tell(
        microsoft,
        "The visitor signed in",
        vec![("account".to_owned(), account.username.to_owned())],
    );
    let sso = microsoft.start_sso(&call.headers, account);
    sso::set_cookie(grant(microsoft, tenant, &request, &sso), &sso)
}

/// Back to the application with a code.
fn grant(microsoft: &Microsoft, tenant: &str, request: &AuthorizationRequest, sso: &Sso) -> Answer {
    let code = format!("1.{}", random::token(CODE_BYTES));
    microsoft.state().keep_code(IssuedCode {
        code: Secret::new(code.clone()),
        grant: Grant {
            account: sso.account,
            sid: sso.sid.clone(),
            scope: request.scope.clone(),
            nonce: request.nonce.clone(),
        },
        tenant: tenant.to_owned(),
        redirect_uri: request.address.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        issued: microsoft.now(),
        redeemed: false,
    });
    tell(
        microsoft,
        "The browser was sent back with an authorization code",
        vec![
            ("redirect_uri".to_owned(), request.address.redirect_uri.clone()),
            ("code".to_owned(), shortened(&code)),
        ],
    );
    let fields = vec![("code", code), ("session_state", sso.sid.clone())];
    send_back(&request.address, fields)
}

fn refuse(microsoft: &Microsoft, refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Page(error) => {
            let title = format!("The request was refused on a page (AADSTS{})", error.number);
            if let Some(story) = microsoft.story() {
                story.open(Narrator::Microsoft, title, vec![]);
            }
            pages::error(microsoft, error)
        }
        Refusal::Redirect(address, error) => refuse_at(microsoft, address, error),
    }
}

fn refuse_at(microsoft: &Microsoft, address: &ReturnAddress, error: &AadError) -> Answer {
    let told = error.told(microsoft.now());
    tell(
        microsoft,
        "The browser was sent back with an error",
        vec![
            ("error".to_owned(), error.error.to_owned()),
            ("code".to_owned(), format!("AADSTS{}", error.number)),
        ],
    );
    let fields = vec![
        ("error", error.error.to_owned()),
        ("error_description", told.description),
        ("error_uri", format!("{}/error?code={}", microsoft.base, error.number)),
    ];
    send_back(address, fields)
}

fn fail(microsoft: &Microsoft, address: &ReturnAddress, error: &AuthorizeError) -> Answer {
    let mut fields = vec![("error", error.error.clone())];
    fields.extend(error.subcode.clone().map(|code| ("error_subcode", code)));
    fields.extend(error.description.clone().map(|text| ("error_description", text)));
    let details = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    tell(microsoft, "The browser was sent back with an error", details);
    send_back(address, fields)
}

/// The answer at the redirect URI, in the mode that was asked for.
fn send_back(address: &ReturnAddress, mut fields: Vec<(&'static str, String)>) -> Answer {
    fields.extend(address.state.clone().map(|state| ("state", state)));
    if address.form_post {
        return pages::form_post(address, &fields);
    }
    let mut url = address.url.clone();
    url.query_pairs_mut().extend_pairs(&fields);
    answer::redirect(url.as_str())
}

/// The address that the sign-in page starts with.
fn suggested(request: &AuthorizationRequest) -> &str {
    let hint = request.login_hint.as_deref().unwrap_or_default();
    let account = super::ACCOUNTS.iter().find(|account| account.is_meant_by(hint));
    account.map_or("", |account| account.username)
}

fn nobody_signed_in() -> AadError {
    AadError::new(
        50058,
        "login_required",
        "A silent sign-in request was sent but no user is signed in.",
    )
}

fn cancelled() -> AuthorizeError {
    AuthorizeError {
        error: "access_denied".to_owned(),
        subcode: Some("cancel".to_owned()),
        description: None,
    }
}

fn tell_of_request(microsoft: &Microsoft, request: &AuthorizationRequest) {
    let Some(story) = microsoft.story() else {
        return;
    };
    let mut details = vec![
        ("redirect_uri".to_owned(), request.address.redirect_uri.clone()),
        ("scope".to_owned(), request.scope.clone()),
    ];
    let challenge = request.challenge.as_ref().map(|challenge| &challenge.value);
    for (name, value) in [
        ("state", request.address.state.as_ref()),
        ("nonce", request.nonce.as_ref()),
        ("code_challenge", challenge),
    ] {
        details.extend(value.map(|value| (name.to_owned(), shortened(value))));
    }
    story.open(Narrator::Microsoft, "An authorization request came", details);
}

fn tell(microsoft: &Microsoft, title: &str, details: Vec<(String, String)>) {
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, title, details);
    }
}
