//! Break-glass: links to a portal's own sign-in, which whoever runs this makes on the admin
//! listener, and for whom the glass is broken. A link is sealed, opens the way once and within
//! minutes, and becomes a pass in one browser for some minutes more. Nothing of it needs the
//! provider or the store: nodes that share a store tell each other of it as long as that answers.
//! What was let through and goes on without requests goes on for as long as a request would be let
//! through (SESS-10). Deliberately not here: the page that a link leads to (`glass_door`), what a
//! broken glass lets through (`gate`), and how what goes on is closed (`bound`).

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
use crate::telemetry::admin::{Asked, Objected, Objection};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::GlassEvent;

/// No configuration makes links that are good for longer.
const LONGEST_LINK: Duration = Duration::from_secs(60 * 60);
/// How far the clocks of two nodes may be apart (REL-03).
const CLOCKS: Duration = Duration::from_secs(60);

/// What opens the way to one portal's own sign-in.
#[derive(Debug)]
pub(super) struct BreakGlass {
    settings: config::BreakGlass,
    links: Arc<Links>,
}

/// What became of links, whatever the configuration says of them later.
#[derive(Debug)]
struct Links {
    /// Those that were made before, and what they opened, are over: what became of them until then
    /// nobody here remembers, so nothing of then is good.
    began: AtomicI64,
    /// When all were ended last, as far as is known here.
    ended: AtomicI64,
    /// Those that were opened here, or given back.
    opened: Mutex<Vec<Opened>>,
}

/// A link that was opened, remembered as long as it or its pass could be good.
#[derive(Debug)]
struct Opened {
    link: Link,
    until: Timestamp,
    pass: Pass,
}

/// What became of a link that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// A pass that was given here, until then.
    Given(Timestamp),
    /// Whoever had the pass wants it no longer.
    GivenBack,
    /// Another node had opened it before.
    Elsewhere,
}

/// The name of a link; it opens nothing.
pub(super) type LinkId = [u8; 16];

/// What is sealed in a link, and in the pass that it becomes: the one kind opens for the other as
/// little as for another portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// When the link was made.
    pub(super) made: Timestamp,
    /// Until when it is good, or the pass.
    pub(super) until: Timestamp,
    /// The last end of all links that whoever made it knew of.
    after: Timestamp,
}

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

/// For whom the glass is broken, and by which pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Broken {
    pub(super) glass: Glass,
    pub(super) pass: Option<Link>,
}

