//! Keeping what is known of a member true: before a request is judged, the provider is asked again
//! where that is due (OIDC-13, SESS-06). One asks for all requests of a session; what comes of it
//! is judged with the request that waited.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::Proxy;
use super::account::Body;
use super::request::Visit;
use super::respond::{self, Said};
use crate::gate::{Session, SessionId, Timestamp};
use crate::relying_party::{RefreshError, Refreshed, RelyingParty};
use crate::sessions::{Lease, SignedIn, StoreError, Turn};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;
use crate::telemetry::metrics::{RefreshOutcome, SessionEnd};

/// A refresh that somebody asks for is none if the last one was as recent as this.
const ON_DEMAND: Duration = Duration::from_secs(5);

/// How a refresh ended.
enum Renewed {
    /// With this state of the session, perhaps the same as before.
    Goes(Arc<SignedIn>),
    /// The provider could not be asked, or said nothing of use: what it said before holds.
    Waits(Arc<SignedIn>),
    /// With the session's end.
    Over,
}

/// Why somebody who wants a refresh gets none.
#[derive(Clone, Copy, Debug)]
enum NotRefreshed {
    /// There is no refresh token, or another site asks.
    Unavailable,
    /// The provider could not be asked.
    Failed,
}

impl NotRefreshed {
    const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "refresh-unavailable",
            Self::Failed => "refresh-failed",
        }
    }
}

impl Visit<'_> {
    /// Asks the provider now, and answers like `me`.
    pub(super) async fn refresh(mut self) -> Response<Body> {
        if self.head.method != Method::POST {
            return self.only("POST");
        }
        let (Some(id), Some(member)) = (self.session_id(), self.signed_in.take()) else {
            return respond::json(StatusCode::UNAUTHORIZED, "[]".into(), self.asker, self.account);
        };
        if !self.is_from_us() || member.session().renewal().is_none() {
            return self.not_refreshed(StatusCode::FORBIDDEN, NotRefreshed::Unavailable);
        }
        match self.proxy.ask_again(&id, member, ON_DEMAND, self.now).await {
            Renewed::Goes(member) => {
                let body = json!([self.described(&member)]).to_string();
                respond::json(StatusCode::OK, body, self.asker, self.account)
            }
            Renewed::Waits(_) => {
                self.not_refreshed(StatusCode::SERVICE_UNAVAILABLE, NotRefreshed::Failed)
            }
            // The browser may have another one by now, so its cookie stays.
            Renewed::Over => {
                respond::json(StatusCode::UNAUTHORIZED, "[]".into(), self.asker, self.account)
            }
        }
    }

    fn not_refreshed(mut self, status: StatusCode, why: NotRefreshed) -> Response<Body> {
        self.account.decided(Verdict::Refuse, Some(why.code()));
        let mut response = respond::say(&Said::new(status, why.code()), self.asker, self.account);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            respond::set(&mut response, header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        response
    }
}

impl Proxy {
    /// Whether the provider is to be asked again about a member.
    pub(super) fn is_due(&self, member: &SignedIn, now: Timestamp) -> bool {
        member.session().is_renewal_due(self.refresh_interval, now)
    }

    /// The member of a session about whom the provider is to be asked again, as the request is to
    /// be judged; `None` if the session is over.
    pub(super) async fn kept_true(
        self: &Arc<Self>,
        id: &SessionId,
        member: Arc<SignedIn>,
        now: Timestamp,
    ) -> Option<Arc<SignedIn>> {
        match Box::pin(self.ask_again(id, member, self.refresh_interval, now)).await {
            Renewed::Goes(member) | Renewed::Waits(member) => Some(member),
            Renewed::Over => None,
        }
    }

    async fn ask_again(
        self: &Arc<Self>,
        id: &SessionId,
        member: Arc<SignedIn>,
        interval: Duration,
        now: Timestamp,
    ) -> Renewed {
        if self.is_pausing(&member, now) {
            return Renewed::Waits(member);
        }
        // First among the requests of this node, then among the nodes.
        let turn_here = member.renewing().turn().await;
        let is_done = |member: &SignedIn| !member.session().is_renewal_due(interval, now);
        // Meanwhile another may have asked, or signed out.
        let (lease, member) = match self.sessions.turn(id, is_done, now).await {
            Ok(Turn::Ours(lease, member)) => (lease, member),
            Ok(Turn::Done(member)) => return Renewed::Goes(member),
            Ok(Turn::Over) => return Renewed::Over,
            Err(_) => {
                member.renewing().pause(now);
                return Renewed::Waits(member);
            }
        };
        if self.is_pausing(&member, now) {
            self.sessions.give_back(id, &lease).await;
            return Renewed::Waits(member);
        }
        // On its own: a visitor who leaves must not lose the refresh token that is on its way.
        let (proxy, id, kept) = (Arc::clone(self), id.clone(), Arc::clone(&member));
        let asking = tokio::spawn(async move {
            let renewed = proxy.renew(&id, &lease, kept, now).await;
            proxy.sessions.give_back(&id, &lease).await;
            drop(turn_here);
            renewed
        });
        asking.await.unwrap_or(Renewed::Waits(member))
    }

