//! `explain`: which route and rule decide a request, why, and what the portal would be sent. It
//! asks the gate itself, with the configuration as it is on disk, and connects to nobody.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::supposed::{self, SupposedError};
use super::{FAILED, FOUND_ERRORS, complain, report, say};
use crate::clock::Clock;
use crate::config::{self, Config, Portal, Preset, SigningKeysError};
use crate::gate::identity::{self, ASSERTION, Envelope, LocalCredentials, OwnedNames, Told};
use crate::gate::{
    Access, Asked, Decision, Endpoint, Form, Glass, Lot, Mode, Passes, Policy, RawTarget, Refusal,
    Rule, Session, Standing, Timestamp, Trace, decide,
};
use crate::identity::{Identity, IdentityError, KeptSigners, LARGEST, token_claims};
use crate::telemetry::causes;

/// A request to explain.
#[derive(Debug, clap::Args)]
pub struct Request {
    /// The method, such as GET
    #[arg(value_name = "METHOD")]
    method: String,
    /// The URL as it would be sent; a path is enough where there is one portal
    #[arg(value_name = "URL")]
    url: String,
    /// A header, such as "Authorization: Basic dTpw"; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The body; a urlencoded form unless a `Content-Type` header says otherwise
    #[arg(long, value_name = "BODY")]
    form: Option<String>,
    /// A JSON file with the claims of a member's ID token, to see what becomes of them
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
}

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("`{0}` is no method")]
    Method(String),
    #[error("`{0}` is no header; write it as `Name: value`")]
    Header(String),
    #[error("the URL needs its host, because there are several portals: {0}")]
    Host(String),
    #[error(transparent)]
    Claims(#[from] SupposedError),
    #[error("nothing can be signed: {}", causes(.0))]
    Keys(#[from] SigningKeysError),
}

/// Explains a request by the configuration at `path`.
#[must_use]
pub fn run(path: &Path, asked: &Request) -> ExitCode {
    let now = Clock::system().now();
    let config = match config::load(path, now) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            report(&problems);
            return ExitCode::from(FOUND_ERRORS);
        }
    };
    match explained(&config, asked, now) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn explained(config: &Config, explain: &Request, now: Timestamp) -> Result<String, ExplainError> {
    let method = Method::from_bytes(explain.method.as_bytes())
        .map_err(|_| ExplainError::Method(explain.method.clone()))?;
    let (host, target) = host_and_target(config, &explain.url)?;
    let mut headers = headers(explain, host)?;
    identity::remove_named_by_connection(&mut headers);
    let target = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    let body = explain.form.as_deref().unwrap_or_default();
    let policies: Vec<Policy> = config.portals.iter().map(|portal| portal.policy.clone()).collect();
    let read = || {
        let asked = Asked::read(&policies, &method, &target, &headers)?;
        Ok(asked.with_form(Form::read(&headers, body.as_bytes())))
    };
    let asked = match read() {
        Ok(asked) => asked,
        Err(refusal) => return Ok(lines(&[("decision", refused(refusal))])),
    };
    let Some(portal) = config.portals.get(asked.portal()) else {
        return Ok(lines(&[("decision", refused(Refusal::UnknownHost))]));
    };
    let trace = portal.policy.trace(&asked);
    let mut told = told_by(portal, &trace);
    let session = match &explain.claims {
        Some(path) => Some(supposed::session(path, config, portal, now)?),
        None => None,
    };
    let of_member = match &session {
        Some(session) => Some(told_of(config, portal, session, now)?),
        None => None,
    };
    let member = match &session {
        Some(session) => match read() {
            Ok(asked) => judged(portal, asked, session, now),
            Err(refusal) => refused(refusal),
        },
        None if trace.requires.is_empty() => "goes to the portal with identity".to_owned(),
        None => "goes to the portal with identity, with what is required".to_owned(),
    };
    let Ok(again) = read() else {
        return Ok(lines(&told));
    };
    told.extend(with_the_switch(portal, &read, now));
    match decide(&portal.policy, again, None, now) {
        Decision::Forward(permit) => {
            told.push(("stranger", "goes to the portal as nobody".to_owned()));
            if portal.policy.mode != Mode::Off {
                told.push(("member", member));
            }
            if let Some(note) = permit.noted().and_then(|note| note.rule) {
                let rule = portal.policy.password_routes.get(note);
                let name = rule.map(|rule| &*rule.name).unwrap_or_default();
                told.push(("noted", format!("`azure_only` would refuse it: `{name}`")));
            }
            told.extend(sent(
                portal,
                &method,
                permit.target(),
                &headers,
                permit.passes(),
                of_member.as_ref(),
            ));
        }
        decision @ (Decision::Login(_)
        | Decision::Keep(_)
        | Decision::Refuse(Refusal::SignInRequired))
            if trace.login_page.is_some() =>
        {
            told.push(match decision {
                Decision::Login(_) => {
                    ("stranger", "signs in first, then the portal's first page".to_owned())
                }
                _ => ("stranger", refused(Refusal::SignInRequired)),
            });
            told.push(("member", "a page of ours says that they are signed in".to_owned()));
        }
        decision @ (Decision::Login(_)
        | Decision::Keep(_)
        | Decision::Refuse(Refusal::SignInRequired)) => {
            let stranger = match decision {
                Decision::Login(_) => "signs in first, and comes back".to_owned(),
                _ => refused(Refusal::SignInRequired),
            };
            told.push(("stranger", stranger));
            told.push(("member", member));
            let passes = trace.route.map(|(_, route)| route.passes).unwrap_or_default();
            told.extend(sent(
                portal,
                &method,
                asked.target(),
                &headers,
                passes,
                of_member.as_ref(),
            ));
        }
        Decision::Own(endpoint) => told.push(("everybody", own(&endpoint))),
        Decision::Redirect(target) => {
            told.push(("everybody", format!("is sent to {target} by a 308")));
        }
        Decision::Refuse(refusal) => told.push(("everybody", refused(refusal))),
        // The form is there.
        Decision::Inspect(_) => told.push(("everybody", refused(Refusal::NoRoute))),
    }
    Ok(lines(&told))
}

