//! Which sessions somebody means who ends them: a provider by the id of its own session (`sid`)
//! or by whom it is about (`sub`), an operator by the member. As large as the table of sessions,
//! whose every removal is told here. Deliberately not here: whether the provider is believed.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Digest;
use crate::gate::Session;

/// What the sessions are called that are to end.
#[derive(Clone, Copy, Debug)]
pub enum Meant<'a> {
    /// Those that came of one session at the provider.
    Sid(&'a str),
    /// All those of one person, by the provider's name for them.
    Sub(&'a str),
    /// All those of one member, by the key that the portal knows; whichever provider they signed in
    /// with.
    Member(&'a str),
    /// The one that is known by this to others: `sid` of the assertion and of the audit log.
    Handle(&'a str),
}

impl Meant<'_> {
    /// The key of the table: one provider's names are never another's (OIDC-20).
    pub(super) fn key(self, provider: &str) -> Digest {
        let (kind, provider, name) = match self {
            Self::Sid(sid) => ("sid", provider, sid),
            Self::Sub(sub) => ("sub", provider, sub),
            Self::Member(key) => ("member", "", key),
            Self::Handle(handle) => ("handle", "", handle),
        };
        Digest::of(format!("{kind}\n{}\n{provider}\n{name}", provider.len()).as_bytes())
    }
}

/// How many small sets there are.
const SHARDS: usize = 64;

/// The sessions by what they are called. A pair of numbers each, the beginnings of two digests:
/// what is found may be another one's, so whoever looks compares the names themselves.
#[derive(Debug)]
pub(super) struct Index {
    shards: Vec<Mutex<BTreeSet<(u64, u64)>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

impl Index {
    pub(super) fn add(&self, names: impl IntoIterator<Item = Digest>, id: &Digest) {
        for name in names {
            self.lock(&name).insert((name.first_eight(), id.first_eight()));
        }
    }

    pub(super) fn remove(&self, names: impl IntoIterator<Item = Digest>, id: &Digest) {
        for name in names {
            self.lock(&name).remove(&(name.first_eight(), id.first_eight()));
        }
    }

    /// What an earlier state of a session was called and the next one is not.
    pub(super) fn leave(
        &self,
        earlier: impl IntoIterator<Item = Digest>,
        next: impl IntoIterator<Item = Digest>,
        id: &Digest,
    ) {
        let kept: Vec<Digest> = next.into_iter().collect();
        self.remove(earlier.into_iter().filter(|name| !kept.contains(name)), id);
    }

    /// The beginnings of the keys of the sessions that may be called so.
    pub(super) fn find(&self, name: &Digest) -> Vec<u64> {
        let name_begins = name.first_eight();
        let shard = self.lock(name);
        shard.range((name_begins, 0)..=(name_begins, u64::MAX)).map(|(_, id)| *id).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    fn lock(&self, name: &Digest) -> MutexGuard<'_, BTreeSet<(u64, u64)>> {
        let index = (name.first_eight() & (SHARDS as u64 - 1)) as usize;
        let shard = self.shards.get(index).expect("there are as many as an index can name");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name as one issuer alone says it: what it ends is only what this issuer vouched for.
pub(super) fn said_by(name: &Digest, issuer: Option<&str>) -> Digest {
    match issuer {
        Some(issuer) => Digest::of(format!("{}\n{issuer}", name.to_hex()).as_bytes()),
        None => *name,
    }
}

/// All that an ending may name a session by.
pub(super) fn endings(session: &Session) -> Vec<Digest> {
    let issuer = session.claims().text("iss");
    let by_issuer = names_of_person(session).map(|name| said_by(&name, issuer));
    names(session).chain(by_issuer.filter(|_| issuer.is_some())).collect()
}

/// All that a session is found by.
pub(super) fn names(session: &Session) -> impl Iterator<Item = Digest> {
    let handle = Meant::Handle(session.handle()).key(session.provider());
    names_of_person(session).chain([handle])
}

/// What it is found by that its person's other sessions may be found by as well.
pub(super) fn names_of_person(session: &Session) -> impl Iterator<Item = Digest> {
    let there = session.at_provider();
    let sid = there.sid.as_deref().map(Meant::Sid);
    let sub = there.sub.as_deref().map(Meant::Sub);
    let member = session.claims().subject().member_key();
    let member = Meant::Member(&member).key(session.provider());
    let meant = [sid, sub].into_iter().flatten();
    meant.map(|meant| meant.key(session.provider())).chain([member])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Map;

    use super::super::error::fully;
    use super::super::{Here, Sessions, SignedIn, Store, Turn, Word};
    use super::*;
    use crate::gate::login::PendingLogin;
    use crate::gate::{
        AtProvider, Lifetimes, Secret, SessionId, Subject, Timestamp, VerifiedClaims,
    };

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn store(capacity: u64) -> Sessions {
        let lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };
        Sessions::in_memory(lifetimes, capacity)
    }

    async fn start(store: &Sessions, provider: &str, sid: &str) -> SessionId {
        let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: "s".into() };
        let claims = [("iss".to_owned(), "https://i.example".into())];
        let claims = VerifiedClaims::assertion(subject, Map::from_iter(claims));
        let lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };
        let handle = String::new();
        let session = Session::start(claims, provider.into(), "h".into(), handle, lifetimes, NOON);
        let (sid, sub) = (Some(sid.to_owned()), Some("s".to_owned()));
        let at_provider = AtProvider { sid, sub, id_token: None };
        store.start(session.known_as(at_provider), NOON).await.unwrap().0
    }

    fn find(store: &Sessions, id: &SessionId, now: Timestamp) -> Option<Arc<SignedIn>> {
        match store.here(id, now) {
            Here::Member(member) => Some(member),
            Here::Nobody | Here::Ask => None,
        }
    }

    fn lives(store: &Sessions, id: &SessionId) -> bool {
        find(store, id, NOON).is_some()
    }

    fn names_of(store: &Sessions) -> usize {
        match &store.store {
            Store::Memory { index, .. } => index.len(),
            Store::Remote(..) => panic!("it is in memory"),
        }
    }

    /// All of it, not a part.
    fn tidy(store: &Sessions, now: Timestamp) {
        for _ in 0..8 {
            store.tidy(now);
        }
    }

    async fn sign_out_meant(store: &Sessions, meant: Meant<'_>, issuer: Option<&str>) -> usize {
        let later = NOON.after(Duration::from_secs(1));
        fully(store.sign_out_meant("a", meant, issuer, Word::Proven, later).await).len()
    }

    #[tokio::test]
    async fn oidc_20_a_provider_ends_what_it_and_the_name_have_together() {
        let store = store(100);
        let one = start(&store, "a", "1").await;
        let same = start(&store, "a", "1").await;
        let other_sid = start(&store, "a", "2").await;
        let other_provider = start(&store, "b", "1").await;
        let other = Some("https://other.example");
        assert_eq!(sign_out_meant(&store, Meant::Sid("1"), other).await, 0);
        assert_eq!(sign_out_meant(&store, Meant::Sub("1"), None).await, 0);
        assert!(lives(&store, &one));
        assert_eq!(fully(store.end_meant("a", Meant::Sid("1"), None, NOON).await).len(), 2);
        assert_eq!(sign_out_meant(&store, Meant::Sid("1"), None).await, 0);
        assert!(!lives(&store, &one) && !lives(&store, &same));
        assert!(lives(&store, &other_sid) && lives(&store, &other_provider));
        assert_eq!(sign_out_meant(&store, Meant::Sub("s"), Some("https://i.example")).await, 1);
        assert!(!lives(&store, &other_sid) && lives(&store, &other_provider));
        assert_eq!(sign_out_meant(&store, Meant::Sid("1"), None).await, 0);
        let key = "https://i.example#s";
        assert_eq!(fully(store.end_meant("", Meant::Member(key), None, NOON).await).len(), 1);
        assert!(!lives(&store, &other_provider), "a member is the same with every provider");
    }

    #[tokio::test]
    async fn lim_07_names_go_with_their_sessions() {
        let store = store(10);
        let mut ids = Vec::new();
        for number in 0..100 {
            ids.push(start(&store, "a", &number.to_string()).await);
        }
        tidy(&store, NOON);
        let left = ids.iter().filter(|id| lives(&store, id)).count();
        assert_eq!((left, store.count()), (10, 10));
        assert_eq!(names_of(&store), 4 * left, "the sid, the sub, the member, the handle");
        tidy(&store, NOON.after(HOUR));
        assert_eq!((names_of(&store), store.count()), (0, 0));
    }

    #[tokio::test]
    async fn a_session_that_nobody_uses_is_kept_as_its_record() {
        let store = store(10);
        let id = start(&store, "a", "1").await;
        let member = find(&store, &id, NOON).unwrap();
        let quiet = NOON.after(HOUR / 2);
        tidy(&store, quiet);
        assert!(Arc::ptr_eq(&member, &find(&store, &id, quiet).unwrap()), "it is in hand");
        member.session().touch(NOON.after(HOUR / 4));
        let weak = Arc::downgrade(&member);
        drop(member);
        tidy(&store, quiet);
        assert!(weak.upgrade().is_none(), "what nobody uses is not kept read");
        let again = find(&store, &id, quiet).unwrap();
        assert_eq!(again.session().last_used(), NOON.after(HOUR / 4));
        assert!(Arc::ptr_eq(&again, &find(&store, &id, quiet).unwrap()));
        drop(again);
        tidy(&store, quiet);
        assert_eq!(sign_out_meant(&store, Meant::Sid("1"), None).await, 1, "and is found by name");
        assert_eq!(names_of(&store), 0);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first() {
        let store = store(2);
        let first = start(&store, "a", "1").await;
        let second = start(&store, "a", "2").await;
        let third = start(&store, "a", "3").await;
        let later = NOON.after(Duration::from_secs(1));
        for id in [&first, &third] {
            find(&store, id, NOON).unwrap().session().touch(later);
        }
        tidy(&store, NOON);
        assert!(lives(&store, &first) && !lives(&store, &second) && lives(&store, &third));
    }

    #[tokio::test]
    async fn a_session_that_was_renewed_is_found_by_its_names() {
        let store = store(10);
        let id = start(&store, "a", "1").await;
        let earlier = find(&store, &id, NOON).unwrap();
        let session = earlier.session();
        let next = || session.continued(session.claims().clone(), String::new(), NOON);
        let Ok(Turn::Ours(lease, _)) = store.turn(&id, |_| false, NOON).await else {
            panic!("it is nobody else's turn");
        };
        let renew = async || store.renew(&id, &lease, &earlier, next(), NOON).await.unwrap();
        assert!(renew().await.is_some());
        assert!(renew().await.is_none(), "it is another now");
        tidy(&store, NOON);
        assert_eq!(sign_out_meant(&store, Meant::Sid("1"), None).await, 1);
        assert!(!lives(&store, &id));
        assert!(renew().await.is_none());
        assert!(!lives(&store, &id), "OIDC-14: a sign-out wins");
    }

    #[tokio::test]
    async fn log_01_nobody_reads_the_names_in_a_log() {
        let store = store(10);
        let id = start(&store, "a", "canary").await;
        let shown = format!("{:?}", find(&store, &id, NOON).unwrap());
        assert!(shown.contains("AtProvider") && !shown.contains("canary"), "{shown}");
    }

    #[tokio::test]
    async fn oidc_14_whoever_signed_out_since_then_is_signed_out() {
        let store = store(10);
        let later = NOON.after(Duration::from_secs(1));
        let before = start(&store, "a", "1").await;
        let state = Secret::new("state".to_owned());
        let is_forgotten = async || store.is_forgotten(&state, Some(&before)).await.unwrap();
        assert!(!is_forgotten().await);
        assert!(fully(store.sign_out(&before, later).await).is_some());
        assert!(is_forgotten().await);
        let signed_out = async |sid: &str| {
            let now = start(&store, "a", sid).await;
            let member = find(&store, &now, NOON).unwrap();
            store.signed_out_since(NOON, member.session()).await.unwrap()
        };
        assert!(!signed_out("2").await);
        assert_eq!(sign_out_meant(&store, Meant::Sid("3"), None).await, 0);
        assert!(signed_out("3").await);
        assert!(!store.is_forgotten(&state, None).await.unwrap());
        store.forget_login(&state, later).await.unwrap();
        assert!(store.is_forgotten(&state, None).await.unwrap());
    }

    #[tokio::test]
    async fn oidc_14_names_that_strangers_invent_push_nobodys_sign_out_away() {
        let store = store(10);
        let later = NOON.after(Duration::from_secs(1));
        let before = start(&store, "a", "1").await;
        assert!(fully(store.sign_out(&before, later).await).is_some());
        let claim = async |name: &str, now| {
            let meant = Meant::Sid(name);
            fully(store.sign_out_meant("a", meant, None, Word::Claimed, now).await);
        };
        // As many as are remembered of providers, and then more than are remembered of strangers.
        for number in 0..20_000 {
            sign_out_meant(&store, Meant::Sid(&format!("proven-{number}")), None).await;
        }
        for number in 0..25_000 {
            claim(&number.to_string(), later).await;
        }
        sign_out_meant(&store, Meant::Sid("0"), None).await;
        tidy(&store, NOON);
        let state = Secret::new("state".to_owned());
        assert!(store.is_forgotten(&state, Some(&before)).await.unwrap());
        let signed_out = async |sid: &str, begun| {
            let id = start(&store, "a", sid).await;
            let member = find(&store, &id, NOON).unwrap();
            store.signed_out_since(begun, member.session()).await.unwrap()
        };
        let known = [("proven-0", true), ("proven-19999", true), ("0", true), ("19999", true)];
        for (sid, is_over) in known.into_iter().chain([("24999", false), ("another", false)]) {
            assert_eq!(signed_out(sid, NOON).await, is_over, "{sid}");
        }
        // There is room for more when no login is as old as what was said before.
        let late = later.after(PendingLogin::LIMIT);
        claim("24999", late).await;
        assert!(signed_out("24999", late.before(HOUR / 60)).await);
        // A word that comes late takes back none that is later.
        claim("24999", later).await;
        assert!(signed_out("24999", late.before(HOUR / 60)).await);
    }
}
