//! What is open in a member's name: it ends with its session_with, whenever it began, and while
//! the store does not answer it goes on for no longer than a request would (SESS-10).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::time::Duration;

use anteport::config::{RedisMode, Store};
use anteport::gate::{Lifetimes, Secret, SessionId, cookies};
use anteport::sessions::{
    Hearing, Here, Revocation, SignedIn, StoreCall, StoreError, StoreState, Turn, Wanted, Watch,
};
use http::HeaderValue;
use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::redis::Server;
use crate::relay::{Fault, Relay};
use crate::revocation::all;
use crate::suite::{
    GRACE, LIFETIMES, Node, endings_in, eventually, fully, redis, session_with, single, single_at,
    two_nodes,
};
use crate::world::{Plan, World};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn has_ended(watch: &mut Watch) -> bool {
    Pin::new(watch).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// What a request has in hand that the portal keeps waiting.
async fn found(node: &Node, id: &SessionId) -> Arc<SignedIn> {
    // What was read a second time was read while its word would have been heard.
    node.find(id).await.unwrap().unwrap();
    node.find(id).await.unwrap().unwrap()
}

/// Waits until nothing is certain here of a session.
async fn has_heard(node: &Node, id: &SessionId) {
    eventually(async || matches!(node.sessions.here(id, node.clock.now()), Here::Ask)).await;
}

async fn has_lost_it(node: &Node) {
    let hearing = || match node.sessions.state(node.clock.now()) {
        StoreState::Shared { hearing, .. } => hearing,
        StoreState::Memory { .. } => panic!("it is shared"),
    };
    eventually(async || matches!(hearing(), Hearing::Lost { .. })).await;
}

#[tokio::test]
async fn sess_10_what_begins_after_the_word_of_an_ending_ends_at_the_first_look() {
    for is_carried in [true, false] {
        for is_everybody in [true, false] {
            let server = Server::start();
            let store = || if is_carried { endings_in(&server) } else { single(&server) };
            let (here, there) = (Node::start(store()), Node::start(store()));
            let (here, there) = (here.ready().await, there.ready().await);
            let ada = here.sign_in("ada").await;
            let member = found(&there, &ada).await;
            assert!(matches!(there.sessions.here(&ada, there.clock.now()), Here::Member(_)));
            let now = here.clock.now();
            if is_everybody {
                let everybody = Revocation::Everybody { until: now };
                here.sessions.revoke(everybody, now, |_| {}).await.unwrap();
            } else {
                found(&here, &ada).await;
                fully(here.sessions.sign_out(&ada, now).await);
            }
            has_heard(&there, &ada).await;
            // The portal answers only now.
            let mut watch = there.sessions.watch(&ada, &member);
            there.sessions.end_expired(now.after(SECOND)).await;
            assert!(has_ended(&mut watch), "cookies {is_carried}, everybody {is_everybody}");
        }
    }
}

#[tokio::test]
async fn sess_10_a_look_at_what_is_open_asks_nobody_while_what_is_known_is_certain() {
    const MANY: usize = 500;
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let (calls, seconds) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (all, of_everybody) = (Arc::clone(&calls), Arc::clone(&seconds));
    there.sessions.observe(Box::new(move |call, _, _| {
        all.fetch_add(1, Ordering::SeqCst);
        of_everybody.fetch_add(usize::from(call == StoreCall::Everybody), Ordering::SeqCst);
    }));
    let mut open = Vec::new();
    for number in 0..MANY {
        let id = here.sign_in(&number.to_string()).await;
        let member = found(&there, &id).await;
        open.push((there.sessions.watch(&id, &member), there.sessions.watch(&id, &member), member));
    }
    let now = there.clock.now();
    let before = calls.load(Ordering::SeqCst);
    for second in 0..3 {
        there.sessions.end_expired(now.after(SECOND * second)).await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), before, "neither a question nor a use");
    // A word that may be about each of them is asked for once.
    let (id, _) = here.sessions.start(crate::suite::session("last", now), now).await.unwrap();
    there.find(&id).await.unwrap().unwrap();
    let (before, asked) = (calls.load(Ordering::SeqCst), seconds.load(Ordering::SeqCst));
    let early = Revocation::Everybody { until: now.before(DAY) };
    here.sessions.revoke(early, now, |_| {}).await.unwrap();
    has_heard(&there, &id).await;
    there.sessions.end_expired(now.after(SECOND)).await;
    let more = calls.load(Ordering::SeqCst) - before;
    assert!(more <= 4, "{more} calls for {MANY}");
    assert_eq!(seconds.load(Ordering::SeqCst), asked + 1);
    assert!(open.iter_mut().all(|(one, other, _)| !has_ended(one) && !has_ended(other)));
}

