//! Claims on their way into headers, from the token to the portal: what arrives is what the provider
//! said, or nobody is let in; and each route sends what its line says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";

const MAPPED: &str = r#"
    local_login: {}
    routes:
      - { path: "/assets/**", access: public, identity: none }
      - { path: "/public/**", access: public }
      - { path: "/api/**", access: signed_in, identity: assertion }
      - { path: "/legacy/**", access: signed_in, identity: [x-auth-LIST, X-Auth-Gate, x-auth-list] }
      - { path: "/**", access: signed_in, identity: all }
    identity:
      headers:
        X-Auth-User: oid
        X-Auth-List: hobbies
        X-Auth-Bars: { claim: hobbies, join: "|" }
        X-Auth-One: { claim: hobby, join: none }
        X-Auth-Where: home.locality
        X-Auth-First: "hobbies[0]"
        X-Auth-Whole: { template: "{name} <{email}>" }
        X-Auth-Gate: { value: "Brücke" }
"#;

const STRICT: &str = r#"
    local_login: {}
    identity:
      headers:
        X-Auth-Login: { claim: login, transform: [lower, { before: "@" }] }
        X-Auth-Number: { claim: number, required: true }
        X-Auth-Rank: { claim: ranks, map: { a: admiral, b: boatswain }, unmapped: refuse }
"#;

async fn world(portal: &'static str) -> World {
    World::start_with(Plan { portal, ..Plan::default() }).await
}

