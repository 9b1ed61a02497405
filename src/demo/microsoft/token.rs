//! The token endpoint: redeems a code once, and refreshes. Who asks is `client.rs`'s to check.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, PRAGMA};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::errors::AadError;
use super::state::{Grant, IssuedRefresh, PkceChallenge};
use super::tenants::{Place, Product};
use super::{Call, Microsoft, TokenAnswer, Trouble, applications, client, id_token, trouble};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::demo::story::{Narrator, shortened};
use crate::gate::Secret;

/// How long a code may be redeemed.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Answers a token request.
pub(super) async fn redeem(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.token.up();
    let planned = microsoft.state().token_answers.pop_front();
    match planned {
        Some(TokenAnswer::SecretExpired) => {
            return refuse(microsoft, place, &client::secret_expired(client_id(call)));
        }
        Some(TokenAnswer::Refused(number)) => {
            return refuse(microsoft, place, &AadError::planned(number));
        }
        // These use nothing up.
        Some(TokenAnswer::Trouble(
            kind @ (Trouble::ServerError
            | Trouble::Unavailable
            | Trouble::Throttled(_)
            | Trouble::Reset
            | Trouble::Html),
        )) => return trouble::afflict(kind, answer::json(StatusCode::OK, &Value::Null)).await,
        None | Some(_) => {}
    }
    if call.form.get("grant_type") == Some("client_credentials") {
        return match applications::token(microsoft, place, call).await {
            Ok(body) => answer::json(StatusCode::OK, &body),
            Err(error) => refuse(microsoft, place, &error),
        };
    }
    let grant = match accept(microsoft, place, call).await {
        Ok(grant) => grant,
        Err(error) => return refuse(microsoft, place, &error),
    };
    let answer = tokens(microsoft, place, call, grant, planned).await;
    match planned {
        Some(TokenAnswer::Trouble(kind)) => trouble::afflict(kind, answer).await,
        _ => answer,
    }
}

/// The tokens of a grant.
async fn tokens(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
    grant: Grant,
    planned: Option<TokenAnswer>,
) -> Answer {
    let mut body = match place.product() {
        Product::AzureAdB2c => of_b2c(microsoft, &grant),
        Product::EntraId | Product::Personal | Product::ExternalId => json!({
            "token_type": "Bearer",
            "scope": echoed(&grant.scope),
            "expires_in": 4211,
            "ext_expires_in": 4211,
            "access_token": microsoft.graph.issue(&grant, microsoft.now()),
        }),
    };
    let id_token = id_token::make(microsoft, &grant, id_token::Way::Back).await;
    if let Some(story) = microsoft.story() {
        let title = "An ID token was issued";
        story.complete(Narrator::Microsoft, title, told_claims(&id_token.claims));
    }
    if let Some(body) = body.as_object_mut() {
        if planned == Some(TokenAnswer::NoAccessToken) {
            body.retain(|name, _| !matches!(&**name, "access_token" | "expires_in"));
        }
        // What Microsoft's own libraries ask for, to name the account in their caches.
        if call.form.get("client_info") == Some("1") {
            body.insert("client_info".to_owned(), client_info(&grant).into());
        }
        if grant.asks_for("openid") && planned != Some(TokenAnswer::NoIdToken) {
            body.insert("id_token".to_owned(), id_token.jwt.into());
        }
        if grant.asks_for("offline_access") {
            let token = new_refresh_token(microsoft, grant);
            body.insert("refresh_token".to_owned(), token.into());
        }
    }
    let answer = answer::json(StatusCode::OK, &body);
    let answer = answer::with(answer, PRAGMA, "no-cache");
    let name = HeaderName::from_static("x-ms-clitelem");
    let answer = answer::with(answer, name, "1,0,0,,");
    let name = HeaderName::from_static("x-ms-request-id");
    answer::with(answer, name, &random::guid())
}

fn client_info(grant: &Grant) -> String {
    let (oid, tid) = (grant.account.oid, grant.account.tenant.id);
    let uid = match grant.place.policy {
        Some(policy) => format!("{oid}-{}", policy.to_ascii_lowercase()),
        None => oid.to_owned(),
    };
    URL_SAFE_NO_PAD.encode(json!({ "uid": uid, "utid": tid }).to_string())
}

