//! Portals that trust another gate: what they get of a real sign-in, header for header, and what
//! other gates publish.

use std::collections::BTreeMap;

use anteport::gate::identity::OwnedNames;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::portal::Received;
use crate::world::{Plan, World, assert_refusal};

/// Each preset, and what an operator writes for it besides.
const PRESETS: [(&str, &str); 7] = [
    ("easy_auth", ""),
    ("oauth2_proxy", "oauth2_proxy: { headers: both }"),
    (
        "cloudflare_access",
        "cloudflare_access: { team_domain: \"https://harborclub.cloudflareaccess.com\", audience: \
         32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228 }",
    ),
    (
        "google_iap",
        "google_iap: { audience: /projects/123456789/global/backendServices/987654321 }",
    ),
    (
        "aws_alb",
        "aws_alb: { claims: [roles], signer: \"arn:aws:elasticloadbalancing:eu-central-1:\
         123456789012:loadbalancer/app/members/0123456789abcdef\" }",
    ),
    ("pomerium", "pomerium: { claim_headers: [email, groups, name] }"),
    ("authelia", ""),
];

/// A portal that is told in this way.
fn portal(mode: &str, identity: &str) -> &'static str {
    let lines = format!(
        "\n    mode: {mode}\n    local_login: {{}}\n    routes:\n      \
         - {{ path: \"/public/**\", access: public }}\n      \
         - {{ path: \"/**\", access: signed_in }}\n    identity: {{ {identity} }}\n"
    );
    Box::leak(lines.into_boxed_str())
}

/// One with this preset alone.
fn of(preset: &str) -> String {
    let (_, besides) = PRESETS.iter().find(|(name, _)| *name == preset).unwrap();
    format!(
        "preset: {preset}, only_way_in: true, addresses_are_theirs: true, assertion: none, preset_claims: {{ groups: roles }}, \
         {besides}"
    )
}

async fn world(mode: &str, identity: &str) -> World {
    World::start_with(Plan { portal: portal(mode, identity), ..Plan::default() }).await
}

/// What the portal got of a request of this browser's.
async fn received(world: &World, browser: &Browser) -> Received {
    let answer = browser.send("GET", "/public/reports", PAGE, b"").await;
    assert_eq!(answer.status, 200);
    world.portal.last()
}

/// The headers that only a gate may set, less those that are of every request.
fn identity(got: &Received) -> BTreeMap<&str, &str> {
    const OF_EVERY_REQUEST: [&str; 5] =
        ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "x-request-id"];
    let owned = OwnedNames::with([]);
    let mut found = BTreeMap::new();
    for (name, value) in &got.headers {
        if owned.takes(name) && !OF_EVERY_REQUEST.contains(&name.as_str()) {
            assert!(found.insert(name.as_str(), value.as_str()).is_none(), "{name} came twice");
        }
    }
    found
}

fn json_of(bytes: Vec<u8>) -> Value {
    serde_json::from_slice(&bytes).unwrap()
}

/// The parts of a JWT, read as strictly as its form allows.
fn parts(token: &str, padded: bool) -> (Value, Value, Vec<u8>) {
    let engine = if padded { URL_SAFE } else { URL_SAFE_NO_PAD };
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let decoded = |index: usize| engine.decode(parts[index]).unwrap();
    (json_of(decoded(0)), json_of(decoded(1)), decoded(2))
}

fn signed_of(token: &str) -> &[u8] {
    token.rsplit_once('.').unwrap().0.as_bytes()
}

/// Compares with what a fixture says: `*` is any text, `UUID` a UUID.
fn assert_like(wanted: &Value, got: &Value, at: &str, authority: &str) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            let names =
                |of: &serde_json::Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(wanted), names(got), "{at}");
            for (name, wanted) in wanted {
                assert_like(wanted, &got[name], &format!("{at}.{name}"), authority);
            }
        }
        (Value::Array(wanted), Value::Array(got)) => {
            assert_eq!(wanted.len(), got.len(), "{at}: {got:?}");
            for (wanted, got) in wanted.iter().zip(got) {
                assert_like(wanted, got, at, authority);
            }
        }
        (Value::String(wanted), Value::String(got)) => {
            let wanted = wanted.replace("AUTHORITY", authority);
            match wanted.strip_suffix('*') {
                Some(begin) => assert!(got.starts_with(begin) && got.len() > begin.len(), "{at}"),
                None if wanted == "UUID" => {
                    let groups: Vec<usize> = got.split('-').map(str::len).collect();
                    assert_eq!(groups, [8, 4, 4, 4, 12], "{at}: {got}");
                    assert!(got.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
                }
                None => assert_eq!(wanted, *got, "{at}"),
            }
        }
        _ => assert_eq!(wanted, got, "{at}"),
    }
}

