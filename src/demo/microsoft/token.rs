//! The token endpoint: codes and refresh tokens in, ID tokens out.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, PRAGMA};
use http::{Method, StatusCode};
use serde_json::json;

use super::errors::AadError;
use super::faults::TokenAnswer;
use super::state::{Grant, IssuedCode, IssuedRefresh, PkceChallenge};
use super::{Call, Microsoft, client, id_token, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::demo::story::{Narrator, shortened};
use crate::gate::{Secret, Timestamp};

/// How long a code is good for.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// A call of the token endpoint.
pub(super) async fn redeem(microsoft: &Microsoft, tenant: &str, call: &Call) -> Answer {
    microsoft.counts.token.up();
    let planned = microsoft.state().token_answers.pop_front();
    match planned {
        Some(TokenAnswer::SecretExpired) => return refuse(microsoft, &client::secret_expired()),
        Some(TokenAnswer::ServerError) => return pages::server_error(),
        Some(TokenAnswer::Slow(span)) => tokio::time::sleep(span).await,
        None => {}
    }
    match granted(microsoft, tenant, call) {
        Ok(grant) => succeed(microsoft, grant).await,
        Err(error) => refuse(microsoft, &error),
    }
}

/// Checks everything, in Microsoft's order.
fn granted(microsoft: &Microsoft, tenant: &str, call: &Call) -> Result<Grant, AadError> {
    if call.method != Method::POST {
        return Err(AadError::only_post(&call.method));
    }
    if let Some(name) = call.form.repeated() {
        return Err(AadError::repeated(name));
    }
    let grant_type = required(call, "grant_type")?;
    client::authenticate(microsoft, call)?;
    match grant_type {
        "authorization_code" => redeem_code(microsoft, tenant, call),
        "refresh_token" => refresh(microsoft, call),
        other => Err(AadError::new(
            70003,
            "unsupported_grant_type",
            format!("The app requested an unsupported grant type '{other}'."),
        )),
    }
}

/// A code counts as redeemed only when everything about the call was in order.
fn redeem_code(microsoft: &Microsoft, tenant: &str, call: &Call) -> Result<Grant, AadError> {
    let code = required(call, "code")?;
    let redirect_uri = required(call, "redirect_uri")?;
    let verifier = call.form.get("code_verifier");
    let now = microsoft.now();
    let mut state = microsoft.state();
    let mut codes = state.codes.iter_mut();
    let issued = codes
        .find(|issued| issued.code.matches(code))
        .ok_or_else(|| invalid_grant(70000, "The provided authorization code is not valid."))?;
    issued.check(tenant, redirect_uri, verifier, now)?;
    issued.redeemed = true;
    Ok(issued.grant.clone())
}

/// A refresh token stays good after its use, as at Microsoft.
fn refresh(microsoft: &Microsoft, call: &Call) -> Result<Grant, AadError> {
    let token = required(call, "refresh_token")?;
    let state = microsoft.state();
    let mut tokens = state.refresh_tokens.iter();
    let issued = tokens
        .find(|issued| issued.token.matches(token))
        .ok_or_else(|| invalid_grant(70000, "The provided refresh token is not valid."))?;
    // `nonce` belongs to the sign-in.
    Ok(Grant { nonce: None, ..issued.grant.clone() })
}

impl IssuedCode {
    fn check(
        &self,
        tenant: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: Timestamp,
    ) -> Result<(), AadError> {
        if self.redeemed {
            return Err(invalid_grant(
                54005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid \
                 code or use an existing refresh token.",
            ));
        }
        if now.since(self.issued) >= CODE_LIFETIME {
            return Err(invalid_grant(
                70008,
                "The provided authorization code or refresh token has expired due to inactivity. \
                 Send a new interactive authorization request for this user and resource.",
            ));
        }
        if !self.tenant.eq_ignore_ascii_case(tenant) {
            return Err(invalid_grant(
                700_005,
                "Provided Authorization Code is intended to use against other tenant, thus \
                 rejected.",
            ));
        }
        if self.redirect_uri != redirect_uri {
            return Err(AadError::redirect_uri(redirect_uri));
        }
        let proven = match (&self.challenge, verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) => challenge.is_met_by(verifier),
            // A verifier without a challenge is a downgrade (RFC 9700, 4.8.2).
            _ => false,
        };
        if !proven {
            return Err(invalid_grant(
                501_481,
                "The Code_Verifier does not match the code_challenge supplied in the \
                 authorization request.",
            ));
        }
        Ok(())
    }
}

impl PkceChallenge {
    fn is_met_by(&self, verifier: &str) -> bool {
        match self.hashed {
            true => self.value == URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())),
            false => self.value == verifier,
        }
    }
}

async fn succeed(microsoft: &Microsoft, grant: Grant) -> Answer {
    let fault = microsoft.state().token_faults.pop_front();
    let id_token = id_token::issue(microsoft, &grant, fault).await;
    if let Some(story) = microsoft.story() {
        let mut details = vec![
            ("account".to_owned(), grant.account.username.to_owned()),
            ("id_token".to_owned(), shortened(&id_token)),
        ];
        details.extend(fault.map(|fault| ("fault".to_owned(), format!("{fault:?}"))));
        story.tell(Narrator::Microsoft, "Tokens were issued", details);
    }
    // Between 60 and 90 minutes, as Microsoft draws it.
    let lifetime = 3600 + u32::from(u16::from_be_bytes(random::bytes())) % 1800;
    let mut body = json!({
        "token_type": "Bearer",
        "scope": scope_told(&grant),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        // Of Microsoft Graph, and so opaque to an application.
        "access_token": random::token(900),
        "id_token": id_token,
    });
    if grant.covers("offline_access") {
        let token = format!("1.{}", random::token(750));
        if let Some(body) = body.as_object_mut() {
            body.insert("refresh_token".to_owned(), token.clone().into());
        }
        let token = Secret::new(token);
        microsoft.state().keep_refresh(IssuedRefresh { token, grant });
    }
    let answer = answer::json(StatusCode::OK, &body);
    let answer = answer::with(answer, PRAGMA, "no-cache");
    let answer = answer::with(answer, HeaderName::from_static("x-ms-request-id"), &random::guid());
    answer::with(answer, HeaderName::from_static("x-ms-clitelem"), "1,0,0,,")
}

/// `scope` of the answer, which is not what was asked for.
fn scope_told(grant: &Grant) -> String {
    let asked = grant.scope.split_ascii_whitespace();
    let mut told: Vec<_> = asked.filter(|part| *part != "offline_access").collect();
    if !grant.covers("User.Read") {
        told.push("User.Read");
    }
    told.join(" ")
}

fn refuse(microsoft: &Microsoft, error: &AadError) -> Answer {
    if let Some(story) = microsoft.story() {
        story.tell(
            Narrator::Microsoft,
            "The token request was refused",
            vec![
                ("error".to_owned(), error.error.to_owned()),
                ("code".to_owned(), format!("AADSTS{}", error.number)),
            ],
        );
    }
    error.json(microsoft)
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, AadError> {
    call.form.get(name).ok_or_else(|| AadError::missing(name))
}

fn invalid_grant(number: u32, text: &str) -> AadError {
    AadError::new(number, "invalid_grant", text)
}
