//! The demo's partners by themselves: the emulated Microsoft behaves as azure.md says Microsoft
//! does, and the portal verifies an assertion as a portal's developer would.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "demo_partners/emulator.rs"]
mod emulator;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anteport::clock::Clock;
use anteport::demo::microsoft::{self, ClientSecret, Fault, Microsoft, TokenAnswer, Trouble};
use anteport::demo::portal::{self, Portal};
use anteport::demo::story::Story;
use anteport::demo::{CLIENT_ID, Ports, TENANT_DOMAIN, TENANT_ID};
use anteport::gate::{Secret, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const NOON: i64 = 1_790_000_000;
const CALLBACK: &str = "http://127.0.0.1:9999/.auth/login/corporate/callback";
const SIGNED_OUT: &str = "http://127.0.0.1:9999/.auth/logout/done";
const SECRET: &str = "s3cret+with/reserved~=";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

// A browser of a few lines.

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn location(&self) -> Url {
        Url::parse(self.headers["location"].to_str().unwrap()).unwrap()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let url = self.location();
        let mut pairs = url.query_pairs();
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    fn code(&self) -> String {
        self.parameter("code").unwrap()
    }

    fn cookies(&self) -> String {
        let fields = self.headers.get_all("set-cookie").iter();
        let pairs: HashSet<_> = fields
            .map(|field| field.to_str().unwrap().split(';').next().unwrap().to_owned())
            .collect();
        pairs.into_iter().collect::<Vec<_>>().join("; ")
    }
}

async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Reply {
    let url = Url::parse(url).unwrap();
    let authority = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut request = Request::builder()
        .method(method)
        .uri(&url[url::Position::BeforePath..])
        .header("host", &authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let socket = TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Reply {
        status: head.status,
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

async fn get(url: &str) -> Reply {
    send(Method::GET, url, &[], "").await
}

async fn post(url: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Reply {
    send(Method::POST, url, headers, written(form)).await
}

fn written(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What redeems a code.
fn redeeming(code: &str) -> [(&'static str, &str); 6] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

// The emulated Microsoft.

struct Tenant {
    microsoft: Arc<Microsoft>,
    clock: Clock,
}

impl Tenant {
    async fn start() -> Self {
        Self::start_with(microsoft::Options::default()).await
    }

    async fn start_with(options: microsoft::Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let clock = Clock::at(Timestamp::from_unix_seconds(NOON));
        let options = microsoft::Options {
            secrets: vec![
                ClientSecret {
                    value: Secret::new("old".to_owned()),
                    expires: Some(Timestamp::from_unix_seconds(NOON - 1)),
                },
                ClientSecret { value: Secret::new(SECRET.to_owned()), expires: None },
            ],
            redirect_uris: vec![CALLBACK.to_owned(), SIGNED_OUT.to_owned()],
            story: Some(Story::new(clock.clone())),
            ..options
        };
        let microsoft = Microsoft::new(base, clock.clone(), options);
        let never = std::future::pending();
        tokio::spawn(microsoft::serve(listener, Arc::clone(&microsoft), never));
        Self { microsoft, clock }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/{TENANT_ID}/{rest}", self.microsoft.base_url())
    }

    fn authorize(&self, changes: &[(&str, &str)]) -> String {
        self.url(&format!("oauth2/v2.0/authorize?{}", authorization(changes)))
    }

    async fn sign_in(&self, username: &str, changes: &[(&str, &str)]) -> Reply {
        let url = self.url(&format!("login?{}", authorization(changes)));
        post(&url, &[], &[("username", username), ("password", "demo")]).await
    }

    async fn code(&self) -> String {
        self.sign_in("treasurer@harborclub.example", &[]).await.code()
    }

    async fn redeem(
        &self,
        code: &str,
        changes: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Reply {
        let form = changed(&redeeming(code), changes);
        post(&self.url("oauth2/v2.0/token"), headers, &form).await
    }

    async fn refused(
        &self,
        changes: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> (u16, String, u64) {
        let code = self.code().await;
        told(&self.redeem(&code, changes, headers).await)
    }

    async fn id_token(&self) -> String {
        let reply = self.redeem(&self.code().await, &[], &[]).await;
        reply.json()["id_token"].as_str().unwrap().to_owned()
    }

    /// Verifies an ID token as a relying party should; times are judged by the tenant's clock.
    async fn verify(&self, jwt: &str) -> Result<Value, String> {
        let header = jsonwebtoken::decode_header(jwt).map_err(|error| error.to_string())?;
        let keys = get(&self.url("discovery/v2.0/keys")).await.json();
        let keys = keys["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == *header.kid.as_deref().unwrap());
        let key = key.ok_or("unknown key")?;
        if !key["issuer"].as_str().unwrap().contains("{tenantid}") {
            return Err("a key of another issuer".to_owned());
        }
        let (n, e) = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
        let key = jsonwebtoken::DecodingKey::from_rsa_components(n, e).unwrap();
        let mut rules = jsonwebtoken::Validation::new(Algorithm::RS256);
        rules.set_audience(&[CLIENT_ID]);
        rules.set_issuer(&[self.microsoft.issuer()]);
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<Value>(jwt, &key, &rules);
        let claims = claims.map_err(|error| error.to_string())?.claims;
        let time = |name: &str| claims[name].as_i64().unwrap();
        let now = self.clock.now().unix_seconds();
        if now >= time("exp") || now < time("nbf") {
            return Err("not now".to_owned());
        }
        if claims["nonce"] != "n-once" || claims["tid"] != TENANT_ID || !claims["oid"].is_string() {
            return Err("another login, tenant or nobody".to_owned());
        }
        Ok(claims)
    }
}

fn authorization(changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    written(&changed(
        &[
            ("client_id", CLIENT_ID),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile email"),
            ("state", "st-ate_1"),
            ("nonce", "n-once"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
        changes,
    ))
}

/// The pairs with others in their place; an empty value takes one away.
fn changed<'a>(
    pairs: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = pairs.iter().filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    kept.chain(added).copied().collect()
}

fn told(reply: &Reply) -> (u16, String, u64) {
    let body = reply.json();
    let number = body["error_codes"][0].as_u64().unwrap();
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
    for member in ["trace_id", "correlation_id", "timestamp", "error_uri"] {
        assert!(body[member].is_string(), "{member}");
    }
    (reply.status.as_u16(), body["error"].as_str().unwrap().to_owned(), number)
}

#[tokio::test]
async fn the_metadata_have_exactly_the_members_of_microsofts() {
    let tenant = Tenant::start().await;
    let by_id = get(&tenant.url("v2.0/.well-known/openid-configuration")).await;
    let document = by_id.json();
    let members: HashSet<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let recorded = "token_endpoint token_endpoint_auth_methods_supported jwks_uri \
        response_modes_supported subject_types_supported id_token_signing_alg_values_supported \
        response_types_supported scopes_supported issuer request_uri_parameter_supported \
        userinfo_endpoint authorization_endpoint device_authorization_endpoint \
        http_logout_supported frontchannel_logout_supported end_session_endpoint claims_supported \
        kerberos_endpoint tenant_region_scope cloud_instance_name cloud_graph_host_name \
        msgraph_host rbac_url";
    assert_eq!(members, recorded.split_whitespace().collect());
    let base = tenant.microsoft.base_url();
    assert_eq!(document["issuer"], format!("{base}/{TENANT_ID}/v2.0"));
    assert_eq!(by_id.headers["cache-control"], "max-age=86400, private");
    assert_eq!(by_id.headers["access-control-allow-origin"], "*");
    assert_eq!(by_id.headers.get_all("set-cookie").iter().count(), 4);

    let url = format!("{base}/{TENANT_DOMAIN}/v2.0/.well-known/openid-configuration");
    assert_eq!(get(&url).await.json(), document, "a domain names the same tenant");
    assert_eq!(tenant.microsoft.counts().discovery, 2);

    let unknown = format!("{base}/nowhere.example/v2.0/.well-known/openid-configuration");
    assert_eq!(told(&get(&unknown).await), (400, "invalid_request".to_owned(), 90002));
}

#[tokio::test]
async fn keys_have_no_algorithm_and_name_their_issuer() {
    let tenant = Tenant::start().await;
    let keys = get(&tenant.url("discovery/v2.0/keys")).await.json();
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "one of the tenant, one of personal accounts");
    for key in keys {
        assert!(key.get("alg").is_none());
        assert_eq!(key["x5t"], key["kid"]);
        assert_eq!(key["cloud_instance_name"], "microsoftonline.com");
        assert_eq!(key["e"], "AQAB");
        assert_eq!(key["n"].as_str().unwrap().len(), 342);
        assert!(key["x5c"][0].as_str().unwrap().starts_with("MII"));
    }
    let template = format!("{}/{{tenantid}}/v2.0", tenant.microsoft.base_url());
    assert_eq!(keys[0]["issuer"], template);
}

#[tokio::test]
async fn a_code_with_pkce_becomes_a_back_dated_id_token() {
    let tenant = Tenant::start().await;
    let form = get(&tenant.authorize(&[])).await;
    assert_eq!(form.status, 200);
    for part in
        ["EMULATOR – not Microsoft", "name=\"username\"", "name=\"password\"", "name=\"cancel\""]
    {
        assert!(form.text().contains(part), "{part}");
    }
    let back = tenant.sign_in("Member@HarborClub.example", &[]).await;
    assert_eq!(back.status, 302);
    assert!(back.location().as_str().starts_with(CALLBACK));
    assert_eq!(back.parameter("state").unwrap(), "st-ate_1");
    assert!(back.parameter("iss").is_none());
    assert!((950..1100).contains(&back.code().len()));

    let reply = tenant.redeem(&back.code(), &[], &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["cache-control"], "no-store, no-cache");
    assert_eq!(reply.headers["x-ms-clitelem"], "1,0,0,,");
    let body = reply.json();
    assert!(body["expires_in"].is_number());
    assert!(body.get("refresh_token").is_none());
    let claims = tenant.verify(body["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["name"], "Zoë Halvorsen");
    assert_eq!(claims["email"], "member@harborclub.example");
    assert_eq!(claims["roles"], json!(["Member"]));
    assert_eq!(claims["ver"], "2.0");
    assert_eq!(claims["sid"], back.parameter("session_state").unwrap());
    assert_eq!(claims["iat"], NOON - 300);
    assert_eq!(claims["nbf"], NOON - 300);
    assert_eq!(claims["exp"], NOON + 3600);
    assert_ne!(claims["sub"], claims["oid"]);
}

#[tokio::test]
async fn a_refresh_token_comes_with_offline_access_only() {
    let tenant = Tenant::start().await;
    let scope = [("scope", "openid profile offline_access")];
    let back = tenant.sign_in("member@harborclub.example", &scope).await;
    let body = tenant.redeem(&back.code(), &[], &[]).await.json();
    let token = body["refresh_token"].as_str().unwrap();
    let changes = [("grant_type", "refresh_token"), ("refresh_token", token), ("code", "")];
    let again = tenant.redeem("", &changes, &[]).await;
    assert_eq!(again.status, 200);
    assert!(again.json()["id_token"].is_string());
}

#[tokio::test]
async fn a_second_sign_in_is_silent_unless_asked_otherwise() {
    let tenant = Tenant::start().await;
    let first = tenant.sign_in("treasurer@harborclub.example", &[]).await;
    let paths: Vec<_> = first.headers.get_all("set-cookie").iter().collect();
    assert!(
        paths.iter().all(|cookie| !cookie.to_str().unwrap().contains("Path=/;")),
        "the cookie must not reach other ports of this host"
    );
    let cookie = first.cookies();
    let browse = async |changes: &[(&str, &str)]| {
        send(Method::GET, &tenant.authorize(changes), &[("cookie", &cookie)], "").await
    };
    let second = browse(&[]).await;
    assert_eq!(second.status, 302);
    assert_eq!(second.parameter("session_state"), first.parameter("session_state"));
    assert_eq!(browse(&[("prompt", "none")]).await.status, 302);
    assert_eq!(browse(&[("prompt", "login")]).await.status, 200);
    let picker = browse(&[("prompt", "select_account")]).await;
    assert!(picker.text().contains("name=\"continue\""));

    let nobody = get(&tenant.authorize(&[("prompt", "none")])).await;
    assert_eq!(nobody.parameter("error").unwrap(), "login_required");
    assert!(nobody.parameter("error_description").unwrap().starts_with("AADSTS50058"));
}

#[tokio::test]
async fn client_and_redirect_errors_stay_on_a_page() {
    let tenant = Tenant::start().await;
    for (change, number) in [
        (("client_id", "0b5f7c11-9e2d-4a38-b6c4-1d7e8f9a0b2c"), "AADSTS700016"),
        (("client_id", ""), "AADSTS900144"),
        (("redirect_uri", "http://127.0.0.1:9999/elsewhere"), "AADSTS50011"),
        (("state", &"x".repeat(9000)), "AADSTS90015"),
    ] {
        let page = get(&tenant.authorize(&[change])).await;
        assert_eq!(page.status, 400);
        assert!(page.text().contains(number), "{number}");
        assert!(!page.headers.contains_key("location"));
    }
    let doubled = format!("{}&scope=openid", tenant.authorize(&[]));
    assert!(get(&doubled).await.text().contains("AADSTS9000411"));
}

#[tokio::test]
async fn other_errors_go_to_the_redirect_uri_with_the_state() {
    let tenant = Tenant::start().await;
    for (change, error, number) in [
        (("response_type", ""), "invalid_request", "AADSTS900144"),
        (("response_mode", "smoke"), "invalid_request", "AADSTS70007"),
        (("scope", ""), "invalid_request", "AADSTS900144"),
        (("prompt", "please"), "invalid_request", "AADSTS90023"),
        (("code_challenge", "short"), "invalid_request", "AADSTS50147"),
        (("code_challenge_method", "S1"), "invalid_request", "AADSTS501491"),
    ] {
        let back = get(&tenant.authorize(&[change])).await;
        assert!(back.location().as_str().starts_with(CALLBACK), "{number}");
        assert_eq!(back.parameter("error").unwrap(), error);
        assert!(back.parameter("error_description").unwrap().starts_with(number));
        assert_eq!(back.parameter("state").unwrap(), "st-ate_1");
    }
}

#[tokio::test]
async fn a_cancelled_and_a_planned_failure_come_back_as_errors() {
    let tenant = Tenant::start().await;
    let url = tenant.url(&format!("login?{}", authorization(&[])));
    let back = post(&url, &[], &[("cancel", "1")]).await;
    assert_eq!(back.parameter("error").unwrap(), "access_denied");
    assert_eq!(back.parameter("error_subcode").unwrap(), "cancel");
    assert!(back.parameter("error_description").is_none());

    let description = "AADSTS65004: User declined to consent.";
    tenant.microsoft.authorize_error("access_denied", None, Some(description));
    let back = get(&tenant.authorize(&[])).await;
    assert_eq!(back.parameter("error_description").unwrap(), description);
    assert_eq!(get(&tenant.authorize(&[])).await.status, 200, "it was for once");
}

#[tokio::test]
async fn a_wrong_password_shows_the_form_again_with_what_was_typed() {
    let tenant = Tenant::start().await;
    let url = tenant.url(&format!("login?{}", authorization(&[])));
    let typed = [("username", "<b>@harborclub.example"), ("password", "guess")];
    let form = post(&url, &[], &typed).await;
    assert_eq!(form.status, 200);
    assert!(form.text().contains("AADSTS50126"));
    assert!(form.text().contains("&#60;b&#62;@harborclub.example"));
}

#[tokio::test]
async fn form_post_is_a_page_that_posts_by_itself_or_by_a_button() {
    let tenant = Tenant::start().await;
    let page = tenant.sign_in("member@harborclub.example", &[("response_mode", "form_post")]).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(&format!("action=\"{CALLBACK}\"")));
    assert!(page.text().contains("name=\"code\""));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'sha256-"));
    assert!(policy.contains("form-action 'self' http://127.0.0.1:9999"));
}

#[tokio::test]
async fn the_token_endpoint_refuses_as_microsoft_does() {
    let tenant = Tenant::start().await;
    let invalid = |status, error: &str, number| (status, error.to_owned(), number);
    for (changes, headers, expected) in [
        (vec![("client_secret", "guess")], vec![], invalid(401, "invalid_client", 7_000_215)),
        (vec![("client_secret", "old")], vec![], invalid(401, "invalid_client", 7_000_222)),
        (vec![("client_secret", "")], vec![], invalid(401, "invalid_client", 7_000_218)),
        (vec![("client_id", "another")], vec![], invalid(400, "unauthorized_client", 700_016)),
        (vec![], vec![("origin", "http://x.example")], invalid(400, "invalid_request", 9_002_326)),
        (vec![("code_verifier", "guess")], vec![], invalid(400, "invalid_grant", 501_481)),
        (vec![("code_verifier", "")], vec![], invalid(400, "invalid_grant", 501_481)),
        (vec![("redirect_uri", SIGNED_OUT)], vec![], invalid(400, "invalid_grant", 500_112)),
        (vec![("code", "made-up")], vec![], invalid(400, "invalid_grant", 70000)),
        (vec![("code", "")], vec![], invalid(400, "invalid_request", 900_144)),
        (vec![("grant_type", "password")], vec![], invalid(400, "unsupported_grant_type", 70003)),
        (vec![("grant_type", "")], vec![], invalid(400, "invalid_request", 900_144)),
    ] {
        assert_eq!(tenant.refused(&changes, &headers).await, expected, "{changes:?}");
    }
    let by_get = get(&tenant.url("oauth2/v2.0/token")).await;
    assert_eq!(told(&by_get), invalid(400, "invalid_request", 900_561));
}

#[tokio::test]
async fn a_code_works_once_for_ten_minutes_at_its_own_tenant_name() {
    let tenant = Tenant::start().await;
    let code = tenant.code().await;
    let elsewhere = tenant.url("oauth2/v2.0/token").replace(TENANT_ID, TENANT_DOMAIN);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("code", &code),
    ];
    assert_eq!(told(&post(&elsewhere, &[], &form).await).2, 700_005);
    assert_eq!(tenant.redeem(&code, &[], &[]).await.status, 200);
    let again = tenant.redeem(&code, &[], &[]).await;
    assert_eq!(told(&again), (400, "invalid_grant".to_owned(), 54005));

    let code = tenant.code().await;
    tenant.clock.advance(Duration::from_secs(600));
    assert_eq!(told(&tenant.redeem(&code, &[], &[]).await).2, 70008);
}

#[tokio::test]
async fn a_client_authenticates_by_basic_too() {
    let tenant = Tenant::start().await;
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{encoded}")));
    let code = tenant.code().await;
    let changes = [("client_id", ""), ("client_secret", "")];
    let reply = tenant.redeem(&code, &changes, &[("authorization", &basic)]).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn every_fault_spoils_one_token_and_the_next_is_good() {
    let tenant = Tenant::start().await;
    for fault in [
        Fault::WrongNonce,
        Fault::WrongAudience,
        Fault::WrongIssuer,
        Fault::AlgNone,
        Fault::Hs256WithPublicKey,
        Fault::UnknownKey,
        Fault::PersonalKey,
        Fault::BadSignature,
        Fault::Expired,
        Fault::NotYetValid,
        Fault::OtherTenant,
        Fault::MissingOid,
    ] {
        tenant.microsoft.next_token(fault);
        let verdict = tenant.verify(&tenant.id_token().await).await;
        assert!(verdict.is_err(), "{fault:?}");
    }
    assert!(tenant.verify(&tenant.id_token().await).await.is_ok());
    tenant.microsoft.next_token(Fault::Guest);
    let guest = tenant.verify(&tenant.id_token().await).await.unwrap();
    assert!(guest["idp"].as_str().unwrap().starts_with("https://sts.windows.net/"));
}

#[tokio::test]
async fn the_token_endpoint_fails_once_when_told_to() {
    let tenant = Tenant::start().await;
    let code = tenant.code().await;
    tenant.microsoft.next_token_answer(TokenAnswer::SecretExpired);
    tenant.microsoft.next_token_answer(TokenAnswer::Trouble(Trouble::ServerError));
    tenant
        .microsoft
        .next_token_answer(TokenAnswer::Trouble(Trouble::Slow(Duration::from_millis(1))));
    assert_eq!(told(&tenant.redeem(&code, &[], &[]).await).2, 7_000_222);
    let broken = tenant.redeem(&code, &[], &[]).await;
    assert_eq!(broken.status, 500);
    assert_eq!(broken.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(tenant.redeem(&code, &[], &[]).await.status, 200, "slow, but in order");
    assert_eq!(tenant.microsoft.counts().token, 3);

    tenant.microsoft.set_outage(true);
    assert_eq!(get(&tenant.url("discovery/v2.0/keys")).await.status, 503);
}

#[tokio::test]
async fn a_rotated_key_stays_published_and_a_replaced_one_does_not() {
    let tenant = Tenant::start().await;
    let before = tenant.id_token().await;
    tenant.microsoft.rotate_keys();
    let after = tenant.id_token().await;
    assert!(tenant.verify(&before).await.is_ok());
    assert!(tenant.verify(&after).await.is_ok());
    tenant.microsoft.replace_keys();
    assert_eq!(tenant.verify(&after).await.unwrap_err(), "unknown key");
    assert!(tenant.verify(&tenant.id_token().await).await.is_ok());
}

#[tokio::test]
async fn a_sign_out_ends_the_session_and_returns_to_registered_uris_alone() {
    let tenant = Tenant::start().await;
    let browse = async |cookie: &str, query: &[(&str, &str)]| {
        let url = tenant.url(&format!("oauth2/v2.0/logout?{}", written(query)));
        send(Method::GET, &url, &[("cookie", cookie)], "").await
    };
    let cookie = tenant.sign_in("treasurer@harborclub.example", &[]).await.cookies();
    let to = ("post_logout_redirect_uri", SIGNED_OUT);
    let picker = browse(&cookie, &[to]).await;
    assert!(picker.text().contains("Which account"), "without a hint it asks");
    let claims = tenant.verify(&tenant.id_token().await).await.unwrap();
    let hint = ("logout_hint", claims["login_hint"].as_str().unwrap());
    let back = browse(&cookie, &[to, hint, ("state", "bye")]).await;
    assert_eq!(back.location().as_str(), format!("{SIGNED_OUT}?state=bye"));
    let again = send(Method::GET, &tenant.authorize(&[]), &[("cookie", &cookie)], "").await;
    assert_eq!(again.status, 200, "the form, not a code");
    let elsewhere = ("post_logout_redirect_uri", "http://evil.example/");
    let stays = browse(&cookie, &[elsewhere]).await;
    assert_eq!(stays.status, 200);
    assert!(stays.text().contains("signed out"));
}

#[tokio::test]
async fn the_log_masks_what_is_secret() {
    let tenant = Tenant::start().await;
    let code = tenant.code().await;
    let token = tenant.redeem(&code, &[], &[]).await.json();
    let log = format!("{:?}", tenant.microsoft.log());
    for secret in [SECRET, VERIFIER, code.as_str(), token["id_token"].as_str().unwrap(), "\"demo\""]
    {
        assert!(!log.contains(secret));
    }
    assert!(log.contains("/oauth2/v2.0/token"));
    let page = get(&format!("{}/", tenant.microsoft.base_url())).await;
    assert!(page.text().contains("/oauth2/v2.0/token"));
    assert!(!page.text().contains(SECRET));
    let debug = format!("{:?}", tenant.microsoft);
    assert!(!debug.contains(SECRET) && !debug.contains(&code));
}

#[tokio::test]
async fn a_listener_that_is_not_on_loopback_is_refused() {
    let clock = Clock::system();
    let story = Story::new(clock.clone());
    let ports = Ports::starting_at(9000);
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let options = microsoft::Options::demo(&ports, Secret::new(String::new()), Arc::clone(&story));
    let microsoft = Microsoft::new("http://127.0.0.1:1", clock.clone(), options);
    assert!(microsoft::serve(listener, microsoft, async {}).await.is_err());
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let portal = Portal::new(clock, portal::Options::demo(&ports, story));
    assert!(portal::serve(listener, portal, async {}).await.is_err());
}

// The portal.

const PUBLIC_URL: &str = "http://127.0.0.1:9998";

struct Club {
    url: String,
    clock: Clock,
    key: EcdsaKeyPair,
}

impl Club {
    /// The portal, and a listener that publishes a key as the proxy would.
    async fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let keys = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jwks_url = format!("http://{}/.auth/jwks.json", keys.local_addr().unwrap());
        tokio::spawn(publish(keys, jwks(&key)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Clock::at(Timestamp::from_unix_seconds(NOON));
        let options = portal::Options {
            issuer: PUBLIC_URL.to_owned(),
            audience: PUBLIC_URL.to_owned(),
            jwks_url: Url::parse(&jwks_url).unwrap(),
            public_url: Url::parse(PUBLIC_URL).unwrap(),
            own_url: url.clone(),
            story: Story::new(clock.clone()),
        };
        let portal = Portal::new(clock.clone(), options);
        tokio::spawn(portal::serve(listener, portal, std::future::pending()));
        Self { url, clock, key }
    }

    fn assertion(&self, changes: Value) -> String {
        let mut claims = json!({
            "iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": "tid.oid", "iat": NOON, "exp": NOON + 60,
            "name": "Ines Caldera", "roles": ["Treasurer"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(&self.key, Some("k1"), &claims)
    }

    async fn believes(&self, headers: &[(&str, &str)]) -> Value {
        let url = format!("{}/whoami.json", self.url);
        send(Method::GET, &url, headers, "").await.json()["assertion"].clone()
    }

    async fn reason(&self, assertion: &str) -> String {
        let found = self.believes(&[("x-anteport-assertion", assertion)]).await;
        assert_eq!(found["verified"], false);
        found["reason"].as_str().unwrap().to_owned()
    }
}

fn sign(key: &EcdsaKeyPair, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = kid.map(str::to_owned);
    let der = key.to_pkcs8v1().unwrap();
    let key = EncodingKey::from_ec_der(der.as_ref());
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

fn jwks(key: &EcdsaKeyPair) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y, "alg": "ES256", "use": "sig" }] })
        .to_string()
}

async fn publish(listener: TcpListener, keys: String) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = socket.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"GET /.auth/jwks.json HTTP/1.1\r\n"));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{keys}", keys.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_good_assertion_is_believed() {
    let club = Club::start().await;
    let assertion = club.assertion(json!({}));
    let found = club.believes(&[("x-anteport-assertion", &assertion)]).await;
    assert_eq!(found["verified"], true);
    assert_eq!(found["claims"]["name"], "Ines Caldera");
    let url = format!("{}/", club.url);
    let page = send(Method::GET, &url, &[("x-anteport-assertion", &assertion)], "").await;
    assert!(page.text().contains("Welcome, Ines Caldera"));
    assert!(page.text().contains("/.auth/logout"));
}

#[tokio::test]
async fn whatever_is_wrong_with_an_assertion_makes_it_nobodys() {
    let club = Club::start().await;
    for (changes, reason) in [
        (json!({ "aud": "http://other.example" }), "audience"),
        (json!({ "iss": "http://other.example" }), "issuer"),
        (json!({ "exp": NOON }), "expired"),
        (json!({ "iat": NOON + 30 }), "issued-in-the-future"),
        (json!({ "iat": null }), "claim-missing"),
        (json!({ "sub": null }), "claim-missing"),
    ] {
        assert_eq!(club.reason(&club.assertion(changes)).await, reason);
    }
    assert_eq!(club.reason("forged").await, "assertion-malformed");
    let claims =
        json!({ "iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": "x", "iat": NOON, "exp": NOON + 60 });
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    assert_eq!(club.reason(&sign(&other, Some("k1"), &claims)).await, "signature");
    assert_eq!(club.reason(&sign(&other, Some("k2"), &claims)).await, "key-unknown");
    assert_eq!(club.reason(&sign(&club.key, None, &claims)).await, "assertion-malformed");
    let shared = EncodingKey::from_secret(b"secret");
    let hs256 = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &shared).unwrap();
    assert_eq!(club.reason(&hs256).await, "assertion-algorithm");
    assert_eq!(
        club.reason(&club.assertion(json!({ "name": "still good" }))[1..]).await,
        "assertion-malformed"
    );

    club.clock.advance(Duration::from_secs(60));
    assert_eq!(club.reason(&club.assertion(json!({}))).await, "expired");
}

#[tokio::test]
async fn two_assertions_or_plain_headers_alone_are_nobody() {
    let club = Club::start().await;
    let assertion = club.assertion(json!({}));
    let twice = [("x-anteport-assertion", assertion.as_str()); 2];
    assert_eq!(
        club.believes(&twice).await,
        json!({ "verified": false, "reason": "assertion-repeated" })
    );
    let plain = [("x-auth-user", "admin"), ("x-auth-name", "Admin")];
    assert_eq!(
        club.believes(&plain).await,
        json!({ "verified": false, "reason": "assertion-missing" })
    );
    let page = send(Method::GET, &format!("{}/", club.url), &plain, "").await;
    assert!(!page.text().contains("Admin"));
}

#[tokio::test]
async fn whoami_says_what_arrived_for_any_method() {
    let club = Club::start().await;
    let url = format!("{}/public/whoami.json?a=1&a=%2F", club.url);
    let headers = [("x-first", "1"), ("x-second", "2"), ("x-first", "3")];
    for method in [Method::POST, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let report = send(method.clone(), &url, &headers, "body").await.json();
        assert_eq!(report["method"], method.as_str());
        assert_eq!(report["target"], "/public/whoami.json?a=1&a=%2F");
        let arrived = report["headers"].as_array().unwrap();
        for (name, value) in headers {
            assert!(arrived.contains(&json!([name, value])), "{name}: {value}");
        }
    }
    let head = send(Method::HEAD, &url, &[], "").await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_password_door_opens_on_the_portals_own_port() {
    let club = Club::start().await;
    let door = format!("{}/login", club.url);
    assert!(get(&door).await.text().contains("name=\"password\""));
    let wrong = post(&door, &[], &[("name", "eve"), ("password", "guess")]).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.headers.get("set-cookie").is_none());
    let inside = post(&door, &[], &[("name", "eve"), ("password", "letmein")]).await;
    assert_eq!(inside.status, 302);
    let cookie = inside.cookies();
    assert!(cookie.starts_with("PORTALSESSION="));
    let home = format!("{}/", club.url);
    let page = send(Method::GET, &home, &[("cookie", &cookie)], "").await;
    assert!(page.text().contains("Welcome, eve"));
    let out = send(Method::GET, &format!("{}/logout", club.url), &[("cookie", &cookie)], "").await;
    assert_eq!(out.status, 302);
    let page = send(Method::GET, &home, &[("cookie", &cookie)], "").await;
    assert!(!page.text().contains("eve"));
}

#[tokio::test]
async fn bodies_go_both_ways() {
    let club = Club::start().await;
    let down = get(&format!("{}/download?bytes=1000000", club.url)).await;
    assert_eq!(down.headers["content-length"], "1000000");
    assert_eq!(down.body.len(), 1_000_000);
    let up =
        send(Method::POST, &format!("{}/upload", club.url), &[], down.body.clone()).await.json();
    assert_eq!(up["length"], 1_000_000);
    let hash: String =
        digest(&SHA256, &down.body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(up["sha256"], hash);
    let ticks = get(&format!("{}/stream?chunks=3&ms=1", club.url)).await;
    assert!(!ticks.headers.contains_key("content-length"));
    assert_eq!(ticks.text(), "line 1 of 3\nline 2 of 3\nline 3 of 3\n");
    assert_eq!(get(&format!("{}/slow?ms=1", club.url)).await.status, 200);
}

#[tokio::test]
async fn the_portal_has_its_pages_and_escapes_what_it_shows() {
    let club = Club::start().await;
    let reports = get(&format!("{}/reports?year=%3Cscript%3E", club.url)).await;
    assert!(reports.text().contains("&#60;script&#62;"));
    assert!(!reports.text().contains("<script>"));
    let style = get(&format!("{}/assets/portal.css", club.url)).await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    assert!(get(&format!("{}/demo", club.url)).await.text().contains("without a verified sender"));
    let planted = get(&format!("{}/set-cookie", club.url)).await;
    assert_eq!(planted.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(get(&format!("{}/nowhere", club.url)).await.status, 404);
    let put = send(Method::PUT, &format!("{}/", club.url), &[], "").await;
    assert_eq!(put.status, 405);
    // Nothing listens where this portal believes the proxy to be.
    let forge = get(&format!("{}/demo/forge", club.url)).await;
    assert!(forge.text().contains("did not reach the portal"));
}

#[tokio::test]
async fn a_forged_header_that_gets_through_is_called_that() {
    // A «proxy» that strips nothing: the portal itself.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ports = Ports { proxy: port, ..Ports::starting_at(9000) };
    let clock = Clock::at(Timestamp::from_unix_seconds(NOON));
    let portal = Portal::new(clock.clone(), portal::Options::demo(&ports, Story::new(clock)));
    tokio::spawn(portal::serve(listener, portal, std::future::pending()));
    let forge = get(&format!("http://127.0.0.1:{port}/demo/forge")).await;
    assert!(forge.text().contains("got through"));
}

/// The same emulator as a tenant of B2C.
#[tokio::test]
async fn b2c_answers_as_b2c_does() {
    let tenant = Tenant::start().await;
    let base = tenant.microsoft.base_url().to_owned();
    let (domain, id) = ("harbormembers.onmicrosoft.com", "c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8");
    let at = |policy: &str, rest: &str| format!("{base}/{domain}/{policy}/{rest}");
    let metadata = |url: String| async move {
        let reply = get(&url).await;
        assert_eq!(reply.status, 200, "{url}");
        reply.json()
    };
    let known = "v2.0/.well-known/openid-configuration";
    let by_path = metadata(at("B2C_1_SignUpSignIn", known)).await;
    assert_eq!(by_path["issuer"], format!("{base}/{id}/v2.0/"));
    assert_eq!(by_path["token_endpoint"], at("b2c_1_signupsignin", "oauth2/v2.0/token"));
    assert!(by_path.get("code_challenge_methods_supported").is_none());
    let by_query = metadata(format!("{base}/{id}/{known}?p=b2c_1_signupsignin")).await;
    let token = format!("{base}/{domain}/oauth2/v2.0/token?p=b2c_1_signupsignin");
    assert_eq!(by_query["token_endpoint"], token);
    assert_eq!(get(&at("B2C_1_nobody", known)).await.status, 404);

    // A code is good at the policy that it is of, and is longer than Entra's.
    let login = at("b2c_1_signupsignin", &format!("login?{}", authorization(&[])));
    let reply = post(&login, &[], &[("username", "ines@mail.example"), ("password", "demo")]).await;
    let code = reply.code();
    assert!(code.len() > 2400 && reply.parameter("session_state").is_none());
    let form = redeeming(&code);
    let reset = at("b2c_1_passwordreset", "oauth2/v2.0/token");
    let refused = post(&reset, &[], &form).await.json();
    let members: Vec<_> = refused.as_object().unwrap().keys().collect();
    assert_eq!(members, ["error", "error_description"]);
    let description = refused["error_description"].as_str().unwrap();
    assert!(description.starts_with("AADB2C90088: ") && description.ends_with("\r\n"));
    let tokens = post(&at("b2c_1_signupsignin", "oauth2/v2.0/token"), &[], &form).await.json();
    assert!(tokens.get("access_token").is_none() && tokens.get("expires_in").is_none());
    assert_eq!(tokens["id_token_expires_in"], 3600);
    let claims = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["tfp"], "B2C_1_signupsignin");
    assert_eq!(
        (claims["emails"][0].as_str(), claims.get("tid")),
        (Some("ines@mail.example"), None)
    );
}

/// Whose people may sign in where.
#[tokio::test]
async fn an_account_signs_in_where_it_is_at_home() {
    let tenant = Tenant::start().await;
    let base = tenant.microsoft.base_url();
    for (place, username, lets_in) in [
        (TENANT_ID, "member@harborclub.example", true),
        (TENANT_ID, "ana@partner.example", false),
        ("organizations", "ana@partner.example", true),
        ("organizations", "noor@outlook.example", false),
        ("common", "noor@outlook.example", true),
        ("common", "visitor@mail.example", false),
        ("consumers", "noor@outlook.example", true),
        ("consumers", "member@harborclub.example", false),
        ("harborguests.onmicrosoft.com", "visitor@mail.example", true),
        ("harborguests.onmicrosoft.com", "member@harborclub.example", false),
    ] {
        let login = format!("{base}/{place}/login?{}", authorization(&[]));
        let reply = post(&login, &[], &[("username", username), ("password", "demo")]).await;
        assert_eq!(reply.headers.contains_key("location"), lets_in, "{place} {username}");
    }
}
