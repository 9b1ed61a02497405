//! An account that waits for its member is theirs by a verified address, if it is the only one and
//! nobody's (AZ-02).

use serde_json::{Map, Value, json};

use crate::scim_server::ScimServer;
use crate::server::Reply;
use crate::webhook_receiver::{Fault, Receiver};
use crate::world::{World, assert_refusal};
use crate::{
    FOREIGN, MEMBER, TREASURER, VERIFIED, by_scim, by_webhook, comes_in, count, lands, world,
    world_of,
};

const LINKS: &str = "link_by_email: unique_unlinked";
const B2C: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_SignUpSignIn"#;
const LOCAL_B2C: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_SignUpSignIn
    local_accounts_only: true"#;
const INES: &str = "ines@mail.example";

async fn deny_and_link() -> (ScimServer, World) {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: deny, {LINKS}, directory: {directory}")).await;
    (server, world)
}

fn waiting(address: &str) -> Value {
    json!({ "userName": "waits", "active": true, "emails": [{ "value": address }] })
}

#[tokio::test]
async fn an_account_that_waits_is_linked_by_a_verified_address_and_then_known() {
    for user in
        [waiting(&VERIFIED.to_uppercase()), json!({ "userName": VERIFIED, "externalId": "" })]
    {
        let (server, world) = deny_and_link().await;
        let other = server.add(&json!({ "userName": "other@harborclub.example" }));
        let id = server.add(&user);
        comes_in(&world, VERIFIED).await;
        let users = server.users();
        assert_eq!(users.len(), 2);
        let linked = users.iter().find(|user| user["id"] == json!(id)).unwrap();
        assert!(linked["externalId"].as_str().unwrap().starts_with("3f1c2a64"));
        assert_eq!(linked["userName"], user["userName"], "the name stays");
        let untouched = users.iter().find(|user| user["id"] == json!(other)).unwrap();
        assert_eq!(untouched.get("externalId"), None);
        comes_in(&world, VERIFIED).await;
        assert_eq!(server.methods(), ["GET", "GET", "GET", "PATCH", "GET"]);
        server.assert_standard();
        assert_eq!((count(&world, "linked").await, count(&world, "known").await), (1.0, 1.0));
        world.stop().await;
    }
}

/// nOAuth: an address that anybody can write into their own tenant opens nobody's account.
#[tokio::test]
async fn az_02_an_unverified_address_links_nobody() {
    let (server, world) = deny_and_link().await;
    server.add(&waiting(TREASURER));
    server.add(&json!({ "userName": MEMBER }));
    for username in [FOREIGN, TREASURER, MEMBER] {
        assert_refusal(&lands(&world, username).await, 403, "member-unknown");
    }
    assert!(server.users().iter().all(|user| user.get("externalId").is_none()));
    let asked = server.with(|state| state.asked.clone());
    assert!(
        asked.iter().all(|(method, target)| method == "GET" && target.contains("externalId eq"))
    );
    // Nor does a webhook hear of one, or is believed that it has found one.
    let receiver = Receiver::start().await;
    receiver.with(|state| state.unknown = Some(json!({ "decision": "unknown", "unlinked": true })));
    let directory = by_webhook(receiver.address);
    let other = crate::world(&format!("unknown: deny, {LINKS}, directory: {directory}")).await;
    assert_refusal(&lands(&other, FOREIGN).await, 403, "member-unknown");
    assert_eq!(receiver.last().json()["data"]["verified_email"], Value::Null);
    assert_eq!(receiver.asks(), ["lookup"]);
    comes_in(&other, VERIFIED).await;
    assert_eq!(receiver.last().json()["data"]["verified_email"], VERIFIED);
    assert_eq!(receiver.asks(), ["lookup", "lookup", "link"]);
    other.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn az_02_nothing_is_linked_unless_that_is_written() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: deny, directory: {directory}")).await;
    server.add(&waiting(VERIFIED));
    assert_refusal(&lands(&world, VERIFIED).await, 403, "member-unknown");
    assert_eq!(server.methods(), ["GET"]);
    world.stop().await;
}

#[tokio::test]
async fn az_02_an_account_that_is_somebodys_or_one_of_several_is_not_linked() {
    for users in [
        vec![json!({ "userName": VERIFIED, "externalId": "some.body" })],
        vec![waiting(VERIFIED), json!({ "userName": VERIFIED })],
        vec![waiting(VERIFIED), json!({ "userName": "b", "emails": [{ "value": VERIFIED }] })],
        vec![waiting(VERIFIED), json!({ "userName": VERIFIED, "externalId": "some.body" })],
    ] {
        let (server, world) = deny_and_link().await;
        for user in &users {
            server.add(user);
        }
        let before = server.users();
        assert_refusal(&lands(&world, VERIFIED).await, 403, "member-unknown");
        assert_eq!(server.users(), before, "{users:?}");
        server.assert_standard();
        world.stop().await;
    }
}

