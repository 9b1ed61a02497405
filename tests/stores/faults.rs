//! A store that is down, slow, or lies: nobody is signed out, and nobody is let in (GEN-03,
//! REL-04).

use std::time::{Duration, Instant};

use anteport::gate::{Secret, SessionId};
use anteport::sessions::StoreError;
use redis::cmd;

use crate::redis::Server;
use crate::relay::{Fault, Relay};
use crate::suite::{
    GRACE, Node, eventually, fully, knows_ada, session, single, single_at, two_nodes,
};

#[tokio::test]
async fn rel_04_whoever_is_known_goes_on_while_the_store_is_down_and_nobody_else_is_judged() {
    let mut server = Server::start();
    let (node, ada) = knows_ada(&server).await;
    server.down();
    eventually(async || node.find(&SessionId::new([9; 32])).await.is_err()).await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(node.name(&ada).await.as_deref(), Some("ada"));
        let stranger = node.find(&SessionId::new([9; 32])).await;
        assert_eq!(stranger.err(), Some(StoreError::Unavailable), "not «nobody»");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a refusal takes no time once it is known");
    let now = node.clock.now();
    let state = Secret::new("s".to_owned());
    assert!(node.sessions.spend_login(&state).await.is_err());
    assert!(node.sessions.start(session("grace", now), now).await.is_err());
    node.clock.advance(GRACE);
    assert_eq!(node.find(&ada).await.err(), Some(StoreError::Unavailable), "within a bound");
    server.up();
    eventually(async || matches!(node.find(&ada).await, Ok(None))).await;
    let grace = node.sign_in("grace").await;
    assert_eq!(node.name(&grace).await.as_deref(), Some("grace"));
}

#[tokio::test]
async fn rel_04_a_store_that_stands_still_is_one_that_is_down() {
    let server = Server::start();
    let (node, ada) = knows_ada(&server).await;
    server.pause(true);
    eventually(async || node.find(&SessionId::new([9; 32])).await.is_err()).await;
    assert_eq!(node.name(&ada).await.as_deref(), Some("ada"));
    server.pause(false);
    node.can_ask().await;
    assert_eq!(node.name(&ada).await.as_deref(), Some("ada"));
    let other = Node::start(single(&server)).ready().await;
    fully(other.sessions.sign_out(&ada, other.clock.now()).await);
    eventually(async || node.name(&ada).await.is_none()).await;
}

#[tokio::test]
async fn sess_04_who_signs_out_while_the_store_is_down_stays_signed_out() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
    assert!(node.name(&ada).await.is_some() && node.name(&grace).await.is_some());
    server.pause(true);
    assert!(node.sessions.sign_out(&ada, node.clock.now()).await.1.is_err(), "it is said");
    assert!(node.name(&ada).await.is_none(), "here it is over at once");
    assert_eq!(node.name(&grace).await.as_deref(), Some("grace"));
    server.pause(false);
    let other = Node::start(single(&server)).ready().await;
    eventually(async || other.name(&ada).await.is_none()).await;
    assert_eq!(other.name(&grace).await.as_deref(), Some("grace"));
    assert!(node.name(&ada).await.is_none());
}

#[tokio::test]
async fn oidc_13_the_turn_of_a_node_that_died_is_anothers_soon() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let id = here.sign_in("ada").await;
    let now = here.clock.now();
    let never = |_: &anteport::sessions::SignedIn| false;
    let turn = here.sessions.turn(&id, never, now).await.unwrap();
    drop(here);
    let begun = Instant::now();
    let next = there.sessions.turn(&id, never, now).await.unwrap();
    assert!(matches!(next, anteport::sessions::Turn::Ours(..)), "{next:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(turn);
}

#[tokio::test]
async fn sess_07_what_can_be_used_once_is_never_used_twice_by_an_answer_to_another_question() {
    let server = Server::start();
    let relay = Relay::start(server.address);
    let node = Node::start(single_at(relay.address)).ready().await;
    let (mut spent, mut refused) = (0, 0);
    for fault in [Fault::Reordered(3), Fault::Lost(20), Fault::Doubled(20)] {
        for round in 0..40 {
            node.can_ask().await;
            let state = |number| Secret::new(format!("{fault:?} {round} {number}"));
            assert!(node.sessions.spend_login(&state(0)).await.unwrap());
            let before = relay.faulty();
            relay.set(fault);
            // One that was used, and between them others that were not.
            let ask = async |number| node.sessions.spend_login(&state(number)).await;
            let (a, b, c, d, e, f) = tokio::join!(ask(1), ask(0), ask(2), ask(0), ask(3), ask(0));
            relay.set(Fault::None);
            for again in [b, d, f] {
                assert_ne!(again, Ok(true), "{fault:?}, {} faults", relay.faulty() - before);
            }
            spent += [&a, &c, &e].iter().filter(|once| ***once == Ok(true)).count();
            refused += [a, c, e].iter().filter(|once| once.is_err()).count();
        }
        assert!(relay.faulty() > 0);
    }
    println!("{spent} of 360 used once, {refused} refused, none twice; {} faults", relay.faulty());
}

#[tokio::test]
async fn a_full_store_takes_nobody_and_signs_nobody_out() {
    let server = Server::start();
    let (node, ada) = knows_ada(&server).await;
    let _: String = server.ask(cmd("CONFIG").arg("SET").arg("maxmemory").arg("1"));
    let now = node.clock.now();
    assert!(node.sessions.start(session("grace", now), now).await.is_err());
    assert_eq!(node.name(&ada).await.as_deref(), Some("ada"));
    assert!(node.sessions.sign_out(&ada, now).await.1.is_err(), "its mark found no room");
    assert!(node.name(&ada).await.is_none(), "and yet it is over");
    let _: String = server.ask(cmd("CONFIG").arg("SET").arg("maxmemory").arg("0"));
    let grace = node.sign_in("grace").await;
    assert_eq!(node.name(&grace).await.as_deref(), Some("grace"));
}
