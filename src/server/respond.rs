//! Every answer that the proxy gives itself: its status, its words, its headers. Status codes are
//! chosen here alone. A refusal says a sentence, a stable code and the request's id, and nothing
//! that came with the request (GEN-07).

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::account::{Account, Body};
use super::admission::Crowded;
use super::circles;
use super::described::Undescribed;
use super::http1::Unread;
use super::inspect::InspectError;
use super::login::LoginFailure;
use super::request::Head;
use super::resend::Unsent;
use crate::catalogue::Class;
use crate::gate::{GroupsUnknown, Lack, PathError, Refusal};
use crate::http1::request::HeadError;
use crate::identity::IdentityError;
use crate::members::MembersError;
use crate::pages::{self, Link, Page, Words};
use crate::relying_party::LogoutTokenError;
use crate::sessions::StoreError;
use crate::telemetry::{Verdict, causes};
use crate::upstream::{BodyError, UpstreamError, X_REQUEST_ID};

/// Who reads the answer.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    request_id: HeaderValue,
    accept: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Page,
    Json,
    Text,
}

impl Asker {
    pub(super) fn of(head: &Head, request_id: HeaderValue) -> Self {
        Self { request_id, accept: head.headers.get(header::ACCEPT).cloned() }
    }

    /// Whose request could not be read: a line of text will do.
    pub(super) const fn unread(request_id: HeaderValue) -> Self {
        Self { request_id, accept: None }
    }

    /// A page for browsers, JSON for scripts that say so, and a line of text for the rest.
    fn reads(&self) -> Reads {
        match self.accept.as_ref().and_then(|accept| accept.to_str().ok()) {
            Some(accept) if accept.contains("text/html") => Reads::Page,
            Some(accept) if accept.contains("json") => Reads::Json,
            _ => Reads::Text,
        }
    }

    /// The request's id as text.
    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// What is said about a request that goes no further. Its words are `pages::explain`'s.
pub(super) struct Said<'a> {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    /// What to do next.
    pub(super) action: Option<Link<'a>>,
    /// More fitting words than those of the code.
    pub(super) words: Option<Words>,
    /// What often causes it.
    pub(super) hints: &'a [&'a str],
    /// The provider's code for what happened.
    pub(super) provider_code: Option<&'a str>,
    /// The provider's name for what happened, as its support asks for it.
    pub(super) correlation: Option<&'a str>,
    /// What the operator has to say about it.
    pub(super) hint: Option<&'a str>,
}

impl Said<'_> {
    pub(super) const fn new(status: StatusCode, code: &'static str) -> Self {
        Self {
            status,
            code,
            action: None,
            words: None,
            hints: &[],
            provider_code: None,
            correlation: None,
            hint: None,
        }
    }
}

/// Leads on to the portal, and through it to the sign-in.
pub(super) const HOME: Link<'static> = Link { label: "Continue to the site", href: "/" };

/// The gate's no.
pub(super) fn refuse(refusal: Refusal, asker: &Asker, account: Account) -> Response<Body> {
    refuse_with(refusal, None, None, asker, account)
}

