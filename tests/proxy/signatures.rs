//! What a portal gets of a signed request (ENV-03), read by its own means from what was on the
//! wire: the names in `Signature-Input` say what the signature is over.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http2_portals;
use crate::websockets::{self, Echo};
use crate::world::browser::PAGE;
use crate::world::{MORNING, Plan, World};

const SECRET: &str = "Y2FuYXJ5LVNFU1NJT04ta2V5LTAxMjM0NTY3ODkwMTI=";
const ENVIRONMENT: &[(&str, &str)] = &[("PORTAL_SECRET", SECRET)];

const SIGNED: &str = r#"
    mode: azure_only
    local_login:
      password_routes:
        - { path: /session, form: { password: "*" } }
    sign_in: { resend_forms: 16KiB }
    routes:
      - { path: "/public/**", access: public }
      - { path: "/live/**", access: signed_in, websocket: true }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email, X-Auth-Phone: phone_number }
      signature: { algorithm: hmac-sha256, secret: { env: PORTAL_SECRET }, lifetime: 30s }
"#;

const NAMES: [&str; 3] = ["x-auth-user", "x-auth-email", "x-anteport-assertion"];

fn plan(portal: &'static str) -> Plan {
    Plan { portal, environment: ENVIRONMENT, ..Plan::default() }
}

/// A request as a portal reads it, whatever it came by.
struct Told {
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Told {
    fn of(received: &crate::world::portal::Received) -> Self {
        let mut words = received.line.split(' ');
        Self {
            method: words.next().unwrap().to_owned(),
            target: words.next().unwrap().to_owned(),
            host: received.header("host").unwrap().to_owned(),
            headers: received.headers.clone(),
        }
    }

    /// From the lines of a head.
    fn written(head: &str) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).unwrap();
        Self {
            method: words.next().unwrap().to_owned(),
            target: words.next().unwrap().to_owned(),
            host: host.1.clone(),
            headers,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let all: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
        assert!(all.len() < 2, "{name} came {} times", all.len());
        all.first().copied()
    }

