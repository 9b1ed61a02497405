//! THE REQUEST PATH. Every request takes these steps, in this order; our own endpoints are
//! decisions too, because a handler that runs before the gate is a hole in the gate.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, Version, header};

use hyper::body::Body as _;

use super::account::{Account, Body};
use super::admission::Crowded;
use super::bound::{Bound, LetIn, Used};
use super::break_glass::{self, Broken, Opening};
use super::caching;
use super::described::Undescribed;
use super::http1::Tunnel;
use super::inspect::{self, Wants};
use super::lots;
use super::peer::Peer;
use super::resend::{self, FormId, Unsent};
use super::respond::{self, Asker, HOME};
use super::verify::Described;
use super::worker::Worker;
use super::{Portal, Proxy};
use crate::gate::identity::{self, LocalCredentials};
use crate::gate::{
    Asked, Decision, Endpoint, Form, Glass, Mode, Opened, Permit, Policy, RawTarget, Refusal,
    Standing, Timestamp, decide,
};
use crate::identity::Outbound;
use crate::sessions::{Here, PortalProofs, Shown, SignedIn, cookie};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::{GlassWay, Lookup, Part, Stream};
use crate::telemetry::traces::within;
use crate::upstream::{
    Answer, AskedWebSocket, Forwarding, RequestBody, Upgrade, Upgraded, Upstream, X_REQUEST_ID,
};

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

impl Visit<'_> {
    /// On to the portal: validate → remove → set → send.
    async fn forward(
        mut self,
        permit: Permit,
        upstream: &Upstream,
        body: RequestBody,
        has_own_cookies: bool,
        peer: &Peer,
    ) -> Response<Body> {
        if let Some(opened) = permit.opened() {
            self.tell_of_glass(opened);
        }
        let rendered = match self.tell(&permit) {
            Ok(rendered) => rendered,
            Err(error) => return Box::pin(self.untold(&error, &permit)).await,
        };
        let Visit {
            proxy,
            policy,
            portal,
            head,
            shown,
            signed_in: member,
            now,
            visitor,
            asker,
            mut account,
            form,
            broken,
        } = self;
        let body = match body.limited(permit.passes().largest_body) {
            Ok(body) => body,
            Err(error) => return respond::visitor(&error, asker, account),
        };
        let headers = &mut head.headers;
        match proxy.share(portal, visitor) {
            Ok(seat) => account.seated(seat),
            Err(Crowded) => return respond::crowded(asker, account),
        }
        account.decided(Verdict::Forward, None);
        if let Some(note) = permit.noted() {
            account.noted(&head.method, note);
        }
        let passes = permit.passes();
        let wish = passes
            .websocket
            .then(|| AskedWebSocket::read(&head.method, head.version, headers))
            .flatten();
        let credentials = LocalCredentials::of(permit.mode(), passes);
        // Where the glass is broken, a sign-in of the portal's own is what it is broken for.
        let guards_cookies = permit.mode() == Mode::AzureOnly
            && permit.opened().is_none()
            && !policy.portal_cookies.is_empty();
        let proofs = match guards_cookies && has_own_cookies {
            true => PortalProofs::read(headers.get_all(header::COOKIE)),
            false => PortalProofs::default(),
        };
        // What goes on through a broken glass ends with it if it needed that, or had a sign-in of the
        // portal's own along that would not have passed.
        let opening = permit.opened().filter(|opened| {
            let route = permit.route().and_then(|index| policy.routes.get(index));
            let passes_credentials = route.is_some_and(|route| route.passes.credentials);
            opened.is_needed
                || (headers.contains_key(header::AUTHORIZATION) && !passes_credentials)
                || policy.portal_cookies.are_among(headers)
        });
        let opening = opening.map(|_| proxy.opening(policy, &broken, visitor));
        portal.owned.cleanse(headers, has_own_cookies, credentials);
        if !portal.gate_cookies.is_empty() {
            portal.gate_cookies.take_out(headers, |_, _| false);
        }
        if guards_cookies {
            policy.portal_cookies.take_out(headers, |name, value| {
                member.as_ref().is_some_and(|member| proofs.show(member.session(), name, value))
            });
        }
        account.pass_on_trace(headers);
        let envelope = rendered.as_deref().map(|rendered| rendered.told(passes.told));
        let request_id = account.request_id();
        let signature = match portal.identity.signer() {
            Some(signer) => {
                let outbound = Outbound {
                    method: &head.method,
                    authority: &portal.host,
                    target: permit.target(),
                    envelope,
                    body: body.here(),
                    nonce: &request_id,
                };
                // As of now: the request may have waited for its form or for a store.
                match signer.sign(&outbound, proxy.clock.now()) {
                    Ok(headers) => headers,
                    Err(error) => return respond::identity(&error, asker, account),
                }
            }
            None => Vec::new(),
        };
        let forwarding = Forwarding {
            host: &portal.host,
            scheme: &portal.scheme,
            address: &peer.told(visitor),
            request_id: &request_id,
            signature: &signature,
        };
        if let Some(form) = form {
            let request_id = asker.request_id();
            let audit = Audit {
                request_id: Some(request_id),
                portal: Some(&policy.host),
                peer: Some(visitor),
                ..Audit::default()
            };
            // Before it is sent, so that it is sent once.
            let spending = resend::spend(&proxy.sessions, &form, member.as_deref(), &audit);
            match Box::pin(spending).await {
                Ok(true) => {}
                Ok(false) => return respond::unsent(Unsent::Used, HOME, asker, account),
                Err(error) => return respond::store(error, asker, account),
            }
            account.resent();
        }
        account.waiting();
        let answer = match &wish {
            Some(wish) => {
                let upgrade = upstream.upgrade(&permit, wish, headers, envelope, forwarding);
                Box::pin(upgrade).await
            }
            None => {
                let sent =
                    upstream.send(&permit, &head.method, headers, body, envelope, forwarding);
                sent.await.map(Upgrade::Answered)
            }
        };
        account.waited(answer.as_ref().err());
        if let (Some(form), Err(error)) = (form, &answer)
            && error.is_unsent()
        {
            proxy.sessions.give_back_form(&form).await;
        }
        match answer {
            Ok(Upgrade::Switched(upgraded)) => {
                let let_in = let_in(&permit, opening, shown.zip(member));
                let switched = switch(upgraded, let_in, (proxy, now), credentials, account);
                without_tokens(portal, switched)
            }
            Ok(Upgrade::Answered(answer)) => {
                let mut set = match &member {
                    Some(member) if guards_cookies => {
                        let set = policy.portal_cookies.set_by(answer.headers());
                        proofs.after(member.session(), set)
                    }
                    Some(_) | None => Vec::new(),
                };
                if let (Some(shown), Some(member)) = (&shown, &member) {
                    set.extend(proxy.shown_anew(shown, member, now));
                }
                let let_in = let_in(&permit, opening, shown.zip(member));
                let response = pass_on(answer, let_in, proxy, credentials, account);
                let mut response = without_tokens(portal, response);
                if permit.opened().is_some() {
                    caching::keep_private(response.headers_mut());
                }
                for cookie in set {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                response
            }
            Err(error) => respond::upstream(&error, asker, account),
        }
    }
}

