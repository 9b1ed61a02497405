//! Who is created, and what others are told: `unknown` and `registration`, for all and by provider.

use serde_json::json;

use crate::scim_server::ScimServer;
use crate::webhook_receiver::Receiver;
use crate::world::{ONE_TENANT, Plan, World, assert_refusal};
use crate::{MEMBER, TREASURER, by_scim, by_webhook, comes_in, count, lands, world};

#[tokio::test]
async fn without_members_nobody_is_asked() {
    let world = World::start().await;
    comes_in(&world, TREASURER).await;
    assert_eq!(count(&world, "unasked").await, 0.0);
    world.stop().await;
}

#[tokio::test]
async fn without_a_directory_everybody_comes_in() {
    let world = world("unknown: allow").await;
    comes_in(&world, TREASURER).await;
    assert_eq!(count(&world, "unasked").await, 1.0);
    world.stop().await;
}

#[tokio::test]
async fn gen_04_whom_the_directory_does_not_know_is_let_in_refused_or_created() {
    for (unknown, result, code) in [
        ("allow", "unknown", None),
        ("deny", "refused", Some("member-unknown")),
        ("provision", "created", None),
    ] {
        let receiver = Receiver::start().await;
        let directory = by_webhook(receiver.address);
        let world = world(&format!("unknown: {unknown}, directory: {directory}")).await;
        let landed = lands(&world, TREASURER).await;
        match code {
            Some(code) => assert_refusal(&landed, 403, code),
            None => assert_eq!(landed.status, 200, "{unknown}"),
        }
        assert_eq!(count(&world, result).await, 1.0, "{unknown}");
        let created = receiver.with(|state| state.created);
        assert_eq!(created, usize::from(unknown == "provision"));
        world.stop().await;
    }
}

#[tokio::test]
async fn only_who_is_there_comes_in_and_others_are_told_whom_to_ask() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let message = "registration_message: \"Write to <membership@club.example>.\"";
    let deny = world(&format!("unknown: deny, {message}, directory: {directory}")).await;
    let landed = lands(&deny, TREASURER).await;
    assert_refusal(&landed, 403, "member-unknown");
    let text = landed.text();
    assert!(text.contains("membership@club.example") && !text.contains("<membership"), "{text}");
    let member = receiver.last().json()["data"]["member"].as_str().unwrap().to_owned();
    receiver.with(|state| state.members.insert(member, json!({})));
    comes_in(&deny, TREASURER).await;
    assert_refusal(&lands(&deny, MEMBER).await, 403, "member-unknown");
    deny.stop().await;
}

#[tokio::test]
async fn registration_is_for_all_or_by_provider() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    for (all, own, code) in [
        ("open", "existing_only", Some("member-registration-closed")),
        ("open", "invite", Some("member-not-invited")),
        ("existing_only", "open", None),
    ] {
        receiver.with(|state| state.members.clear());
        let members = format!(
            "unknown: provision, registration: {all}, registration_message: Of all, providers: {{ \
             corporate: {{ registration: {own}, registration_message: Of one }} }}, directory: \
             {directory}"
        );
        let world = world(&members).await;
        let landed = lands(&world, TREASURER).await;
        assert_eq!(
            receiver.with(|state| state.asked[0].json()["data"]["registration"].clone()),
            own
        );
        match code {
            Some(code) => {
                assert_refusal(&landed, 403, code);
                assert!(landed.text().contains("Of one"), "{}", landed.text());
            }
            None => assert_eq!(landed.status, 200),
        }
        receiver.with(|state| state.asked.clear());
        world.stop().await;
    }
}

#[tokio::test]
async fn who_is_invited_is_created_and_nobody_else() {
    let receiver = Receiver::start().await;
    let directory = by_webhook(receiver.address);
    let members = format!("unknown: provision, registration: invite, directory: {directory}");
    let world = world(&members).await;
    assert_refusal(&lands(&world, TREASURER).await, 403, "member-not-invited");
    assert_eq!(receiver.asks(), ["lookup"]);
    receiver.with(|state| {
        state.unknown = Some(json!({ "decision": "unknown", "invited": true }));
    });
    comes_in(&world, TREASURER).await;
    assert_eq!(receiver.with(|state| state.created), 1);
    world.stop().await;
}

/// Who could see nothing is not made a member.
#[tokio::test]
async fn whom_no_route_would_let_in_is_not_created() {
    let server = ScimServer::start().await;
    let portal = format!(
        r#"
    local_login: {{}}
    routes:
      - {{ path: "/assets/**", access: public }}
      - {{ path: "/**", access: signed_in, requires: {{ roles: [Treasurer] }} }}
    members: {{ unknown: provision, directory: {} }}
"#,
        by_scim(server.address)
    );
    let portal: &'static str = portal.leak();
    let world = World::start_with(Plan { portal, provider: ONE_TENANT, ..Plan::default() }).await;
    assert_refusal(&lands(&world, MEMBER).await, 403, "member-without-rights");
    assert!(server.users().is_empty());
    comes_in(&world, TREASURER).await;
    assert_eq!(server.users().len(), 1);
    world.stop().await;
}
