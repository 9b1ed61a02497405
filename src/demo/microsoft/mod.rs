//! An emulated Microsoft, as far as a web application that signs people in sees it: tenants of
//! Entra ID, of Azure AD B2C with its user flows and of External ID, each with metadata, keys,
//! authorization, token and sign-out endpoint, and an app registration that all of them know. It
//! answers as Microsoft does where that breaks applications: the order of checks, error codes, long
//! codes, back-dated tokens, keys without `alg`.
//!
//! Deliberately not here: UserInfo, the device flow, and what user flows do besides signing in.

mod accounts;
mod applications;
mod asked;
mod authorize;
mod client;
mod control;
mod counts;
mod directory;
mod errors;
mod faults;
pub mod graph;
mod id_token;
mod journeys;
mod keys;
mod log;
mod logout;
mod managed_identity;
mod metadata;
mod operator;
mod pages;
mod personas;
mod state;
mod steering;
mod step_up;
pub mod tenants;
mod token;
mod trouble;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{HeaderMap, ORIGIN};
use http::{Method, Request, Uri};
use hyper::body::Incoming;
use tokio::net::TcpListener;

pub use accounts::{ACCOUNTS, Account, OTHERS, PASSWORD};
pub use client::{FederatedCredential, Identity, Proofs};
pub use control::{ControlError, NEXT, SET, Word};
pub use counts::Counts;
pub use directory::Directory;
pub use faults::{AuthorizeError, B2c, Fault, Switches, TokenAnswer, Trouble};
pub use log::Entry;
pub use managed_identity::IDENTITY_HEADER;
pub use personas::Persona;

use super::answer::Answer;
use super::certificates::LoopbackTls;
use super::parameters::Parameters;
use super::story::Story;
use super::{CLIENT_ID, Ports, TENANT_ID, listener};
use crate::clock::Clock;
use crate::gate::{Secret, Timestamp};
use errors::AadError;
use keys::Rings;
use state::State;
use tenants::Place;

/// What the app registration says.
#[derive(Debug)]
pub struct Options {
    /// The client secrets.
    pub secrets: Vec<ClientSecret>,
    /// What it has besides secrets to prove itself with.
    pub proofs: Proofs,
    /// The registered redirect URIs. As at Microsoft, a sign-out returns to these alone, too.
    pub redirect_uris: Vec<String>,
    /// The front-channel logout addresses of the applications, which a sign-out tells in frames.
    pub front_channel_logout: Vec<String>,
    /// Whether B2C wants the ID token back at a sign-out.
    pub requires_id_token_hint: bool,
    /// Where to tell what happens.
    pub story: Option<Arc<Story>>,
    /// How the user flows of B2C are set up.
    pub b2c: B2c,
    /// The client ids that it has; each stands for the same registration.
    pub client_ids: Vec<String>,
    /// The tenants and accounts.
    pub directory: Directory,
}

impl Default for Options {
    /// Nothing is registered but the demo's client id.
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            redirect_uris: Vec::new(),
            front_channel_logout: Vec::new(),
            requires_id_token_hint: false,
            story: None,
            b2c: B2c::default(),
            proofs: Proofs::default(),
            client_ids: vec![CLIENT_ID.to_owned()],
            directory: Directory::default(),
        }
    }
}

/// A client secret of the app registration.
#[derive(Debug)]
pub struct ClientSecret {
    /// The secret.
    pub value: Secret<String>,
    /// From then on it is refused with AADSTS7000222.
    pub expires: Option<Timestamp>,
}

impl Options {
    /// The app registration that [`super::configuration`] fits.
    #[must_use]
    pub fn demo(ports: &Ports, client_secret: Secret<String>, story: Arc<Story>) -> Self {
        Self {
            secrets: vec![ClientSecret { value: client_secret, expires: None }],
            proofs: Proofs::default(),
            redirect_uris: vec![
                ports.redirect_uri(),
                format!("{}/.auth/logout/done", ports.public_url()),
            ],
            story: Some(story),
            ..Self::default()
        }
    }
}

/// The emulated Microsoft.
#[derive(Debug)]
pub struct Microsoft {
    base: String,
    clock: Clock,
    options: Options,
    keys: Rings,
    counts: counts::Counters,
    graph: graph::Graph,
    state: Mutex<State>,
}

impl Microsoft {
    /// Makes one that believes to be reached at `base_url`: scheme, host and port.
    #[must_use]
    pub fn new(base_url: impl Into<String>, clock: Clock, options: Options) -> Arc<Self> {
        let base: String = base_url.into();
        let state = State::new(Switches::new(options.b2c));
        Arc::new(Self {
            base: base.trim_end_matches('/').to_owned(),
            clock,
            options,
            keys: Rings::default(),
            counts: counts::Counters::default(),
            graph: graph::Graph::default(),
            state: Mutex::new(state),
        })
    }

