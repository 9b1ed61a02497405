//! The metadata document and the key set, with exactly the members and headers that Microsoft's
//! were recorded with. A domain in the URL changes nothing: every URL inside names the tenant's
//! GUID, and those of B2C its domain.

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderName,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use serde_json::{Value, json};

use super::errors::AadError;
use super::keys::Members;
use super::tenants::{PERSONAL, Place, Product};
use super::{Call, Microsoft, pages, trouble};
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::demo::story::Narrator;

/// The metadata; with `?appid=` those of an application that has a key of its own.
pub(super) async fn discovery(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.discovery.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The metadata were read", vec![]);
    }
    let document = match place.product() {
        Product::AzureAdB2c => of_b2c(microsoft, place),
        Product::EntraId | Product::Personal | Product::ExternalId => {
            of_entra(microsoft, place, call.query.get("appid"))
        }
    };
    document_answer(microsoft, &document).await
}

/// The metadata of the endpoints before v2.0, whose tokens have an issuer of their own.
pub(super) async fn discovery_of_v1(microsoft: &Microsoft, place: Place) -> Answer {
    microsoft.counts.discovery.up();
    let is_there = matches!(place.product(), Product::EntraId | Product::Personal);
    if !is_there {
        return pages::not_found();
    }
    let base = &microsoft.base;
    let endpoint = |endpoint: &str| place.endpoint(base, endpoint);
    let issuer = place.documented_issuer("https://sts.windows.net", false);
    let document = json!({
        "issuer": issuer.replace("/v2.0", "/"),
        "authorization_endpoint": endpoint("oauth2/authorize"),
        "token_endpoint": endpoint("oauth2/token"),
        "end_session_endpoint": endpoint("oauth2/logout"),
        "jwks_uri": endpoint("discovery/keys"),
        "check_session_iframe": endpoint("oauth2/checksession"),
        "response_types_supported": ["code", "id_token", "code id_token", "token id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    });
    document_answer(microsoft, &document).await
}

/// A document, unless its turn has come to be one that cannot be had.
async fn document_answer(microsoft: &Microsoft, document: &Value) -> Answer {
    let planned = microsoft.state().document_troubles.pop_front();
    let answer = recorded_headers(answer::json(StatusCode::OK, document));
    match planned {
        Some(trouble) => trouble::afflict(trouble, answer).await,
        None => answer,
    }
}

/// Which hosts are one cloud's, as Microsoft's own libraries ask: here it is this one alone.
pub(super) fn instance(microsoft: &Microsoft, call: &Call) -> Answer {
    let asked = call.query.get("authorization_endpoint").and_then(|url| url::Url::parse(url).ok());
    let host = url::Url::parse(&microsoft.base).ok().and_then(|base| {
        let host = base.host_str()?.to_owned();
        Some(base.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    });
    let tenant = asked.as_ref().and_then(|url| url.path_segments()?.next().map(str::to_owned));
    let (Some(host), Some(tenant)) = (host, tenant) else {
        let text = "The request must contain the following parameter: 'authorization_endpoint'.";
        return AadError::new(50049, "invalid_instance", text).json(microsoft);
    };
    let document = json!({
        "tenant_discovery_endpoint":
            format!("{}/{tenant}/v2.0/.well-known/openid-configuration", microsoft.base),
        "api-version": "1.1",
        "metadata": [
            { "preferred_network": host, "preferred_cache": host, "aliases": [host] },
        ],
    });
    recorded_headers(answer::json(StatusCode::OK, &document))
}

fn of_entra(microsoft: &Microsoft, place: Place, application: Option<&str>) -> Value {
    let base = &microsoft.base;
    let [cloud, old_graph, graph, region] = place.cloud().names();
    let keys = place.endpoint(base, "discovery/v2.0/keys");
    let keys = application.map_or_else(
        || keys.clone(),
        |id| {
            let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            format!("{keys}?appid={id}")
        },
    );
    let endpoint = |endpoint: &str| place.endpoint(base, endpoint);
    json!({
        "token_endpoint": endpoint("oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": keys,
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
        "tenant_region_scope": region,
        "cloud_instance_name": cloud,
        "cloud_graph_host_name": old_graph,
        "msgraph_host": graph,
        "rbac_url": "https://pas.windows.net",
    })
}

/// No PKCE, no `private_key_jwt`, `openid` alone of the scopes: so it was recorded.
fn of_b2c(microsoft: &Microsoft, place: Place) -> Value {
    let endpoint = |endpoint: &str| place.endpoint(&microsoft.base, endpoint);
    json!({
        "issuer": place.documented_issuer(&microsoft.base, microsoft.switches().b2c.names_policy),
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

pub(super) async fn keys(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.keys.up();
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, "The signing keys were fetched", vec![]);
    }
    let base = &microsoft.base;
    let [cloud, ..] = place.cloud().names();
    let members = match place.product() {
        Product::AzureAdB2c => Members::Bare,
        Product::ExternalId => Members::Named {
            issuer: "https://{tenantid}.ciamlogin.com/{tenantid}/v2.0".to_owned(),
            cloud,
            personal_issuer: None,
        },
        Product::EntraId | Product::Personal => Members::Named {
            // The braces are literal: each tenant puts its own id there.
            issuer: format!("{base}/{{tenantid}}/v2.0"),
            cloud,
            personal_issuer: Some(format!("{base}/{}/v2.0", PERSONAL.id)),
        },
    };
    let ring = match call.query.get("appid") {
        Some(_) => microsoft.keys.own(),
        None => microsoft.keys.of(place.product()),
    };
    let keys = ring.set(&members).await;
    let answer = document_answer(microsoft, &keys).await;
    match microsoft.switches().key_sets {
        Some(trouble) => trouble::afflict(trouble, answer).await,
        None => answer,
    }
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