fn fixture(preset: &str) -> Value {
    let path = format!("{}/tests/fixtures/presets/{preset}.json", env!("CARGO_MANIFEST_DIR"));
    json_of(std::fs::read(path).unwrap())
}

#[tokio::test]
async fn each_preset_tells_of_a_real_sign_in_header_for_header() {
    for (preset, _) in PRESETS {
        let world = world("azure_only", &of(preset)).await;
        let member = world.treasurer().await;
        let got = received(&world, &member).await;
        let got: serde_json::Map<String, Value> = identity(&got)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), shown(&fixture(preset)["headers"][name], value)))
            .collect();
        let authority = &world.authority();
        assert_like(&fixture(preset)["headers"], &got.into(), preset, authority);
        world.stop().await;
    }
}

/// A header's value in the form that the fixture has.
fn shown(wanted: &Value, value: &str) -> Value {
    let form = wanted.as_object().and_then(|wanted| wanted.keys().next());
    match form.map(String::as_str) {
        Some("base64") => json!({ "base64": json_of(STANDARD.decode(value).unwrap()) }),
        Some(form @ ("jwt" | "padded jwt")) => {
            let (header, claims, _) = parts(value, form == "padded jwt");
            json!({ form: { "header": header, "claims": claims } })
        }
        _ => value.into(),
    }
}

async fn get(browser: &Browser, path: &str) -> Answer {
    browser.send("GET", path, &[], b"").await
}

/// The point of a P-256 key in PEM.
fn point(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    der[der.len() - 65..].to_vec()
}

fn verify_es256(point: &[u8], token: &str, signature: &[u8]) {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed_of(token), signature).unwrap();
}

#[tokio::test]
async fn what_a_preset_signs_is_verified_by_what_it_publishes() {
    // Cloudflare: RS256, by a bare key.
    let cloudflare = world("azure_only", &of("cloudflare_access")).await;
    let member = cloudflare.treasurer().await;
    let got = received(&cloudflare, &member).await;
    let token = got.header("cf-access-jwt-assertion").unwrap();
    let (header, _, signature) = parts(token, false);
    let nobody = cloudflare.browser();
    let certs = get(&nobody, "/cdn-cgi/access/certs").await;
    assert_eq!(certs.header("cache-control"), Some("private, max-age=300"));
    let certs = certs.json();
    assert_eq!(certs, get(&nobody, "/.auth/presets/cloudflare_access/certs").await.json());
    let key = &certs["keys"][0];
    assert_eq!(key["kid"], header["kid"]);
    assert_eq!(certs["public_cert"], certs["public_certs"][0]);
    assert_eq!(certs["public_cert"]["kid"], header["kid"]);
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let key = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed_of(token), &signature).unwrap();
    // And by the certificate, whose key it is.
    let certificate = certs["public_cert"]["cert"].as_str().unwrap();
    let text: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    assert!(der.windows(key.n.len()).any(|window| window == key.n));
    cloudflare.stop().await;

    let google = world("azure_only", &of("google_iap")).await;
    let member = google.treasurer().await;
    let got = received(&google, &member).await;
    let token = got.header("x-goog-iap-jwt-assertion").unwrap();
    let (header, _, signature) = parts(token, false);
    let keys = get(&google.browser(), "/.auth/presets/google_iap/public_key").await.json();
    let pem = keys[header["kid"].as_str().unwrap()].as_str().unwrap();
    verify_es256(&point(pem), token, &signature);
    let jwks = get(&google.browser(), "/.auth/presets/google_iap/public_key-jwk").await.json();
    assert_eq!(jwks["keys"][0]["kid"], header["kid"]);
    google.stop().await;

    let aws = world("azure_only", &of("aws_alb")).await;
    let member = aws.treasurer().await;
    let got = received(&aws, &member).await;
    let token = got.header("x-amzn-oidc-data").unwrap();
    let (header, _, signature) = parts(token, true);
    let path = format!("/.auth/presets/aws_alb/{}", header["kid"].as_str().unwrap());
    let key = get(&aws.browser(), &path).await;
    assert_eq!(key.header("content-type"), Some("application/x-pem-file"));
    verify_es256(&point(&key.text()), token, &signature);
    let path = "/.auth/presets/aws_alb/00000000-0000-4000-8000-000000000000";
    assert_refusal(&get(&aws.browser(), path).await, 404, "endpoint-unknown");
    aws.stop().await;

    let pomerium = world("azure_only", &of("pomerium")).await;
    let member = pomerium.treasurer().await;
    let got = received(&pomerium, &member).await;
    let token = got.header("x-pomerium-jwt-assertion").unwrap();
    let (header, _, signature) = parts(token, false);
    let jwks = get(&pomerium.browser(), "/.well-known/pomerium/jwks.json").await.json();
    let key = &jwks["keys"][0];
    assert_eq!((&key["kid"], &key["alg"]), (&header["kid"], &json!("ES256")));
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    verify_es256(&[vec![4], number("x"), number("y")].concat(), token, &signature);
    pomerium.stop().await;
}

