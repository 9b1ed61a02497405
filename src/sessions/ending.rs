//! The end of a session, for whoever wants to know of it: open WebSockets and streams end with the
//! session that they are for (SESS-10), or with whatever else has let them through. Deliberately not
//! here: why a session ends, and what is closed then.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{Digest, SignedIn};
use crate::gate::Timestamp;

/// Whether a session is over, told once. There is nothing behind it before somebody asks or it
/// ends.
#[derive(Debug, Default)]
pub(super) struct Ending {
    over: OnceLock<CancellationToken>,
    /// How often what was open was closed without it.
    closings: AtomicU32,
}

impl Ending {
    /// It is over. Everybody who waits is woken, and whoever comes later does not wait.
    pub(super) fn tell(&self) {
        self.over.get_or_init(CancellationToken::new).cancel();
    }

    pub(super) fn is_told(&self) -> bool {
        self.over.get().is_some_and(CancellationToken::is_cancelled)
    }

    pub(super) fn wait(&self) -> WaitForCancellationFutureOwned {
        self.over.get_or_init(CancellationToken::new).clone().cancelled_owned()
    }

    /// What is open now is closed, and the session goes on.
    pub(super) fn close(&self) {
        self.closings.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn closings(&self) -> u32 {
        self.closings.load(Ordering::Acquire)
    }
}

/// Waits for the end of what lets something go on; ready when that is over, at once if it is so
/// already, and when nobody can say any more that it is not. As long as a session's is kept, the
/// session is looked at beside the requests.
#[derive(Debug)]
pub struct Watch {
    /// A session is over once for all.
    told: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    _waiting: Option<Waiting<Digest>>,
}

impl Watch {
    pub(super) fn new(watched: &Arc<Watched>, id: Digest, member: &SignedIn) -> Self {
        let waiting = watched.wait(id);
        let closed = waiting.watch();
        let told = Some(Box::pin(member.ending().wait()));
        Self { told, _waiting: Some(waiting), ..closed }
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let told = self.told.as_mut().map(|told| told.as_mut().poll(cx));
        match told {
            Some(Poll::Ready(())) => Poll::Ready(()),
            Some(Poll::Pending) | None => self.closed.as_mut().poll(cx),
        }
    }
}

/// Somebody waits for the end of what has this key, which is looked at for as long as this is kept.
#[derive(Debug)]
pub struct Waiting<K: Eq + Hash> {
    watched: Arc<Watched<K>>,
    key: K,
    open: CancellationToken,
}

impl<K: Eq + Hash> Waiting<K> {
    /// Whether what was open when this began has been closed since.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.open.is_cancelled()
    }

    /// Ready once it is.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let closed = Box::pin(self.open.clone().cancelled_owned());
        Watch { told: None, closed, _waiting: None }
    }
}

impl<K: Eq + Hash> Drop for Waiting<K> {
    fn drop(&mut self) {
        self.watched.remove(&self.key);
    }
}

/// What somebody waits for the end of: sessions, by their digests, or what else lets something go on
/// without requests. Requests find out by themselves that a lifetime is over; a stream asks nothing
/// any more. As large as there are open streams, however many sessions there are.
#[derive(Debug)]
pub struct Watched<K = Digest>(Mutex<All<K>>);

#[derive(Debug)]
struct All<K> {
    looks: HashMap<K, Look>,
    /// Of all that was said, and of all who began to wait, each has a number.
    words: u64,
}

impl<K> Default for Watched<K> {
    fn default() -> Self {
        Self(Mutex::new(All { looks: HashMap::new(), words: 0 }))
    }
}

/// When to look at one of them again.
#[derive(Debug)]
struct Look {
    watches: usize,
    /// It lasts until then at least: use makes a session last longer, and nothing shorter.
    due: Timestamp,
    /// The last word of it.
    word: u64,
    /// Whether the last question was not answered.
    is_unanswered: bool,
    /// What is open now is closed by this.
    open: CancellationToken,
}

/// As soon as somebody looks.
const AT_ONCE: Timestamp = Timestamp::from_unix_millis(i64::MIN);

