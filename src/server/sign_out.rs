//! Signing out: here, by configuration at the provider, and where that ends. Deliberately not here:
//! what a provider says of sign-outs by itself (`provider_logout`).

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::account::Body;
use super::own::query;
use super::request::Visit;
use super::respond::{self, HOME};
use crate::gate::{ReturnTo, is_fetched_early};
use crate::pages::{self, Link};
use crate::sessions::{Purpose, SignedIn, StoreError, cookie};
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::SessionEnd;

impl Visit<'_> {
    /// Ends the session here and, by configuration, at the provider. A GET acts at once only if
    /// fetch metadata shows our own site or the visitor; everything else is asked first (UI-03).
    pub(super) async fn sign_out(mut self) -> Response<Body> {
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
        // First: it takes no store, and whoever could not be signed out for want of one has given it
        // back all the same.
        let pass = if is_meant { self.give_pass_back().await } else { None };
        let Some(member) = self.signed_in.clone() else {
            // A form of another site comes without our cookies, which is no reason to take them.
            let is_bare = !is_meant && self.session_id().is_none();
            let forgotten = match is_meant {
                true => self.forget_browser().await,
                false => Ok(Vec::new()),
            };
            let forgotten = match forgotten {
                Ok(forgotten) => forgotten,
                Err(error) => return self.not_signed_out(error, pass),
            };
            let gone = if is_bare { Vec::new() } else { self.no_session() };
            let mut response = respond::redirect(&self.done(), self.asker, self.account);
            for cookie in gone {
                respond::add_cookie(&mut response, Some(cookie));
            }
            for cookie in forgotten.into_iter().chain([pass]) {
                respond::add_cookie(&mut response, cookie);
            }
            return response;
        };
        if !is_meant {
            return self.confirm_sign_out();
        }
        let at_provider = self.sign_out_at_provider(&member);
        let forgotten = match self.end_for_good().await {
            Ok(forgotten) => forgotten,
            Err(error) => return self.not_signed_out(error, pass),
        };
        let next = match at_provider {
            Some(provider) => provider,
            None => match self.named_return("post_logout_redirect_uri") {
                Some(place) => place.as_str().to_owned(),
                None => self.done(),
            },
        };
        self.account.decided(Verdict::Own, None);
        let gone = self.no_session();
        let mut response = respond::redirect(&next, self.asker, self.account);
        for cookie in gone {
            respond::add_cookie(&mut response, Some(cookie));
        }
        for cookie in forgotten.into_iter().chain([pass]) {
            respond::add_cookie(&mut response, cookie);
        }
        // What the browser kept of the portal must not be shown by going back.
        let clear = HeaderName::from_static("clear-site-data");
        respond::set(&mut response, clear, HeaderValue::from_static("\"cache\""));
        response
    }

    /// The store does not answer, and the session stays; the pass does not.
    fn not_signed_out(self, error: StoreError, pass: Option<HeaderValue>) -> Response<Body> {
        let mut response = respond::store(error, self.asker, self.account);
        respond::add_cookie(&mut response, pass);
        response
    }

    /// Gives a break-glass pass back, and takes its cookie.
    async fn give_pass_back(&self) -> Option<HeaderValue> {
        let glass = self.portal.break_glass.as_ref()?;
        let headers = &self.head.headers;
        let had = self.proxy.give_back_pass(glass, self.policy, headers, self.now).await;
        had.then(cookie::no_break_glass).flatten()
    }

    /// Takes the session's cookies back.
    fn no_session(&self) -> Vec<HeaderValue> {
        cookie::no_session(self.head.headers.get_all(header::COOKIE)).collect()
    }

    /// Ends this browser's session and what it has under way.
    async fn end_for_good(&self) -> Result<Vec<Option<HeaderValue>>, StoreError> {
        if let Some(id) = self.session_id() {
            let (ended, told) = self.proxy.sessions.sign_out(&id, self.now).await;
            if let Some(member) = ended {
                self.ended(&member, SessionEnd::Logout, None);
            }
            told?;
        }
        self.forget_browser().await
    }

    /// Counts a session that somebody has ended, and tells of it (LOG-03).
    pub(super) fn ended(&self, member: &SignedIn, how: SessionEnd, way: Option<&str>) {
        self.proxy.metrics.session_ended(how);
        audit::write(
            Event::LoggedOut,
            &Audit {
                provider: Some(member.session().provider()),
                member: Some(&member.session().claims().subject().member_key()),
                session: Some(member.session().handle()),
                cause: way,
                ..self.audit()
            },
        );
    }

    /// Takes back what the browser has of us beside the session: logins under way, and who was
    /// signed in.
    async fn forget_browser(&self) -> Result<Vec<Option<HeaderValue>>, StoreError> {
        let mut forgotten = self.forget_logins().await?;
        if self.policy.resend_forms.is_some() {
            forgotten.push(cookie::no_member());
        }
        Ok(forgotten)
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
        let place = self.named_return("post_logout_redirect_uri");
        let record = place.as_ref().map_or("", ReturnTo::as_str).as_bytes();
        let state = self.proxy.seal.seal(Purpose::SignOut, &self.policy.host, record)?;
        party.end_session_url(session.claims(), hint, &done, &state)
    }

    /// The origins that a sign-out form may lead to, for the page's policy.
    pub(super) fn sign_out_origins(&self) -> Vec<String> {
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
        let page = pages::confirm_sign_out(
            &pages::ConfirmSignOut {
                portal: &self.policy.host,
                action: &action,
                stay: HOME,
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        let targets = self.sign_out_origins();
        respond::page(StatusCode::OK, page, &targets, self.asker, self.account)
    }

    /// Where a sign-out ends: the page, or the place that was asked for when it began.
    pub(super) fn signed_out(self) -> Response<Body> {
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
        let page = pages::signed_out(
            &pages::SignedOut {
                portal: &self.policy.host,
                everywhere: record.is_some(),
                sign_in: Link { label: &self.portal.button_label, href: &href },
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }
}
