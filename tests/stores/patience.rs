//! A revocation that takes longer than anybody waits for it: it goes on, and the log says how it
//! ends.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use redis::cmd;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Plan};
use crate::redis::{SOON, Server};
use crate::relay::{Fault, Relay};
use crate::suite::{LIFETIMES, Node, session_with, single};
use crate::visitor::{get, post};

/// How many sessions a member has, and how late each answer is about one of them: two answers
/// each take longer together than anybody is kept waiting for the number.
const MANY: usize = 150;
const LATE: Duration = Duration::from_millis(30);

/// One process that asks Redis through a relay, and many sessions of each of these.
async fn world(members: &[&str]) -> (Server, Relay, Fleet) {
    let server = Server::start();
    let relay = Relay::start(server.address);
    let redis = format!("    servers: [\"{}\"]\n    timeout: 2s", relay.address);
    let fleet = Fleet::start_with(Plan { nodes: 1, ..Plan::redis(&redis) }).await;
    let node = Node::start(single(&server)).ready().await;
    let now = Clock::system().now();
    for name in members {
        for _ in 0..MANY {
            node.sessions
                .start(session_with(&fleet.host, LIFETIMES, name, now), now)
                .await
                .unwrap();
        }
    }
    relay.set(Fault::Slow(LATE));
    (server, relay, fleet)
}

fn key(name: &str) -> String {
    format!("https://i.example#sub-{name}")
}

/// As a program does it.
async fn asks(fleet: &Fleet, name: &str) -> Value {
    let (admin, headers) = (fleet.nodes[0].admin, "Content-Type: application/json\r\n");
    let asked = json!({ "member": key(name) }).to_string();
    let path = "/-/sessions/revoke";
    let reply = post(admin, &admin.to_string(), path, headers, &asked).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

/// As an operator does it.
async fn commands(fleet: &Fleet, name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteport"));
    command.args(["sessions", "revoke", "--yes", "--member"]).arg(key(name));
    command.arg("--config").arg(fleet.nodes[0].path("yaml")).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the log says this so often.
async fn says(fleet: &Fleet, line: &str, times: usize) {
    let begun = Instant::now();
    while fleet.nodes[0].log().matches(line).count() < times {
        assert!(begun.elapsed() < SOON, "it does not say so: {}", fleet.nodes[0].log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn left(server: &Server) -> usize {
    server.ask::<Vec<String>>(cmd("KEYS").arg("anteport:s:*")).len()
}

#[tokio::test]
async fn a_revocation_that_takes_long_goes_on_and_the_log_says_when_it_has_come_to_its_end() {
    let (server, relay, fleet) = world(&["ada", "grace", "mary"]).await;
    let begun = Instant::now();
    let (asked, commanded) = tokio::join!(asks(&fleet, "ada"), commands(&fleet, "grace"));
    assert_eq!(asked, json!({ "ended": null, "goes_on": true }));
    assert!(commanded.starts_with("it goes on: they are many, and the log"), "{commanded}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let on_the_way = left(&server);
    assert!((MANY + 1..3 * MANY).contains(&on_the_way), "{on_the_way}: some of them have ended");
    relay.set(Fault::None);
    says(&fleet, "a revocation has come to its end", 2).await;
    assert_eq!(left(&server), MANY, "nobody else's");
    let revoked = fleet.nodes[0].audited("session-revoked");
    assert_eq!(revoked, vec![Some("by the operator".to_owned()); 2 * MANY], "LOG-03");
    assert!(!fleet.nodes[0].log().contains("has not come to its end"));
    // Those who are few are counted.
    assert_eq!(asks(&fleet, "mary").await, json!({ "ended": MANY }));
    assert_eq!(commands(&fleet, "mary").await, "ended: 0 sessions\n");
}

#[tokio::test]
async fn gen_03_a_revocation_that_takes_long_and_fails_is_to_be_asked_for_again() {
    let (server, relay, fleet) = world(&["ada"]).await;
    assert_eq!(asks(&fleet, "ada").await, json!({ "ended": null, "goes_on": true }));
    // Nothing is said any more, and every question of it waits for that.
    relay.set(Fault::Cut(1));
    says(&fleet, "a revocation has not come to its end: ask for it again", 1).await;
    relay.set(Fault::None);
    let begun = Instant::now();
    // What is over there is told when the store is back.
    while left(&server) > 0 {
        assert!(begun.elapsed() < SOON, "{}", left(&server));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fleet.knows_all().await;
    assert_eq!(asks(&fleet, "ada").await, json!({ "ended": 0 }));
    assert_eq!(fleet.nodes[0].audited("session-revoked").len(), MANY, "LOG-03: each of them once");
    let admin = fleet.nodes[0].admin;
    let metrics = get(admin, &admin.to_string(), "/metrics", "").await.unwrap().body;
    let series = format!("anteport_sessions_ended_total{{reason=\"revoked\"}} {MANY}\n");
    assert!(metrics.contains(&series), "{metrics}");
}