/// The same with what the operator has to say about it, and where the visitor may go instead.
pub(super) fn refuse_with(
    refusal: Refusal,
    hint: Option<&str>,
    instead: Option<Link<'_>>,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(refusal.code()));
    let status = match refusal {
        Refusal::Host | Refusal::Target | Refusal::RepeatedHeader => StatusCode::BAD_REQUEST,
        Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Path(PathError::TooLong) => StatusCode::URI_TOO_LONG,
        Refusal::Path(_) => StatusCode::BAD_REQUEST,
        Refusal::NoRoute => StatusCode::NOT_FOUND,
        Refusal::PasswordRoute { .. } => StatusCode::FORBIDDEN,
        // Whoever asks again later may be told (AZ-05).
        Refusal::Lacks { lack: Lack::Groups(GroupsUnknown::Unresolved), .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Refusal::Lacks { .. } | Refusal::BreakGlassClosed => StatusCode::FORBIDDEN,
        Refusal::SignInRequired | Refusal::SignInTooOld | Refusal::StepUpRequired => {
            StatusCode::UNAUTHORIZED
        }
    };
    let home = matches!(refusal, Refusal::PasswordRoute { .. }).then_some(HOME);
    say(
        &Said { action: instead.or(home), hint, ..Said::new(status, refusal.code()) },
        asker,
        account,
    )
}

/// What a visitor sent is no request, or did not come in time.
pub(super) fn unread(unread: Unread, mut account: Account) -> Response<Body> {
    let asker = Asker::unread(account.request_id());
    account.decided(Verdict::Refuse, Some(unread.code()));
    let status = match unread {
        Unread::Late => StatusCode::REQUEST_TIMEOUT,
        Unread::Head(HeadError::Malformed | HeadError::Framing) => StatusCode::BAD_REQUEST,
        Unread::Head(HeadError::Expectation) => StatusCode::EXPECTATION_FAILED,
        Unread::Head(HeadError::TargetTooLong) => StatusCode::URI_TOO_LONG,
        Unread::Head(HeadError::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    };
    say(&Said::new(status, unread.code()), &asker, account)
}

/// A body that is not whole, or more than is taken.
pub(super) fn visitor(error: &BodyError, asker: &Asker, mut account: Account) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    let status = match error {
        BodyError::Cut | BodyError::Chunk | BodyError::Stream(_) | BodyError::Broken => {
            StatusCode::BAD_REQUEST
        }
        BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
    };
    say(&Said::new(status, error.code()), asker, account)
}

/// A form that could not be looked at.
pub(super) fn uninspected(
    error: &InspectError,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    match error {
        InspectError::Body(error) => visitor(error, asker, account),
        InspectError::Busy => {
            account.decided(Verdict::Refuse, Some(error.code()));
            say(&Said::new(StatusCode::SERVICE_UNAVAILABLE, error.code()), asker, account)
        }
    }
}

/// A logout token that is not believed. Who sent it reads JSON (Back-Channel Logout 1.0, section
/// 2.8).
pub(super) fn disbelieved(
    error: &LogoutTokenError,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    let (status, name) = match error {
        // It may be a good one, and is to be sent again (GEN-03).
        LogoutTokenError::Provider(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
        _ => (StatusCode::BAD_REQUEST, "invalid_request"),
    };
    let body = serde_json::json!({ "error": name, "error_description": error.code() });
    with_delay(json(status, body.to_string(), asker, account))
}

/// Somebody has very many requests under way already (LIM-08).
pub(super) fn crowded(asker: &Asker, mut account: Account) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(Crowded.code()));
    say(&Said::new(StatusCode::SERVICE_UNAVAILABLE, Crowded.code()), asker, account)
}

/// What the page of a form that waits for its member shows.
pub(super) struct UnsentPage<'a> {
    pub(super) portal: &'a str,
    pub(super) sign_in: Link<'a>,
    pub(super) form: Option<pages::SealedForm<'a>>,
}

/// A form that is not sent, and waits for nobody.
pub(super) fn unsent(
    why: Unsent,
    action: Link<'_>,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(why.code()));
    let said = Said { action: Some(action), ..Said::new(unsent_status(why), why.code()) };
    say(&said, asker, account)
}

/// A form that waits for its member in this page, which a browser has asked for. What the portal
/// answers to it may lead anywhere, and Chromium holds each step of that against `form-action`.
pub(super) fn unsent_page(
    why: Unsent,
    shown: &UnsentPage<'_>,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(why.code()));
    let words = pages::explain(why.code());
    let kept = pages::KeptForm {
        portal: shown.portal,
        title: words.title,
        sentence: words.sentence,
        code: why.code(),
        sign_in: shown.sign_in,
        form: shown.form,
        request_id: asker.request_id(),
    };
    let shown = pages::kept_form(&kept, account.look());
    page(unsent_status(why), shown, &["https:".to_owned()], asker, account)
}

const fn unsent_status(why: Unsent) -> StatusCode {
    match why {
        Unsent::Kept | Unsent::TooLarge => StatusCode::UNAUTHORIZED,
        Unsent::OtherMember | Unsent::Elsewhere => StatusCode::FORBIDDEN,
        Unsent::Unreadable | Unsent::Expired => StatusCode::BAD_REQUEST,
        Unsent::Used => StatusCode::CONFLICT,
    }
}

/// What another server says of a request is not enough, or not to be believed (VER-01).
pub(super) fn undescribed(
    error: Undescribed,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    say(&Said::new(StatusCode::FORBIDDEN, error.code()), asker, account)
}

/// The same of somebody whose question was not read.
pub(super) fn unasked(error: Undescribed, account: Account) -> Response<Body> {
    let asker = Asker::unread(account.request_id());
    undescribed(error, &asker, account)
}

/// On to the canonical spelling of what was asked for, by the same method (PATH-07).
pub(super) fn canonical(target: &str, asker: &Asker, mut account: Account) -> Response<Body> {
    account.decided(Verdict::Own, Some("path-mended"));
    let mut response = empty(StatusCode::PERMANENT_REDIRECT, asker, account);
    locate(&mut response, target);
    response
}

