//! What would become of somebody can be asked without doing it.

use std::sync::Arc;

use anteport::config;
use anteport::gate::{Subject, Timestamp, VerifiedClaims};
use anteport::members::decision::Step;
use anteport::members::{Arrival, LastLogin, Members, MembersError, Refused};
use serde_json::{Map, json};

use crate::audit::{events, names};
use crate::log::Log;
use crate::scim_server::ScimServer;
use crate::server::Reply;
use crate::webhook_receiver::{Fault, Receiver};
use crate::world::Plan;
use crate::{MEMBER, PORTAL, TREASURER, by_scim, by_webhook, comes_in, start_at, world};

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn members(written: &str) -> Members {
    let minimal = include_str!("../fixtures/config/minimal.yaml");
    let text = format!("{minimal}    members: {{ {written} }}\n");
    let variable = |_: &str| Some("secret".to_owned());
    let loaded = config::parse("tests.yaml", &text, &variable, NOON);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let portal = loaded.config.portals.into_iter().next().unwrap();
    Members::new(portal.members.unwrap(), "https://members.example.org", Arc::new(|_, _, _| {}))
}

fn claims(object: &str) -> VerifiedClaims {
    let subject = Subject::Directory { tenant: "t".into(), object: object.into() };
    VerifiedClaims::supposed(subject, Map::new())
}

fn arrival<'a>(claims: &'a VerifiedClaims, address: Option<&'a str>) -> Arrival<'a> {
    Arrival {
        claims,
        provider: "corporate",
        address,
        has_a_way_in: true,
        last_login: LastLogin::Never,
        now: NOON,
    }
}

#[tokio::test]
async fn what_would_be_done_is_said_and_not_done() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let links = "link_by_email: unique_unlinked";
    let members = members(&format!(
        "unknown: provision, {links}, every_login: {{ title: oid }}, directory: {directory}"
    ));
    server.add(&json!({ "userName": "waits@club.example" }));
    server.add(&json!({ "userName": "known", "externalId": "t.known", "title": "x" }));
    server.add(&json!({ "userName": "off", "externalId": "t.off", "active": false }));
    let before = server.users();
    for (object, address, step) in [
        ("new", None, Step::Create),
        ("new", Some("waits@club.example"), Step::Link),
        ("known", None, Step::Admit),
        ("off", None, Step::Refuse(Refused::Inactive)),
    ] {
        let claims = claims(object);
        let foreseen = members.foresee(arrival(&claims, address)).await.unwrap();
        assert_eq!(foreseen.step, step, "{object}");
        assert_eq!(foreseen.said.contains_key("id"), step == Step::Admit);
    }
    assert_eq!(server.users(), before);
    assert!(server.methods().iter().all(|method| method == "GET"));
    server.assert_standard();
}

#[tokio::test]
async fn a_webhook_is_told_that_this_is_all() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let members = members(&format!(
        "unknown: provision, registration: invite, registration_message: Ask Robin, every_login: {{ \
         who: oid }}, directory: {directory}"
    ));
    let claims = claims("new");
    let foreseen = members.foresee(arrival(&claims, None)).await.unwrap();
    assert_eq!(foreseen.step, Step::Refuse(Refused::Uninvited));
    assert_eq!(foreseen.message.as_deref(), Some("Ask Robin"));
    let data = receiver.last().json()["data"].clone();
    assert_eq!((&data["dry_run"], &data["profile"]), (&json!(true), &json!({})));
    assert_eq!(receiver.asks(), ["lookup"]);
    receiver.fail((0..9).map(|_| Fault::Instead(Reply::Json(403, json!({})))));
    let failed = members.foresee(arrival(&claims, None)).await.unwrap_err();
    assert!(matches!(failed, MembersError::Directory(_)));
    assert_eq!(failed.code(), "directory-refused");
    assert_eq!(format!("{members:?} {:?}", arrival(&claims, None)).matches("new").count(), 0);
}

#[tokio::test]
async fn a_sign_in_that_is_tried_shows_what_would_be_done_and_does_nothing() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: provision, directory: {directory}")).await;
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text().contains("not known: an account would be made"), "{}", shown.text());
    assert!(server.users().is_empty() && world.portal.received().is_empty());
    comes_in(&world, TREASURER).await;
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await;
    assert!(shown.text().contains("known: this member comes in"), "{}", shown.text());
    assert_eq!(server.users().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_is_tried_shows_a_refusal_and_a_directory_that_is_down() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: deny, directory: {directory}")).await;
    let shown = world.browser().sign_in("/.auth/test/corporate", MEMBER).await;
    assert!(shown.text().contains("The sign-in would be refused"), "{}", shown.text());
    assert!(shown.text().contains("refused (member-unknown)"), "{}", shown.text());
    world.stop().await;
    let receiver = Receiver::start().await;
    let world = crate::world(&format!("directory: {}", by_webhook(receiver.address))).await;
    receiver.fail((0..9).map(|_| Fault::Instead(Reply::Json(403, json!({})))));
    let shown = world.browser().sign_in("/.auth/test/corporate", MEMBER).await;
    assert!(shown.text().contains("The sign-in would be refused"), "{}", shown.text());
    assert!(shown.text().contains("(directory-refused)"), "{}", shown.text());
    world.stop().await;
}

#[tokio::test]
async fn what_a_directory_will_say_of_somebody_new_is_not_known_and_no_refusal() {
    let required = PORTAL.replace(
        "X-Auth-Number: ext.member_number",
        "X-Auth-Number: { claim: ext.member_number, required: true }",
    );
    let receiver = Receiver::start().await;
    let members = format!("unknown: provision, directory: {}", by_webhook(receiver.address));
    let world = start_at(Plan::default(), required.leak(), &members).await;
    let page = world.browser().open("/.auth/test").await.text();
    assert!(page.contains("its directory of members hears something"), "{page}");
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    assert!(shown.contains("The sign-in works"), "{shown}");
    assert!(shown.contains("directory of members was asked about you"), "{shown}");
    let of_new = "not known: it depends on what the directory says of a new member";
    // Two headers, and a route that asks for what the directory says.
    assert_eq!(shown.matches(of_new).count(), 3, "{shown}");
    assert!(shown.contains("7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57"), "the rest is told: {shown}");
    assert!(!shown.contains("identity-claim-missing"), "{shown}");
    world.stop().await;
}

#[tokio::test]
async fn whom_the_directory_refuses_is_shown_neither_routes_nor_what_is_the_matter_with_it() {
    let log = Log::hold().await;
    let receiver = Receiver::start().await;
    let world = world(&format!("unknown: deny, directory: {}", by_webhook(receiver.address))).await;
    let refused = world.browser().sign_in("/.auth/test/corporate", MEMBER).await.text();
    assert!(refused.contains("(member-unknown)") && !refused.contains("/paid/"), "{refused}");
    receiver.fail((0..9).map(|_| Fault::Instead(Reply::Json(403, json!({})))));
    let down = world.browser().sign_in("/.auth/test/corporate", MEMBER).await.text();
    assert!(down.contains("(directory-refused)") && !down.contains("/paid/"), "{down}");
    let tests: Vec<_> = events(&log, &world);
    assert_eq!(names(&tests), ["login-tested", "login-tested"]);
    assert_eq!(tests[0]["code"], "member-unknown");
    assert_eq!(tests[1]["code"], "directory-refused");
    let cause = tests[1]["cause"].as_str().unwrap();
    assert!(cause.contains("403") && !down.contains(cause), "{cause}\n{down}");
    world.stop().await;
}