#[tokio::test]
async fn who_waits_and_is_switched_off_stays_out() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let world = world(&format!("unknown: provision, {LINKS}, directory: {directory}")).await;
    server.add(&json!({ "userName": VERIFIED, "active": false }));
    assert_refusal(&lands(&world, VERIFIED).await, 403, "member-inactive");
    assert_eq!(server.users().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_server_without_versions_links_as_well() {
    let (server, world) = deny_and_link().await;
    server.add(&waiting(VERIFIED));
    server.with(|state| {
        state.has_versions = false;
        state.is_silent = true;
        state.users[0].remove("meta");
    });
    comes_in(&world, VERIFIED).await;
    assert_eq!(server.methods(), ["GET", "GET", "GET", "PATCH", "GET"]);
    let last = server.with(|state| state.last.clone()).unwrap();
    assert_eq!(last.header("if-match"), None);
    world.stop().await;
}

/// The account has become another's between the question and the change.
#[tokio::test]
async fn an_account_that_changes_meanwhile_is_not_taken_over() {
    let (server, world) = deny_and_link().await;
    server.add(&waiting(VERIFIED));
    server.with(|state| {
        state.meanwhile = Some(|users| {
            users[0].insert("externalId".into(), "some.body".into());
            users[0]["meta"]["version"] = json!("W/\"2\"");
        });
    });
    assert_refusal(&lands(&world, VERIFIED).await, 503, "directory-unavailable");
    assert_eq!(server.users()[0]["externalId"], "some.body");
    assert_refusal(&lands(&world, VERIFIED).await, 403, "member-unknown");
    // Or it is gone.
    server.with(|state| state.users.clear());
    server.add(&waiting(VERIFIED));
    server.with(|state| state.meanwhile = Some(Vec::clear));
    assert_refusal(&lands(&world, VERIFIED).await, 503, "directory-unavailable");
    world.stop().await;
}

/// No version says so there, and the link is sent a second time.
#[tokio::test]
async fn az_02_a_link_that_is_tried_again_takes_no_account_over() {
    let taken: fn(&mut Vec<Map<String, Value>>) = |users| {
        users[0].insert("externalId".into(), "some.body".into());
    };
    for (meanwhile, is_linked) in [(None, true), (Some(taken), false)] {
        let (server, world) = deny_and_link().await;
        server.add(&waiting(VERIFIED));
        server.with(|state| {
            state.has_versions = false;
            state.users[0].remove("meta");
            state.meanwhile = meanwhile;
            state.write_faults = [Fault::Instead(Reply::Json(500, json!({})))].into();
        });
        let looked = ["GET", "GET", "GET", "PATCH", "GET", "GET"];
        match is_linked {
            true => {
                comes_in(&world, VERIFIED).await;
                assert_eq!(server.methods()[..6], looked);
                assert_eq!(server.methods()[6..], ["PATCH"]);
            }
            false => {
                assert_refusal(&lands(&world, VERIFIED).await, 403, "member-conflict");
                assert_eq!(server.methods(), looked);
                assert_eq!(server.users()[0]["externalId"], "some.body");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_links_nobody_twice() {
    for fault in [Reply::Cut, Reply::Json(500, json!({}))] {
        let (server, world) = deny_and_link().await;
        server.add(&waiting(VERIFIED));
        server.with(|state| state.write_faults = [Fault::After(fault)].into());
        comes_in(&world, VERIFIED).await;
        assert_eq!(server.methods(), ["GET", "GET", "GET", "PATCH", "GET"]);
        assert_eq!(count(&world, "linked").await, 1.0);
        world.stop().await;
    }
}

/// A total of one is not believed beside two accounts.
#[tokio::test]
async fn az_02_a_server_that_counts_one_account_and_has_two_links_nobody() {
    let (server, world) = deny_and_link().await;
    let id = server.add(&waiting(VERIFIED));
    let users: Vec<Value> = [&*id, "other"]
        .iter()
        .map(|id| json!({ "id": id, "userName": "x", "emails": [{ "value": VERIFIED }] }))
        .collect();
    let nobody = Fault::Instead(Reply::Json(200, json!({ "totalResults": 0 })));
    let list = json!({ "totalResults": 1, "Resources": users });
    server.with(|state| state.faults = [nobody, Fault::Instead(Reply::Json(200, list))].into());
    assert_refusal(&lands(&world, VERIFIED).await, 503, "directory-answer");
    assert_eq!(server.methods(), ["GET", "GET"]);
    world.stop().await;
}

/// An invitation of SCIM is an account that waits.
#[tokio::test]
async fn who_is_invited_by_address_is_linked_and_nobody_else_is_created() {
    let server = ScimServer::start().await;
    let directory = by_scim(server.address);
    let members =
        format!("unknown: provision, registration: invite, {LINKS}, directory: {directory}");
    let world = world(&members).await;
    assert_refusal(&lands(&world, VERIFIED).await, 403, "member-not-invited");
    assert_refusal(&lands(&world, TREASURER).await, 403, "member-not-invited");
    server.add(&waiting(VERIFIED));
    comes_in(&world, VERIFIED).await;
    assert_refusal(&lands(&world, TREASURER).await, 403, "member-not-invited");
    assert_eq!(server.users().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn az_02_of_b2c_an_account_is_linked_only_where_all_are_said_to_be_local() {
    for (provider, is_linked) in [(B2C, false), (LOCAL_B2C, true)] {
        let server = ScimServer::start().await;
        let directory = by_scim(server.address);
        let members = format!("unknown: deny, {LINKS}, directory: {directory}");
        let world = world_of(&members, provider, "{}").await;
        server.add(&waiting(INES));
        match is_linked {
            true => comes_in(&world, INES).await,
            false => assert_refusal(&lands(&world, INES).await, 403, "member-unknown"),
        }
        assert_eq!(server.users()[0].contains_key("externalId"), is_linked);
        world.stop().await;
    }
}
