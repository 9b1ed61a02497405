//! What every store promises, tried on two nodes that share it where it can be shared.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use anteport::config::{Redis, RedisMode, SealingKeys, ServerAddress, Sessions as Settings, Store};
use anteport::gate::{
    AtProvider, Lifetimes, PortalToken, PortalTokens, Secret, Session, SessionId, Subject,
    Timestamp, TokenKind, VerifiedClaims, cookies,
};
use anteport::sessions::{
    Earlier, EndedHere, Here, Logins, Meant, Ours, Seal, Sessions, SignedIn, StoreError, Turn, Word,
};
use http::HeaderValue;
use serde_json::{Map, json};

use crate::redis::{SOON, Server};
use crate::revocation::every_kind_reaches_every_node;

pub const MORNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
pub const GRACE: Duration = Duration::from_secs(30);

/// What browsers keep, by the ids of their sessions.
static BROWSERS: Mutex<BTreeMap<[u8; 32], String>> = Mutex::new(BTreeMap::new());

/// One process, as far as sessions go.
pub struct Node {
    pub sessions: Arc<Sessions>,
    pub clock: Clock,
    keeping: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
        }
    }
}

/// How Redis at these addresses is spoken with.
pub fn redis(mode: RedisMode, ports: &[u16]) -> Redis {
    let server = |port: &u16| ServerAddress { host: "127.0.0.1".to_owned(), port: *port };
    Redis {
        mode,
        servers: ports.iter().map(server).collect(),
        tls: None,
        username: None,
        password: None,
        database: 0,
        prefix: "anteport:".to_owned(),
        timeout: Duration::from_millis(500),
        grace: GRACE,
    }
}

pub fn single(server: &Server) -> Store {
    single_at(server.address)
}

/// Sessions in cookies, and what has ended in this server.
pub fn endings_in(server: &Server) -> Store {
    let redis = redis(RedisMode::Single, &[server.address.port()]);
    Store::Cookie { revocations: Some(Box::new(redis)) }
}

/// Whatever answers there.
pub fn single_at(address: SocketAddr) -> Store {
    Store::Redis(Box::new(redis(RedisMode::Single, &[address.port()])))
}

impl Node {
    pub fn start(store: Store) -> Self {
        Self::start_with(store, &[Secret::new([7; 32])])
    }

    pub fn start_with(store: Store, keys: &[Secret<[u8; 32]>]) -> Self {
        let settings = Settings {
            store,
            keys: SealingKeys::default(),
            lifetimes: LIFETIMES,
            refresh_interval: Duration::from_secs(900),
            capacity: 100_000,
        };
        let clock = Clock::at(MORNING);
        let seal = Arc::new(Seal::new(keys).unwrap());
        let is_ours = Ours::new(|session| session.is_for("members.example"));
        let sessions = Arc::new(Sessions::new(&settings, &seal, &clock, is_ours, |_| {}));
        let kept = Arc::clone(&sessions);
        let keeping = Some(tokio::spawn(async move { kept.keep().await }));
        Self { sessions, clock, keeping }
    }

    /// Waits until the store answers it.
    pub async fn ready(self) -> Self {
        self.can_ask().await;
        self
    }

    pub async fn can_ask(&self) {
        eventually(async || self.find(&SessionId::new([0; 32])).await.is_ok()).await;
    }

    pub async fn sign_in(&self, name: &str) -> SessionId {
        let started = self.sessions.start(session(name, self.clock.now()), self.clock.now()).await;
        let (id, member) = started.unwrap();
        self.keep(&id, &member);
        id
    }

    /// What the browser of a session keeps.
    pub fn keep(&self, id: &SessionId, member: &SignedIn) {
        let parts = self.sessions.tickets(id, member).unwrap();
        let pairs = parts.iter().enumerate().map(|(number, part)| match number {
            0 => format!("{}={part}", cookies::SESSION),
            _ => format!("{}{}={part}", cookies::PART_PREFIX, number + 1),
        });
        let pairs: Vec<String> = pairs.collect();
        BROWSERS.lock().unwrap().insert(*id.bytes(), pairs.join("; "));
    }