/// What B2C answers: no access token without a scope of a resource, such as the client id itself,
/// and numbers as the tenant likes.
fn of_b2c(microsoft: &Microsoft, grant: &Grant) -> Value {
    let number = |number: i64| match microsoft.switches().b2c.numbers_are_text {
        true => json!(number.to_string()),
        false => json!(number),
    };
    let now = microsoft.now().unix_seconds();
    let mut answer = json!({
        "token_type": "Bearer",
        "not_before": number(now),
        "id_token_expires_in": number(3600),
        "profile_info": format!("eyJ2ZXIiOiIxLjAi{}", random::token(60)),
        "scope": grant.scope,
    });
    let mut scopes = grant.scope.split(' ');
    let resource = scopes.find(|scope| {
        scope.starts_with("https://") || scope.eq_ignore_ascii_case(&grant.client_id)
    });
    if let (Some(resource), Some(answer)) = (resource, answer.as_object_mut()) {
        answer.insert("access_token".to_owned(), format!("eyJ0.{}", random::token(600)).into());
        answer.insert("expires_in".to_owned(), number(3600));
        answer.insert("expires_on".to_owned(), number(now.saturating_add(3600)));
        answer.insert("resource".to_owned(), resource.into());
        answer.insert("scope".to_owned(), resource.into());
    }
    answer
}

fn refuse(microsoft: &Microsoft, place: Place, error: &AadError) -> Answer {
    if let Some(story) = microsoft.story() {
        let details = vec![(error.error.to_owned(), format!("AADSTS{}", error.number))];
        story.tell(Narrator::Microsoft, "A token request was refused", details);
    }
    match place.product() {
        Product::AzureAdB2c => error.json_of_b2c(microsoft),
        Product::EntraId | Product::Personal | Product::ExternalId => error.json(microsoft),
    }
}

async fn accept(microsoft: &Microsoft, place: Place, call: &Call) -> Result<Grant, AadError> {
    if call.method != Method::POST {
        let text =
            format!("The endpoint only accepts POST requests. Received a {} request.", call.method);
        return Err(AadError::new(900_561, "invalid_request", text));
    }
    if let Some(name) = call.form.repeated() {
        return Err(AadError::repeated(name));
    }
    let grant_type = required(call, "grant_type")?;
    let (client_id, method) = client::authenticate(microsoft, place, call).await?;
    match grant_type {
        "authorization_code" => redeem_code(microsoft, place, call, &client_id, method),
        "refresh_token" => refresh(microsoft, place, call, &client_id),
        _ => Err(AadError::new(
            70003,
            "unsupported_grant_type",
            "The app requested an unsupported grant type.",
        )),
    }
}

pub(super) fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, AadError> {
    call.form.get(name).ok_or_else(|| AadError::missing(name))
}

/// Who asks, as far as it says so in the form.
fn client_id(call: &Call) -> &str {
    call.form.get("client_id").unwrap_or_default()
}

