//! The way back from the provider: drives `gate::login` over the network, the same steps with
//! awaits in between. A login whose `state` came back is over, whatever comes of it, and cannot be
//! used again; a callback that is none of its own leaves it alone.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, header};
use serde_json::Map;

use super::account::Body;
use super::circles::{self, Page};
use super::login::{BegunFor, LoginFailure};
use super::members::Welcome;
use super::request::Visit;
use super::respond;
use super::test_login::Tested;
use crate::gate::cookies::{self, LOGIN_PREFIX};
use crate::gate::login::{Accepted, Callback, Completed, Journey, LoginError};
use crate::gate::{
    Challenge, MemberMark, Refusal, Renewal, ReturnTo, Session, SessionId, VerifiedClaims,
    is_fetched_early,
};
use crate::identity::IdentityError;
use crate::members::{Foreseen, MembersError};
use crate::relying_party::RelyingParty;
use crate::sessions::{Earlier, SignedIn, StoreError, cookie, member_mark, new_handle, new_proof};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::SessionEnd;
use crate::upstream::RequestBody;

/// What a callback has led to.
enum Outcome {
    /// Somebody is signed in, and goes there.
    SignedIn(Vec<HeaderValue>, MemberMark, ReturnTo),
    /// There is another journey to go on first.
    GoOn(Challenge, Option<SessionId>),
    /// Nothing has changed, and the visitor goes back.
    Return(ReturnTo),
    /// Nobody is signed in: it was a test.
    Tested(Box<Tested>),
}

/// A login that is over.
struct Used {
    /// Its cookie's.
    name: String,
    return_to: ReturnTo,
    is_test: bool,
}

impl Used {
    fn begun_for(&self) -> BegunFor<'_> {
        match self.is_test {
            true => BegunFor::Test,
            false => BegunFor::Place(&self.return_to),
        }
    }

    /// What it leaves in the browser when it became a session.
    fn mark(&self) -> Option<HeaderValue> {
        cookie::login_over(&self.name, Page::of(&self.return_to).mark(), circles::WINDOW)
    }
}

