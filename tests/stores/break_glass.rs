//! Break-glass with several nodes: a link is one for all of them, and so is its end, as long as the
//! store answers; and it leads to the portal while that is down, too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use anteport::config;
use anteport::gate::Timestamp;
use anteport::server::Service;
use anteport::telemetry::log::DroppedLines;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fleet::{Fleet, Plan};
use crate::nodes::single;
use crate::redis::{SOON, Server};
use crate::visitor::{Reply, ask, get, post, sign_out};
use crate::world::free_port;

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

/// A node by a clock of its own, which stands until it is moved.
struct Apart {
    address: SocketAddr,
    admin: SocketAddr,
    host: String,
    clock: Clock,
    stop: Option<oneshot::Sender<()>>,
    attending: JoinHandle<()>,
}

impl Apart {
    /// Its clock is so many seconds ahead of others', or behind.
    async fn start(fleet: &Fleet, ahead: i64) -> Self {
        let noon = Timestamp::from_unix_seconds(1_800_000_000 + ahead);
        let (address, admin) = (free_port(), free_port());
        let text = fleet.config(address, admin);
        let loaded = config::parse("apart.yaml", &text, &|_: &str| None, noon).unwrap();
        let clock = Clock::at(noon);
        let service = Service::start(loaded.config, clock.clone(), DroppedLines::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let attending = tokio::spawn(service.unwrap().attend(async move {
            let _ = stopped.await;
        }));
        let host = fleet.host.clone();
        let node = Self { address, admin, host, clock, stop: Some(stop), attending };
        let begun = Instant::now();
        while get(admin, &admin.to_string(), "/readyz", "").await.unwrap().status != 200 {
            assert!(begun.elapsed() < SOON, "it does not reach its store");
        }
        node
    }

    async fn ask_admin(&self, target: &str) -> Reply {
        let body = json!({ "reason": "ticket 123" }).to_string();
        post(self.admin, &self.admin.to_string(), target, JSON, &body).await.unwrap()
    }

    async fn make(&self) -> Value {
        let reply = self.ask_admin("/-/break-glass").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    async fn code(&self) -> String {
        self.make().await["code"].as_str().unwrap().to_owned()
    }

    async fn open(&self, code: &str) -> (u16, String) {
        let body = format!("link={code}");
        let reply = post(self.address, &self.host, "/.auth/break-glass", FORM, &body).await;
        let reply = reply.unwrap();
        let set = reply.header("set-cookie").unwrap_or_default();
        (reply.status, set.split(';').next().unwrap().to_owned())
    }

    /// The pass of a link that it has made.
    async fn pass(&self) -> String {
        let (status, pass) = self.open(&self.code().await).await;
        assert_eq!(status, 200);
        pass
    }

    async fn lets(&self, pass: &str) -> bool {
        let reply = ask(self.address, &self.host, pass).await.unwrap();
        assert!(matches!(reply.status, 200 | 303), "{} {}", reply.status, reply.body);
        reply.status == 200
    }

    async fn revoke(&self) {
        assert_eq!(self.ask_admin("/-/break-glass/revoke").await.status, 200);
    }

    async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.attending.await.unwrap();
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn rel_03_sess_04_a_revocation_is_one_for_nodes_whose_clocks_are_apart() {
    let server = Server::start();
    for (number, ahead) in [0, 1, 59, -1, -59].into_iter().enumerate() {
        let redis =
            format!("{}\n    timeout: 2s\n    prefix: \"apart-{number}:\"", single(&server));
        let fleet = Fleet::start_with(Plan { nodes: 0, ..Plan::redis(&redis) }).await;
        let here = Apart::start(&fleet, 0).await;
        let there = Apart::start(&fleet, ahead).await;
        // Both have been there for a while.
        for node in [&here, &there] {
            node.clock.advance(300 * SECOND);
        }
        // Each revokes what the other one, and it itself, has made; the last by whose clock it is
        // earlier than the one before.
        for revoker in [&here, &there, &here, &there] {
            let mut before = Vec::new();
            for maker in [&here, &there] {
                before.push((maker.code().await, maker.pass().await));
            }
            for (_, pass) in &before {
                assert!(here.lets(pass).await && there.lets(pass).await, "{ahead}");
            }
            revoker.revoke().await;
            for (code, pass) in &before {
                for node in [&there, &here] {
                    assert!(!node.lets(pass).await, "{ahead}");
                    assert_eq!(node.open(code).await.0, 410, "{ahead}");
                }
            }
            // What is made afterwards is good at once, on both, and for no longer than it says.
            for (maker, other) in [(&here, &there), (&there, &here)] {
                let made = maker.make().await;
                let until = maker.clock.now().after(600 * SECOND).to_utc_date_time();
                assert_eq!(made["until"], until, "{ahead}");
                let (status, pass) = other.open(made["code"].as_str().unwrap()).await;
                assert_eq!(status, 200, "{ahead}");
                assert!(maker.lets(&pass).await && other.lets(&pass).await, "{ahead}");
            }
        }
        // Nor does any of it last longer than configured.
        let (link, pass) = (here.code().await, here.pass().await);
        here.clock.advance(600 * SECOND);
        assert!(here.lets(&pass).await);
        assert_eq!(here.open(&link).await.0, 410);
        here.clock.advance(1200 * SECOND);
        assert!(!here.lets(&pass).await);
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test]
async fn nodes_without_a_store_are_told_one_by_one_and_open_each_others_links_a_minute_later() {
    let sessions = "  store: memory".to_owned();
    let fleet = Fleet::start_with(Plan { nodes: 0, sessions, ..Plan::cookie() }).await;
    let (here, there) = (Apart::start(&fleet, 0).await, Apart::start(&fleet, 30).await);
    for node in [&here, &there] {
        node.clock.advance(300 * SECOND);
    }
    let pass = there.pass().await;
    assert!(here.lets(&pass).await);
    here.revoke().await;
    assert!(!here.lets(&pass).await && there.lets(&pass).await, "it has not been told");
    there.revoke().await;
    assert!(!there.lets(&pass).await);
    let pass = here.pass().await;
    assert!(here.lets(&pass).await && !there.lets(&pass).await, "it may be from before");
    for node in [&here, &there] {
        node.clock.advance(120 * SECOND);
    }
    let pass = here.pass().await;
    assert!(here.lets(&pass).await && there.lets(&pass).await);
    here.stop().await;
    there.stop().await;
}

/// A stream that a pass lets through, as far as its first piece.
async fn stream(fleet: &Fleet, node: usize, cookie: &str) -> TcpStream {
    let mut stream = TcpStream::connect(fleet.nodes[node].address).await.unwrap();
    let host = &fleet.host;
    let request = format!("GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"first\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    stream
}

async fn is_cut(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
    let _ = read.expect("it is still open");
    assert_eq!(rest, b"", "no last chunk: it is not whole (HTTP-06)");
}

#[tokio::test]
async fn sess_04_10_what_is_ended_or_given_back_on_one_node_is_over_on_all() {
    let server = Server::start();
    for plan in stores(&server) {
        let fleet = Fleet::start_with(plan).await;
        let code = made(&fleet, 0).await;
        let back = opened(&fleet, 1, &code).await;
        let ended = opened(&fleet, 0, &made(&fleet, 0).await).await;
        let going = [stream(&fleet, 2, &back).await, stream(&fleet, 1, &back).await];
        let mut staying = stream(&fleet, 2, &ended).await;
        // Who comes too late with a link has no pass, and is not counted as if.
        assert_eq!(open(&fleet, 2, &code).await.status, 409);
        let admin = fleet.nodes[2].admin;
        let metrics = get(admin, &admin.to_string(), "/metrics", "").await.unwrap().body;
        let series = format!("anteport_break_glass_passes{{portal=\"{}\"}} 0\n", fleet.host);
        assert!(metrics.contains(&series), "{metrics}");
        assert!(passes(&fleet, 2, &back).await, "and the one who came first keeps theirs");
        let reply = sign_out(fleet.nodes[0].address, &fleet.host, &back).await.unwrap();
        assert_eq!(reply.status, 303, "{}", reply.body);
        for node in 0..fleet.nodes.len() {
            assert!(!passes(&fleet, node, &back).await, "SESS-04 {node}");
            assert!(passes(&fleet, node, &ended).await, "{node}");
        }
        for stream in going {
            is_cut(stream).await;
        }
        let more = tokio::time::timeout(Duration::ZERO, staying.read_u8()).await;
        assert!(more.is_err(), "nobody else's is");
        assert_eq!(ask_admin(&fleet, 0, "/-/break-glass/revoke").await.status, 200);
        is_cut(staying).await;
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
        // A node that cannot know opens it once more, and whoever has its pass already keeps that.
        let body = format!("link={code}");
        let again = format!("{FORM}Cookie: {pass}\r\n");
        let at = fleet.nodes[1].address;
        let reply = post(at, &fleet.host, "/.auth/break-glass", &again, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(passes(&fleet, 1, &pass).await);
        // What is ended while nobody can be told is over here at least.
        let reply = ask_admin(&fleet, 0, "/-/break-glass/revoke").await;
        assert_eq!(reply.status, 503, "{}", reply.body);
        assert!(!passes(&fleet, 0, &pass).await);
        // So is what is given back by who cannot be signed out.
        let pass = opened(&fleet, 0, &made(&fleet, 0).await).await;
        assert!(passes(&fleet, 0, &pass).await);
        let both = format!("{session}; {pass}");
        let reply = sign_out(fleet.nodes[0].address, &fleet.host, &both).await.unwrap();
        assert_eq!(reply.status, 503, "{}", reply.body);
        let gone = reply.header("set-cookie").unwrap_or_default();
        assert!(gone.starts_with("__Host-anteport-break-glass=;"), "{gone}");
        assert!(!passes(&fleet, 0, &pass).await, "SESS-04");
        assert!(begun.elapsed() < SOON);
        server.up();
    }
}