impl Visit<'_> {
    /// What a broken glass lets through is counted, and a password door is written down (LOG-03).
    fn tell_of_glass(&self, opened: Opened) {
        if opened.is_needed
            && let Some(metrics) = self.account.metrics()
        {
            metrics.switch.broken(match opened.by {
                Glass::Network => GlassWay::Network,
                Glass::Link | Glass::Whole => GlassWay::Link,
            });
        }
        if let Some(rule) = opened.rule.and_then(|rule| self.policy.password_routes.get(rule)) {
            let link = self.broken.pass.map(|pass| break_glass::name(&pass.id));
            let cause = format!("`{}`, by {}", rule.name, opened.by.name());
            let audit = Audit { session: link.as_deref(), cause: Some(&cause), ..self.audit() };
            audit::write(Event::BreakGlassUsed, &audit);
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

/// What lets it go on, if that can end: whoever has come through a broken glass goes as nobody,
/// whatever session there is beside it.
fn let_in(
    permit: &Permit,
    opening: Option<Opening>,
    member: Option<(Shown, Arc<SignedIn>)>,
) -> Option<LetIn> {
    match permit.opened() {
        Some(_) => opening.map(LetIn::Glass),
        None => member.map(|(shown, member)| LetIn::Member(shown.id, member)),
    }
}

/// The portal speaks WebSocket from here on (HTTP-08), to a member until the session ends
/// (SESS-10).
fn switch(
    upgraded: Upgraded,
    let_in: Option<LetIn>,
    (proxy, now): (&Arc<Proxy>, Timestamp),
    credentials: LocalCredentials,
    mut account: Account,
) -> Response<Body> {
    let Upgraded { head, tunnel } = upgraded;
    let (mut head, ()) = head.into_parts();
    identity::cleanse_challenges(&mut head.headers, credentials);
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    head.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    head.headers.insert(&X_REQUEST_ID, account.request_id());
    account.answered(head.status);
    let tunnel: Box<dyn Tunnel> = match &let_in {
        Some(LetIn::Member(id, _)) => Box::new(Used::new(tunnel, proxy, id.clone(), now)),
        Some(LetIn::Glass(_)) | None => Box::new(tunnel),
    };
    let bound = let_in.map(|let_in| Bound::new(proxy, Stream::WebSocket, let_in));
    let body = Body::tunnel(tunnel, bound, account);
    Response::from_parts(head, body)
}

/// The portal's answer on its way to the visitor: if nobody knows its length, until the session
/// ends that it is for, or the glass is whole that let it through (SESS-10).
fn pass_on(
    answer: Answer,
    let_in: Option<LetIn>,
    proxy: &Arc<Proxy>,
    credentials: LocalCredentials,
    mut account: Account,
) -> Response<Body> {
    let (head, body) = answer.into_parts();
    let (mut head, ()) = head.into_parts();
    // The browser must not ask for a password of the portal's own (PATH-15).
    identity::cleanse_challenges(&mut head.headers, credentials);
    if let_in.is_some() {
        caching::keep_private(&mut head.headers);
    }
    head.headers.insert(&X_REQUEST_ID, account.request_id());
    account.answered(head.status);
    let let_in = let_in.filter(|_| body.size_hint().exact().is_none());
    let bound = let_in.map(|let_in| Bound::new(proxy, Stream::Answer, let_in));
    Response::from_parts(head, Body::portal(body, bound, account))
}

/// A portal that sends back what it was sent would show the provider's tokens to the scripts of its
/// pages (HDR-11).
fn without_tokens(portal: &Portal, mut response: Response<Body>) -> Response<Body> {
    for name in portal.identity.token_headers() {
        response.headers_mut().remove(name);
    }
    response
}
