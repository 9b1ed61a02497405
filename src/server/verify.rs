//! Forward-auth: another server has the visitors' connections, and asks here about each request
//! whether it may pass: nginx's `auth_request`, Traefik's `ForwardAuth`, Caddy's `forward_auth`,
//! Envoy's `ext_authz` over HTTP, and over gRPC (`grpc`). The request is described to us, and judged as if it had come; what
//! lets it pass is 200 and nothing else, with the headers for the portal in the answer.
//!
//! *What we cannot take out of a request, we refuse it for*: a header that would not reach the portal
//! through us, in any spelling, unless servers in front add it by themselves; another gate's cookie,
//! credentials of the portal's own, an upgrade that the route does not let pass. What is promised in this
//! way and what is not: `docs/forward-auth.md` (VER-01, VER-02).

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use rustls::sign::CertifiedKey;

use super::account::{Account, Body};
use super::described::{PATH, Undescribed, by_path, forwarded, original};
use super::peer::Peer;
use super::request::{Head, Visit};
use super::respond::{self, Asker};
use crate::config::{Description, Verify};
use crate::gate::identity::{self, LocalCredentials};
use crate::gate::{Decision, Endpoint, Mode, Permit, Policy, Refusal};
use crate::identity::Outbound;
use crate::telemetry::Verdict;
use crate::telemetry::seldom::Seldom;

/// How the other server hears what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// By 200, 401 or 403. It sends those whom it may not let pass here, and they are answered.
    Status,
    /// By what its visitor is to get, unless it is 200.
    Whole,
    /// The same; and it keeps a header that the answer does not have, unless that is named there.
    Envoys,
    /// The same in a message, which `grpc` makes of the answer.
    Message,
}

/// What a request passes with, for whoever is told in a message. There is none but of a permit, and
/// without it nothing is told that lets a request pass.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    /// In place of the visitor's.
    pub(super) set: Vec<(HeaderName, HeaderValue)>,
    /// The portal gets none of these.
    pub(super) remove: Vec<HeaderName>,
}

/// What is known of the body of a request that another server asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing: it stays with the other server.
    Nothing,
    /// There is none.
    Absent,
    /// It begins so, and goes on elsewhere.
    Part,
    /// All of it came along.
    Whole,
}

/// By which Envoy is told what the portal is not to get.
static TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Who may ask, and how.
#[derive(Debug)]
pub(super) struct Verifying {
    verify: Verify,
    complains: Seldom,
}

/// A request that another server has described, in place of its question.
#[derive(Debug)]
pub(super) struct Described<'a> {
    verifying: &'a Verifying,
    answers: Answers,
    /// Path and query, as they were said.
    target: String,
    body: Shown,
}

impl Verifying {
    pub(super) fn new(verify: Verify) -> Self {
        Self { verify, complains: Seldom::new(Instant::now()) }
    }

    /// What the listener for questions over gRPC shows.
    pub(super) fn grpc_tls(&self) -> Option<&Arc<CertifiedKey>> {
        self.verify.grpc.as_ref()?.tls.as_ref()
    }

    /// Whether a request asks about another one. Where headers describe it, there is one address
    /// alone to ask at, which a server in front can keep its visitors from.
    pub(super) fn is_asked(&self, head: &Head) -> bool {
        let Some(description) = self.verify.description else {
            return false;
        };
        let rest = head.target.path().and_then(|path| path.strip_prefix(PATH));
        rest.is_some_and(|rest| {
            rest.is_empty() || (description == Description::Path && rest.starts_with('/'))
        })
    }

    /// Whether somebody is listed (VER-01): who it is, and not whom it speaks for.
    pub(super) fn believes(&self, peer: &Peer) -> bool {
        self.verify.peers.contain(peer.address())
    }

