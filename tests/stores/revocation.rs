//! Revocation and lists, on two nodes: what ends on one ends on the other within a second, and
//! what is there all the time is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::redis::cmd;
use anteport::config::{RedisMode, Store};
use anteport::gate::{SessionId, Timestamp};
use anteport::sessions::{ListError, Listed, Revocation, RevokeError, StoreError, Wanted};

use crate::redis::Server;
use crate::several::Cluster;
use crate::suite::{
    LIFETIMES, Node, eventually, fully, knows_ada, redis, session, single, two_nodes,
};

const SECOND: Duration = Duration::from_secs(1);

/// Ends sessions, and gives the names of those that are told of.
async fn revoke(node: &Node, what: Revocation<'_>) -> (Option<usize>, Vec<String>) {
    let told = Mutex::new(Vec::new());
    let ended = |session: &anteport::gate::Session| {
        told.lock().unwrap().push(session.handle().to_owned());
    };
    let count = node.sessions.revoke(what, node.clock.now(), ended).await.unwrap();
    (count, told.into_inner().unwrap())
}

/// The whole list, in pages of so many.
pub async fn all(node: &Node, wanted: Wanted<'_>, limit: usize) -> Vec<Listed> {
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = node.sessions.list(wanted, cursor, limit, node.clock.now()).await.unwrap();
        assert!(page.sessions.len() <= limit.max(20), "{}", page.sessions.len());
        listed.extend(page.sessions);
        match page.next {
            // As a link has it.
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => return listed,
        }
    }
}

/// Both nodes lose this one within a second.
async fn is_over(here: &Node, there: &Node, id: &SessionId) {
    assert!(here.name(id).await.is_none(), "at once where it was ended");
    let took = eventually(async || there.name(id).await.is_none()).await;
    assert!(took < SECOND, "{took:?}");
}

/// Each kind of revocation reaches both nodes, and nobody else.
pub async fn every_kind_reaches_every_node(here: &Node, there: &Node) {
    let (one, two) = (here.sign_in("ada").await, there.sign_in("ada").await);
    let mary = there.sign_in("mary").await;
    for id in [&one, &two, &mary] {
        assert!(here.name(id).await.is_some() && there.name(id).await.is_some());
    }
    let key = "https://i.example#sub-ada";
    let wanted = Wanted { member: Some(key), ..Wanted::default() };
    let listed = all(there, wanted, 1).await;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|known| known.member == key && known.portal == "members.example"));
    assert_eq!(all(here, Wanted { provider: Some("other"), ..wanted }, 9).await, []);
    assert_eq!(revoke(here, Revocation::Session("handle-nobody")).await, (Some(0), Vec::new()));
    // Both of Ada's have the same handle here; nobody's have where it is random.
    let told = vec!["handle-ada".to_owned(); 2];
    assert_eq!(revoke(here, Revocation::Session("handle-ada")).await, (Some(2), told));
    is_over(here, there, &one).await;
    is_over(here, there, &two).await;
    let ada = here.sign_in("ada").await;
    assert!(there.name(&ada).await.is_some());
    assert_eq!(revoke(there, Revocation::Member(key)).await.0, Some(1));
    is_over(there, here, &ada).await;
    let ada = here.sign_in("ada").await;
    assert!(there.name(&ada).await.is_some());
    let sid = |provider| Revocation::Sid { provider, sid: "sid-ada" };
    assert_eq!(revoke(here, sid("other")).await.0, Some(0));
    assert_eq!(revoke(here, sid("corporate")).await.0, Some(1));
    is_over(here, there, &ada).await;
    assert_eq!(here.name(&mary).await.as_deref(), Some("mary"), "nobody else's");
    let now = here.clock.now();
    let future = Revocation::Everybody { until: now.after(SECOND) };
    assert_eq!(here.sessions.revoke(future, now, |_| {}).await, Err(RevokeError::Future));
    let early = Revocation::Everybody { until: now.before(SECOND) };
    revoke(here, early).await;
    assert!(here.name(&mary).await.is_some() && there.name(&mary).await.is_some());
    revoke(here, Revocation::Everybody { until: now }).await;
    is_over(here, there, &mary).await;
    // An earlier moment takes nothing back.
    revoke(there, early).await;
    assert!(here.name(&mary).await.is_none() && there.name(&mary).await.is_none());
    assert_eq!(all(there, Wanted::default(), 100).await, []);
    assert!(here.sessions.signed_out_since(now, &session("new", now)).await.unwrap(), "OIDC-14");
    for node in [here, there] {
        node.clock.advance(SECOND);
    }
    let late = here.sign_in("late").await;
    eventually(async || there.name(&late).await.is_some()).await;
    assert_eq!(revoke(here, Revocation::Session("handle-late")).await.0, Some(1));
}

