//! Members in a directory that speaks SCIM: found, created, brought up to date, and what comes of
//! each fault of the server's.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scim_server::{ScimServer, error};
use crate::server::Reply;
use crate::webhook_receiver::Fault;
use crate::world::{World, assert_refusal};
use crate::{
    FOREIGN, MEMBER, TREASURER, VERIFIED, by_scim, comes_in, count, lands, six_come_in, world,
};

async fn provisioned() -> (ScimServer, World) {
    provisioned_with("").await
}

async fn provisioned_with(more: &str) -> (ScimServer, World) {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: provision, directory: {directory}{more}")).await;
    (server, world)
}

#[tokio::test]
async fn somebody_new_is_created_as_a_user_of_the_standard_and_then_known() {
    let (server, world) = provisioned().await;
    comes_in(&world, TREASURER).await;
    let users = server.users();
    let user = &users[0];
    let key = user["externalId"].as_str().unwrap();
    assert!(key.starts_with("3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11."), "{key}");
    assert_eq!((&user["userName"], &user["active"]), (&json!(TREASURER), &json!(true)));
    // Nobody has verified her address (AZ-02).
    assert_eq!(user.get("emails"), None);
    // Its own id is told to the portal, in the encoding of headers.
    assert_eq!(world.portal.last().header("x-auth-id"), Some("id/1 %C3%A4?"));
    comes_in(&world, TREASURER).await;
    comes_in(&world, MEMBER).await;
    assert_eq!(server.users().len(), 2);
    assert_eq!(server.methods(), ["GET", "POST", "GET", "GET", "POST"]);
    let filter = server.with(|state| state.asked[0].1.clone());
    assert_eq!(filter, format!("/scim/v2/Users?filter=externalId eq \"{key}\"&count=10"));
    comes_in(&world, VERIFIED).await;
    assert_eq!(server.users()[2]["emails"][0]["value"], VERIFIED);
    comes_in(&world, FOREIGN).await;
    assert!(server.users()[3].get("emails").is_none(), "a stranger with the treasurer's address");
    server.assert_standard();
    assert_eq!(count(&world, "created").await, 4.0);
    assert_eq!(count(&world, "known").await, 1.0);
    world.stop().await;
}

#[tokio::test]
async fn what_is_told_at_every_sign_in_is_written_where_it_has_changed() {
    let more = ", first_login: { userName: preferred_username, title: name }, every_login: { \
                displayName: name, enterprise.department: tid }";
    let (server, world) = provisioned_with(more).await;
    comes_in(&world, TREASURER).await;
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods(), ["GET", "POST", "GET"], "nothing has changed");
    server.with(|state| {
        state.users[0].insert("displayName".into(), "Earlier".into());
        state.users[0].insert("title".into(), "Hers to choose".into());
    });
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods()[3..], ["GET", "PATCH"]);
    let user = &server.users()[0];
    assert_ne!(user["displayName"], "Earlier");
    assert_eq!(user["title"], "Hers to choose");
    server.assert_standard();
    // What cannot be written costs nobody a sign-in.
    for reply in
        [error(400, Some("mutability"), "x"), error(412, None, "x"), Reply::Json(401, json!({}))]
    {
        server.with(|state| {
            state.users[0].insert("displayName".into(), "Earlier".into());
            state.write_faults = [Fault::Instead(reply)].into();
        });
        comes_in(&world, TREASURER).await;
    }
    world.stop().await;
}

