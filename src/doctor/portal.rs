//! A portal behind us: whether it is there, and how it answers. It is asked for pages, as a
//! stranger's browser asks; nothing is posted to it. Deliberately not here: its password doors
//! (`passwords`), and whether there is a way past us (`around`).

use std::sync::Arc;
use std::time::Duration;

use http::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::finding::last_day;
use super::{Case, Check, Finding, Told, passwords};
use crate::config::Portal;
use crate::gate::Timestamp;
use crate::telemetry::causes;
use crate::upstream::{Forwarding, Page, Servers, UpstreamError};

/// For a page, and for all that are looked at for a form.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// How the request is named in the portal's log.
const NAME: HeaderValue = HeaderValue::from_static("anteport-doctor");
/// Days before its end from which on a certificate is spoken of.
const FORTNIGHT: u64 = 14 * 24 * 60 * 60;

/// Looks at the portal of this index.
pub(super) async fn look(case: &Case, index: usize, told: &Told) {
    let Some(portal) = case.config.portals.get(index) else {
        return;
    };
    let servers = Arc::new(Servers::new(portal.upstream.clone()));
    let mut knocking = Vec::new();
    for position in 0..portal.upstream.servers.len() {
        let servers = Arc::clone(&servers);
        knocking.push(tokio::spawn(async move { servers.knock(position).await }));
    }
    let mut reached = None;
    for (position, (server, knock)) in portal.upstream.servers.iter().zip(knocking).enumerate() {
        let subject = format!("{}, {server}", portal.origin());
        match knock.await {
            Ok(Ok(connected)) => {
                reached = reached.or(Some(position));
                let say = "it can be connected to";
                told.tell(Finding::ok(Check::PortalReachable, &subject, say));
                let ends = connected.certificate_ends;
                let now = case.setting.clock.now();
                told.all(ends.map(|ends| certificate(&subject, ends, now)));
            }
            Ok(Err(error)) => told.tell(unreached(&subject, &error)),
            Err(_) => {
                let say = "knocking there ended in a fault of this program";
                told.tell(Finding::error(Check::PortalReachable, &subject, say));
            }
        }
    }
    if let Some(position) = reached {
        let server = At { portal, servers: &servers, position };
        server.pages(case, told).await;
    }
    told.tell(passwords::routes(case, portal));
}

fn certificate(subject: &str, ends: Timestamp, now: Timestamp) -> Finding {
    let told = format!("its certificate ends on {}", last_day(ends));
    match ends.since(now).as_secs() < FORTNIGHT {
        true => Finding::warning(Check::PortalCertificate, subject, told)
            .fix("renew it: from then on nobody gets to the portal"),
        false => Finding::ok(Check::PortalCertificate, subject, told),
    }
}

fn unreached(subject: &str, error: &UpstreamError) -> Finding {
    let fix = match error {
        UpstreamError::Tls(_) => match error.of_tls() {
            Some(rustls::Error::InvalidMessage(_)) => {
                "it does not seem to speak TLS: write `http:` in `upstream.url`, if it is on this \
                 machine or in a network that nobody else reads"
            }
            // What `openssl req -x509` makes.
            Some(error) if error.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is itself that of an authority (`CA:TRUE`), which no server may \
                 show: have it make one with `basicConstraints=CA:FALSE` (`openssl req -x509 \
                 -addext basicConstraints=critical,CA:FALSE`)"
            }
            Some(_) | None => {
                "name the authority of its certificate in `upstream.tls.ca`, and the name that it \
                 is for in `upstream.tls.server_name`"
            }
        },
        UpstreamError::Unreachable { .. } | UpstreamError::ConnectTimeout(_) => {
            "start the portal, or correct `upstream.url`"
        }
        UpstreamError::Busy(_)
        | UpstreamError::ResponseTimeout(_)
        | UpstreamError::Stalled(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Connection(_)
        | UpstreamError::Exchange(_)
        | UpstreamError::Cut
        | UpstreamError::Visitor(_) => "see what the portal's own log says",
    };
    Finding::error(Check::PortalReachable, subject, causes(error)).fix(fix).because(error.code())
}

/// One server of a portal.
pub(super) struct At<'a> {
    pub(super) portal: &'a Portal,
    servers: &'a Servers,
    position: usize,
}

