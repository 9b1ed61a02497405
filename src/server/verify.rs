//! Forward-auth: another server has the visitors' connections, and asks here about each request
//! whether it may pass: nginx's `auth_request`, Traefik's `ForwardAuth`, Caddy's `forward_auth`,
//! Envoy's `ext_authz` over HTTP. The request is described to us, and judged as if it had come; what
//! lets it pass is 200 and nothing else, with the headers for the portal in the answer.
//!
//! *What we cannot take out of a request, we refuse it for*: an identity header of the visitor's, in
//! any spelling, a header that names another address or method, another gate's cookie, credentials of
//! the portal's own. What is promised in this
//! way and what is not: `docs/forward-auth.md` (VER-01, VER-02).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::account::Body;
use super::peer::Peer;
use super::request::{Head, Visit, envelope};
use super::respond;
use crate::config::{Description, Verify};
use crate::gate::identity::{self, LocalCredentials};
use crate::gate::{Bearer, Decision, Permit, RawTarget, Refusal};
use crate::identity::Outbound;
use crate::telemetry::Verdict;

/// Where the other server asks, whatever host it names.
const PATH: &str = "/.auth/verify";

/// How the other server hears what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// By 200, 401 or 403. It sends those whom it may not let pass here, and they are answered.
    Status,
    /// By what its visitor is to get, unless it is 200.
    Whole,
}

/// Why a request that another server asks about was not judged, or may not pass whatever the gate
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undescribed {
    /// It is not listed.
    #[error("who asks is not among `verify.peers`")]
    Peer,
    /// Something is missing, doubled, or no such thing.
    #[error("the description is not there once and whole: see `verify.description`")]
    Description,
    /// A visitor must not send it, and it cannot be taken out here.
    #[error(
        "the request has an identity header, one that names another address, a cookie of another \
         gate's or credentials that it would bring to the portal: have the server in front take \
         them out"
    )]
    Header,
    /// A rule looks at a body that was not sent along.
    #[error("a rule looks at the form, which forward-auth does not see")]
    Form,
    /// It is for us.
    #[error("this is an address of Anteport's own: have the server in front send it here")]
    Own,
}

impl Undescribed {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Peer => "verify-peer",
            Self::Description => "verify-description",
            Self::Header => "verify-header",
            Self::Form => "verify-form",
            Self::Own => "verify-own",
        }
    }
}

static X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
static X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// By which Envoy is told what the portal is not to get.
static TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Whether a request asks about another one.
pub(super) fn is_asked(head: &Head) -> bool {
    let rest = head.target.path().and_then(|path| path.strip_prefix(PATH));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Puts the request that is described in place of the one that describes it.
pub(super) fn read(verify: &Verify, peer: &Peer, head: &mut Head) -> Result<Answers, Undescribed> {
    // Who it is, and not whom it speaks for.
    if !verify.peers.contain(peer.address()) {
        return Err(Undescribed::Peer);
    }
    match verify.description {
        Description::Forwarded => {
            let host = host(take(&mut head.headers, &X_FORWARDED_HOST)?)?;
            let uri = take(&mut head.headers, &X_FORWARDED_URI)?;
            let scheme = take(&mut head.headers, &X_FORWARDED_PROTO)?;
            let method = take(&mut head.headers, &X_FORWARDED_METHOD)?;
            if !uri.as_bytes().starts_with(b"/") || !is_scheme(scheme.as_bytes()) {
                return Err(Undescribed::Description);
            }
            let url = [scheme.as_bytes(), b"://", host.as_bytes(), uri.as_bytes()].concat();
            head.method = named(&method)?;
            head.target = RawTarget::Line(Bytes::from(url));
            head.headers.insert(header::HOST, host);
            Ok(Answers::Whole)
        }
        Description::Original => {
            let url = take(&mut head.headers, &X_ORIGINAL_URL)?;
            let method = take(&mut head.headers, &X_ORIGINAL_METHOD)?;
            let bytes = url.as_bytes();
            let after = |scheme: &[u8]| bytes.strip_prefix(scheme);
            let rest = after(b"https://").or_else(|| after(b"http://"));
            let rest = rest.ok_or(Undescribed::Description)?;
            let at = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
            let authority = rest.get(..at.unwrap_or(rest.len())).unwrap_or_default();
            let authority = HeaderValue::from_bytes(authority);
            head.method = named(&method)?;
            head.target = RawTarget::Line(Bytes::copy_from_slice(bytes));
            let host = host(authority.map_err(|_| Undescribed::Description)?)?;
            head.headers.insert(header::HOST, host);
            Ok(Answers::Status)
        }
        Description::Path => {
            let path = head.target.path().and_then(|path| path.strip_prefix(PATH));
            let path = path.filter(|path| path.starts_with('/'));
            let mut target = path.ok_or(Undescribed::Description)?.to_owned();
            if let Some(query) = head.target.query() {
                target.push('?');
                target.push_str(query);
            }
            if let RawTarget::Pseudo(uri) = &head.target
                && let Some(authority) = uri.authority()
            {
                let authority = HeaderValue::from_str(authority.as_str());
                let authority = authority.map_err(|_| Undescribed::Description)?;
                head.headers.insert(header::HOST, authority);
            }
            head.target = RawTarget::Line(Bytes::from(target));
            Ok(Answers::Whole)
        }
    }
}

/// The one value of a header, which is no visitor's then.
fn take(headers: &mut HeaderMap, name: &HeaderName) -> Result<HeaderValue, Undescribed> {
    let is_once = headers.get_all(name).iter().nth(1).is_none();
    let value = headers.remove(name).ok_or(Undescribed::Description)?;
    is_once.then_some(value).ok_or(Undescribed::Description)
}

fn named(method: &HeaderValue) -> Result<Method, Undescribed> {
    Method::from_bytes(method.as_bytes()).map_err(|_| Undescribed::Description)
}

fn is_scheme(scheme: &[u8]) -> bool {
    matches!(scheme, b"http" | b"https")
}

/// A host that says nothing else beside.
fn host(value: HeaderValue) -> Result<HeaderValue, Undescribed> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"/?#@,\\".contains(byte);
    let fits = !value.is_empty() && value.as_bytes().iter().all(is_plain);
    fits.then_some(value).ok_or(Undescribed::Description)
}