fn says(world: &World, claims: &Value) {
    world.microsoft.next_claims(claims.as_object().unwrap().clone());
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn hdr_09_hostile_claims_arrive_equal_after_decoding_or_refuse_the_login() {
    let world = world(MAPPED).await;
    for text in [
        "plain",
        "Łukasz Żółć",
        "👩🏽‍🚒 family 👨‍👩‍👧",
        "مدير \u{202e}nimda\u{202c}",
        "a\r\nX-Auth-User: somebody-else\r\n\r\nGET / HTTP/1.1",
        "\u{0}\u{1}\u{7f}\u{85}\u{2028}\u{feff}",
        "100% %41 %0d%0a +",
        " both ends ",
        "a,b|c;d",
        "\"quoted\" \\ back",
        "",
        "null",
    ] {
        says(
            &world,
            &json!({ "hobby": text, "hobbies": [text, "b"], "home": { "locality": text } }),
        );
        let mut browser = world.browser();
        let landed = browser.sign_in("/", TREASURER).await;
        assert_eq!(landed.status, 200, "{text:?} {}", landed.text());
        let got = world.portal.last();
        let list = |name: &str, separator: char| -> Vec<String> {
            got.header(name).unwrap().split(separator).map(decoded).collect()
        };
        assert_eq!(decoded(got.header("x-auth-one").unwrap()), text);
        assert_eq!(decoded(got.header("x-auth-where").unwrap()), text);
        assert_eq!(decoded(got.header("x-auth-first").unwrap()), text);
        assert_eq!(list("x-auth-list", ','), [text, "b"]);
        assert_eq!(list("x-auth-bars", '|'), [text, "b"]);
        assert_eq!(got.all("x-auth-user").len(), 1);
        assert_eq!(got.header("x-auth-gate"), Some("Br%C3%BCcke"));
        assert_eq!(
            got.header("x-auth-whole"),
            Some("Ines%20Caldera <treasurer@harborclub.example>")
        );
    }
    let before = world.portal.received().len();
    for (claims, code) in [
        (json!({ "hobby": { "a": "nested" } }), "identity-claim-form"),
        (json!({ "hobby": ["a list"] }), "identity-claim-form"),
        (json!({ "hobbies": [["a"]] }), "identity-claim-form"),
        (json!({ "hobbies": ["a", null] }), "identity-claim-form"),
        (json!({ "hobbies": "no list" }), "identity-claim-form"),
        (json!({ "home": "no object" }), "identity-claim-form"),
        (json!({ "hobby": 1e300 }), "identity-claim-form"),
        (json!({ "hobby": "n".repeat(6 * 1024) }), "identity-too-large"),
        (json!({ "hobby": "é".repeat(1000) }), "identity-too-large"),
    ] {
        says(&world, &claims);
        let landed = world.browser().sign_in("/", TREASURER).await;
        assert_refusal(&landed, 403, code);
    }
    says(&world, &json!({ "hobby": "n".repeat(100 * 1024) }));
    let landed = world.browser().sign_in("/", TREASURER).await;
    assert!(landed.status >= 400, "{}", landed.text());
    assert_eq!(world.portal.received().len(), before);
    // What is null, or an empty list, is not there.
    says(&world, &json!({ "hobby": null, "hobbies": [], "home": null, "name": null }));
    let landed = world.browser().sign_in("/", TREASURER).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    let got = world.portal.last();
    for absent in ["x-auth-one", "x-auth-list", "x-auth-where", "x-auth-first", "x-auth-whole"] {
        assert_eq!(got.header(absent), None, "{absent}");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_a_mapping_does_not_admit_refuses_the_login_with_its_code() {
    let world = world(STRICT).await;
    for (claims, told) in [
        (json!({ "login": "INES@harborclub.example", "number": 7 }), Ok("ines")),
        (json!({ "login": "ines", "number": 7 }), Err("identity-claim-transform")),
        (json!({ "login": "@harborclub.example", "number": 7 }), Err("identity-claim-transform")),
        (json!({ "login": ["a@b", "c"], "number": 7 }), Err("identity-claim-transform")),
        (json!({ "login": 10442, "number": 7 }), Err("identity-claim-transform")),
        (json!({ "login": "ines@x" }), Err("identity-claim-missing")),
        (json!({ "login": "ines@x", "number": null }), Err("identity-claim-missing")),
        (
            json!({ "login": "ines@x", "number": 7, "ranks": ["a", "c"] }),
            Err("identity-claim-unmapped"),
        ),
    ] {
        says(&world, &claims);
        let landed = world.browser().sign_in("/", TREASURER).await;
        match told {
            Ok(login) => {
                assert_eq!(landed.status, 200, "{}", landed.text());
                assert_eq!(world.portal.last().header("x-auth-login"), Some(login));
            }
            Err(code) => assert_refusal(&landed, 403, code),
        }
        let failed = told.err().map(|code| {
            format!("anteport_logins_total{{provider=\"corporate\",result=\"{code}\"}}")
        });
        if let Some(series) = failed {
            assert!(world.metric(&series).await > 0.0, "{series}");
        }
    }
    assert_eq!(world.portal.received().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn env_02_a_refresh_brings_new_headers_and_one_that_cannot_be_told_ends_the_session() {
    let world = world(STRICT).await;
    let told = |ranks: &Value| json!({ "login": "ines@x", "number": 7, "ranks": ranks });
    let mut browser = world.browser();
    says(&world, &told(&json!(["b", "a"])));
    assert_eq!(browser.sign_in("/", TREASURER).await.status, 200);
    assert_eq!(world.portal.last().header("x-auth-rank"), Some("boatswain,admiral"));
    says(&world, &told(&json!(["b"])));
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(browser.open("/").await.status, 200);
    assert_eq!(world.portal.last().header("x-auth-rank"), Some("boatswain"));
    says(&world, &told(&json!(["c"])));
    world.clock.advance(Duration::from_secs(15 * 60));
    let before = world.portal.received().len();
    assert_eq!(browser.open("/").await.status, 303, "they sign in again");
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn a_route_sends_what_its_line_says_and_takes_what_visitors_forge_on_all() {
    let world = world(MAPPED).await;
    says(&world, &json!({ "hobbies": ["a"], "hobby": "b" }));
    let mut browser = world.browser();
    assert_eq!(browser.sign_in("/", TREASURER).await.status, 200);
    const ALL: [&str; 6] = [
        "x-anteport-assertion",
        "x-auth-user",
        "x-auth-list",
        "x-auth-one",
        "x-auth-whole",
        "x-auth-gate",
    ];
    for (path, told) in [
        ("/", &ALL[..]),
        ("/public/x", &ALL[..]),
        ("/assets/x.css", &[]),
        ("/api/x", &ALL[..1]),
        ("/API/x", &ALL[..1]),
        ("/legacy/x", &["x-auth-list", "x-auth-gate"]),
    ] {
        let forged: Vec<(&str, &str)> = ALL.iter().map(|name| (*name, "forged")).collect();
        let answer = browser.send("GET", path, &[PAGE, &forged[..]].concat(), b"").await;
        assert_eq!(answer.status, 200, "{path}");
        let got = world.portal.last();
        assert!(got.line.starts_with(&format!("GET {path} ")), "{}", got.line);
        for name in ALL {
            let values = got.all(name);
            assert_eq!(values.len(), usize::from(told.contains(&name)), "{path} {name}");
            assert!(!values.contains(&"forged"), "{path} {name}");
        }
    }
    // The same while a new envelope is made for each, and for nobody.
    world.clock.advance(Duration::from_secs(40));
    browser.open("/assets/x.css").await;
    assert_eq!(world.portal.last().header("x-auth-user"), None);
    browser.open("/").await;
    assert!(world.portal.last().header("x-auth-user").is_some());
    world.browser().send("GET", "/public/x", PAGE, b"").await;
    assert!(ALL.iter().all(|name| world.portal.last().header(name).is_none()));
    world.stop().await;
}
