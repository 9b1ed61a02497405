//! A sign-in meets the portal's members: after the ID token is believed, and before there is a
//! session. What becomes of it is `members`' to say; here it is asked, counted and noted.

use std::sync::Arc;
use std::time::Duration;

use super::login::LoginFailure;
use super::request::Visit;
use crate::gate::login::Journey;
use crate::gate::{Session, VerifiedClaims};
use crate::members::{
    Admitted, Arrival, Call, Foreseen, How, LastLogin, MembersError, Observe, Outcome,
};
use crate::relying_party::RelyingParty;
use crate::sessions::Earlier;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;
use crate::telemetry::metrics::{CallOutcome, DirectoryCall, MemberResult, Metrics};

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
        let arrival = self.arrival(party, &claims, journey, earlier);
        let admitted = members.admit(arrival).await;
        let result = match &admitted {
            Ok(Admitted { how, .. }) => measured(*how),
            Err(MembersError::Refused { .. }) => MemberResult::Refused,
            Err(MembersError::Directory(_)) => MemberResult::Failed,
        };
        self.account.member(result);
        match admitted {
            Ok(Admitted { how: How::Unasked, .. }) => {
                Ok(Welcome { claims, how: How::Unasked, earlier })
            }
            Ok(Admitted { how, said }) => {
                let member = claims.subject().member_key();
                let event = match how {
                    How::Created => Some(Event::MemberCreated),
                    How::Linked => Some(Event::MemberLinked),
                    How::Known | How::Unknown | How::Unasked => None,
                };
                if let Some(event) = event {
                    let audit = Audit {
                        provider: Some(party.name()),
                        member: Some(&member),
                        ..self.audit()
                    };
                    audit::write(event, &audit);
                }
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
            last_login: match earlier {
                Earlier::NotKept => LastLogin::NotKept,
                Earlier::None => LastLogin::Never,
                Earlier::Some(logins) => LastLogin::At(logins.last),
            },
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
    })
}