/// The same where sessions are in their browsers: nobody can count them, and all end.
async fn every_kind_reaches_every_browser(here: &Node, there: &Node) {
    let key = "https://i.example#sub-ada";
    let mary = there.sign_in("mary").await;
    for what in [
        Revocation::Session("handle-ada"),
        Revocation::Member(key),
        Revocation::Sid { provider: "corporate", sid: "sid-ada" },
    ] {
        let (ada, unseen) = (here.sign_in("ada").await, there.sign_in("ada").await);
        assert!(here.name(&ada).await.is_some() && there.name(&ada).await.is_some());
        let wanted = Wanted { member: Some(key), ..Wanted::default() };
        assert!(!all(here, wanted, 1).await.is_empty());
        let (count, told) = revoke(here, what).await;
        assert!(count.is_none() && told.contains(&"handle-ada".to_owned()), "{what:?}");
        is_over(here, there, &ada).await;
        is_over(here, there, &unseen).await;
        assert_eq!(all(here, wanted, 1).await, []);
        assert_eq!(all(there, wanted, 1).await, []);
        assert!(here.name(&mary).await.is_some() && there.name(&mary).await.is_some());
        for node in [here, there] {
            node.clock.advance(SECOND);
        }
    }
    assert_eq!(all(there, Wanted::default(), 100).await.len(), 1);
    let everybody = Revocation::Everybody { until: here.clock.now() };
    assert_eq!(revoke(here, everybody).await.0, None);
    is_over(here, there, &mary).await;
    assert_eq!(all(there, Wanted::default(), 100).await, []);
    for node in [here, there] {
        node.clock.advance(SECOND);
    }
    let late = here.sign_in("late").await;
    assert!(here.name(&late).await.is_some() && there.name(&late).await.is_some());
}

#[tokio::test]
async fn sess_04_whoever_is_meant_is_out_though_their_browser_has_the_session() {
    let node = Node::start(Store::Cookie { revocations: None });
    every_kind_reaches_every_browser(&node, &node).await;
    let server = Server::start();
    let store = || {
        let redis = redis(RedisMode::Single, &[server.address.port()]);
        Store::Cookie { revocations: Some(Box::new(redis)) }
    };
    let (here, there) = (Node::start(store()), Node::start(store()));
    let (here, there) = (here.ready().await, there.ready().await);
    every_kind_reaches_every_browser(&here, &there).await;
}

#[tokio::test]
async fn a_node_that_comes_later_knows_that_everybody_is_signed_out() {
    let server = Server::start();
    let here = Node::start(single(&server)).ready().await;
    let ada = here.sign_in("ada").await;
    let now = here.clock.now();
    assert_eq!(revoke(&here, Revocation::Everybody { until: now }).await, (None, Vec::new()));
    let early = Revocation::Everybody { until: now.before(SECOND) };
    revoke(&here, early).await;
    let later = Node::start(single(&server)).ready().await;
    assert!(later.name(&ada).await.is_none());
    let left: i64 = server.ask(cmd("PTTL").arg("anteport:e"));
    assert!(Duration::from_millis(left.try_into().unwrap()) > LIFETIMES.absolute);
}

