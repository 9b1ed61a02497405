//! "Harbor Club", the members portal of the demo: old, with a password form of its own, and behind
//! the proxy. It stands for the portal that nobody can change, except that its developer did the
//! one thing that we advise: it verifies the signed assertion ([`assertion`]) and believes no plain
//! header.
//!
//! Its own port stands open on loopback, so that a visitor can see that the password door is real
//! and that only the proxy keeps it shut. Deliberately not here: anything that the proxy does.

mod assertion;
mod door;
mod forge;
mod pages;
mod streams;
mod whoami;

use std::io;
use std::sync::Arc;

use http::header::{ALLOW, SET_COOKIE};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use self::assertion::{Reason, Verified, Verifier};
use self::door::Door;
use self::pages::Signed;
use super::answer::{self, Answer};
use super::listener;
use super::parameters::Parameters;
use super::story::{Narrator, Story};
use crate::clock::Clock;

/// What a portal is made of.
#[derive(Debug)]
pub struct Options {
    /// The proxy's public URL, without a trailing slash: the issuer and audience of assertions.
    pub public_url: String,
    /// The portal's own URL, past the proxy.
    pub portal_url: String,
    /// Where the time comes from.
    pub clock: Clock,
    /// What both partners tell.
    pub story: Arc<Story>,
}

/// The portal. Its answers depend on the assertion and on its own cookie, and on nothing else.
#[derive(Debug)]
pub struct Portal {
    public_url: String,
    portal_url: String,
    story: Arc<Story>,
    verifier: Verifier,
    door: Door,
}

/// Answers requests until `shutdown` completes.
///
/// # Errors
/// A listener that is not on loopback (CFG-05).
pub async fn serve(
    listener: TcpListener,
    portal: Arc<Portal>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let handler = move |request| {
        let portal = Arc::clone(&portal);
        async move { portal.answer(request).await }
    };
    listener::serve(listener, handler, shutdown).await
}

/// A request of which everything but the body was judged.
struct Seen {
    parts: Parts,
    assertion: Result<Verified, Reason>,
    signed: Signed,
}

impl Portal {
    /// A portal that nobody has signed in to yet.
    #[must_use]
    pub fn new(options: Options) -> Arc<Self> {
        Arc::new(Self {
            verifier: Verifier::new(options.public_url.clone(), options.clock),
            public_url: options.public_url,
            portal_url: options.portal_url,
            story: options.story,
            door: Door::default(),
        })
    }

    /// Every request takes these steps.
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let assertion = self.verifier.verify(&parts.headers).await;
        let signed = match &assertion {
            Ok(verified) => Signed::Member(verified.display_name().to_owned()),
            Err(_) => match self.door.member(&parts.headers) {
                Some(name) => Signed::Password(name),
                None => Signed::Nobody,
            },
        };
        let seen = Seen { parts, assertion, signed };
        self.route(seen, body).await
    }

    async fn route(&self, seen: Seen, body: Incoming) -> Answer {
        let path = seen.parts.uri.path().to_owned();
        match path.as_str() {
            "/whoami.json" | "/public/whoami.json" => {
                streams::drain(body).await;
                answer::json(StatusCode::OK, &whoami::describe(&seen))
            }
            "/demo/forge" => {
                streams::drain(body).await;
                pages::forged(&seen, &forge::attack(&self.public_url).await)
            }
            "/login" if seen.parts.method == Method::POST => self.log_in(&seen, body).await,
            "/upload" if seen.parts.method == Method::POST => streams::upload(body).await,
            "/upload" => not_allowed("POST"),
            _ if !is_read(&seen.parts.method) => not_allowed("GET, HEAD"),
            "/assets/portal.css" => answer::style(include_str!("../templates/portal/portal.css")),
            "/login" => pages::login(&seen, None),
            "/logout-local" => self.log_out(&seen),
            "/download" => {
                let query = Parameters::parse(query(&seen));
                let length = query.number("bytes", streams::LONGEST_DOWNLOAD);
                streams::download(length.unwrap_or(0))
            }
            "/stream" => streams::slow(),
            "/set-cookie" => set_cookies(),
            "/" => self.page(&seen, pages::front),
            "/reports" => {
                self.page(&seen, |seen| pages::reports(seen, &Parameters::parse(query(seen))))
            }
            "/demo" => self.page(&seen, |seen| {
                pages::demo(seen, &self.story.latest_sign_in(), &self.portal_url)
            }),
            _ => pages::missing(&seen),
        }
    }

    /// A page, and its step in the story. The page is made first: it shows its own request itself.
    fn page(&self, seen: &Seen, make: impl FnOnce(&Seen) -> Answer) -> Answer {
        let page = make(seen);
        if let Ok(verified) = &seen.assertion {
            let target: String = seen.parts.uri.to_string().chars().take(200).collect();
            let details = [
                ("request", format!("{} {target}", seen.parts.method)),
                ("assertion", format!("verified, {}", verified.algorithm())),
                ("member", verified.display_name().to_owned()),
            ];
            let details = details.map(|(name, value)| (name.to_owned(), value));
            let title = "The portal got a request, and verified who asks";
            self.story.tell(Narrator::Portal, title, details.to_vec());
        }
        page
    }

    async fn log_in(&self, seen: &Seen, body: Incoming) -> Answer {
        let form = Parameters::of_body(body).await.unwrap_or_default();
        let name = form.get("username").unwrap_or_default();
        let password = form.get("password").unwrap_or_default();
        match self.door.open(name, password) {
            Some(cookie) => answer::and(see_other("/"), SET_COOKIE, &cookie),
            None => pages::login(seen, Some(name)),
        }
    }

    fn log_out(&self, seen: &Seen) -> Answer {
        self.door.close(&seen.parts.headers);
        answer::and(see_other("/"), SET_COOKIE, door::NO_COOKIE)
    }
}

fn query(seen: &Seen) -> &[u8] {
    seen.parts.uri.query().unwrap_or_default().as_bytes()
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn see_other(location: &str) -> Answer {
    let mut answer = answer::redirect(location);
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer
}

fn not_allowed(methods: &str) -> Answer {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let answer = answer::bytes(status, "text/plain", "This method is not for this address.\n");
    answer::with(answer, ALLOW, methods)
}

/// A cookie of the portal's own, and one that is not its to set.
fn set_cookies() -> Answer {
    let text = "Sent: harbor_theme, and a try to replace __Host-anteport.\n";
    let answer = answer::bytes(StatusCode::OK, "text/plain", text);
    let answer = answer::and(answer, SET_COOKIE, "harbor_theme=navy; Path=/; SameSite=Lax");
    let theirs = "__Host-anteport=set-by-the-portal; Path=/; Secure; HttpOnly";
    answer::and(answer, SET_COOKIE, theirs)
}
