//! A sign-in meets the portal's members: after the ID token is believed, and before there is a
//! session. What becomes of it is `members`' to say; here it is asked, counted and noted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::login::LoginFailure;
use super::request::Visit;
use crate::gate::login::Journey;
use crate::gate::{Session, Timestamp, VerifiedClaims};
use crate::members::{
    Admitted, Arrival, Call, Foreseen, How, LastLogin, Members, MembersError, Observe, Outcome,
};
use crate::relying_party::RelyingParty;
use crate::sessions::Earlier;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;
use crate::telemetry::metrics::{CallOutcome, DirectoryCall, MemberResult, Metrics};
use crate::telemetry::traces::{self, What};

/// Somebody whom the portal's members let in.
pub(super) struct Welcome {
    pub(super) claims: VerifiedClaims,
    pub(super) how: How,
    pub(super) earlier: Earlier,
}

impl Visit<'_> {
    /// Asks the portal's directory about somebody; where there is none, everybody is let in.
    pub(super) async fn welcome(
        &self,
        party: &RelyingParty,
        claims: VerifiedClaims,
        journey: Journey,
    ) -> Result<Welcome, LoginFailure> {
        let Some(members) = &self.portal.members else {
            return Ok(Welcome { claims, how: How::Unasked, earlier: Earlier::NotKept });
        };
        let earlier = self.earlier(&claims, members.remembered()).await;
        let admission = Admission {
            members: Arc::clone(members),
            metrics: Arc::clone(&self.proxy.metrics),
            portal: self.account.portal(),
            host: Arc::clone(&self.policy.host),
            provider: Arc::clone(party.name()),
            request_id: self.asker.request_id().to_owned(),
            peer: self.visitor,
            address: party.verified_address(&claims, journey).map(str::to_owned),
            has_a_way_in: self.policy.could_let_in(&claims),
            last_login: last_login(earlier),
            now: self.now,
            claims,
        };
        // On its own: what a directory was asked to do may be done though the visitor leaves, and
        // then it is noted.
        let admitting = tokio::spawn(async move {
            let admitted = admission.admit().await;
            (admitted, admission.claims)
        });
        let (admitted, claims) = match admitting.await {
            Ok(done) => done,
            // A panic ends this connection, as one that was not on its own does (REL-14).
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match admitted {
            Ok(Admitted { how: How::Unasked, .. }) => {
                Ok(Welcome { claims, how: How::Unasked, earlier })
            }
            Ok(Admitted { how, said }) => {
                Ok(Welcome { claims: claims.with_extensions(said), how, earlier })
            }
            Err(error) => {
                let member = claims.subject().member_key();
                Err(LoginFailure::Members { error, member })
            }
        }
    }

    /// What would become of somebody who signs in, without doing it; `None` where nobody is asked.
    pub(super) async fn foresee(
        &self,
        party: &RelyingParty,
        claims: &VerifiedClaims,
        journey: Journey,
    ) -> Option<Result<Foreseen, MembersError>> {
        let members = self.portal.members.as_ref().filter(|members| members.ask())?;
        let earlier = self.earlier(claims, members.remembered()).await;
        Some(members.foresee(self.arrival(party, claims, journey, earlier)).await)
    }

    /// What is told of somebody.
    fn arrival<'c>(
        &'c self,
        party: &'c RelyingParty,
        claims: &'c VerifiedClaims,
        journey: Journey,
        earlier: Earlier,
    ) -> Arrival<'c> {
        Arrival {
            claims,
            provider: party.name(),
            address: party.verified_address(claims, journey),
            has_a_way_in: self.policy.could_let_in(claims),
            last_login: last_login(earlier),
            now: self.now,
        }
    }

    /// What is remembered of earlier sign-ins. It decides nothing, so not to know it stops nobody.
    async fn earlier(&self, claims: &VerifiedClaims, kept: Duration) -> Earlier {
        let sessions = &self.proxy.sessions;
        let found = sessions.logins(&self.policy.host, claims.subject(), kept, self.now).await;
        found.unwrap_or_else(|error| {
            warn("it is not known when a member signed in last", &error);
            Earlier::NotKept
        })
    }

    /// Notes that somebody has a session now.
    pub(super) async fn note_login(&self, session: &Session, how: How, earlier: Earlier) {
        let Some(members) = &self.portal.members else {
            return;
        };
        let subject = session.claims().subject();
        // Whoever is created or linked is new, whatever is remembered here. Whom the directory knows
        // may never have come in by us: it has had them for long, or made them in a sign-in that
        // failed.
        let is_first = match how {
            How::Created | How::Linked => true,
            How::Known | How::Unasked | How::Unknown => earlier == Earlier::None,
        };
        if is_first {
            audit::write(
                Event::FirstLogin,
                &Audit {
                    provider: Some(session.provider()),
                    member: Some(&subject.member_key()),
                    session: Some(session.handle()),
                    ..self.audit()
                },
            );
        }
        let (sessions, kept) = (&self.proxy.sessions, members.remembered());
        let noted = sessions.note_login(&self.policy.host, subject, kept, self.now).await;
        if let Err(error) = noted {
            warn("it could not be noted that a member has signed in", &error);
        }
    }
}