/// Many of whom a node knows, and in whose names something is open there; their store answers late.
async fn many(server: &Server) -> (Relay, Node, Vec<(SessionId, Watch)>) {
    let relay = Relay::start(server.address);
    let node = Node::start(single_at(relay.address)).ready().await;
    let mut open = Vec::new();
    for number in 0..300 {
        let id = node.sign_in(&number.to_string()).await;
        let member = found(&node, &id).await;
        open.push((id.clone(), node.sessions.watch(&id, &member)));
    }
    assert_eq!(node.sessions.end_expired(node.clock.now()).await, 0);
    relay.set(Fault::Slow(Duration::from_millis(50)));
    (relay, node, open)
}

#[tokio::test]
async fn sess_10_what_is_open_is_asked_for_together_and_never_too_many_at_once() {
    let server = Server::start();
    let (relay, node, mut open) = many(&server).await;
    let _: String = server.ask(cmd("FLUSHALL").arg("SYNC"));
    has_heard(&node, &open[0].0).await;
    node.sessions.end_expired(node.clock.now()).await;
    assert!(open.iter_mut().all(|(_, watch)| has_ended(watch)));
    assert!((32..=80).contains(&relay.together()), "{} at once", relay.together());
}

#[tokio::test]
async fn sess_08_after_a_loss_who_is_known_is_read_together_and_never_too_many_at_once() {
    let server = Server::start();
    let (relay, node, open) = many(&server).await;
    server.cut();
    has_heard(&node, &open[0].0).await;
    let is_known =
        |id: &SessionId| matches!(node.sessions.here(id, node.clock.now()), Here::Member(_));
    eventually(async || open.iter().all(|(id, _)| is_known(id))).await;
    assert!((32..=80).contains(&relay.together()), "{} at once", relay.together());
}

#[tokio::test]
async fn sess_10_while_redis_is_away_what_is_open_goes_on_for_the_grace_and_nobody_is_signed_out() {
    for is_carried in [false, true] {
        let server = Server::start();
        let store = if is_carried { endings_in(&server) } else { single(&server) };
        let node = Node::start(store).ready().await;
        let ada = node.sign_in("ada").await;
        let member = found(&node, &ada).await;
        let mut watch = node.sessions.watch(&ada, &member);
        server.pause(true);
        has_lost_it(&node).await;
        for step in [Duration::ZERO, GRACE - SECOND] {
            node.clock.advance(step);
            node.sessions.end_expired(node.clock.now()).await;
            assert!(!has_ended(&mut watch), "{step:?}");
            assert!(node.find(&ada).await.unwrap().is_some(), "as a request");
        }
        node.clock.advance(SECOND);
        assert_eq!(node.sessions.end_expired(node.clock.now()).await, 0, "no session ends");
        assert!(has_ended(&mut watch), "cookies {is_carried}");
        assert_eq!(node.find(&ada).await.err(), Some(StoreError::Unavailable), "as a request");
        // What began within the grace, and is answered after it.
        let mut late = node.sessions.watch(&ada, &member);
        assert!(!has_ended(&mut late));
        node.sessions.end_expired(node.clock.now()).await;
        assert!(has_ended(&mut late));
        assert!(!member.is_over(), "nobody is signed out by it");
        server.pause(false);
        node.can_ask().await;
        assert_eq!(node.name(&ada).await.as_deref(), Some("ada"));
        let member = found(&node, &ada).await;
        let mut watch = node.sessions.watch(&ada, &member);
        node.sessions.end_expired(node.clock.now()).await;
        assert!(!has_ended(&mut watch), "and what is opened anew stays open");
        fully(node.sessions.sign_out(&ada, node.clock.now()).await);
        assert!(has_ended(&mut watch));
    }
}

#[tokio::test]
async fn sess_10_without_a_grace_what_is_open_ends_when_redis_is_lost() {
    let mut server = Server::start();
    let mut redis = redis(RedisMode::Single, &[server.address.port()]);
    redis.grace = Duration::ZERO;
    let node = Node::start(Store::Redis(Box::new(redis))).ready().await;
    let ada = node.sign_in("ada").await;
    let member = found(&node, &ada).await;
    let mut watch = node.sessions.watch(&ada, &member);
    node.sessions.end_expired(node.clock.now()).await;
    assert!(!has_ended(&mut watch));
    server.down();
    has_lost_it(&node).await;
    node.sessions.end_expired(node.clock.now()).await;
    assert!(has_ended(&mut watch) && !member.is_over());
}

