//! The emulator's pages. Every one of them says that it is an emulator; none but the posting form
//! has a script.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use super::accounts::{ACCOUNTS, Account, OTHERS, PASSWORD};
use super::authorize::Asked;
use super::errors::{AadError, Told, date_and_time};
use super::log::Entry;
use super::{CLIENT_ID, Microsoft, TENANT_DOMAIN, TENANT_ID};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;

const STYLE: &str = include_str!("../templates/microsoft/emulator.css");
/// What submits the posting form; its hash is in the page's policy.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "microsoft/sign_in.html")]
struct SignIn<'a> {
    action: &'a str,
    username: &'a str,
    wrong: Option<&'a str>,
    signed_in: Option<&'static Account>,
    application: String,
    accounts: Vec<&'static Account>,
    password: &'static str,
}

/// The sign-in form. `wrong` has what was typed, and why it was not accepted.
pub(super) fn sign_in(
    action: &str,
    asked: &Asked,
    signed_in: Option<&'static Account>,
    wrong: Option<(&str, &str)>,
) -> Answer {
    let hint = asked.wish.login_hint.as_deref().unwrap_or_default();
    let hinted = ACCOUNTS.iter().find(|account| account.is_meant_by(hint));
    let hinted = hinted.map_or(hint, |account| account.username);
    let page = SignIn {
        action,
        username: wrong.map_or(hinted, |(username, _)| username),
        wrong: wrong.map(|(_, reason)| reason),
        signed_in,
        application: asked.reply.uri.origin().ascii_serialization(),
        accounts: ACCOUNTS.iter().chain(OTHERS).filter(|a| asked.wish.place.admits(a)).collect(),
        password: PASSWORD,
    };
    answer::page_under(&leading_to(&asked.reply.uri), StatusCode::OK, &page)
}

/// A form's policy counts for the redirects that answer it, too.
fn leading_to(uri: &Url) -> String {
    format!("form-action 'self' {}", uri.origin().ascii_serialization())
}

fn written(parameters: &Parameters) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters.iter()).finish()
}

#[derive(Template)]
#[template(path = "microsoft/form_post.html")]
struct FormPost<'a> {
    action: &'a str,
    fields: &'a [(&'static str, String)],
    submit: &'static str,
}

/// A page of this site that posts to another, as `response_mode=form_post` does.
pub(super) fn form_post(uri: &Url, fields: &[(&'static str, String)]) -> Answer {
    let page = FormPost { action: uri.as_str(), fields, submit: SUBMIT };
    let hash = STANDARD.encode(digest(&SHA256, SUBMIT.as_bytes()));
    let policy = format!("script-src 'sha256-{hash}'; {}", leading_to(uri));
    answer::page_under(&policy, StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "microsoft/error.html")]
struct ErrorPage<'a> {
    error: &'a AadError,
    told: Told,
}

/// An error that the application never hears of.
pub(super) fn error(microsoft: &Microsoft, error: &AadError) -> Answer {
    let told = error.told(microsoft.now());
    answer::page(StatusCode::BAD_REQUEST, &ErrorPage { error, told })
}

#[derive(Template)]
#[template(path = "microsoft/pick_account.html")]
struct PickAccount<'a> {
    account: &'a Account,
    action: String,
}

/// Which account to sign out of.
pub(super) fn pick_account(
    account: &Account,
    parameters: &Parameters,
    returning: Option<&str>,
) -> Answer {
    let page = PickAccount { account, action: format!("?{}", written(parameters)) };
    let returning = returning.and_then(|uri| Url::parse(uri).ok());
    let policy = returning.map_or_else(|| "form-action 'self'".to_owned(), |uri| leading_to(&uri));
    answer::page_under(&policy, StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "microsoft/message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
}

/// Signed out, and nowhere to return to.
pub(super) fn signed_out() -> Answer {
    let page = Message {
        title: "You signed out of your account",
        text: "It's a good idea to close all browser windows.",
    };
    answer::page(StatusCode::OK, &page)
}

pub(super) fn not_found() -> Answer {
    let page = Message { title: "Not emulated", text: "The emulator has no such endpoint." };
    answer::page(StatusCode::NOT_FOUND, &page)
}

pub(super) fn server_error() -> Answer {
    let page =
        Message { title: "Something went wrong", text: "The emulator was told to fail here." };
    answer::page(StatusCode::INTERNAL_SERVER_ERROR, &page)
}

pub(super) fn outage() -> Answer {
    let page =
        Message { title: "Service unavailable", text: "The emulator was told to be out of order." };
    answer::page(StatusCode::SERVICE_UNAVAILABLE, &page)
}

#[derive(Template)]
#[template(path = "microsoft/home.html")]
struct Home<'a> {
    facts: Vec<(&'static str, String)>,
    redirect_uris: &'a [String],
    accounts: &'static [Account],
    password: &'static str,
    requests: Vec<Line>,
}

struct Line {
    time: String,
    entry: Entry,
}

/// What this is, for somebody who opens it.
pub(super) fn home(microsoft: &Microsoft) -> Answer {
    let base = &microsoft.base;
    let metadata = format!("{base}/{TENANT_ID}/v2.0/.well-known/openid-configuration");
    let lines = microsoft.log().into_iter().rev().take(30);
    let page = Home {
        facts: vec![
            ("Authority", base.clone()),
            ("Tenant", format!("{TENANT_ID} ({TENANT_DOMAIN})")),
            ("Client id", CLIENT_ID.to_owned()),
            ("Issuer", microsoft.issuer()),
            ("Metadata", metadata),
        ],
        redirect_uris: &microsoft.options.redirect_uris,
        accounts: ACCOUNTS,
        password: PASSWORD,
        requests: lines.map(|entry| Line { time: date_and_time(entry.at), entry }).collect(),
    };
    answer::page(StatusCode::OK, &page)
}

pub(super) fn style() -> Answer {
    answer::style(STYLE)
}
