//! The way to the provider: `gate::login` begins, and the visitor leaves with a sealed cookie. The
//! way back is in `callback`. A login that fails is a page with a code and one audit line, and
//! nothing has been sent to the portal.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use super::account::Body;
use super::circles::{Begun, Page};
use super::request::Visit;
use super::{circles, failure, respond};
use crate::gate::cookies;
use crate::gate::login::{Journey, LoginError, LoginSeed, PendingLogin, ProviderError};
use crate::gate::{Challenge, GroupsUnknown, Lack, Refusal, ReturnTo, SessionId};
use crate::identity::IdentityError;
use crate::members::MembersError;
use crate::pages::{self, Link};
use crate::relying_party::{RelyingParty, RelyingPartyError};
use crate::sessions::{Purpose, StoreError, cookie};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;

/// Why a visitor is not signed in.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginFailure {
    /// The callback does not continue a login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The provider said no at the redirect URI.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider cannot be reached, or what it says is not believed.
    #[error(transparent)]
    RelyingParty(#[from] RelyingPartyError),
    /// The portal could not be told about this member.
    #[error("the portal cannot be told about this visitor")]
    Identity {
        /// Why.
        #[source]
        error: IdentityError,
        /// Whom.
        member: String,
    },
    /// The portal's members do not have them.
    #[error("the portal's members do not let this visitor in")]
    Members {
        /// Why.
        #[source]
        error: MembersError,
        /// Whom.
        member: String,
    },
    /// Somebody signed out while it was under way.
    #[error("the visitor signed out while the login was under way")]
    SignedOut,
    /// One login after the other leads to no session (OIDC-16).
    #[error("this browser began several logins within a minute, and comes back without a session")]
    Circle,
    /// The session could not be kept, or not be looked for (GEN-03).
    #[error(transparent)]
    Store(StoreError),
    /// No randomness, or a record that does not fit into a cookie.
    #[error("the login could not be sealed into a cookie")]
    Seal,
}

impl From<StoreError> for LoginFailure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Random => Self::Seal,
            StoreError::Unavailable | StoreError::TooLarge => Self::Store(error),
        }
    }
}

impl LoginFailure {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Login(error) => error.code(),
            Self::Provider(error) => failure::code(error),
            Self::RelyingParty(error) => error.code(),
            Self::Identity { error, .. } => error.code(),
            Self::Members { error, .. } => error.code(),
            Self::Store(error) => error.code(),
            Self::SignedOut => "login-signed-out",
            Self::Circle => "login-loop",
            Self::Seal => "login-seal",
        }
    }
}

/// What a login that fails was begun for.
#[derive(Clone, Copy)]
pub(super) enum BegunFor<'p> {
    /// To go there.
    Place(&'p ReturnTo),
    /// To see what would come of it: no session does.
    Test,
    /// Nobody can tell any more.
    Unknown,
}

impl<'p> BegunFor<'p> {
    fn of(challenge: &'p Challenge) -> Self {
        match challenge.demands.is_test {
            true => Self::Test,
            false => Self::Place(&challenge.return_to),
        }
    }
}

/// The parameter by which a button on a page of ours begins a login whatever was before.
pub(super) const BY_HAND: &str = "again";
/// The parameter by which such a button has the provider ask for [`ANOTHER`] account.
pub(super) const ACCOUNT: &str = "account";
pub(super) const ANOTHER: &str = "another";

