//! Break-glass: links to a portal's own sign-in, which whoever runs this makes on the admin
//! listener, and for whom the glass is broken. A link is sealed, opens the way once and within
//! minutes, and becomes a pass in one browser for some minutes more. Nothing of it needs the
//! provider or the store: nodes that share a store tell each other of it as long as that answers.
//! What was let through and goes on without requests goes on for as long as a request would be let
//! through (SESS-10). Deliberately not here: the page that a link leads to (`glass_door`), what a
//! broken glass lets through (`gate`), and how what goes on is closed (`bound`).

mod links;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use serde_json::{Value, json};

pub(super) use self::links::{BreakGlass, LinkError, name};
use self::links::{Link, LinkId};
use super::{Portal, Proxy};
use crate::config::BreakGlassLink;
use crate::gate::{Glass, Mode, Policy, Timestamp, cookies};
use crate::kept::Keys as _;
use crate::sessions::Purpose;
use crate::telemetry::admin::{Asked, Objected, Objection};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::GlassEvent;

/// What has let something through that goes on without requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Opening {
    host: Arc<str>,
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    Pass(Link),
    Network(IpAddr),
}

impl By {
    const fn pass(&self) -> Option<Link> {
        match self {
            Self::Pass(pass) => Some(*pass),
            Self::Network(_) => None,
        }
    }
}

/// For whom the glass is broken, and by which pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Broken {
    pub(super) glass: Glass,
    pub(super) pass: Option<Link>,
}

impl Proxy {
    /// For whom the glass is broken: for who has a pass, and for who is at one of the addresses that
    /// are listed and is no proxy of ours.
    pub(super) async fn broken(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        visitor: IpAddr,
        now: Timestamp,
    ) -> Broken {
        if let Some(pass) = self.pass(glass, policy, headers, now) {
            self.learn(glass, &policy.host, &[pass]).await;
            if glass.has(&pass, now) {
                return Broken { glass: Glass::Link, pass: Some(pass) };
            }
        }
        match self.is_listed(glass, visitor) {
            true => Broken { glass: Glass::Network, pass: None },
            false => Broken::default(),
        }
    }

    /// Whether the configuration names this address, and it is no proxy's.
    fn is_listed(&self, glass: &BreakGlass, visitor: IpAddr) -> bool {
        self.stranger(visitor).is_some_and(|visitor| glass.names(visitor))
    }