    /// A request that was described in a message, and has been put together from it.
    pub(super) const fn told(&self, target: String, body: Shown) -> Described<'_> {
        Described { verifying: self, answers: Answers::Message, target, body }
    }

    /// Puts the request that is described in place of the one that describes it.
    pub(super) fn read<'a>(
        &'a self,
        peer: &Peer,
        head: &mut Head,
    ) -> Result<Described<'a>, Undescribed> {
        if !self.believes(peer) {
            return Err(Undescribed::Peer);
        }
        // What we would not see, the server in front may hand on.
        if identity::hides_by_connection(&head.headers) {
            return Err(Undescribed::Header);
        }
        let (answers, target) = match self.verify.description {
            Some(Description::Forwarded) => (Answers::Whole, forwarded(head)?),
            Some(Description::Original) => (Answers::Status, original(head)?),
            Some(Description::Path) => (Answers::Envoys, by_path(head)?),
            None => return Err(Undescribed::Description),
        };
        Ok(Described { verifying: self, answers, target, body: Shown::Nothing })
    }

    /// Refuses, and tells the operator now and then: everybody can cause it who can connect.
    pub(super) fn refuse(
        &self,
        error: Undescribed,
        asker: &Asker,
        account: Account,
    ) -> Response<Body> {
        if let Some(left_out) = self.complains.is_due(Instant::now()) {
            tracing::warn!(
                request.id = asker.request_id(),
                code = error.code(),
                cause = %error,
                left_out,
                "a question about another request was answered with no"
            );
        }
        respond::undescribed(error, asker, account)
    }
}

impl Described<'_> {
    /// Why it may not pass, whatever the gate says.
    pub(super) fn refuse(
        &self,
        error: Undescribed,
        asker: &Asker,
        account: Account,
    ) -> Response<Body> {
        self.no(self.verifying.refuse(error, asker, account))
    }

    /// Whether there is no form in it, as far as a rule could tell. In `report_only` nothing depends
    /// on one but what is noted.
    pub(super) fn has_no_form(&self, policy: &Policy, head: &Head) -> bool {
        match self.body {
            Shown::Nothing => {
                let is_plain = matches!(head.method, Method::GET | Method::HEAD)
                    && !head.headers.contains_key(header::CONTENT_TYPE);
                is_plain || policy.mode == Mode::ReportOnly
            }
            Shown::Absent => true,
            Shown::Part => policy.mode == Mode::ReportOnly,
            Shown::Whole => false,
        }
    }

    /// Whether a rule can look at its form.
    pub(super) fn shows_form(&self) -> bool {
        self.body == Shown::Whole
    }

    /// What is no yes, as the other server hears it.
    pub(super) fn no(&self, mut response: Response<Body>) -> Response<Body> {
        let status = match (self.answers, response.status()) {
            (Answers::Whole | Answers::Envoys | Answers::Message, status)
                if !status.is_success() =>
            {
                status
            }
            // A page of ours, such as the one with a button for each provider, must not be taken for
            // one.
            (Answers::Whole | Answers::Envoys | Answers::Message, _)
            | (_, StatusCode::UNAUTHORIZED) => StatusCode::UNAUTHORIZED,
            (Answers::Status, status) if status.is_server_error() => status,
            (Answers::Status, _) => StatusCode::FORBIDDEN,
        };
        *response.status_mut() = status;
        response.body_mut().answered(status);
        response
    }
}

/// What a visitor may have sent and the portal is to get from us alone, or not at all (VER-01); and
/// what this one has sent of where the request comes from (FWD-01).
fn not_set(
    owned: &[HeaderName],
    taken: &[HeaderName],
    credentials: LocalCredentials,
    set: &[(HeaderName, HeaderValue)],
) -> Vec<HeaderName> {
    let stopped = (credentials == LocalCredentials::Stop).then_some(&header::AUTHORIZATION);
    let all = owned.iter().chain([&header::COOKIE]).chain(stopped);
    let all = all.chain(taken.iter().filter(|name| !owned.contains(name)));
    all.filter(|name| !sets(set, name)).cloned().collect()
}

