//! Our own endpoints, below `/.auth`. The names are those of App Service "Easy Auth", so that
//! portals written for it work unchanged.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::account::Body;
use super::login::{ACCOUNT, ANOTHER, BY_HAND};
use super::parameters::at_most_once;
use super::request::Visit;
use super::respond::{self, HOME, Said};
use crate::gate::login::Journey;
use crate::gate::{
    Challenge, Endpoint, Mode, PresetEndpoint, Purpose, Refusal, ReturnTo, Session, SessionId,
    purpose,
};
use crate::identity::{self, IdentityError, Published};
use crate::pages::{self, Link};
use crate::sessions::{SignedIn, StoreError};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::SessionEnd;
use crate::telemetry::{Verdict, causes};
use crate::upstream::RequestBody;

impl Visit<'_> {
    /// Answers for an endpoint of ours.
    pub(super) async fn own(mut self, endpoint: Endpoint, body: RequestBody) -> Response<Body> {
        self.account.decided(Verdict::Own, None);
        match endpoint {
            Endpoint::SignIn
            | Endpoint::Login(_)
            | Endpoint::Test
            | Endpoint::TestLogin(_)
            | Endpoint::Callback(_)
            | Endpoint::ResendSignedIn
                if self.policy.mode == Mode::Off =>
            {
                self.unknown()
            }
            Endpoint::SignIn => match self.reads_only() {
                true => {
                    let return_to = self.return_to("post_login_redirect_uri");
                    self.sign_in_page(Journey::SignIn, &return_to)
                }
                false => self.only("GET, HEAD"),
            },
            Endpoint::Login(name) => match (self.provider_to_log_in(&name), &self.head.method) {
                (Some(_), &Method::GET) if self.is_in_the_background() => {
                    respond::refuse(Refusal::SignInRequired, self.asker, self.account)
                }
                (Some(provider), &Method::GET) => match self.asked_journey(provider) {
                    Some(challenge) if self.parameter(BY_HAND).is_some() => {
                        self.begin_login_by_hand(provider, challenge).await
                    }
                    Some(challenge) => self.begin_login(provider, challenge).await,
                    None => self.unknown(),
                },
                (Some(_), _) => self.only("GET"),
                (None, _) => self.unknown(),
            },
            Endpoint::Callback(provider) => match self.provider(&provider) {
                Some(provider) => self.callback(provider, body).await,
                None => self.unknown(),
            },
            Endpoint::Logout => self.sign_out().await,
            Endpoint::LoggedOut if !self.reads_only() => self.only("GET, HEAD"),
            Endpoint::LoggedOut => self.signed_out(),
            Endpoint::FrontChannelLogout(provider) => match self.provider(&provider) {
                Some(provider) => self.front_channel_logout(provider, body).await,
                None => self.unknown(),
            },
            Endpoint::BackChannelLogout(provider) => match self.provider(&provider) {
                Some(provider) => self.back_channel_logout(provider, body).await,
                None => self.unknown(),
            },
            Endpoint::Me => self.me(),
            Endpoint::Refresh => self.refresh().await,
            Endpoint::Jwks => self.jwks(),
            Endpoint::Test | Endpoint::TestLogin(_) if !self.portal.tests_logins => self.unknown(),
            Endpoint::Test => self.test_page(),
            Endpoint::TestLogin(provider) => self.test_login(&provider).await,
            Endpoint::Preset(endpoint) => self.preset(&endpoint),
            Endpoint::BreakGlass => self.break_glass(body).await,
            Endpoint::Server => self.server_as_a_whole(),
            Endpoint::SignedIn => self.already_signed_in(),
            Endpoint::ResendSignedIn => self.signed_in_for_form().await,
            // What a form leads to is no endpoint of ours: it has been through `resend` already.
            Endpoint::Resend(_) | Endpoint::Unknown => self.unknown(),
        }
    }

    /// Who am I, in the shape of Easy Auth; never a token, and of those that the portal gets their
    /// kind alone.
    fn me(self) -> Response<Body> {
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let (status, body) = match &self.signed_in {
            Some(member) => (StatusCode::OK, json!([self.described(member)])),
            None => (StatusCode::UNAUTHORIZED, json!([])),
        };
        respond::json(status, body.to_string(), self.asker, self.account)
    }

    /// One element of `/.auth/me`.
    pub(super) fn described(&self, member: &SignedIn) -> Value {
        let provider = member.session().provider();
        let called = self.portal.identity.presets().called(provider).unwrap_or(provider);
        let mut described = identity::describe(member.session(), called);
        let passed = self.portal.identity.passed(member.session(), self.now);
        if let (Value::Object(described), false) = (&mut described, passed.is_empty()) {
            described.insert("passed_to_portal".to_owned(), json!(passed));
        }
        described
    }

    /// The keys by which a portal verifies the assertion. They are public, and who asks may keep them
    /// a while. A cache on the way may not: a withdrawn key would be believed for twice as long.
    fn jwks(self) -> Response<Body> {
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let keys = self.proxy.signing.signers().published().to_string();
        let mut response = respond::json(StatusCode::OK, keys, self.asker, self.account);
        let kind = HeaderValue::from_static("application/jwk-set+json");
        respond::set(&mut response, header::CONTENT_TYPE, kind);
        let kept = HeaderValue::from_static("private, max-age=300");
        respond::set(&mut response, header::CACHE_CONTROL, kept);
        response
    }

    /// What another gate has at this place, if the portal knows that gate.
    fn preset(self, endpoint: &PresetEndpoint) -> Response<Body> {
        let session = self.signed_in.as_deref().map(SignedIn::session);
        let Some(published) = self.portal.identity.presets().published(endpoint, session) else {
            return self.unknown();
        };
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let (body, pem) = match published {
            Published::Json(keys) => (keys, None),
            Published::Pem(key) => (key, Some(HeaderValue::from_static("application/x-pem-file"))),
            Published::Own(identity) => {
                return respond::json(StatusCode::OK, identity, self.asker, self.account);
            }
            Published::Nobody => {
                let nobody = json!({ "err": "nobody is signed in" }).to_string();
                let status = StatusCode::UNAUTHORIZED;
                return respond::json(status, nobody, self.asker, self.account);
            }
        };
        let mut response = respond::json(StatusCode::OK, body, self.asker, self.account);
        if let Some(kind) = pem {
            respond::set(&mut response, header::CONTENT_TYPE, kind);
        }
        let kept = HeaderValue::from_static("private, max-age=300");
        respond::set(&mut response, header::CACHE_CONTROL, kept);
        response
    }

    pub(super) fn already_signed_in(self) -> Response<Body> {
        let name =
            self.signed_in.as_ref().and_then(|member| member.session().claims().text("name"));
        let sign_out = format!("{}/logout", self.policy.own);
        let page = pages::signed_in(
            &pages::SignedIn {
                portal: &self.policy.host,
                name,
                home: HOME,
                sign_out: Link { label: "Sign out", href: &sign_out },
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        let targets = self.sign_out_origins();
        respond::page(StatusCode::OK, page, &targets, self.asker, self.account)
    }

    /// Nothing of ours, and nothing that the portal is asked for either.
    pub(super) fn unknown(mut self) -> Response<Body> {
        self.account.decided(Verdict::Refuse, Some("endpoint-unknown"));
        let said =
            Said { action: Some(HOME), ..Said::new(StatusCode::NOT_FOUND, "endpoint-unknown") };
        respond::say(&said, self.asker, self.account)
    }

    /// `OPTIONS *`: what we take at all (RFC 9110, section 9.3.7).
    fn server_as_a_whole(self) -> Response<Body> {
        let mut response = respond::empty(StatusCode::NO_CONTENT, self.asker, self.account);
        let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        respond::set(&mut response, header::ALLOW, HeaderValue::from_static(methods));
        response
    }

    /// Another method than this endpoint takes.
    pub(super) fn only(mut self, methods: &'static str) -> Response<Body> {
        self.account.decided(Verdict::Refuse, Some("endpoint-method"));
        let said = Said::new(StatusCode::METHOD_NOT_ALLOWED, "endpoint-method");
        let mut response = respond::say(&said, self.asker, self.account);
        respond::set(&mut response, header::ALLOW, HeaderValue::from_static(methods));
        response
    }

    /// Ends a session, if there is one.
    pub(super) async fn end_session(
        &self,
        id: Option<&SessionId>,
        how: SessionEnd,
    ) -> Result<(), StoreError> {
        let Some(id) = id else {
            return Ok(());
        };
        let (ended, told) = self.proxy.sessions.end(id, self.now).await;
        if ended.is_some() {
            self.proxy.metrics.session_ended(how);
        }
        told
    }

    /// The session id that came with this request.
    pub(super) fn session_id(&self) -> Option<SessionId> {
        self.shown.as_ref().map(|shown| shown.id.clone())
    }

    /// A refusal that somebody may want to know about beyond the access log (LOG-03).
    pub(super) fn audit_refusal(&self, refusal: Refusal) {
        let code = Some(refusal.code());
        match refusal {
            Refusal::PasswordRoute { .. } => {
                audit::write(Event::PasswordRouteRefused, &Audit { code, ..self.audit() });
            }
            Refusal::Lacks { .. } => {
                self.audit_member(Event::MemberRefused, &Audit { code, ..self.audit() });
            }
            _ => {}
        }
    }

    /// A member of whom the portal cannot be told: refused, or on as nobody.
    pub(super) fn audit_untold(&self, event: Event, error: &IdentityError) {
        let cause = causes(error);
        let audit = Audit { code: Some(error.code()), cause: Some(&cause), ..self.audit() };
        self.audit_member(event, &audit);
    }

    fn audit_member(&self, event: Event, audit: &Audit<'_>) {
        let session = self.signed_in.as_deref().map(SignedIn::session);
        let member = session.map(|session| session.claims().subject().member_key());
        audit::write(
            event,
            &Audit {
                provider: session.map(Session::provider),
                member: member.as_deref(),
                session: session.map(Session::handle),
                ..*audit
            },
        );
    }

    /// What every audit event of this request begins with.
    pub(super) fn audit(&self) -> Audit<'_> {
        Audit {
            request_id: Some(self.asker.request_id()),
            portal: Some(&self.policy.host),
            peer: Some(self.visitor),
            ..Audit::default()
        }
    }

    pub(super) fn reads_only(&self) -> bool {
        matches!(self.head.method, Method::GET | Method::HEAD)
    }

    /// A provider of this portal by its name.
    pub(super) fn provider(&self, name: &str) -> Option<usize> {
        self.proxy.provider(self.portal, name)
    }

    /// The same, or what Easy Auth calls it: portals behind that link to `/.auth/login/aad`.
    fn provider_to_log_in(&self, name: &str) -> Option<usize> {
        let presets = self.portal.identity.presets();
        self.provider(name).or_else(|| self.provider(presets.provider_called(name)?))
    }

    /// What a link to a provider asks for: `flow` names the journey, and nothing else than a
    /// journey that the provider has is taken for one. A profile is its member's own to change, so
    /// whoever is signed in has to come back as the same person.
    /// A picture in somebody's page begins nothing, and leaves no cookie.
    pub(super) fn is_in_the_background(&self) -> bool {
        purpose(&self.head.method, &self.head.headers) == Purpose::Background
    }

    pub(super) fn asked_journey(&self, provider: usize) -> Option<Challenge> {
        let party = self.proxy.relying_parties.get(provider)?;
        let query = self.head.target.query().unwrap_or_default();
        if !at_most_once(query, &["flow"]) {
            return None;
        }
        let journey = match self.parameter("flow") {
            Some(flow) => Journey::named(&flow).filter(|journey| party.offers(*journey))?,
            None => Journey::SignIn,
        };
        let mut demands = party.wishes(query);
        if self.parameter(ACCOUNT).as_deref() == Some(ANOTHER) {
            demands.prompt = Some(party.another_account());
        }
        Some(Challenge { return_to: self.return_to("post_login_redirect_uri"), journey, demands })
    }

    fn return_to(&self, parameter: &str) -> ReturnTo {
        let to_kept_form = ReturnTo::to_kept_form(self.policy);
        match self.policy.resend_forms.and_then(|_| self.parameter(parameter)) {
            Some(place) if place == to_kept_form.as_str() => to_kept_form,
            _ => self.named_return(parameter).unwrap_or_else(ReturnTo::root),
        }
    }

    /// A place on our own origin that a query parameter names (RET-01).
    pub(super) fn named_return(&self, parameter: &str) -> Option<ReturnTo> {
        ReturnTo::parse(&self.parameter(parameter)?, self.policy)
    }

    pub(super) fn done(&self) -> String {
        format!("{}/logout/done", self.policy.own)
    }
}

/// A query of one parameter.
pub(super) fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}
