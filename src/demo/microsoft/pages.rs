//! The emulator's pages. Every one of them says that it is an emulator; none but the posting form
//! has a script.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use super::Microsoft;
use super::accounts::{Account, PASSWORD};
use super::asked::Asked;
use super::errors::{AadError, Told, date_and_time};
use super::log::Entry;
use super::personas::Persona;
use super::tenants::Product;
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;

const STYLE: &str = include_str!("../templates/microsoft/emulator.css");
/// What submits the posting form; its hash is in the page's policy.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "microsoft/sign_in.html")]
struct SignIn<'a> {
    tenant: &'static str,
    action: &'a str,
    username: &'a str,
    wrong: Option<&'a str>,
    signed_in: Option<&'static Account>,
    application: String,
    accounts: Vec<&'static Account>,
    password: &'static str,
    /// Whether «Forgot your password?» stands below.
    forgets: bool,
}

/// The sign-in form. `wrong` has what was typed, and why it was not accepted.
pub(super) fn sign_in(
    microsoft: &Microsoft,
    action: &str,
    asked: &Asked,
    signed_in: Option<&'static Account>,
    wrong: Option<(&str, &str)>,
) -> Answer {
    let hint = asked.wish.login_hint.as_deref().unwrap_or_default();
    let accounts = microsoft.options.directory.accounts().iter().copied();
    let accounts: Vec<_> = accounts.filter(|one| asked.wish.place.admits(one)).collect();
    let hinted = accounts.iter().find(|account| account.is_meant_by(hint));
    let hinted = hinted.map_or(hint, |account| account.username);
    let page = SignIn {
        action,
        username: wrong.map_or(hinted, |(username, _)| username),
        wrong: wrong.map(|(_, reason)| reason),
        signed_in,
        application: asked.reply.uri.origin().ascii_serialization(),
        tenant: tenant_name(&accounts),
        accounts,
        password: PASSWORD,
        forgets: asked.wish.place.product() == Product::AzureAdB2c,
    };
    answer::page_under(&leading_to(&asked.reply.uri), StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "microsoft/new_password.html")]
struct NewPassword<'a> {
    tenant: &'static str,
    action: &'a str,
    username: &'a str,
    wrong: Option<&'a str>,
    password: &'static str,
}

/// The form for a new password. `wrong` has what was typed, and why it was not accepted.
pub(super) fn new_password(action: &str, asked: &Asked, wrong: Option<(&str, &str)>) -> Answer {
    let hint = asked.wish.login_hint.as_deref().unwrap_or_default();
    let page = NewPassword {
        tenant: asked.wish.place.tenant_name(),
        action,
        username: wrong.map_or(hint, |(username, _)| username),
        wrong: wrong.map(|(_, reason)| reason),
        password: PASSWORD,
    };
    answer::page_under(&leading_to(&asked.reply.uri), StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "microsoft/profile.html")]
struct Profile<'a> {
    tenant: &'static str,
    action: &'a str,
    username: &'static str,
    name: String,
}

/// The form in which somebody changes what is known of them.
pub(super) fn profile(
    microsoft: &Microsoft,
    action: &str,
    asked: &Asked,
    account: &'static Account,
) -> Answer {
    let tenant = asked.wish.place.tenant_name();
    let name = microsoft.name_of(account);
    let page = Profile { tenant, action, username: account.username, name };
    answer::page_under(&leading_to(&asked.reply.uri), StatusCode::OK, &page)
}

/// What stands at the head of a page: whose people these are.
fn tenant_name(accounts: &[&'static Account]) -> &'static str {
    let mut domains = accounts.iter().map(|account| account.tenant.domain);
    match domains.next() {
        Some("harborclub.example") | None => "Harbor Club",
        Some(first) if domains.all(|domain| domain == first) => first,
        Some(_) => "Several organisations",
    }
}

/// A form's policy counts for the redirects that answer it, too.
pub(super) fn leading_to(uri: &Url) -> String {
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
#[template(path = "microsoft/consent.html")]
struct Consent<'a> {
    action: &'a str,
    account: &'a Account,
    application: String,
}

/// Whether the application may. `asked` names it by where it is.
pub(super) fn consent(action: &str, asked: &Asked, account: &Account) -> Answer {
    let application = asked.reply.uri.origin().ascii_serialization();
    let page = Consent { action, account, application };
    answer::page_under(&leading_to(&asked.reply.uri), StatusCode::OK, &page)
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
#[derive(Template)]
#[template(path = "microsoft/signing_out.html")]
struct SigningOut<'a> {
    frames: &'a [String],
    next: Option<&'a str>,
}

/// Tells other applications in hidden frames, and then goes on.
pub(super) fn signing_out(frames: &[String], next: Option<&str>) -> Answer {
    let origins = frames.iter().filter_map(|frame| Url::parse(frame).ok());
    let origins: Vec<String> = origins.map(|url| url.origin().ascii_serialization()).collect();
    let policy = format!("frame-src {}", origins.join(" "));
    answer::page_under(&policy, StatusCode::OK, &SigningOut { frames, next })
}

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

/// What B2C answers where a tenant has no such user flow: a page, and no error of its own.
pub(super) fn no_policy() -> Answer {
    let text = "The resource you are looking for has been removed, had its name changed, or is \
                temporarily unavailable.";
    answer::page(StatusCode::NOT_FOUND, &Message { title: "404", text })
}

pub(super) fn server_error() -> Answer {
    let page =
        Message { title: "Something went wrong", text: "The emulator was told to fail here." };
    answer::page(StatusCode::INTERNAL_SERVER_ERROR, &page)
}

/// An HTML page where JSON was asked for.
pub(super) fn not_json() -> Answer {
    let page =
        Message { title: "All is well", text: "The emulator was told to answer a page here." };
    answer::page(StatusCode::OK, &page)
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
    accounts: Vec<(&'static Account, &'static str)>,
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
    let lines = microsoft.log().into_iter().rev().take(30);
    let options = &microsoft.options;
    let mut facts = vec![("Authority", base.clone())];
    facts.extend(options.client_ids.iter().map(|id| ("Client id", id.clone())));
    facts.extend(options.directory.tenants().iter().map(|tenant| {
        ("Tenant", format!("{} ({}, {})", tenant.id, tenant.domain, tenant.product.name()))
    }));
    let accounts = options.directory.accounts().iter().map(|account| {
        let summary = match account.persona {
            Persona::Plain => "",
            other => other.summary(),
        };
        (*account, summary)
    });
    let page = Home {
        facts,
        redirect_uris: &microsoft.options.redirect_uris,
        accounts: accounts.collect(),
        password: PASSWORD,
        requests: lines.map(|entry| Line { time: date_and_time(entry.at), entry }).collect(),
    };
    answer::page(StatusCode::OK, &page)
}

pub(super) fn style() -> Answer {
    answer::style(STYLE)
}
