//! The links of one portal, and the passes that they become: which are good, as far as is known here.
//! Deliberately not here: who asks, and what other nodes know.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{self, BreakGlassLink};
use crate::gate::{Mode, Policy, Timestamp};

/// No configuration makes links that are good for longer.
const LONGEST_LINK: Duration = Duration::from_secs(60 * 60);
/// How far the clocks of two nodes may be apart (REL-03).
const CLOCKS: Duration = Duration::from_secs(60);

/// What opens the way to one portal's own sign-in.
#[derive(Debug)]
pub(in crate::server) struct BreakGlass {
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
pub(in crate::server) type LinkId = [u8; 16];

/// What is sealed in a link, and in the pass that it becomes: the one kind opens for the other as
/// little as for another portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) struct Link {
    pub(in crate::server) id: LinkId,
    /// When the link was made.
    pub(in crate::server) made: Timestamp,
    /// Until when it is good, or the pass.
    pub(in crate::server) until: Timestamp,
    /// The last end of all links that whoever made it knew of.
    pub(in crate::server) after: Timestamp,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum LinkError {
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
    pub(in crate::server) const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "break-glass-link",
            Self::Expired => "break-glass-expired",
            Self::Used => "break-glass-used",
            Self::Ended => "break-glass-ended",
            Self::Elsewhere => "break-glass-elsewhere",
        }
    }
}

impl Link {
    pub(in crate::server) fn to_bytes(self) -> Vec<u8> {
        let moments = [self.made, self.until, self.after].map(|at| at.unix_millis().to_be_bytes());
        [&self.id[..], moments.as_flattened()].concat()
    }

    pub(in crate::server) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, moments) = bytes.split_first_chunk()?;
        let (made, moments) = moments.split_first_chunk()?;
        let (until, after) = moments.split_first_chunk()?;
        let after: &[u8; 8] = after.try_into().ok()?;
        let moment = |bytes: &[u8; 8]| Timestamp::from_unix_millis(i64::from_be_bytes(*bytes));
        Some(Self { id: *id, made: moment(made), until: moment(until), after: moment(after) })
    }
}

/// A link's name in the log.
pub(in crate::server) fn name(id: &LinkId) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

impl BreakGlass {
    /// What the configuration says, if it says anything and the mode has a use for it. What became of
    /// links under the configuration before is known as long as there was something to know.
    pub(in crate::server) fn of(
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
    pub(in crate::server) const fn offered(&self) -> Option<BreakGlassLink> {
        self.settings.link
    }

    /// How many passes are good that were given here.
    pub(in crate::server) fn passes(&self, now: Timestamp) -> i64 {
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
    pub(in crate::server) fn is_ended(&self, link: &Link) -> bool {
        let links = &self.links;
        let ended = self.last_end();
        let is_known = link.after >= ended;
        link.made.unix_millis() < links.began.load(Ordering::Acquire)
            || (!is_known && link.made < ended.after(CLOCKS))
    }

    /// The last end of all links that is known here.
    pub(in crate::server) fn last_end(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.links.ended.load(Ordering::Acquire))
    }

    /// All were ended then, as somebody says.
    pub(in crate::server) fn were_ended(&self, at: Timestamp) {
        self.links.ended.fetch_max(at.unix_millis(), Ordering::AcqRel);
    }

    /// Ends all that there are. That is later than every end that is known here, also by a clock that
    /// is behind: what was made after that one is over, too.
    pub(in crate::server) fn end_all(&self, now: Timestamp) -> Timestamp {
        let later = |known: i64| known.saturating_add(1).max(now.unix_millis());
        let ended = &self.links.ended;
        let known =
            ended.fetch_update(Ordering::AcqRel, Ordering::Acquire, |known| Some(later(known)));
        let (Ok(known) | Err(known)) = known;
        Timestamp::from_unix_millis(later(known))
    }

    /// Whether a link is good, as far as is known here.
    pub(in crate::server) fn judge(
        &self,
        link: &Link,
        now: Timestamp,
    ) -> Result<BreakGlassLink, LinkError> {
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
    pub(in crate::server) fn spend(
        &self,
        link: &Link,
        pass_until: Timestamp,
        now: Timestamp,
    ) -> bool {
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
    pub(in crate::server) fn spent_elsewhere(&self, link: &Link) {
        let mut opened = self.lock();
        let one = opened.iter_mut().find(|one| one.link.id == link.id);
        if let Some(one) = one.filter(|one| one.pass != Pass::GivenBack) {
            one.pass = Pass::Elsewhere;
        }
    }

    /// Whoever has a pass wants it no longer: a copy of it is worthless here from now on (SESS-04).
    pub(in crate::server) fn give_back(&self, pass: &Link) {
        let mut opened = self.lock();
        opened.retain(|one| one.link.id != pass.id);
        // Remembered for as long as the link or its pass could be good.
        let until = pass.until.max(pass.made.after(LONGEST_LINK));
        opened.push(Opened { link: *pass, until, pass: Pass::GivenBack });
    }

    /// Whether a pass is good, as far as is known here.
    pub(in crate::server) fn has(&self, pass: &Link, now: Timestamp) -> bool {
        let is_this = |one: &Opened| one.link.id == pass.id && one.pass == Pass::GivenBack;
        self.is_in_time(pass, now) && !self.lock().iter().any(is_this)
    }

    fn is_in_time(&self, pass: &Link, now: Timestamp) -> bool {
        // Passes may have been switched off, or made shorter, since.
        let longest = |links: BreakGlassLink| pass.made.after(links.lifetime).after(links.pass);
        let is_young = self.offered().is_some_and(|links| now < pass.until.min(longest(links)));
        is_young && !self.is_ended(pass)
    }

    /// Nothing that was made until now is good, or what it opened: somebody else may have made, opened
    /// and ended some.
    pub(in crate::server) fn ends_what_was(&self, now: Timestamp) {
        let began = now.after(Duration::from_millis(1)).unix_millis();
        self.links.began.fetch_max(began, Ordering::AcqRel);
    }

    /// Whether the configuration names this address.
    pub(in crate::server) fn names(&self, visitor: IpAddr) -> bool {
        self.settings.networks.contain(visitor)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.links.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