/// What was done and not answered is found again, and not done again.
#[tokio::test]
async fn an_answer_that_is_lost_creates_nobody_twice() {
    for fault in
        [Reply::Cut, Reply::Json(500, json!({})), Reply::With(503, "Retry-After", "0".into())]
    {
        let (server, world) = provisioned().await;
        server.with(|state| state.write_faults = [Fault::After(fault.clone())].into());
        comes_in(&world, TREASURER).await;
        assert_eq!(server.users().len(), 1, "{fault:?}");
        assert_eq!(server.methods(), ["GET", "POST", "GET"], "{fault:?}");
        assert_eq!(count(&world, "created").await, 1.0);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_slow_creation_is_waited_for_and_sent_once() {
    let (server, world) = provisioned().await;
    server.with(|state| {
        state.write_faults = [Fault::Late(Duration::from_millis(1500))].into();
    });
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods(), ["GET", "POST"]);
    // One that takes too long has been made by the next sign-in.
    server.with(|state| state.write_faults = [Fault::After(Reply::Hang)].into());
    assert_refusal(&lands(&world, MEMBER).await, 503, "directory-unavailable");
    comes_in(&world, MEMBER).await;
    assert_eq!(server.methods()[2..], ["GET", "POST", "GET"]);
    world.stop().await;
}

/// What cannot be brought up to date is tried once, and costs nobody a sign-in.
#[tokio::test]
async fn a_server_that_changes_nothing_is_told_once_and_everybody_comes_in() {
    let more = ", every_login: { displayName: name }";
    let (server, world) = provisioned_with(more).await;
    comes_in(&world, TREASURER).await;
    for fault in [
        Reply::Json(501, json!({})),
        Reply::Json(505, json!({})),
        Reply::Json(500, json!({})),
        Reply::With(503, "Retry-After", "0".into()),
        Reply::Cut,
        Reply::Hang,
    ] {
        server.with(|state| {
            state.asked.clear();
            state.users[0].insert("displayName".into(), "Earlier".into());
            state.write_faults = (0..9).map(|_| Fault::Instead(fault.clone())).collect();
        });
        comes_in(&world, TREASURER).await;
        assert_eq!(server.methods(), ["GET", "PATCH"], "{fault:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_address_that_is_told_joins_those_that_are_there() {
    let more = ", first_login: { title: name }, every_login: { emails: email }";
    let (server, world) = provisioned_with(more).await;
    comes_in(&world, TREASURER).await;
    let others = json!([
        { "value": "ines@home.example", "type": "home", "primary": true },
        { "value": "ines@boats.example", "type": "other" },
    ]);
    server.with(|state| state.users[0].insert("emails".into(), others.clone()));
    for _ in 0..2 {
        comes_in(&world, TREASURER).await;
    }
    let emails = server.users()[0]["emails"].clone();
    assert_eq!((&emails[0], &emails[1]), (&others[0], &others[1]));
    assert_eq!(emails[2], json!({ "value": TREASURER, "type": "work" }));
    assert_eq!(server.methods()[2..], ["GET", "PATCH", "GET"]);
    server.assert_standard();
    // In another case it is the same (GEN-08).
    server.with(|state| state.users[0]["emails"][2]["value"] = TREASURER.to_uppercase().into());
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods()[5..], ["GET"]);
    world.stop().await;
}

#[tokio::test]
async fn what_was_not_done_is_done_again_once_it_was_looked_for() {
    for fault in
        [Reply::Cut, Reply::Json(500, json!({})), Reply::With(429, "Retry-After", "0".into())]
    {
        let (server, world) = provisioned().await;
        server.with(|state| state.write_faults = [Fault::Instead(fault.clone())].into());
        comes_in(&world, TREASURER).await;
        assert_eq!(server.users().len(), 1, "{fault:?}");
        assert_eq!(server.methods(), ["GET", "POST", "GET", "POST"], "{fault:?}");
        world.stop().await;
    }
}

/// We are gone between the account and the session, and come back as another process.
#[tokio::test]
async fn a_crash_between_account_and_session_creates_nobody_twice() {
    let (server, mut world) = provisioned().await;
    server.with(|state| state.write_faults = [Fault::After(Reply::Hang)].into());
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/", TREASURER).await;
    let waiting = tokio::spawn(async move { browser.open_url(&callback).await });
    while server.users().is_empty() {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    world.restart().await;
    comes_in(&world, TREASURER).await;
    assert_eq!(server.users().len(), 1);
    world.stop().await;
}

/// A conflict may be another node that was faster.
#[tokio::test]
async fn a_conflict_is_looked_at_again() {
    let (server, world) = provisioned().await;
    comes_in(&world, TREASURER).await;
    // As if the look-up had come too early.
    let nobody = json!({ "totalResults": 0 });
    server.with(|state| state.faults = [Fault::Instead(Reply::Json(200, nobody))].into());
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods()[2..], ["GET", "POST", "GET"]);
    assert_eq!(server.users().len(), 1);
    assert_eq!(count(&world, "known").await, 1.0);
    // Or somebody else of that name.
    server.add(&json!({ "userName": MEMBER.to_uppercase() }));
    assert_refusal(&lands(&world, MEMBER).await, 403, "member-conflict");
    assert_eq!(server.users().len(), 2);
    server.assert_standard();
    world.stop().await;
}

#[tokio::test]
async fn two_at_once_are_created_once() {
    let (server, world) = provisioned().await;
    six_come_in(&world, TREASURER).await;
    assert_eq!(server.users().len(), 1);
    assert_eq!(server.methods().iter().filter(|method| **method == "POST").count(), 1);
    world.stop().await;
}

#[tokio::test]
async fn who_is_not_active_does_not_come_in() {
    let (server, world) = provisioned().await;
    comes_in(&world, TREASURER).await;
    for inactive in [json!(false), json!("False")] {
        server.with(|state| {
            state.users[0].insert("active".into(), inactive);
        });
        assert_refusal(&lands(&world, TREASURER).await, 403, "member-inactive");
    }
    // A server that has new accounts wait for somebody.
    server.with(|state| state.makes_inactive = true);
    assert_refusal(&lands(&world, MEMBER).await, 403, "member-inactive");
    assert_refusal(&lands(&world, MEMBER).await, 403, "member-inactive");
    assert_eq!(server.users().len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_to_a_change_is_asked_what_is_there() {
    let (server, world) = provisioned().await;
    server.with(|state| state.is_silent = true);
    comes_in(&world, TREASURER).await;
    assert_eq!(server.methods(), ["GET", "POST", "GET"]);
    assert!(world.portal.last().header("x-auth-id").is_some());
    world.stop().await;
}

#[tokio::test]
async fn gen_02_a_server_that_does_not_say_who_it_is_lets_nobody_in() {
    let other = json!({ "id": "1", "externalId": "somebody.else", "userName": "x" });
    let ours = |key: &str| json!({ "id": "1", "externalId": key, "userName": "x" });
    let server = ScimServer::start().await;
    let directory = by_scim(server.address).replace("3s", "500ms");
    let world = world(&format!("unknown: allow, directory: {directory}")).await;
    comes_in(&world, TREASURER).await;
    let filter = server.with(|state| state.asked[0].1.clone());
    let key = filter.split('"').nth(1).unwrap().to_owned();
    let key_in_capitals = key.to_uppercase();
    let list = |total: u64, users: Vec<Value>| {
        Reply::Json(200, json!({ "totalResults": total, "Resources": users }))
    };
    for (reply, code) in [
        // It does not filter.
        (list(1, vec![other.clone()]), "directory-answer"),
        (list(2, vec![ours(&key), other.clone()]), "directory-answer"),
        (list(1, vec![ours(&key_in_capitals)]), "directory-answer"),
        (list(0, vec![ours(&key)]), "directory-answer"),
        (list(1, vec![]), "directory-answer"),
        (list(1, vec![ours(&key), ours(&key)]), "directory-answer"),
        (list(2, vec![ours(&key), ours(&key)]), "directory-ambiguous"),
        (list(2, vec![ours(&key)]), "directory-ambiguous"),
        (list(1, vec![json!({ "id": "..", "externalId": key })]), "directory-answer"),
        (
            list(1, vec![json!({ "id": "1", "externalId": key, "active": "no" })]),
            "directory-answer",
        ),
        (Reply::Json(200, json!({})), "directory-answer"),
        (Reply::Json(200, json!([])), "directory-answer"),
        (Reply::Raw(200, b"{\"totalResults\":0,\"totalResults\":1}".to_vec()), "directory-answer"),
        (Reply::Raw(200, b"<html>".to_vec()), "directory-answer"),
        (error(400, Some("invalidFilter"), "x"), "directory-refused"),
        (error(401, None, "x"), "directory-refused"),
        (error(404, None, "x"), "directory-refused"),
        (error(501, None, "x"), "directory-refused"),
        (Reply::With(307, "Location", "/".into()), "directory-answer"),
        (Reply::Json(500, json!({})), "directory-unavailable"),
        (Reply::Cut, "directory-unavailable"),
        (Reply::Hang, "directory-unavailable"),
        (Reply::With(429, "Retry-After", "100".into()), "directory-unavailable"),
    ] {
        server.with(|state| state.faults = (0..9).map(|_| Fault::Instead(reply.clone())).collect());
        let mut browser = world.browser();
        let landed = browser.sign_in("/", TREASURER).await;
        assert_refusal(&landed, 503, code);
        assert!(!browser.own_cookies().contains_key("__Host-anteport"), "{reply:?}");
    }
    server.with(|state| state.faults.clear());
    comes_in(&world, TREASURER).await;
    assert!(server.users().is_empty(), "`allow` creates nobody");
    world.stop().await;
}