impl At<'_> {
    /// One page.
    pub(super) async fn get(&self, target: &str) -> Result<Page, UpstreamError> {
        let policy = &self.portal.policy;
        let host = HeaderValue::from_str(&policy.host).unwrap_or(NAME);
        let scheme = HeaderValue::from_static(if policy.secure { "https" } else { "http" });
        let address = HeaderValue::from_static("127.0.0.1");
        let forwarding = Forwarding {
            host: &host,
            scheme: &scheme,
            address: &address,
            request_id: &NAME,
            signature: &[],
        };
        let looking = self.servers.look(self.position, target, forwarding);
        let slow = |_| UpstreamError::ResponseTimeout(PATIENCE);
        timeout(PATIENCE, looking).await.map_err(slow)?
    }

    /// The first page, and those where a form may be.
    async fn pages(&self, case: &Case, told: &Told) {
        let subject = self.portal.origin();
        let first = match self.get("/").await {
            Ok(page) => page,
            Err(error) => {
                let say = format!("`GET /` has no answer: {}", causes(&error));
                let fix = "see what the portal's own log says; `upstream.protocol` has to be what \
                           it speaks, and `upstream.url` begins with `https:` if that is TLS";
                let found = Finding::error(Check::PortalAnswer, subject, say);
                return told.tell(found.fix(fix).because(error.code()));
            }
        };
        told.tell(self.answer(&first));
        told.tell(self.headers(&first));
        passwords::forms(case, self, &first, told).await;
    }

    fn answer(&self, page: &Page) -> Finding {
        let (check, subject) = (Check::PortalAnswer, self.portal.origin());
        let host = &self.portal.policy.host;
        let status = page.status;
        let error = |told: String, fix: String| Finding::error(check, subject, told).fix(fix);
        if status.is_redirection() {
            return self.redirect(page);
        }
        match status {
            StatusCode::MISDIRECTED_REQUEST | StatusCode::BAD_REQUEST => error(
                format!("the portal does not know its public host `{host}`: it answers {status}"),
                format!(
                    "add `{host}` to the names that the portal answers for (its virtual host, \
                     allowed hosts or base URL)"
                ),
            ),
            status if status.is_server_error() => error(
                format!("the portal answers `GET /` with {status}"),
                "see what the portal's own log says".to_owned(),
            ),
            StatusCode::NOT_FOUND => {
                let told =
                    format!("the portal has no page at `/` for the host `{host}` ({status})");
                let fix =
                    "nothing, if its pages are elsewhere; else it may not know its public host";
                Finding::warning(check, subject, told).fix(fix)
            }
            status => Finding::ok(check, subject, format!("it answers `GET /` with {status}")),
        }
    }

    /// Where a redirect of the first page leads: away from us it would lead members past us.
    fn redirect(&self, page: &Page) -> Finding {
        let (check, subject) = (Check::PortalAnswer, self.portal.origin());
        let host = &self.portal.policy.host;
        let here = &self.portal.public_url;
        let Some(there) = self.location(page) else {
            let told =
                format!("the portal answers `GET /` with {} and no place to go", page.status);
            return Finding::error(check, subject, told).fix("see what the portal's own log says");
        };
        let origin = there.origin().ascii_serialization();
        if there.origin() != here.origin() && there.host() == here.host() {
            let told = format!(
                "the portal sends visitors from {subject} to {origin}: it does not see how they \
                 come"
            );
            let fix = "let it believe `X-Forwarded-Proto` and `X-Forwarded-Host` of this machine, \
                       or set its base URL to the public one";
            return Finding::error(check, subject, told).fix(fix);
        }
        if there.origin() != here.origin() {
            let told = format!("the portal sends visitors away to {origin}, past Anteport");
            let fix = format!(
                "set the portal's base URL to {subject} and let it answer for the host `{host}`"
            );
            return Finding::error(check, subject, told).fix(fix);
        }
        if there.path() == "/" && there.query().is_none() {
            let told = "the portal sends visitors from its first page to itself, for ever";
            let fix = "let it believe `X-Forwarded-Proto` of this machine";
            return Finding::error(check, subject, told).fix(fix);
        }
        let told = format!("it answers `GET /` with {}, to a page of its own", page.status);
        Finding::ok(check, subject, told)
    }

    fn location(&self, page: &Page) -> Option<Url> {
        let written = page.headers.get(LOCATION)?.to_str().ok()?;
        self.portal.public_url.join(written).ok()
    }

    /// Where a page leads, if that is here.
    pub(super) fn local_redirect(&self, page: &Page) -> Option<Url> {
        let there = self.location(page).filter(|_| page.status.is_redirection())?;
        (there.origin() == self.portal.public_url.origin()).then_some(there)
    }

    fn headers(&self, page: &Page) -> Finding {
        let (check, subject) = (Check::PortalHeaders, self.portal.origin());
        if page.headers.contains_key(WWW_AUTHENTICATE) {
            let told = "the portal's server itself asks for a password (`WWW-Authenticate`)";
            let fix = "turn that off there: in `azure_only` no such credential passes, and nobody \
                       gets in";
            return Finding::warning(check, subject, told).fix(fix);
        }
        let cookies = page.headers.get_all(SET_COOKIE).iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
        let is_open = |cookie: &str| {
            let mut attributes = cookie.split(';').skip(1).map(str::trim);
            !attributes.any(|attribute| attribute.eq_ignore_ascii_case("secure"))
        };
        let open: Vec<&str> = cookies
            .filter(|cookie| self.portal.policy.secure && is_open(cookie))
            .filter_map(|cookie| cookie.split('=').next())
            .filter(|name| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic()))
            .collect();
        if open.is_empty() {
            return Finding::ok(check, subject, "nothing in them is at odds with a gate in front");
        }
        let told = format!("its cookies go over plain HTTP too: `{}`", open.join("`, `"));
        let fix = "let the portal set them with `Secure`: it may have to believe \
                   `X-Forwarded-Proto` for that";
        Finding::warning(check, subject, told).fix(fix)
    }
}
