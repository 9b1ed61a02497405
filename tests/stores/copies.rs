//! Redis's own word keeps the copies of every node right (SESS-08).

use std::time::Duration;

use anteport::gate::{Secret, SessionId};
use anteport::sessions::{Here, StoreError};
use redis::cmd;

use crate::redis::Server;
use crate::suite::{LIFETIMES, Node, eventually, knows_ada, single, two_nodes};

fn is_known(node: &Node, id: &SessionId) -> bool {
    matches!(node.sessions.here(id, node.clock.now()), Here::Member(_))
}

#[tokio::test]
async fn a_session_that_was_read_is_not_asked_for_again() {
    let server = Server::start();
    let (node, id) = knows_ada(&server).await;
    let asked = server.count("hmget");
    for _ in 0..1000 {
        assert!(is_known(&node, &id));
    }
    assert_eq!(server.count("hmget"), asked);
    let other = Node::start(single(&server)).ready().await;
    let asked = server.count("hmget");
    assert!(other.name(&id).await.is_some());
    assert_eq!(server.count("hmget"), asked + 1, "a miss is one question");
}

#[tokio::test]
async fn sess_08_a_lost_connection_takes_all_certainty_with_it_at_once() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    let id = node.sign_in("ada").await;
    assert!(node.name(&id).await.is_some() && is_known(&node, &id));
    let read = server.count("hmget");
    server.cut();
    // Who was there a moment ago is read again before they ask; and not before that is anybody
    // certain.
    eventually(async || server.count("hmget") > read && is_known(&node, &id)).await;
    assert_eq!(node.name(&id).await.as_deref(), Some("ada"), "and nobody is signed out");
    let changed: i64 =
        server.ask(cmd("DEL").arg(server.ask::<Vec<String>>(cmd("KEYS").arg("anteport:s:*"))));
    assert_eq!(changed, 1);
    eventually(async || node.name(&id).await.is_none()).await;
}

#[tokio::test]
async fn what_another_node_has_noted_is_read_again_before_anybody_asks() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let id = here.sign_in("ada").await;
    assert!(here.name(&id).await.is_some() && there.name(&id).await.is_some());
    let read = server.count("hmget");
    there.clock.advance(Duration::from_secs(120));
    assert!(there.name(&id).await.is_some(), "which tells the store that she is there");
    eventually(async || server.count("hmget") > read && is_known(&here, &id)).await;
    let used = here.find(&id).await.unwrap().unwrap().session().last_used();
    assert_eq!(used, there.clock.now(), "and by it this node");
}

#[tokio::test]
async fn sess_08_an_emptied_store_has_nobody_signed_in() {
    let server = Server::start();
    let (node, id) = knows_ada(&server).await;
    let _: String = server.ask(cmd("FLUSHALL").arg("SYNC"));
    eventually(async || node.name(&id).await.is_none()).await;
}

#[tokio::test]
async fn sess_02_a_store_can_neither_read_nor_make_nor_exchange_identities() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    let (ada, grace) = (node.sign_in("canary-ada").await, node.sign_in("canary-grace").await);
    let keys: Vec<String> = server.ask(cmd("KEYS").arg("*"));
    let mut sessions: Vec<&String> = keys.iter().filter(|key| key.contains("s:{")).collect();
    sessions.sort();
    for key in &keys {
        assert!(!key.contains("canary") && !key.contains("sub-"), "{key}");
        let dump: Vec<u8> = server.ask(cmd("DUMP").arg(key));
        assert!(!dump.windows(6).any(|part| part == b"canary"), "{key}");
        assert!(!key.contains(&ada.cookie_value()));
    }
    let get = |key: &str| -> Vec<u8> { server.ask(cmd("HGET").arg(key).arg("r")) };
    let set = |key: &str, value: &[u8]| {
        let _: i64 = server.ask(cmd("HSET").arg(key).arg("r").arg(value));
    };
    let values: Vec<Vec<u8>> = sessions.iter().map(|key| get(key)).collect();
    // One member's record under another's name.
    for (key, value) in sessions.iter().zip(values.iter().rev()) {
        set(key, value);
    }
    for id in [&ada, &grace] {
        assert_eq!(node.find(id).await.err(), Some(StoreError::Unavailable), "and no sign-out");
    }
    for (at, value) in values[0].iter().enumerate() {
        let mut altered = values[0].clone();
        altered[at] = value ^ 1;
        set(sessions[0], &altered);
        for id in [&ada, &grace] {
            assert!(!matches!(node.find(id).await, Ok(Some(_))), "byte {at}");
        }
    }
    set(sessions[0], &values[0]);
    set(sessions[1], &values[1]);
    assert!(node.name(&ada).await.as_deref() == Some("canary-ada"));
    assert!(node.name(&grace).await.as_deref() == Some("canary-grace"));
    let stranger = Node::start_with(single(&server), &[Secret::new([8; 32])]).ready().await;
    assert!(stranger.find(&ada).await.unwrap().is_none(), "of another key nothing is believed");
}

#[tokio::test]
async fn cry_02_a_key_is_changed_on_one_node_after_the_other_without_a_sign_out() {
    let server = Server::start();
    let (old, new) = (Secret::new([1; 32]), Secret::new([2; 32]));
    let before = Node::start_with(single(&server), std::slice::from_ref(&old)).ready().await;
    let id = before.sign_in("ada").await;
    let between = Node::start_with(single(&server), &[new.clone(), old]).ready().await;
    assert!(between.name(&id).await.is_some());
    let later = between.sign_in("grace").await;
    let after = Node::start_with(single(&server), &[new]).ready().await;
    assert!(after.name(&later).await.is_some());
    assert!(after.name(&id).await.is_none(), "what a dropped key sealed is over");
}

#[tokio::test]
async fn sess_03_a_session_that_nobody_uses_is_over_on_every_node_and_leaves_the_store() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let id = here.sign_in("ada").await;
    let left = || -> i64 {
        let keys: Vec<String> = server.ask(cmd("KEYS").arg("anteport:s:*"));
        server.ask(cmd("PTTL").arg(&keys))
    };
    let (idle, clocks) = (1800_i64 * 1000, 60_000);
    assert!((idle..=idle + clocks).contains(&left()), "{}", left());
    let half = LIFETIMES.idle / 2;
    for node in [&here, &there] {
        node.clock.advance(half);
    }
    assert!(here.name(&id).await.is_some());
    // Used here, it lasts there as well.
    for node in [&here, &there] {
        node.clock.advance(half);
    }
    eventually(async || there.name(&id).await.is_some()).await;
    for node in [&here, &there] {
        node.clock.advance(LIFETIMES.idle);
        assert!(node.name(&id).await.is_none());
    }
    // Shortly before its end the store keeps it no longer than that.
    let keys: Vec<String> = server.ask(cmd("KEYS").arg("anteport:s:*"));
    let _: i64 = server.ask(cmd("DEL").arg(&keys));
    let id = here.sign_in("grace").await;
    let mut passed = Duration::ZERO;
    while passed + half < LIFETIMES.absolute - Duration::from_secs(10) {
        here.clock.advance(half);
        passed += half;
        let member = here.find(&id).await.unwrap().expect("it is in use");
        member.session().touch(here.clock.now());
    }
    here.clock.advance(LIFETIMES.absolute - Duration::from_secs(10) - passed);
    assert!(here.name(&id).await.is_some());
    eventually(async || left() <= 10_000 + clocks).await;
}
