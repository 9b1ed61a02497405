//! What our own decision makes of a request that the portal would take a password by. Nothing is
//! sent: the gate is asked, as `explain` asks it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Map;
use url::form_urlencoded::Serializer;

use super::Case;
use crate::config::Portal;
use crate::gate::{
    Asked, Decision, Form, Mode, Pair, Policy, RawTarget, Refusal, Rule, Session, Subject,
    VerifiedClaims, decide,
};

/// What becomes of such a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A password route refuses it, to strangers and to members.
    Shut(String),
    /// It reaches the portal for nobody, for another reason.
    Nowhere,
    /// It reaches the portal, for these.
    Open(&'static str),
}

/// As long as the handle of a session is.
const HANDLE: &str = "the-handle-is-22-chars";

/// A request that carries a password.
pub(super) struct Attempt<'a> {
    pub(super) method: &'a Method,
    pub(super) target: &'a str,
    pub(super) fields: &'a [(String, String)],
}

/// The same as a rule has it in mind.
pub(super) struct Example {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
}

/// What our decision makes of it, in `azure_only`: in the other modes, what it would be there.
/// `headers` go along.
pub(super) fn fate(
    case: &Case,
    portal: &Portal,
    attempt: &Attempt<'_>,
    headers: HeaderMap,
) -> Fate {
    let shut = |policy: &Policy| Policy { mode: Mode::AzureOnly, ..policy.clone() };
    let policies: Vec<Policy> =
        case.config.portals.iter().map(|portal| shut(&portal.policy)).collect();
    let (policy, member) = (shut(&portal.policy), member(case, portal));
    let mut found = Fate::Nowhere;
    for (who, session) in [("strangers", None), ("members", Some(&member))] {
        let judged = read(&policies, &policy, attempt, &headers, |asked| {
            let is_known = policy.trace(&asked).password_route.is_some();
            match decide(&policy, asked, session, case.setting.clock.now()) {
                Decision::Forward(_) => Fate::Open(who),
                Decision::Refuse(Refusal::PasswordRoute { rule }) => {
                    let rule = policy.password_routes.get(rule);
                    Fate::Shut(rule.map(|rule| rule.name.to_string()).unwrap_or_default())
                }
                // Somebody has what is required.
                Decision::Refuse(Refusal::Lacks { .. }) if !is_known => Fate::Open(who),
                Decision::Refuse(_)
                | Decision::Login(_)
                | Decision::Own(_)
                | Decision::Redirect(_)
                | Decision::Keep(_)
                | Decision::Inspect(_) => Fate::Nowhere,
            }
        });
        match judged {
            Some(open @ Fate::Open(_)) => return open,
            Some(shut @ Fate::Shut(_)) => found = shut,
            Some(Fate::Nowhere) | None => {}
        }
    }
    found
}

/// The request as the gate reads it; `None` where it can be read in no way, or in several.
fn read<T>(
    policies: &[Policy],
    policy: &Policy,
    attempt: &Attempt<'_>,
    headers: &HeaderMap,
    judge: impl FnOnce(Asked<'_>) -> T,
) -> Option<T> {
    let mut headers = headers.clone();
    headers.insert(HOST, HeaderValue::from_str(&policy.host).ok()?);
    headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
    let form = "application/x-www-form-urlencoded";
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
    let body = Serializer::new(String::new()).extend_pairs(attempt.fields).finish();
    let target = RawTarget::Line(Bytes::copy_from_slice(attempt.target.as_bytes()));
    let asked = Asked::read(policies, attempt.method, &target, &headers).ok()?;
    Some(judge(asked.with_form(Form::read(&headers, body.as_bytes()))))
}

/// Somebody who signed in, about whom nothing is known.
fn member(case: &Case, portal: &Portal) -> Session {
    let text = |text: &str| text.to_owned();
    let subject = Subject::Issuer { issuer: text("doctor"), subject: text("nobody") };
    let claims = VerifiedClaims::supposed(subject, Map::new());
    let host = Arc::clone(&portal.policy.host);
    let (lifetimes, now) = (case.config.sessions.lifetimes, case.setting.clock.now());
    Session::start(claims, Arc::from("doctor"), host, text(HANDLE), lifetimes, now)
}

/// A request that a rule is there for, made of what it names: path, method, and each of its
/// conditions. `None` where a path has no plain reading.
pub(super) fn of_rule(rule: &Rule) -> Option<Example> {
    let path = rule.path.as_str().replace("/**", "/x").replace('*', "x");
    let usual =
        |methods: &[Method]| methods.iter().find(|method| **method == Method::POST).cloned();
    let method = match &rule.methods {
        None => Method::POST,
        Some(methods) => usual(methods).or_else(|| methods.first().cloned())?,
    };
    let pairs = |pairs: &[Pair]| -> Vec<(String, String)> {
        pairs.iter().map(|pair| (pair.name().to_owned(), pair.example())).collect()
    };
    let query = Serializer::new(String::new()).extend_pairs(pairs(&rule.conditions.query)).finish();
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(&rule.conditions.headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(&value).ok()?);
    }
    let cookies = pairs(&rule.conditions.cookies);
    if !cookies.is_empty() {
        let cookies: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = HeaderValue::from_str(&cookies.join("; ")).ok()?;
        headers.insert(COOKIE, cookies);
    }
    Some(Example { method, target, fields: pairs(&rule.conditions.form), headers })
}
