//! A list of sessions, for whoever runs this, page by page: each page is bounded in what is
//! looked at for it, and no lock is held for longer than it takes to copy some numbers.
//!
//! A session that is there all the time is listed once, and from a store that others share once
//! at least, while others come and go: the keys of a table have an order, what Redis answers to
//! `SCAN` has none. Deliberately not here: who may see it. There is no id in it, no token, and no
//! claim but the member's key.

use std::fmt;
use std::str::FromStr;

use super::index::Meant;
use super::remote::Remote;
use super::{Digest, Sessions, SignedIn, Store, StoreError};
use crate::gate::Timestamp;

/// How many sessions are looked at for a page, about, whether they are wanted or not.
const LOOKED_AT: usize = 10_000;
/// Between two pauses in which others have their turn.
const AT_ONCE: usize = 64;
/// How many names Redis looks at for one answer, about.
const SCANNED: usize = 200;
/// An answer of it counts as much as so many, however short it is.
const ANSWER: usize = 50;

/// Which sessions are wanted; what is `None` does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Those of one member, by the key that the portal knows.
    pub member: Option<&'a str>,
    /// Those for one portal, by its host.
    pub portal: Option<&'a str>,
    /// Those that came of one provider, by its name in the configuration.
    pub provider: Option<&'a str>,
}

/// What is told of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What others know it by: `sid` of the assertion and of the audit log.
    pub handle: String,
    /// The host of its portal.
    pub portal: String,
    /// The name of its provider.
    pub provider: String,
    /// The key of its member.
    pub member: String,
    /// When its member signed in.
    pub started: Timestamp,
    /// When it was used last, as far as is known here.
    pub last_used: Timestamp,
    /// When it is over however much it is used.
    pub ends: Timestamp,
    /// Whether its provider can be asked again about its member.
    pub has_refresh_token: bool,
}

/// Some sessions, and where the list goes on, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// As many as were wanted, or fewer.
    pub sessions: Vec<Listed>,
    /// `None` at the end alone: a page with few sessions, or none, may have another one after it.
    pub next: Option<Cursor>,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is a place in another list, or one that is not there any more.
    #[error("the list does not go on there; it has to be begun again")]
    Cursor,
    /// The store does not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a list goes on. Its text means something to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(At);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a part of the table, behind a key.
    Table(usize, Digest),
    /// Among the sessions of one member, behind a key.
    Member(Digest),
    /// At a node of the store, which is called that (a digest) and has answered this.
    Node { number: usize, called: u64, answered: u64 },
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            At::Table(part, key) => write!(f, "t-{part:x}-{}", key.to_hex()),
            At::Member(key) => write!(f, "m-{}", key.to_hex()),
            At::Node { number, called, answered } => {
                write!(f, "n-{number:x}-{called:x}-{answered:x}")
            }
        }
    }
}

impl FromStr for Cursor {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let small = |text: &str| usize::from_str_radix(text, 16).ok();
        let mut words = text.split('-');
        let (kind, one, two, three) = (words.next(), words.next(), words.next(), words.next());
        let at = match (kind, one, two, three) {
            (Some("t"), Some(part), Some(key), None) => {
                small(part).zip(Digest::from_hex(key)).map(|(part, key)| At::Table(part, key))
            }
            (Some("m"), Some(key), None, None) => Digest::from_hex(key).map(At::Member),
            (Some("n"), Some(node), Some(called), Some(answered)) => {
                let numbers = small(node).zip(number(called)).zip(number(answered));
                numbers.map(|((number, called), answered)| At::Node { number, called, answered })
            }
            _ => None,
        };
        let cursor = at.map(Self).ok_or(ListError::Cursor)?;
        // One place has one spelling.
        (cursor.to_string() == text).then_some(cursor).ok_or(ListError::Cursor)
    }
}

