//! The authorization request that a visitor is sent to the provider with.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::config::{Provider, ProviderKind};
use crate::gate::login::{AuthorizationRequest, Journey, Prompt};

/// The URL of the request. Endpoints of B2C may have a query already.
pub(super) fn url(
    endpoint: Url,
    provider: &Provider,
    request: &AuthorizationRequest,
    redirect_uri: &str,
) -> String {
    let challenge = digest(&SHA256, request.verifier.expose().as_bytes());
    let mut url = endpoint;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("client_id", &provider.client_id)
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_mode", "query")
        .append_pair("scope", &provider.scopes.join(" "))
        .append_pair("state", request.state.expose())
        .append_pair("nonce", request.nonce.expose())
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
        .append_pair("code_challenge_method", "S256");
    let demands = &request.demands;
    if let Some(prompt) = prompt(provider, request) {
        query.append_pair("prompt", prompt.name());
    }
    if let Some(max_age) = demands.max_age {
        query.append_pair("max_age", &max_age.as_secs().to_string());
    }
    if let Some(context) = &demands.context {
        let claims = serde_json::json!({
            "id_token": { "acrs": { "essential": true, "value": context } }
        });
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

/// Where making an account has no endpoint of its own, a word asks for it.
fn prompt(provider: &Provider, request: &AuthorizationRequest) -> Option<Prompt> {
    match (&provider.kind, request.journey) {
        (ProviderKind::ExternalId(_) | ProviderKind::Oidc(_), Journey::SignUp) => {
            Some(Prompt::Create)
        }
        _ => request.demands.prompt,
    }
}