    /// Whether it is too soon after a failure, of this session or of its provider.
    fn is_pausing(&self, member: &SignedIn, now: Timestamp) -> bool {
        let provider = member.session().provider();
        let mut parties = self.relying_parties.iter();
        let party = parties.find(|party| &**party.name() == provider);
        member.renewing().is_pausing(now) || party.is_some_and(|party| party.is_pausing(now))
    }

    async fn renew(
        &self,
        id: &SessionId,
        lease: &Lease,
        member: Arc<SignedIn>,
        now: Timestamp,
    ) -> Renewed {
        let session = member.session();
        let party = self.relying_parties.iter().enumerate();
        let party = party.clone().find(|(_, party)| &**party.name() == session.provider());
        let (Some((index, party)), Some(renewal)) = (party, session.renewal()) else {
            return Renewed::Goes(member);
        };
        let asking = party.refresh(renewal, session.claims());
        let refreshed = match self.sessions.during(id, lease, asking).await {
            Ok(refreshed) => refreshed,
            Err(RefreshError { error, .. }) if error.ends_session() => {
                self.metrics.refreshed(index, RefreshOutcome::Ended);
                return self.end_for(id, session, party, error.code(), &causes(&error)).await;
            }
            Err(RefreshError { error, refresh_token }) => {
                self.metrics.refreshed(index, RefreshOutcome::Failed);
                report(party, error.code(), &causes(&error));
                member.renewing().pause(now);
                let Some(token) = refresh_token else {
                    return Renewed::Waits(member);
                };
                // The earlier one is spent, whatever came of it.
                let rotated = session.rotated(token, now);
                return match self.sessions.renew(id, lease, &member, rotated, now).await {
                    Ok(rotated) => rotated.map_or(Renewed::Over, Renewed::Waits),
                    Err(_) => Renewed::Waits(member),
                };
            }
        };
        let Refreshed { claims, refresh_token, tokens } = refreshed;
        let next = match session.renewed(claims, refresh_token, now) {
            Ok(next) => next,
            Err(error) => {
                self.metrics.refreshed(index, RefreshOutcome::Ended);
                return self
                    .end_for(id, session, party, "login-other-member", &causes(&error))
                    .await;
            }
        };
        let portal = self.policies.iter().position(|policy| next.is_for(&policy.host));
        let portal = portal.and_then(|index| self.portals.get(index));
        let tokens = tokens.or_earlier(session.tokens(), now);
        let tokens = portal.map(|portal| portal.identity.wanted(tokens));
        let next = next.passing(tokens.unwrap_or_default());
        // What cannot be told ends the session, and is not found out on each request (HDR-09). What
        // only could not be found out or made signs nobody out (GEN-03).
        if let Some(Err(error)) = portal.map(|portal| portal.identity.render(&next, now))
            && error.is_lasting()
        {
            self.metrics.refreshed(index, RefreshOutcome::Ended);
            return self.end_for(id, session, party, error.code(), &causes(&error)).await;
        }
        match self.sessions.renew(id, lease, &member, next, now).await {
            Ok(next) => {
                self.metrics.refreshed(index, RefreshOutcome::Ok);
                next.map_or(Renewed::Over, Renewed::Goes)
            }
            // What was said before does not hold any more, and what holds cannot be kept (SESS-05).
            Err(error @ StoreError::TooLarge) => {
                self.metrics.refreshed(index, RefreshOutcome::Ended);
                self.end_for(id, session, party, error.code(), &causes(&error)).await
            }
            Err(error) => {
                self.metrics.refreshed(index, RefreshOutcome::Failed);
                report(party, error.code(), &causes(&error));
                member.renewing().pause(now);
                Renewed::Waits(member)
            }
        }
    }

    async fn end_for(
        &self,
        id: &SessionId,
        session: &Session,
        party: &RelyingParty,
        code: &str,
        cause: &str,
    ) -> Renewed {
        // Over it is here, and if the store was not told yet, it will be.
        let (ended, _) = self.sessions.end(id, self.clock.now()).await;
        if ended.is_some() {
            self.metrics.session_ended(SessionEnd::Revoked);
            audit::write(
                Event::SessionRevoked,
                &Audit {
                    provider: Some(party.name()),
                    member: Some(&session.claims().subject().member_key()),
                    session: Some(session.handle()),
                    code: Some(code),
                    cause: Some(cause),
                    ..Audit::default()
                },
            );
        }
        Renewed::Over
    }
}

fn report(party: &RelyingParty, code: &str, cause: &str) {
    tracing::warn!(
        provider = &**party.name(),
        code,
        cause,
        "a member could not be asked about again; what was said before holds"
    );
}
