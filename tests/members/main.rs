//! Members end to end: the emulated Microsoft, the proxy, a portal, and a directory that fails in
//! every way that there is. The webhook's other side and the SCIM server are of these tests; one
//! that nobody here wrote is asked by `tests/members/run`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests, and a world that is not used whole"
)]

mod audit;
mod dry_run;
mod linking;
#[path = "../credentials/log.rs"]
mod log;
mod partners;
mod registration;
mod scim;
mod scim_server;
mod server;
mod session;
mod webhook;
mod webhook_receiver;
#[path = "../proxy/world/mod.rs"]
mod world;

use std::net::SocketAddr;

use anteport::demo::microsoft::Directory;
use world::browser::Answer;
use world::{ONE_TENANT, Plan, Registration, World};

pub const TREASURER: &str = "treasurer@harborclub.example";
pub const MEMBER: &str = "member@harborclub.example";
pub const VERIFIED: &str = "verified.email@harborclub.example";
/// With the treasurer's address, which nobody has verified.
pub const FOREIGN: &str = "foreign.email@harborclub.example";

/// What every portal here has besides `members`.
pub const PORTAL: &str = r#"
    sign_in: { test: true }
    local_login: {}
    routes:
      - path: "/paid/**"
        access: signed_in
        requires: { claims: { ext.paid: "true" } }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Number: ext.member_number, X-Auth-Id: ext.id }
"#;

/// 32 bytes.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "token-of-the-tests";

/// A directory that is a webhook.
pub fn by_webhook(address: SocketAddr) -> String {
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    format!(
        "{{ webhook: {{ url: \"http://{address}/hooks/sign-in?for=club\", secret: {{ value: \
         \"{secret}\" }}, deadline: 3s }} }}"
    )
}

/// A directory that speaks SCIM.
pub fn by_scim(address: SocketAddr) -> String {
    format!(
        "{{ scim: {{ url: \"http://{address}/scim/v2\", token: {{ value: \"{TOKEN}\" }}, deadline: \
         3s }} }}"
    )
}

/// A world whose portal has these members, written as the inside of the section.
pub async fn world(members: &str) -> World {
    world_of(members, ONE_TENANT, "{}").await
}

pub async fn world_of(members: &str, provider: &'static str, sessions: &'static str) -> World {
    start(Plan { provider, sessions, ..Plan::default() }, members).await
}

/// The same, planned otherwise.
pub async fn start(plan: Plan, members: &str) -> World {
    start_at(plan, PORTAL, members).await
}

/// The same, at a portal that has this besides `members`.
pub async fn start_at(plan: Plan, portal: &str, members: &str) -> World {
    let portal = format!("{portal}\n    members: {{ {members} }}\n").leak();
    // One account of every persona.
    let registration: Registration =
        Box::new(|options, _| options.directory = Directory::default().with_personas());
    World::start_with(Plan { portal, registration, ..plan }).await
}

/// Where somebody lands who signs in.
pub async fn lands(world: &World, username: &str) -> Answer {
    world.browser().sign_in("/", username).await
}

/// They are in, and the portal has been asked.
pub async fn comes_in(world: &World, username: &str) {
    let landed = lands(world, username).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
}

/// How often sign-ins have come to this.
pub async fn count(world: &World, result: &str) -> f64 {
    let portal = world.proxy;
    world
        .metric(&format!("anteport_members_total{{portal=\"{portal}\",result=\"{result}\"}}"))
        .await
}

/// One member comes back from six sign-ins at one moment.
pub async fn six_come_in(world: &World, username: &str) {
    let mut callbacks = Vec::new();
    for _ in 0..6 {
        let mut browser = world.browser();
        let callback = browser.sign_in_to_callback("/", username).await;
        callbacks.push((browser, callback));
    }
    let mut signing_in = tokio::task::JoinSet::new();
    for (mut browser, callback) in callbacks {
        signing_in.spawn(async move { browser.open_url(&callback).await.status });
    }
    assert_eq!(signing_in.join_all().await, [303; 6]);
}
