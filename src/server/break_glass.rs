//! Break-glass: links to a portal's own sign-in, which whoever runs this makes on the admin
//! listener, and for whom the glass is broken. A link is sealed, opens the way once and within
//! minutes, and becomes a pass in one browser for some minutes more. Nothing of it needs the
//! provider or the store: nodes that share a store tell each other of it as long as that answers.
//! Deliberately not here: the page that a link leads to (`glass_door`), and what a broken glass lets
//! through (`gate`).

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::{Portal, Proxy};
use crate::config::{self, BreakGlassLink};
use crate::gate::{Glass, Mode, Policy, Timestamp, cookies};
use crate::kept::Keys as _;
use crate::sessions::Purpose;
use crate::telemetry::admin::{Asked, Objection};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::GlassEvent;

/// No configuration makes links that are good for longer.
const LONGEST_LINK: Duration = Duration::from_secs(60 * 60);

/// What opens the way to one portal's own sign-in.
#[derive(Debug)]
pub(super) struct BreakGlass {
    settings: config::BreakGlass,
    links: Arc<Links>,
}

/// What became of links, whatever the configuration says of them later.
#[derive(Debug)]
struct Links {
    /// Those that were made before, and what they opened, are over. At first that is when this was
    /// put together: what was ended before nobody here remembers, so nothing of then is good.
    ended: AtomicI64,
    /// Those that were opened here.
    opened: Mutex<Vec<Opened>>,
}

/// A link that was opened, remembered as long as it or its pass could be good.
#[derive(Debug)]
struct Opened {
    id: LinkId,
    made: Timestamp,
    link_until: Timestamp,
    pass_until: Timestamp,
}

/// The name of a link; it opens nothing.
pub(super) type LinkId = [u8; 16];

/// What is sealed in a link, and in the pass that it becomes: the one kind opens for the other as
/// little as for another portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// When the link was made.
    pub(super) made: Timestamp,
    /// Until when it is good, or the pass.
    pub(super) until: Timestamp,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkError {
    /// We did not seal it, or not for here, or with a key that is gone.
    #[error("the link was not sealed by us, for this portal, with a key that is here")]
    Unreadable,
    /// Its time is over.
    #[error("the link is too old")]
    Expired,
    /// Somebody has opened it.
    #[error("the link was used already")]
    Used,
    /// All of its time were ended, or it is older than this process.
    #[error("all links of its time were ended, or this was started after it was made")]
    Ended,
    /// It was posted by a page of another site.
    #[error("the link was not posted by a page of ours")]
    Elsewhere,
}

impl LinkError {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "break-glass-link",
            Self::Expired => "break-glass-expired",
            Self::Used => "break-glass-used",
            Self::Ended => "break-glass-ended",
            Self::Elsewhere => "break-glass-elsewhere",
        }
    }
}

/// For whom the glass is broken, and by which link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Broken {
    pub(super) glass: Glass,
    pub(super) link: Option<LinkId>,
}

impl Link {
    fn to_bytes(self) -> Vec<u8> {
        let moments = [self.made, self.until].map(|at| at.unix_millis().to_be_bytes());
        [&self.id[..], moments.as_flattened()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, moments) = bytes.split_first_chunk()?;
        let (made, until) = moments.split_first_chunk()?;
        let until: &[u8; 8] = until.try_into().ok()?;
        let moment = |bytes: &[u8; 8]| Timestamp::from_unix_millis(i64::from_be_bytes(*bytes));
        Some(Self { id: *id, made: moment(made), until: moment(until) })
    }
}

/// A link's name in the log.
pub(super) fn name(id: &LinkId) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

impl BreakGlass {
    /// What the configuration says, if it says anything and the mode has a use for it. What became of
    /// links under the configuration before is known as long as there was something to know.
    pub(super) fn of(
        settings: Option<config::BreakGlass>,
        policy: &Policy,
        now: Timestamp,
        before: Option<&Self>,
    ) -> Option<Self> {
        let settings = settings.filter(|_| policy.mode == Mode::AzureOnly)?;
        if !settings.networks.is_empty() {
            tracing::warn!(
                portal = &*policy.host,
                "break_glass.networks is set: from these addresses everybody passes the portal's \
                 password doors"
            );
        }
        let links = match before {
            Some(before) => Arc::clone(&before.links),
            None => {
                let ended = AtomicI64::new(now.unix_millis());
                Arc::new(Links { ended, opened: Mutex::default() })
            }
        };
        Some(Self { settings, links })
    }

