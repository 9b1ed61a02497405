//! THE REQUEST PATH. Every request takes these steps, in this order; our own endpoints are
//! decisions too, because a handler that runs before the gate is a hole in the gate.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, Version, header};
use hyper::body::Body as _;

use super::account::{Account, Body};
use super::break_glass::Broken;
use super::caching;
use super::described::Undescribed;
use super::inspect::{self, Wants};
use super::lots;
use super::peer::Peer;
use super::resend::FormId;
use super::respond::{self, Asker};
use super::verify::Described;
use super::worker::Worker;
use super::{Portal, Proxy};
use crate::gate::identity;
use crate::gate::{
    Asked, Decision, Endpoint, Form, Glass, Mode, Policy, RawTarget, Refusal, Standing, Timestamp,
    decide,
};
use crate::sessions::{Here, Shown, SignedIn, cookie};
use crate::telemetry::metrics::{Lookup, Part};
use crate::telemetry::traces::within;
use crate::upstream::RequestBody;

/// A request without its body, of any version of HTTP.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: RawTarget,
    /// How it is read: a WebSocket over HTTP/2 comes as the upgrade that HTTP/1.1 has for it.
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

/// Neither target nor headers: there are codes and cookies in them (LOG-01).
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A request that has been read, on its way through the server.
pub(super) struct Visit<'a> {
    pub(super) proxy: &'a Arc<Proxy>,
    pub(super) policy: &'a Policy,
    pub(super) portal: &'a Portal,
    pub(super) head: &'a mut Head,
    /// What stands for a session, whether there is one or not.
    pub(super) shown: Option<Shown>,
    pub(super) signed_in: Option<Arc<SignedIn>>,
    pub(super) now: Timestamp,
    /// The address that the request is from.
    pub(super) visitor: IpAddr,
    pub(super) asker: &'a Asker,
    pub(super) account: Account,
    /// Which form this is, if it is one that was kept.
    pub(super) form: Option<FormId>,
    /// For whom the glass is broken.
    pub(super) broken: Broken,
}

impl Worker {
    /// Answers one request.
    pub(super) fn handle(
        &self,
        peer: &Peer,
        head: Head,
        body: RequestBody,
    ) -> impl Future<Output = Response<Body>> {
        self.answer(peer, head, body, None)
    }