    /// The names of the headers that are covered, if the signature is one.
    fn covered(&self) -> Option<Vec<String>> {
        let input = self.header("signature-input")?.strip_prefix("anteport=")?;
        let signature = self.header("signature")?.strip_prefix("anteport=:")?.strip_suffix(':')?;
        let (list, parameters) = input.strip_prefix('(')?.split_once(')')?;
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut names = Vec::new();
        let mut base = String::new();
        for name in list.split(' ') {
            let bare = name.trim_matches('"');
            let value = match bare {
                "@method" => self.method.clone(),
                "@authority" => self.host.clone(),
                "@path" => path.to_owned(),
                "@query" => format!("?{query}"),
                "@request-target" => self.target.clone(),
                header => {
                    names.push(header.to_owned());
                    self.header(header)?.to_owned()
                }
            };
            base += &format!("{name}: {value}\n");
        }
        let all = "\"@method\" \"@authority\" \"@path\" \"@query\"";
        assert!(list.contains(all), "{list}");
        assert!(parameters.ends_with(";tag=\"anteport-identity\""), "{parameters}");
        base += &format!("\"@signature-params\": {input}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET).unwrap());
        let signature = STANDARD.decode(signature).unwrap();
        hmac::verify(&key, base.as_bytes(), &signature).is_ok().then_some(names)
    }

    fn parameter(&self, name: &str) -> String {
        let input = self.header("signature-input").unwrap();
        let (_, rest) = input.split_once(&format!(";{name}=")).unwrap();
        rest.split(';').next().unwrap().trim_matches('"').to_owned()
    }
}

#[tokio::test]
async fn env_03_each_request_is_signed_as_it_is_sent() {
    let world = World::start_with(plan(SIGNED)).await;
    let member = world.treasurer().await;
    let mut nonces = Vec::new();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/reports/caf%C3%A9?year=2025&q=a%20b&&=?"),
        ("GET", "/reports?"),
        ("GET", "/reports??"),
        ("DELETE", "/reports/7"),
        ("GET", "/%72eports/%7euser?%72"),
    ] {
        let answer = member.send(method, target, PAGE, b"").await;
        assert!(answer.status < 500 && answer.status != 403, "{method} {target}: {answer:?}");
        let received = world.portal.last();
        let told = Told::of(&received);
        assert_eq!(told.covered().unwrap(), NAMES, "{received:?}");
        assert!(told.header("x-auth-phone").is_none(), "there is no such claim");
        assert_eq!(told.parameter("nonce"), told.header("x-request-id").unwrap());
        nonces.push(told.parameter("nonce"));
        let created = MORNING.unix_seconds();
        assert_eq!(told.parameter("created"), created.to_string());
        assert_eq!(told.parameter("expires"), (created + 30).to_string());
        assert_eq!(told.parameter("alg"), "hmac-sha256");
        // Whatever is changed is found.
        let change = |change: &dyn Fn(&mut Told)| {
            let mut told = Told::of(&received);
            change(&mut told);
            assert_eq!(told.covered(), None, "{target}");
        };
        change(&|told| told.method = "POST".to_owned());
        change(&|told| told.host = "guests.example.org".to_owned());
        change(&|told| told.target = "/elsewhere".to_owned());
        change(&|told| told.target.push_str("?a"));
        for name in NAMES {
            let at = received.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
            change(&|told| told.headers[at.unwrap()].1.push('x'));
            change(&|told| drop(told.headers.remove(at.unwrap())));
        }
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 6, "no two have one nonce");
    // Time goes on within one session and one assertion.
    world.clock.advance(Duration::from_secs(7));
    member.send("GET", "/", PAGE, b"").await;
    let told = Told::of(&world.portal.last());
    assert_eq!(told.parameter("created"), (MORNING.unix_seconds() + 7).to_string());
    assert!(told.covered().is_some());
    world.stop().await;
}

#[tokio::test]
async fn env_03_a_request_of_nobodys_is_signed_as_that() {
    for mode in [
        "mode: azure_only\n    routes: [{ path: \"/public/**\", access: public }]",
        "mode: optional",
        "mode: report_only",
        "mode: \"off\"",
    ] {
        let identity = "identity: { headers: { X-Auth-User: oid }, \
                        signature: { algorithm: hmac-sha256, secret: { env: PORTAL_SECRET } } }";
        let lines = format!("\n    {mode}\n    local_login: {{}}\n    {identity}\n");
        let world = World::start_with(plan(Box::leak(lines.into_boxed_str()))).await;
        let forged =
            [PAGE, &[("x-auth-user", "a"), ("x-anteport-assertion", "b"), ("signature", "c")]];
        let answer = world.browser().send("GET", "/public/a?b", &forged.concat(), b"").await;
        assert_eq!(answer.status, 200, "{mode}");
        let told = Told::of(&world.portal.last());
        assert_eq!(told.covered().unwrap(), [""; 0], "{mode}");
        assert!(told.header("x-auth-user").is_none() && told.header("signature").is_some());
        world.stop().await;
    }
}

/// HDR-02, HDR-03: nothing that looks like a signature of ours comes from a visitor.
#[tokio::test]
async fn hdr_03_a_visitors_signature_stays_here_in_every_spelling() {
    let world = World::start_with(plan(SIGNED)).await;
    let member = world.treasurer().await;
    let names = ["Signature", "SIGNATURE_INPUT", "signature-input", "signatureinput", "Sig-nature"];
    let digests = ["Content-Digest", "content_digest", "ContentDigest", "CONTENT--DIGEST"];
    for name in names.into_iter().chain(digests).chain(["X-Anteport-Signature"]) {
        let forged = [PAGE, &[(name, "anteport=:Zm9yZ2Vk:")]].concat();
        member.send("GET", "/a", &forged, b"").await;
        let received = world.portal.last();
        assert!(!format!("{received:?}").contains("Zm9yZ2Vk"), "{name}: {received:?}");
        assert_eq!(Told::of(&received).covered().unwrap(), NAMES, "{name}");
    }
    // Without signatures a digest is the visitor's own business.
    let unsigned = World::start().await;
    let sent = [("content-digest", "sha-256=:YQ==:")];
    unsigned.browser().send("POST", "/public/a", &sent, b"a").await;
    let told = unsigned.portal.last();
    assert_eq!(told.header("content-digest"), Some("sha-256=:YQ==:"));
    assert!(told.header("signature").is_none() && told.header("signature-input").is_none());
    unsigned.stop().await;
    world.stop().await;
}

