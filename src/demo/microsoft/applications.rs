//! The app registration about itself: tokens in the application's own name
//! (`grant_type=client_credentials`), and what Graph answers to one about secrets and certificates
//! (azure.md, section 10). Deliberately not here: Graph about people.

use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::errors::{AadError, date_and_time};
use super::tenants::{Place, Product, Whose};
use super::{Call, Microsoft, client, token};
use crate::certificate::Certificate;
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::gate::{Secret, Timestamp};

/// What the address begins with.
pub(super) const PATH: &str = "/graph/v1.0/applications(";
/// Long after everything else.
const NEVER: Timestamp = Timestamp::from_unix_seconds(4_102_444_800);

/// Answers a token request without anybody's name.
pub(super) async fn token(
    microsoft: &Microsoft,
    place: Place,
    call: &Call,
) -> Result<Value, AadError> {
    client::authenticate(microsoft, place, call).await?;
    let is_of_one =
        matches!(place.whose, Whose::One(tenant) if tenant.product != Product::Personal);
    if !is_of_one {
        let text = "The grant is not supported over the /common or /consumers endpoints.";
        return Err(AadError::new(90_130, "invalid_request", text));
    }
    if !token::required(call, "scope")?.ends_with("/.default") {
        let text = "Client credential flows must have a scope value with /.default suffixed to \
                    the resource identifier.";
        return Err(AadError::new(1_002_012, "invalid_scope", text));
    }
    let access_token = format!("eyJ0.{}", random::token(600));
    microsoft.state().keep_app_token(Secret::new(access_token.clone()));
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
        "access_token": access_token,
    }))
}

/// What Graph says of the registration.
pub(super) fn registration(microsoft: &Microsoft, path: &str, call: &Call) -> Answer {
    microsoft.counts.applications.up();
    let refuse = |status, code: &str| {
        let inner = json!({ "request-id": random::guid(), "date": date_and_time(microsoft.now()) });
        let error = json!({ "code": code, "message": "refused", "innerError": inner });
        answer::json(status, &json!({ "error": error }))
    };
    let bearer = call.headers.get(AUTHORIZATION).and_then(|field| field.to_str().ok());
    let bearer = bearer.and_then(|field| field.strip_prefix("Bearer ")).unwrap_or_default();
    if !microsoft.state().knows_app_token(bearer) {
        return refuse(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    }
    if !microsoft.options.proofs.reads_applications {
        return refuse(StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    }
    let asked = path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix("appId='"));
    let asked = asked.and_then(|rest| rest.strip_suffix("')"));
    let Some(client_id) = asked.filter(|id| microsoft.knows_client(id)) else {
        return refuse(StatusCode::NOT_FOUND, "Request_ResourceNotFound");
    };
    let secrets = microsoft.options.secrets.iter().map(|secret| {
        let hint: String = secret.value.expose().chars().take(3).collect();
        json!({
            "customKeyIdentifier": null,
            "displayName": null,
            "endDateTime": written(secret.expires.unwrap_or(NEVER)),
            "hint": hint,
            "keyId": random::guid(),
            "secretText": null,
            "startDateTime": "2024-01-01T00:00:00Z",
        })
    });
    let certificates = microsoft.options.proofs.certificates.iter();
    let certificates = certificates.filter_map(|der| Certificate::read(der)).map(|certificate| {
        let [hexadecimal, _] = certificate.sha1_in_graph();
        json!({
            "customKeyIdentifier": hexadecimal,
            "endDateTime": written(certificate.ends()),
            "keyId": random::guid(),
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        })
    });
    let body = json!({
        "appId": client_id,
        "passwordCredentials": secrets.collect::<Vec<_>>(),
        "keyCredentials": certificates.collect::<Vec<_>>(),
    });
    answer::json(StatusCode::OK, &body)
}

fn written(end: Timestamp) -> String {
    date_and_time(end).replace(' ', "T")
}