    /// The same; or answers another server that has described the request to us.
    pub(super) async fn answer(
        &self,
        peer: &Peer,
        mut head: Head,
        mut body: RequestBody,
        described: Option<Described<'_>>,
    ) -> Response<Body> {
        let now = self.proxy.clock.now();
        let mut account = Account::open(&self.proxy, &head);
        account.begin_trace(peer, &head, now);
        let asker = Asker::of(&head, account.request_id());
        let verifying = match &self.proxy.verify {
            // What was described is no question.
            _ if described.is_some() => described,
            Some(verify) if verify.is_asked(&head) => match verify.read(peer, &mut head) {
                Ok(described) => {
                    account.is_of(&head.method);
                    Some(described)
                }
                Err(error) => return verify.refuse(error, &asker, account),
            },
            Some(_) | None => None,
        };
        identity::remove_named_by_connection(&mut head.headers);
        let mut form = None;
        // Once; or twice, where it brings a form that was kept, which is judged as if it came now.
        loop {
            let read = Asked::read(&self.proxy.policies, &head.method, &head.target, &head.headers);
            let asked = match read {
                Ok(asked) => asked,
                Err(refusal) => {
                    account.looks_of(&head);
                    let response = respond::refuse(refusal, &asker, account);
                    return match &verifying {
                        Some(described) => described.no(response),
                        None => response,
                    };
                }
            };
            let index = asked.portal();
            let (Some(policy), Some(portal)) =
                (self.proxy.policies.get(index), self.proxy.portals.get(index))
            else {
                return respond::refuse(Refusal::UnknownHost, &asker, account);
            };
            account.read(&asked);
            let is_whole = match &verifying {
                None => body.is_end_stream(),
                Some(described) => described.has_no_form(policy, &head),
            };
            let asked = if is_whole { asked.with_form(Form::Absent) } else { asked };
            let visitor = peer.visitor(&head.headers, &self.proxy.front.trusted);
            let has_own_cookies = asked.has_own_cookies();
            // What other servers ask about has its portal's cookies in other hands than ours.
            let broken = match portal.break_glass.as_ref().filter(|_| verifying.is_none()) {
                Some(glass) => {
                    let headers = &head.headers;
                    Box::pin(self.proxy.broken(glass, policy, headers, visitor, now)).await
                }
                None => Broken::default(),
            };
            let (lot, kept_lot) = lots::lot(policy, &head, visitor, verifying.is_none());
            let asked = asked.of_visitor(Standing { glass: broken.glass, lot });
            let sessions = &self.proxy.sessions;
            let shown = asked.ticket().and_then(|ticket| sessions.shown(ticket));
            let here = shown.as_ref().map(|shown| (shown, sessions.arrive(shown, now)));
            if let Some((_, here)) = &here {
                self.proxy.metrics.portal(index).looked_up(measured_lookup(here));
            }
            let signed_in = match here {
                Some((_, Here::Member(found))) => Some(found),
                Some((shown, Here::Ask)) => {
                    match Box::pin(within(account.trace(), sessions.find(&shown.id, now))).await {
                        Ok(found) => found,
                        // What does not depend on who asks goes on without knowing.
                        Err(_) if !asked.depends_on_claims(policy) => None,
                        // Whoever has a pass goes as nobody, and the store may be what is down.
                        Err(_) if broken.glass == Glass::Link => None,
                        Err(error) => return respond::store(error, &asker, account),
                    }
                }
                Some((_, Here::Nobody)) | None => None,
            };
            // The portal, or its provider, may be another one since the session began.
            let signed_in = signed_in.filter(|found| {
                let session = found.session();
                let provider = self.proxy.provider(portal, session.provider());
                session.is_for(&policy.host) && provider.is_some()
            });
            let signed_in = match (&shown, signed_in) {
                // Seldom due, and what is looked at then is no part of every request.
                (Some(shown), Some(member))
                    if self.proxy.is_due(&member, now) && asked.depends_on_claims(policy) =>
                {
                    let keeping = self.proxy.kept_true(&shown.id, member, now);
                    Box::pin(within(account.trace(), keeping)).await
                }
                (_, signed_in) => signed_in,
            };
            let session = signed_in.as_deref().map(SignedIn::session);
            let mode = policy.mode_for(&asked, session);
            if policy.rollout.is_some() {
                self.proxy.metrics.portal(index).switch.judged(part(mode));
            }
            let mut _share = None;
            let decision = match decide(policy, asked, session, now).settled() {
                Ok(decision) => decision,
                // Nothing depends on it but what is noted.
                Err(asked)
                    if let Some(described) = &verifying
                        && mode == Mode::ReportOnly
                        && !described.shows_form() =>
                {
                    let asked = asked.with_form(Form::Absent);
                    let decision = decide(policy, asked, session, now).settled();
                    decision.unwrap_or(Decision::Refuse(Refusal::NoRoute))
                }
                Err(_)
                    if let Some(described) = &verifying
                        && !described.shows_form() =>
                {
                    return described.refuse(Undescribed::Form, &asker, account);
                }
                Err(asked) => {
                    let room = &self.proxy.form_room;
                    let stranger = self.proxy.stranger(visitor);
                    let wants =
                        Wants { limit: policy.form_limit, may_do_without: mode != Mode::AzureOnly };
                    let inspecting = inspect::read(&head.headers, body, wants, stranger, room);
                    let inspected = match Box::pin(inspecting).await {
                        Ok(inspected) => inspected,
                        Err(error) => return respond::uninspected(&error, &asker, account),
                    };
                    (body, _share) = (inspected.body, inspected.share);
                    let asked = asked.with_form(inspected.form);
                    let decision = decide(policy, asked, session, now).settled();
                    // Once a form has been read, no rule asks for it again.
                    decision.unwrap_or(Decision::Refuse(Refusal::NoRoute))
                }
            };
            let visit = Visit {
                proxy: &self.proxy,
                policy,
                portal,
                head: &mut head,
                shown,
                signed_in,
                now,
                visitor,
                asker: &asker,
                account,
                form,
                broken,
            };
            if let Some(described) = verifying {
                return Box::pin(visit.verify(decision, described, has_own_cookies)).await;
            }
            // Boxed where it is rare: a future is as large as its largest branch, and moved for
            // each request.
            let trace = visit.account.trace();
            let response = match decision {
                Decision::Forward(permit) => {
                    let Some(upstream) = self.upstreams.get(index) else {
                        return respond::refuse(Refusal::NoRoute, visit.asker, visit.account);
                    };
                    visit.forward(permit, upstream, body, has_own_cookies, peer).await
                }
                Decision::Login(challenge) => {
                    Box::pin(within(trace, visit.sign_in(challenge))).await
                }
                Decision::Own(Endpoint::Resend(place)) if form.is_none() => {
                    match Box::pin(visit.resend(place, body)).await {
                        Ok(again) => {
                            (form, account) = (Some(again.id), again.account);
                            body = RequestBody::held(again.body);
                            continue;
                        }
                        Err(response) => response,
                    }
                }
                // A form that was kept was for the portal, and cannot be for us.
                Decision::Own(endpoint) if form.is_some() && endpoint != Endpoint::SignedIn => {
                    visit.unknown()
                }
                Decision::Own(endpoint) => Box::pin(within(trace, visit.own(endpoint, body))).await,
                Decision::Redirect(target) => {
                    respond::canonical(&target, visit.asker, visit.account)
                }
                // Once a form has been read, no rule asks for it again.
                Decision::Inspect(_) => {
                    respond::refuse(Refusal::NoRoute, visit.asker, visit.account)
                }
                Decision::Keep(target) if form.is_none() => {
                    Box::pin(visit.keep(target, body)).await
                }
                // The session ended between two steps; the page that has it is still there.
                Decision::Keep(_) => visit.refuse(Refusal::SignInRequired),
                Decision::Refuse(refusal) => {
                    visit.audit_refusal(refusal);
                    visit.refuse(refusal)
                }
            };
            return match kept_lot {
                Some(lot) => with_lot(response, lot),
                None => response,
            };
        }
    }
}

