//! Restarts under load, as an operator does them: an orderly stop, and a start at the same address.
//! Nobody is signed out, nobody is taken for somebody else, and whoever has signed out stays so.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anteport::demo::TENANT_ID;
use tokio::task::JoinSet;
use url::Position;

use crate::fleet::{Fleet, NODES, Plan, TREASURER};
use crate::load::Load;
use crate::nodes::{TREASURERS_NAME, over_everywhere, single};
use crate::redis::Server;
use crate::suite::eventually;
use crate::visitor::{Member, get, header, post, sign_out};

/// How many members go on.
const MEMBERS: usize = 50;
/// As many requests as there can be just as a node stops to listen.
const PACE: Duration = Duration::from_millis(1);

/// What there is to see with one store.
struct Table {
    store: &'static str,
    plan: Plan,
    /// A sign-out is one for all nodes, also for those that come later.
    is_told: bool,
    /// Browsers get their sessions anew.
    is_carried: bool,
}

#[tokio::test]
async fn nodes_that_are_restarted_in_turn_fail_no_request() {
    let server = Server::start();
    // What is to be seen is what a restart does, not how busy this machine is.
    let redis = format!("{}\n    timeout: 2s", single(&server));
    for Table { store, plan, is_told, is_carried } in [
        Table { store: "redis", plan: Plan::redis(&redis), is_told: true, is_carried: false },
        Table { store: "cookie", plan: Plan::cookie(), is_told: false, is_carried: true },
        Table {
            store: "cookie with redis",
            plan: Plan::cookie_with_redis(&redis),
            is_told: true,
            is_carried: true,
        },
    ] {
        let mut fleet = Fleet::start_with(plan).await;
        let members = fleet.members(MEMBERS).await;
        let gone = Fleet::cookie(&mut fleet.treasurer(0).await);
        let left = sign_out(fleet.nodes[1].address, &fleet.host, &gone).await.unwrap();
        assert_eq!(left.status, 303, "{store}");
        if is_told {
            over_everywhere(&fleet, &gone).await;
        }
        let load = Load::start_at(PACE, &fleet, &members);
        load.goes_on(200).await;
        for number in (0..NODES).cycle().take(3 * NODES) {
            fleet.nodes[number].stop().await;
            load.goes_on(100).await;
            fleet.nodes[number].up();
            fleet.nodes[number].ready().await;
            if is_told {
                let reply = fleet.ask(&fleet.nodes[number], &gone).await.unwrap();
                assert_eq!(reply.status, 303, "{store}, SESS-04: a sign-out is one");
            }
            load.goes_on(100).await;
        }
        while is_carried && load.so_far().anew < 2 * MEMBERS {
            load.goes_on(100).await;
        }
        let now = load.members();
        let tally = load.stop();
        println!("restarted in turn, {store}: {tally}");
        assert_eq!(tally.right, tally.asked, "{store}: {:?}", tally.notes);
        for (member, before) in now.iter().zip(&members) {
            assert_eq!(member.cookie != before.cookie, is_carried, "{store}");
            for node in &fleet.nodes {
                let reply = fleet.ask(node, &member.cookie).await.unwrap();
                assert_eq!((reply.status, &reply.body), (200, &member.name), "{store}");
            }
        }
    }
}

/// How often the node that is alone is restarted.
const TIMES: usize = 5;
/// In how many browsers somebody comes or goes while it stops, and how many in each.
const BROWSERS: usize = 4;
const EACH: usize = 6;

/// Somebody who comes or goes while a node stops.
enum Crossing {
    Leaves(Member),
    Comes(Member, String),
}

impl Crossing {
    /// Somebody whom the provider has just sent back.
    async fn comes(fleet: &Fleet) -> Self {
        let mut browser = fleet.browser(0);
        let callback = browser.sign_in_to_callback("/", TREASURER).await;
        let (name, cookie) = (TREASURERS_NAME.to_owned(), header(browser.own_cookies()));
        Self::Comes(Member { name, cookie }, callback[Position::BeforePath..].to_owned())
    }

    /// Whether there was an answer, which then has to be the right one: nobody may listen any more.
    async fn is_answered(&mut self, at: SocketAddr, host: &str) -> bool {
        let came = match self {
            Self::Leaves(member) => sign_out(at, host, &member.cookie).await,
            Self::Comes(member, callback) => {
                get(at, host, callback, &format!("Cookie: {}\r\n", member.cookie)).await
            }
        };
        let reply = match came {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return false,
            came => came.unwrap(),
        };
        assert_eq!(reply.status, 303, "{}\n{}", reply.head, reply.body);
        match self {
            // Somebody else still has the cookie.
            Self::Leaves(_) => {}
            Self::Comes(member, _) => assert!(member.keep(&reply), "{}", reply.head),
        }
        true
    }
}

