//! The page that a break-glass link leads to. To look at it uses nothing up, so that what previews
//! links, or scans them, cannot: the link is spent by the form on it. Deliberately not here: what
//! makes a link good (`break_glass`).

use http::{Method, Response, StatusCode};

use super::account::Body;
use super::break_glass::{self, LinkError};
use super::parameters::{at_most_once, once};
use super::request::Visit;
use super::respond::{self, HOME, Said};
use crate::gate::may_be_from_own_page;
use crate::pages;
use crate::sessions::cookie;
use crate::telemetry::Verdict;
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::GlassEvent;
use crate::upstream::RequestBody;

/// The parameter with the link's code, in the query and in the form.
const LINK: &str = "link";
/// The most bytes of the form; a code is far shorter.
const LONGEST: usize = 1024;

impl Visit<'_> {
    /// Asks whether the way is to be opened, and opens it.
    pub(super) async fn break_glass(self, body: RequestBody) -> Response<Body> {
        let portal = self.portal;
        let glass = portal.break_glass.as_ref().filter(|glass| glass.offered().is_some());
        let Some(glass) = glass else {
            return self.unknown();
        };
        match self.head.method {
            Method::GET | Method::HEAD => {}
            Method::POST => return self.open_link(glass, body).await,
            _ => return self.only("GET, HEAD, POST"),
        }
        let query = self.head.target.query().unwrap_or_default();
        let code = match at_most_once(query, &[LINK]) {
            true => self.parameter(LINK),
            false => return self.refuse_link(LinkError::Unreadable),
        };
        if let Some(code) = &code
            && let Err(error) = self.proxy.read_link(glass, self.policy, code, self.now)
        {
            return self.refuse_link(error);
        }
        let action = format!("{}/break-glass", self.policy.own);
        let page = pages::break_glass(
            &pages::BreakGlass {
                portal: &self.policy.host,
                action: &action,
                field: LINK,
                code: code.as_deref(),
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        respond::page(StatusCode::OK, page, &[], self.asker, self.account)
    }

    async fn open_link(self, glass: &break_glass::BreakGlass, body: RequestBody) -> Response<Body> {
        if !may_be_from_own_page(self.policy, &self.head.headers) {
            return self.refuse_link(LinkError::Elsewhere);
        }
        let form = match self.posted(body, LONGEST).await {
            Ok(form) => form,
            Err(error) => return respond::uninspected(&error, self.asker, self.account),
        };
        let code = once(&form, LINK).unwrap_or_default();
        let opening = self.proxy.open_link(glass, self.policy, code.trim(), self.now);
        let (pass, sealed, kept) = match opening.await {
            Ok(opened) => opened,
            Err(error) => return self.refuse_link(error),
        };
        let headers = &self.head.headers;
        self.proxy.give_back_earlier_pass(glass, self.policy, headers, &pass, self.now).await;
        self.switch_metrics(GlassEvent::Opened);
        let name = break_glass::name(&pass.id);
        let until = pass.until.to_utc_date_time();
        let cause = format!("until {until}");
        audit::write(
            Event::BreakGlassOpened,
            &Audit { session: Some(&name), cause: Some(&cause), ..self.audit() },
        );
        let page = pages::glass_broken(
            &pages::GlassBroken {
                portal: &self.policy.host,
                until: &until,
                home: HOME,
                request_id: self.asker.request_id(),
            },
            &self.portal.look,
        );
        let mut response = respond::page(StatusCode::OK, page, &[], self.asker, self.account);
        respond::add_cookie(&mut response, cookie::break_glass(sealed, kept));
        response
    }

    /// A link that is not good: loud, and without a word of it.
    fn refuse_link(mut self, error: LinkError) -> Response<Body> {
        self.switch_metrics(GlassEvent::Refused);
        let code = error.code();
        let audit = Audit { code: Some(code), ..self.audit() };
        audit::write(Event::BreakGlassRefused, &audit);
        self.account.decided(Verdict::Refuse, Some(code));
        let status = match error {
            LinkError::Unreadable => StatusCode::BAD_REQUEST,
            LinkError::Expired | LinkError::Ended => StatusCode::GONE,
            LinkError::Used => StatusCode::CONFLICT,
            LinkError::Elsewhere => StatusCode::FORBIDDEN,
        };
        let said = Said { action: Some(HOME), ..Said::new(status, code) };
        respond::say(&said, self.asker, self.account)
    }

    fn switch_metrics(&self, event: GlassEvent) {
        if let Some(metrics) = self.account.metrics() {
            metrics.switch.link(event);
        }
    }
}
