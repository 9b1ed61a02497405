//! Processes of the binary in front of one portal, three mostly, with one store and one public
//! address, as behind a load balancer; the emulated Microsoft and the portal run beside the
//! tests, on a thread of their own, so that a test that waits holds nobody up.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use anteport::clock::Clock;
use anteport::demo::microsoft::{self, Microsoft, Options};
use anteport::demo::story::Story;
use anteport::demo::{CLIENT_ID, Ports};
use anteport::gate::{Secret, SessionId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::proxy::Proxy;
use crate::redis::SOON;
use crate::visitor::{COOKIE, Member, Reply, ask, header};
use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::{ONE_TENANT, free_port};

pub const TREASURER: &str = "treasurer@harborclub.example";
const SECRET: &str = "the secret of the tests";
/// How many processes there are, unless a test says otherwise.
pub const NODES: usize = 3;

/// What a fleet is started with.
pub struct Plan {
    /// How many processes there are.
    pub nodes: usize,
    /// What `sessions` says beside its keys, indented by two; `FOLDER` is one of the fleet's own.
    pub sessions: String,
    /// What kind of provider `corporate` is, indented by four; `AUTHORITY` is the emulator's
    /// address.
    pub provider: &'static str,
    /// Who signs in there.
    pub username: &'static str,
}

impl Plan {
    fn new(nodes: usize, sessions: String) -> Self {
        Self { nodes, sessions, provider: ONE_TENANT, username: TREASURER }
    }

    /// Sessions are in Redis; what `sessions.redis` says is indented by four.
    pub fn redis(redis: &str) -> Self {
        Self::new(NODES, format!("  store: redis\n  redis:\n{redis}"))
    }

    /// They are in their browsers, which get them anew every two seconds.
    pub fn cookie() -> Self {
        Self::new(NODES, "  store: cookie\n  idle_timeout: 20s".to_owned())
    }

    /// The same, and what has ended is in Redis.
    pub fn cookie_with_redis(redis: &str) -> Self {
        let Self { sessions, .. } = Self::cookie();
        Self::new(NODES, format!("{sessions}\n  redis:\n{redis}"))
    }

    /// They are in one process, whose end they survive in a file.
    pub fn memory_with_snapshot() -> Self {
        Self::new(1, "  store: memory\n  snapshot: \"FOLDER/sessions\"".to_owned())
    }
}

/// All processes, and their partners.
pub struct Fleet {
    pub nodes: Vec<Proxy>,
    /// Host and port of the public address, where nobody answers: a browser is told whom to ask.
    pub host: String,
    pub microsoft: Arc<Microsoft>,
    folder: Arc<Folder>,
    portal: SocketAddr,
    provider: SocketAddr,
    plan: Plan,
    _held: TcpListener,
}

impl Fleet {
    /// With sessions in Redis; what `sessions.redis` says is indented by four.
    pub async fn start(redis: &str) -> Self {
        Self::start_with(Plan::redis(redis)).await
    }

    pub async fn start_with(plan: Plan) -> Self {
        let folder = Arc::new(Folder::new());
        let held = TcpListener::bind(free_port()).unwrap();
        let host = held.local_addr().unwrap().to_string();
        let (portal, provider) = (own_listener(), own_listener());
        let ports = Ports {
            proxy: held.local_addr().unwrap().port(),
            microsoft: provider.1.port(),
            portal: portal.1.port(),
            admin: 0,
        };
        let clock = Clock::system();
        let secret = Secret::new(SECRET.to_owned());
        let options = Options::demo(&ports, secret, Story::new(clock.clone()));
        let microsoft = Microsoft::new(format!("http://{}", provider.1), clock, options);
        let serving = Arc::clone(&microsoft);
        let (provider, portal) = ((provider.0, provider.1), (portal.0, portal.1));
        let (at_provider, at_portal) = (provider.1, portal.1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(portal.0).unwrap();
                tokio::spawn(echo(listener));
                let listener = tokio::net::TcpListener::from_std(provider.0).unwrap();
                microsoft::serve(listener, serving, std::future::pending()).await.unwrap();
            });
        });
        let mut fleet = Self {
            nodes: Vec::new(),
            host,
            microsoft,
            folder,
            portal: at_portal,
            provider: at_provider,
            plan,
            _held: held,
        };
        for _ in 0..fleet.plan.nodes {
            let mut node = fleet.node();
            node.up();
            fleet.nodes.push(node);
        }
        for node in &fleet.nodes {
            node.ready().await;
        }
        fleet.knows_all().await;
        fleet
    }

    /// The configuration of a node that listens there.
    pub fn config(&self, address: SocketAddr, admin: SocketAddr) -> String {
        let Self { host, portal, plan, .. } = self;
        let provider = plan.provider.replace("AUTHORITY", &self.provider.to_string());
        let sessions = plan.sessions.replace("FOLDER", &self.folder.0.display().to_string());
        let key = STANDARD.encode([7; 32]);
        format!(
            r#"
listen: {{ address: "{address}" }}
admin: {{ address: "{admin}" }}
providers:
  corporate:{provider}
    client_id: {CLIENT_ID}
    credentials: [ {{ secret: {{ value: "{SECRET}" }} }} ]
sessions:
  keys: [ {{ value: "{key}" }} ]
{sessions}
portals:
  - public_url: "http://{host}"
    upstream: {{ url: "http://{portal}" }}
    local_login: {{}}
    break_glass: {{ link: {{}} }}
    routes: [ {{ path: "/**", access: signed_in }} ]
    identity: {{ headers: {{ X-Auth-User: oid }} }}
"#
        )
    }

    fn node(&self) -> Proxy {
        let (address, admin) = (free_port(), free_port());
        let config = self.config(address, admin);
        Proxy::new(address, admin, Arc::clone(&self.folder), &config)
    }

    /// A browser that asks this node.
    pub fn browser(&self, node: usize) -> Browser {
        let mut browser = Browser::new(format!("http://{}", self.host));
        self.turn(&mut browser, node);
        browser
    }

    /// The same browser asks this node from now on.
    pub fn turn(&self, browser: &mut Browser, node: usize) {
        browser.reached.insert(self.host.clone(), self.nodes[node].address);
    }

    /// The cookies of whoever has signed in.
    pub fn cookie(browser: &mut Browser) -> String {
        let cookies = browser.own_cookies();
        assert!(cookies.contains_key(COOKIE), "no session: {cookies:?}");
        header(cookies)
    }

    /// Signs in whoever does here: the treasurer, unless the plan says otherwise.
    pub async fn treasurer(&self, node: usize) -> Browser {
        let mut browser = self.browser(node);
        let landed = browser.sign_in("/", self.plan.username).await;
        assert_eq!(landed.status, 200, "{}", landed.text());
        browser
    }

    /// Signs in so many, each somebody else, on one node after the other.
    pub async fn members(&self, count: usize) -> Vec<Member> {
        let mut members = Vec::new();
        for number in 0..count {
            let sub = format!("sub-{number}");
            members.push(self.member(number % self.nodes.len(), number, &sub, None).await);
        }
        members
    }

    /// Signs in the member of this number, of whom the provider says this `sub` and `sid`.
    pub async fn member(&self, node: usize, number: usize, sub: &str, sid: Option<&str>) -> Member {
        let name = format!("{number:08x}-0000-4000-8000-0123456789ab");
        let mut claims = Map::from_iter([("oid".to_owned(), json!(name))]);
        claims.insert("sub".to_owned(), json!(sub));
        claims.extend(sid.map(|sid| ("sid".to_owned(), json!(sid))));
        self.microsoft.next_claims(claims);
        let mut browser = self.treasurer(node).await;
        Member { name, cookie: Self::cookie(&mut browser) }
    }

    /// Lets every node get to know every member, until none of them has to ask for any.
    pub async fn get_to_know(&self, members: &[Member], asked: impl Fn() -> u64) {
        let begun = Instant::now();
        loop {
            let before = asked();
            for node in &self.nodes {
                for member in members {
                    let reply = self.ask(node, &member.cookie).await.unwrap();
                    assert_eq!((reply.status, &reply.body), (200, &member.name));
                }
            }
            if asked() == before {
                return;
            }
            assert!(begun.elapsed() < SOON, "they never know everybody");
        }
    }

    /// Opens a page at a node.
    pub async fn ask(&self, node: &Proxy, cookie: &str) -> io::Result<Reply> {
        ask(node.address, &self.host, cookie).await
    }

    /// Opens a page at a node as nobody whom any node knows; only the store can tell.
    pub async fn ask_as_stranger(&self, node: &Proxy, number: usize) -> Reply {
        let mut id = [0xA5; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let cookie = format!("{COOKIE}={}", SessionId::new(id).cookie_value());
        self.ask(node, &cookie).await.unwrap()
    }

    /// Waits until every node has an answer for a stranger.
    pub async fn knows_all(&self) {
        for node in &self.nodes {
            let begun = Instant::now();
            while self.ask_as_stranger(node, 0).await.status == 503 {
                assert!(begun.elapsed() < SOON, "it does not hear the store");
            }
        }
    }
}

/// The portal: it says whose name it was told; `/events` goes on for as long as somebody listens.
async fn echo(listener: tokio::net::TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut buffer = Vec::new();
            loop {
                let end = loop {
                    match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                        Some(at) => break at + 4,
                        None if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 => return,
                        None => {}
                    }
                };
                let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
                buffer.drain(..end);
                if head.starts_with("GET /events ") {
                    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                                  5\r\nfirst\r\n";
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                    let _ = stream.read_buf(&mut buffer).await;
                    return;
                }
                let named = head.lines().filter_map(|line| line.split_once(": "));
                let names = named.filter(|(name, _)| name.eq_ignore_ascii_case("x-auth-user"));
                let names: Vec<_> = names.map(|(_, value)| value).collect();
                let body = names.join(" and ");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: text/plain\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn own_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
