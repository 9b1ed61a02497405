//! Faults of the store while members go on: nobody is signed out, nobody is taken for somebody
//! else, whoever is known goes on, and everybody else is told to come again (REL-04).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::cmd;

use crate::fleet::Fleet;
use crate::load::{Load, Order, Tally};
use crate::nodes::single;
use crate::redis::{SOON, Server};
use crate::relay::{Fault, Relay};
use crate::several::Sentinels;
use crate::suite::eventually;
use crate::visitor::Member;

/// How many members there are.
const MEMBERS: usize = 50;
/// How soon a refusal has to be there.
const REFUSAL: Duration = Duration::from_millis(100);
/// How soon everything is well after the store is.
const BACK: Duration = Duration::from_secs(2);

/// Nodes, members whom all of them know, and members whom none knows.
struct Scene {
    fleet: Fleet,
    known: Vec<Member>,
    unknown: Vec<Member>,
}

impl Scene {
    async fn start(store: &str, unknown: usize, asked: impl Fn() -> u64) -> Self {
        let fleet = Fleet::start(store).await;
        let mut known = fleet.members(MEMBERS + unknown).await;
        let unknown = known.split_off(MEMBERS);
        fleet.get_to_know(&known, asked).await;
        Self { fleet, known, unknown }
    }

    /// Lets every node get to know every member again, as whoever goes on does by itself: while the
    /// store was away nothing was heard, so what was known before is asked for once.
    async fn know_again(&self, server: &Server) {
        self.fleet.get_to_know(&self.known, || server.count("get")).await;
    }

    /// Asks every node as a stranger once the store is lost, which is as soon as one was refused:
    /// how long each refusal took, from the connection to its last byte.
    async fn refusals(&self) -> Vec<Duration> {
        let mut refusals = Vec::new();
        for node in &self.fleet.nodes {
            let begun = Instant::now();
            while self.fleet.ask_as_stranger(node, 1).await.status != 503 {
                assert!(begun.elapsed() < SOON, "nobody is refused");
            }
        }
        for number in 0..30 {
            for node in &self.fleet.nodes {
                let reply = self.fleet.ask_as_stranger(node, number).await;
                assert_eq!(reply.status, 503, "{}", reply.body);
                assert!(reply.body.contains("session-store-unavailable"), "{}", reply.body);
                assert!(reply.header("retry-after").is_some(), "{}", reply.head);
                refusals.push(reply.took);
            }
        }
        refusals.sort();
        refusals
    }

    /// Waits until a member whom no node knows is answered by all.
    async fn back(&mut self) -> Duration {
        let begun = Instant::now();
        let member = self.unknown.pop().expect("there are enough of them");
        for node in &self.fleet.nodes {
            loop {
                let reply = self.fleet.ask(node, &member.cookie).await.unwrap();
                match reply.status {
                    200 => {
                        assert_eq!(reply.body, member.name);
                        break;
                    }
                    503 => assert!(begun.elapsed() < SOON, "it does not come back"),
                    other => panic!("{other}: {}", reply.head),
                }
            }
        }
        begun.elapsed()
    }
}

/// Nobody was signed out, and nobody was somebody else.
fn assert_nobody_lost(tally: &Tally) {
    let Tally { wrong_names, sign_outs, unreached, broken, other, .. } = tally;
    let lost = [wrong_names, sign_outs, unreached, broken, other];
    assert_eq!(lost, [&0; 5], "{:?}", tally.notes);
}

/// Nine of ten in time: the machine may have other things to do just then.
fn assert_soon(what: &str, refusals: &[Duration]) -> String {
    let (nine_of_ten, worst) = (refusals[refusals.len() * 9 / 10], refusals[refusals.len() - 1]);
    assert!(nine_of_ten < REFUSAL, "{what}: {refusals:?}");
    format!(
        "{what}: {} refusals, nine of ten within {nine_of_ten:?}, worst {worst:?}",
        refusals.len()
    )
}

#[tokio::test]
async fn rel_04_a_store_that_is_killed_cut_off_or_full_under_load() {
    let more = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let mut server = Server::start_with(&more);
    let mut scene = Scene::start(&single(&server), 3, || server.count("get")).await;
    let load = Load::start(&scene.fleet, &scene.known);
    load.goes_on(200).await;
    server.down();
    let refused = assert_soon("killed", &scene.refusals().await);
    load.goes_on(400).await;
    server.up();
    let back = scene.back().await;
    println!("{refused}; back {back:?} after its return");
    assert!(back < BACK, "{back:?}");
    for _ in 0..5 {
        scene.know_again(&server).await;
        server.cut();
        load.goes_on(50).await;
    }
    let back = scene.back().await;
    println!("connections cut: back after {back:?}");
    assert!(back < BACK, "{back:?}");
    scene.know_again(&server).await;
    let _: String = server.ask(cmd("CONFIG").arg("SET").arg("maxmemory").arg("1"));
    load.goes_on(200).await;
    let mut browser = scene.fleet.browser(0);
    let callback = browser.sign_in_to_callback("/", crate::fleet::TREASURER).await;
    let landed = browser.open_url(&callback).await;
    assert_eq!(landed.status, 503, "{}", landed.text());
    let _: String = server.ask(cmd("CONFIG").arg("SET").arg("maxmemory").arg("0"));
    scene.fleet.treasurer(1).await;
    let back = scene.back().await;
    println!("full: back after {back:?}");
    assert!(back < BACK, "{back:?}");
    let tally = load.stop();
    println!("killed, cut off, full: {tally}");
    assert_nobody_lost(&tally);
    assert_eq!(tally.refused, 0, "whoever is known goes on");
}