/// What becomes of the request for those to whom a progressive switch has not come yet, and for
/// whom the glass is broken.
fn with_the_switch<'h>(
    portal: &Portal,
    read: &impl Fn() -> Result<Asked<'h>, Refusal>,
    now: Timestamp,
) -> Vec<Line> {
    let policy = &portal.policy;
    let mut told = Vec::new();
    let judged = |standing| {
        let asked = read().ok()?.of_visitor(standing);
        Some(decide(policy, asked, None, now))
    };
    if let Some(rollout) = &policy.rollout {
        told.push(("rollout", format!("azure_only for {}", rollout.in_words())));
        let last = Standing { lot: Lot::of(u64::from(Lot::ALL) - 1), ..Standing::default() };
        if rollout.draws_lots()
            && let Some(Decision::Forward(_)) = judged(last)
        {
            told.push(("those left out", "go to the portal, as in report_only".to_owned()));
        }
    }
    if portal.break_glass.is_some() {
        let standing = Standing { glass: Glass::Link, ..Standing::default() };
        told.push((
            "break-glass",
            match judged(standing) {
                Some(Decision::Forward(permit)) => match permit.opened() {
                    Some(opened) if opened.is_needed => {
                        "with a pass goes to the portal as nobody".to_owned()
                    }
                    Some(_) | None => "changes nothing".to_owned(),
                },
                Some(Decision::Refuse(refusal)) => format!("with a pass is {}", refused(refusal)),
                // What everybody gets; the form is there.
                Some(
                    Decision::Login(_)
                    | Decision::Own(_)
                    | Decision::Redirect(_)
                    | Decision::Keep(_)
                    | Decision::Inspect(_),
                )
                | None => "changes nothing".to_owned(),
            },
        ));
    }
    told
}

/// What stands before the first `/` after the scheme, and the rest as it is: a URL parser would
/// mend what is to be explained.
fn host_and_target<'a>(
    config: &'a Config,
    url: &'a str,
) -> Result<(&'a str, &'a str), ExplainError> {
    if let Some((_, rest)) = url.split_once("://").filter(|_| !url.starts_with('/')) {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at_checked(at).unwrap_or((rest, ""));
        return Ok((host, if target.is_empty() { "/" } else { target }));
    }
    match config.portals.as_slice() {
        [portal] => Ok((&portal.policy.host, url)),
        several => {
            let hosts = several.iter().map(|portal| &*portal.policy.host);
            Err(ExplainError::Host(hosts.collect::<Vec<_>>().join(", ")))
        }
    }
}