/// On to where a page of the portal's meant that it leads, by the same method and with the same
/// body.
pub(super) fn onward(place: &str, asker: &Asker, account: Account) -> Response<Body> {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT, asker, account);
    locate(&mut response, place);
    // It stays within the origin, and a portal may look at where its forms come from.
    set(&mut response, header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A login that became no session.
pub(super) fn login(
    failure: &LoginFailure,
    action: Link<'_>,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(failure.code()));
    let provider = failure.provider_said();
    let status = match (failure, &provider) {
        (LoginFailure::RelyingParty(error), _) if error.is_temporary() => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (LoginFailure::Provider(_) | LoginFailure::RelyingParty(_), Some(said)) => {
            blamed(said.class())
        }
        (LoginFailure::Identity { error, .. }, _) => untold_status(error),
        (LoginFailure::Provider(_) | LoginFailure::RelyingParty(_), _) => StatusCode::FORBIDDEN,
        (LoginFailure::Members { error: MembersError::Refused { .. }, .. }, _) => {
            StatusCode::FORBIDDEN
        }
        (LoginFailure::Members { error: MembersError::Directory(_), .. }, _) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (LoginFailure::Login(_) | LoginFailure::SignedOut, _) => StatusCode::BAD_REQUEST,
        (LoginFailure::Circle, _) => StatusCode::TOO_MANY_REQUESTS,
        (LoginFailure::Store(error), _) => store_status(*error),
        (LoginFailure::Seal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let hints = match failure {
        LoginFailure::Circle => circles::REASONS.as_slice(),
        _ => &[],
    };
    let said = Said {
        action: Some(action),
        hints,
        words: provider.map(|said| said.words()),
        provider_code: provider.and_then(|said| said.code),
        correlation: provider.and_then(|said| said.correlation_id),
        hint: failure.message(),
        ..Said::new(status, failure.code())
    };
    say(&said, asker, account)
}

/// The status that says whose turn it is.
const fn blamed(class: Class) -> StatusCode {
    match class {
        Class::Cancelled | Class::Account | Class::Interaction => StatusCode::FORBIDDEN,
        Class::Again => StatusCode::BAD_REQUEST,
        Class::Operator => StatusCode::INTERNAL_SERVER_ERROR,
        Class::Temporary => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Nobody can say who is signed in (GEN-03).
pub(super) fn store(error: StoreError, asker: &Asker, mut account: Account) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    say(&Said::new(store_status(error), error.code()), asker, account)
}

const fn store_status(error: StoreError) -> StatusCode {
    match error {
        StoreError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        StoreError::Random => StatusCode::INTERNAL_SERVER_ERROR,
        StoreError::TooLarge => StatusCode::FORBIDDEN,
    }
}

/// The portal's silence.
pub(super) fn upstream(
    error: &UpstreamError,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Forward, Some(error.code()));
    let status = match error {
        UpstreamError::ConnectTimeout(_)
        | UpstreamError::ResponseTimeout(_)
        | UpstreamError::Stalled(_) => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::Unreachable { .. }
        | UpstreamError::Tls(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Connection(_)
        | UpstreamError::Exchange(_)
        | UpstreamError::Cut => StatusCode::BAD_GATEWAY,
        UpstreamError::Visitor(error) => return visitor(error, asker, account),
    };
    tracing::warn!(
        request.id = asker.request_id(),
        code = error.code(),
        cause = %causes(error),
        "the portal did not answer"
    );
    say(&Said::new(status, error.code()), asker, account)
}

/// A member of whom the portal cannot be told any more: the same as at a login.
pub(super) fn untold(
    error: &IdentityError,
    again: Option<Link<'_>>,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    let said = Said { action: again, ..Said::new(untold_status(error), error.code()) };
    say(&said, asker, account)
}

/// Whoever comes again later may be told of (AZ-05).
const fn untold_status(error: &IdentityError) -> StatusCode {
    match error {
        IdentityError::GroupsUnresolved => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    }
}

/// What goes to the portal could not be signed.
pub(super) fn identity(
    error: &IdentityError,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.decided(Verdict::Refuse, Some(error.code()));
    unsigned(error, asker);
    say(&Said::new(StatusCode::INTERNAL_SERVER_ERROR, error.code()), asker, account)
}

/// Says so in the log.
fn unsigned(error: &IdentityError, asker: &Asker) {
    tracing::error!(
        request.id = asker.request_id(),
        code = error.code(),
        cause = %causes(error),
        "a member's identity could not be rendered"
    );
}

/// Says it in the form that the asker reads.
pub(super) fn say(said: &Said<'_>, asker: &Asker, account: Account) -> Response<Body> {
    let words = said.words.unwrap_or_else(|| pages::explain(said.code));
    let response = match asker.reads() {
        Reads::Page => {
            let refusal = pages::Refusal {
                title: words.title,
                sentence: words.sentence,
                code: said.code,
                request_id: asker.request_id(),
                action: said.action,
                hints: said.hints,
                provider_code: said.provider_code,
                correlation: said.correlation,
                hint: said.hint,
            };
            let shown = pages::refusal(&refusal, account.look());
            page(said.status, shown, &[], asker, account)
        }
        Reads::Json => {
            let mut body = serde_json::json!({
                "error": said.code,
                "message": words.sentence,
                "request_id": asker.request_id(),
            });
            if let (Some(hint), Some(body)) = (said.hint, body.as_object_mut()) {
                body.insert("hint".to_owned(), hint.into());
            }
            json(said.status, body.to_string(), asker, account)
        }
        Reads::Text => {
            let hint = said.hint.map(|hint| format!("{hint}\n")).unwrap_or_default();
            let body = format!(
                "{}: {}\n{hint}code: {}\nrequest: {}\n",
                words.title,
                words.sentence,
                said.code,
                asker.request_id()
            );
            own(said.status, "text/plain; charset=utf-8", body, asker, account)
        }
    };
    with_delay(response)
}

/// Says when to try again, where that is of use.
fn with_delay(mut response: Response<Body>) -> Response<Body> {
    let later = match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => Some("5"),
        StatusCode::TOO_MANY_REQUESTS => Some("60"),
        _ => None,
    };
    if let Some(seconds) = later {
        set(&mut response, header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// A page of ours. `form_targets` are the origins beside our own that its form may lead to.
pub(super) fn page(
    status: StatusCode,
    page: Page,
    form_targets: &[String],
    asker: &Asker,
    account: Account,
) -> Response<Body> {
    let policy = page.csp(form_targets);
    let mut response = own(status, "text/html; charset=utf-8", page.into_html(), asker, account);
    if let Ok(policy) = HeaderValue::try_from(policy) {
        set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    }
    set(&mut response, header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    set(&mut response, opener, HeaderValue::from_static("same-origin"));
    response
}

/// JSON of ours.
pub(super) fn json(
    status: StatusCode,
    body: String,
    asker: &Asker,
    account: Account,
) -> Response<Body> {
    own(status, "application/json", body, asker, account)
}

/// For a frame on the page of a provider, at this origin: a page with nothing on it.
pub(super) fn framed(origin: Option<&str>, asker: &Asker, account: Account) -> Response<Body> {
    let body = "<!doctype html><title>Signed out</title>".to_owned();
    let mut response = own(StatusCode::OK, "text/html; charset=utf-8", body, asker, account);
    let ancestors = origin.unwrap_or("'none'");
    let policy = format!("default-src 'none'; frame-ancestors {ancestors}");
    // An origin is always a header value.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// On to another place, by GET whatever this request was (RET-04).
pub(super) fn redirect(location: &str, asker: &Asker, account: Account) -> Response<Body> {
    let mut response = empty(StatusCode::SEE_OTHER, asker, account);
    locate(&mut response, location);
    response
}

/// Locations are made of configuration, sealed values, canonical targets and `ReturnTo`: always
/// header values.
fn locate(response: &mut Response<Body>, location: &str) {
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    set(response, header::LOCATION, location);
}

/// An answer whose status says it all.
pub(super) fn empty(status: StatusCode, asker: &Asker, account: Account) -> Response<Body> {
    let mut response = own(status, "text/plain", String::new(), asker, account);
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// Sets a header of our own answer.
pub(super) fn set(response: &mut Response<Body>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

/// Adds a cookie to our own answer.
pub(super) fn add_cookie(response: &mut Response<Body>, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// What all answers of ours have in common (UI-01, UI-02).
fn own(
    status: StatusCode,
    kind: &'static str,
    body: String,
    asker: &Asker,
    mut account: Account,
) -> Response<Body> {
    account.answered(status);
    let mut response = Response::new(Body::own(Bytes::from(body), account));
    *response.status_mut() = status;
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        set(&mut response, name, HeaderValue::from_static(value));
    }
    set(&mut response, X_REQUEST_ID.clone(), asker.request_id.clone());
    response
}
