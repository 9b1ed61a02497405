//! The pages of Harbor Club. Templates escape by type; no page has a script.

use askama::Template;
use http::header::REFERRER_POLICY;
use http::{Method, StatusCode};
use serde_json::Value;

use super::forge::{self, Attack, Try};
use super::{Seen, whoami};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;
use crate::demo::story::{Step, shortened};
use crate::gate::Timestamp;

/// Who is signed in, and how the portal knows.
#[derive(Clone, Debug)]
pub(super) enum Signed {
    /// By an assertion that the portal verified.
    Member(String),
    /// By the portal's own password.
    Password(String),
    /// Nobody.
    Nobody,
}

impl Signed {
    const fn is_anybody(&self) -> bool {
        !matches!(self, Self::Nobody)
    }
}

/// The front page.
pub(super) fn front(seen: &Seen) -> Answer {
    page(StatusCode::OK, &Front { signed: &seen.signed })
}

/// Figures of a year.
pub(super) fn reports(seen: &Seen, query: &Parameters) -> Answer {
    let reports = Reports {
        signed: &seen.signed,
        year: query.get("year").unwrap_or("2025"),
        asked: query.iter().collect(),
        rows: &[
            ("Berths let", "84", "81"),
            ("Members", "312", "305"),
            ("Regattas sailed", "9", "8"),
            ("Harbour fees, €", "46,210", "43,870"),
        ],
    };
    page(StatusCode::OK, &reports)
}

/// The password form; after a wrong password, with the name that was typed.
pub(super) fn login(seen: &Seen, refused: Option<&str>) -> Answer {
    let status = match refused {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
    };
    let login = Login {
        signed: &seen.signed,
        refused: refused.is_some(),
        name: refused.unwrap_or_default(),
    };
    page(status, &login)
}

/// What just happened, and what this request brought.
pub(super) fn demo(seen: &Seen, steps: &[Step], portal_url: &str) -> Answer {
    let demo = Demo {
        signed: &seen.signed,
        steps,
        method: &seen.parts.method,
        target: seen.parts.uri.to_string(),
        headers: lines(whoami::lines(&seen.parts.headers)),
        proof: Proof::of(seen),
        portal_url,
    };
    page(StatusCode::OK, &demo)
}

/// What an attacker sent, and what arrived.
pub(super) fn forged(seen: &Seen, attack: &Attack) -> Answer {
    let forged = Forged {
        signed: &seen.signed,
        sent: &forge::SENT,
        tries: [("A public address", &attack.public), ("An address for members", &attack.members)],
    };
    page(StatusCode::OK, &forged)
}

/// There is no such page.
pub(super) fn missing(seen: &Seen) -> Answer {
    page(StatusCode::NOT_FOUND, &Missing { signed: &seen.signed })
}

/// The sign-out goes on to Microsoft's port, and Chromium applies `form-action` to redirects. With
/// the policy `no-referrer` a form would be sent with `Origin: null`, which looks like an attack.
fn page(status: StatusCode, template: &impl Template) -> Answer {
    let policy = "form-action 'self' http://127.0.0.1:*";
    let answer = answer::page_under(policy, status, template);
    answer::with(answer, REFERRER_POLICY, "same-origin")
}

#[derive(Template)]
#[template(path = "portal/front.html")]
struct Front<'a> {
    signed: &'a Signed,
}

#[derive(Template)]
#[template(path = "portal/reports.html")]
struct Reports<'a> {
    signed: &'a Signed,
    year: &'a str,
    asked: Vec<(&'a str, &'a str)>,
    rows: &'a [(&'static str, &'static str, &'static str)],
}

#[derive(Template)]
#[template(path = "portal/login.html")]
struct Login<'a> {
    signed: &'a Signed,
    refused: bool,
    name: &'a str,
}

#[derive(Template)]
#[template(path = "portal/demo.html")]
struct Demo<'a> {
    signed: &'a Signed,
    steps: &'a [Step],
    method: &'a Method,
    target: String,
    headers: Vec<Line>,
    proof: Result<Proof, String>,
    portal_url: &'a str,
}

#[derive(Template)]
#[template(path = "portal/forge.html")]
struct Forged<'a> {
    signed: &'a Signed,
    sent: &'a [(&'static str, &'static str)],
    tries: [(&'static str, &'a Try); 2],
}

#[derive(Template)]
#[template(path = "portal/missing.html")]
struct Missing<'a> {
    signed: &'a Signed,
}

/// A header line on the page.
struct Line {
    name: String,
    value: String,
    is_identity: bool,
}

fn lines(headers: Vec<(String, String)>) -> Vec<Line> {
    let line = |(name, value): (String, String)| Line {
        is_identity: name.starts_with("x-auth-") || name.starts_with("x-anteport-"),
        // A cookie is as good as a password for as long as it lasts, and a page gets shared.
        value: match name.as_str() {
            "x-anteport-assertion" | "cookie" => shortened(&value),
            _ => value,
        },
        name,
    };
    headers.into_iter().map(line).collect()
}

/// How the portal verified the assertion.
struct Proof {
    checks: Vec<(&'static str, String)>,
    claims: Vec<(String, String)>,
}

impl Proof {
    fn of(seen: &Seen) -> Result<Self, String> {
        let verified = seen.assertion.as_ref().map_err(ToString::to_string)?;
        let claims = verified.claims();
        let shown = |claim: &str| claims.get(claim).map(plain).unwrap_or_default();
        let checks = vec![
            ("Header", "X-Anteport-Assertion, exactly once".to_owned()),
            ("Algorithm", format!("{}, and no other", verified.algorithm())),
            ("Key id", format!("{}, in /.auth/jwks.json", verified.key_id())),
            ("Signature", "right".to_owned()),
            ("Issuer", format!("{}, as expected", shown("iss"))),
            ("Audience", format!("{}, as expected", shown("aud"))),
            ("Issued", moment(claims.get("iat"))),
            ("Expires", moment(claims.get("exp"))),
        ];
        let claims = claims.iter();
        let claims = claims.map(|(name, value)| (name.clone(), plain(value)));
        Ok(Self { checks, claims: claims.collect() })
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// When a step happened, for its template.
fn step_time(step: &Step) -> String {
    clock_face(step.at)
}

fn moment(seconds: Option<&Value>) -> String {
    let seconds = seconds.and_then(Value::as_i64).unwrap_or(0);
    clock_face(Timestamp::from_unix_seconds(seconds))
}

/// The time of day, in UTC.
fn clock_face(at: Timestamp) -> String {
    let second = at.unix_seconds().rem_euclid(24 * 60 * 60);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02} UTC", second % 60)
}