fn headers(explain: &Request, host: &str) -> Result<HeaderMap, ExplainError> {
    let mut headers = HeaderMap::new();
    let bad = |text: &str| ExplainError::Header(text.to_owned());
    for line in &explain.header {
        let (name, value) = line.split_once(':').ok_or_else(|| bad(line))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad(line))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| bad(line))?;
        headers.append(name, value);
    }
    if !headers.contains_key(HOST) {
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| bad(host))?);
    }
    if explain.form.is_some() && !headers.contains_key(CONTENT_TYPE) {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
    }
    Ok(headers)
}

type Line = (&'static str, String);

fn told_by(portal: &Portal, trace: &Trace<'_>) -> Vec<Line> {
    let policy = &portal.policy;
    let mut told = vec![
        ("portal", format!("{} ({})", policy.host, policy.mode.name())),
        ("path", trace.path.to_owned()),
        // Without the slash at its end, the first page has nothing left.
        ("compared as", if trace.deny_key.is_empty() { "/" } else { trace.deny_key }.to_owned()),
    ];
    if let Some(rule) = trace.password_route {
        told.push(("password route", described(rule)));
    }
    if let Some(rule) = trace.login_page {
        told.push(("login page", described(rule)));
    }
    told.push((
        "route",
        match trace.route {
            Some((index, route)) => {
                let access = match route.access {
                    Access::Public => "public",
                    Access::SignedIn(_) => "signed_in",
                };
                format!("{} of {}: {} {access}", index + 1, policy.routes.len(), route.path)
            }
            None => "none covers it".to_owned(),
        },
    ));
    for (index, requirement) in &trace.requires {
        told.push(("requires", format!("{} (line {})", requirement.in_words(), index + 1)));
    }
    told
}

/// What becomes of the member whose claims were given.
fn judged(portal: &Portal, asked: Asked<'_>, session: &Session, now: Timestamp) -> String {
    match decide(&portal.policy, asked, Some(session), now) {
        Decision::Forward(_) => "with these claims goes to the portal with identity".to_owned(),
        Decision::Login(challenge) => {
            let demands = challenge.demands;
            let age = demands.max_age.map(|_| "again, because it is too long ago".to_owned());
            let context = demands.context.map(|context| format!("in the context {context}"));
            let how: Vec<String> = age.into_iter().chain(context).collect();
            format!("with these claims signs in {}", how.join(" and "))
        }
        Decision::Refuse(refusal) => format!("with these claims is {}", refused(refusal)),
        // What everybody gets is said of everybody.
        Decision::Own(_) | Decision::Redirect(_) | Decision::Keep(_) | Decision::Inspect(_) => {
            String::new()
        }
    }
}

/// A rule as far as it says more than its name.
fn described(rule: &Rule) -> String {
    let mut said = vec![format!("`{}`: path {}", rule.name, rule.path)];
    let covers = [
        (rule.covers.extensions, "extensions"),
        (rule.covers.path_info, "path_info"),
        (rule.covers.language_prefix, "language_prefix"),
        (rule.covers.suffixes, "suffixes"),
        (rule.covers.anywhere, "anywhere"),
    ];
    let covers: Vec<&str> =
        covers.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
    if !covers.is_empty() {
        said.push(format!("covers {}", covers.join(", ")));
    }
    if let Some(methods) = &rule.methods {
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        said.push(methods.join(", "));
    }
    let conditions = [
        ("query", &rule.conditions.query),
        ("form", &rule.conditions.form),
        ("headers", &rule.conditions.headers),
        ("cookies", &rule.conditions.cookies),
    ];
    for (what, pairs) in conditions {
        if !pairs.is_empty() {
            let names: Vec<&str> = pairs.iter().map(|pair| pair.name()).collect();
            said.push(format!("{what} {}", names.join(", ")));
        }
    }
    said.join("; ")
}

fn refused(refusal: Refusal) -> String {
    format!("refused: {refusal} ({})", refusal.code())
}

fn own(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unknown => "is told that there is no such page of ours (endpoint-unknown)".into(),
        _ => "is answered by a page of ours; the portal sees nothing".into(),
    }
}