impl Visit<'_> {
    /// The provider sent the visitor back.
    pub(super) async fn callback(mut self, provider: usize, body: RequestBody) -> Response<Body> {
        let Some(party) = self.proxy.relying_parties.get(provider).map(Arc::clone) else {
            return respond::refuse(Refusal::NoRoute, self.asker, self.account);
        };
        self.account.decided(Verdict::Own, None);
        let parameters = match (&self.head.method, party.posts_callbacks()) {
            // Neither HEAD nor a prefetch uses a login up (OIDC-05).
            (&Method::GET, false) if !is_fetched_early(&self.head.headers) => {
                self.head.target.query().unwrap_or_default().to_owned()
            }
            (&Method::POST, true) => match self.posted(body, Callback::LONGEST).await {
                Ok(form) => form,
                Err(error) => return respond::uninspected(&error, self.asker, self.account),
            },
            (_, false) => return self.only("GET"),
            (_, true) => return self.only("POST"),
        };
        let mut used = None;
        let outcome = self.accept(&party, &parameters, &mut used).await;
        let over = used.as_ref().and_then(|used| cookie::no_login(&used.name));
        let mut response = match outcome {
            Ok(Outcome::SignedIn(parts, mark, return_to)) => {
                self.proxy.metrics.login_succeeded(provider);
                self.proxy.metrics.sessions_created.add();
                let member = self.member_cookie(mark);
                let mut response = respond::redirect(return_to.as_str(), self.asker, self.account);
                for cookie in parts {
                    respond::add_cookie(&mut response, Some(cookie));
                }
                respond::add_cookie(&mut response, member);
                respond::add_cookie(&mut response, used.as_ref().and_then(Used::mark));
                return response;
            }
            Ok(Outcome::GoOn(challenge, before)) => {
                self.go_on_with_login(provider, challenge, before).await
            }
            Ok(Outcome::Tested(tested)) => {
                self.proxy.metrics.login_tested(provider, false);
                self.tested(&tested)
            }
            Ok(Outcome::Return(_)) if used.as_ref().is_some_and(|used| used.is_test) => {
                let tests = format!("{}/test", self.policy.own);
                respond::redirect(&tests, self.asker, self.account)
            }
            Ok(Outcome::Return(place)) => {
                respond::redirect(place.as_str(), self.asker, self.account)
            }
            Err(failure) => {
                let begun_for = used.as_ref().map_or(BegunFor::Unknown, Used::begun_for);
                self.fail(provider, &failure, begun_for)
            }
        };
        respond::add_cookie(&mut response, over);
        response
    }

    /// From the callback to its outcome. `used` becomes the login as soon as it is known: whatever
    /// happens then, it is over.
    async fn accept(
        &self,
        party: &RelyingParty,
        parameters: &str,
        used: &mut Option<Used>,
    ) -> Result<Outcome, LoginFailure> {
        let callback = Callback::read(parameters)?;
        let name = callback.number().map(|number| format!("{LOGIN_PREFIX}{number}"));
        let pending = cookies::logins(self.head.headers.get_all(header::COOKIE));
        let sealed = pending.iter().find(|(known, _)| Some(*known) == name.as_deref());
        let (name, sealed) = *sealed.ok_or(LoginError::NotPending)?;
        let pending = self.open_login(sealed).ok_or(LoginError::NotPending)?;
        let state = callback.state().clone();
        party.check_issuer(callback.issuer())?;
        let (return_to, is_test) = (pending.return_to().clone(), pending.is_test());
        let accepted = pending.accept(callback, party.name(), self.now);
        if !matches!(accepted, Err(LoginError::StateMismatch)) {
            *used = Some(Used { name: name.to_owned(), return_to, is_test });
            if !self.proxy.sessions.spend_login(&state).await? {
                return Err(LoginError::Replayed.into());
            }
        }
        let redemption = match accepted? {
            Accepted::Redeem(redemption) => redemption,
            Accepted::GoOn(challenge, before) if party.offers(challenge.journey) => {
                return Ok(Outcome::GoOn(challenge, before));
            }
            Accepted::GoOn(..) => return Err(LoginError::PasswordForgotten.into()),
            Accepted::Return(place) => return Ok(Outcome::Return(place)),
            Accepted::Refused(error) => return Err(error.into()),
        };
        let tokens = party.redeem(&redemption, &self.redirect_uri(party)).await?;
        let claims = party.verify(&tokens, &redemption, self.proxy.clock.now()).await?;
        let claims = party.with_groups(claims, &tokens, self.now).await;
        let at_provider = party.at_provider(&tokens, &claims, &redemption);
        let for_portal = self.portal.identity.wanted(tokens.for_portal(&claims, self.now));
        let (begun, before) = (redemption.begun(), redemption.session().cloned());
        let sessions = &self.proxy.sessions;
        if sessions.is_forgotten(&state, before.as_ref()).await? {
            return Err(LoginFailure::SignedOut);
        }
        let journey = redemption.journey();
        // What a token of another journey lacks, nobody is told of who signs in.
        if matches!(journey, Journey::SignIn | Journey::SignUp) {
            let (host, seen) = (&self.policy.host, &self.proxy.last_logins);
            seen.saw(host, party.name(), &claims, self.now);
        }
        let renewal = tokens.refresh_token().map(|refresh_token| Renewal {
            refresh_token: refresh_token.clone(),
            journey,
            nonce: redemption.nonce().clone(),
        });
        if redemption.is_test() {
            return match redemption.complete(claims, None)? {
                Completed::Session(claims, _) => {
                    let (session, members) = self.try_on(party, claims, journey).await?;
                    let session = session.renewable(renewal).known_as(at_provider);
                    let session = session.passing(for_portal);
                    Ok(Outcome::Tested(Box::new(Tested { session, members })))
                }
                Completed::GoOn(challenge) => Ok(Outcome::GoOn(challenge, before)),
            };
        }
        let current = self.current(redemption.session()).await?;
        let ended = current.as_ref().map(|(id, _)| id);
        let known = current.as_ref().map(|(_, member)| member.session());
        let known = known.filter(|session| session.provider() == &**party.name());
        let completed = match redemption.complete(claims, known.map(Session::claims)) {
            Ok(completed) => completed,
            Err(error) => {
                // Whoever sits there now is not who was signed in.
                self.end_session(ended, SessionEnd::Replaced).await?;
                return Err(error.into());
            }
        };
        match completed {
            Completed::Session(claims, return_to) => {
                // A change of the profile does not make a session last longer.
                let known = known.filter(|_| journey == Journey::ProfileEdit);
                let (session, arrived) = match known {
                    Some(known) => (known.continued(claims, new_handle()?, self.now), None),
                    None => {
                        let before = current.as_ref().map(|(_, member)| member.session());
                        let member = claims.subject().clone();
                        // Nobody is made a member whom the portal could then not be told about.
                        if self.portal.members.is_some() {
                            let foreseen = self.begin(party, claims.clone(), before)?;
                            let told = self.portal.identity.foresee(&foreseen, self.now);
                            told.map_err(|error| untold(error, &foreseen))?;
                        }
                        let welcome = self.welcome(party, claims, journey).await;
                        let is_same = before.is_some_and(|it| *it.claims().subject() == member);
                        if let (Err(failure), true) = (&welcome, is_same)
                            && failure.is_about_account()
                        {
                            // Whom the portal's members refuse does not stay either.
                            self.end_session(ended, SessionEnd::Revoked).await?;
                        }
                        let Welcome { claims, how, earlier } = welcome?;
                        let session = self.begin(party, claims, before)?;
                        let session = session.renewable(renewal).known_as(at_provider);
                        (session.passing(for_portal), Some((how, earlier)))
                    }
                };
                let earlier = arrived.map(|(_, earlier)| earlier);
                let (id, member) = self.start(party, session, earlier).await?;
                if sessions.is_forgotten(&state, before.as_ref()).await?
                    || sessions.signed_out_since(begun, member.session()).await?
                {
                    self.end_session(Some(&id), SessionEnd::Logout).await?;
                    return Err(LoginFailure::SignedOut);
                }
                self.end_session(ended, SessionEnd::Replaced).await?;
                if let Some((how, earlier)) = arrived {
                    self.note_login(member.session(), how, earlier).await;
                }
                let parts = sessions.tickets(&id, &member)?;
                let earlier = cookies::parts(self.head.headers.get_all(header::COOKIE));
                Ok(Outcome::SignedIn(
                    cookie::session(&parts, earlier),
                    member_mark(member.session().claims().subject()),
                    return_to,
                ))
            }
            Completed::GoOn(challenge) => {
                self.audit_journey(party, journey);
                Ok(Outcome::GoOn(challenge, before))
            }
        }
    }

    /// The session that somebody would have, whom the portal's members would let in or not.
    async fn try_on(
        &self,
        party: &RelyingParty,
        claims: VerifiedClaims,
        journey: Journey,
    ) -> Result<(Session, Option<Result<Foreseen, MembersError>>), LoginFailure> {
        let members = self.foresee(party, &claims, journey).await;
        let said = match &members {
            Some(Ok(foreseen)) => foreseen.said.clone(),
            Some(Err(_)) | None => Map::new(),
        };
        Ok((self.begin(party, claims.with_extensions(said), None)?, members))
    }

    /// The session of somebody who signs in now.
    fn begin(
        &self,
        party: &RelyingParty,
        claims: VerifiedClaims,
        earlier: Option<&Session>,
    ) -> Result<Session, LoginFailure> {
        let session = Session::start(
            claims,
            Arc::clone(party.name()),
            Arc::clone(&self.policy.host),
            new_handle()?,
            self.proxy.lifetimes,
            self.now,
        );
        // What the portal set for this member goes on being this member's (PATH-18).
        let earlier = earlier
            .filter(|earlier| earlier.claims().subject() == session.claims().subject())
            .map(|earlier| Ok(earlier.proof().clone()));
        Ok(session.proven_by(earlier.unwrap_or_else(new_proof)?))
    }

    /// Starts a session under a new id (SESS-01).
    async fn start(
        &self,
        party: &RelyingParty,
        session: Session,
        earlier: Option<Earlier>,
    ) -> Result<(SessionId, Arc<SignedIn>), LoginFailure> {
        // What cannot be told refuses the login, and is not found out on a later request (HDR-09).
        let told = self.portal.identity.render(&session, self.now);
        told.map_err(|error| untold(error, &session))?;
        let (id, member) = self.proxy.sessions.start(session, self.now).await?;
        let session = member.session();
        // Only now is it true.
        audit::write(
            Event::LoginSucceeded,
            &Audit {
                provider: Some(party.name()),
                member: Some(&session.claims().subject().member_key()),
                session: Some(session.handle()),
                earlier: match earlier {
                    Some(Earlier::Some(logins)) => Some((logins.first, logins.last)),
                    Some(Earlier::NotKept | Earlier::None) | None => None,
                },
                ..self.audit()
            },
        );
        Ok((id, member))
    }

    /// The session of this browser. A callback that another site posts comes without its cookie,
    /// so the login remembers which it was; one that another tab began meanwhile is not seen, and
    /// ends by its idle time.
    async fn current(
        &self,
        remembered: Option<&SessionId>,
    ) -> Result<Option<(SessionId, Arc<SignedIn>)>, StoreError> {
        let id = match &self.signed_in {
            Some(_) => self.session_id(),
            None => remembered.cloned(),
        };
        let Some(id) = id else {
            return Ok(None);
        };
        let found = self.proxy.sessions.find(&id, self.now).await?;
        let found = found.filter(|found| found.session().is_for(&self.policy.host));
        Ok(found.map(|found| (id, found)))
    }

    fn audit_journey(&self, party: &RelyingParty, journey: Journey) {
        let event = match journey {
            Journey::PasswordReset => Event::PasswordReset,
            Journey::ProfileEdit => Event::ProfileEdited,
            Journey::SignIn | Journey::SignUp => return,
        };
        audit::write(event, &Audit { provider: Some(party.name()), ..self.audit() });
    }
}

/// About whom the portal cannot be told.
fn untold(error: IdentityError, session: &Session) -> LoginFailure {
    LoginFailure::Identity { error, member: session.claims().subject().member_key() }
}