#[tokio::test]
async fn env_02_what_a_preset_signs_is_made_anew_before_it_ends() {
    let world = world("azure_only", &of("pomerium")).await;
    let member = world.treasurer().await;
    let token = |got: &Received| got.header("x-pomerium-jwt-assertion").unwrap().to_owned();
    let first = token(&received(&world, &member).await);
    world.clock.advance(std::time::Duration::from_secs(29));
    assert_eq!(token(&received(&world, &member).await), first, "once a session and lifetime");
    world.clock.advance(std::time::Duration::from_secs(2));
    let second = token(&received(&world, &member).await);
    let (_, claims, _) = parts(&second, false);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_800_000_031), &json!(1_800_000_091)));
    world.stop().await;
}

#[tokio::test]
async fn other_gates_addresses_are_ours_with_their_preset_and_the_portals_without() {
    const PATHS: [&str; 3] = [
        "/cdn-cgi/access/certs",
        "/cdn-cgi/access/get-identity",
        "/.well-known/pomerium/jwks.json",
    ];
    let without = world("off", "assertion: none").await;
    for path in PATHS {
        let answer = get(&without.browser(), path).await;
        assert_eq!(answer.text(), format!("the portal answers {path}"));
    }
    for path in [
        "/.auth/presets/cloudflare_access/certs",
        "/.auth/presets/cloudflare_access/get-identity",
        "/.auth/presets/google_iap/public_key",
        "/.auth/presets/google_iap/public_key-jwk",
        "/.auth/presets/aws_alb/x",
        "/.auth/presets/pomerium/jwks.json",
        "/.auth/presets",
        "/.auth/presets/easy_auth/keys",
        "/.auth/presets/pomerium/jwks.json/x",
    ] {
        assert_refusal(&get(&without.browser(), path).await, 404, "endpoint-unknown");
    }
    without.stop().await;

    let both = format!(
        "preset: [cloudflare_access, pomerium], only_way_in: true, addresses_are_theirs: true, {}",
        PRESETS[2].1
    );
    let with = world("azure_only", &both).await;
    let nobody = with.browser();
    for path in PATHS {
        // What a sloppy reader could take for it is nothing, and never the portal's.
        for other in [format!("{path}/x"), path.to_uppercase(), path.replace("jwks", "JWKS")] {
            let answer = get(&nobody, &other).await;
            match other == path {
                true => assert_ne!(answer.status, 404),
                false => assert_refusal(&answer, 404, "endpoint-unknown"),
            }
        }
        let answer = nobody.send("POST", path, PAGE, b"").await;
        assert_refusal(&answer, 405, "endpoint-method");
    }
    // Beside them is the portal.
    assert_eq!(get(&nobody, "/cdn-cgi/trace").await.status, 303, "to the sign-in");
    let answer = get(&nobody, "/cdn-cgi/access/get-identity").await;
    assert_eq!((answer.status, answer.header("cache-control")), (401, Some("no-store")));
    let member = with.treasurer().await;
    let me = get(&member, "/cdn-cgi/access/get-identity").await;
    assert_eq!(me.header("cache-control"), Some("no-store"));
    let me = me.json();
    assert_eq!(me["email"], "treasurer@harborclub.example");
    assert_eq!(me["idp"], json!({ "id": "corporate", "type": "azureAD" }));
    let got = received(&with, &member).await;
    let (_, claims, _) = parts(got.header("cf-access-jwt-assertion").unwrap(), false);
    assert_eq!(me["user_uuid"], claims["sub"]);
    with.stop().await;
}

