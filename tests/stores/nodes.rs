//! A sign-in is one for all nodes, and so is a sign-out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use anteport::config;
use anteport::gate::Timestamp;
use anteport::server::Service;
use anteport::telemetry::log::DroppedLines;
use redis::cmd;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::fleet::{Fleet, NODES, Plan, TREASURER};
use crate::load::Load;
use crate::redis::{SOON, Server};
use crate::suite::eventually;
use crate::visitor::{Member, Reply, ask, get, post, sign_out};
use crate::world::free_port;
use crate::world::provider::{self, BACK, INES, OIDC};

/// The `oid` of the treasurer.
pub const TREASURERS_NAME: &str = "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57";
const SECOND: Duration = Duration::from_secs(1);

/// What a fleet says of one server.
pub fn single(server: &Server) -> String {
    format!("    servers: [\"{}\"]", server.address)
}

/// The stores with which a sign-out is one for all nodes.
fn told_everywhere(server: &Server) -> [(&'static str, Plan); 2] {
    // What is to be seen is a sign-out, not how busy this machine is.
    let redis = format!("{}\n    timeout: 2s", single(server));
    let other = format!("{redis}\n    prefix: \"ended:\"");
    [("redis", Plan::redis(&redis)), ("cookie with redis", Plan::cookie_with_redis(&other))]
}

/// Waits until nobody of this cookie is signed in on any node.
pub async fn over_everywhere(fleet: &Fleet, cookie: &str) -> Duration {
    let begun = Instant::now();
    for node in &fleet.nodes {
        loop {
            match fleet.ask(node, cookie).await.unwrap().status {
                303 => break,
                200 => assert!(begun.elapsed() < SOON, "it goes on"),
                other => panic!("{other}: {}", node.log()),
            }
        }
    }
    begun.elapsed()
}

async fn is_known_everywhere(fleet: &Fleet, cookie: &str) {
    let (name, cookie) = (TREASURERS_NAME.to_owned(), cookie.to_owned());
    are_known_everywhere(fleet, &[&Member { name, cookie }]).await;
}

async fn are_known_everywhere(fleet: &Fleet, members: &[&Member]) {
    for node in &fleet.nodes {
        for member in members {
            let reply = fleet.ask(node, &member.cookie).await.unwrap();
            assert_eq!((reply.status, &reply.body), (200, &member.name), "{}", reply.head);
        }
    }
}

#[tokio::test]
async fn sess_04_a_sign_out_on_one_node_is_one_on_all_within_a_second() {
    let server = Server::start();
    for (store, plan) in told_everywhere(&server) {
        let fleet = Fleet::start_with(plan).await;
        let mut worst = Duration::ZERO;
        for round in 0..50 {
            let mut browser = fleet.treasurer(round % NODES).await;
            let cookie = Fleet::cookie(&mut browser);
            is_known_everywhere(&fleet, &cookie).await;
            let told = fleet.nodes[(round + 2) % NODES].address;
            assert_eq!(sign_out(told, &fleet.host, &cookie).await.unwrap().status, 303);
            worst = worst.max(over_everywhere(&fleet, &cookie).await);
        }
        println!("{store}: 50 sign-outs, the slowest over on all nodes after {worst:?}");
        assert!(worst < SECOND, "{store}: {worst:?}");
    }
}

#[tokio::test]
async fn oidc_20_what_the_provider_tells_one_node_ends_the_session_on_all() {
    let server = Server::start();
    for (store, plan) in told_everywhere(&server) {
        let fleet = Fleet::start_with(plan).await;
        let mut worst = Duration::ZERO;
        for round in 0..10 {
            let mut browser = fleet.treasurer(round % NODES).await;
            let mut other = fleet.treasurer((round + 1) % NODES).await;
            let (cookie, others) = (Fleet::cookie(&mut browser), Fleet::cookie(&mut other));
            is_known_everywhere(&fleet, &cookie).await;
            let me = browser.open("/.auth/me").await.json();
            let claims = me[0]["user_claims"].as_array().unwrap();
            let sid = claims.iter().find(|claim| claim["typ"] == "sid").unwrap()["val"].clone();
            let sid = sid.as_str().unwrap();
            let frame = format!("/.auth/front-channel-logout/corporate?sid={sid}");
            let told = fleet.nodes[(round + 2) % NODES].address;
            assert_eq!(get(told, &fleet.host, &frame, "").await.unwrap().status, 200);
            worst = worst.max(over_everywhere(&fleet, &cookie).await);
            is_known_everywhere(&fleet, &others).await;
        }
        println!("{store}: 10 sign-outs by the provider, the slowest after {worst:?}");
        assert!(worst < SECOND, "{store}: {worst:?}");
    }
}

/// The provider tells a node of a sign-out.
async fn tell(fleet: &Fleet, node: usize, of: &Value) -> Reply {
    let token = provider::logout_token(&fleet.microsoft, Clock::system().now(), of).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let told = fleet.nodes[node % NODES].address;
    post(told, &fleet.host, BACK, form, &format!("logout_token={token}")).await.unwrap()
}

#[tokio::test]
async fn oidc_15_a_logout_token_at_one_node_ends_the_session_on_all_within_a_second() {
    let server = Server::start();
    for (store, plan) in told_everywhere(&server) {
        let fleet = Fleet::start_with(Plan { provider: OIDC, username: INES, ..plan }).await;
        let load = Load::start(&fleet, &fleet.members(20).await);
        let mut worst = Duration::ZERO;
        for round in 0..10 {
            let sub = format!("leaves-{round}");
            let sids = [format!("{sub}-one"), format!("{sub}-two")];
            let one = fleet.member(round % NODES, 1000 + round, &sub, Some(&sids[0])).await;
            let two = fleet.member((round + 1) % NODES, 1000 + round, &sub, Some(&sids[1])).await;
            // In the other rounds their nodes alone have seen them.
            if round % 2 == 0 {
                are_known_everywhere(&fleet, &[&one, &two]).await;
            }
            let told = tell(&fleet, round + 2, &json!({ "sid": sids[0] })).await;
            assert_eq!(told.status, 200, "{store}: {}", told.body);
            worst = worst.max(over_everywhere(&fleet, &one.cookie).await);
            are_known_everywhere(&fleet, &[&two]).await;
            let again = tell(&fleet, round, &json!({ "sid": sids[0] })).await;
            assert_eq!(again.status, 400, "{store}: once for all nodes");
            assert!(again.body.contains("logout-token-replayed"), "{store}: {}", again.body);
            assert_eq!(tell(&fleet, round, &json!({ "sub": sub })).await.status, 200, "{store}");
            worst = worst.max(over_everywhere(&fleet, &two.cookie).await);
            for node in &fleet.nodes {
                for member in [&one, &two] {
                    let reply = fleet.ask(node, &member.cookie).await.unwrap();
                    assert_eq!(reply.status, 303, "{store}: and it stays so");
                }
            }
        }
        let tally = load.stop();
        println!("{store}: 20 logout tokens, the slowest after {worst:?}; the others: {tally}");
        assert!(worst < SECOND, "{store}: {worst:?}");
        assert_eq!(tally.right, tally.asked, "{store}: {:?}", tally.notes);
    }
}

#[tokio::test]
async fn log_03_a_session_that_ends_is_audited_and_counted_though_the_store_fails() {
    let server = Server::start();
    for (store, plan) in told_everywhere(&server) {
        let fleet =
            Fleet::start_with(Plan { nodes: 1, provider: OIDC, username: INES, ..plan }).await;
        let node = &fleet.nodes[0];
        let mut members = Vec::new();
        for (number, name) in ["ada", "grace", "mary"].into_iter().enumerate() {
            members.push(fleet.member(0, number, name, Some(name)).await);
        }
        are_known_everywhere(&fleet, &members.iter().collect::<Vec<_>>()).await;
        // It does everything but remember who has signed out.
        let mut all = cmd("ACL");
        all.arg("SETUSER").arg("default").arg("resetkeys");
        for letter in ["s", "n", "l", "u", "r"] {
            all.arg(format!("~*:{letter}:*"));
        }
        let _: String = server.ask(all.arg("~*:e"));
        let frame = "/.auth/front-channel-logout/corporate?sid=grace";
        let answers = [
            sign_out(node.address, &fleet.host, &members[0].cookie).await.unwrap(),
            get(node.address, &fleet.host, frame, "").await.unwrap(),
            tell(&fleet, 0, &json!({ "sid": "mary" })).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, 503, "{store}: {}", answer.body);
        }
        for member in &members {
            assert_eq!(fleet.ask(node, &member.cookie).await.unwrap().status, 303, "{store}");
        }
        let ways = [None, Some("front-channel".to_owned()), Some("back-channel".to_owned())];
        // The log is written beside the requests.
        eventually(async || node.audited("logged-out").len() >= ways.len()).await;
        assert_eq!(node.audited("logged-out"), ways, "{store}");
        let metrics = get(node.admin, &node.admin.to_string(), "/metrics", "").await.unwrap().body;
        for counted in ["logout\"} 1\n", "provider\"} 2\n"] {
            let series = format!("anteport_sessions_ended_total{{reason=\"{counted}");
            assert!(metrics.contains(&series), "{store}: {series}");
        }
        let _: String = server.ask(cmd("ACL").arg("SETUSER").arg("default").arg("allkeys"));
    }
}