#[tokio::test]
async fn rel_04_a_store_that_stands_still_under_load() {
    let server = Server::start_with(&["--enable-debug-command", "local"]);
    let mut scene = Scene::start(&single(&server), 2, || server.count("get")).await;
    let load = Load::start(&scene.fleet, &scene.known);
    load.goes_on(200).await;
    server.pause(true);
    let stopped = Instant::now();
    let refused = assert_soon("stopped", &scene.refusals().await);
    while stopped.elapsed() < Duration::from_secs(3) {
        load.goes_on(20).await;
    }
    server.pause(false);
    let back = scene.back().await;
    println!("{refused}; back {back:?} after it went on");
    assert!(back < BACK, "{back:?}");
    scene.know_again(&server).await;
    let sleeping = server.address;
    let asleep = tokio::task::spawn_blocking(move || {
        let client = redis::Client::open(format!("redis://{sleeping}/")).unwrap();
        let mut connection = client.get_connection().unwrap();
        cmd("DEBUG").arg("SLEEP").arg(2).exec(&mut connection).unwrap();
    });
    load.goes_on(20).await;
    let refused = assert_soon("asleep", &scene.refusals().await);
    asleep.await.unwrap();
    let back = scene.back().await;
    println!("{refused}; back {back:?} after it woke");
    assert!(back < BACK, "{back:?}");
    let tally = load.stop();
    println!("stopped and asleep: {tally}");
    assert_nobody_lost(&tally);
    assert_eq!(tally.refused, 0, "whoever is known goes on");
}

#[tokio::test]
async fn rel_04_a_primary_that_dies_under_load_signs_nobody_out() {
    let mut sentinels = Sentinels::start();
    let servers: Vec<_> =
        sentinels.ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let servers = servers.join(", ");
    let store = format!("    mode: sentinel\n    master: members\n    servers: [{servers}]");
    let mut scene = Scene::start(&store, 1, || sentinels.primary.count("get")).await;
    let written: i64 = sentinels.primary.ask(&mut cmd("DBSIZE"));
    eventually(async || sentinels.replica.ask::<i64>(&mut cmd("DBSIZE")) == written).await;
    let load = Load::start(&scene.fleet, &scene.known);
    load.goes_on(200).await;
    sentinels.primary.down();
    let refused = assert_soon("primary killed", &scene.refusals().await);
    eventually(async || sentinels.is_promoted()).await;
    let back = scene.back().await;
    println!("{refused}; back {back:?} after the promotion");
    assert!(back < BACK, "{back:?}");
    load.goes_on(200).await;
    let tally = load.stop();
    println!("failed over: {tally}");
    assert_nobody_lost(&tally);
    assert_eq!(tally.refused, 0, "whoever is known goes on");
}

/// Changes nothing of any session but how long it lasts, over and over, behind the relay: so that
/// all nodes keep asking.
struct Unrest {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Unrest {
    fn start(server: &Server) -> Self {
        let (address, is_over) = (server.address, Arc::<AtomicBool>::default());
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let client = redis::Client::open(format!("redis://{address}/")).unwrap();
            let mut connection = client.get_connection().unwrap();
            let names: Vec<String> =
                cmd("KEYS").arg("anteport:s:*").query(&mut connection).unwrap();
            let mut order = Order(7);
            while !over.load(Ordering::Acquire) {
                let name = &names[order.next(names.len())];
                let mut touch = cmd("PEXPIRE");
                touch.arg(name).arg(1_800_000).exec(&mut connection).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Unrest {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// One relay for all nodes, and strangers among the members, so that answers which say «nobody» are
/// there to be taken for a member's.
#[tokio::test]
async fn sess_07_delayed_lost_cut_mangled_doubled_and_reordered_answers_reach_nobody_else() {
    let server = Server::start();
    let relay = Relay::start(server.address);
    let store = format!("    servers: [\"{}\"]", relay.address);
    let mut scene = Scene::start(&store, 7, || server.count("get")).await;
    let unrest = Unrest::start(&server);
    let load = Load::start(&scene.fleet, &scene.known);
    for fault in [
        Fault::Slow(Duration::from_millis(30)),
        Fault::Silent,
        Fault::Cut(50),
        Fault::Garbage(50),
        Fault::Lost(50),
        Fault::Doubled(50),
        Fault::Reordered(50),
    ] {
        let (before, faulty) = (load.so_far(), relay.faulty());
        relay.set(fault);
        let mut strangers = 0;
        while load.so_far().asked < before.asked + 400 || relay.faulty() < faulty + 5 {
            for node in &scene.fleet.nodes {
                let status = scene.fleet.ask_as_stranger(node, strangers).await.status;
                assert!(matches!(status, 303 | 503), "{status}");
                strangers += 1;
            }
        }
        relay.set(Fault::None);
        let back = scene.back().await;
        let (now, faulty) = (load.so_far(), relay.faulty() - faulty);
        let (asked, refused) = (now.asked - before.asked, now.refused - before.refused);
        println!(
            "{fault:?} for {faulty} answers: {asked} requests and {strangers} of strangers, \
             {refused} refused, {} sign-outs, back {back:?} later",
            now.sign_outs - before.sign_outs
        );
        assert!(back < BACK, "{fault:?}: {back:?}");
    }
    let tally = load.stop();
    drop(unrest);
    println!("relayed: {tally}");
    assert_nobody_lost(&tally);
}
