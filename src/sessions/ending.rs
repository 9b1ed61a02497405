//! The end of a session, for whoever wants to know of it: open WebSockets and streams end with the
//! session that they are for (SESS-10). Deliberately not here: why a session ends, and what is
//! closed then.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{Digest, SignedIn};
use crate::gate::Timestamp;

/// Whether a session is over, told once. There is nothing behind it before somebody asks or it ends.
#[derive(Debug, Default)]
pub(super) struct Ending(OnceLock<CancellationToken>);

impl Ending {
    /// It is over. Everybody who waits is woken, and whoever comes later does not wait.
    pub(super) fn tell(&self) {
        self.0.get_or_init(CancellationToken::new).cancel();
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.get().is_some_and(CancellationToken::is_cancelled)
    }

    pub(super) fn wait(&self) -> WaitForCancellationFutureOwned {
        self.0.get_or_init(CancellationToken::new).clone().cancelled_owned()
    }
}

/// Waits for the end of a session; ready when it is over, at once if it is so already. As long as it
/// is kept, the session's lifetimes are looked at beside the requests.
#[derive(Debug)]
pub struct Watch {
    told: Pin<Box<WaitForCancellationFutureOwned>>,
    watched: Arc<Watched>,
    id: Digest,
}

impl Watch {
    pub(super) fn new(watched: &Arc<Watched>, id: Digest, member: &SignedIn) -> Self {
        watched.add(id, member.session().lasts_until());
        let told = Box::pin(member.ending().wait());
        Self { told, watched: Arc::clone(watched), id }
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.told.as_mut().poll(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.remove(&self.id);
    }
}

/// The sessions whose end somebody waits for. Requests find out by themselves that a lifetime is
/// over; a stream asks nothing any more. As large as there are open streams, however many sessions
/// there are.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<HashMap<Digest, Look>>);

/// When to look at a session again.
#[derive(Debug)]
struct Look {
    watches: usize,
    /// It lasts until then at least: use makes a session last longer, and nothing shorter.
    due: Timestamp,
}

impl Watched {
    fn add(&self, id: Digest, due: Timestamp) {
        let mut all = self.lock();
        let look = all.entry(id).or_insert(Look { watches: 0, due });
        look.watches = look.watches.saturating_add(1);
    }

    fn remove(&self, id: &Digest) {
        let mut all = self.lock();
        if let Some(look) = all.get_mut(id) {
            look.watches = look.watches.saturating_sub(1);
            if look.watches == 0 {
                all.remove(id);
            }
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Digest> {
        self.lock().keys().copied().collect()
    }

    /// Those that may be over by now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Digest> {
        self.lock().iter().filter(|(_, look)| look.due <= now).map(|(id, _)| *id).collect()
    }

    /// A store has said something of one of them.
    pub(super) fn suspect(&self, id: &Digest) {
        self.lasts(id, Timestamp::from_unix_millis(i64::MIN));
    }

    /// A store may have said something of any of them, and nobody heard it.
    pub(super) fn suspect_all(&self) {
        for look in self.lock().values_mut() {
            look.due = Timestamp::from_unix_millis(i64::MIN);
        }
    }

    /// One of them is not, and lasts until then at least.
    pub(super) fn lasts(&self, id: &Digest, due: Timestamp) {
        if let Some(look) = self.lock().get_mut(id) {
            look.due = due;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use serde_json::Map;

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
            0 => store.end(id, NOON).await.unwrap().into_iter().count(),
            1 => store.sign_out(id, NOON).await.unwrap().into_iter().count(),
            2 => store
                .sign_out_meant("a", Meant::Sub("s"), None, Word::Proven, NOON)
                .await
                .unwrap()
                .len(),
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
        assert!(store.end(&id, NOON).await.unwrap().is_some());
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
        assert!(store.end(&id, NOON).await.unwrap().is_some());
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
    async fn lim_07_what_has_waited_leaves_nothing_behind() {
        let store = store(10);
        let (id, member) = start(&store).await;
        let mut watches: Vec<_> = (0..1000).map(|_| store.watch(&id, &member)).collect();
        assert_eq!(store.watched.lock().len(), 1);
        watches.truncate(1);
        assert_eq!(store.watched.lock().len(), 1);
        watches.clear();
        assert_eq!(store.watched.lock().len(), 0);
        assert!(size_of::<Ending>() <= 16, "a session that nobody waits for pays no more");
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
}
