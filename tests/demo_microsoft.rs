//! The emulated Entra ID, asked as an application and a browser ask it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use anteport::clock::Clock;
use anteport::demo::microsoft::{ClientSecret, Fault, Microsoft, Options, TokenAnswer, serve};
use anteport::demo::{CLIENT_ID, TENANT_DOMAIN, TENANT_ID};
use anteport::gate::{Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use url::form_urlencoded::Serializer;

const CALLBACK: &str = "https://portal.example/.auth/login/corporate/callback";
const SECRET: &str = "right~secret+/=";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: i64 = 1_772_439_330;

struct Emulator {
    microsoft: Arc<Microsoft>,
    clock: Clock,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

impl Emulator {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let clock = Clock::at(Timestamp::from_unix_seconds(NOW));
        let secret =
            |value: &str, expires| ClientSecret { value: Secret::new(value.to_owned()), expires };
        let options = Options {
            secrets: vec![
                secret(SECRET, None),
                secret("old", Some(Timestamp::from_unix_seconds(NOW))),
            ],
            redirect_uris: vec![CALLBACK.to_owned()],
            story: None,
        };
        let microsoft = Microsoft::new(base, clock.clone(), options);
        tokio::spawn(serve(listener, Arc::clone(&microsoft), std::future::pending()));
        Self { microsoft, clock }
    }

    async fn send(&self, method: &str, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let url = Url::parse(self.microsoft.base_url()).unwrap();
        let socket = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(form.to_owned()))).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn authorize(&self, request: &Pairs<'_>, cookie: &str) -> Answer {
        let path = format!("/{TENANT_ID}/oauth2/v2.0/authorize?{}", encoded(request));
        self.send("GET", &path, "", &[(COOKIE.as_str(), cookie)]).await
    }

    async fn log_in(&self, request: &Pairs<'_>, more: &Pairs<'_>) -> Answer {
        let form = [request.as_slice(), more].concat();
        self.send("POST", &format!("/{TENANT_ID}/login"), &encoded(&form), &[]).await
    }

    async fn code(&self) -> String {
        let answer = self.log_in(&request(), &treasurer()).await;
        answer.at_redirect_uri("code").unwrap()
    }

    async fn token(&self, form: &Pairs<'_>, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/{TENANT_ID}/oauth2/v2.0/token");
        self.send("POST", &path, &encoded(form), headers).await
    }

    async fn claims(&self) -> Value {
        claims(
            self.token(&redemption(&self.code().await), &[]).await.json()["id_token"]
                .as_str()
                .unwrap(),
        )
    }
}

