//! The metadata document and the key set, with exactly the members and headers that Entra ID was
//! recorded with. A domain in the URL changes nothing: every URL inside names the tenant's GUID.

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderName,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use serde_json::json;

use super::Microsoft;
use crate::demo::answer::{self, Answer};
use crate::demo::story::Narrator;
use crate::demo::{TENANT_ID, random};

/// The tenant of all personal accounts: a constant of Microsoft's.
const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

pub(super) fn discovery(microsoft: &Microsoft) -> Answer {
    microsoft.counts.discovery.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The metadata were read", vec![]);
    }
    let base = &microsoft.base;
    let tenant = format!("{base}/{TENANT_ID}");
    let document = json!({
        "token_endpoint": format!("{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{tenant}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": microsoft.issuer(),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{base}/oidc/userinfo"),
        "authorization_endpoint": format!("{tenant}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{tenant}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{tenant}/oauth2/v2.0/logout"),
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name",
            "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat", "auth_time", "acr",
            "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"
        ],
        "kerberos_endpoint": format!("{tenant}/kerberos"),
        "tenant_region_scope": "WW",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    });
    recorded_headers(answer::json(StatusCode::OK, &document))
}

pub(super) async fn keys(microsoft: &Microsoft) -> Answer {
    microsoft.counts.keys.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The signing keys were fetched", vec![]);
    }
    let base = &microsoft.base;
    // The braces are literal: each tenant puts its own id there.
    let issuer = format!("{base}/{{tenantid}}/v2.0");
    let personal_issuer = format!("{base}/{PERSONAL_TENANT}/v2.0");
    let keys = microsoft.keys.set(&issuer, &personal_issuer).await;
    recorded_headers(answer::json(StatusCode::OK, &keys))
}

fn recorded_headers(answer: Answer) -> Answer {
    let answer = answer::with(answer, CACHE_CONTROL, "max-age=86400, private");
    let answer = answer::with(answer, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    let answer = answer::with(answer, ACCESS_CONTROL_ALLOW_METHODS, "GET, OPTIONS");
    let answer =
        answer::with(answer, STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    let name = HeaderName::from_static("p3p");
    let mut answer = answer::with(answer, name, "CP=\"DSP CUR OTPi IND OTRi ONL FIN\"");
    for (name, value) in
        [("x-ms-request-id", random::guid()), ("x-ms-ests-server", "2.1.0 - emulator".to_owned())]
    {
        answer = answer::with(answer, HeaderName::from_static(name), &value);
    }
    let cookies = [
        ("fpc", random::token(24)),
        ("esctx", random::token(48)),
        ("x-ms-gateway-slice", "estsfd".to_owned()),
        ("stsservicecookie", "estsfd".to_owned()),
    ];
    for (name, value) in cookies {
        let cookie = format!("{name}={value}; path=/; secure; HttpOnly; SameSite=None");
        answer = answer::and(answer, SET_COOKIE, &cookie);
    }
    answer
}