#[tokio::test]
async fn sess_10_what_is_open_ends_on_every_node_with_everybodys_revocation() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let ada = here.sign_in("ada").await;
    let mut open = Vec::new();
    for node in [&here, &there] {
        let member = node.find(&ada).await.unwrap().unwrap();
        open.push((node, node.sessions.watch(&ada, &member), member));
    }
    revoke(&here, Revocation::Everybody { until: here.clock.now() }).await;
    let begun = Instant::now();
    for (node, watch, member) in &mut open {
        // As housekeeping does, every second.
        eventually(async || {
            node.sessions.end_expired(node.clock.now()).await;
            member.is_over()
        })
        .await;
        watch.await;
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn gen_03_a_store_that_does_not_answer_is_not_an_empty_list() {
    let server = Server::start();
    let (node, _) = knows_ada(&server).await;
    server.pause(true);
    let now = node.clock.now();
    let unavailable = StoreError::Unavailable;
    let list = node.sessions.list(Wanted::default(), None, 10, now).await;
    assert_eq!(list, Err(ListError::Store(unavailable)));
    for what in [
        Revocation::Session("handle-ada"),
        Revocation::Member("https://i.example#sub-ada"),
        Revocation::Everybody { until: now },
    ] {
        let revoked = node.sessions.revoke(what, now, |_| {}).await;
        assert_eq!(revoked, Err(RevokeError::Store(unavailable)), "{what:?}");
    }
    server.pause(false);
    node.can_ask().await;
}

#[tokio::test]
async fn a_list_shows_what_redis_knows_and_keeps_nothing_of_it() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    let ada = here.sign_in("ada").await;
    assert!(here.name(&ada).await.is_some());
    let before = there.sessions.count();
    let listed = all(&there, Wanted::default(), 10).await;
    assert_eq!((listed.len(), there.sessions.count()), (1, before));
    assert_eq!((listed[0].started, listed[0].handle.as_str()), (here.clock.now(), "handle-ada"));
    assert_eq!(listed[0].ends, here.clock.now().after(LIFETIMES.absolute));
    // Used on one node, and seen on the other.
    let later = here.clock.now().after(Duration::from_secs(600));
    for node in [&here, &there] {
        node.clock.advance(Duration::from_secs(600));
    }
    assert!(here.name(&ada).await.is_some());
    let about = Duration::from_secs(60);
    eventually(async || {
        let used = all(&there, Wanted::default(), 10).await[0].last_used;
        later.before(about) <= used && used <= later
    })
    .await;
    // What is none of ours hides nobody.
    let _: i64 =
        server.ask(cmd("HSET").arg(format!("anteport:s:{{{}}}", "0".repeat(64))).arg("r").arg("x"));
    assert_eq!(all(&there, Wanted::default(), 10).await.len(), 1);
    let elsewhere =
        there.sessions.list(Wanted::default(), Some("n-0-1-0".parse().unwrap()), 10, later);
    assert_eq!(elsewhere.await, Err(ListError::Cursor), "a node of another name");
    let gone =
        there.sessions.list(Wanted::default(), Some("n-2-1234-5".parse().unwrap()), 10, later);
    assert_eq!(gone.await, Err(ListError::Cursor), "a node that is not there any more");
}

/// While others come and go.
async fn everybody_is_listed(node: &Node, limit: usize) -> BTreeMap<String, usize> {
    const STAY: usize = 1500;
    let mut expected = BTreeSet::new();
    for number in 0..STAY {
        node.sign_in(&format!("stays-{number}")).await;
        expected.insert(format!("handle-stays-{number}"));
    }
    let mut going = Vec::new();
    for number in 0..500 {
        going.push(node.sign_in(&format!("goes-{number}")).await);
    }
    let (mut times, mut cursor, mut number) = (BTreeMap::<String, usize>::new(), None, 0);
    loop {
        let now: Timestamp = node.clock.now();
        let page = node.sessions.list(Wanted::default(), cursor, limit, now).await.unwrap();
        for listed in page.sessions {
            *times.entry(listed.handle).or_default() += 1;
        }
        for _ in 0..20 {
            number += 1;
            node.sign_in(&format!("comes-{number}")).await;
        }
        for id in going.split_off(going.len().saturating_sub(20)) {
            fully(node.sessions.end(&id, now).await);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    times.retain(|handle, _| handle.contains("stays"));
    assert!(times.keys().eq(expected.iter()), "{} of {STAY}", times.len());
    times
}

#[tokio::test]
async fn whoever_is_there_all_the_time_is_listed_once_in_memory_and_once_at_least_in_redis() {
    let memory = Node::start(Store::Memory { snapshot: None });
    assert!(everybody_is_listed(&memory, 100).await.values().all(|times| *times == 1));
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    everybody_is_listed(&node, 100).await;
}

#[tokio::test]
async fn a_cluster_is_listed_with_all_its_nodes() {
    let cluster = Cluster::start();
    let node = Node::start(cluster.store()).ready().await;
    let times = everybody_is_listed(&node, 250).await;
    assert!(times.values().all(|times| *times <= 2));
}
