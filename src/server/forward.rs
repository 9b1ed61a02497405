//! What happens to a request that may pass: what is taken out and set, the portal's answer on its way
//! back, and what that ends with. Deliberately not here: whether it may (`request`, `gate`), and how
//! it is sent (`upstream`).

use std::sync::Arc;

use http::{HeaderValue, Response, header};
use hyper::body::Body as _;

use super::account::{Account, Body};
use super::admission::Crowded;
use super::bound::{Bound, LetIn, Used};
use super::break_glass::{self, Opening};
use super::caching;
use super::http1::Tunnel;
use super::peer::Peer;
use super::request::Visit;
use super::resend::{self, Unsent};
use super::respond::{self, HOME};
use super::{Portal, Proxy};
use crate::gate::identity::{self, LocalCredentials};
use crate::gate::{Glass, Mode, Opened, Permit, Timestamp};
use crate::identity::Outbound;
use crate::sessions::{PortalProofs, Shown, SignedIn};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::{GlassWay, Stream};
use crate::upstream::{
    Answer, AskedWebSocket, Forwarding, RequestBody, Upgrade, Upgraded, Upstream, X_REQUEST_ID,
};

impl Visit<'_> {
    /// On to the portal: validate → remove → set → send.
    pub(super) async fn forward(
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