/// Somebody who meets the portal's members.
struct Admission {
    members: Arc<Members>,
    metrics: Arc<Metrics>,
    portal: Option<usize>,
    host: Arc<str>,
    provider: Arc<str>,
    request_id: String,
    peer: IpAddr,
    claims: VerifiedClaims,
    address: Option<String>,
    has_a_way_in: bool,
    last_login: LastLogin,
    now: Timestamp,
}

impl Admission {
    /// Lets them in or not, and counts and notes what was done.
    async fn admit(&self) -> Result<Admitted, MembersError> {
        let arrival = Arrival {
            claims: &self.claims,
            provider: &self.provider,
            address: self.address.as_deref(),
            has_a_way_in: self.has_a_way_in,
            last_login: self.last_login,
            now: self.now,
        };
        let admitted = self.members.admit(arrival).await;
        let result = match &admitted {
            Ok(Admitted { how, .. }) => measured(*how),
            Err(MembersError::Refused { .. }) => MemberResult::Refused,
            Err(MembersError::Directory(_)) => MemberResult::Failed,
        };
        if let Some(portal) = self.portal {
            self.metrics.portal(portal).member(result);
        }
        let event = match admitted.as_ref().map(|admitted| admitted.how) {
            Ok(How::Created) => Some(Event::MemberCreated),
            Ok(How::Linked) => Some(Event::MemberLinked),
            Ok(How::Known | How::Unknown | How::Unasked) | Err(_) => None,
        };
        if let Some(event) = event {
            let audit = Audit {
                request_id: Some(&self.request_id),
                portal: Some(&self.host),
                provider: Some(&self.provider),
                member: Some(&self.claims.subject().member_key()),
                peer: Some(self.peer),
                ..Audit::default()
            };
            audit::write(event, &audit);
        }
        admitted
    }
}

const fn last_login(earlier: Earlier) -> LastLogin {
    match earlier {
        Earlier::NotKept => LastLogin::NotKept,
        Earlier::None => LastLogin::Never,
        Earlier::Some(logins) => LastLogin::At(logins.last),
    }
}

fn warn(what: &'static str, error: &crate::sessions::StoreError) {
    tracing::warn!(code = error.code(), cause = causes(error), "{what}");
}

const fn measured(how: How) -> MemberResult {
    match how {
        How::Unasked => MemberResult::Unasked,
        How::Known => MemberResult::Known,
        How::Unknown => MemberResult::Unknown,
        How::Created => MemberResult::Created,
        How::Linked => MemberResult::Linked,
    }
}

/// Counts the calls to a portal's directory.
pub(super) fn observe(metrics: &Arc<Metrics>, portal: usize) -> Observe {
    let metrics = Arc::clone(metrics);
    Arc::new(move |call, outcome, took| {
        let call = match call {
            Call::Look => DirectoryCall::Lookup,
            Call::Create => DirectoryCall::Create,
            Call::Link => DirectoryCall::Link,
            Call::Update => DirectoryCall::Update,
        };
        let outcome = match outcome {
            Outcome::Ok => CallOutcome::Ok,
            Outcome::Refused => CallOutcome::Refused,
            Outcome::Unreachable => CallOutcome::Unreachable,
        };
        metrics.portal(portal).directory_called(call, outcome, took);
        traces::called(|| What::Directory(call.as_str()), took, outcome.error());
    })
}