#[tokio::test]
async fn easy_auths_words_are_those_of_me_and_of_its_links() {
    let world = world("azure_only", &of("easy_auth")).await;
    let mut browser = world.browser();
    let link = "/.auth/login/aad?post_login_redirect_uri=/public/x";
    let landed = browser.sign_in(link, "treasurer@harborclub.example").await;
    assert_eq!(landed.text(), "the portal answers /public/x");
    let member = browser;
    let me = get(&member, "/.auth/me").await.json();
    assert_eq!(me[0]["provider_name"], "aad");
    assert_eq!(me[0]["user_id"], "treasurer@harborclub.example");
    assert_eq!(me[0]["expires_on"], "2027-01-15T20:00:00.0000000Z");
    let names: Vec<&String> = me[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["expires_on", "provider_name", "user_claims", "user_id"]);
    let got = received(&world, &member).await;
    let principal = json_of(STANDARD.decode(got.header("x-ms-client-principal").unwrap()).unwrap());
    assert_eq!(principal["claims"], me[0]["user_claims"]);
    world.stop().await;
}

#[tokio::test]
async fn hdr_10_several_presets_together_are_as_small_as_one() {
    let all: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    let besides: Vec<&str> = PRESETS.iter().map(|(_, besides)| *besides).collect();
    let besides: Vec<&str> = besides.into_iter().filter(|text| !text.is_empty()).collect();
    let all = format!(
        "preset: [{}], only_way_in: true, addresses_are_theirs: true, {}",
        all.join(", "),
        besides.join(", ")
    );
    let world = world("azure_only", &all).await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
    assert_refusal(&landed, 403, "identity-too-large");
    world.stop().await;
}

#[tokio::test]
async fn hdr_05_a_visitor_brings_no_cookie_of_cloudflares_in_any_mode() {
    for mode in ["azure_only", "optional", "report_only", "off"] {
        let world = world(mode, &of("cloudflare_access")).await;
        let cookies = "a=1; CF_Authorization=forged; cf_authorization=forged; b=2";
        world.browser().send("GET", "/public/x", &[("cookie", cookies)], b"").await;
        assert_eq!(world.portal.last().header("cookie"), Some("a=1; b=2"), "{mode}");
        world.stop().await;
    }
}

/// A member, also where nobody has to be.
async fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    let landed = browser.sign_in("/.auth/login/corporate", "treasurer@harborclub.example").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    browser
}

