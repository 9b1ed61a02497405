//! The metadata document and the key set, with exactly the members and headers that Microsoft's were
//! recorded with. A domain in the URL changes nothing: every URL inside names the tenant's GUID, and
//! those of B2C its domain.

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderName,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use serde_json::{Value, json};

use super::Microsoft;
use super::keys::Members;
use super::tenants::{PERSONAL, Place, Product};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::demo::story::Narrator;

pub(super) fn discovery(microsoft: &Microsoft, place: Place) -> Answer {
    microsoft.counts.discovery.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The metadata were read", vec![]);
    }
    let document = match place.product() {
        Product::AzureAdB2c => of_b2c(microsoft, place),
        Product::EntraId | Product::Personal | Product::ExternalId => of_entra(microsoft, place),
    };
    recorded_headers(answer::json(StatusCode::OK, &document))
}

fn of_entra(microsoft: &Microsoft, place: Place) -> Value {
    let base = &microsoft.base;
    let endpoint = |endpoint: &str| place.endpoint(base, endpoint);
    json!({
        "token_endpoint": endpoint("oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": endpoint("discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": place.documented_issuer(base, false),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{base}/oidc/userinfo"),
        "authorization_endpoint": endpoint("oauth2/v2.0/authorize"),
        "device_authorization_endpoint": endpoint("oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": endpoint("oauth2/v2.0/logout"),
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name",
            "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat", "auth_time", "acr",
            "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"
        ],
        "kerberos_endpoint": endpoint("kerberos"),
        "tenant_region_scope": "WW",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    })
}

/// No PKCE, no `private_key_jwt`, `openid` alone of the scopes: so it was recorded.
fn of_b2c(microsoft: &Microsoft, place: Place) -> Value {
    let endpoint = |endpoint: &str| place.endpoint(&microsoft.base, endpoint);
    json!({
        "issuer": place.documented_issuer(&microsoft.base, microsoft.options.b2c.names_policy),
        "authorization_endpoint": endpoint("oauth2/v2.0/authorize"),
        "token_endpoint": endpoint("oauth2/v2.0/token"),
        "end_session_endpoint": endpoint("oauth2/v2.0/logout"),
        "jwks_uri": endpoint("discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": [
            "code", "code id_token", "code token", "code id_token token", "id_token",
            "id_token token", "token", "token id_token"
        ],
        "scopes_supported": ["openid"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": [
            "name", "emails", "given_name", "family_name", "idp", "newUser", "oid", "sub", "tfp",
            "iss", "iat", "exp", "aud", "acr", "nonce", "auth_time"
        ],
    })
}

pub(super) async fn keys(microsoft: &Microsoft, place: Place) -> Answer {
    microsoft.counts.keys.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The signing keys were fetched", vec![]);
    }
    let base = &microsoft.base;
    let members = match place.product() {
        Product::AzureAdB2c => Members::Bare,
        Product::ExternalId => Members::Named {
            issuer: "https://{tenantid}.ciamlogin.com/{tenantid}/v2.0".to_owned(),
            personal_issuer: None,
        },
        Product::EntraId | Product::Personal => Members::Named {
            // The braces are literal: each tenant puts its own id there.
            issuer: format!("{base}/{{tenantid}}/v2.0"),
            personal_issuer: Some(format!("{base}/{}/v2.0", PERSONAL.id)),
        },
    };
    let keys = microsoft.keys.set(&members).await;
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