#[tokio::test]
async fn sess_03_a_lifetime_ends_what_is_open_though_redis_is_away_and_the_grace_is_long() {
    let mut server = Server::start();
    let mut redis = redis(RedisMode::Single, &[server.address.port()]);
    redis.grace = DAY * 7;
    let node = Node::start(Store::Redis(Box::new(redis))).ready().await;
    let (unused, used) = (node.sign_in("ada").await, node.sign_in("grace").await);
    let (ada, grace) = (found(&node, &unused).await, found(&node, &used).await);
    let mut adas = node.sessions.watch(&unused, &ada);
    let mut graces = node.sessions.watch(&used, &grace);
    server.down();
    has_lost_it(&node).await;
    let half = LIFETIMES.idle / 2;
    let mut passed = Duration::ZERO;
    while passed < LIFETIMES.absolute {
        node.sessions.end_expired(node.clock.now()).await;
        assert_eq!(has_ended(&mut adas), passed >= LIFETIMES.idle, "{passed:?}");
        assert!(!has_ended(&mut graces), "{passed:?}");
        node.clock.advance(half);
        passed += half;
        grace.session().touch(node.clock.now());
    }
    node.sessions.end_expired(node.clock.now()).await;
    assert!(has_ended(&mut graces));
}

#[tokio::test]
async fn sess_10_what_is_open_ends_with_a_session_that_began_when_they_lasted_longer() {
    let server = Server::start();
    for store in [single, endings_in] {
        let node = Node::start(store(&server)).ready().await;
        // By a node that was configured otherwise.
        let now = node.clock.now();
        let lifetimes = Lifetimes { idle: DAY, absolute: DAY };
        let long = session_with("members.example", lifetimes, "ada", now);
        let (id, member) = node.sessions.start(long, now).await.unwrap();
        node.keep(&id, &member);
        let member = found(&node, &id).await;
        let mut watch = node.sessions.watch(&id, &member);
        node.clock.advance(LIFETIMES.absolute - SECOND);
        assert_eq!(node.sessions.end_expired(node.clock.now()).await, 0);
        assert!(!has_ended(&mut watch));
        node.clock.advance(SECOND);
        assert_eq!(node.sessions.end_expired(node.clock.now()).await, 1, "it has expired");
        assert!(has_ended(&mut watch));
    }
}

/// What a browser shows of a session.
fn cookie(node: &Node, id: &SessionId, member: &SignedIn) -> [HeaderValue; 1] {
    let parts = node.sessions.tickets(id, member).unwrap();
    [HeaderValue::from_str(&format!("{}={}", cookies::SESSION, parts[0])).unwrap()]
}

#[tokio::test]
async fn sess_10_two_first_requests_with_one_cookie_end_together() {
    let here = Node::start(Store::Cookie { revocations: None });
    let there = Node::start(Store::Cookie { revocations: None });
    let now = there.clock.now();
    for number in 0..1000 {
        let id = here.sign_in(&number.to_string()).await;
        let member = here.find(&id).await.unwrap().unwrap();
        let cookie = cookie(&here, &id, &member);
        let barrier = Barrier::new(2);
        let arrives = || {
            let shown = there.sessions.shown(&cookies::read(&cookie).session.unwrap()).unwrap();
            barrier.wait();
            match there.sessions.arrive(&shown, now) {
                Here::Member(member) => member,
                other => panic!("{other:?}"),
            }
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(arrives);
            (arrives(), other.join().unwrap())
        });
        assert!(Arc::ptr_eq(&one, &other), "{number}");
        let mut watches = [&one, &other].map(|member| there.sessions.watch(&id, member));
        fully(there.sessions.sign_out(&id, now).await);
        assert!(watches.iter_mut().all(has_ended), "{number}");
    }
    assert_eq!(there.sessions.count(), 0);
}

