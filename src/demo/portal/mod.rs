//! A small members portal of the kind that Anteport is put before: it has a password form of its
//! own, and it learned to believe `X-Anteport-Assertion` in one file (`assertion.rs`), as a
//! portal's developer would do it. It never looks at a plain identity header.
//!
//! Besides its pages it has what tests need: `/whoami.json` says what arrived, `/download`,
//! `/upload`, `/slow` and `/stream` move bodies, `/set-cookie` tries to plant a cookie.

mod assertion;
mod door;
mod forge;
mod pages;
mod transfer;
mod whoami;

use std::io;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use url::Url;

use super::answer::{self, Answer};
use super::parameters::Parameters;
use super::story::{Narrator, Story};
use super::{Ports, listener};
use crate::clock::Clock;
use assertion::{Verification, Verifier};
use door::Door;

/// What the portal was told when it was set up.
#[derive(Debug)]
pub struct Options {
    /// `iss` of the assertion: the proxy's public URL, without a slash at its end.
    pub issuer: String,
    /// `aud` of the assertion.
    pub audience: String,
    /// Where the keys of the assertion are published.
    pub jwks_url: Url,
    /// The portal's public URL, which is the proxy's; what `/demo/forge` attacks.
    pub public_url: Url,
    /// The portal's own URL, for a link past the proxy.
    pub own_url: String,
    /// Where to tell what happens, and what `/demo` shows.
    pub story: Arc<Story>,
}

impl Options {
    /// What [`super::configuration`] makes the proxy send.
    #[must_use]
    pub fn demo(ports: &Ports, story: Arc<Story>) -> Self {
        let public_url =
            Url::parse(&ports.public_url()).expect("a loopback address with a port is a URL");
        let mut jwks_url = public_url.clone();
        jwks_url.set_path("/.auth/jwks.json");
        Self {
            issuer: ports.public_url(),
            audience: ports.public_url(),
            jwks_url,
            public_url,
            own_url: ports.portal_url(),
            story,
        }
    }
}

/// The portal.
#[derive(Debug)]
pub struct Portal {
    verifier: Verifier,
    door: Door,
    public_url: Url,
    own_url: String,
    story: Arc<Story>,
}

impl Portal {
    /// Sets one up.
    #[must_use]
    pub fn new(clock: Clock, options: Options) -> Arc<Self> {
        let story = options.story;
        Arc::new(Self {
            verifier: Verifier::new(
                options.issuer,
                options.audience,
                options.jwks_url,
                clock,
                Arc::clone(&story),
            ),
            door: Door::default(),
            public_url: options.public_url,
            own_url: options.own_url,
            story,
        })
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let call = Call {
            query: Parameters::parse(head.uri.query().unwrap_or_default().as_bytes()),
            verification: self.verifier.verify(&head.headers).await,
            method: head.method,
            uri: head.uri,
            headers: head.headers,
        };
        self.tell(&call);
        let is_read = matches!(call.method, Method::GET | Method::HEAD);
        match call.uri.path() {
            "/whoami.json" | "/public/whoami.json" => whoami::answer(&call),
            "/upload" if call.method == Method::POST => transfer::upload(body).await,
            "/login" if call.method == Method::POST => {
                let form = Parameters::of_body(body).await.unwrap_or_default();
                door::knock(&self, &call, &form)
            }
            path if is_read => self.page(path, &call).await,
            _ => answer::with(
                pages::message(&self, &call, StatusCode::METHOD_NOT_ALLOWED),
                http::header::ALLOW,
                "GET, HEAD",
            ),
        }
    }

    async fn page(&self, path: &str, call: &Call) -> Answer {
        match path {
            "/" => pages::home(self, call),
            "/reports" => pages::reports(self, call),
            "/login" => pages::login(self, call, false),
            "/logout" => door::leave(self, call),
            "/demo" => pages::demo(self, call),
            "/demo/forge" => forge::attack(self, call).await,
            "/assets/portal.css" => pages::style(),
            "/download" => transfer::download(&call.query),
            "/slow" => transfer::slow(&call.query).await,
            "/stream" => transfer::stream(&call.query),
            "/set-cookie" => door::plant_cookies(),
            _ => pages::message(self, call, StatusCode::NOT_FOUND),
        }
    }

    fn tell(&self, call: &Call) {
        let path = call.uri.path();
        if path.starts_with("/assets/") || path.starts_with("/demo") || path == "/favicon.ico" {
            return;
        }
        let outcome = match &call.verification.outcome {
            Ok(_) => "verified".to_owned(),
            Err(refused) => refused.to_string(),
        };
        let mut details = vec![
            ("request".to_owned(), format!("{} {path}", call.method)),
            ("assertion".to_owned(), outcome),
        ];
        let claims = call.headers.iter().filter_map(|(name, value)| {
            let is_identity = name.as_str().starts_with("x-auth-");
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            is_identity.then(|| (name.to_string(), value))
        });
        details.extend(claims);
        let title = "A request reached the portal";
        self.story.tell(Narrator::Portal, title, details);
    }
}

/// A request without its body.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    query: Parameters,
    verification: Verification,
}

/// Answers on `listener` until `shutdown` completes.
///
/// # Errors
/// A listener that is not on loopback (CFG-05).
pub async fn serve(
    listener: TcpListener,
    portal: Arc<Portal>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let handler = move |request| Arc::clone(&portal).handle(request);
    listener::serve(listener, None, handler, shutdown).await
}