impl Link {
    fn to_bytes(self) -> Vec<u8> {
        let moments = [self.made, self.until, self.after].map(|at| at.unix_millis().to_be_bytes());
        [&self.id[..], moments.as_flattened()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, moments) = bytes.split_first_chunk()?;
        let (made, moments) = moments.split_first_chunk()?;
        let (until, after) = moments.split_first_chunk()?;
        let after: &[u8; 8] = after.try_into().ok()?;
        let moment = |bytes: &[u8; 8]| Timestamp::from_unix_millis(i64::from_be_bytes(*bytes));
        Some(Self { id: *id, made: moment(made), until: moment(until), after: moment(after) })
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
                let (began, ended) = (AtomicI64::new(now.unix_millis()), AtomicI64::new(i64::MIN));
                Arc::new(Links { began, ended, opened: Mutex::default() })
            }
        };
        Some(Self { settings, links })
    }

    /// What links there are, if any.
    pub(super) const fn offered(&self) -> Option<BreakGlassLink> {
        self.settings.link
    }

    /// How many passes are good that were given here.
    pub(super) fn passes(&self, now: Timestamp) -> i64 {
        let opened = self.lock();
        let good = opened.iter().filter(|one| match one.pass {
            Pass::Given(until) => self.is_in_time(&Link { until, ..one.link }, now),
            Pass::GivenBack | Pass::Elsewhere => false,
        });
        i64::try_from(good.count()).unwrap_or(i64::MAX)
    }

    /// Whether a link was made before the last end of all. Whoever made it without knowing of that has
    /// a clock of their own, which may be ahead of the one by which they were ended: theirs has to be
    /// later by more than two clocks may differ.
    fn is_ended(&self, link: &Link) -> bool {
        let links = &self.links;
        let ended = self.last_end();
        let is_known = link.after >= ended;
        link.made.unix_millis() < links.began.load(Ordering::Acquire)
            || (!is_known && link.made < ended.after(CLOCKS))
    }

    /// The last end of all links that is known here.
    fn last_end(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.links.ended.load(Ordering::Acquire))
    }

    /// All were ended then, as somebody says.
    fn were_ended(&self, at: Timestamp) {
        self.links.ended.fetch_max(at.unix_millis(), Ordering::AcqRel);
    }

    /// Ends all that there are. That is later than every end that is known here, also by a clock that
    /// is behind: what was made after that one is over, too.
    fn end_all(&self, now: Timestamp) -> Timestamp {
        let later = |known: i64| known.saturating_add(1).max(now.unix_millis());
        let ended = &self.links.ended;
        let known =
            ended.fetch_update(Ordering::AcqRel, Ordering::Acquire, |known| Some(later(known)));
        let (Ok(known) | Err(known)) = known;
        Timestamp::from_unix_millis(later(known))
    }

    /// Whether a link is good, as far as is known here.
    fn judge(&self, link: &Link, now: Timestamp) -> Result<BreakGlassLink, LinkError> {
        // Links may have been switched off, or made shorter, since.
        let settings = self.settings.link.ok_or(LinkError::Unreadable)?;
        if self.is_ended(link) {
            return Err(LinkError::Ended);
        }
        if now >= link.until.min(link.made.after(settings.lifetime)) {
            return Err(LinkError::Expired);
        }
        match self.lock().iter().any(|opened| opened.link.id == link.id) {
            true => Err(LinkError::Used),
            false => Ok(settings),
        }
    }

    /// Spends a link here: once, also for two who come at the same moment.
    fn spend(&self, link: &Link, pass_until: Timestamp, now: Timestamp) -> bool {
        let mut opened = self.lock();
        opened.retain(|one| now < one.until);
        if opened.iter().any(|one| one.link.id == link.id) {
            return false;
        }
        let until = link.until.max(pass_until);
        opened.push(Opened { link: *link, until, pass: Pass::Given(pass_until) });
        true
    }

    /// No pass is given for a link that was spent here: another node was asked before.
    fn spent_elsewhere(&self, link: &Link) {
        let mut opened = self.lock();
        let one = opened.iter_mut().find(|one| one.link.id == link.id);
        if let Some(one) = one.filter(|one| one.pass != Pass::GivenBack) {
            one.pass = Pass::Elsewhere;
        }
    }

    /// Whoever has a pass wants it no longer: a copy of it is worthless here from now on (SESS-04).
    fn give_back(&self, pass: &Link) {
        let mut opened = self.lock();
        opened.retain(|one| one.link.id != pass.id);
        // Remembered for as long as the link or its pass could be good.
        let until = pass.until.max(pass.made.after(LONGEST_LINK));
        opened.push(Opened { link: *pass, until, pass: Pass::GivenBack });
    }

    /// Whether a pass is good, as far as is known here.
    fn has(&self, pass: &Link, now: Timestamp) -> bool {
        let is_this = |one: &Opened| one.link.id == pass.id && one.pass == Pass::GivenBack;
        self.is_in_time(pass, now) && !self.lock().iter().any(is_this)
    }

    fn is_in_time(&self, pass: &Link, now: Timestamp) -> bool {
        // Passes may have been switched off, or made shorter, since.
        let longest = |links: BreakGlassLink| pass.made.after(links.lifetime).after(links.pass);
        let is_young = self.offered().is_some_and(|links| now < pass.until.min(longest(links)));
        is_young && !self.is_ended(pass)
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
        let is_listed = |visitor| glass.settings.networks.contain(visitor);
        self.stranger(visitor).is_some_and(is_listed)
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
        let began = self.clock.now().after(Duration::from_millis(1)).unix_millis();
        self.portals.iter().filter_map(|portal| portal.break_glass.as_ref()).for_each(|glass| {
            glass.links.began.fetch_max(began, Ordering::AcqRel);
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let until = now.after(Duration::from_secs(600));
        let link =
            Link { id: [7; 16], made: now, until, after: now.before(Duration::from_secs(9)) };
        let bytes = link.to_bytes();
        assert_eq!(bytes.len(), 40);
        assert_eq!(Link::from_bytes(&bytes), Some(link));
        for length in 0..40 {
            assert_eq!(Link::from_bytes(&bytes[..length]), None, "{length}");
        }
    }
}