impl Sessions {
    /// A page of at most `limit` sessions, from `cursor` or from the beginning. With a store that
    /// others share, a limit of very few may be exceeded by as many as Redis will not tell apart.
    ///
    /// # Errors
    /// When the store does not say, or the list does not go on there.
    pub async fn list(
        &self,
        wanted: Wanted<'_>,
        cursor: Option<Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, ListError> {
        self.settled().await?;
        let page = Gathering { wanted, limit: limit.max(1), sessions: Vec::new(), looked_at: 0 };
        // Sessions that are in their browsers are in no store: what was seen here is listed.
        let remote = match &self.store {
            Store::Remote(remote, _) if self.carrier.is_none() => Some(remote),
            Store::Remote(..) | Store::Memory { .. } => None,
        };
        match (wanted.member, remote, cursor.map(|cursor| cursor.0)) {
            (Some(member), _, None) => self.list_member(page, member, None, now).await,
            (Some(member), _, Some(At::Member(key))) => {
                self.list_member(page, member, Some(key), now).await
            }
            (None, None, None) => self.list_table(page, 0, None, now).await,
            (None, None, Some(At::Table(part, key))) if self.table.parts().contains(&part) => {
                self.list_table(page, part, Some(key), now).await
            }
            (None, Some(remote), None) => list_store(page, remote, (0, 0, None), now).await,
            (None, Some(remote), Some(At::Node { number, called, answered })) => {
                list_store(page, remote, (number, answered, Some(called)), now).await
            }
            (_, _, Some(_)) => Err(ListError::Cursor),
        }
    }

    async fn list_member(
        &self,
        mut page: Gathering<'_>,
        member: &str,
        after: Option<Digest>,
        now: Timestamp,
    ) -> Result<Page, ListError> {
        let keys = self.keys_named(&Meant::Member(member).key("")).await?;
        let after = after.map_or(0, |after| keys.partition_point(|key| *key <= after));
        let keys = keys.get(after..).unwrap_or_default();
        let mut left = keys.len();
        for some in keys.chunks(AT_ONCE.min(page.limit)) {
            // Whatever is looked at has to have room.
            if page.has_room_for(some.len()) {
                page.take(&self.peek(some, now).await?);
                left = left.saturating_sub(some.len());
            } else {
                break;
            }
        }
        let last = keys.len().saturating_sub(left).checked_sub(1).filter(|_| left > 0);
        let last = last.and_then(|last| keys.get(last));
        Ok(page.up_to(last.map(|key| At::Member(*key))))
    }

    async fn list_table(
        &self,
        mut page: Gathering<'_>,
        first: usize,
        mut after: Option<Digest>,
        now: Timestamp,
    ) -> Result<Page, ListError> {
        for part in self.table.parts().skip(first) {
            let keys = self.table.keys(part);
            let begin = after.take().map_or(0, |after| keys.partition_point(|key| *key <= after));
            for (number, key) in keys.get(begin..).unwrap_or_default().iter().enumerate() {
                page.take(&self.peek(&[*key], now).await?);
                if page.is_full() {
                    return Ok(page.up_to(Some(At::Table(part, *key))));
                }
                if number % AT_ONCE == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(page.up_to(None))
    }
}

/// The nodes of the store one after the other, from a place of the first on, which is called so.
async fn list_store(
    mut page: Gathering<'_>,
    remote: &Remote,
    (mut number, mut answered, mut expected): (usize, u64, Option<u64>),
    now: Timestamp,
) -> Result<Page, ListError> {
    let mut count = SCANNED;
    loop {
        let called = called(remote, number)?;
        if expected.take().is_some_and(|expected| called != Some(expected)) {
            return Err(ListError::Cursor);
        }
        let Some(called) = called else {
            return Ok(page.up_to(None));
        };
        let scanned = remote.scan(number, answered, count).await?;
        // It may have gone meanwhile.
        let (next, mut keys) = scanned.ok_or(ListError::Cursor)?;
        keys.sort_unstable();
        keys.dedup();
        if !page.has_room_for(keys.len()) {
            if !page.sessions.is_empty() {
                return Ok(page.up_to(Some(At::Node { number, called, answered })));
            }
            // The same place again in a smaller bite. What cannot be divided is taken whole.
            if count > 1 {
                count = count.div_ceil(4);
                continue;
            }
        }
        page.take(&remote.peek(&keys, now).await?);
        page.looked_at = page.looked_at.saturating_add(count.max(ANSWER));
        // By another order of the nodes nobody knows which have been listed.
        if self::called(remote, number)? != Some(called) {
            return Err(ListError::Cursor);
        }
        (number, answered) = match next {
            0 => (number.saturating_add(1), 0),
            next => (number, next),
        };
        if page.is_full() {
            let called = self::called(remote, number)?;
            return Ok(page.up_to(called.map(|called| At::Node { number, called, answered })));
        }
    }
}

/// What a node of the store is called, as a cursor has it; `None` if there are fewer.
fn called(remote: &Remote, number: usize) -> Result<Option<u64>, StoreError> {
    let name = remote.node(number)?;
    Ok(name.map(|name| Digest::of(name.as_bytes()).first_eight()))
}

/// A page that is being filled.
struct Gathering<'a> {
    wanted: Wanted<'a>,
    limit: usize,
    sessions: Vec<Listed>,
    looked_at: usize,
}

impl Gathering<'_> {
    fn is_full(&self) -> bool {
        self.sessions.len() >= self.limit || self.looked_at >= LOOKED_AT
    }

    fn has_room_for(&self, more: usize) -> bool {
        !self.is_full() && self.sessions.len().saturating_add(more) <= self.limit
    }

    fn take(&mut self, found: &[(Digest, std::sync::Arc<SignedIn>)]) {
        self.looked_at = self.looked_at.saturating_add(1).saturating_add(found.len());
        for (_, member) in found {
            let session = member.session();
            let is_wanted = self.wanted.portal.is_none_or(|portal| session.is_for(portal))
                && self.wanted.provider.is_none_or(|provider| session.provider() == provider);
            let key = session.claims().subject().member_key();
            if is_wanted && self.wanted.member.is_none_or(|member| *member == *key) {
                self.sessions.push(Listed {
                    handle: session.handle().to_owned(),
                    portal: session.portal().to_owned(),
                    provider: session.provider().to_owned(),
                    member: key,
                    started: session.started(),
                    last_used: session.last_used(),
                    ends: session.ends(),
                    has_refresh_token: session.renewal().is_some(),
                });
            }
        }
    }

    fn up_to(self, next: Option<At>) -> Page {
        Page { sessions: self.sessions, next: next.map(Cursor) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Map;

    use super::super::arriving::Arriving;
    use super::super::error::fully;
    use super::super::{Ours, Revocation, Seal};
    use super::*;
    use crate::clock::Clock;
    use crate::config;
    use crate::gate::{Lifetimes, Session, SessionId, Subject, VerifiedClaims};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };

    async fn start(store: &Sessions, handle: &str, portal: &str, now: Timestamp) -> SessionId {
        let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, Map::new());
        let (portal, handle) = (portal.into(), handle.to_owned());
        let session = Session::start(claims, "a".into(), portal, handle, LIFETIMES, now);
        store.start(session, now).await.unwrap().0
    }

    async fn page(store: &Sessions, wanted: Wanted<'_>, from: Option<Cursor>, most: usize) -> Page {
        let page = store.list(wanted, from, most, NOON).await.unwrap();
        assert!(page.sessions.len() <= most);
        page
    }

    /// How often each handle is listed while others come and go.
    async fn listed(store: &Sessions, wanted: Wanted<'_>, most: usize) -> BTreeMap<String, usize> {
        let (mut times, mut from, mut number) = (BTreeMap::<String, usize>::new(), None, 0);
        loop {
            let page = page(store, wanted, from, most).await;
            for session in page.sessions {
                *times.entry(session.handle).or_default() += 1;
            }
            for _ in 0..10 {
                number += 1;
                let id = start(store, &format!("comes-{number}"), "h", NOON).await;
                if number % 2 == 0 {
                    fully(store.end(&id, NOON).await);
                }
            }
            match page.next {
                Some(next) => from = Some(next.to_string().parse().unwrap()),
                None => return times,
            }
        }
    }

    #[tokio::test]
    async fn whoever_is_there_all_the_time_is_listed_once() {
        let store = Sessions::in_memory(LIFETIMES, 100_000);
        for number in 0..3000 {
            let portal = if number % 3 == 0 { "h" } else { "other" };
            start(&store, &format!("stays-{number}"), portal, NOON).await;
        }
        let key = "https://i.example#s";
        let other = Wanted { portal: Some("other"), ..Wanted::default() };
        let member = Wanted { member: Some(key), ..Wanted::default() };
        for (wanted, most, count) in [
            (Wanted::default(), 100, 3000),
            (Wanted::default(), 1000, 3000),
            (other, 7, 2000),
            (member, 50, 3000),
            (Wanted { provider: Some("none"), ..member }, 1000, 0),
        ] {
            let mut times = listed(&store, wanted, most).await;
            times.retain(|handle, _| handle.starts_with("stays"));
            assert_eq!(times.len(), count, "{wanted:?}");
            assert!(times.values().all(|times| *times == 1), "{wanted:?}");
        }
    }

    #[tokio::test]
    async fn a_page_is_bounded_in_what_is_looked_at_however_few_are_wanted() {
        let store = Sessions::in_memory(LIFETIMES, 100_000);
        for number in 0..6000 {
            start(&store, &number.to_string(), "h", NOON).await;
        }
        let wanted = Wanted { portal: Some("other"), ..Wanted::default() };
        let first = page(&store, wanted, None, 100).await;
        assert!(first.sessions.is_empty() && first.next.is_some());
        let next = page(&store, wanted, first.next, 100).await;
        assert!(next.sessions.is_empty() && next.next.is_none());
    }

    #[tokio::test]
    async fn what_is_over_is_not_listed_and_a_look_keeps_nobody_signed_in() {
        let store = Sessions::in_memory(LIFETIMES, 100);
        let early = start(&store, "early", "h", NOON.before(HOUR)).await;
        let id = start(&store, "late", "h", NOON.before(HOUR / 2)).await;
        let page = page(&store, Wanted::default(), None, 10).await;
        let [only] = page.sessions.as_slice() else { panic!("{page:?}") };
        assert_eq!((only.handle.as_str(), only.last_used), ("late", NOON.before(HOUR / 2)));
        assert_eq!(store.find(&early, NOON).await.unwrap().map(|_| ()), None);
        let until = NOON.before(HOUR / 2);
        let ended = store.revoke(Revocation::Everybody { until }, NOON, |_| {}).await.unwrap();
        assert_eq!((ended, store.count()), (Some(2), 0));
        assert!(store.find(&id, NOON).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_place_that_is_not_in_the_table_is_not_the_end_of_the_list() {
        let store = Sessions::in_memory(LIFETIMES, 100);
        start(&store, "only", "h", NOON).await;
        let at = |part| Some(Cursor(At::Table(part, Digest::of(b"k"))));
        let parts = store.table.parts().end;
        assert!(store.list(Wanted::default(), at(parts - 1), 10, NOON).await.is_ok());
        let beyond = store.list(Wanted::default(), at(parts), 10, NOON).await;
        assert_eq!(beyond, Err(ListError::Cursor));
    }

    #[tokio::test]
    async fn gen_03_while_a_snapshot_is_read_nobody_is_told_that_the_list_is_short() {
        let settings = config::Sessions {
            store: config::Store::Memory { snapshot: Some("/nowhere/sessions".into()) },
            keys: config::SealingKeys::default(),
            lifetimes: LIFETIMES,
            refresh_interval: HOUR,
            capacity: 10,
        };
        let seal = Arc::new(Seal::new(&[]).unwrap());
        let clock = Clock::at(NOON);
        let mut store = Sessions::new(&settings, &seal, &clock, Ours::new(|_| true), |_| {});
        store.arriving = Arc::new(Arriving::new(false).impatient());
        let unavailable = Err(ListError::Store(StoreError::Unavailable));
        let member = Wanted { member: Some("https://i.example#s"), ..Wanted::default() };
        for wanted in [Wanted::default(), member] {
            assert_eq!(store.list(wanted, None, 10, NOON).await, unavailable);
        }
        store.arriving.tell();
        assert_eq!(store.list(Wanted::default(), None, 10, NOON).await.unwrap().next, None);
    }

    #[test]
    fn a_cursor_has_one_spelling() {
        let key = Digest::of(b"k");
        for at in [
            At::Table(1023, key),
            At::Member(key),
            At::Node { number: 2, called: u64::MAX, answered: u64::MAX },
        ] {
            let cursor = Cursor(at);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let hex = key.to_hex();
        for other in [
            "".to_owned(),
            "t".to_owned(),
            "t--".to_owned(),
            format!("t-+1-{hex}"),
            format!("t-01-{hex}"),
            format!("t-A-{hex}"),
            format!("t-1-{hex}-"),
            format!("m-{}", hex.to_uppercase()),
            "n-0-0".to_owned(),
            "n-0-0-10000000000000000".to_owned(),
        ] {
            assert_eq!(other.parse::<Cursor>(), Err(ListError::Cursor), "{other}");
        }
    }
}