/// Every name that a preset has, and a few more of their families.
fn names() -> Vec<String> {
    let mut names: Vec<String> = PRESETS
        .iter()
        .flat_map(|(preset, _)| {
            let fixture = fixture(preset);
            fixture["headers"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        })
        .collect();
    names.extend(
        "x-ms-token-aad-id-token x-ms-token-aad-access-token x-zumo-auth x-forwarded-access-token \
         x-auth-request-access-token gap-auth gap-signature cf-access-client-id x-goog-iap-attr-x \
         x-amzn-oidc-accesstoken x-pomerium-claim-anything x-pomerium-routing-key x-authelia-url"
            .split_whitespace()
            .map(str::to_owned),
    );
    assert!(names.len() > 35);
    names
}

/// A name as servers could take for it.
fn spellings(name: &str) -> Vec<String> {
    let shouted = name.to_uppercase();
    let doubled = name.replacen('-', "--", 1);
    vec![name.to_owned(), shouted, name.replace('-', "_"), doubled, name.replace('-', "")]
}

#[tokio::test]
async fn hdr_02_03_05_no_visitor_brings_what_a_gate_says_in_any_mode() {
    const FORGED: &str = "forged-value";
    let names = names();
    let headers: Vec<String> = names.iter().flat_map(|name| spellings(name)).collect();
    for mode in ["azure_only", "optional", "report_only", "off"] {
        for identity_of in
            PRESETS.iter().map(|(name, _)| of(name)).chain(["assertion: none".into()])
        {
            let world = world(mode, &identity_of).await;
            let member = match mode {
                "off" => world.browser(),
                _ => signed_in(&world).await,
            };
            let told = identity(&received(&world, &member).await).len();
            for asks in [&world.browser(), &member] {
                for few in headers.chunks(60) {
                    let few: Vec<(&str, &str)> =
                        few.iter().map(|name| (name.as_str(), FORGED)).collect();
                    let answer = asks.send("GET", "/public/x", &few, b"").await;
                    assert_eq!(answer.status, 200, "{mode} {identity_of}");
                    let got = world.portal.last();
                    assert!(!format!("{got:?}").contains(FORGED), "{mode} {identity_of}: {got:?}");
                    // A member's own are there all the same, once.
                    let is_member = std::ptr::eq(asks, &member);
                    assert_eq!(identity(&got).len(), if is_member { told } else { 0 });
                }
            }
            world.stop().await;
        }
    }
}

fn saying(claims: Value) -> serde_json::Map<String, Value> {
    match claims {
        Value::Object(claims) => claims,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn hdr_09_a_group_that_could_be_taken_for_two_refuses_the_sign_in() {
    let identity = "preset: authelia, only_way_in: true, addresses_are_theirs: true";
    let world = world("azure_only", identity).await;
    world.microsoft.next_claims(saying(json!({ "groups": ["crew,admin"] })));
    let mut browser = world.browser();
    let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
    assert_refusal(&landed, 403, "identity-preset-value");
    assert!(!landed.text().contains("crew"), "{}", landed.text());
    assert_eq!(get(&browser, "/.auth/me").await.status, 401, "no session has begun");
    // What is fine is told as it is.
    world.microsoft.next_claims(saying(json!({ "groups": ["crew", "Vorstand & Co."] })));
    let mut browser = world.browser();
    let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert_eq!(world.portal.last().header("remote-groups"), Some("crew,Vorstand & Co."));
    // Nor does such a group come later.
    world.microsoft.next_claims(saying(json!({ "groups": ["crew\r\nRemote-User: admin"] })));
    world.clock.advance(std::time::Duration::from_secs(5));
    let origin = format!("http://{}", world.proxy);
    let own: &[(&str, &str)] = &[("origin", &origin), ("sec-fetch-site", "same-origin")];
    browser.send("POST", "/.auth/refresh", own, b"").await;
    assert_eq!(get(&browser, "/.auth/me").await.status, 401, "the session is over");
    world.stop().await;
}

#[tokio::test]
async fn az_02_a_member_whose_address_is_not_verified_is_told_so_and_not_the_portal() {
    for preset in ["google_iap", "cloudflare_access", "pomerium", "oauth2_proxy", "authelia"] {
        let unacknowledged = of(preset).replace("addresses_are_theirs: true, ", "");
        for (identity, edov, is_let_in) in [
            (&unacknowledged, Value::Null, false),
            (&unacknowledged, json!(false), false),
            (&unacknowledged, json!(true), true),
            (&of(preset), json!(false), false),
        ] {
            let world = world("azure_only", identity).await;
            world.microsoft.next_claims(saying(json!({ "xms_edov": edov })));
            let mut browser = world.browser();
            let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
            if is_let_in {
                assert_eq!(landed.status, 200, "{preset} {edov} {}", landed.text());
            } else {
                assert_refusal(&landed, 403, "identity-email-unverified");
                assert!(landed.text().contains("not verified"), "{}", landed.text());
                assert!(!landed.text().contains("treasurer@"), "{}", landed.text());
                assert_eq!(get(&browser, "/.auth/me").await.status, 401, "no session has begun");
                assert!(world.portal.received().is_empty(), "{preset}");
            }
            world.stop().await;
        }
    }
    // Nor is it told later: what was verified may be so no more.
    let identity = of("authelia").replace("addresses_are_theirs: true, ", "");
    let world = world("azure_only", &identity).await;
    world.microsoft.next_claims(saying(json!({ "xms_edov": true })));
    let mut browser = world.browser();
    let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    world.microsoft.next_claims(saying(json!({ "xms_edov": false })));
    world.clock.advance(std::time::Duration::from_secs(5));
    let origin = format!("http://{}", world.proxy);
    let own: &[(&str, &str)] = &[("origin", &origin), ("sec-fetch-site", "same-origin")];
    browser.send("POST", "/.auth/refresh", own, b"").await;
    assert_eq!(get(&browser, "/.auth/me").await.status, 401, "the session is over");
    world.stop().await;
}