/// The operator ends somebody's session.
async fn revoke(fleet: &Fleet, member: &Member) {
    let (admin, json) = (fleet.nodes[0].admin, "Content-Type: application/json\r\n");
    let meant = format!("{{\"member\":\"{TENANT_ID}.{}\"}}", member.name);
    let reply = post(admin, &admin.to_string(), "/-/sessions/revoke", json, &meant).await.unwrap();
    assert_eq!((reply.status, reply.body.trim()), (200, "{\"ended\":1}"), "{}", reply.head);
}

/// Stops the node while some come and others go, and says of each whether they were answered.
async fn stop_amid(fleet: &mut Fleet, crossings: Vec<Crossing>) -> Vec<(Crossing, bool)> {
    let mut browsers: [Vec<Crossing>; BROWSERS] = Default::default();
    for (number, crossing) in crossings.into_iter().enumerate() {
        browsers[number % BROWSERS].push(crossing);
    }
    let (answered, mut all) = (Arc::<AtomicUsize>::default(), JoinSet::new());
    for browser in browsers {
        let (at, host) = (fleet.nodes[0].address, fleet.host.clone());
        let answered = Arc::clone(&answered);
        all.spawn(async move {
            let mut crossed = Vec::new();
            for mut crossing in browser {
                let is_answered = crossing.is_answered(at, &host).await;
                answered.fetch_add(usize::from(is_answered), Ordering::Relaxed);
                crossed.push((crossing, is_answered));
            }
            crossed
        });
    }
    eventually(async || answered.load(Ordering::Relaxed) >= BROWSERS).await;
    fleet.nodes[0].stop().await;
    all.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn sess_09_a_node_alone_that_is_restarted_under_load_keeps_who_is_there_and_nobody_else() {
    let mut fleet = Fleet::start_with(Plan::memory_with_snapshot()).await;
    let mut there = fleet.members(MEMBERS).await;
    let (mut gone, mut in_time, mut too_late) = (Vec::new(), 0, 0);
    let load = Load::start_at(PACE, &fleet, &there);
    for round in 1..=TIMES {
        load.goes_on(200).await;
        let mut crossings = Vec::new();
        for number in 0..BROWSERS * EACH / 2 {
            let sub = format!("sub-{round}-{number}");
            let leaving = fleet.member(0, 1000 * round + number, &sub, None).await;
            crossings.extend([Crossing::Leaves(leaving), Crossing::comes(&fleet).await]);
        }
        let revoked = fleet.member(0, 1000 * round + 999, "revoked", None).await;
        revoke(&fleet, &revoked).await;
        gone.push(revoked);
        let crossed = stop_amid(&mut fleet, crossings).await;
        load.goes_on(50).await;
        fleet.nodes[0].up();
        fleet.nodes[0].ready().await;
        for (mut crossing, is_answered) in crossed {
            match is_answered {
                true => in_time += 1,
                false => too_late += 1,
            }
            if !is_answered && matches!(crossing, Crossing::Comes(..)) {
                // The next process takes a login that the one before has begun.
                assert!(crossing.is_answered(fleet.nodes[0].address, &fleet.host).await);
            }
            match crossing {
                Crossing::Leaves(member) if is_answered => gone.push(member),
                Crossing::Leaves(member) | Crossing::Comes(member, _) => there.push(member),
            }
        }
        for member in &there {
            let reply = fleet.ask(&fleet.nodes[0], &member.cookie).await.unwrap();
            assert_eq!((reply.status, &reply.body), (200, &member.name), "{}", reply.head);
        }
        for member in &gone {
            let reply = fleet.ask(&fleet.nodes[0], &member.cookie).await.unwrap();
            assert_eq!(reply.status, 303, "SESS-04: {} has left", member.name);
        }
        load.goes_on(100).await;
    }
    let (tally, there, gone) = (load.stop(), there.len(), gone.len());
    println!("alone, restarted {TIMES} times: {tally}");
    println!("while it stopped {in_time} came or left in time, {too_late} met nobody");
    println!("at the end {there} are there and {gone} are gone");
    let answered = tally.right + tally.refused;
    assert_eq!(answered + tally.unreached, tally.asked, "{:?}", tally.notes);
}