#[tokio::test]
async fn oidc_02_a_login_begins_on_one_node_and_ends_once_on_another() {
    let server = Server::start();
    let fleet = Fleet::start(&single(&server)).await;
    let sessions = || server.ask::<Vec<String>>(cmd("KEYS").arg("anteport:s:*")).len();
    let mut browser = fleet.browser(0);
    let callback = browser.sign_in_to_callback("/reports?year=2026", TREASURER).await;
    fleet.turn(&mut browser, 1);
    let landed = browser.open_url(&callback).await;
    assert_eq!(landed.header("location"), Some("/reports?year=2026"), "{}", landed.text());
    is_known_everywhere(&fleet, &Fleet::cookie(&mut browser)).await;
    assert_eq!(sessions(), 1);
    // The same callback to two nodes in one moment, and afterwards to the third.
    for round in 0..10 {
        let before = (sessions(), fleet.microsoft.counts().token);
        let mut browser = fleet.browser(round % NODES);
        let callback = browser.sign_in_to_callback("/", TREASURER).await;
        let mut both = JoinSet::new();
        for node in [round + 1, round + 2] {
            let (mut browser, callback) = (browser.clone(), callback.clone());
            fleet.turn(&mut browser, node % NODES);
            both.spawn(async move {
                let answer = browser.open_url(&callback).await;
                answer.all("set-cookie").iter().any(|cookie| cookie.starts_with("__Host-anteport="))
            });
        }
        let made = both.join_all().await;
        assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
        browser.open_url(&callback).await;
        assert_eq!(sessions(), before.0 + 1);
        assert_eq!(fleet.microsoft.counts().token, before.1 + 1);
    }
}