impl Visit<'_> {
    /// The gate wants a sign-in: straight to the provider, or to the choice where there is one.
    pub(super) async fn sign_in(mut self, challenge: Challenge) -> Response<Body> {
        self.account.decided(Verdict::Login, None);
        let known = match challenge.demands.same_member {
            true => self.signed_in.as_deref().map(|member| member.session().provider()),
            false => None,
        };
        let parties = self.parties(challenge.journey);
        match (known.and_then(|name| self.provider(name)), &*parties) {
            (Some(provider), _) | (None, &[(provider, _)]) => {
                self.begin_login(provider, challenge).await
            }
            _ => self.sign_in_page(challenge.journey, &challenge.return_to),
        }
    }

    /// The portal's providers for a journey; the member's own, where somebody is signed in.
    fn parties(&self, journey: Journey) -> Vec<(usize, &Arc<RelyingParty>)> {
        let parties = self.portal.providers.iter();
        let mut parties: Vec<(usize, &Arc<RelyingParty>)> = parties
            .filter_map(|index| Some((*index, self.proxy.relying_parties.get(*index)?)))
            .filter(|(_, party)| party.offers(journey))
            .collect();
        if let (Journey::PasswordReset | Journey::ProfileEdit, Some(member)) =
            (journey, &self.signed_in)
        {
            parties.retain(|(_, party)| &**party.name() == member.session().provider());
        }
        parties
    }

    /// The page with a button for each provider.
    pub(super) fn sign_in_page(self, journey: Journey, return_to: &ReturnTo) -> Response<Body> {
        let parties = self.parties(journey);
        let button = |(_, party): &(usize, &Arc<RelyingParty>)| {
            let label = match (party.label(), parties.as_slice()) {
                (Some(label), [_, _, ..]) => label.to_owned(),
                (None, [_, _, ..]) => format!("Sign in with {}", party.name()),
                (_, [] | [_]) => self.portal.button_label.clone(),
            };
            (label, self.journey_link(party.name(), journey, return_to))
        };
        let buttons: Vec<(String, String)> = parties.iter().map(button).collect();
        let buttons: Vec<Link<'_>> =
            buttons.iter().map(|(label, href)| Link { label, href }).collect();
        let page = pages::sign_in(
            &pages::SignIn {
                portal: &self.policy.host,
                buttons: &buttons,
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }

    /// The address that begins a journey with a provider and leads back to a place.
    fn journey_link(&self, provider: &str, journey: Journey, return_to: &ReturnTo) -> String {
        let link = self.login_link(provider, return_to);
        match journey {
            Journey::SignIn => link,
            Journey::SignUp | Journey::PasswordReset | Journey::ProfileEdit => {
                format!("{link}&flow={}", journey.name())
            }
        }
    }

    /// The address that begins a login with a provider and leads back to a place.
    pub(super) fn login_link(&self, provider: &str, return_to: &ReturnTo) -> String {
        let query = super::own::query("post_login_redirect_uri", return_to.as_str());
        format!("{}/login/{provider}?{query}", self.policy.own)
    }

    /// The address that has a provider ask which account it is to be: single sign-on would bring
    /// back the one that was just refused.
    pub(super) fn another_account_link(&self, provider: &str, return_to: &ReturnTo) -> String {
        let link = self.login_link(provider, return_to);
        format!("{link}&{BY_HAND}=1&{ACCOUNT}={ANOTHER}")
    }

    /// The gate's no. What this account lacks another one may have; it begins at the front page,
    /// since a refusal repeats nothing of its request (GEN-07).
    pub(super) fn refuse(self, refusal: Refusal) -> Response<Body> {
        let is_final = match refusal {
            Refusal::Lacks { lack: Lack::Groups(GroupsUnknown::Unresolved), .. } => false,
            Refusal::Lacks { .. } => true,
            _ => false,
        };
        let member = self.signed_in.as_ref().filter(|_| is_final);
        let root = ReturnTo::root();
        let href =
            member.map(|member| self.another_account_link(member.session().provider(), &root));
        let instead = href.as_deref().map(|href| Link { label: "Use another account", href });
        let hint = self.policy.hint(refusal);
        respond::refuse_with(refusal, hint, instead, self.asker, self.account)
    }

    /// Off to the provider, unless that goes round in circles (OIDC-16).
    pub(super) async fn begin_login(self, provider: usize, challenge: Challenge) -> Response<Body> {
        match self.goes_round_in_circles(&challenge.return_to) {
            true => self.fail(provider, &LoginFailure::Circle, BegunFor::of(&challenge)),
            false => self.begin_login_by_hand(provider, challenge).await,
        }
    }

    /// Off to the provider (OIDC-01), as somebody has pressed a button or the provider said so.
    pub(super) async fn begin_login_by_hand(
        self,
        provider: usize,
        challenge: Challenge,
    ) -> Response<Body> {
        self.go_on_with_login(provider, challenge, None).await
    }

    /// The same after another journey. A callback that was posted does not show which session the
    /// browser has, so what the login knew `before` goes along.
    pub(super) async fn go_on_with_login(
        mut self,
        provider: usize,
        challenge: Challenge,
        before: Option<SessionId>,
    ) -> Response<Body> {
        let Some(party) = self.proxy.relying_parties.get(provider) else {
            return respond::refuse(Refusal::NoRoute, self.asker, self.account);
        };
        self.account.decided(Verdict::Login, None);
        let begun = challenge.clone();
        match self.authorization(party, challenge, before).await {
            Ok((location, cookies)) => {
                if !begun.demands.is_test {
                    self.proxy.metrics.login_started(provider);
                }
                let mut response = respond::redirect(&location, self.asker, self.account);
                for cookie in cookies {
                    respond::add_cookie(&mut response, cookie);
                }
                response
            }
            Err(failure) => self.fail(provider, &failure, BegunFor::of(&begun)),
        }
    }

    async fn authorization(
        &self,
        party: &RelyingParty,
        challenge: Challenge,
        before: Option<SessionId>,
    ) -> Result<(String, Vec<Option<HeaderValue>>), LoginFailure> {
        let mut seed = LoginSeed { state: [0; 16], nonce: [0; 16], verifier: [0; 32] };
        for bytes in [&mut seed.state[..], &mut seed.nonce[..], &mut seed.verifier[..]] {
            aws_lc_rs::rand::fill(bytes).map_err(|_| LoginFailure::Seal)?;
        }
        // One that is over already is nothing that the login replaces.
        let live = self.signed_in.as_ref().and_then(|_| self.session_id());
        let session = live.or(before);
        let mut languages = self.head.headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let languages = languages.next().and_then(|value| value.to_str().ok());
        let challenge = party.complete(challenge, languages);
        let (pending, request) =
            PendingLogin::begin(challenge, party.name(), session.as_ref(), &seed, self.now);
        let location = party.authorization_url(&request, &self.redirect_uri(party)).await?;
        let record = pending.to_bytes();
        let sealed = self.proxy.seal.seal(Purpose::Login, &self.policy.host, record.expose());
        let sealed = sealed.ok_or(LoginFailure::Seal)?;
        let mut cookies = self.old_logins(sealed.len());
        cookies.push(cookie::login(pending.number(), sealed, party.posts_callbacks()));
        Ok((location, cookies))
    }

    /// Takes back the oldest logins of this browser that are too many or too long together with a
    /// new one (COOK-05). Their names begin with the time.
    fn old_logins(&self, mut bytes: usize) -> Vec<Option<HeaderValue>> {
        let mut pending = cookies::logins(self.head.headers.get_all(header::COOKIE));
        pending.sort_unstable_by(|one, other| other.0.cmp(one.0));
        let mut kept = 1;
        let mut old = Vec::new();
        let mut marks = 0;
        for (name, value) in pending {
            if circles::is_mark(value) && marks < circles::MOST {
                marks += 1;
                continue;
            }
            bytes += value.len();
            if kept < cookie::MOST_LOGINS && bytes <= cookie::MOST_LOGIN_BYTES {
                kept += 1;
            } else {
                old.push(cookie::no_login(name));
            }
        }
        old
    }

    fn goes_round_in_circles(&self, return_to: &ReturnTo) -> bool {
        let open = |sealed: &str| Some(self.open_login(sealed)?.return_to().clone());
        let logins = cookies::logins(self.head.headers.get_all(header::COOKIE));
        let begun: Vec<Begun> = logins
            .into_iter()
            .filter_map(|(name, value)| Begun::read(name, value, self.now, open))
            .collect();
        circles::is_one(&begun, &Page::of(return_to), self.signed_in.is_some())
    }

    /// Takes back the logins of this browser, over or not: the member signs out, which wins over
    /// what is under way, and starts afresh.
    pub(super) async fn forget_logins(&self) -> Result<Vec<Option<HeaderValue>>, StoreError> {
        let logins = cookies::logins(self.head.headers.get_all(header::COOKIE));
        for (_, sealed) in &logins {
            if let Some(login) = self.open_login(sealed) {
                self.proxy.sessions.forget_login(login.state(), self.now).await?;
            }
        }
        Ok(logins.into_iter().map(|(name, _)| cookie::no_login(name)).collect())
    }

    /// The login that a cookie of ours seals.
    pub(super) fn open_login(&self, sealed: &str) -> Option<PendingLogin> {
        let record = self.proxy.seal.open(Purpose::Login, &self.policy.host, sealed)?;
        PendingLogin::from_bytes(&record)
    }

    /// A page with a code, one audit line, and no session; its button leads to where the login was
    /// to lead, and from a test to another one.
    pub(super) fn fail(
        self,
        provider: usize,
        failure: &LoginFailure,
        begun_for: BegunFor<'_>,
    ) -> Response<Body> {
        let event = match begun_for {
            BegunFor::Place(_) | BegunFor::Unknown => {
                self.proxy.metrics.login_failed(provider, failure.code());
                Event::LoginFailed
            }
            BegunFor::Test => {
                self.proxy.metrics.login_tested(provider, true);
                Event::LoginTested
            }
        };
        let party = self.proxy.relying_parties.get(provider);
        let name = party.map(|party| &**party.name()).unwrap_or_default();
        let said = failure.provider_said();
        audit::write(
            event,
            &Audit {
                provider: Some(name),
                code: Some(failure.code()),
                member: failure.member(),
                cause: Some(&causes(failure)),
                provider_code: said.and_then(|said| said.code),
                correlation_id: said.and_then(|said| said.correlation_id),
                trace_id: said.and_then(|said| said.trace_id),
                provider_time: said.and_then(|said| said.timestamp),
                advice: said.map(|said| said.advice()).as_deref(),
                ..self.audit()
            },
        );
        let offers = |journey| party.is_some_and(|party| party.offers(journey));
        let root = ReturnTo::root();
        let place = match begun_for {
            BegunFor::Place(place) => place,
            BegunFor::Unknown => &root,
            BegunFor::Test => {
                let (label, href) = self.another_test(name, failure.is_about_account());
                let again = Link { label, href: &href };
                return respond::login(failure, again, self.asker, self.account);
            }
        };
        let begins = |journey| format!("{}&{BY_HAND}=1", self.journey_link(name, journey, place));
        let (label, href) = match failure {
            LoginFailure::Login(LoginError::PasswordForgotten)
                if offers(Journey::PasswordReset) =>
            {
                ("Choose a new password", begins(Journey::PasswordReset))
            }
            LoginFailure::Members { error: MembersError::Directory(_), .. } => {
                ("Try again", begins(Journey::SignIn))
            }
            failure if failure.is_about_account() => {
                ("Use another account", self.another_account_link(name, place))
            }
            _ => ("Sign in again", begins(Journey::SignIn)),
        };
        let again = Link { label, href: &href };
        respond::login(failure, again, self.asker, self.account)
    }

    pub(super) fn redirect_uri(&self, party: &RelyingParty) -> String {
        let origin = &self.portal.public_url;
        match party.callback_path() {
            Some(path) => format!("{origin}{path}"),
            None => format!("{origin}{}/login/{}/callback", self.policy.own, party.name()),
        }
    }
}
