//! The authorization request that a visitor is sent to the provider with: what the login itself
//! needs, what the operator has added, and what the operator lets a visitor choose (OIDC-19).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use url::Url;

use super::languages;
use crate::config::{AnswerBy, Provider, ProviderKind, RequestOptions};
use crate::gate::Challenge;
use crate::gate::login::{AuthorizationRequest, Demands, Journey, Prompt};

/// The longest value of a parameter that a visitor sets.
const LONGEST: usize = 2048;

/// What a visitor's link asks for, as far as the operator lets it. Any link may ask for a choice of
/// accounts or a fresh sign-in; everything else has to fit a pattern, and is left out if it does
/// not.
pub(super) fn wishes(options: &RequestOptions, query: &str) -> Demands {
    let mut demands = Demands::default();
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let only = |name: &str| {
        let mut values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    };
    demands.prompt = only("prompt")
        .and_then(|word| Prompt::named(word))
        .filter(|prompt| matches!(prompt, Prompt::Login | Prompt::SelectAccount));
    for (name, patterns) in &options.from_visitor {
        let Some(value) = only(name) else {
            continue;
        };
        let is_plain =
            !value.is_empty() && value.len() <= LONGEST && !value.chars().any(char::is_control);
        if !is_plain || !patterns.iter().any(|pattern| pattern.is(value)) {
            continue;
        }
        match name.as_str() {
            "login_hint" => demands.login_hint = Some(value.clone()),
            _ => demands.parameters.push((name.clone(), value.clone())),
        }
    }
    demands
}

/// A challenge with what the operator asks for in every login; what the login asks for itself, or
/// the visitor may choose, goes first. `accepted` is the browser's `Accept-Language`.
pub(super) fn complete(
    provider: &Provider,
    mut challenge: Challenge,
    accepted: Option<&str>,
) -> Challenge {
    let options = &provider.request;
    let demands = &mut challenge.demands;
    demands.prompt = match (&provider.kind, challenge.journey) {
        // Where making an account has no endpoint of its own, a word asks for it.
        (ProviderKind::ExternalId(_) | ProviderKind::Oidc(_), Journey::SignUp) => {
            Some(Prompt::Create)
        }
        // Whoever is to show who they are does not get away with a choice of accounts.
        (_, Journey::SignIn | Journey::SignUp) => match (options.prompt, demands.prompt) {
            (Some(Prompt::Login), Some(Prompt::SelectAccount)) => Some(Prompt::Login),
            (written, wished) => wished.or(written),
        },
        (_, Journey::PasswordReset | Journey::ProfileEdit) => None,
    };
    // The profile and the password are changed within the session at the provider.
    if challenge.journey.signs_in() {
        let ages = [demands.max_age, options.max_age];
        demands.max_age = ages.into_iter().flatten().min();
        if demands.context.is_none() {
            demands.context.clone_from(&options.context);
        }
    }
    for (name, value) in &options.parameters {
        add(&mut demands.parameters, name, value);
    }
    let language = accepted.and_then(|accepted| languages::choose(&options.languages, accepted));
    if let Some(language) = language {
        add(&mut demands.parameters, "ui_locales", language);
    }
    challenge
}

fn add(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    if !parameters.iter().any(|(known, _)| known == name) {
        parameters.push((name.to_owned(), value.to_owned()));
    }
}

/// The URL of the request. Endpoints of B2C may have a query already.
pub(super) fn url(
    endpoint: Url,
    provider: &Provider,
    request: &AuthorizationRequest,
    redirect_uri: &str,
) -> String {
    let (response_type, response_mode) = match provider.request.answer {
        AnswerBy::Query => ("code", "query"),
        AnswerBy::FormPost => ("code", "form_post"),
        AnswerBy::IdTokenByForm => ("id_token", "form_post"),
    };
    let mut url = endpoint;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("client_id", &provider.client_id)
        .append_pair("response_type", response_type)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_mode", response_mode)
        .append_pair("scope", &provider.scopes.join(" "))
        .append_pair("state", request.state.expose())
        .append_pair("nonce", request.nonce.expose());
    if provider.request.answer != AnswerBy::IdTokenByForm {
        let challenge = digest(&SHA256, request.verifier.expose().as_bytes());
        query
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
    }
    let demands = match request.journey.signs_in() {
        true => request.demands.clone(),
        // What the sign-in that follows is to bring is asked for then.
        false => Demands { max_age: None, context: None, ..request.demands.clone() },
    };
    if let Some(prompt) = demands.prompt {
        query.append_pair("prompt", prompt.name());
    }
    if let Some(max_age) = demands.max_age {
        query.append_pair("max_age", &max_age.as_secs().to_string());
    }
    if let Some(claims) = claims(provider.request.claims.as_ref(), demands.context.as_deref()) {
        query.append_pair("claims", &claims.to_string());
    }
    // Together with it, a choice of accounts would be none (azure.md, section 2.1).
    if let (Some(hint), false) =
        (&demands.login_hint, demands.prompt == Some(Prompt::SelectAccount))
    {
        query.append_pair("login_hint", hint);
    }
    for (name, value) in &demands.parameters {
        query.append_pair(name, value);
    }
    drop(query);
    url.into()
}

/// What the operator asks for, and an authentication context (azure.md, section 2.4).
fn claims(written: Option<&Map<String, Value>>, context: Option<&str>) -> Option<Value> {
    let mut claims = written.cloned().unwrap_or_default();
    if let Some(context) = context {
        let wanted = json!({ "essential": true, "value": context });
        let of_token = claims.entry("id_token").or_insert_with(|| json!({}));
        match of_token {
            Value::Object(members) => {
                members.insert("acrs".to_owned(), wanted);
            }
            other => *other = json!({ "acrs": wanted }),
        }
    }
    (!claims.is_empty()).then_some(Value::Object(claims))
}