/// Signs in on a node whose clock, like the provider's just then, is a quarter of an hour behind:
/// the session that it makes is one about which the provider is to be asked again.
async fn signed_in_a_while_ago(fleet: &Fleet) -> String {
    let behind = 16 * 60 * 1000;
    let ago = Timestamp::from_unix_millis(Clock::system().now().unix_millis() - behind);
    fleet.microsoft.switch(|switches| switches.clock_ahead = -behind);
    let (address, admin) = (free_port(), free_port());
    let text = fleet.config(address, admin);
    let loaded = config::parse("behind.yaml", &text, &|_: &str| None, ago).unwrap();
    let service = Service::start(loaded.config, Clock::at(ago), DroppedLines::default()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let attending = tokio::spawn(service.attend(async move {
        let _ = stopped.await;
    }));
    let begun = Instant::now();
    let mut browser = fleet.browser(0);
    browser.reached.insert(fleet.host.clone(), address);
    let landed = loop {
        let callback = browser.sign_in_to_callback("/", TREASURER).await;
        let landed = browser.open_url(&callback).await;
        // Its store may not be there yet.
        if landed.status != 503 {
            break landed;
        }
        assert!(begun.elapsed() < SOON, "{}", landed.text());
    };
    assert_eq!(landed.status, 303, "{}", landed.text());
    fleet.microsoft.switch(|switches| switches.clock_ahead = 0);
    let _ = stop.send(());
    attending.await.unwrap();
    Fleet::cookie(&mut browser)
}

/// Sixty requests in one moment, to all nodes.
async fn sixty(fleet: &Fleet, cookie: &str) -> Vec<(u16, String)> {
    let mut asking = JoinSet::new();
    for number in 0..60 {
        let (address, host) = (fleet.nodes[number % NODES].address, fleet.host.clone());
        let cookie = cookie.to_owned();
        asking.spawn(async move {
            let reply = ask(address, &host, &cookie).await.unwrap();
            (reply.status, reply.body)
        });
    }
    asking.join_all().await
}

#[tokio::test]
async fn oidc_13_sixty_requests_over_three_nodes_ask_the_provider_once() {
    let server = Server::start();
    let fleet = Fleet::start(&single(&server)).await;
    for _ in 0..5 {
        let cookie = signed_in_a_while_ago(&fleet).await;
        let before = fleet.microsoft.counts().token;
        let answers = sixty(&fleet, &cookie).await;
        assert_eq!(fleet.microsoft.counts().token, before + 1);
        let member = (200, TREASURERS_NAME.to_owned());
        assert!(answers.iter().all(|answer| *answer == member), "{answers:?}");
        is_known_everywhere(&fleet, &cookie).await;
        assert_eq!(fleet.microsoft.counts().token, before + 1, "and not again");
    }
}

#[tokio::test]
async fn sess_06_a_disabled_member_is_out_on_all_nodes_at_the_next_refresh() {
    let server = Server::start();
    let fleet = Arc::new(Fleet::start(&single(&server)).await);
    let cookie = signed_in_a_while_ago(&fleet).await;
    fleet.microsoft.set_disabled(TREASURER, true).unwrap();
    let before = fleet.microsoft.counts().token;
    let answers = sixty(&fleet, &cookie).await;
    assert!(answers.iter().all(|(status, _)| *status == 303), "{answers:?}");
    assert_eq!(fleet.microsoft.counts().token, before + 1);
    fleet.microsoft.set_disabled(TREASURER, false).unwrap();
    for node in &fleet.nodes {
        assert_eq!(fleet.ask(node, &cookie).await.unwrap().status, 303, "and stays so");
    }
}