    /// Its login host: scheme, host and port.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// `iss` of its ID tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/{TENANT_ID}/v2.0", self.base)
    }

    /// Whom it knows.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.options.directory
    }

    /// Any claims, signed as the ID tokens of a product are: for what it does not send of its own
    /// accord, such as logout tokens.
    pub async fn signed(&self, product: tenants::Product, claims: &serde_json::Value) -> String {
        self.keys.of(product).signing().await.sign(claims)
    }

    /// Makes the keys of a product, which takes a moment: nobody waits for them from then on.
    pub async fn prepare(&self, product: tenants::Product) {
        self.keys.of(product).prepare().await;
    }

    /// How often each endpoint was asked.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.read()
    }

    /// The latest requests, oldest first, with their secrets masked.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.state().log.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let ahead = self.state().switches.clock_ahead;
        let millis = self.clock.now().unix_millis();
        Timestamp::from_unix_millis(millis.saturating_add(ahead))
    }

    fn knows_client(&self, client_id: &str) -> bool {
        self.options.client_ids.iter().any(|known| known.eq_ignore_ascii_case(client_id))
    }

    fn story(&self) -> Option<&Story> {
        self.options.story.as_deref()
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let form = match head.method {
            Method::POST => Parameters::of_body(body).await.unwrap_or_default(),
            _ => Parameters::default(),
        };
        let call = Call {
            method: head.method,
            query: Parameters::parse(head.uri.query().unwrap_or_default().as_bytes()),
            query_length: head.uri.query().map_or(0, str::len),
            uri: head.uri,
            form,
            headers: head.headers,
        };
        if path == control::PATH || path.starts_with(control::BELOW) {
            return control::answer(&self, &path, &call);
        }
        let answer = self.answer(&path, &call).await;
        // Its clock need not be this machine's.
        let date = crate::server::http_date(self.now().unix_seconds());
        let answer = super::answer::with(answer, http::header::DATE, &date);
        if path.starts_with("/assets/") || path == "/" {
            return answer;
        }
        let entry = Entry::new(self.now(), &call, &path, answer.status());
        self.state().note(entry);
        answer
    }

    async fn answer(&self, path: &str, call: &Call) -> Answer {
        if self.switches().outage {
            return pages::outage();
        }
        match path {
            "/" => return pages::home(self),
            "/assets/emulator.css" => return pages::style(),
            "/common/discovery/instance" => return metadata::instance(self, call),
            managed_identity::IMDS | managed_identity::APP_SERVICE => {
                return managed_identity::token(self, path, call).await;
            }
            _ => {}
        }
        if path.starts_with(applications::PATH) {
            return applications::registration(self, path, call);
        }
        if let Some(below) = path.strip_prefix(graph::PATH) {
            return graph::answer(self, below, call).await;
        }
        let found = Place::find(&self.options.directory, path, &call.query);
        let Some((place, endpoint)) = found else {
            if tenants::is_of_b2c(&self.options.directory, path) {
                // Its user flow is not there.
                return pages::no_policy();
            }
            let Some((tenant, endpoint)) = path.trim_start_matches('/').split_once('/') else {
                return pages::not_found();
            };
            let error = AadError::unknown_tenant(tenant);
            let is_page = ["oauth2/v2.0/authorize", "login", "oauth2/v2.0/logout"];
            return match is_page.iter().any(|page| endpoint.ends_with(page)) {
                true => pages::error(self, &error),
                false => error.json(self),
            };
        };
        match endpoint {
            "v2.0/.well-known/openid-configuration" => metadata::discovery(self, place, call).await,
            ".well-known/openid-configuration" => metadata::discovery_of_v1(self, place).await,
            "discovery/v2.0/keys" => metadata::keys(self, place, call).await,
            "oauth2/v2.0/authorize" => authorize::begin(self, place, call).await,
            "login" => authorize::submit(self, place, call).await,
            "oauth2/v2.0/token" => token::redeem(self, place, call).await,
            "oauth2/v2.0/logout" => logout::end(self, place, call),
            _ => pages::not_found(),
        }
    }
}

/// A request, read to its end.
struct Call {
    method: Method,
    query: Parameters,
    query_length: usize,
    uri: Uri,
    form: Parameters,
    headers: HeaderMap,
}

impl Call {
    /// The parameters of an endpoint that takes both GET and POST.
    fn parameters(&self) -> &Parameters {
        match self.method {
            Method::POST => &self.form,
            _ => &self.query,
        }
    }

    fn has_origin(&self) -> bool {
        self.headers.contains_key(ORIGIN)
    }
}

/// Answers on `listener` until `shutdown` completes.
///
/// # Errors
/// A listener that is not on loopback (CFG-05).
pub async fn serve(
    listener: TcpListener,
    microsoft: Arc<Microsoft>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_over(None, listener, microsoft, shutdown).await
}

/// The same over TLS, if there is any.
///
/// # Errors
/// A listener that is not on loopback (CFG-05).
pub async fn serve_over(
    tls: Option<&LoopbackTls>,
    listener: TcpListener,
    microsoft: Arc<Microsoft>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    // Keys take a moment to make; the first visitor should not be the one who waits.
    let early = Arc::clone(&microsoft);
    tokio::spawn(async move { early.keys.prepare().await });
    let handler = move |request| Arc::clone(&microsoft).handle(request);
    let tls = tls.map(|tls| Arc::clone(&tls.server));
    listener::serve(listener, tls, handler, shutdown).await
}