/// What is no yes, as the other server hears it; what nobody asked for in this way is as it is.
pub(super) fn no(answers: Option<Answers>, mut response: Response<Body>) -> Response<Body> {
    let status = match (answers, response.status()) {
        (None, status) => status,
        (Some(Answers::Whole), status) if !status.is_success() => status,
        // A page of ours, such as the one with a button for each provider, must not be taken for one.
        (Some(Answers::Whole), _) | (_, StatusCode::UNAUTHORIZED) => StatusCode::UNAUTHORIZED,
        (Some(Answers::Status), status) if status.is_server_error() => status,
        (Some(Answers::Status), _) => StatusCode::FORBIDDEN,
    };
    *response.status_mut() = status;
    response
}

impl Visit<'_> {
    /// Answers whether a request may pass.
    pub(super) async fn verify(
        mut self,
        decision: Decision<'_>,
        answers: Answers,
        has_own_cookies: bool,
    ) -> Response<Body> {
        let may_not = |response| no(Some(answers), response);
        match decision {
            Decision::Forward(permit) => self.pass(permit, has_own_cookies),
            Decision::Login(_) | Decision::Keep(_) if answers == Answers::Status => {
                self.account.decided(Verdict::Login, None);
                respond::empty(StatusCode::UNAUTHORIZED, self.asker, self.account)
            }
            Decision::Login(challenge) => may_not(Box::pin(self.sign_in(challenge)).await),
            Decision::Keep(_) => may_not(self.refuse(Refusal::SignInRequired)),
            Decision::Own(_) if answers == Answers::Status => {
                // It is sent here, and answered.
                self.account.decided(Verdict::Own, None);
                respond::empty(StatusCode::FORBIDDEN, self.asker, self.account)
            }
            Decision::Own(_) => respond::undescribed(Undescribed::Own, self.asker, self.account),
            Decision::Redirect(target) => {
                may_not(respond::canonical(&target, self.asker, self.account))
            }
            Decision::Inspect(_) => {
                respond::undescribed(Undescribed::Form, self.asker, self.account)
            }
            Decision::Refuse(refusal) => {
                self.audit_refusal(refusal);
                may_not(self.refuse(refusal))
            }
        }
    }

    /// It may, with these headers.
    fn pass(mut self, permit: Permit, has_own_cookies: bool) -> Response<Body> {
        let credentials = LocalCredentials::of(self.policy.mode, permit.passes());
        if self.would_bring(credentials) {
            return respond::undescribed(Undescribed::Header, self.asker, self.account);
        }
        if let Some(note) = permit.noted() {
            self.account.noted(&self.head.method, note);
        }
        let member = match permit.bearer() {
            Bearer::Member => self.signed_in.clone(),
            Bearer::Nobody => None,
        };
        let rendered = member.as_deref().map(|member| envelope(self.portal, member, self.now));
        let rendered = match rendered.transpose() {
            Ok(rendered) => rendered,
            Err(error) => return respond::identity(&error, self.asker, self.account),
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
        self.portal.owned.cleanse(&mut self.head.headers, has_own_cookies, credentials);
        let cookies = self.head.headers.remove(header::COOKIE);
        let shown = match (&self.shown, &member) {
            (Some(shown), Some(member)) => self.proxy.shown_anew(shown, member, self.now),
            _ => Vec::new(),
        };
        self.account.decided(Verdict::Forward, None);
        let mut response = respond::empty(StatusCode::OK, self.asker, self.account);
        let headers = response.headers_mut();
        for (name, value) in told.iter().flat_map(|told| &told.headers).chain(&signature) {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(cookies) = cookies {
            headers.insert(header::COOKIE, cookies);
        } else if self
            .proxy
            .verify
            .as_ref()
            .is_some_and(|verify| verify.description == Description::Path)
        {
            // None are left; what Envoy does not get in an answer, it would leave as it was.
            headers.insert(TO_REMOVE.clone(), HeaderValue::from_static("cookie"));
        }
        for cookie in shown {
            headers.append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Whether there is something in the request that the portal could take for our word, for
    /// another request than the one that was judged, or for a sign-in of its own.
    fn would_bring(&self, credentials: LocalCredentials) -> bool {
        let headers = &self.head.headers;
        // Who is asking, in this or another gate's words (HDR-05); another address or method (PATH-14).
        let is_told = headers.keys().map(HeaderName::as_str).any(|name| {
            self.portal.told.name(name)
                || (self.portal.owned.takes(name) && !identity::says_how_it_came(name))
        });
        let signs_in =
            credentials == LocalCredentials::Stop && headers.contains_key(header::AUTHORIZATION);
        is_told || signs_in || self.has_gate_cookies()
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