/// Whether Envoy writes this by itself, or has a use for it that a portal never sees; or it is among
/// what is not set in any case.
fn is_envoys(name: &HeaderName) -> bool {
    const OWN: [&str; 11] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    ];
    OWN.contains(&name.as_str()) || name.as_str().starts_with("x-envoy-")
}

fn sets(set: &[(HeaderName, HeaderValue)], name: &HeaderName) -> bool {
    set.iter().any(|(known, _)| known == name)
}

impl Visit<'_> {
    /// Answers whether a request may pass.
    pub(super) async fn verify(
        mut self,
        decision: Decision<'_>,
        described: Described<'_>,
        has_own_cookies: bool,
    ) -> Response<Body> {
        let answers = described.answers;
        match decision {
            Decision::Forward(permit) => self.pass(permit, &described, has_own_cookies).await,
            Decision::Login(_) | Decision::Keep(_) if answers == Answers::Status => {
                // It is sent here, and answered.
                self.account.decided(Verdict::Login, None);
                respond::empty(StatusCode::UNAUTHORIZED, self.asker, self.account)
            }
            Decision::Login(challenge) => described.no(Box::pin(self.sign_in(challenge)).await),
            Decision::Keep(_) => described.no(self.refuse(Refusal::SignInRequired)),
            Decision::Own(_) | Decision::Redirect(_) if answers == Answers::Status => {
                self.account.decided(Verdict::Own, None);
                respond::empty(StatusCode::FORBIDDEN, self.asker, self.account)
            }
            Decision::Own(Endpoint::SignedIn) => described.no(self.already_signed_in()),
            Decision::Own(_) => described.refuse(Undescribed::Own, self.asker, self.account),
            Decision::Redirect(target) => self.redirected(&target),
            Decision::Inspect(_) => described.refuse(Undescribed::Form, self.asker, self.account),
            Decision::Refuse(refusal) => {
                self.audit_refusal(refusal);
                described.no(self.refuse(refusal))
            }
        }
    }

    /// It may, with these headers.
    async fn pass(
        mut self,
        permit: Permit,
        described: &Described<'_>,
        has_own_cookies: bool,
    ) -> Response<Body> {
        let credentials = LocalCredentials::of(permit.mode(), permit.passes());
        if self.would_bring(&permit, credentials) {
            return described.refuse(Undescribed::Header, self.asker, self.account);
        }
        // What was judged is not what the server in front has, and would send on.
        if permit.target() != described.target {
            let is_plain = matches!(self.head.method, Method::GET | Method::HEAD);
            return match described.answers {
                Answers::Whole | Answers::Envoys | Answers::Message if is_plain => {
                    self.redirected(permit.target())
                }
                Answers::Whole | Answers::Envoys | Answers::Message | Answers::Status => {
                    described.refuse(Undescribed::Description, self.asker, self.account)
                }
            };
        }
        if let Some(note) = permit.noted() {
            self.account.noted(&self.head.method, note);
        }
        let rendered = match self.tell(&permit) {
            Ok(rendered) => rendered,
            Err(_) if described.answers == Answers::Status => {
                // It is sent here, and told why.
                self.account.decided(Verdict::Login, None);
                return respond::empty(StatusCode::UNAUTHORIZED, self.asker, self.account);
            }
            Err(error) => return described.no(self.untold(&error, &permit).await),
        };
        let told = rendered.as_deref().map(|rendered| rendered.told(permit.passes().told));
        let nonce = self.account.request_id();
        let signature = self.portal.identity.signer().map(|signer| {
            let outbound = Outbound {
                method: &self.head.method,
                authority: &self.portal.host,
                target: permit.target(),
                envelope: told,
                body: None,
                nonce: &nonce,
            };
            signer.sign(&outbound, self.proxy.clock.now())
        });
        let signature = match signature.transpose() {
            Ok(signature) => signature.unwrap_or_default(),
            Err(error) => return respond::identity(&error, self.asker, self.account),
        };
        // What is left of the cookies without ours (COOK-01), for who can send them instead.
        let sent: Vec<HeaderName> = match described.answers {
            Answers::Message | Answers::Envoys => self.head.headers.keys().cloned().collect(),
            Answers::Whole | Answers::Status => Vec::new(),
        };
        self.portal.owned.cleanse(&mut self.head.headers, has_own_cookies, credentials);
        let is_gone = |name: &HeaderName| !self.head.headers.contains_key(name) && !is_envoys(name);
        let taken: Vec<HeaderName> = sent.into_iter().filter(is_gone).collect();
        let cookies = self.head.headers.remove(header::COOKIE);
        let shown = match (&self.shown, &self.signed_in) {
            (Some(shown), Some(member)) => self.proxy.shown_anew(shown, member, self.now),
            _ => Vec::new(),
        };
        let told = told.iter().flat_map(|told| &told.headers).chain(&signature).cloned();
        let set: Vec<_> = told.chain(cookies.map(|cookies| (header::COOKIE, cookies))).collect();
        // A message has no other texts, and one that cannot be read may be a yes elsewhere.
        let is_text = set.iter().all(|(_, value)| std::str::from_utf8(value.as_bytes()).is_ok());
        if described.answers == Answers::Message && !is_text {
            return described.refuse(Undescribed::Header, self.asker, self.account);
        }
        self.account.decided(Verdict::Forward, None);
        let mut response = respond::empty(StatusCode::OK, self.asker, self.account);
        let remove = || not_set(&self.portal.tells, &taken, credentials, &set);
        match described.answers {
            Answers::Message => {
                let remove = remove();
                response.extensions_mut().insert(Passing { set, remove });
            }
            Answers::Envoys => {
                for name in remove() {
                    response.headers_mut().append(TO_REMOVE.clone(), name.into());
                }
                response.headers_mut().extend(set);
            }
            Answers::Whole | Answers::Status => response.headers_mut().extend(set),
        }
        let headers = response.headers_mut();
        for cookie in shown {
            headers.append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// To the spelling that was judged. With the portal's name: a server in front may take what is
    /// relative for an address of ours.
    fn redirected(self, target: &str) -> Response<Body> {
        let target = format!("{}{target}", self.portal.public_url);
        respond::canonical(&target, self.asker, self.account)
    }

    /// Whether there is something in the request that would be taken out of it here: what the portal
    /// could take for our word, for another target or for a sign-in of its own, and an upgrade to
    /// what nobody would look at any more (HTTP-08).
    fn would_bring(&self, permit: &Permit, credentials: LocalCredentials) -> bool {
        let headers = &self.head.headers;
        let is_forbidden = headers.keys().any(|name| self.portal.owned.forbids(name.as_str()));
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let signs_in = sent.any(|sent| {
            credentials == LocalCredentials::Stop || identity::sign_a_connection_in(sent)
        });
        let mut upgrades = headers.get_all(header::UPGRADE).iter();
        let asks = headers.contains_key(header::UPGRADE)
            || headers.contains_key(header::SEC_WEBSOCKET_KEY);
        let is_websocket =
            upgrades.all(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let upgrades = asks && !(permit.passes().websocket && is_websocket);
        is_forbidden || signs_in || upgrades || self.has_gate_cookies()
    }

    /// Whether another gate's cookie says who is asking (HDR-05).
    fn has_gate_cookies(&self) -> bool {
        if self.portal.gate_cookies.is_empty() {
            return false;
        }
        let all = self.head.headers.get_all(header::COOKIE);
        let mut cookies = HeaderMap::new();
        for cookie in all {
            cookies.append(header::COOKIE, cookie.clone());
        }
        let before = cookies.clone();
        self.portal.gate_cookies.take_out(&mut cookies, |_, _| false);
        cookies != before
    }
}