    /// As a request finds it.
    pub async fn find(&self, id: &SessionId) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let now = self.clock.now();
        let cookies = BROWSERS.lock().unwrap().get(id.bytes()).cloned();
        let Some(cookies) = cookies else {
            return self.sessions.find(id, now).await;
        };
        let cookies = [HeaderValue::from_str(&cookies).unwrap()];
        let ticket = cookies::read(&cookies).session.unwrap();
        let Some(shown) = self.sessions.shown(&ticket) else {
            return Ok(None);
        };
        assert_eq!(shown.id.bytes(), id.bytes());
        match self.sessions.arrive(&shown, now) {
            Here::Member(member) => Ok(Some(member)),
            Here::Nobody => Ok(None),
            Here::Ask => self.sessions.find(&shown.id, now).await,
        }
    }

    /// Whose session it is here, checked to be nobody else's.
    pub async fn name(&self, id: &SessionId) -> Option<String> {
        let found = self.find(id).await.unwrap()?;
        Some(found.session().claims().text("name").unwrap().to_owned())
    }
}

pub fn session(name: &str, now: Timestamp) -> Session {
    session_with("members.example", LIFETIMES, name, now)
}

/// The same for another portal, or for longer.
pub fn session_with(portal: &str, lifetimes: Lifetimes, name: &str, now: Timestamp) -> Session {
    let claims = json!({ "iss": "https://i.example", "sub": format!("sub-{name}"), "name": name,
        "sid": format!("sid-{name}") });
    let claims: Map<_, _> = claims.as_object().unwrap().clone();
    let text = |claim: &str| claims[claim].as_str().map(str::to_owned);
    let at_provider = AtProvider { sid: text("sid"), sub: text("sub"), id_token: None };
    let subject =
        Subject::Issuer { issuer: "https://i.example".to_owned(), subject: format!("sub-{name}") };
    let claims = VerifiedClaims::assertion(subject, claims);
    let (handle, provider) = (format!("handle-{name}"), "corporate".into());
    Session::start(claims, provider, portal.into(), handle, lifetimes, now).known_as(at_provider)
}

/// Two nodes that share a store.
pub async fn two_nodes(server: &Server, store: impl Fn(&Server) -> Store) -> (Node, Node) {
    let (here, there) = (Node::start(store(server)), Node::start(store(server)));
    (here.ready().await, there.ready().await)
}

/// A node, and somebody whom it knows.
pub async fn knows_ada(server: &Server) -> (Node, SessionId) {
    let node = Node::start(single(server)).ready().await;
    let ada = node.sign_in("ada").await;
    assert!(node.name(&ada).await.is_some());
    (node, ada)
}

/// What has ended, where the store was told of it.
pub fn fully<T>((ended, told): EndedHere<T>) -> T {
    told.unwrap();
    ended
}

/// Waits for something that is about to be so.
pub async fn eventually(is_so: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < SOON, "it does not come to be so");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// A session is the same on both nodes, and over on both at once.
pub async fn a_session_is_on_every_node(here: &Node, there: &Node) {
    let id = here.sign_in("ada").await;
    let other = here.sign_in("grace").await;
    for node in [here, there, here] {
        assert_eq!(node.name(&id).await.as_deref(), Some("ada"));
        assert_eq!(node.name(&other).await.as_deref(), Some("grace"));
    }
    assert!(fully(there.sessions.sign_out(&id, there.clock.now()).await).is_some());
    assert!(there.name(&id).await.is_none(), "SESS-04: at once where it was ended");
    let took = eventually(async || here.name(&id).await.is_none()).await;
    assert!(took < Duration::from_secs(1), "a sign-out is everywhere within a second: {took:?}");
    assert_eq!(here.name(&other).await.as_deref(), Some("grace"), "and ends nobody else's");
    assert!(fully(here.sessions.sign_out(&id, MORNING).await).is_none());
}

/// What a portal gets of the provider's tokens is there on every node, also after a refresh that
/// brought no other.
pub async fn tokens_are_on_every_node(here: &Node, there: &Node) -> SessionId {
    let now = here.clock.now();
    let token = Secret::new("canary-of-a-token".to_owned());
    let access_token = PortalToken::until(&token, now.after(Duration::from_secs(3600)));
    let session = session("tess", now).passing(PortalTokens { access_token, id_token: None });
    let (id, _) = here.sessions.start(session, now).await.unwrap();
    let is_there = async |node: &Node| {
        let member = node.find(&id).await.unwrap().unwrap();
        let tokens = member.session().tokens().unwrap();
        assert!(tokens.id_token.is_none());
        let kept = tokens.good(TokenKind::AccessToken, now).unwrap();
        kept.token().matches("canary-of-a-token")
    };
    assert!(is_there(here).await && is_there(there).await);
    let never = |_: &SignedIn| false;
    let Ok(Turn::Ours(lease, member)) = there.sessions.turn(&id, never, now).await else {
        panic!("it is nobody else's turn");
    };
    let next = member.session().renewed(None, None, now).unwrap();
    assert!(there.sessions.renew(&id, &lease, &member, next, now).await.unwrap().is_some());
    there.sessions.give_back(&id, &lease).await;
    assert!(is_there(here).await && is_there(there).await);
    id
}

