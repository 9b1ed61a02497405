//! The emulator's pages. Each of them says what it is, and looks like nothing of Microsoft's.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use super::accounts::{ACCOUNTS, Account, PASSWORD};
use super::errors::{AadError, Told, date_and_time};
use super::request::ReturnAddress;
use super::{Entry, Microsoft};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;
use crate::demo::{CLIENT_ID, TENANT_DOMAIN, TENANT_ID};

/// The fields of the sign-in page itself; all others are the request that it carries along.
const OWN_FIELDS: &[&str] = &["username", "password", "cancel"];

/// The one script: it sends the form of `response_mode=form_post`.
const SUBMIT: &str = "document.forms[0].submit();";

static SUBMIT_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, SUBMIT.as_bytes()));
    format!("script-src 'sha256-{hash}'")
});

#[derive(Template)]
#[template(path = "microsoft/login.html")]
struct Login<'a> {
    action: String,
    fields: Vec<(&'a str, &'a str)>,
    host: &'a str,
    username: &'a str,
    failed: bool,
    accounts: &'static [Account],
    password: &'static str,
}

/// The sign-in page, which sends `parameters` along; again, if the last attempt `failed`.
pub(super) fn login(
    tenant: &str,
    parameters: &Parameters,
    address: &ReturnAddress,
    username: &str,
    failed: bool,
) -> Answer {
    let template = Login {
        action: format!("/{tenant}/login"),
        fields: parameters.iter().filter(|(name, _)| !OWN_FIELDS.contains(name)).collect(),
        host: address.url.host_str().unwrap_or_default(),
        username,
        failed,
        accounts: ACCOUNTS,
        password: PASSWORD,
    };
    let policy = form_action(Some(&address.url));
    answer::page_under(&policy, StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "microsoft/form_post.html")]
struct FormPost<'a> {
    action: &'a str,
    fields: &'a [(&'static str, String)],
    script: &'static str,
}

/// A form that sends itself to the redirect URI.
pub(super) fn form_post(address: &ReturnAddress, fields: &[(&'static str, String)]) -> Answer {
    let template = FormPost { action: address.url.as_str(), fields, script: SUBMIT };
    let policy = format!("{}; {}", form_action(Some(&address.url)), *SUBMIT_SOURCE);
    answer::page_under(&policy, StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "microsoft/pick_account.html")]
struct PickAccount<'a> {
    action: String,
    fields: Vec<(&'a str, &'a str)>,
    hint: String,
    account: &'static Account,
}

/// Asks which account to sign out.
pub(super) fn pick_account(
    account: &'static Account,
    parameters: &Parameters,
    target: Option<&Url>,
) -> Answer {
    let carried = ["post_logout_redirect_uri", "state"];
    let template = PickAccount {
        action: format!("/{TENANT_ID}/oauth2/v2.0/logout"),
        fields: carried
            .into_iter()
            .filter_map(|name| Some((name, parameters.get(name)?)))
            .collect(),
        hint: account.login_hint(),
        account,
    };
    answer::page_under(&form_action(target), StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "microsoft/error.html")]
struct Refused<'a> {
    error: &'a AadError,
    told: Told,
}

/// An error of which the application does not hear.
pub(super) fn error(microsoft: &Microsoft, error: &AadError) -> Answer {
    let told = error.told(microsoft.now());
    answer::page(StatusCode::BAD_REQUEST, &Refused { error, told })
}

#[derive(Template)]
#[template(path = "microsoft/home.html")]
struct Home<'a> {
    microsoft: &'a Microsoft,
    tenant: &'static str,
    domain: &'static str,
    client_id: &'static str,
    accounts: &'static [Account],
    password: &'static str,
    latest: Vec<(String, Entry)>,
}

/// What this is, and what was asked of it lately.
pub(super) fn home(microsoft: &Microsoft) -> Answer {
    const SHOWN: usize = 20;
    let latest = microsoft.log().into_iter().rev().take(SHOWN);
    let template = Home {
        microsoft,
        tenant: TENANT_ID,
        domain: TENANT_DOMAIN,
        client_id: CLIENT_ID,
        accounts: ACCOUNTS,
        password: PASSWORD,
        latest: latest.map(|entry| (date_and_time(entry.at), entry)).collect(),
    };
    answer::page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "microsoft/notice.html")]
struct Notice {
    title: &'static str,
    text: &'static str,
}

pub(super) fn signed_out() -> Answer {
    notice(StatusCode::OK, "You signed out", "It is a good idea to close all browser windows.")
}

pub(super) fn not_found() -> Answer {
    notice(StatusCode::NOT_FOUND, "There is nothing here", "The emulator has no such address.")
}

pub(super) fn outage() -> Answer {
    notice(
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is unavailable",
        "The emulated outage goes on until it is ended.",
    )
}

pub(super) fn server_error() -> Answer {
    notice(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "The emulator was told to fail.",
    )
}

fn notice(status: StatusCode, title: &'static str, text: &'static str) -> Answer {
    answer::page(status, &Notice { title, text })
}

/// The style of all of them.
pub(super) fn style() -> Answer {
    answer::style(include_str!("../templates/microsoft/emulator.css"))
}

/// Chromium applies `form-action` to each redirect that follows a form, so it has to name where
/// the form ends.
fn form_action(end: Option<&Url>) -> String {
    match end {
        Some(url) => format!("form-action 'self' {}", url.origin().ascii_serialization()),
        None => "form-action 'self'".to_owned(),
    }
}