impl Answer {
    fn at_redirect_uri(&self, name: &str) -> Option<String> {
        assert_eq!(self.status, StatusCode::FOUND, "{}", self.body);
        let location = self.headers[LOCATION].to_str().unwrap();
        assert!(location.starts_with(CALLBACK));
        let url = Url::parse(location).unwrap();
        let found = url.query_pairs().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn cookie(&self) -> String {
        let cookie = self.headers[SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"));
        cookie.split(';').next().unwrap().to_owned()
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn request() -> Pairs<'static> {
    vec![
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile email offline_access"),
        ("state", "a+b/<c>=&d"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn treasurer() -> Pairs<'static> {
    vec![("username", "treasurer@harborclub.example"), ("password", "demo")]
}

fn redemption(code: &str) -> Pairs<'_> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn changed<'a>(mut pairs: Pairs<'a>, name: &'a str, value: &'a str) -> Pairs<'a> {
    pairs.retain(|(known, _)| *known != name);
    pairs.push((name, value));
    pairs
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_domain_is_answered_with_the_guid() {
    let emulator = Emulator::start().await;
    let path = format!("/{TENANT_DOMAIN}/v2.0/.well-known/openid-configuration");
    let document = emulator.send("GET", &path, "", &[]).await.json();
    assert_eq!(document["issuer"], emulator.microsoft.issuer());
}

#[tokio::test]
async fn a_code_becomes_tokens() {
    let emulator = Emulator::start().await;
    let page = emulator.authorize(&request(), "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("EMULATOR – not Microsoft"));
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://portal.example"));

    let wrong = changed(treasurer(), "password", "guess");
    let again = emulator.log_in(&request(), &wrong).await;
    assert!(again.body.contains("role=\"alert\""));

    let back = emulator.log_in(&request(), &treasurer()).await;
    assert_eq!(back.at_redirect_uri("state").unwrap(), "a+b/<c>=&d");
    let code = back.at_redirect_uri("code").unwrap();
    assert!(code.len() > 900);

    let answer = emulator.token(&redemption(&code), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let tokens = answer.json();
    assert!(tokens["refresh_token"].is_string());
    let claims = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["nonce"], "the-nonce");
    assert_eq!(claims["aud"], CLIENT_ID);
    assert_eq!(claims["iat"], NOW - 300);
    assert_eq!(claims["exp"], NOW - 300 + 3900);
    assert_eq!(claims["sid"], back.at_redirect_uri("session_state").unwrap());

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("refresh_token", refresh),
    ];
    assert_eq!(emulator.token(&form, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_second_sign_in_is_silent_until_sign_out() {
    let emulator = Emulator::start().await;
    let silent = changed(request(), "prompt", "none");
    let refused = emulator.authorize(&silent, "").await;
    assert_eq!(refused.at_redirect_uri("error").unwrap(), "login_required");

    let back = emulator.log_in(&request(), &treasurer()).await;
    let cookie = back.cookie();
    assert!(emulator.authorize(&silent, &cookie).await.at_redirect_uri("code").is_some());
    let asked = emulator.authorize(&changed(request(), "prompt", "login"), &cookie).await;
    assert_eq!(asked.status, StatusCode::OK);

    let end = format!("/{TENANT_ID}/oauth2/v2.0/logout");
    let cookies = [(COOKIE.as_str(), cookie.as_str())];
    let picker = emulator.send("GET", &end, "", &cookies).await;
    assert!(picker.body.contains("Pick an account"));
    let hint = encoded(&[
        ("logout_hint", "treasurer@harborclub.example"),
        ("post_logout_redirect_uri", CALLBACK),
        ("state", "s"),
    ]);
    let out = emulator.send("POST", &end, &hint, &cookies).await;
    assert_eq!(out.at_redirect_uri("state").unwrap(), "s");
    let refused = emulator.authorize(&silent, &cookie).await;
    assert_eq!(refused.at_redirect_uri("error").unwrap(), "login_required");
    let elsewhere = format!("{end}?post_logout_redirect_uri=https://evil.example/");
    assert_eq!(emulator.send("GET", &elsewhere, "", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn errors_of_a_request_go_where_microsoft_shows_them() {
    let emulator = Emulator::start().await;
    for (name, value, code) in [
        ("client_id", "nobody", "AADSTS700016"),
        ("redirect_uri", "https://evil.example/", "AADSTS50011"),
    ] {
        let answer = emulator.authorize(&changed(request(), name, value), "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains(code));
    }
    for (name, value, error, code) in [
        ("response_type", "id_token", "unsupported_response_type", "AADSTS700054:"),
        ("response_mode", "fragment", "invalid_request", "AADSTS70007:"),
        ("scope", "profile", "invalid_scope", "AADSTS70011:"),
        ("code_challenge_method", "S512", "invalid_request", "AADSTS501491:"),
    ] {
        let answer = emulator.authorize(&changed(request(), name, value), "").await;
        assert_eq!(answer.at_redirect_uri("error").unwrap(), error);
        assert!(answer.at_redirect_uri("error_description").unwrap().starts_with(code));
        assert_eq!(answer.at_redirect_uri("state").unwrap(), "a+b/<c>=&d");
    }
    let cancelled = emulator.log_in(&request(), &vec![("cancel", "yes")]).await;
    assert_eq!(cancelled.at_redirect_uri("error").unwrap(), "access_denied");
    assert_eq!(cancelled.at_redirect_uri("error_subcode").unwrap(), "cancel");
    emulator.microsoft.authorize_error("server_error", None, None);
    let planned = emulator.authorize(&request(), "").await;
    assert_eq!(planned.at_redirect_uri("error").unwrap(), "server_error");
}

#[tokio::test]
async fn form_post_is_a_form() {
    let emulator = Emulator::start().await;
    let request = changed(request(), "response_mode", "form_post");
    let page = emulator.log_in(&request, &treasurer()).await;
    assert!(page.body.contains(&format!("action=\"{CALLBACK}\"")));
    assert!(
        page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'sha256-")
    );
}

#[tokio::test]
async fn the_token_endpoint_refuses_as_entra_id_does() {
    let emulator = Emulator::start().await;
    let code = emulator.code().await;
    for (name, value, status, number) in [
        ("client_secret", "", 401, 7_000_218),
        ("client_secret", "wrong", 401, 7_000_215),
        ("client_secret", "old", 401, 7_000_222),
        ("client_id", "nobody", 400, 700_016),
        ("code", "nonsense", 400, 70000),
        ("redirect_uri", "https://portal.example/", 400, 50011),
        ("code_verifier", "another", 400, 501_481),
        ("code_verifier", "", 400, 501_481),
        ("grant_type", "password", 400, 70003),
    ] {
        let answer = emulator.token(&changed(redemption(&code), name, value), &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{number}");
        assert_eq!(answer.json()["error_codes"][0], number);
    }
    let origin = [(ORIGIN.as_str(), "https://portal.example")];
    let answer = emulator.token(&redemption(&code), &origin).await;
    assert_eq!(answer.json()["error_codes"][0], 9_002_326);

    let late = emulator.code().await;
    let basic = format!(
        "{CLIENT_ID}:{}",
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>()
    );
    let basic = format!("Basic {}", STANDARD.encode(basic));
    let mut form = redemption(&code);
    form.retain(|(name, _)| !name.starts_with("client_"));
    let headers = [(AUTHORIZATION.as_str(), basic.as_str())];
    assert_eq!(emulator.token(&form, &headers).await.status, StatusCode::OK);
    assert_eq!(emulator.token(&form, &headers).await.json()["error_codes"][0], 54005);
    emulator.clock.advance(Duration::from_secs(600));
    assert_eq!(emulator.token(&redemption(&late), &[]).await.json()["error_codes"][0], 70008);
}

#[tokio::test]
async fn planned_answers_come_once() {
    let emulator = Emulator::start().await;
    let code = emulator.code().await;
    emulator.microsoft.next_token_answer(TokenAnswer::SecretExpired);
    emulator.microsoft.next_token_answer(TokenAnswer::ServerError);
    for status in [401, 500, 200] {
        assert_eq!(emulator.token(&redemption(&code), &[]).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn every_fault_is_one_thing_wrong() {
    let emulator = Emulator::start().await;
    let good = emulator.claims().await;
    for (fault, claim) in [
        (Fault::WrongNonce, Some("nonce")),
        (Fault::WrongAudience, Some("aud")),
        (Fault::WrongIssuer, Some("iss")),
        (Fault::Expired, Some("exp")),
        (Fault::NotYetValid, Some("nbf")),
        (Fault::OtherTenant, Some("tid")),
        (Fault::MissingOid, Some("oid")),
        (Fault::Guest, Some("idp")),
        (Fault::AlgNone, None),
        (Fault::Hs256WithPublicKey, None),
        (Fault::UnknownKey, None),
        (Fault::PersonalKey, None),
        (Fault::BadSignature, None),
    ] {
        emulator.microsoft.next_token(fault);
        let bad = emulator.claims().await;
        for name in ["nonce", "aud", "iss", "exp", "nbf", "tid", "oid", "idp"] {
            if claim == Some(name) {
                assert_ne!(bad[name], good[name], "{fault:?}");
            } else if claim.is_none() {
                assert_eq!(bad[name], good[name], "{fault:?}");
            }
        }
    }
}