/// SESS-03: lifetimes are ours.
pub async fn an_absolute_end_is_one(here: &Node) {
    let id = here.sign_in("eve").await;
    let last = LIFETIMES.absolute - Duration::from_millis(1);
    for step in [last, Duration::from_millis(1)] {
        // Used all the time.
        let mut left = step;
        while !left.is_zero() {
            let pause = left.min(LIFETIMES.idle / 2);
            here.clock.advance(pause);
            left -= pause;
            if !left.is_zero() || step == last {
                assert!(here.name(&id).await.is_some());
                here.find(&id).await.unwrap().unwrap().session().touch(here.clock.now());
            }
        }
    }
    assert!(here.name(&id).await.is_none());
}

/// OIDC-13, OIDC-14: one asks at a time, and a sign-out wins.
pub async fn one_asks_the_provider_and_a_sign_out_wins(here: &Node, there: &Node) {
    let id = here.sign_in("ada").await;
    let now = here.clock.now();
    let is_done = |member: &SignedIn| member.session().claims().text("name") == Some("Ada");
    let Ok(Turn::Ours(lease, member)) = here.sessions.turn(&id, is_done, now).await else {
        panic!("it is nobody else's turn");
    };
    let waiting = {
        let (sessions, id) = (Arc::clone(&there.sessions), id.clone());
        tokio::spawn(async move { sessions.turn(&id, is_done, now).await })
    };
    let mut claims: Map<_, _> = Map::new();
    claims.insert("name".to_owned(), "Ada".into());
    let renewed = |member: &SignedIn| {
        let subject = member.session().claims().subject().clone();
        let claims = VerifiedClaims::assertion(subject, claims.clone());
        member.session().continued(claims, "handle-ada".to_owned(), now)
    };
    let next = renewed(&member);
    let next = here.sessions.renew(&id, &lease, &member, next, now).await.unwrap();
    here.sessions.give_back(&id, &lease).await;
    assert!(is_done(&next.unwrap()));
    match waiting.await.unwrap().unwrap() {
        Turn::Done(member) => assert!(is_done(&member), "who waited reads what came of it"),
        other => panic!("{other:?}"),
    }
    eventually(async || is_done(&there.find(&id).await.unwrap().unwrap())).await;
    // And now a sign-out while somebody asks.
    let never = |_: &SignedIn| false;
    let Ok(Turn::Ours(lease, member)) = here.sessions.turn(&id, never, now).await else {
        panic!("it was given back");
    };
    fully(there.sessions.sign_out(&id, now).await);
    let next = renewed(&member);
    let late = here.sessions.renew(&id, &lease, &member, next, now).await.unwrap();
    assert!(late.is_none(), "a logout wins over a refresh under way");
    assert!(here.name(&id).await.is_none() && there.name(&id).await.is_none());
    assert!(matches!(there.sessions.turn(&id, never, now).await, Ok(Turn::Over)));
}

/// OIDC-02: used once, among all nodes.
pub async fn what_is_used_once_is_used_once(here: &Node, there: &Node) {
    let state = Secret::new("state".to_owned());
    let spend = |node: &Node| {
        let (sessions, state) = (Arc::clone(&node.sessions), state.clone());
        tokio::spawn(async move { sessions.spend_login(&state).await.unwrap() })
    };
    let tries: Vec<_> = (0..20).map(|n| spend(if n % 2 == 0 { here } else { there })).collect();
    let mut spent = 0;
    for one in tries {
        spent += usize::from(one.await.unwrap());
    }
    assert_eq!(spent, 1);
    assert!(here.sessions.spend_logout_token("a", "1").await.unwrap());
    assert!(!there.sessions.spend_logout_token("a", "1").await.unwrap());
    assert!(there.sessions.spend_logout_token("b", "1").await.unwrap(), "another provider's");
    // What was not obeyed everywhere is believed once more.
    there.sessions.give_back_logout_token("a", "1").await;
    assert!(here.sessions.spend_logout_token("a", "1").await.unwrap());
    assert!(!there.sessions.spend_logout_token("a", "1").await.unwrap());
    assert!(!there.sessions.spend_logout_token("b", "1").await.unwrap());
}