#[tokio::test]
async fn sess_10_a_later_state_that_a_browser_shows_ends_with_the_earlier_one() {
    let server = Server::start();
    for is_shared in [false, true] {
        let store = || match is_shared {
            true => endings_in(&server),
            false => Store::Cookie { revocations: None },
        };
        let (here, there) = (Node::start(store()), Node::start(store()));
        if is_shared {
            here.can_ask().await;
            there.can_ask().await;
        }
        let id = here.sign_in("ada").await;
        let earlier = there.find(&id).await.unwrap().unwrap();
        let mut watch = there.sessions.watch(&id, &earlier);
        let now = here.clock.now();
        let member = here.find(&id).await.unwrap().unwrap();
        let Ok(Turn::Ours(lease, _)) = here.sessions.turn(&id, |_| false, now).await else {
            panic!("it is nobody else's turn");
        };
        let next = member.session().rotated(Secret::new("later".to_owned()), now);
        let next = here.sessions.renew(&id, &lease, &member, next, now).await.unwrap().unwrap();
        // Used there meanwhile, which its cookie does not say.
        let used = now.after(SECOND);
        earlier.session().touch(used);
        here.keep(&id, &next);
        let later = there.find(&id).await.unwrap().unwrap();
        assert_eq!((later.session().revision(), later.session().last_used()), (1, used));
        assert!(!has_ended(&mut watch));
        // The earlier one again takes nothing back.
        here.keep(&id, &member);
        assert!(Arc::ptr_eq(&later, &there.find(&id).await.unwrap().unwrap()));
        fully(there.sessions.sign_out(&id, now).await);
        assert!(has_ended(&mut watch) && earlier.is_over() && later.is_over());
    }
}

#[tokio::test]
async fn sess_08_a_list_makes_nothing_certain_of_sessions_that_are_in_their_browsers() {
    let server = Server::start();
    let node = Node::start(endings_in(&server)).ready().await;
    let (ada, mary) = (node.sign_in("ada").await, node.sign_in("mary").await);
    let is_asked = |id| matches!(node.sessions.here(id, node.clock.now()), Here::Ask);
    assert!(is_asked(&ada));
    for _ in 0..2 {
        assert_eq!(all(&node, Wanted::default(), 10).await.len(), 2);
        assert!(is_asked(&ada) && is_asked(&mary));
    }
    let other = Node::start(endings_in(&server)).ready().await;
    found(&other, &ada).await;
    fully(other.sessions.sign_out(&ada, other.clock.now()).await);
    let listed = all(&node, Wanted::default(), 10).await;
    assert_eq!(
        listed.iter().map(|known| known.handle.as_str()).collect::<Vec<_>>(),
        ["handle-mary"]
    );
}

/// A portal that streams `/events` and answers everything else at once.
async fn portal() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = read_to(&mut stream, "\r\n\r\n").await;
                let answer = match head.starts_with("GET /events ") {
                    true => "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
                    false => "Connection: close\r\nContent-Length: 5\r\n\r\nplain",
                };
                let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                if head.starts_with("GET /events ") {
                    // Until it is given up.
                    let _ = stream.read_u8().await;
                }
            });
        }
    });
    address
}

async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn sess_10_an_event_stream_ends_with_the_grace_and_the_member_goes_on_afterwards() {
    let server = Server::start();
    let key = "A".repeat(43);
    let sessions = format!(
        "{{ store: redis, keys: [ {{ value: \"{key}=\" }} ], \
         redis: {{ servers: [\"{}\"], grace: 30s }} }}",
        server.address
    );
    let upstream = Some(format!("{{ url: \"http://{}\" }}", portal().await));
    let plan = Plan { kept_sessions: Some(sessions), upstream, ..Plan::default() };
    let world = World::start_with(plan).await;
    eventually(async || world.metric("anteport_session_store_up").await == 1.0).await;
    let mut ada = world.treasurer().await;
    let own = ada.own_cookies()["__Host-anteport"].clone();
    let open = async || {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let host = world.proxy;
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: __Host-anteport={own}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_to(&mut stream, "first").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        stream
    };
    let mut stream = open().await;
    server.pause(true);
    eventually(async || world.metric("anteport_session_store_up").await == 0.0).await;
    world.clock.advance(GRACE);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    let _ = ended.expect("it is still open");
    let rest = String::from_utf8_lossy(&rest);
    assert_eq!(rest.trim(), "", "no last chunk: it is not whole (HTTP-06)");
    let streams =
        format!("anteport_streams_ended_total{{portal=\"{}\",kind=\"answer\"}}", world.proxy);
    world.comes_to(&streams, 1.0).await;
    assert_eq!(ada.open("/reports").await.status, 503);
    server.pause(false);
    eventually(async || ada.clone().open("/reports").await.status == 200).await;
    let expired = "anteport_sessions_ended_total{reason=\"expired\"}";
    assert_eq!(world.metric(expired).await, 0.0, "no session has ended");
    // And what is opened now stays open for as long as the session does.
    let mut stream = open().await;
    let headers = [("sec-fetch-site", "same-origin")];
    assert_eq!(ada.send("POST", "/.auth/logout", &headers, b"").await.status, 303);
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await;
    let _ = ended.expect("it is still open");
    world.comes_to(&streams, 2.0).await;
    world.stop().await;
}
