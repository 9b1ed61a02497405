//! An ending stays one: whoever says it, whenever, and whatever the store does meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteport::config::Store;
use anteport::gate::{Lifetimes, Session};
use anteport::sessions::{Meant, Revocation, StoreCall, StoreError, Word};
use redis::cmd;

use crate::redis::Server;
use crate::suite::{
    LIFETIMES, MORNING, Node, endings_in, eventually, fully, session, session_with, single,
};
use crate::world::folder::Folder;

const CORPORATE: &str = "corporate";

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

async fn member_key(node: &Node, id: &anteport::gate::SessionId) -> String {
    let member = node.find(id).await.unwrap().unwrap();
    member.session().claims().subject().member_key()
}

#[tokio::test]
async fn sess_04_a_sessions_names_last_as_long_as_the_last_of_its_members_sessions() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    let (_, laptop) = node.sessions.start(session("ada", MORNING), MORNING).await.unwrap();
    let later = MORNING.after(minutes(540));
    node.sessions.start(session("ada", later), later).await.unwrap();
    // Another state of the first one, which ends first.
    let edited = MORNING.after(minutes(600));
    let claims = laptop.session().claims().clone();
    let next = laptop.session().continued(claims, "another-handle".to_owned(), edited);
    node.sessions.start(next, edited).await.unwrap();
    let names: Vec<String> = server.ask(cmd("KEYS").arg("anteport:n:*"));
    let left = |name: &String| server.ask::<i64>(cmd("PTTL").arg(name)) / 60_000;
    // The names that they have in common; each has a handle of its own besides.
    let long = names.iter().filter(|name| left(name) >= 660).count();
    assert!(long >= 3, "{:?}", names.iter().map(left).collect::<Vec<_>>());
}

#[tokio::test]
async fn sess_04_an_ending_never_becomes_an_earlier_one() {
    let server = Server::start();
    for store in [|_: &Server| Store::Cookie { revocations: None }, endings_in] {
        let node = Node::start(store(&server)).ready().await;
        let id = node.sign_in("ada").await;
        let member = node.find(&id).await.unwrap().unwrap();
        let sid = member.session().at_provider().sid.clone().unwrap();
        let end = async |word, at| {
            let ended = node.sessions.sign_out_meant(CORPORATE, Meant::Sid(&sid), None, word, at);
            fully(ended.await);
        };
        for word in [Word::Proven, Word::Claimed] {
            end(word, MORNING.after(minutes(2))).await;
            assert!(node.find(&id).await.unwrap().is_none());
            // The same word by a clock that is behind.
            end(word, MORNING.before(Duration::from_secs(30))).await;
            assert!(node.find(&id).await.unwrap().is_none(), "{word:?}");
        }
    }
}

#[tokio::test]
async fn sess_03_a_session_lasts_no_longer_than_its_ending_is_remembered() {
    let (there, here) = (Node::start(cookie()), Node::start(cookie()));
    let month = Lifetimes { idle: minutes(7 * 24 * 60), absolute: minutes(30 * 24 * 60) };
    let long = session_with("members.example", month, "ada", MORNING);
    let (id, member) = there.sessions.start(long, MORNING).await.unwrap();
    there.keep(&id, &member);
    let key = member.session().claims().subject().member_key();
    let now = MORNING.after(minutes(1));
    here.sessions.revoke(Revocation::Member(&key), now, |_| {}).await.unwrap();
    assert!(here.find(&id).await.unwrap().is_none());
    here.clock.advance(LIFETIMES.absolute + minutes(2));
    for _ in 0..8 {
        here.sessions.tidy(here.clock.now());
    }
    assert!(here.find(&id).await.unwrap().is_none(), "it would have lasted a month");
}

fn cookie() -> Store {
    Store::Cookie { revocations: None }
}

#[tokio::test]
async fn lim_07_what_strangers_say_keeps_nobodys_sign_out_away() {
    let node = Node::start(cookie());
    let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
    let key = member_key(&node, &grace).await;
    for number in 0..50_000 {
        let name = number.to_string();
        let meant = Meant::Sid(&name);
        fully(node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Claimed, MORNING).await);
    }
    assert!(fully(node.sessions.sign_out(&ada, MORNING).await).is_some());
    node.sessions.revoke(Revocation::Member(&key), MORNING, |_| {}).await.unwrap();
    for id in [ada, grace] {
        assert!(node.find(&id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn lim_07_what_strangers_say_takes_a_bounded_room_in_the_store() {
    let server = Server::start();
    let node = Node::start(endings_in(&server)).ready().await;
    for number in 0..20_500 {
        let name = number.to_string();
        let meant = Meant::Sid(&name);
        fully(node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Claimed, MORNING).await);
    }
    let kept: usize = server.ask(&mut cmd("DBSIZE"));
    assert_eq!(kept, 2 * 20_000, "endings, and marks for the logins under way");
    let meant = Meant::Sid("proven");
    fully(node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Proven, MORNING).await);
    let more: usize = server.ask(&mut cmd("DBSIZE"));
    assert_eq!(more, kept + 2, "what a provider proves finds its room");
}

#[tokio::test]
async fn a_login_asks_the_store_once_for_each_of_its_names() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    node.sessions.observe(Box::new(move |call, _, _| {
        counts.fetch_add(usize::from(call == StoreCall::SignOut), Ordering::SeqCst);
    }));
    let ada = session("ada", MORNING);
    assert!(!node.sessions.signed_out_since(MORNING, &ada).await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 3, "the sid, the sub, the member");
    let later = MORNING.after(minutes(1));
    let meant = Meant::Sid("sid-ada");
    fully(node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Claimed, later).await);
    assert!(node.sessions.signed_out_since(MORNING, &ada).await.unwrap(), "OIDC-14");
}