impl<K: Clone + Eq + Hash> Watched<K> {
    /// Begins to wait for the end of one.
    #[must_use]
    pub fn wait(self: &Arc<Self>, key: K) -> Waiting<K> {
        let open = self.add(key.clone());
        Waiting { watched: Arc::clone(self), key, open }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<K> {
        self.lock().looks.keys().cloned().collect()
    }

    /// Those that may be over by now, and the last word of each.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(K, u64)> {
        let all = self.lock();
        let due = all.looks.iter().filter(|(_, look)| look.due <= now);
        due.map(|(key, look)| (key.clone(), look.word)).collect()
    }
}

impl<K: Eq + Hash> Watched<K> {
    /// Whoever begins to wait has found the session some time ago, and what was said of it since
    /// then was said to nobody who waits. So the first look comes at once.
    fn add(&self, key: K) -> CancellationToken {
        let mut all = self.lock();
        let word = all.next();
        let open = CancellationToken::new();
        let new = Look { watches: 0, due: AT_ONCE, word, is_unanswered: false, open };
        let look = all.looks.entry(key).or_insert(new);
        look.watches = look.watches.saturating_add(1);
        look.open.clone()
    }

    fn remove(&self, key: &K) {
        let looks = &mut self.lock().looks;
        if let Some(look) = looks.get_mut(key) {
            look.watches = look.watches.saturating_sub(1);
            if look.watches == 0 {
                looks.remove(key);
            }
        }
    }

    /// A store has said something of one of them.
    pub(super) fn suspect(&self, key: &K) {
        let mut all = self.lock();
        let word = all.next();
        if let Some(look) = all.looks.get_mut(key) {
            (look.due, look.word) = (AT_ONCE, word);
        }
    }

    /// A store may have said something of any of them, and nobody heard it.
    pub(super) fn suspect_all(&self) {
        let mut all = self.lock();
        let word = all.next();
        for look in all.looks.values_mut() {
            (look.due, look.word) = (AT_ONCE, word);
        }
    }

    /// One of them is not, and lasts until then at least, as far as that is known from before its
    /// next word.
    pub(super) fn lasts(&self, key: &K, word: u64, due: Timestamp) {
        if let Some(look) = self.lock().looks.get_mut(key).filter(|look| look.word == word) {
            (look.due, look.is_unanswered) = (due, false);
        }
    }

    /// Whether one of them is to be asked for once more, as once after each answer: one that is
    /// late closes nothing.
    pub(super) fn is_asked_again(&self, key: &K) -> bool {
        let mut all = self.lock();
        let look = all.looks.get_mut(key);
        look.is_some_and(|look| !std::mem::replace(&mut look.is_unanswered, true))
    }

