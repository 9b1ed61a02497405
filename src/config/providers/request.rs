//! What an authorization request asks for besides a sign-in: the `request` section of a provider.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::context::{Context, Located};
use crate::config::section::Section;
use crate::config::value;
use crate::gate::ValuePattern;
use crate::gate::login::Prompt;

/// What an authorization request asks for besides a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// How the answer comes back.
    pub answer: AnswerBy,
    /// `prompt`, unless a login has one of its own.
    pub prompt: Option<Prompt>,
    /// `max_age`.
    pub max_age: Option<Duration>,
    /// `claims` (OpenID Connect Core 1.0, section 5.5).
    pub claims: Option<Map<String, Value>>,
    /// The authentication context that `claims` calls essential: tokens have to name it.
    pub context: Option<String>,
    /// The languages of which the visitor's favourite goes into `ui_locales`, as written.
    pub languages: Vec<String>,
    /// Further parameters by name, in their order.
    pub parameters: Vec<(String, String)>,
    /// What a visitor may set, each with the patterns of which the value has to fit one (OIDC-19).
    pub from_visitor: Vec<(String, Vec<ValuePattern>)>,
}

/// How the answer of the authorization endpoint comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerBy {
    /// A code in the redirect URI's query.
    #[default]
    Query,
    /// A code in a form that the provider's page posts.
    FormPost,
    /// An ID token in such a form, and no code: what old registrations without a secret do.
    IdTokenByForm,
}

/// What an operator wrote of it.
pub(super) struct RequestFile {
    response_mode: Option<Located<String>>,
    response_type: Option<Located<String>>,
    options: RequestOptions,
    claims: Option<Located<Map<String, Value>>>,
    /// Whether something was reported.
    is_whole: bool,
    parameters: Vec<(Located<String>, Located<String>)>,
    from_visitor: Vec<(Located<String>, Vec<Located<ValuePattern>>)>,
}

/// Parameters that are ours to set, and what for; none is set by name (OIDC-19).
const OURS: [&str; 23] = [
    "again",
    "account",
    "flow",
    "post_login_redirect_uri",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "code",
    "code_challenge",
    "code_challenge_method",
    "id_token",
    "nonce",
    "p",
    "policy",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
/// Parameters that have a key of their own in `request`, and that no visitor weakens.
const KEYED: [&str; 3] = ["claims", "max_age", "prompt"];
/// Parameters that have a key of their own, and that a visitor may be let choose.
const HINTS: [&str; 3] = ["acr_values", "domain_hint", "ui_locales"];

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> RequestFile {
    let claims = section.value("claims", |text| {
        let object = serde_json::from_str::<Map<String, Value>>(text);
        object.map_err(|_| "is not a JSON object".into())
    });
    let prompt = section.value("prompt", |word| Ok(Prompt::named(word)));
    let max_age = section.value("max_age", value::duration("0s", "30d"));
    let languages = section.values("ui_locales", value::language);
    let domain_hint = section.value("domain_hint", value::parameter);
    let acr_values = section.values("acr_values", value::parameter);
    let is_read = |key: &str, found: bool| found || !section.has(key);
    let is_whole = is_read("claims", claims.is_some())
        && is_read("prompt", prompt.is_some())
        && is_read("max_age", max_age.is_some())
        && is_read("ui_locales", languages.is_some())
        && is_read("domain_hint", domain_hint.is_some())
        && is_read("acr_values", acr_values.is_some());
    let mut parameters = Vec::new();
    if let Some(hint) = domain_hint {
        parameters.push(("domain_hint".to_owned(), hint.value));
    }
    if let Some(values) = acr_values {
        let values: Vec<String> = values.into_iter().map(|value| value.value).collect();
        parameters.push(("acr_values".to_owned(), values.join(" ")));
    }
    RequestFile {
        response_mode: section.value("response_mode", value::text),
        response_type: section.value("response_type", value::text),
        options: RequestOptions {
            answer: AnswerBy::Query,
            prompt: prompt.and_then(|prompt| prompt.value),
            max_age: max_age.map(|age| age.value),
            context: claims.as_ref().and_then(|claims| essential_context(&claims.value)),
            claims: claims.as_ref().map(|claims| claims.value.clone()),
            languages: languages.into_iter().flatten().map(|tag| tag.value).collect(),
            parameters,
            from_visitor: Vec::new(),
        },
        claims,
        is_whole,
        parameters: section.named_values("parameters", value::parameter),
        from_visitor: section.named_lists("from_visitor", |text| {
            ValuePattern::parse(text).ok_or_else(|| "has a `*` that is not at one end".into())
        }),
    }
}

/// `{"id_token":{"acrs":{"essential":true,"value":"c1"}}}` (azure.md, section 2.4).
fn essential_context(claims: &Map<String, Value>) -> Option<String> {
    let wanted = claims.get("id_token")?.get("acrs")?;
    let is_essential = wanted.get("essential").and_then(Value::as_bool) == Some(true);
    let context = wanted.get("value").and_then(Value::as_str);
    context.filter(|_| is_essential).map(str::to_owned)
}

/// Whether something is called essential, which whoever sends the request can take out of it.
fn has_essential(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            (name == "essential" && value.as_bool() == Some(true)) || has_essential(value)
        }),
        Value::Array(values) => values.iter().any(has_essential),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Resolves it; `None` if something was reported.