#[tokio::test]
async fn rel_04_what_was_found_is_over_here_while_the_store_is_down() {
    let mut server = Server::start();
    let node = Node::start(endings_in(&server)).ready().await;
    let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
    let key = member_key(&node, &ada).await;
    let member = node.find(&grace).await.unwrap().unwrap();
    let handle = member.session().handle().to_owned();
    server.down();
    eventually(async || node.find(&grace).await.is_ok_and(|found| found.is_some())).await;
    for what in [Revocation::Member(&key), Revocation::Session(&handle)] {
        let revoked = node.sessions.revoke(what, node.clock.now(), |_| {}).await;
        assert!(revoked.is_err(), "the other nodes do not know: {revoked:?}");
    }
    for id in [&ada, &grace] {
        let found = node.find(id).await;
        assert!(matches!(found, Ok(None) | Err(StoreError::Unavailable)), "{found:?}");
    }
}

#[tokio::test]
async fn log_03_what_ends_here_is_told_of_though_the_store_cannot_be() {
    for store in [single, endings_in] {
        let mut server = Server::start();
        let node = Node::start(store(&server)).ready().await;
        let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
        let (mary, now) = (node.sign_in("mary").await, node.clock.now());
        for id in [&ada, &grace, &mary] {
            assert!(node.name(id).await.is_some());
        }
        server.down();
        for (id, name) in [(&ada, "sub-ada"), (&grace, "sub-grace")] {
            let (ended, told) = match name {
                "sub-ada" => node.sessions.sign_out(id, now).await,
                _ => node.sessions.end(id, now).await,
            };
            let ended = ended.expect("it is over here");
            assert_eq!(ended.session().claims().text("sub"), Some(name));
            assert_eq!(told, Err(StoreError::Unavailable));
            let (again, told) = node.sessions.sign_out(id, now).await;
            assert!(again.is_none() && told.is_err(), "once");
        }
        let meant = Meant::Sid("sid-mary");
        let said = node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Proven, now).await;
        // By name only the store can tell whose are meant, unless they are in their browsers.
        let is_carried = !matches!(store(&server), Store::Redis(_));
        assert_eq!((said.0.len(), said.1.is_err()), (usize::from(is_carried), true));
    }
}

#[tokio::test]
async fn log_03_what_ends_at_all_nodes_is_told_of_though_it_could_not_be_noted() {
    let server = Server::start();
    let node = Node::start(single(&server)).ready().await;
    for _ in 0..3 {
        node.sign_in("ada").await;
    }
    // Nothing can be written any more, and what is there be taken away.
    let _: String = server.ask(cmd("CONFIG").arg("SET").arg("maxmemory").arg("1"));
    let (meant, now) = (Meant::Sid("sid-ada"), node.clock.now());
    let (ended, told) =
        node.sessions.sign_out_meant(CORPORATE, meant, None, Word::Proven, now).await;
    assert_eq!((ended.len(), told), (3, Err(StoreError::Unavailable)));
}

#[tokio::test]
async fn log_03_whom_a_revocation_ends_is_told_once_though_the_store_is_down() {
    let mut server = Server::start();
    let node = Node::start(endings_in(&server)).ready().await;
    let ada = node.sign_in("ada").await;
    let key = member_key(&node, &ada).await;
    server.down();
    let told = Mutex::new(Vec::new());
    for _ in 0..2 {
        let ended = |session: &Session| told.lock().unwrap().push(session.handle().to_owned());
        let what = Revocation::Member(&key);
        assert!(node.sessions.revoke(what, node.clock.now(), ended).await.is_err());
    }
    assert_eq!(told.into_inner().unwrap(), ["handle-ada"]);
}

#[tokio::test]
async fn sess_09_a_revocation_waits_for_those_who_are_being_read() {
    let folder = Folder::new();
    let store = || Store::Memory { snapshot: Some(folder.at("sessions")) };
    let before = Node::start(store());
    before.sessions.read_snapshot(MORNING);
    let (id, member) = before.sessions.start(session("ada", MORNING), MORNING).await.unwrap();
    let key = member.session().claims().subject().member_key();
    before.sessions.write_snapshot(MORNING);
    let after = Node::start(store());
    let now = MORNING.after(minutes(1));
    let revoking = after.sessions.revoke(Revocation::Member(&key), now, |_| {});
    let (revoked, restored) = tokio::join!(revoking, async { after.sessions.read_snapshot(now) });
    assert_eq!((revoked, restored), (Ok(Some(1)), 1));
    assert!(after.sessions.find(&id, now).await.unwrap().is_none());
}
