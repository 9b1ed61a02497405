//! A whole world in one process: the emulated Microsoft, a portal that records what it receives,
//! the proxy between, and browsers with cookies. Nothing is faked between the sockets.

pub mod browser;
pub mod collector;
#[path = "../../kit/folder.rs"]
pub mod folder;
pub mod patience;
pub mod portal;
#[path = "../../kit/ports.rs"]
mod ports;
pub mod provider;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteport::clock::Clock;
use anteport::config;
use anteport::demo::Ports;
use anteport::demo::microsoft::{self, B2c, Microsoft, Options};
use anteport::demo::story::Story;
use anteport::gate::{Secret, Timestamp};
use anteport::server::{Limits, Reason, ReloadError, Reloads, Service, Source};
use anteport::telemetry::log::DroppedLines;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use browser::{Answer, Browser};
use portal::Portal;

/// A moment that is a member's ordinary morning.
pub const MORNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

pub struct World {
    pub clock: Clock,
    pub microsoft: Arc<Microsoft>,
    pub portal: Portal,
    /// The upstream of `Plan::more_portals`.
    pub second: Portal,
    pub proxy: SocketAddr,
    pub admin: SocketAddr,
    /// Where servers ask over gRPC.
    pub grpc: Option<SocketAddr>,
    /// Has key files looked at again.
    pub look_again: Arc<Notify>,
    /// Reads what [`World::configure`] has changed.
    reloads: Arc<Reloads>,
    stop: Option<oneshot::Sender<()>>,
    service: Option<JoinHandle<()>>,
    again: Again,
    emulator: Option<JoinHandle<()>>,
    authority: SocketAddr,
}

/// What its proxy is started with, once and again.
struct Again {
    text: Arc<Mutex<String>>,
    environment: Vec<(&'static str, String)>,
    limits: Limits,
}

/// A proxy that was started.
struct Started {
    stop: oneshot::Sender<()>,
    service: JoinHandle<()>,
    look_again: Arc<Notify>,
    reloads: Arc<Reloads>,
    grpc: Option<SocketAddr>,
}

impl Again {
    fn start(&self, clock: &Clock) -> Started {
        let (text, environment) = (Arc::clone(&self.text), self.environment.clone());
        let load = move || {
            let variable = |name: &str| {
                let mut known = environment.iter();
                known.find_map(|(known, value)| (*known == name).then(|| value.clone()))
            };
            config::parse("tests.yaml", &text.lock().unwrap(), &variable, MORNING)
        };
        let loaded = load().unwrap_or_else(|problems| panic!("{problems}"));
        let dropped_lines = DroppedLines::default();
        let mut service =
            Service::start_within(loaded.config, clock.clone(), dropped_lines, self.limits)
                .unwrap_or_else(|error| panic!("{error:?}"));
        let (look_again, grpc) = (service.look_again(), service.grpc_address());
        let reloads = service.reload_from(Source::new(loaded.files, load, |_| {}));
        let (stop, stopped) = oneshot::channel();
        let service = tokio::spawn(service.attend(async move {
            let _ = stopped.await;
        }));
        Started { stop, service, look_again, reloads, grpc }
    }
}

/// What a world can be started with.
pub struct Plan {
    /// Lines in place of `mode`, `routes` and so on of the one portal, indented by four.
    pub portal: &'static str,
    pub sessions: &'static str,
    /// In its place, where files of the test are named.
    pub kept_sessions: Option<String>,
    /// What stands at `signing`.
    pub signing: String,
    /// More lines of the file's own.
    pub top: &'static str,
    /// What stands at `upstream` instead of this world's own portal.
    pub upstream: Option<String>,
    pub listen_tls: Option<String>,
    /// More keys of `listen`, each behind a comma.
    pub listen: &'static str,
    pub limits: Limits,
    /// When it is, to begin with.
    pub begins: Timestamp,
    /// More portals, as items of the list; `UPSTREAM` is their address and `PORT` ours.
    pub more_portals: &'static str,
    pub microsoft_is_up: bool,
    /// What kind of provider `corporate` is, indented by four; `AUTHORITY` is the emulator's
    /// address.
    pub provider: &'static str,
    pub b2c: B2c,
    /// Its `credentials`; `AUTHORITY` is the emulator's address.
    pub credentials: String,
    /// The environment that the configuration is read in; `AUTHORITY` as there.
    pub environment: &'static [(&'static str, &'static str)],
    /// What is otherwise at the emulator.
    pub registration: Registration,
}

/// Changes the app registration at the emulator, whose address it is told.
pub type Registration = Box<dyn FnOnce(&mut Options, &str)>;

/// The one secret that the emulator knows and the proxy has.
pub const SECRET: &str = "the secret of the tests";

/// The organisation that the demo is about.
pub const ONE_TENANT: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;

pub const AZURE_ONLY: &str = r#"
    mode: azure_only
    local_login:
      login_pages: [/login]
      password_routes:
        - { path: /login, methods: [POST] }
    routes:
      - { path: "/assets/**", access: public }
      - { path: "/public/**", access: public }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email, X-Auth-Name: name, X-Auth-Roles: roles }
