//! Our own endpoints, below `/.auth`. The names are those of App Service "Easy Auth", so that
//! portals written for it work unchanged.

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::account::Body;
use super::login::{ACCOUNT, ANOTHER, BY_HAND};
use super::request::Visit;
use super::respond::{self, HOME, Said};
use crate::gate::cookies;
use crate::gate::login::Journey;
use crate::gate::{Challenge, Endpoint, Mode, Refusal, ReturnTo, SessionId, is_fetched_early};
use crate::pages::{self, Link};
use crate::sessions::{Purpose, SignedIn, cookie};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::SessionEnd;
use crate::upstream::RequestBody;

impl Visit<'_> {
    /// Answers for an endpoint of ours.
    pub(super) async fn own(mut self, endpoint: Endpoint, body: RequestBody) -> Response<Body> {
        self.account.decided(Verdict::Own, None);
        match endpoint {
            Endpoint::SignIn | Endpoint::Login(_) | Endpoint::Callback(_)
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
            Endpoint::Login(provider) => match (self.provider(&provider), &self.head.method) {
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
            Endpoint::Logout => self.sign_out(),
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
            Endpoint::Server => self.server_as_a_whole(),
            Endpoint::SignedIn => self.already_signed_in(),
            Endpoint::Unknown => self.unknown(),
        }
    }

    /// Ends the session here and, by configuration, at the provider. A GET acts at once only if
    /// fetch metadata shows our own site or the visitor; everything else is asked first (UI-03).
    fn sign_out(mut self) -> Response<Body> {
        let mut sites = self.head.headers.get_all("sec-fetch-site").iter();
        let site = match (sites.next(), sites.next()) {
            (site, None) => site.map(HeaderValue::as_bytes),
            (_, Some(_)) => Some(&b"cross-site"[..]),
        };
        let is_meant = match (&self.head.method, site) {
            // A picture in a page is no wish to leave.
            (&Method::GET, site) => {
                matches!(site, Some(b"same-origin" | b"none")) && self.is_navigation()
            }
            // The cookie is `SameSite=Lax`: with a form of another site it does not come along.
            (&Method::POST, Some(site)) => matches!(site, b"same-origin" | b"none"),
            (&Method::POST, None) => self.is_from_us(),
            _ => return self.only("GET, POST"),
        };
        let Some(member) = self.signed_in.clone() else {
            let mut response = respond::redirect(&self.done(), self.asker, self.account);
            respond::add_cookie(&mut response, cookie::no_session());
            return response;
        };
        if !is_meant {
            return self.confirm_sign_out();
        }
        let at_provider = self.sign_out_at_provider(&member);
        let id = self.session_id();
        if id.is_some_and(|id| self.proxy.sessions.sign_out(&id, self.now).is_some()) {
            self.proxy.metrics.session_ended(SessionEnd::Logout);
        }
        audit::write(
            Event::LoggedOut,
            &Audit {
                provider: Some(member.session().provider()),
                member: Some(&member.session().claims().subject().member_key()),
                session: Some(member.session().handle()),
                ..self.audit()
            },
        );
        let next = match at_provider {
            Some(provider) => provider,
            None => match self.named_return("post_logout_redirect_uri") {
                Some(place) => place.as_str().to_owned(),
                None => self.done(),
            },
        };
        self.account.decided(Verdict::Own, None);
        let forgotten = self.forget_logins();
        let mut response = respond::redirect(&next, self.asker, self.account);
        respond::add_cookie(&mut response, cookie::no_session());
        for cookie in forgotten {
            respond::add_cookie(&mut response, cookie);
        }
        // What the browser kept of the portal must not be shown by going back.
        let clear = HeaderName::from_static("clear-site-data");
        respond::set(&mut response, clear, HeaderValue::from_static("\"cache\""));
        response
    }

    /// Whether fetch metadata says that the visitor's browser goes somewhere, and now.
    fn is_navigation(&self) -> bool {
        let is = |name: &str, wanted: &[u8]| {
            self.head.headers.get(name).is_some_and(|value| value.as_bytes() == wanted)
        };
        is("sec-fetch-mode", b"navigate")
            && is("sec-fetch-dest", b"document")
            && !is_fetched_early(&self.head.headers)
    }

    /// Whether a form is one of this portal's pages, as far as `Origin` says.
    pub(super) fn is_from_us(&self) -> bool {
        let own = self.portal.public_url.as_str().trim_end_matches('/').as_bytes();
        self.head.headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == own)
    }

    /// Where the provider's own session ends, and leads back from (azure.md, section 7.1). What
    /// happens then travels sealed in `state`: the place to go to, or nothing for the page.
    fn sign_out_at_provider(&self, member: &SignedIn) -> Option<String> {
        if !self.portal.signs_out_at_provider {
            return None;
        }
        let session = member.session();
        let name = session.provider();
        let party = self.proxy.relying_parties.iter().find(|party| &**party.name() == name)?;
        let done = format!("{}{}", self.portal.public_url, self.done());
        let hint = session.at_provider().id_token.as_ref();
        let url = party.end_session_url(session.claims(), hint, &done)?;
        let place = self.named_return("post_logout_redirect_uri");
        let record = place.as_ref().map_or("", ReturnTo::as_str).as_bytes();
        let state = self.proxy.seal.seal(Purpose::SignOut, &self.policy.host, record)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        Some(format!("{url}{separator}state={state}"))
    }

    /// The origins that a sign-out form may lead to, for the page's policy.
    fn sign_out_origins(&self) -> Vec<String> {
        let member = self.signed_in.as_ref();
        let url = member.and_then(|member| self.sign_out_at_provider(member));
        let url = url.and_then(|url| url::Url::parse(&url).ok());
        url.into_iter().map(|url| url.origin().ascii_serialization()).collect()
    }

    fn confirm_sign_out(self) -> Response<Body> {
        let mut action = format!("{}/logout", self.policy.own);
        if let Some(place) = self.named_return("post_logout_redirect_uri") {
            action.push('?');
            action.push_str(&query("post_logout_redirect_uri", place.as_str()));
        }
        let html = pages::confirm_sign_out(&pages::ConfirmSignOut {
            portal: &self.policy.host,
            action: &action,
            stay: HOME,
            request_id: self.asker.request_id(),
        });
        let targets = self.sign_out_origins();
        respond::page(StatusCode::OK, html, &targets, self.asker, self.account)
    }

    /// Where a sign-out ends: the page, or the place that was asked for when it began.
    fn signed_out(self) -> Response<Body> {
        let record = self
            .parameter("state")
            .and_then(|state| self.proxy.seal.open(Purpose::SignOut, &self.policy.host, &state))
            .and_then(|record| String::from_utf8(record).ok());
        let place = record.as_deref().and_then(|place| ReturnTo::parse(place, self.policy));
        if let Some(place) = place {
            return respond::redirect(place.as_str(), self.asker, self.account);
        }
        let href = match *self.portal.providers {
            [only] => self.proxy.relying_parties.get(only),
            _ => None,
        };
        let href = href.map_or_else(
            || format!("{}/login", self.policy.own),
            |party| self.login_link(party.name(), &ReturnTo::root()),
        );
        let html = pages::signed_out(&pages::SignedOut {
            portal: &self.policy.host,
            everywhere: record.is_some(),
            sign_in: Link { label: &self.portal.button_label, href: &href },
            request_id: self.asker.request_id(),
        });
        respond::page(StatusCode::OK, html, &[], self.asker, self.account)
    }

    /// Who am I, in the shape of Easy Auth; never a token.
    fn me(self) -> Response<Body> {
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let (status, body) = match &self.signed_in {
            Some(member) => (StatusCode::OK, json!([describe(member)])),
            None => (StatusCode::UNAUTHORIZED, json!([])),
        };
        respond::json(status, body.to_string(), self.asker, self.account)
    }

    /// The keys by which a portal verifies the assertion. They are public and may be kept a while.
    fn jwks(self) -> Response<Body> {
        if !self.reads_only() {
            return self.only("GET, HEAD");
        }
        let keys = self.proxy.signer.jwks().to_owned();
        let mut response = respond::json(StatusCode::OK, keys, self.asker, self.account);
        let kind = HeaderValue::from_static("application/jwk-set+json");
        respond::set(&mut response, header::CONTENT_TYPE, kind);
        let kept = HeaderValue::from_static("public, max-age=300");
        respond::set(&mut response, header::CACHE_CONTROL, kept);
        response
    }

    fn already_signed_in(self) -> Response<Body> {
        let name =
            self.signed_in.as_ref().and_then(|member| member.session().claims().text("name"));
        let sign_out = format!("{}/logout", self.policy.own);
        let html = pages::signed_in(&pages::SignedIn {
            portal: &self.policy.host,
            name,
            home: HOME,
            sign_out: Link { label: "Sign out", href: &sign_out },
            request_id: self.asker.request_id(),
        });
        let targets = self.sign_out_origins();
        respond::page(StatusCode::OK, html, &targets, self.asker, self.account)
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
    pub(super) fn end_session(&self, id: Option<&SessionId>, how: SessionEnd) {
        if id.is_some_and(|id| self.proxy.sessions.end(id).is_some()) {
            self.proxy.metrics.session_ended(how);
        }
    }

    /// The session id that came with this request.
    pub(super) fn session_id(&self) -> Option<SessionId> {
        cookies::read(self.head.headers.get_all(header::COOKIE)).session
    }

    /// A refusal that somebody may want to know about beyond the access log (LOG-03).
    pub(super) fn audit_refusal(&self, refusal: Refusal) {
        if matches!(refusal, Refusal::PasswordRoute { .. }) {
            let code = Some(refusal.code());
            audit::write(Event::PasswordRouteRefused, &Audit { code, ..self.audit() });
        }
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

    fn reads_only(&self) -> bool {
        matches!(self.head.method, Method::GET | Method::HEAD)
    }

    /// A provider of this portal by its name.
    fn provider(&self, name: &str) -> Option<usize> {
        self.portal.providers.iter().copied().find(|index| {
            let party = self.proxy.relying_parties.get(*index);
            party.is_some_and(|party| &**party.name() == name)
        })
    }

    /// What a link to a provider asks for: `flow` names the journey, and nothing else than a journey
    /// that the provider has is taken for one. A profile is its member's own to change, so whoever
    /// is signed in has to come back as the same person.
    fn asked_journey(&self, provider: usize) -> Option<Challenge> {
        let party = self.proxy.relying_parties.get(provider)?;
        let query = self.head.target.query().unwrap_or_default();
        let mut flows = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name == "flow")
            .map(|(_, flow)| Journey::named(&flow));
        let journey = match (flows.next(), flows.next()) {
            (None, _) => Journey::SignIn,
            (Some(journey), None) => journey.filter(|journey| party.offers(*journey))?,
            (Some(_), Some(_)) => return None,
        };
        let mut demands = party.wishes(query);
        if self.parameter(ACCOUNT).as_deref() == Some(ANOTHER) {
            demands.prompt = Some(party.another_account());
        }
        Some(Challenge { return_to: self.return_to("post_login_redirect_uri"), journey, demands })
    }

    fn return_to(&self, parameter: &str) -> ReturnTo {
        self.named_return(parameter).unwrap_or_else(ReturnTo::root)
    }

    /// A place on our own origin that a query parameter names (RET-01).
    fn named_return(&self, parameter: &str) -> Option<ReturnTo> {
        ReturnTo::parse(&self.parameter(parameter)?, self.policy)
    }

    /// A query parameter that is there exactly once.
    fn parameter(&self, name: &str) -> Option<String> {
        let query = self.head.target.query().unwrap_or_default();
        let mut found = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned());
        found.next().filter(|_| found.next().is_none())
    }

    fn done(&self) -> String {
        format!("{}/logout/done", self.policy.own)
    }
}

/// A query of one parameter.
pub(super) fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// One element of `/.auth/me`: a claim that is a list has an entry for each element, and every
/// value is text, as in the original (azure.md, section 13.1).
pub(super) fn describe(member: &SignedIn) -> Value {
    let session = member.session();
    let claims = session.claims();
    let mut user_claims = Vec::new();
    for (name, value) in claims.iter() {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            user_claims.push(json!({ "typ": name, "val": text }));
        }
    }
    let user_id = claims.text("email").or_else(|| claims.text("preferred_username"));
    let user_id = user_id.map_or_else(|| claims.subject().member_key(), str::to_owned);
    json!({
        "provider_name": session.provider(),
        "user_id": user_id,
        "user_claims": user_claims,
        "expires_on": session.ends().unix_seconds(),
    })
}