/// OIDC-20: who is meant is ended, on every node. A node that has not seen a session that is in its
/// browser cannot count it.
pub async fn names_end_whom_they_mean(here: &Node, there: &Node, knows_all: bool) {
    let (ada, also_ada) = (here.sign_in("ada").await, there.sign_in("ada").await);
    let mary = here.sign_in("mary").await;
    let later = MORNING.after(Duration::from_secs(1));
    let (of, meant) = ("corporate", Meant::Sub("sub-ada"));
    let elsewhere = fully(there.sessions.end_meant("other", meant, None, later).await);
    let other_issuer = Some("https://other.example");
    let disbelieved = fully(there.sessions.end_meant(of, meant, other_issuer, later).await);
    assert!(elsewhere.is_empty() && disbelieved.is_empty());
    let ended = there
        .sessions
        .sign_out_meant(of, meant, Some("https://i.example"), Word::Proven, later)
        .await;
    assert_eq!(fully(ended).len(), if knows_all { 2 } else { 1 });
    for id in [&ada, &also_ada] {
        eventually(async || here.name(id).await.is_none() && there.name(id).await.is_none()).await;
    }
    assert_eq!(there.name(&mary).await.as_deref(), Some("mary"));
    let since = session("ada", MORNING);
    assert!(here.sessions.signed_out_since(MORNING, &since).await.unwrap(), "OIDC-14");
    assert!(!here.sessions.signed_out_since(later, &since).await.unwrap());
    let member = Meant::Member("https://i.example#sub-mary");
    let ended = there.sessions.sign_out_meant("", member, None, Word::Proven, later).await;
    assert_eq!(fully(ended).len(), 1);
    eventually(async || here.name(&mary).await.is_none()).await;
}

/// When a member signed in first and last is known on all nodes, by portal, and for a time.
pub async fn first_and_last_sign_in_are_known(here: &Node, there: &Node) {
    let subject = Subject::Directory { tenant: "t".into(), object: "grace".into() };
    let kept = Duration::from_secs(24 * 3600);
    let earlier =
        async |portal: &str, now| there.sessions.logins(portal, &subject, kept, now).await.unwrap();
    assert_eq!(earlier("a", MORNING).await, Earlier::None);
    let later = MORNING.after(Duration::from_secs(3600));
    here.sessions.note_login("a", &subject, kept, MORNING).await.unwrap();
    there.sessions.note_login("a", &subject, kept, later).await.unwrap();
    let both = Earlier::Some(Logins { first: MORNING, last: later });
    assert_eq!(earlier("a", later).await, both);
    assert_eq!(earlier("b", later).await, Earlier::None);
    assert_eq!(earlier("a", later.after(kept)).await, Earlier::None);
}

/// Everything that a store promises.
pub async fn whole(here: &Node, there: &Node) {
    a_session_is_on_every_node(here, there).await;
    let id = tokens_are_on_every_node(here, there).await;
    assert!(fully(there.sessions.sign_out(&id, there.clock.now()).await).is_some());
    eventually(async || here.name(&id).await.is_none()).await;
    one_asks_the_provider_and_a_sign_out_wins(here, there).await;
    what_is_used_once_is_used_once(here, there).await;
    names_end_whom_they_mean(here, there, true).await;
    every_kind_reaches_every_node(here, there).await;
    first_and_last_sign_in_are_known(here, there).await;
    an_absolute_end_is_one(here).await;
    // Both go on at the same time of day.
    let (ahead, behind) = (here.clock.now().unix_millis(), there.clock.now().unix_millis());
    there.clock.advance(Duration::from_millis(u64::try_from(ahead - behind).unwrap()));
}

#[tokio::test]
async fn memory_keeps_what_a_store_promises() {
    let node = Node::start(Store::Memory { snapshot: None });
    whole(&node, &node).await;
}

/// What a store promises whose sessions are in their browsers.
async fn carried(here: &Node, there: &Node) {
    a_session_is_on_every_node(here, there).await;
    what_is_used_once_is_used_once(here, there).await;
    names_end_whom_they_mean(here, there, std::ptr::eq(here, there)).await;
    an_absolute_end_is_one(here).await;
}

