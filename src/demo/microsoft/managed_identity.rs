//! Where a machine of Azure's asks for tokens of its managed identities: the instance metadata
//! service, and the endpoint of App Service (azure.md, section 3.2). Each wants a header that no
//! page of a browser can be made to send.

use std::time::Duration;

use http::header::HeaderName;
use http::{Method, StatusCode};
use serde_json::json;

use super::tenants::Product;
use super::{Call, Microsoft};
use crate::demo::TENANT_ID;
use crate::demo::answer::{self, Answer};
use crate::demo::random;

/// The path of the instance metadata service.
pub(super) const IMDS: &str = "/metadata/identity/oauth2/token";
/// The path of App Service's endpoint.
pub(super) const APP_SERVICE: &str = "/msi/token";
/// What App Service wants in `X-IDENTITY-HEADER`. It is worth nothing: the emulator is on loopback.
pub const IDENTITY_HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn token(microsoft: &Microsoft, path: &str, call: &Call) -> Answer {
    microsoft.counts.identity.up();
    let (header, expected, version) = match path {
        IMDS => ("metadata", "true", "2018-02-01"),
        _ => ("x-identity-header", IDENTITY_HEADER, "2019-08-01"),
    };
    let refuse = |status, error: &str, text: &str| {
        answer::json(status, &json!({ "error": error, "error_description": text }))
    };
    if call.method != Method::GET {
        let text = "ask with GET";
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "bad_request_101", text);
    }
    let sent = call.headers.get(HeaderName::from_static(header));
    if sent.is_none_or(|sent| sent.as_bytes() != expected.as_bytes()) {
        let text = "Required metadata header not specified";
        return refuse(StatusCode::BAD_REQUEST, "bad_request_102", text);
    }
    if call.query.get("api-version") != Some(version) {
        let text = "the version of the interface is missing or unknown";
        return refuse(StatusCode::BAD_REQUEST, "bad_request_103", text);
    }
    let Some(resource) = call.query.get("resource") else {
        let text = "Required audience parameter not specified";
        return refuse(StatusCode::BAD_REQUEST, "invalid_resource", text);
    };
    let mut identities = microsoft.options.proofs.identities.iter();
    let found = identities.find(|it| Some(&*it.client_id) == call.query.get("client_id"));
    let Some(identity) = found else {
        let text = "Identity not found";
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", text);
    };
    let now = microsoft.now();
    let ends = now.after(LIFETIME).unix_seconds();
    let claims = json!({
        "aud": resource,
        "iss": microsoft.issuer(),
        "iat": now.unix_seconds(),
        "nbf": now.unix_seconds(),
        "exp": ends,
        "appid": identity.client_id,
        "idtyp": "app",
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "tid": TENANT_ID,
        "uti": random::token(16),
        "ver": "2.0",
    });
    let token = microsoft.keys.of(Product::EntraId).signing().await.sign(&claims);
    let body = json!({
        "access_token": token,
        "client_id": identity.client_id,
        "expires_on": ends.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    answer::json(StatusCode::OK, &body)
}
