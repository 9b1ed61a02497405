//! The portal's pages.

use askama::Template;
use http::StatusCode;
use http::header::COOKIE;
use serde_json::Value;

use super::assertion::{Check, Claims};
use super::{Call, Portal, door};
use crate::demo::answer::{self, Answer};
use crate::demo::story::{Step, shortened};
use crate::gate::identity::ASSERTION;

/// How many steps of a sign-in are shown.
const STEPS: usize = 30;
const STYLE: &str = include_str!("../templates/portal/portal.css");

/// Who is asking, as far as the portal believes it.
enum Visitor {
    /// The assertion was verified.
    Member(String),
    /// The portal's own password was given.
    Local(String),
    Nobody,
}

impl Visitor {
    fn of(portal: &Portal, call: &Call) -> Self {
        match (&call.verification.outcome, portal.door.who(&call.headers)) {
            (Ok(claims), _) => Self::Member(name(claims)),
            (Err(_), Some(name)) => Self::Local(name),
            (Err(_), None) => Self::Nobody,
        }
    }
}

/// What to call a member: a name if there is one, else what is always there.
fn name(claims: &Claims) -> String {
    let text = |claim: &&str| claims.get(*claim).and_then(Value::as_str);
    let known = ["name", "email", "sub"].iter().find_map(text);
    known.unwrap_or("a member").to_owned()
}

#[derive(Template)]
#[template(path = "portal/home.html")]
struct Home {
    visitor: Visitor,
    roles: Vec<String>,
}

pub(super) fn home(portal: &Portal, call: &Call) -> Answer {
    let roles = match &call.verification.outcome {
        Ok(claims) => texts(claims.get("roles")),
        Err(_) => Vec::new(),
    };
    let visitor = Visitor::of(portal, call);
    answer::page(StatusCode::OK, &Home { visitor, roles })
}

/// A claim that is a list or one text.
fn texts(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[derive(Template)]
#[template(path = "portal/reports.html")]
struct Reports<'a> {
    visitor: Visitor,
    year: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

pub(super) fn reports(portal: &Portal, call: &Call) -> Answer {
    let page = Reports {
        visitor: Visitor::of(portal, call),
        year: call.query.get("year").unwrap_or("every year"),
        query: call.query.iter().collect(),
    };
    answer::page(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "portal/login.html")]
struct Login {
    visitor: Visitor,
    refused: bool,
}

pub(super) fn login(portal: &Portal, call: &Call, refused: bool) -> Answer {
    let visitor = Visitor::of(portal, call);
    let status = match refused {
        true => StatusCode::UNAUTHORIZED,
        false => StatusCode::OK,
    };
    answer::page(status, &Login { visitor, refused })
}

#[derive(Template)]
#[template(path = "portal/message.html")]
struct Message {
    visitor: Visitor,
    title: &'static str,
}

pub(super) fn message(portal: &Portal, call: &Call, status: StatusCode) -> Answer {
    let page = Message {
        visitor: Visitor::of(portal, call),
        title: status.canonical_reason().unwrap_or("Not possible"),
    };
    answer::page(status, &page)
}

#[derive(Template)]
#[template(path = "portal/demo.html")]
struct Demo<'a> {
    visitor: Visitor,
    steps: Vec<Scene>,
    checks: &'a [Check],
    claims: Vec<(String, String)>,
    headers: Vec<(String, String, bool)>,
    own_url: &'a str,
    password: &'static str,
}

struct Scene {
    time: String,
    step: Step,
}

/// What just happened.
pub(super) fn demo(portal: &Portal, call: &Call) -> Answer {
    let claims = call.verification.outcome.as_ref();
    let claims = claims.map(|claims| claims.iter().map(shown_claim).collect());
    let steps = portal.story.latest_sign_in().into_iter().take(STEPS);
    let page = Demo {
        visitor: Visitor::of(portal, call),
        steps: steps.map(scene).collect(),
        checks: &call.verification.checks,
        claims: claims.unwrap_or_default(),
        headers: shown_headers(call),
        own_url: &portal.own_url,
        password: door::PASSWORD,
    };
    answer::page(StatusCode::OK, &page)
}

fn scene(step: Step) -> Scene {
    let second = step.at.unix_seconds().rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Scene { time: format!("{hour:02}:{minute:02}:{second:02}"), step }
}

fn shown_claim((name, value): (&String, &Value)) -> (String, String) {
    let shown = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (name.clone(), shown)
}

/// Name, value, and whether the proxy set it. Tokens are shortened, and cookies named only.
fn shown_headers(call: &Call) -> Vec<(String, String, bool)> {
    let headers = call.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let shown = if name == ASSERTION {
            shortened(&value)
        } else if name == COOKIE {
            let names = value.split(';').filter_map(|pair| pair.split('=').next());
            let names: Vec<_> = names.map(str::trim).collect();
            format!("{} (values not shown)", names.join(", "))
        } else {
            value.into_owned()
        };
        let name = name.as_str();
        let is_identity = name == ASSERTION || name.starts_with("x-auth-");
        (name.to_owned(), shown, is_identity)
    });
    headers.collect()
}

/// A header that was forged.
pub(super) struct Forged {
    pub(super) name: &'static str,
    pub(super) sent: &'static str,
    pub(super) arrived: bool,
    pub(super) is_control: bool,
}

/// A request of the attacker's.
pub(super) struct Attempt {
    pub(super) path: &'static str,
    pub(super) outcome: String,
    pub(super) refused: bool,
}

#[derive(Template)]
#[template(path = "portal/forge.html")]
struct Forge {
    visitor: Visitor,
    forged: Vec<Forged>,
    reached: bool,
    held: bool,
    attempts: [Attempt; 2],
}

/// What came of the attack.
pub(super) fn forge(
    portal: &Portal,
    call: &Call,
    forged: Vec<Forged>,
    reached: bool,
    attempts: [Attempt; 2],
) -> Answer {
    let leaked = forged.iter().any(|header| header.arrived && !header.is_control);
    let refused = attempts.iter().any(|attempt| attempt.refused);
    let page = Forge {
        visitor: Visitor::of(portal, call),
        held: reached && !leaked && refused,
        forged,
        reached,
        attempts,
    };
    answer::page(StatusCode::OK, &page)
}

pub(super) fn style() -> Answer {
    answer::style(STYLE)
}