    /// The pass of a browser, if it is good as far as is known here. Any other is as none.
    fn pass(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Link> {
        glass.offered()?;
        let sealed = cookies::once(cookies::BREAK_GLASS, headers.get_all(header::COOKIE))?;
        let record = self.seal.open(Purpose::BreakGlassPass, &policy.host, sealed)?;
        let pass = Link::from_bytes(&record)?;
        glass.has(&pass, now).then_some(pass)
    }

    /// Asks what other nodes were told, of all links and of these. A store that does not answer is no
    /// reason to shut out whoever mends it.
    async fn learn(&self, glass: &BreakGlass, host: &str, passes: &[Link]) {
        let ids = passes.iter().map(|pass| pass.id).collect();
        let ended = self.sessions.links_ended(host);
        let (ended, given_back) = tokio::join!(ended, self.sessions.links_given_back(ids));
        if let Ok(Some(at)) = ended {
            glass.were_ended(at);
        }
        passes.iter().filter(|pass| given_back.contains(&pass.id)).for_each(|pass| {
            glass.give_back(pass);
        });
    }

    /// What has let a request through, if that goes on without requests.
    pub(super) fn opening(&self, policy: &Policy, broken: &Broken, visitor: IpAddr) -> Opening {
        let by = broken.pass.map_or(By::Network(visitor), By::Pass);
        Opening { host: Arc::clone(&policy.host), by }
    }

    /// Whether a request would be let through, as far as is known here.
    pub(super) fn lets_through(&self, opening: &Opening, now: Timestamp) -> bool {
        let mut portals = self.policies.iter().zip(&self.portals);
        let found = portals.find(|(policy, _)| policy.host == opening.host);
        found.is_some_and(|(policy, portal)| match (policy.mode, &portal.break_glass) {
            // Nothing is shut there.
            (Mode::Off | Mode::Optional | Mode::ReportOnly, _) => true,
            (Mode::AzureOnly, None) => false,
            (Mode::AzureOnly, Some(glass)) => match &opening.by {
                By::Pass(pass) => glass.has(pass, now),
                By::Network(visitor) => self.is_listed(glass, *visitor),
            },
        })
    }

    /// Asks the other nodes, by the store, about what goes on, and closes what would not be let
    /// through any more (SESS-10); to be called about every second, beside the requests.
    pub(super) async fn look_after_openings(&self) {
        let all = self.openings.all();
        for (policy, portal) in self.policies.iter().zip(&self.portals) {
            let of_it = all.iter().filter(|opening| opening.host == policy.host);
            let passes: Vec<Link> = of_it.filter_map(|opening| opening.by.pass()).collect();
            if let Some(glass) = portal.break_glass.as_ref().filter(|_| !passes.is_empty()) {
                self.learn(glass, &policy.host, &passes).await;
            }
        }
        self.close_openings();
    }

    /// The same by what is known here, which waits for no store.
    pub(super) fn close_openings(&self) {
        let now = self.clock.now();
        let all = self.openings.all();
        for opening in all.iter().filter(|opening| !self.lets_through(opening, now)) {
            self.openings.close(opening);
        }
    }

    /// Takes the pass of a browser back; whether it had a good one.
    pub(super) async fn give_back_pass(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> bool {
        let pass = self.pass(glass, policy, headers, now);
        if let Some(pass) = &pass {
            self.give_back(glass, policy, pass, now).await;
        }
        pass.is_some()
    }

    /// The same where a browser gets a new pass: it has one, for nobody would give the one before
    /// back (SESS-04). The same link, opened once more on a node that could not know of the first
    /// time, gives the same pass, which stays.
    pub(super) async fn give_back_earlier_pass(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        new: &Link,
        now: Timestamp,
    ) {
        if let Some(pass) = self.pass(glass, policy, headers, now).filter(|it| it.id != new.id) {
            self.give_back(glass, policy, &pass, now).await;
        }
    }

    async fn give_back(&self, glass: &BreakGlass, policy: &Policy, pass: &Link, now: Timestamp) {
        glass.give_back(pass);
        let link = name(&pass.id);
        let audit = Audit {
            portal: Some(&policy.host),
            session: Some(&link),
            cause: Some("given back"),
            ..Audit::default()
        };
        audit::write(Event::BreakGlassEnded, &audit);
        if let Err(error) = self.sessions.give_link_back(&pass.id, now).await {
            tracing::warn!(
                portal = &*policy.host,
                code = error.code(),
                link,
                "a break-glass pass was given back here, and other nodes could not be told"
            );
        }
    }

    /// A link in its seal, if it can be opened; nothing is used up by it.
    pub(super) fn read_link(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        sealed: &str,
        now: Timestamp,
    ) -> Result<(Link, BreakGlassLink), LinkError> {
        let record = self.seal.open(Purpose::BreakGlassLink, &policy.host, sealed);
        let link = record.and_then(|record| Link::from_bytes(&record));
        let link = link.ok_or(LinkError::Unreadable)?;
        let settings = glass.judge(&link, now)?;
        Ok((link, settings))
    }

    /// Spends a link: the pass that it becomes, sealed, and until when that is good.
    pub(super) async fn open_link(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        sealed: &str,
        now: Timestamp,
    ) -> Result<(Link, String, Duration), LinkError> {
        let (link, settings) = self.read_link(glass, policy, sealed, now)?;
        let pass = Link { until: now.after(settings.pass), ..link };
        let text = self.seal.seal(Purpose::BreakGlassPass, &policy.host, &pass.to_bytes());
        let text = text.ok_or(LinkError::Unreadable)?;
        if !glass.spend(&link, pass.until, now) {
            return Err(LinkError::Used);
        }
        self.learn(glass, &policy.host, &[]).await;
        if glass.is_ended(&link) {
            return Err(LinkError::Ended);
        }
        match self.sessions.spend_link(&link.id).await {
            Ok(true) => {}
            Ok(false) => {
                glass.spent_elsewhere(&link);
                return Err(LinkError::Used);
            }
            // It is spent here; another node that cannot ask either may open it once more.
            Err(error) => tracing::warn!(
                portal = &*policy.host,
                code = error.code(),
                link = name(&link.id),
                "a break-glass link was opened while the store of sessions does not answer"
            ),
        }
        Ok((pass, text, settings.pass))
    }

    /// Makes a link for whoever runs this.
    pub(super) async fn make_link(&self, asked: &Asked) -> Result<Value, Objected> {
        asked.only(&["portal", "reason", "by"])?;
        let reason = asked.one("reason").filter(|text| is_line(text)).ok_or(Objection::Reason)?;
        let by = asked.one("by");
        if by.is_some_and(|by| !is_line(by)) {
            return Err(Objection::Reason.into());
        }
        let (index, policy, portal) = self.meant(asked)?;
        let glass = portal.break_glass.as_ref().ok_or(Objection::BreakGlassOff)?;
        let links = glass.offered().ok_or(Objection::BreakGlassOff)?;
        // What was ended on another node does not end this one.
        self.learn(glass, &policy.host, &[]).await;
        let now = self.clock.now();
        let mut id = LinkId::default();
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Objection::NotMade)?;
        let (until, after) = (now.after(links.lifetime), glass.last_end());
        let link = Link { id, made: now, until, after };
        let code = self.seal.seal(Purpose::BreakGlassLink, &policy.host, &link.to_bytes());
        let code = code.ok_or(Objection::NotMade)?;
        self.metrics.portal(index).switch.link(GlassEvent::Made);
        self.audit_of_operator(Event::BreakGlassMade, policy, Some(&link), by, Some(reason));
        let page = format!("{}{}/break-glass", portal.public_url, policy.own);
        Ok(json!({
            "link": format!("{page}?link={code}"),
            "page": page,
            "code": code,
            "name": name(&id),
            "until": link.until.to_utc_date_time(),
            "pass_seconds": links.pass.as_secs(),
            "on_this_node_alone": self.keys.keys().is_fixed(),
        }))
    }

    /// Ends all links of a portal, and what they opened.
    pub(super) async fn end_links(&self, asked: &Asked) -> Result<Value, Objected> {
        asked.only(&["portal", "reason", "by"])?;
        let (reason, by) = (asked.one("reason"), asked.one("by"));
        if !reason.is_none_or(is_line) || !by.is_none_or(is_line) {
            return Err(Objection::Reason.into());
        }
        let (index, policy, portal) = self.meant(asked)?;
        let glass = portal.break_glass.as_ref().ok_or(Objection::BreakGlassOff)?;
        let now = self.clock.now();
        let passes = glass.passes(now);
        // At once; and later than what others have ended, whatever the clocks say.
        glass.end_all(now);
        self.metrics.portal(index).switch.link(GlassEvent::Ended);
        self.audit_of_operator(Event::BreakGlassEnded, policy, None, by, reason);
        self.learn(glass, &policy.host, &[]).await;
        let ended = glass.end_all(now);
        // What is over here is over, whoever else could not be told.
        let told = self.sessions.end_links(&policy.host, ended).await;
        told.map_err(|_| Objection::StoreUnavailable)?;
        let is_alone = self.keys.keys().is_fixed() || self.sessions.tell_of_links();
        Ok(json!({ "passes": passes, "others_may_not_know": !is_alone }))
    }

    /// Whoever was here before may have made links, and opened and ended some, until now.
    pub(super) fn end_links_of_before(&self) {
        let now = self.clock.now();
        let all = self.portals.iter().filter_map(|portal| portal.break_glass.as_ref());
        all.for_each(|glass| glass.ends_what_was(now));
    }

    /// The portal that is named, by its host or its public URL; the only one needs no name.
    fn meant(&self, asked: &Asked) -> Result<(usize, &Policy, &Portal), Objected> {
        let mut all = self.policies.iter().zip(&self.portals).enumerate();
        let found = match (asked.one("portal"), self.portals.len()) {
            (None, 1) => all.next(),
            (None, _) => None,
            (Some(name), _) => all.find(|(_, (policy, portal))| {
                *policy.host == *name || portal.public_url == name.trim_end_matches('/')
            }),
        };
        let (index, (policy, portal)) = found.ok_or_else(|| self.portal_unknown())?;
        Ok((index, policy, portal))
    }

    fn audit_of_operator(
        &self,
        event: Event,
        policy: &Policy,
        link: Option<&Link>,
        by: Option<&str>,
        reason: Option<&str>,
    ) {
        let name = link.map(|link| name(&link.id));
        let said: Vec<&str> = by.into_iter().chain(reason).collect();
        let cause = said.join(": ");
        let cause = (!cause.is_empty()).then_some(cause.as_str());
        let audit = Audit {
            portal: Some(&policy.host),
            session: name.as_deref(),
            cause,
            ..Audit::default()
        };
        audit::write(event, &audit);
    }
}

/// What somebody says of themselves and why: for the log, on one line.
fn is_line(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
