//! Break-glass with several nodes: a link is one for all of them, and so is its end, as long as the
//! store answers; and it leads to the portal while that is down, too.

use std::time::Instant;

use serde_json::{Value, json};

use crate::fleet::{Fleet, Plan};
use crate::nodes::single;
use crate::redis::{SOON, Server};
use crate::visitor::{Reply, ask, post};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n\
                    Origin: null\r\nAccept: text/html\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

async fn ask_admin(fleet: &Fleet, node: usize, target: &str) -> Reply {
    let admin = fleet.nodes[node].admin;
    let body = json!({ "reason": "ticket 123" }).to_string();
    post(admin, &admin.to_string(), target, JSON, &body).await.unwrap()
}

/// The code of a link that a node makes.
async fn made(fleet: &Fleet, node: usize) -> String {
    let reply = ask_admin(fleet, node, "/-/break-glass").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let made: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(made["on_this_node_alone"], json!(false));
    made["code"].as_str().unwrap().to_owned()
}

async fn open(fleet: &Fleet, node: usize, code: &str) -> Reply {
    let body = format!("link={code}");
    let at = fleet.nodes[node].address;
    post(at, &fleet.host, "/.auth/break-glass", FORM, &body).await.unwrap()
}

/// The pass that a node gives for it.
async fn opened(fleet: &Fleet, node: usize, code: &str) -> String {
    let reply = open(fleet, node, code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let set = reply.header("set-cookie").unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn passes(fleet: &Fleet, node: usize, cookie: &str) -> bool {
    let reply = ask(fleet.nodes[node].address, &fleet.host, cookie).await.unwrap();
    assert!(matches!(reply.status, 200 | 303), "{} {}", reply.status, reply.body);
    reply.status == 200
}

fn stores(server: &Server) -> [Plan; 2] {
    let redis = format!("{}\n    timeout: 2s", single(server));
    let other = format!("{redis}\n    prefix: \"glass:\"");
    [Plan::redis(&redis), Plan::cookie_with_redis(&other)]
}

#[tokio::test]
async fn a_link_is_opened_once_on_any_node_and_ended_on_all() {
    let server = Server::start();
    for plan in stores(&server) {
        let fleet = Fleet::start_with(plan).await;
        let code = made(&fleet, 0).await;
        let cookie = opened(&fleet, 1, &code).await;
        for node in 0..fleet.nodes.len() {
            assert!(passes(&fleet, node, &cookie).await, "{node}");
            let again = open(&fleet, node, &code).await;
            assert_eq!(again.status, 409, "{node} {}", again.body);
        }
        // By two nodes at once.
        let code = made(&fleet, 2).await;
        let both = tokio::join!(open(&fleet, 0, &code), open(&fleet, 1, &code));
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        // Ended on one, and over on the next request everywhere; what was not opened, too.
        let unused = made(&fleet, 1).await;
        assert_eq!(ask_admin(&fleet, 2, "/-/break-glass/revoke").await.status, 200);
        for node in 0..fleet.nodes.len() {
            assert!(!passes(&fleet, node, &cookie).await, "{node}");
            assert_eq!(open(&fleet, node, &unused).await.status, 410, "{node}");
        }
        let cookie = opened(&fleet, 0, &made(&fleet, 0).await).await;
        assert!(passes(&fleet, 2, &cookie).await);
    }
}

#[tokio::test]
async fn rel_04_a_link_leads_to_the_portal_while_the_store_is_down() {
    let mut server = Server::start();
    for plan in [0, 1] {
        let [redis, cookie] = stores(&server);
        let fleet = Fleet::start_with(if plan == 0 { redis } else { cookie }).await;
        let mut member = fleet.treasurer(0).await;
        let session = Fleet::cookie(&mut member);
        server.down();
        let begun = Instant::now();
        let code = made(&fleet, 0).await;
        let pass = opened(&fleet, 0, &code).await;
        assert!(passes(&fleet, 0, &pass).await);
        assert!(passes(&fleet, 1, &pass).await, "the seal is all that it takes");
        // Whatever session the browser has beside it, of which nobody can say anything now.
        assert!(passes(&fleet, 2, &format!("{session}; {pass}")).await);
        assert_eq!(open(&fleet, 0, &code).await.status, 409, "once on this node all the same");
        // What is ended while nobody can be told is over here at least.
        let reply = ask_admin(&fleet, 0, "/-/break-glass/revoke").await;
        assert_eq!(reply.status, 503, "{}", reply.body);
        assert!(!passes(&fleet, 0, &pass).await);
        assert!(begun.elapsed() < SOON);
        server.up();
    }
}
