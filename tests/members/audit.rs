//! First and last sign-in are known and audited, and no event says more of anybody than their key.

use std::time::Duration;

use serde_json::{Value, json};

use crate::log::Log;
use crate::scim_server::{ScimServer, error};
use crate::server::Reply;
use crate::webhook_receiver::{Fault, Receiver};
use crate::world::patience::eventually;
use crate::world::{Plan, World, assert_refusal};
use crate::{
    PORTAL, TOKEN, TREASURER, VERIFIED, by_scim, by_webhook, comes_in, count, lands, start_at,
    world, world_of,
};

/// The audit events of a world, each with its fields.
pub fn events(log: &Log, world: &World) -> Vec<Value> {
    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_audit = lines.filter(|line| line["target"] == "anteport::audit");
    let fields = of_audit.map(|line| line["fields"].clone());
    fields.filter(|fields| fields["portal"] == world.proxy.to_string()).collect()
}

pub fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event.name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn log_03_creation_and_first_and_last_sign_in_are_audited() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    comes_in(&world, TREASURER).await;
    world.clock.advance(Duration::from_secs(3600));
    comes_in(&world, TREASURER).await;
    world.clock.advance(Duration::from_secs(3600));
    comes_in(&world, TREASURER).await;
    let events = events(&log, &world);
    assert_eq!(
        names(&events),
        ["member-created", "login-succeeded", "first-login", "login-succeeded", "login-succeeded"]
    );
    assert_eq!(events[1].get("member.last_login"), None);
    assert_eq!(events[4]["member.first_login"], "2027-01-15T08:00:00Z");
    assert_eq!(events[4]["member.last_login"], "2027-01-15T09:00:00Z");
    let key = receiver.last().json()["data"]["member"].clone();
    assert!(events.iter().all(|event| event["member"] == key));
    world.stop().await;
}

/// The directory has made somebody, and while it says so the visitor leaves.
#[tokio::test]
async fn log_03_who_is_created_is_audited_though_their_visitor_has_left() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    receiver.fail_to_write([Fault::Late(Duration::from_secs(1))]);
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/", TREASURER).await;
    let waiting = tokio::spawn(async move { browser.open_url(&callback).await });
    while receiver.with(|state| state.created) == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    eventually(async || !names(&events(&log, &world)).is_empty()).await;
    assert_eq!(names(&events(&log, &world)), ["member-created"]);
    assert_eq!(count(&world, "created").await, 1.0);
    world.stop().await;
}

#[tokio::test]
async fn log_03_a_link_and_a_refusal_are_audited_with_whom_and_why() {
    let log = Log::hold().await;
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let members = format!(
        "unknown: deny, link_by_email: unique_unlinked, registration_message: Ask Robin, directory: \
         {directory}"
    );
    let world = world(&members).await;
    server.add(&json!({ "userName": VERIFIED }));
    comes_in(&world, VERIFIED).await;
    lands(&world, TREASURER).await;
    let events = events(&log, &world);
    assert_eq!(names(&events), ["member-linked", "login-succeeded", "first-login", "login-failed"]);
    assert_eq!(events[3]["code"], "member-unknown");
    assert!(events[3]["member"].as_str().unwrap().starts_with("3f1c2a64"));
    world.stop().await;
}

/// The directory has had them for long, or since a sign-in that failed.
#[tokio::test]
async fn log_03_the_first_sign_in_of_somebody_whom_the_directory_knows_is_one() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    // Done, and the answer is lost for good.
    receiver.fail_to_write([Fault::After(Reply::Json(400, json!({})))]);
    assert_eq!(lands(&world, TREASURER).await.status, 503);
    for _ in 0..2 {
        comes_in(&world, TREASURER).await;
    }
    let events = events(&log, &world);
    assert_eq!(
        names(&events),
        ["login-failed", "login-succeeded", "first-login", "login-succeeded"]
    );
    world.stop().await;
}

/// What the provider's claims alone decide is known before anybody is created.
#[tokio::test]
async fn hdr_09_who_cannot_be_told_of_is_not_created_and_is_named() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let members = format!("unknown: provision, directory: {directory}");
    let portal = |header: &str| PORTAL.replace("X-Auth-User: oid", header);
    let missing = portal("X-Auth-User: { claim: nothing, required: true }");
    let world = start_at(Plan::default(), &missing, &members).await;
    assert_refusal(&lands(&world, TREASURER).await, 403, "identity-claim-missing");
    assert_eq!(receiver.asks(), [""; 0]);
    let of_it = events(&log, &world);
    assert_eq!(names(&of_it), ["login-failed"]);
    assert!(of_it[0]["member"].as_str().unwrap().starts_with("3f1c2a64"), "{of_it:?}");
    world.stop().await;
    // What the directory says itself is known only afterwards.
    let said = portal("X-Auth-User: { claim: ext.member_number, required: true }");
    let world = start_at(Plan::default(), &said, &members).await;
    comes_in(&world, TREASURER).await;
    assert_eq!(world.portal.last().header("x-auth-user"), Some("10442"));
    world.stop().await;
}

/// With no directory, what is remembered says who is new; and it is remembered across a restart.
#[tokio::test]
async fn a_first_sign_in_is_one_by_what_is_remembered() {
    let log = Log::hold().await;
    let world = world("remember_logins: 2d").await;
    for _ in 0..2 {
        comes_in(&world, TREASURER).await;
    }
    world.clock.advance(Duration::from_secs(3 * 24 * 3600));
    comes_in(&world, TREASURER).await;
    let events = events(&log, &world);
    let first: Vec<bool> = names(&events).iter().map(|name| *name == "first-login").collect();
    // Each after the session that it began.
    assert_eq!(first, [false, true, false, false, true]);
    world.stop().await;
}

/// In a browser there is nowhere to remember it, and nothing is said that nobody knows.
#[tokio::test]
async fn what_is_not_kept_is_not_said() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let sessions = "{ store: cookie, keys: [ { value: \
                    \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\" } ] }";
    let members = format!("unknown: allow, directory: {directory}");
    let world = world_of(&members, crate::world::ONE_TENANT, sessions).await;
    comes_in(&world, TREASURER).await;
    comes_in(&world, TREASURER).await;
    let data = receiver.last().json()["data"].clone();
    assert_eq!((&data["first_login"], &data["last_login"]), (&Value::Null, &Value::Null));
    assert!(!names(&events(&log, &world)).contains(&"first-login"));
    world.stop().await;
}

#[tokio::test]
async fn log_01_neither_secrets_nor_what_a_directory_says_is_in_the_log() {
    let log = Log::hold().await;
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    let detail = "canary-detail of treasurer@harborclub.example";
    for reply in [error(403, Some("canary-kind"), detail), error(400, Some("invalidValue"), detail)]
    {
        server.with(|state| state.faults = [Fault::Instead(reply)].into());
        lands(&world, TREASURER).await;
    }
    comes_in(&world, TREASURER).await;
    let text = log.text();
    assert!(text.contains("status 400") && text.contains("invalidValue"), "{text}");
    for canary in ["canary", TOKEN, "Bearer", "treasurer@"] {
        assert!(!text.contains(canary), "{canary}");
    }
    world.stop().await;
}