#[tokio::test]
async fn cookies_keep_what_a_store_promises() {
    let node = Node::start(Store::Cookie { revocations: None });
    carried(&node, &node).await;
    one_asks_the_provider_and_a_sign_out_wins(&node, &node).await;
}

#[tokio::test]
async fn cookies_with_endings_in_redis_keep_it_on_every_node() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, endings_in).await;
    // LIM-07: strangers may say names in a provider's name, and what they say is not kept.
    let meant = Meant::Sid("invented");
    assert!(fully(here.sessions.end_meant("corporate", meant, None, MORNING).await).is_empty());
    let kept: Vec<String> = server.ask(::redis::cmd("KEYS").arg("anteport:r:*"));
    assert!(kept.is_empty(), "{kept:?}");
    carried(&here, &there).await;
    first_and_last_sign_in_are_known(&here, &there).await;
    let keys: Vec<String> = server.ask(::redis::cmd("KEYS").arg("anteport:s:*"));
    assert!(keys.is_empty(), "no session is in the store");
}

#[tokio::test]
async fn cookies_need_nothing_but_the_keys_to_be_known_everywhere() {
    let (here, there) = (
        Node::start(Store::Cookie { revocations: None }),
        Node::start(Store::Cookie { revocations: None }),
    );
    let id = here.sign_in("ada").await;
    assert_eq!(there.name(&id).await.as_deref(), Some("ada"));
    let keys = [Secret::new([8; 32])];
    let stranger = Node::start_with(Store::Cookie { revocations: None }, &keys);
    assert!(stranger.name(&id).await.is_none());
    // A restart forgets what was read, and nobody is signed out.
    let restarted = Node::start(Store::Cookie { revocations: None });
    assert_eq!(restarted.name(&id).await.as_deref(), Some("ada"));
    assert!(fully(here.sessions.sign_out(&id, MORNING).await).is_some());
    assert!(here.name(&id).await.is_none(), "SESS-04: a copied cookie is worthless");
}

#[tokio::test]
async fn of_two_states_of_a_carried_session_the_later_one_counts() {
    let node = Node::start(Store::Cookie { revocations: None });
    let id = node.sign_in("ada").await;
    let earlier = node.find(&id).await.unwrap().unwrap();
    let Ok(Turn::Ours(lease, _)) = node.sessions.turn(&id, |_| false, MORNING).await else {
        panic!("it is nobody else's turn");
    };
    let next = earlier.session().rotated(Secret::new("later".to_owned()), MORNING);
    let next = node.sessions.renew(&id, &lease, &earlier, next, MORNING).await.unwrap().unwrap();
    let known = async |node: &Node| node.find(&id).await.unwrap().unwrap().session().revision();
    assert_eq!(known(&node).await, 1, "though the browser shows the earlier one");
    let other = Node::start(Store::Cookie { revocations: None });
    assert_eq!(known(&other).await, 0);
    node.keep(&id, &next);
    assert_eq!((known(&other).await, known(&node).await), (1, 1));
}

#[tokio::test]
async fn sess_03_a_carried_session_that_nobody_uses_is_over_wherever_it_comes() {
    let node = Node::start(Store::Cookie { revocations: None });
    let id = node.sign_in("ada").await;
    let other = Node::start(Store::Cookie { revocations: None });
    other.clock.advance(LIFETIMES.idle);
    assert!(other.name(&id).await.is_none());
    other.clock.advance(LIFETIMES.absolute);
    assert!(other.name(&id).await.is_none());
}

#[tokio::test]
async fn sess_02_no_token_of_a_portal_can_be_read_in_redis() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    tokens_are_on_every_node(&here, &there).await;
    let keys: Vec<String> = server.ask(::redis::cmd("KEYS").arg("*"));
    assert!(keys.iter().any(|key| key.starts_with("anteport:s:")), "{keys:?}");
    for key in keys {
        let kept: Vec<u8> = server.ask(::redis::cmd("DUMP").arg(&key));
        assert!(!kept.windows(6).any(|part| part == b"canary"), "{key}");
    }
}

#[tokio::test]
async fn redis_keeps_what_a_store_promises() {
    let server = Server::start();
    let (here, there) = two_nodes(&server, single).await;
    whole(&here, &there).await;
}