    /// Closes what is open in the name of one of them, whether that is over or not. Who begins to
    /// wait from now on waits for the next time.
    pub fn close(&self, key: &K) {
        let open = self.lock().looks.get_mut(key).map(|look| std::mem::take(&mut look.open));
        if let Some(open) = open {
            open.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, All<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> All<K> {
    fn next(&mut self) -> u64 {
        self.words = self.words.wrapping_add(1);
        self.words
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use serde_json::Map;

    use super::super::error::fully;
    use super::super::{Meant, Sessions, Turn, Word};
    use super::*;
    use crate::gate::{AtProvider, Lifetimes, Session, SessionId, Subject, VerifiedClaims};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: Duration::from_secs(3 * 3600) };

    fn store(capacity: u64) -> Sessions {
        Sessions::in_memory(LIFETIMES, capacity)
    }

    async fn start(store: &Sessions) -> (SessionId, Arc<SignedIn>) {
        let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, Map::new());
        let handle = String::new();
        let session = Session::start(claims, "a".into(), "h".into(), handle, LIFETIMES, NOON);
        let at_provider = AtProvider { sub: Some("s".to_owned()), ..AtProvider::default() };
        store.start(session.known_as(at_provider), NOON).await.unwrap()
    }

    fn has_ended(watch: &mut Watch) -> bool {
        Pin::new(watch).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn after(hours: u32) -> Timestamp {
        NOON.after(HOUR * hours)
    }

    #[tokio::test]
    async fn sess_10_however_a_session_ends_whoever_waits_is_told() {
        let store = store(10);
        let end = async |number: usize, id: &SessionId| match number {
            0 => fully(store.end(id, NOON).await).into_iter().count(),
            1 => fully(store.sign_out(id, NOON).await).into_iter().count(),
            2 => {
                let meant = Meant::Sub("s");
                fully(store.sign_out_meant("a", meant, None, Word::Proven, NOON).await).len()
            }
            _ => store.end_expired(after(1)).await,
        };
        for number in 0..4 {
            let (id, member) = start(&store).await;
            let mut watch = store.watch(&id, &member);
            assert!(!has_ended(&mut watch) && !member.is_over(), "{number}");
            assert_eq!(end(number, &id).await, 1, "{number}");
            assert!(has_ended(&mut watch) && member.is_over(), "{number}");
            // And whoever comes too late.
            assert!(has_ended(&mut store.watch(&id, &member)), "{number}");
        }
    }

    #[tokio::test]
    async fn sess_10_an_end_that_nobody_waited_for_is_known_to_whoever_comes_then() {
        let store = store(10);
        let (id, member) = start(&store).await;
        assert!(fully(store.end(&id, NOON).await).is_some());
        assert!(member.is_over());
        assert!(has_ended(&mut store.watch(&id, &member)));
    }

    #[tokio::test]
    async fn sess_10_a_session_for_which_there_is_no_room_has_ended() {
        let store = store(1);
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(start(&store).await);
        }
        let mut watches: Vec<_> = all.iter().map(|(id, member)| store.watch(id, member)).collect();
        store.tidy(NOON);
        assert_eq!(watches.iter_mut().map(has_ended).filter(|ended| *ended).count(), 3);
    }

    #[tokio::test]
    async fn sess_10_a_session_that_was_renewed_goes_on_until_it_ends() {
        let store = store(10);
        let (id, earlier) = start(&store).await;
        let mut watch = store.watch(&id, &earlier);
        let session = earlier.session();
        let next = session.continued(session.claims().clone(), String::new(), NOON);
        let Ok(Turn::Ours(lease, _)) = store.turn(&id, |_| false, NOON).await else {
            panic!("it is nobody else's turn");
        };
        let next = store.renew(&id, &lease, &earlier, next, NOON).await.unwrap().unwrap();
        store.tidy(NOON);
        assert!(!has_ended(&mut watch) && !earlier.is_over());
        assert!(fully(store.end(&id, NOON).await).is_some());
        assert!(has_ended(&mut watch) && earlier.is_over() && next.is_over());
    }

    #[tokio::test]
    async fn sess_03_what_is_waited_for_lasts_as_long_as_it_is_used_and_no_longer_than_it_may() {
        let store = store(10);
        let (id, member) = start(&store).await;
        let mut watch = store.watch(&id, &member);
        for half in 1..=6 {
            let now = NOON.after(HOUR * half / 2);
            let ended = store.end_expired(now).await;
            assert_eq!((ended, has_ended(&mut watch)), (usize::from(half == 6), half == 6));
            member.session().touch(now);
        }
        let (id, member) = start(&store).await;
        let mut watch = store.watch(&id, &member);
        assert_eq!((store.end_expired(after(1)).await, has_ended(&mut watch)), (1, true), "unused");
    }

    #[tokio::test]
    async fn sess_10_what_is_open_ends_with_a_session_that_began_when_they_lasted_longer() {
        let store = Sessions::in_memory(Lifetimes { idle: HOUR, absolute: HOUR }, 10);
        let (id, member) = start(&store).await;
        let mut watch = store.watch(&id, &member);
        for quarter in 1..=4 {
            let now = NOON.after(HOUR * quarter / 4);
            let ended = store.end_expired(now).await;
            assert_eq!((ended, has_ended(&mut watch)), (usize::from(quarter == 4), quarter == 4));
            member.session().touch(now);
        }
        assert!(member.session().is_live(after(1)), "by its own lifetimes it goes on");
    }

    #[test]
    fn sess_10_a_word_that_comes_while_somebody_looks_is_looked_at_again() {
        let watched = Watched::default();
        let (id, other) = (Digest::of(b"k"), Digest::of(b"other"));
        let due = |now: Timestamp| -> Vec<Digest> {
            watched.due(now).into_iter().map(|(id, _)| id).collect()
        };
        let look = || watched.due(NOON).into_iter().find(|(due, _)| *due == id).unwrap().1;
        watched.add(id);
        watched.lasts(&id, look(), after(1));
        assert_eq!((due(NOON), due(after(1))), (vec![], vec![id]), "the first look is at once");
        watched.add(id);
        assert_eq!(due(NOON), [], "another one needs none of its own");
        let words: [&dyn Fn(); 3] = [&|| watched.suspect(&id), &|| watched.suspect_all(), &|| {
            // Whoever waited is gone, and another has come: it knows of no word before it.
            watched.remove(&id);
            watched.remove(&id);
            watched.add(id);
            watched.add(id);
        }];
        for (number, word) in words.into_iter().enumerate() {
            watched.suspect(&id);
            let before = look();
            word();
            watched.lasts(&id, before, after(1));
            assert_eq!(due(NOON), [id], "{number}");
            watched.lasts(&id, look(), after(1));
            assert_eq!(due(NOON), [], "{number}");
        }
        watched.suspect(&other);
        assert_eq!((due(NOON), watched.all()), (vec![], vec![id]));
    }

    #[tokio::test]
    async fn sess_10_what_is_closed_without_an_end_of_its_session_is_closed_once() {
        let store = store(10);
        let (id, member) = start(&store).await;
        let mut early = [store.watch(&id, &member), store.watch(&id, &member)];
        let before = member.closings();
        member.ending().close();
        store.watched.close(&Digest::of_id(&id));
        let mut late = store.watch(&id, &member);
        assert!(early.iter_mut().all(has_ended) && !has_ended(&mut late));
        assert!(!member.is_over() && member.closings() != before);
        assert_eq!((store.end_expired(NOON).await, has_ended(&mut late)), (0, false));
        drop(early);
        assert!(fully(store.end(&id, NOON).await).is_some());
        assert!(has_ended(&mut late));
    }

    #[tokio::test]
    async fn sess_10_what_is_open_in_the_name_of_a_session_that_is_not_there_is_closed() {
        let store = store(10);
        let (_, member) = start(&store).await;
        let mut watch = store.watch(&SessionId::new([9; 32]), &member);
        assert_eq!((store.end_expired(NOON).await, has_ended(&mut watch)), (0, true));
    }

    #[tokio::test]
    async fn lim_07_what_has_waited_leaves_nothing_behind() {
        let store = store(10);
        let (id, member) = start(&store).await;
        let mut watches: Vec<_> = (0..1000).map(|_| store.watch(&id, &member)).collect();
        assert_eq!(store.watched.lock().looks.len(), 1);
        watches.truncate(1);
        assert_eq!(store.watched.lock().looks.len(), 1);
        watches.clear();
        assert_eq!(store.watched.lock().looks.len(), 0);
        assert!(size_of::<Ending>() <= 24, "a session that nobody waits for pays no more");
    }

    #[tokio::test]
    async fn an_end_at_the_moment_at_which_somebody_begins_to_wait_is_not_missed() {
        let store = store(1000);
        for _ in 0..500 {
            let (id, member) = start(&store).await;
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let mut watch = store.watch(&id, &member);
                    while !has_ended(&mut watch) {
                        std::thread::yield_now();
                    }
                });
                let ending = std::pin::pin!(store.end(&id, NOON));
                // Memory answers at once.
                assert!(ending.poll(&mut Context::from_waker(Waker::noop())).is_ready());
                waiting.join().unwrap();
            });
        }
    }

    #[test]
    fn sess_10_one_question_that_is_not_answered_closes_nothing_and_a_second_one_does() {
        let watched = Watched::default();
        let id = Digest::of(b"k");
        assert!(!watched.is_asked_again(&id), "nobody waits");
        let _open = watched.add(id);
        assert!(watched.is_asked_again(&id) && !watched.is_asked_again(&id));
        let word = watched.due(NOON)[0].1;
        watched.lasts(&id, word, NOON);
        assert!(watched.is_asked_again(&id), "there was an answer between the two");
    }
}