/// Only a body that was read for a rule anyhow.
#[tokio::test]
async fn env_03_a_body_that_is_here_already_is_covered() {
    let world = World::start_with(plan(SIGNED)).await;
    let member = world.treasurer().await;
    let form = [PAGE, &[("content-type", "application/x-www-form-urlencoded")]].concat();
    for (target, body, is_covered) in [
        ("/session", b"a=1&b=2".to_vec(), true),
        ("/session", vec![b'a'; 64 * 1024], true),
        // Too much to be hashed beside other requests; none; and one that nobody read.
        ("/session", vec![b'a'; 64 * 1024 + 1], false),
        ("/session", Vec::new(), false),
        ("/reports", b"a=1&b=2".to_vec(), false),
    ] {
        let answer = member.send("POST", target, &form, &body).await;
        assert_eq!(answer.status, 200, "{target} {}", body.len());
        let received = world.portal.last();
        assert_eq!(received.body, body, "it arrives as it was");
        let told = Told::of(&received);
        let expected = format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, &body)));
        let expected = Some(expected.as_str()).filter(|_| is_covered);
        assert_eq!(told.header("content-digest"), expected, "{target} {}", body.len());
        let covered = told.covered().unwrap();
        assert_eq!(covered.contains(&"content-digest".to_owned()), is_covered);
    }
    world.stop().await;
}

#[tokio::test]
async fn env_03_a_websocket_is_asked_for_with_a_signature() {
    let echo = Echo::start().await;
    let mut plan = plan(SIGNED);
    plan.upstream = Some(format!("{{ url: \"http://127.0.0.1:{}\" }}", echo.port));
    let world = World::start_with(plan).await;
    let mut member = world.browser();
    member.sign_in("/live/page", "treasurer@harborclub.example").await;
    let cookies: Vec<String> =
        member.own_cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookie = format!("Cookie: {}\r\n", cookies.join("; "));
    let (head, mut stream) = websockets::ask(&world, "/live/x?a=1", &cookie, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    websockets::talks(&mut stream, "hello").await;
    let told = Told::written(&echo.last_as_it_was());
    assert_eq!(told.target, "/live/x?a=1");
    assert_eq!(told.covered().unwrap(), NAMES);
    world.stop().await;
}

#[tokio::test]
async fn env_03_a_portal_that_speaks_http2_gets_the_same_signature() {
    let portal = http2_portals::Portal::start(None).await;
    let mut plan = plan(SIGNED);
    let url = format!("http://127.0.0.1:{}", portal.port);
    plan.upstream = Some(format!("{{ url: \"{url}\", protocol: http2 }}"));
    let world = World::start_with(plan).await;
    let member = world.treasurer().await;
    for target in ["/reports?year=2025", "/reports", "/reports?"] {
        assert_eq!(member.send("GET", target, PAGE, b"").await.status, 200);
        let head = portal.last();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let told = Told {
            method: head.method.to_string(),
            host: head.uri.authority().unwrap().to_string(),
            target: head.uri.path_and_query().unwrap().to_string(),
            headers: head.headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
        };
        assert_eq!(told.target, target);
        assert_eq!(told.covered().unwrap(), NAMES);
    }
    world.stop().await;
}
