//! The same with a SCIM server and a webhook library that nobody here wrote. `tests/members/run`
//! starts them, and names their addresses in the environment.

use std::net::SocketAddr;

use anteport::clock::Clock;
use serde_json::{Value, json};

use crate::world::browser::Browser;
use crate::world::{Plan, assert_refusal};
use crate::{
    MEMBER, TOKEN, TREASURER, VERIFIED, by_scim, by_webhook, comes_in, count, lands, start, world,
};

const JSON: (&str, &str) = ("content-type", "application/scim+json");

fn address(name: &str) -> SocketAddr {
    let port = std::env::var(name).unwrap_or_else(|_| panic!("tests/members/run sets {name}"));
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}

/// The server itself, asked as its operator would.
struct Scim(Browser);

impl Scim {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [JSON, ("authorization", &*bearer)];
        let answer = self.0.send(method, path, &headers, body.to_string().as_bytes()).await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    async fn users(&self) -> Vec<Value> {
        self.ask("GET", "/v2/Users", &Value::Null).await["Resources"].as_array().unwrap().clone()
    }

    async fn add(&self, name: &str) -> String {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "emails": [{ "value": name, "primary": true }],
        });
        self.ask("POST", "/v2/Users", &user).await["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
#[ignore = "with a partner: tests/members/run"]
async fn a_scim_server_has_members_created_linked_and_brought_up_to_date() {
    let at = address("SCIM_PORT");
    let server = Scim(Browser::new(format!("http://{at}")));
    let directory = by_scim(at).replace("/scim/v2", "/v2");
    let members = format!(
        "unknown: provision, link_by_email: unique_unlinked, directory: {directory}, every_login: {{ \
         displayName: name, name.givenName: name, enterprise.department: tid }}"
    );
    let world = world(&members).await;
    // Nobody is there.
    comes_in(&world, TREASURER).await;
    comes_in(&world, TREASURER).await;
    let users = server.users().await;
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["userName"], TREASURER);
    assert!(users[0]["externalId"].as_str().unwrap().starts_with("3f1c2a64"));
    let id = users[0]["id"].as_str().unwrap();
    assert_eq!(world.portal.last().header("x-auth-id"), Some(id));
    // Somebody waits.
    let waiting = server.add(VERIFIED).await;
    comes_in(&world, VERIFIED).await;
    comes_in(&world, VERIFIED).await;
    let users = server.users().await;
    let linked = users.iter().find(|user| user["id"] == json!(waiting)).unwrap();
    assert!(linked["externalId"].is_string(), "{linked}");
    assert_eq!(linked["displayName"], "Vera Verified");
    assert_eq!(linked["name"]["givenName"], "Vera Verified");
    assert_eq!(users.len(), 2);
    // Something has changed.
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "displayName", "value": "Earlier" }],
    });
    server.ask("PATCH", &format!("/v2/Users/{id}"), &patch).await;
    comes_in(&world, TREASURER).await;
    let user = server.ask("GET", &format!("/v2/Users/{id}"), &Value::Null).await;
    assert_ne!(user["displayName"], "Earlier");
    // Somebody else has the name.
    server.add(&MEMBER.to_uppercase()).await;
    assert_refusal(&lands(&world, MEMBER).await, 403, "member-conflict");
    // Somebody is switched off.
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": false }],
    });
    server.ask("PATCH", &format!("/v2/Users/{id}"), &patch).await;
    assert_refusal(&lands(&world, TREASURER).await, 403, "member-inactive");
    let results = ["created", "linked", "known", "refused", "failed"];
    let mut counts = Vec::new();
    for result in results {
        counts.push(count(&world, result).await);
    }
    assert_eq!(counts, [1.0, 1.0, 3.0, 2.0, 0.0]);
    world.stop().await;
    let wrong = directory.replace(TOKEN, "another");
    let world = crate::world(&format!("unknown: allow, directory: {wrong}")).await;
    assert_refusal(&lands(&world, TREASURER).await, 503, "directory-refused");
    world.stop().await;
}

#[tokio::test]
#[ignore = "with a partner: tests/members/run"]
async fn the_library_of_standard_webhooks_believes_our_signature() {
    let at = address("WEBHOOK_PORT");
    let directory = by_webhook(at);
    // It compares the time with the machine's.
    let plan = || Plan { begins: Clock::system().now(), ..Plan::default() };
    let members = format!("unknown: provision, directory: {directory}");
    let mut world = start(plan(), &members).await;
    comes_in(&world, TREASURER).await;
    assert_eq!(world.portal.last().header("x-auth-number"), Some("1"));
    world.restart().await;
    comes_in(&world, TREASURER).await;
    assert_eq!((count(&world, "known").await, count(&world, "created").await), (1.0, 0.0));
    world.stop().await;
    let wrong = directory.replace("whsec_MDEy", "whsec_NDEy");
    let world = start(plan(), &format!("unknown: allow, directory: {wrong}")).await;
    assert_refusal(&lands(&world, TREASURER).await, 503, "directory-refused");
    world.stop().await;
    // At another time it is not believed.
    let world = crate::world(&members).await;
    assert_refusal(&lands(&world, TREASURER).await, 503, "directory-refused");
    world.stop().await;
}