/// What the portal is told of a member, with how many bytes it has; or why it cannot be.
type OfMember = Result<(Envelope, usize), IdentityError>;

/// As it would be told if they signed in now: by the keys of the configuration, or by ones that are
/// made for this alone, as at a start.
fn told_of(
    config: &Config,
    portal: &Portal,
    session: &Session,
    now: Timestamp,
) -> Result<OfMember, ExplainError> {
    let keys = KeptSigners::read(&config.signing, portal.identity.algorithms(), now)?;
    let identity = Identity::new(&portal.identity, portal.origin(), keys.signers());
    Ok(identity.measure(session, now))
}

/// The request line and the visitor's headers as the portal gets them, and the names of ours.
fn sent(
    portal: &Portal,
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    passes: Passes,
    member: Option<&OfMember>,
) -> Vec<Line> {
    let mut headers = headers.clone();
    let credentials = LocalCredentials::of(portal.policy.mode, passes);
    OwnedNames::with(portal.identity.sets()).cleanse(&mut headers, true, credentials);
    let gate_cookies = portal.identity.presets.cookies();
    gate_cookies.take_out(&mut headers, |_, _| false);
    let mut told = vec![("sent", format!("{method} {target} HTTP/1.1"))];
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        told.push(("", format!("{name}: {value}")));
    }
    let mut ours =
        vec!["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "x-request-id"];
    if portal.identity.signature.is_some() {
        ours.extend(["signature-input", "signature"]);
    }
    told.push(("and by us", ours.join(", ")));
    if portal.policy.mode != Mode::Off {
        told.extend(of_member(portal, passes.told, member));
    }
    told
}

/// The identity headers that go along here: their names, or what they say of a member whose claims
/// were given. Of what is signed only its claims are shown: the rest is for the portal alone.
fn of_member(portal: &Portal, told: Told, member: Option<&OfMember>) -> Vec<Line> {
    let identity = &portal.identity;
    let goes_along = |name: &str| match told {
        Told::All => true,
        Told::Part(index) => {
            let part = identity.parts.get(usize::from(index));
            part.is_some_and(|part| part.iter().any(|known| known.as_str() == name))
        }
    };
    let is_asserted = identity.assertion.is_some() && goes_along(ASSERTION);
    let mut names: Vec<&str> = is_asserted.then_some(ASSERTION).into_iter().collect();
    let mapped = identity.headers.iter().filter(|(name, _)| goes_along(name.as_str()));
    names.extend(mapped.map(|(name, _)| name.as_str()));
    let of_tokens = identity.tokens.iter().map(|(_, name)| name.as_str());
    names.extend(of_tokens.filter(|name| goes_along(name)));
    let of_presets = identity.presets.presets.iter().flat_map(Preset::header_names);
    names.extend(of_presets.filter(|name| goes_along(name)));
    let mut lines = vec![match names.is_empty() {
        true => ("of a member", "nothing".to_owned()),
        false => ("of a member", names.join(", ")),
    }];
    if !identity.presets.cookies().is_empty() {
        let never = "and no cookie of a preset's gate: a visitor's is taken out, and none is sent";
        lines.push(("", never.to_owned()));
    }
    match member {
        Some(Ok((envelope, size))) => {
            let here = &envelope.told(told).headers;
            lines.extend(here.iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                let is_mapped = identity.headers.iter().any(|(known, _)| known == name);
                match token_claims(&value).filter(|_| !is_mapped) {
                    Some(claims) => {
                        let claims = Value::Object(claims);
                        ("", format!("{name}: a token that says {claims}"))
                    }
                    None => ("", format!("{name}: {value}")),
                }
            }));
            let signed = match identity.signature {
                Some(_) => ", with what signs a request",
                None => "",
            };
            lines.push(("in all", format!("{size} bytes of {LARGEST}{signed}")));
        }
        Some(Err(error)) => {
            lines.push(("", format!("but cannot sign in: {error} ({})", error.code())));
        }
        None => {}
    }
    lines
}

fn lines(told: &[Line]) -> String {
    let lines = told.iter().map(|(name, text)| format!("{name:<15} {text}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