    /// What links there are, if any.
    pub(super) const fn offered(&self) -> Option<BreakGlassLink> {
        self.settings.link
    }

    /// How many passes are good that were opened here.
    pub(super) fn passes(&self, now: Timestamp) -> i64 {
        let opened = self.lock();
        let good = opened.iter().filter(|one| now < one.pass_until && !self.is_ended(one.made));
        i64::try_from(good.count()).unwrap_or(i64::MAX)
    }

    fn is_ended(&self, made: Timestamp) -> bool {
        made.unix_millis() < self.links.ended.load(Ordering::Acquire)
    }

    fn end(&self, before: Timestamp) {
        self.links.ended.fetch_max(before.unix_millis(), Ordering::AcqRel);
    }

    /// Whether a link is good, as far as is known here.
    fn judge(&self, link: &Link, now: Timestamp) -> Result<BreakGlassLink, LinkError> {
        // Links may have been switched off, or made shorter, since.
        let settings = self.settings.link.ok_or(LinkError::Unreadable)?;
        if self.is_ended(link.made) {
            return Err(LinkError::Ended);
        }
        if now >= link.until.min(link.made.after(settings.lifetime)) {
            return Err(LinkError::Expired);
        }
        match self.lock().iter().any(|opened| opened.id == link.id) {
            true => Err(LinkError::Used),
            false => Ok(settings),
        }
    }

    /// Spends a link here: once, also for two who come at the same moment.
    fn spend(&self, link: &Link, pass_until: Timestamp, now: Timestamp) -> bool {
        let mut opened = self.lock();
        opened.retain(|one| now < one.link_until || now < one.pass_until);
        if opened.iter().any(|one| one.id == link.id) {
            return false;
        }
        let Link { id, made, until: link_until } = *link;
        opened.push(Opened { id, made, link_until, pass_until });
        true
    }

    /// Whoever has a pass wants it no longer: a copy of it is worthless here from now on (SESS-04).
    fn give_back(&self, pass: &Link, now: Timestamp) {
        let Link { id, made, until } = *pass;
        let mut opened = self.lock();
        opened.retain(|one| one.id != id);
        // Remembered for as long as the link or its pass could be good.
        let link_until = until.max(made.after(LONGEST_LINK));
        opened.push(Opened { id, made, link_until, pass_until: now });
    }

    fn is_given_back(&self, id: &LinkId, now: Timestamp) -> bool {
        self.lock().iter().any(|one| one.id == *id && now >= one.pass_until)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.links.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        if let Some(pass) = self.pass(glass, policy, headers, now)
            && !self.is_ended_elsewhere(glass, policy, &pass).await
        {
            return Broken { glass: Glass::Link, link: Some(pass.id) };
        }
        let is_listed = |visitor| glass.settings.networks.contain(visitor);
        match self.stranger(visitor).is_some_and(is_listed) {
            true => Broken { glass: Glass::Network, link: None },
            false => Broken::default(),
        }
    }