pub(super) fn resolve(context: &Context<'_>, file: &RequestFile) -> Option<RequestOptions> {
    let mut options = file.options.clone();
    if let Some(claims) = &file.claims {
        let is_held = file.options.context.is_some();
        let all = claims.value.values();
        if !is_held && all.into_iter().any(has_essential) {
            let message = "what is essential here is asked for and not required: a visitor can \
                           take it out of the address; `requires` of a route requires";
            context.warn(&claims.spot, message);
        }
    }
    let mut is_fine = file.is_whole;
    for (name, value) in &file.parameters {
        let taken = [&OURS[..], &KEYED, &HINTS, &["login_hint"]].concat();
        is_fine &= check_name(context, name, &taken);
        options.parameters.push((name.value.clone(), value.value.clone()));
    }
    for (name, patterns) in &file.from_visitor {
        let taken = [&OURS[..], &KEYED].concat();
        is_fine &= check_name(context, name, &taken);
        let patterns = patterns.iter().map(|pattern| pattern.value.clone()).collect();
        options.from_visitor.push((name.value.clone(), patterns));
    }
    options.answer = answer(context, file)?;
    is_fine.then_some(options)
}

fn answer(context: &Context<'_>, file: &RequestFile) -> Option<AnswerBy> {
    let is_form = |mode: &Located<String>| mode.value == "form_post";
    let mode = file.response_mode.as_ref();
    match &file.response_type {
        Some(kind) if kind.value == "id_token" => {
            if let Some(mode) = mode.filter(|mode| !is_form(mode)) {
                let message = "an ID token is not sent in a URL: `response_type: id_token` comes \
                               with `form_post`";
                context.error(&mode.spot, message);
                return None;
            }
            let message = "legacy: the ID token passes through the browser, it cannot be \
                           refreshed, and no client credential is asked for; `code` is safer";
            context.warn(&kind.spot, message);
            Some(AnswerBy::IdTokenByForm)
        }
        _ if mode.is_some_and(is_form) => Some(AnswerBy::FormPost),
        _ => Some(AnswerBy::Query),
    }
}

fn check_name(context: &Context<'_>, name: &Located<String>, taken: &[&str]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=64).contains(&name.value.len()) || !name.value.bytes().all(is_plain) {
        context.error(&name.spot, "a parameter's name has letters, digits, `_`, `-` and `.`");
        return false;
    }
    let folded = name.value.to_ascii_lowercase();
    if taken.contains(&&*folded) {
        let message = match KEYED.contains(&&*folded) || HINTS.contains(&&*folded) {
            true => format!("`{folded}` has a key of its own in `request`, for the operator alone"),
            false => format!("`{folded}` is what a login sets itself"),
        };
        context.error(&name.spot, message);
        return false;
    }
    true
}