"#;

impl Default for Plan {
    fn default() -> Self {
        Self {
            portal: AZURE_ONLY,
            sessions: "{}",
            kept_sessions: None,
            signing: "{}".to_owned(),
            top: "",
            upstream: None,
            listen_tls: None,
            listen: "",
            limits: Limits::default(),
            begins: MORNING,
            more_portals: "",
            microsoft_is_up: true,
            provider: ONE_TENANT,
            b2c: B2c::default(),
            credentials: format!("[ {{ secret: {{ value: \"{SECRET}\" }} }} ]"),
            environment: &[],
            registration: Box::new(|_, _| {}),
        }
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Plan::default()).await
    }

    pub async fn start_with(plan: Plan) -> Self {
        let clock = Clock::at(plan.begins);
        let portal = Portal::start().await;
        let second = Portal::start().await;
        // Held until the proxy has it: its sockets may share an address with each other.
        let held = anteport::server::bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let (proxy, admin, authority) = (held[0].local_addr().unwrap(), free_port(), free_port());
        let ports = Ports {
            proxy: proxy.port(),
            microsoft: authority.port(),
            portal: portal.address.port(),
            admin: admin.port(),
        };
        let secret = Secret::new(SECRET.to_owned());
        let scheme = if plan.listen_tls.is_some() { "https" } else { "http" };
        let mut options = Options::demo(&ports, secret, Story::new(clock.clone()));
        if plan.listen_tls.is_some() {
            let secure = |uri: &String| uri.replacen("http://", "https://", 1);
            options.redirect_uris = options.redirect_uris.iter().map(secure).collect();
        }
        // Portals of other names are on the same port.
        let named = |uri: &String| uri.replace("127.0.0.1", "localhost").replace("/.auth", "/own");
        let others: Vec<String> = options.redirect_uris.iter().map(named).collect();
        options.redirect_uris.extend(others);
        let of_members = |uri: &String| uri.replace("/corporate/", "/members/");
        let others: Vec<String> = options.redirect_uris.iter().map(of_members).collect();
        options.redirect_uris.extend(others);
        // As an application before us had it.
        options.redirect_uris.push(format!("{scheme}://{proxy}/signin-B2C"));
        options.b2c = plan.b2c;
        let base = format!("http://{authority}");
        (plan.registration)(&mut options, &base);
        let microsoft = Microsoft::new(base, clock.clone(), options);
        let tls = plan.listen_tls.map(|tls| format!(", tls: {tls}")).unwrap_or_default();
        let text = format!(
            r#"
listen: {{ address: "{proxy}"{tls}{listen} }}
admin: {{ address: "{admin}" }}
providers:
  corporate:{provider}
    client_id: {client}
    credentials: {credentials}
sessions: {sessions}
signing: {signing}
{top}
portals:
  - public_url: "{scheme}://{proxy}"
    upstream: {upstream}
{portal_lines}
{more_portals}
"#,
            provider = plan.provider.replace("AUTHORITY", &authority.to_string()),
            client = anteport::demo::CLIENT_ID,
            credentials = plan.credentials.replace("AUTHORITY", &authority.to_string()),
            sessions = stored(plan.kept_sessions.as_deref().unwrap_or(plan.sessions)),
            signing = plan.signing,
            top = plan.top,
            upstream = plan.upstream.unwrap_or_else(|| format!(
                "{{ url: \"http://{}\", response_timeout: 1s }}",
                portal.address
            )),
            portal_lines = plan.portal,
            listen = plan.listen,
            more_portals = plan
                .more_portals
                .replace("UPSTREAM", &second.address.to_string())
                .replace("PORT", &proxy.port().to_string()),
        );
        let environment = plan.environment.iter();
        let environment = environment
            .map(|(name, value)| (*name, value.replace("AUTHORITY", &authority.to_string())));
        let text = Arc::new(Mutex::new(text));
        let again = Again { text, environment: environment.collect(), limits: plan.limits };
        let Started { stop, service, look_again, reloads, grpc } = again.start(&clock);
        drop(held);
        let mut world = Self {
            clock,
            microsoft,
            portal,
            second,
            proxy,
            admin,
            grpc,
            stop: Some(stop),
            service: Some(service),
            look_again,
            reloads,
            again,
            emulator: None,
            authority,
        };
        if plan.microsoft_is_up {
            world.microsoft_comes_up().await;
        }
        world
    }

    /// Its configuration.
    pub fn text(&self) -> String {
        self.again.text.lock().unwrap().clone()
    }

    /// Its configuration has `written` in place of `known`, which nobody has read yet.
    pub fn configure(&self, known: &str, written: &str) {
        let mut text = self.again.text.lock().unwrap();
        assert!(text.contains(known), "{known}");
        *text = text.replace(known, written);
    }

    /// Its configuration is read, in its turn beside the requests.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let reloads = Arc::clone(&self.reloads);
        let reload = move || reloads.reload(Reason::Asked).map(drop);
        tokio::task::spawn_blocking(reload).await.unwrap()
    }

    /// Where the emulated Microsoft is.
    pub fn authority(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// The emulated Microsoft begins to listen.
    pub async fn microsoft_comes_up(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.authority).await.unwrap();
        let microsoft = Arc::clone(&self.microsoft);
        self.emulator = Some(tokio::spawn(async move {
            microsoft::serve(listener, microsoft, std::future::pending()).await.unwrap();
        }));
    }

    /// The emulated Microsoft is gone: nobody listens there.
    pub async fn microsoft_goes_down(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            emulator.abort();
            let _ = emulator.await;
        }
    }

    pub fn browser(&self) -> Browser {
        Browser::new(format!("http://{}", self.proxy))
    }

    /// A browser whose person has signed in as the treasurer.
    pub async fn treasurer(&self) -> Browser {
        let mut browser = self.browser();
        let landed = browser.sign_in("/", "treasurer@harborclub.example").await;
        assert_eq!(landed.status, 200, "{}", landed.text());
        browser
    }

    /// What the metrics say now.
    pub async fn readyz(&self) -> (u16, String) {
        let answer = Browser::new(format!("http://{}", self.admin));
        let answer = answer.send("GET", "/readyz?verbose", &[], b"").await;
        (answer.status, answer.text())
    }

    pub async fn metrics(&self) -> String {
        let admin = Browser::new(format!("http://{}", self.admin));
        admin.send("GET", "/metrics", &[], b"").await.text()
    }

    /// The value of one series.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has this value: what it counts may end a moment before it is counted.
    pub async fn comes_to(&self, series: &str, wanted: f64) {
        let coming = async {
            while self.metric(series).await != wanted {
                tokio::task::yield_now().await;
            }
        };
        let coming = tokio::time::timeout(Duration::from_secs(20), coming).await;
        coming.unwrap_or_else(|_| panic!("{series} does not come to {wanted}"));
    }

    /// Asks for a stop, and waits until everything has ended.
    pub async fn stop(mut self) {
        self.proxy_goes_down().await;
    }

    /// The same of the proxy alone.
    pub async fn proxy_goes_down(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let service = self.service.take().unwrap();
        tokio::time::timeout(Duration::from_secs(20), service).await.unwrap().unwrap();
    }

    /// Another process with the same configuration and the same files.
    pub fn proxy_comes_up(&mut self) {
        let Started { stop, service, look_again, reloads, grpc } = self.again.start(&self.clock);
        (self.stop, self.service) = (Some(stop), Some(service));
        (self.look_again, self.reloads, self.grpc) = (look_again, reloads, grpc);
    }

    /// One process ends in order, and the next begins.
    pub async fn restart(&mut self) {
        self.proxy_goes_down().await;
        self.proxy_comes_up();
    }
}

