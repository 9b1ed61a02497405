//! LOG-01: everything that the binary does, at its most talkative, with a canary for each secret;
//! and then a look at everything that it tells operators and strangers.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anteport::demo::Ports;
use anteport::demo::microsoft::{Fault, Microsoft, TokenAnswer, Trouble};
use serde_json::Map;

use crate::browser::{Answer, Browser, PAGE};
use crate::kit::{Folder, PATIENCE, Running, Server, free_ports, read_all, until};
use crate::microsoft::{microsoft, providers};
use crate::open::open;

/// What nobody may read again. Each has the word in it, or begins as only tokens begin.
const CANARY: &str = "canary";
/// How each JWT begins, and the emulator's refresh tokens.
const TOKENS: [&str; 2] = ["eyJ", "1.AXYA"];
const SEALING_KEY: &str = "Y2FuYXJ5LW9mLXRoZS1zZWFsaW5nLWtleS0zMi1iISE=";
const NEXT_SEALING_KEY: &str = "Y2FuYXJ5LW9mLXRoZS1uZXh0LXNlYWxpbmcta2V5ISE=";
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5LW9mLXRoZS13ZWJob29rLXNlY3JldCEh";
const ADA: &str = "treasurer@harborclub.example";

const fn ports(first: u16) -> Ports {
    Ports { proxy: first, microsoft: first + 3, portal: first + 2, admin: first + 1 }
}

