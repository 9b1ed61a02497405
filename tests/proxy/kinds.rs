//! Sign-ins with each kind of provider, through the emulated Microsoft.

use anteport::demo::microsoft::{B2c, Fault};

use crate::world::browser::Answer;
use crate::world::{ONE_TENANT, Plan, World, assert_refusal};

const CLUB: &str = "treasurer@harborclub.example";
const PARTNER: &str = "ana@partner.example";
const PERSONAL: &str = "noor@outlook.example";
const MEMBER: &str = "ines@mail.example";
const GUEST: &str = "visitor@mail.example";

/// Somebody signs in with a provider of this kind and asks for a page; what comes of it, and the
/// portal's header with the object's id.
async fn lands(world: &World, username: &str) -> (Answer, Option<String>) {
    let mut browser = world.browser();
    let landed = browser.sign_in("/reports?year=2026", username).await;
    let user = (landed.status == 200).then(|| world.portal.last());
    let user = user.and_then(|seen| seen.header("x-auth-user").map(str::to_owned));
    (landed, user)
}

async fn assert_lets_in(provider: &'static str, b2c: B2c, username: &str, object: &str) {
    let world = World::start_with(Plan { provider, b2c, ..Plan::default() }).await;
    let (landed, user) = lands(&world, username).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    assert_eq!(user.as_deref(), Some(object));
    world.stop().await;
}

const SEVERAL: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenants: [3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11, 91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128]"#;
const WITH_PERSONAL: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenants: [3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11]
    personal_accounts: true"#;
const PERSONAL_ALONE: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    personal_accounts: true"#;
const BY_DOMAIN: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenant: harborclub.example"#;
pub const B2C: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_SignUpSignIn"#;
const B2C_IN_QUERY: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8
    policy: B2C_1_signupsignin
    policy_in: query"#;
const B2C_TFP: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers.onmicrosoft.com
    policy: B2C_1_signupsignin
    issuer: tfp"#;
const EXTERNAL: &str = r#"
    kind: external_id
    authority: "http://AUTHORITY"
    tenant: harborguests"#;
/// A user flow is an OpenID provider like any other, to whom it is told as one.
const OIDC: &str = r#"
    kind: oidc
    issuer: "http://AUTHORITY/c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8/v2.0/"
    metadata_url: "http://AUTHORITY/harbormembers.onmicrosoft.com/B2C_1_signupsignin/v2.0/.well-known/openid-configuration""#;

const TREASURER: &str = "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57";

#[tokio::test]
async fn people_of_every_kind_of_provider_come_to_the_page_that_they_asked_for() {
    let plain = B2c::default();
    for (provider, b2c, username, object) in [
        (ONE_TENANT, plain, CLUB, TREASURER),
        (BY_DOMAIN, plain, CLUB, TREASURER),
        (SEVERAL, plain, CLUB, TREASURER),
        (SEVERAL, plain, PARTNER, "e2a9c7d4-5b31-4f80-96de-7a0c4b8d1f63"),
        (WITH_PERSONAL, plain, CLUB, TREASURER),
        (WITH_PERSONAL, plain, PERSONAL, "00000000-0000-0000-66f3-3332eca7ea81"),
        (PERSONAL_ALONE, plain, PERSONAL, "00000000-0000-0000-66f3-3332eca7ea81"),
        (B2C, plain, MEMBER, "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14"),
        (
            B2C,
            B2c { numbers_are_text: true, ..plain },
            MEMBER,
            "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14",
        ),
        (B2C_IN_QUERY, plain, MEMBER, "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14"),
        (
            B2C_TFP,
            B2c { names_policy: true, ..plain },
            MEMBER,
            "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14",
        ),
        (EXTERNAL, plain, GUEST, "b86e0d53-2f41-4c9a-8d7e-1a6c9f0e4b72"),
        (OIDC, plain, MEMBER, "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14"),
    ] {
        assert_lets_in(provider, b2c, username, object).await;
    }
}

/// Two of them; what follows in the file is of the second.
pub const TWO: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenant: harborclub.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { value: "the secret of the tests" } } ]
  members:
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_signupsignin
    label: "Sign in as a <member>""#;
pub const TWO_FOR_A_PORTAL: &str = r#"
    local_login: {}
    sign_in: { providers: [members, corporate] }
    identity: { headers: { X-Auth-User: oid } }"#;

#[tokio::test]
async fn a_portal_of_several_providers_asks_which_in_their_order() {
    let plan = Plan { provider: TWO, portal: TWO_FOR_A_PORTAL, ..Plan::default() };
    let world = World::start_with(plan).await;
    for (number, username, object) in
        [(1, MEMBER, "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14"), (2, CLUB, TREASURER)]
    {
        let mut browser = world.browser();
        let page = browser.follow("/reports?year=2026").await;
        let html = page.text();
        let (first, second) = ("Sign in as a &#60;member&#62;", "Sign in with corporate");
        let places = (html.find(first), html.find(second));
        assert!(places.0.is_some() && places.0 < places.1, "{html}");
        let link = html.split("href=\"/.auth/login/").nth(number).unwrap();
        let link = link.split('"').next().unwrap().replace("&#38;", "&");
        let landed = browser.sign_in(&format!("/.auth/login/{link}"), username).await;
        assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
        assert_eq!(landed.url.query(), Some("year=2026"));
        assert_eq!(world.portal.last().header("x-auth-user"), Some(object));
    }
    world.stop().await;
}

#[tokio::test]
async fn az_01_a_tenant_that_is_not_in_the_list_is_not_let_in() {
    let world = World::start_with(Plan { provider: WITH_PERSONAL, ..Plan::default() }).await;
    let (landed, _) = lands(&world, PARTNER).await;
    assert_refusal(&landed, 403, "token-issuer");
    world.stop().await;
}

#[tokio::test]
async fn az_04_a_token_of_another_user_flow_opens_no_session() {
    let world = World::start_with(Plan { provider: B2C, ..Plan::default() }).await;
    world.microsoft.next_token(Fault::OtherPolicy);
    let (landed, _) = lands(&world, MEMBER).await;
    assert_refusal(&landed, 403, "token-policy");
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn az_01_metadata_of_another_form_than_configured_begins_no_login() {
    let names_policy = B2c { names_policy: true, ..B2c::default() };
    for (provider, b2c) in [(B2C, names_policy), (B2C_TFP, B2c::default())] {
        let world = World::start_with(Plan { provider, b2c, ..Plan::default() }).await;
        let answer = world.browser().follow("/reports").await;
        assert_refusal(&answer, 503, "provider-issuer");
        world.stop().await;
    }
}