impl Proxy {
    /// What the browser is to keep instead of what it has shown, if that has grown old.
    pub(super) fn shown_anew(
        &self,
        shown: &Shown,
        member: &SignedIn,
        now: Timestamp,
    ) -> Vec<HeaderValue> {
        if !self.sessions.has_grown_old(shown, member, now) {
            return Vec::new();
        }
        // One that does not fit any more keeps what it has until it is over.
        let parts = self.sessions.tickets(&shown.id, member);
        parts.map(|parts| cookie::session(&parts, [])).unwrap_or_default()
    }
}

/// In which part of a progressive switch that is.
const fn part(mode: Mode) -> Part {
    match mode {
        Mode::AzureOnly => Part::AzureOnly,
        Mode::Optional | Mode::ReportOnly | Mode::Off => Part::ReportOnly,
    }
}

/// The browser keeps its lot, and nobody else gets it from a cache.
fn with_lot(mut response: Response<Body>, lot: HeaderValue) -> Response<Body> {
    response.headers_mut().append(header::SET_COOKIE, lot);
    caching::keep_private(response.headers_mut());
    response
}

/// `sessions` and `telemetry` do not know each other.
const fn measured_lookup(here: &Here) -> Lookup {
    match here {
        Here::Member(_) | Here::Nobody => Lookup::Here,
        Here::Ask => Lookup::Store,
    }
}