fn config(ports: &Ports, collector: u16, directory: u16) -> String {
    let Ports { proxy, microsoft, portal, admin } = ports;
    let another = "}, { secret: { value: \"canary-of-another-secret\" } } ]";
    let providers = providers(*microsoft).replace("} ]", another);
    format!(
        r#"
listen: {{ address: "127.0.0.1:{proxy}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
{providers}
    scopes: [openid, profile, email, offline_access, "https://graph.microsoft.com/User.Read"]
sessions: {{ keys: [ {{ file: ./sealing_key }} ], snapshot: ./sessions, refresh_interval: 1m }}
signing: {{ keys: [ {{ file: ./signing_keys.pem }} ] }}
verify: {{ peers: [127.0.0.1], description: x_original }}
logging: {{ to: stdout, level: trace, format: json, access_to: ./access.log, audit_to: ./audit.log }}
traces:
  endpoint: "http://127.0.0.1:{collector}/v1/traces?key=canary-of-the-endpoint"
  headers: {{ Authorization: {{ value: "canary-of-the-collector" }} }}
  sample: 1
portals:
  - public_url: "http://127.0.0.1:{proxy}"
    upstream: {{ url: "http://127.0.0.1:{portal}" }}
    sign_in: {{ resend_forms: 64KiB, test: true }}
    local_login: {{ login_pages: [/login], password_routes: [ {{ path: /login }}, {{ path: /api, form: {{ password: "*" }} }} ] }}
    routes: [ {{ path: "/public/**", access: public }}, {{ path: "/api/**", access: public }}, {{ path: "/**", access: signed_in }} ]
    members:
      unknown: allow
      directory: {{ webhook: {{ url: "http://127.0.0.1:{directory}/hook?key=canary-of-the-hook", secret: {{ value: "{WEBHOOK_SECRET}" }} }} }}
    identity:
      headers: {{ X-Auth-Name: name, X-Auth-Email: email }}
      signature: {{ algorithm: hmac-sha256, secret: {{ value: "Y2FuYXJ5LW9mLXRoZS1wb3J0YWwtc2VjcmV0LTMyYiE=" }} }}
      tokens: {{ access_token: X-Auth-Access-Token, id_token: X-Auth-Id-Token, portal_acts_as_member: true }}
"#
    )
}

/// What was seen on the way that nobody may read again, and what strangers were shown.
#[derive(Default)]
struct Seen {
    secrets: BTreeSet<String>,
    shown: Vec<(String, String)>,
}

impl Seen {
    /// A page of ours: what it shows is looked at, and what it sets is a secret.
    fn page(&mut self, what: &str, answer: &Answer) {
        if answer.status >= 400 {
            self.shown.push((what.to_owned(), answer.text()));
        }
    }

    fn cookies(&mut self, browser: &mut Browser) {
        let values = browser.own_cookies().values().filter(|value| value.len() >= 16);
        self.secrets.extend(values.cloned());
    }

    fn parameters(&mut self, url: &url::Url) {
        for (name, value) in url.query_pairs() {
            if ["code", "state", "nonce", "code_challenge", "id_token_hint"].contains(&&*name) {
                self.secrets.insert(value.into_owned());
            }
        }
    }
}

/// Bytes that are no request, or one that no client would send.
fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Somebody signs in and goes about.
async fn sign_in(port: u16, microsoft: &Microsoft, seen: &mut Seen) -> Browser {
    let mut browser = Browser::new(format!("http://127.0.0.1:{port}"));
    let mut claims = Map::new();
    claims.insert("name".to_owned(), "Canary Of A Name".into());
    claims.insert("nickname".to_owned(), "canary-of-a-claim".into());
    microsoft.next_claims(claims);
    let off = browser.open("/reports?page=canary-of-the-query").await;
    assert_eq!(off.status, 303, "{}", off.text());
    seen.parameters(&off.location());
    seen.cookies(&mut browser);
    let form = browser.follow_from(off).await;
    let back = browser.submit(&form, ADA, "demo").await;
    seen.parameters(&back.location());
    let callback = back.location();
    let landed = browser.open_url(&callback).await;
    assert_eq!(landed.status, 303, "{}", landed.text());
    seen.cookies(&mut browser);
    assert_eq!(browser.follow_from(landed).await.status, 200);
    // The same callback once more.
    let replayed = browser.open_url(&callback).await;
    assert!(replayed.status >= 400);
    seen.page("a callback that was used", &replayed);
    browser
}

/// Sign-ins that come to nothing.
async fn refused_sign_ins(port: u16, microsoft: &Microsoft, seen: &mut Seen) {
    let fresh = || Browser::new(format!("http://127.0.0.1:{port}"));
    for (error, description) in [
        (
            "access_denied",
            "AADSTS65004: canary of the text\r\nTrace ID: 0d1f-1\r\nCorrelation ID: 9b3e-2",
        ),
        ("server_error", "canary of the text, which no code begins"),
        ("canary_error", "canary"),
    ] {
        microsoft.authorize_error(error, Some("canary-of-a-subcode"), Some(description));
        let mut browser = fresh();
        let refused = browser.follow("/reports").await;
        assert!(refused.status >= 400, "{error}: {}", refused.status);
        seen.page(error, &refused);
    }
    for answer in [
        TokenAnswer::SecretExpired,
        TokenAnswer::Refused(70008),
        TokenAnswer::NoIdToken,
        TokenAnswer::Trouble(Trouble::Html),
        TokenAnswer::Trouble(Trouble::Truncated),
    ] {
        let mut browser = fresh();
        let callback = browser.sign_in_to_callback("/reports", ADA).await;
        seen.parameters(&callback);
        seen.cookies(&mut browser);
        microsoft.next_token_answer(answer);
        let refused = browser.open_url(&callback).await;
        seen.page(&format!("{answer:?}"), &refused);
    }
    for fault in [Fault::WrongNonce, Fault::BadSignature, Fault::UnknownKey, Fault::Expired] {
        let mut browser = fresh();
        let callback = browser.sign_in_to_callback("/reports", ADA).await;
        seen.cookies(&mut browser);
        microsoft.next_token(fault);
        let refused = browser.open_url(&callback).await;
        assert!(refused.status >= 400, "{fault:?}");
        seen.page(&format!("{fault:?}"), &refused);
    }
    // The button of the test page, and what it shows to who pressed it alone.
    let mut browser = fresh();
    let tests = browser.follow("/.auth/test").await;
    seen.page("the test page", &tests);
    let callback = browser.sign_in_to_callback("/.auth/test/corporate", ADA).await;
    assert_eq!(browser.open_url(&callback).await.status, 200);
}

/// Requests that go nowhere.
async fn refused_requests(port: u16, seen: &mut Seen) {
    let stranger = Browser::new(format!("http://127.0.0.1:{port}"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let telling = [
        ("cookie", "__Host-anteport=canary-of-a-ticket; PHPSESSID=canary-of-a-session"),
        ("authorization", "Basic Y2FuYXJ5OmNhbmFyeQ=="),
        ("proxy-authorization", "Bearer canary-of-a-proxy"),
        ("x-anteport-assertion", "canary-of-an-assertion"),
        ("x-api-key", "canary-of-an-api-key"),
        ("traceparent", "canary-of-a-parent"),
        ("baggage", "user=canary-of-baggage"),
    ];
    let many: Vec<(&str, &str)> =
        telling.into_iter().chain([form]).chain(PAGE.iter().copied()).collect();
    let password: &[u8] = b"user=ada&password=canary-of-a-password";
    for (method, target, body) in [
        ("GET", "/public/page?token=canary-of-the-query", &b""[..]),
        ("GET", "/reports?code=canary-of-a-code", b""),
        ("GET", "/login?next=canary-of-the-query", b""),
        ("POST", "/login?x=canary-of-the-query", password),
        ("POST", "/api?x=canary-of-the-query", password),
        ("POST", "/reports?x=canary-of-the-query", password),
        ("GET", "/a%2Fb?x=canary-of-the-query", b""),
        (
            "GET",
            "/.auth/login/corporate/callback?code=canary-of-a-code&state=canary-of-a-state",
            b"",
        ),
        (
            "GET",
            "/.auth/login/corporate/callback?error=canary&error_description=canary&state=1.canary",
            b"",
        ),
        (
            "POST",
            "/.auth/login/corporate/callback",
            b"code=canary-of-a-code&state=canary&id_token=canary",
        ),
        ("GET", "/.auth/login/corporate?post_login_redirect_uri=//canary.example/", b""),
        ("GET", "/.auth/front-channel-logout/corporate?sid=canary-of-a-sid&iss=canary", b""),
        (
            "POST",
            "/.auth/back-channel-logout/corporate",
            b"logout_token=eyJhbGciOiJub25lIn0.canary.canary",
        ),
        ("POST", "/.auth/refresh?x=canary", b""),
        ("POST", "/.auth/resend", password),
        ("GET", "/.auth/me?x=canary", b""),
        ("GET", "/.auth/none?x=canary", b""),
        ("GET", "/.auth/verify?x=canary", b""),
        ("GET", "/.auth/logout?post_logout_redirect_uri=https://canary.example/", b""),
        ("DELETE", "/reports?x=canary-of-the-query", b""),
    ] {
        let answer = stranger.send(method, target, &many, body).await;
        // What is shown of a form is sealed, and for whoever sent it.
        seen.page(&format!("{method} {}", target.split('?').next().unwrap()), &answer);
        seen.page("as JSON", &stranger.send(method, target, &telling, body).await);
    }
    let described = [("x-original-uri", "/reports?x=canary"), ("x-original-method", "GET")];
    let of_another = [&telling[..], &described].concat();
    let answer = stranger.send("GET", "/.auth/verify", &of_another, b"").await;
    seen.page("verify", &answer);
    let host = format!("Host: 127.0.0.1:{port}\r\nCookie: a=canary\r\nAuthorization: canary\r\n");
    for bytes in [
        format!("GET /?canary HTTP/1.1\r\n{host}{host}\r\n"),
        format!(
            "GET /?canary HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\ncanary"
        ),
        format!("GET /?canary HTTP/1.1\r\n{host} folded: canary\r\n\r\n"),
        format!("GET /?canary HTTP/1.1\r\n{host}Expect: canary\r\n\r\n"),
        format!(
            "POST /public/a?canary HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\ncanary\r\n"
        ),
        format!("GET /?{} HTTP/1.1\r\n{host}\r\n", "canary".repeat(3000)),
        format!("GET /?canary HTTP/1.1\r\n{host}X: {}\r\n\r\n", "canary".repeat(9000)),
        "GET /?canary HTTP/1.1\r\nHost: canary.example\r\nCookie: a=canary\r\n\r\n".to_owned(),
        "canary canary canary\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{0}canary".to_owned(),
    ] {
        seen.shown.push((bytes.lines().next().unwrap().to_owned(), raw(port, bytes.as_bytes())));
    }
}

/// What a member does.
async fn about(mut browser: Browser, seen: &mut Seen) {
    for target in ["/reports?page=canary-of-the-query", "/.auth/me?x=canary", "/.auth/jwks.json"] {
        assert_eq!(browser.open(target).await.status, 200, "{target}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = b"note=canary-of-a-note&password=canary-of-a-password";
    assert_eq!(browser.send("POST", "/reports", &form, body).await.status, 200);
    assert_eq!(browser.send("POST", "/login", &form, body).await.status, 403);
    let refreshed = browser.send("POST", "/.auth/refresh", &[], b"").await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let described = [("x-original-uri", "/reports?x=canary"), ("x-original-method", "GET")];
    browser.send("GET", "/.auth/verify", &described, b"").await;
    seen.cookies(&mut browser);
    let out = browser.open("/.auth/logout").await;
    assert_eq!(out.status, 303, "{}", out.text());
    seen.parameters(&out.location());
    seen.page("after it", &browser.open("/.auth/me").await);
}

#[test]
fn log_01_no_secret_is_in_anything_that_operators_or_strangers_are_told() {
    let folder = Folder::new();
    let port = free_ports(4);
    let ports = ports(port);
    let microsoft = microsoft(&ports);
    let portal = Server::start(port + 2, "200 OK", "{\"said\": \"canary of the portal\"}");
    let collector = Server::start(0, "400 Canary", "{\"message\": \"canary of the collector\"}");
    let directory = Server::start(
        0,
        "200 OK",
        r#"{ "decision": "admit", "claims": { "membership_number": "canary-of-an-extension" } }"#,
    );
    folder.write("sealing_key", SEALING_KEY);
    let keys = folder.at("signing_keys.pem");
    let made = Command::new(env!("CARGO_BIN_EXE_anteport"))
        .args(["keys", "generate", "--file"])
        .arg(&keys)
        .output()
        .unwrap();
    assert!(made.status.success());
    let text = config(&ports, collector.port, directory.port);
    let mut running = Running::start(&folder.write("config.yaml", &text), port);
    let (stdout, stderr) = (read_all(running.stdout()), read_all(running.stderr()));

    let mut seen = Seen::default();
    let pem = folder.read("signing_keys.pem");
    seen.secrets.extend(pem.lines().filter(|line| line.len() == 64).map(str::to_owned));
    for key in [SEALING_KEY, NEXT_SEALING_KEY, WEBHOOK_SECRET] {
        seen.secrets.insert(key.trim_start_matches("whsec_").to_owned());
    }
    let mut told = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let browser = sign_in(port, &microsoft, &mut seen).await;
        about(browser, &mut seen).await;
        refused_sign_ins(port, &microsoft, &mut seen).await;
        refused_requests(port, &mut seen).await;
        let browser = sign_in(port, &microsoft, &mut seen).await;
        told.extend(operators(&running));
        // Files are exchanged, and then hold what cannot be used.
        let audit = || folder.read("audit.log");
        folder.write("sealing_key", NEXT_SEALING_KEY);
        running.signal("-HUP");
        until("the next key is in force", || audit().contains("sealing-keys-changed"));
        folder.write("sealing_key", "canary-of-what-is-no-key");
        folder.write("signing_keys.pem", &format!("{pem}\ncanary-of-what-is-no-key"));
        running.signal("-HUP");
        until("they cannot be used", || {
            let told = running.admin("GET", "/metrics", "").unwrap();
            told.contains("\nanteport_sealing_keys_faulty 1")
        });
        microsoft.set_outage(true);
        seen.page(
            "an outage",
            &Browser::new(format!("http://127.0.0.1:{port}")).follow("/reports").await,
        );
        microsoft.set_outage(false);
        drop(browser);
    });
    told.extend(operators(&running));
    let revoked = running.admin("POST", "/-/sessions/revoke", "{\"everybody\": true}").unwrap();
    told.push(("revoke".to_owned(), revoked));
    assert_eq!(running.stop_within(Duration::from_secs(30)).code(), Some(0));

    // It did what there are canaries for.
    let audit = folder.read("audit.log");
    for event in
        ["login-succeeded", "login-failed", "login-tested", "logged-out", "password-route-refused"]
    {
        assert!(audit.contains(event), "{event}: {audit}");
    }
    assert!(folder.read("access.log").lines().count() > 40);
    let to_portal = portal.asked();
    for header in ["x-auth-access-token", "x-auth-id-token", "x-anteport-assertion"] {
        let tokens = to_portal.iter().filter_map(|asked| asked.headers.get(header)).cloned();
        let before = seen.secrets.len();
        seen.secrets.extend(tokens);
        assert!(seen.secrets.len() > before, "{header} reached the portal");
    }
    assert!(directory.asked().iter().any(|asked| asked.body.contains("member.login")));
    let spans = collector.asked();
    assert!(spans.iter().any(|asked| asked.headers["authorization"] == "canary-of-the-collector"));

    told.extend([
        ("standard output".to_owned(), stdout.join().unwrap()),
        ("standard error".to_owned(), stderr.join().unwrap()),
        ("access.log".to_owned(), folder.read("access.log")),
        ("audit.log".to_owned(), audit),
    ]);
    told.extend(spans.into_iter().map(|asked| ("spans".to_owned(), asked.body)));
    assert!(seen.shown.len() > 50, "{}", seen.shown.len());
    told.append(&mut seen.shown);
    for (place, text) in &told {
        assert!(!text.is_empty() || place == "standard error", "{place} tells nothing");
    }
    for (place, text) in &told {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = lower.find(CANARY) {
            panic!("a canary in {place}: …{}", around(text, at));
        }
        let others = seen.secrets.iter().map(String::as_str).chain(TOKENS).chain([ADA]);
        for secret in others {
            if let Some(at) = text.find(secret) {
                panic!("{secret} in {place}: …{}", around(text, at));
            }
        }
    }
    assert!(seen.secrets.len() > 30, "{}", seen.secrets.len());
}

/// Everything that the admin listener tells.
fn operators(running: &Running) -> Vec<(String, String)> {
    let targets = [
        "/livez",
        "/readyz?verbose",
        "/metrics",
        "/version",
        "/-/config",
        "/-/discoveries",
        "/-/last-logins",
        "/-/sessions",
        "/-/none?x=canary",
    ];
    let ask = |target: &str| (target.to_owned(), running.admin("GET", target, "").unwrap());
    let mut told: Vec<_> = targets.into_iter().map(ask).collect();
    for target in ["/-/reload", "/-/sessions/revoke", "/-/sessions"] {
        let body = "{\"session\": \"canary-of-a-handle\", \"canary\": 1}";
        told.push((target.to_owned(), running.admin("POST", target, body).unwrap()));
    }
    told
}

fn around(text: &str, at: usize) -> String {
    let from = text.as_bytes().get(at.saturating_sub(200)..).unwrap_or_default();
    String::from_utf8_lossy(from.get(..400).unwrap_or(from)).into_owned()
}

/// A store that cannot be reached is named with its password nowhere.
#[test]
fn log_01_a_store_that_is_not_there_does_not_tell_its_password() {
    let folder = Folder::new();
    let port = free_ports(5);
    folder.write("sealing_key", SEALING_KEY);
    let nobody = port + 4;
    let sessions = format!(
        r#"
sessions:
  store: redis
  keys: [ {{ file: ./sealing_key }} ]
  redis: {{ servers: [ "127.0.0.1:{nobody}" ], username: canary, password: {{ value: canary-of-redis }} }}
logging: {{ level: trace }}
"#
    );
    let config = open(port, port + 1, port + 2, &sessions);
    let file = folder.write("config.yaml", &config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_anteport"))
        .args(["run", "--config"])
        .arg(file)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = read_all(child.stderr.take().unwrap());
    let ask = |target: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port + 1)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    until("it was looked for", || {
        ask("/readyz?verbose").is_some_and(|answer| answer.contains("not reached yet"))
    });
    let told = [ask("/readyz?verbose"), ask("/metrics")].map(Option::unwrap).join("\n");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let said = stderr.join().unwrap();
    assert!(said.contains("\"stopped\""), "{said}");
    for text in [&told, &said] {
        assert!(!text.contains("canary") && !text.contains(SEALING_KEY), "{text}");
    }
}