    /// The pass of a browser, if it is good as far as is known here. Any other is as none.
    fn pass(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Link> {
        let links = glass.offered()?;
        let sealed = cookies::once(cookies::BREAK_GLASS, headers.get_all(header::COOKIE))?;
        let record = self.seal.open(Purpose::BreakGlassPass, &policy.host, sealed)?;
        let pass = Link::from_bytes(&record)?;
        let longest = pass.made.after(links.lifetime).after(links.pass);
        let is_good = now < pass.until.min(longest)
            && !glass.is_ended(pass.made)
            && !glass.is_given_back(&pass.id, now);
        is_good.then_some(pass)
    }

    /// Whether another node was told that it is over. A store that does not answer is no reason to
    /// shut out whoever mends it.
    async fn is_ended_elsewhere(&self, glass: &BreakGlass, policy: &Policy, link: &Link) -> bool {
        if let Ok(Some(before)) = self.sessions.links_ended(&policy.host).await {
            glass.end(before);
        }
        glass.is_ended(link.made)
    }

    /// Takes the pass of a browser back; whether it had a good one.
    pub(super) fn give_back_pass(
        &self,
        glass: &BreakGlass,
        policy: &Policy,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> bool {
        let pass = self.pass(glass, policy, headers, now);
        pass.inspect(|pass| glass.give_back(pass, now)).is_some()
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
        if self.is_ended_elsewhere(glass, policy, &link).await {
            return Err(LinkError::Ended);
        }
        match self.sessions.spend_link(&link.id).await {
            Ok(true) => {}
            Ok(false) => return Err(LinkError::Used),
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
    pub(super) fn make_link(&self, asked: &Asked) -> Result<Value, Objection> {
        asked.only(&["portal", "reason", "by"])?;
        let reason = asked.one("reason").filter(|text| is_line(text)).ok_or(Objection::Reason)?;
        let by = asked.one("by");
        if by.is_some_and(|by| !is_line(by)) {
            return Err(Objection::Reason);
        }
        let (index, policy, portal) = self.meant(asked)?;
        let links = portal.break_glass.as_ref().and_then(BreakGlass::offered);
        let links = links.ok_or(Objection::BreakGlassOff)?;
        let now = self.clock.now();
        let mut id = LinkId::default();
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Objection::NotMade)?;
        let link = Link { id, made: now, until: now.after(links.lifetime) };
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
    pub(super) async fn end_links(&self, asked: &Asked) -> Result<Value, Objection> {
        asked.only(&["portal", "reason", "by"])?;
        let (reason, by) = (asked.one("reason"), asked.one("by"));
        if !reason.is_none_or(is_line) || !by.is_none_or(is_line) {
            return Err(Objection::Reason);
        }
        let (index, policy, portal) = self.meant(asked)?;
        let glass = portal.break_glass.as_ref().ok_or(Objection::BreakGlassOff)?;
        let now = self.clock.now();
        let passes = glass.passes(now);
        // One that was made in this very moment is over too.
        let before = now.after(Duration::from_millis(1));
        glass.end(before);
        self.metrics.portal(index).switch.link(GlassEvent::Ended);
        self.audit_of_operator(Event::BreakGlassEnded, policy, None, by, reason);
        // What is over here is over, whoever else could not be told.
        let told = self.sessions.end_links(&policy.host, before).await;
        told.map_err(|_| Objection::StoreUnavailable)?;
        let is_alone = self.keys.keys().is_fixed() || self.sessions.tell_of_links();
        Ok(json!({ "passes": passes, "others_may_not_know": !is_alone }))
    }

    /// Whoever was here before may have made links, and opened and ended some, until now.
    pub(super) fn end_links_of_before(&self) {
        let now = self.clock.now().after(Duration::from_millis(1));
        self.portals.iter().filter_map(|portal| portal.break_glass.as_ref()).for_each(|glass| {
            glass.end(now);
        });
    }

    /// The portal that is named, by its host or its public URL; the only one needs no name.
    fn meant(&self, asked: &Asked) -> Result<(usize, &Policy, &Portal), Objection> {
        let mut all = self.policies.iter().zip(&self.portals).enumerate();
        let found = match (asked.one("portal"), self.portals.len()) {
            (None, 1) => all.next(),
            (None, _) => None,
            (Some(name), _) => all.find(|(_, (policy, portal))| {
                *policy.host == *name || portal.public_url == name.trim_end_matches('/')
            }),
        };
        let (index, (policy, portal)) = found.ok_or(Objection::PortalUnknown)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let link = Link { id: [7; 16], made: now, until: now.after(Duration::from_secs(600)) };
        let bytes = link.to_bytes();
        assert_eq!(bytes.len(), 32);
        assert_eq!(Link::from_bytes(&bytes), Some(link));
        for length in 0..32 {
            assert_eq!(Link::from_bytes(&bytes[..length]), None, "{length}");
        }
    }
}