/// How sessions are kept: in memory, unless a test says otherwise or `ANTEPORT_TEST_STORE` does,
/// by which the same tests are tried with every store: `cookie`, or `redis` at 127.0.0.1 with its
/// port.
fn stored(sessions: &str) -> String {
    static WORLDS: AtomicU32 = AtomicU32::new(0);
    let store = std::env::var("ANTEPORT_TEST_STORE").unwrap_or_default();
    if store.is_empty() || sessions.contains("store:") {
        return sessions.to_owned();
    }
    let keys = "keys: [ { value: \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\" } ]";
    let more = match store.split_once(':') {
        None => format!("store: {store}, {keys}"),
        Some((store, port)) => {
            let number = WORLDS.fetch_add(1, Ordering::Relaxed);
            let prefix = format!("{}-{number}:", std::process::id());
            let redis = format!(
                "redis: {{ servers: [ \"127.0.0.1:{port}\" ], prefix: \"{prefix}\", timeout: 5s }}"
            );
            format!("store: {store}, {keys}, {redis}")
        }
    };
    let rest = sessions.trim().strip_prefix('{').unwrap();
    let comma = if rest.trim() == "}" { "" } else { "," };
    format!("{{ {more}{comma} {rest}")
}

/// An address that nobody has, as kit/ports.rs gives them.
pub fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free_ports(1)))
}

/// A refusal must be a page with its code and the request's id, not kept, and free of scripts.
pub fn assert_refusal(answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(text.contains(code), "no `{code}` in {text}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let id = answer.header("x-request-id").unwrap();
    assert!(text.contains(id), "no request id in {text}");
    assert!(!text.contains("<script"));
}