fn redeem_code(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
    client_id: &str,
    method: &'static str,
) -> Result<Grant, AadError> {
    let code = required(call, "code")?;
    let now = microsoft.now();
    let mut state = microsoft.state();
    let Some(issued) = state.codes.iter_mut().find(|known| known.code.matches(code)) else {
        let text = "The provided authorization code is not valid.";
        return Err(AadError::new(70000, "invalid_grant", text));
    };
    if !issued.grant.client_id.eq_ignore_ascii_case(client_id) {
        let text = "The provided authorization code was issued to another application.";
        return Err(AadError::new(70000, "invalid_grant", text));
    }
    if issued.redeemed {
        let text = "OAuth2 Authorization code was already redeemed, please retry with a new valid \
                    code or use an existing refresh token.";
        return Err(AadError::new(54005, "invalid_grant", text));
    }
    if now >= issued.issued.after(CODE_LIFETIME) {
        let text = "The provided authorization code or refresh token has expired.";
        return Err(AadError::new(70008, "invalid_grant", text));
    }
    if issued.grant.place != place {
        let text = "The provided authorization code is intended to use against other tenant.";
        return Err(AadError::new(700_005, "invalid_grant", text));
    }
    if call.form.get("redirect_uri").unwrap_or_default() != issued.redirect_uri {
        let text = "The reply address does not match the one of the authorization request.";
        return Err(AadError::new(500_112, "invalid_grant", text));
    }
    let pkce = match &issued.challenge {
        None => "not asked for",
        Some(challenge) => {
            let verifier = call.form.get("code_verifier").unwrap_or_default();
            if !challenge.fits(verifier) {
                let text = "The code_verifier does not match the code_challenge supplied in the \
                            authorization request.";
                return Err(AadError::new(501_481, "invalid_grant", text));
            }
            "the verifier fits the challenge"
        }
    };
    issued.redeemed = true;
    let grant = issued.grant.clone();
    drop(state);
    if let Some(story) = microsoft.story() {
        let details = [
            ("code", shortened(code)),
            ("client", format!("authenticated by {method}")),
            ("PKCE", pkce.to_owned()),
            ("redirect_uri", "the same as before".to_owned()),
        ];
        let details = details.map(|(name, value)| (name.to_owned(), value));
        let title = "The proxy redeemed the code, on a connection of its own";
        story.tell(Narrator::Microsoft, title, details.into());
    }
    Ok(grant)
}

impl PkceChallenge {
    fn fits(&self, verifier: &str) -> bool {
        if self.hashed {
            URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == self.value
        } else {
            verifier == self.value
        }
    }
}

/// The old refresh token stays good, as at Microsoft; the new ID token has no nonce. In B2C it is
/// bound to the policy, and in Entra to nothing but application and member.
fn refresh(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
    client_id: &str,
) -> Result<Grant, AadError> {
    let token = required(call, "refresh_token")?;
    let state = microsoft.state();
    let mut known = state.refresh_tokens.iter();
    let found = known.find(|known| {
        known.token.matches(token) && known.grant.client_id.eq_ignore_ascii_case(client_id)
    });
    let Some(known) = found else {
        let text = "The provided refresh token is not valid.";
        return Err(AadError::new(70000, "invalid_grant", text));
    };
    if place.policy != known.grant.place.policy {
        let text = "The provided grant has not been issued for this endpoint.";
        return Err(AadError::new(700_005, "invalid_grant", text));
    }
    if !place.admits(known.grant.account) {
        let text = "The provided refresh token is intended to use against other tenant.";
        return Err(AadError::new(700_005, "invalid_grant", text));
    }
    let oid = known.grant.account.oid;
    if state.disabled.contains(oid) {
        return Err(AadError::account_disabled());
    }
    if state.revoked.get(oid).is_some_and(|revoked| known.issued <= *revoked) {
        return Err(AadError::revoked());
    }
    Ok(Grant { nonce: None, ..known.grant.clone() })
}

fn new_refresh_token(microsoft: &Microsoft, grant: Grant) -> String {
    let token = format!("1.AXYA{}", random::token(600));
    let issued = microsoft.now();
    let kept = IssuedRefresh { token: Secret::new(token.clone()), grant, issued };
    microsoft.state().keep_refresh(kept);
    token
}

/// The echo of the scopes: another order, and without `offline_access`.
fn echoed(scope: &str) -> String {
    let mut echoed: Vec<_> =
        scope.split(' ').filter(|scope| !scope.is_empty() && *scope != "offline_access").collect();
    echoed.reverse();
    echoed.push("User.Read");
    echoed.join(" ")
}

fn told_claims(claims: &Value) -> Vec<(String, String)> {
    const SHOWN: &[&str] = &["iss", "aud", "tid", "oid", "name", "email", "roles", "nonce", "exp"];
    let claim = |name: &&str| {
        let shown = match claims.get(*name)? {
            Value::String(text) if *name == "nonce" => shortened(text),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(((*name).to_owned(), shown))
    };
    SHOWN.iter().filter_map(claim).collect()
}
