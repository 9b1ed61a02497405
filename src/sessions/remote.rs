//! Sessions whose truth is in Redis: what is certain here is answered here, everything else is asked
//! for, and a store that does not answer is neither a sign-out nor a way in (GEN-03, REL-04).
//!
//! | the store | a member whose session is known here | anybody else |
//! | --- | --- | --- |
//! | is heard | at once, without asking | one question |
//! | does not answer, or is lost | goes on for as long as the grace allows | 503 |
//!
//! A session that ends here while the store cannot be told is over here at once, and the store is told
//! when it is back. Deliberately not here: the commands (`redis`), and which copies are certain
//! (`copies`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::copies::{CHANGED, Copies};
use super::ending::Watched;
use super::index;
use super::marks::{Once, SignOut};
use super::redis::{Link, Redis, Told};
use super::table::Table;
use super::{Digest, Here, Ours, Seal, SignedIn, StoreError, Turn};
use crate::clock::Clock;
use crate::config;
use crate::gate::login::PendingLogin;
use crate::gate::{Lifetimes, Session, Timestamp};

/// The lock of a refresh ends by itself so soon after whoever had it.
const LOCK: Duration = Duration::from_secs(3);
/// So often it is kept.
const HOLD: Duration = Duration::from_secs(1);
/// Between two looks of those who wait for another's refresh.
const LOOK: Duration = Duration::from_millis(50);
/// For how long they wait.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many sessions may be over here of which the store has not been told.
const MOST_OWED: usize = 100_000;
/// How often a store that is back is told of them.
const SETTLE: Duration = Duration::from_millis(200);

/// How many sessions are asked for together by whoever lists them.
const AT_ONCE: usize = 50;
/// For how long it is remembered that everybody was signed out: no session lasts longer, whatever the
/// configuration was when it began.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sessions in a store that others share.
pub(super) struct Remote {
    redis: Redis,
    known: Known,
    lifetimes: Lifetimes,
    grace: Duration,
    heard: Arc<Heard>,
    owed: Mutex<HashSet<Digest>>,
    owes: AtomicUsize,
    is_ours: Ours,
}

/// What this process knows of sessions.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) table: Arc<Table>,
    pub(super) watched: Arc<Watched>,
}

/// What the store has said.
#[derive(Debug, Default)]
struct Heard {
    copies: Copies,
    /// Unix milliseconds: whoever signed in until then has to sign in anew.
    everybody: AtomicI64,
    /// Which word of that is the latest, and which one was read.
    said: AtomicU32,
    read: AtomicU32,
}

/// The turn of one node to ask the provider about a member. It ends by itself soon after whoever has it.
#[derive(Clone)]
pub struct Lease {
    token: String,
}

impl Lease {
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random)?;
        Ok(Self { token: URL_SAFE_NO_PAD.encode(random) })
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(…)")
    }
}

impl Remote {
    pub(super) fn new(
        settings: &config::Redis,
        lifetimes: Lifetimes,
        seal: Arc<Seal>,
        known: Known,
        clock: Clock,
        is_ours: Ours,
    ) -> Self {
        let heard = Arc::new(Heard::default());
        heard.said.store(1, Ordering::Release);
        let hearing = Hearing {
            heard: Arc::clone(&heard),
            known: known.clone(),
            clock,
            prefix: settings.prefix.clone(),
        };
        let link = Link::new(settings.clone(), move |told| hearing.hear(told));
        Self {
            redis: Redis::new(link, seal, settings.prefix.clone()),
            known,
            lifetimes,
            grace: settings.grace,
            heard,
            owed: Mutex::default(),
            owes: AtomicUsize::new(0),
            is_ours,
        }
    }

    /// Keeps the connections, and tells what is owed; to be run beside the requests, for ever.
    pub(super) async fn keep(&self) {
        tokio::select! {
            () = Arc::clone(self.redis.link()).keep() => {}
            () = self.settle() => {}
        }
    }

    /// Whether the store can be asked, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.redis.link().is_up()
    }

    /// How many sessions are over here of which the store has not been told.
    pub(super) fn owed(&self) -> usize {
        self.owes.load(Ordering::Relaxed)
    }

    /// What is known here of a session, without asking.
    pub(super) fn here(&self, key: &Digest, now: Timestamp) -> Here {
        let heard = &self.heard;
        if heard.read.load(Ordering::Acquire) != heard.said.load(Ordering::Acquire) {
            return Here::Ask;
        }
        match self.known.table.find(key) {
            Some(found)
                if heard.copies.are_certain(found.epoch)
                    && self.is_valid(found.signed_in.session(), now) =>
            {
                self.note_use(key, &found.signed_in, now);
                Here::Member(found.signed_in)
            }
            Some(_) | None => Here::Ask,
        }
    }

    /// Asks the store for a session.
    pub(super) async fn ask(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        if self.is_owed(key) {
            return Ok(None);
        }
        match self.look(key, now).await {
            Ok(found) => {
                if let Some(member) = &found {
                    member.session().touch(now);
                    self.note_use(key, member, now);
                }
                Ok(found)
            }
            Err(error) => {
                let kept = self.known.table.find(key).filter(|found| {
                    self.heard.copies.may_do(found.epoch, self.grace, now)
                        && self.is_valid(found.signed_in.session(), now)
                });
                // Somebody may have ended it meanwhile.
                let kept = kept.filter(|_| !self.is_owed(key));
                kept.map(|found| Some(found.signed_in)).ok_or(error)
            }
        }
    }

    /// What the store says of a session, kept here.
    pub(super) async fn look(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        self.learn_everybody().await?;
        let reader = self.heard.copies.read(*key);
        let Some(record) = self.redis.get(key).await? else {
            reader.keep(|_| self.forget(key));
            return Ok(None);
        };
        let Some(session) = Session::from_record(&record) else {
            // Of another version of ours.
            return Ok(None);
        };
        let is_over = now >= session.ends()
            || session.started() <= self.everybody()
            || !self.is_ours.include(&session);
        if is_over || self.is_owed(key) {
            reader.keep(|_| self.forget(key));
            return Ok(None);
        }
        Ok(Some(reader.keep(|epoch| self.known.table.confirm(key, session, &record, epoch))))
    }

    /// Starts a session.
    pub(super) async fn start(
        &self,
        key: &Digest,
        session: Session,
        now: Timestamp,
    ) -> Result<Arc<SignedIn>, StoreError> {
        // First, so that whoever ends it by its name from now on finds it.
        let names: Vec<Digest> = index::names(&session).collect();
        for name in names {
            self.redis.add_name(&name, key, session.ends(), now).await?;
        }
        let record = session.to_record();
        self.redis.put(key, record.expose(), self.lasts(&session, now)).await?;
        let member = Arc::new(SignedIn::new(session));
        member.told(now);
        // What was written is not heard of; what is read is.
        self.known.table.put(*key, Arc::clone(&member), record.expose(), CHANGED);
        Ok(member)
    }

    /// Puts another state of a session there: `None` if it is over.
    pub(super) async fn renew(
        &self,
        key: &Digest,
        lease: &Lease,
        earlier: &SignedIn,
        session: Session,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let record = session.to_record();
        let lasts = self.lasts(&session, now);
        if self.redis.swap(key, &lease.token, record.expose(), lasts).await? {
            let member = Arc::new(earlier.renewed(session));
            member.told(now);
            self.known.table.put(*key, Arc::clone(&member), record.expose(), CHANGED);
            return Ok(Some(member));
        }
        // It is over, or we took so long that it was another's turn.
        self.look(key, now).await
    }

    /// Waits until it is our turn to ask the provider about a member, or another has done it.
    pub(super) async fn turn(
        &self,
        key: &Digest,
        is_done: impl Fn(&SignedIn) -> bool,
        now: Timestamp,
    ) -> Result<Turn, StoreError> {
        let lease = Lease::new()?;
        let waiting = async {
            loop {
                let is_ours = self.redis.lock(key, &lease.token, LOCK).await?;
                // Afresh: whoever had the turn before may have written a moment ago.
                let turn = match self.look(key, now).await {
                    Ok(None) => Turn::Over,
                    Ok(Some(member)) if is_done(&member) => Turn::Done(member),
                    Ok(Some(member)) if is_ours => return Ok(Turn::Ours(lease.clone(), member)),
                    Ok(Some(_)) => {
                        sleep(LOOK).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if is_ours {
                    self.redis.unlock(key, &lease.token).await?;
                }
                return Ok(turn);
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Keeps the turn while something is done.
    pub(super) async fn during<T>(
        &self,
        key: &Digest,
        lease: &Lease,
        doing: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                () = sleep(HOLD) => {
                    // If it is not ours any more, writing finds out.
                    let _ = self.redis.hold(key, &lease.token, LOCK).await;
                }
            }
        }
    }

    /// Gives the turn back.
    pub(super) async fn give_back(&self, key: &Digest, lease: &Lease) {
        // Else it ends by itself.
        let _ = self.redis.unlock(key, &lease.token).await;
    }

    /// Ends a session. It is over here, whether the store could be told or not.
    pub(super) async fn end(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let known = self.known.table.find(key).map(|found| found.signed_in);
        let known = match known {
            Some(known) => Ok(Some(known)),
            None => self.look(key, now).await,
        };
        self.owe(key);
        self.forget(key);
        let was_there = self.redis.delete(key).await?;
        self.paid(key);
        Ok(known?.filter(|_| was_there))
    }

    /// Ends the sessions of a name.
    pub(super) async fn end_named(
        &self,
        name: &Digest,
        is_meant: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> Result<Vec<Arc<SignedIn>>, StoreError> {
        let mut ended = Vec::new();
        for key in self.redis.named(name).await? {
            let found = self.look(&key, now).await?;
            if found.is_some_and(|found| is_meant(found.session())) {
                ended.extend(self.end(&key, now).await?);
            }
        }
        Ok(ended)
    }

    /// Ends all sessions that began until then, on every node. How many there were nobody knows.
    pub(super) async fn end_everybody(&self, until: Timestamp) -> Result<(), StoreError> {
        self.redis.end_everybody(until, LONGEST).await?;
        // What we wrote ourselves is not said to us.
        self.heard.said.fetch_add(1, Ordering::AcqRel);
        self.known.watched.suspect_all();
        Ok(())
    }

    pub(super) async fn note_sign_out(
        &self,
        who: SignOut,
        key: &Digest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.redis.note_sign_out(&marked(who, key), now, PendingLogin::LIMIT).await
    }

    pub(super) async fn signed_out(
        &self,
        who: SignOut,
        key: &Digest,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.redis.signed_out(&marked(who, key)).await
    }

    pub(super) async fn spend(&self, what: Once, key: &Digest) -> Result<bool, StoreError> {
        self.redis.spend(key, what.kept()).await
    }

    pub(super) async fn give_back_spent(&self, key: &Digest) {
        // Else it stays spent, which sends nothing twice.
        let _ = self.redis.give_back(key).await;
    }

    /// What one of the store's nodes is called; `None` if there are fewer.
    pub(super) fn node(&self, number: usize) -> Result<Option<String>, StoreError> {
        self.redis.link().node(number)
    }

    /// About `count` names of one node, for whoever lists sessions, and where to go on, which is zero
    /// at the end; `None` if there is no such node.
    pub(super) async fn scan(
        &self,
        node: usize,
        cursor: u64,
        count: usize,
    ) -> Result<Option<(u64, Vec<Digest>)>, StoreError> {
        self.redis.scan(node, cursor, count).await
    }

    /// What the store says of some sessions, for whoever only looks: no copy is kept, which would push
    /// out those in use. Without those that are over.
    pub(super) async fn peek(
        &self,
        keys: &[Digest],
        now: Timestamp,
    ) -> Result<Vec<(Digest, Arc<SignedIn>)>, StoreError> {
        self.learn_everybody().await?;
        let mut found = Vec::new();
        for some in keys.chunks(AT_ONCE) {
            let mut asking = JoinSet::new();
            for key in some {
                let (redis, key) = (self.redis.clone(), *key);
                asking.spawn(async move { (key, redis.peek(&key).await) });
            }
            while let Some(asked) = asking.join_next().await {
                let (key, peeked) = asked.map_err(|_| StoreError::Unavailable)?;
                let peeked =
                    peeked?.and_then(|(record, left)| self.peeked(&key, &record, left, now));
                found.extend(peeked.map(|member| (key, member)));
            }
        }
        Ok(found)
    }

    fn peeked(
        &self,
        key: &Digest,
        record: &[u8],
        left: Option<Duration>,
        now: Timestamp,
    ) -> Option<Arc<SignedIn>> {
        let session = Session::from_record(record)?;
        let is_over = now >= session.ends()
            || session.started() <= self.everybody()
            || !self.is_ours.include(&session)
            || self.is_owed(key);
        if is_over {
            return None;
        }
        // The store was told of its use by how long it lasts from then on.
        if let Some(left) = left {
            session.touch(now.after(left).before(session.lifetimes().idle).min(now));
        }
        if let Some(known) = self.known.table.peek(key) {
            session.touch(known.session().last_used());
        }
        Some(Arc::new(SignedIn::new(session)))
    }

    /// The sessions of a name, some of which may be over.
    pub(super) async fn named(&self, name: &Digest) -> Result<Vec<Digest>, StoreError> {
        self.redis.named(name).await
    }

    /// Until when whoever signed in has to do it anew, as the store says.
    pub(super) async fn everybody_as_told(&self) -> Result<Timestamp, StoreError> {
        self.learn_everybody().await?;
        Ok(self.everybody())
    }

    fn is_valid(&self, session: &Session, now: Timestamp) -> bool {
        session.is_live(now) && session.started() > self.everybody()
    }

    fn everybody(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.heard.everybody.load(Ordering::Acquire))
    }

    async fn learn_everybody(&self) -> Result<(), StoreError> {
        let heard = &self.heard;
        let said = heard.said.load(Ordering::Acquire);
        if heard.read.load(Ordering::Acquire) == said {
            return Ok(());
        }
        let everybody = self.redis.everybody().await?;
        let everybody = everybody.map(Timestamp::unix_millis).unwrap_or_default();
        // It only ever becomes later: what is not there any more has ended all that it could end.
        heard.everybody.fetch_max(everybody, Ordering::AcqRel);
        heard.read.store(said, Ordering::Release);
        Ok(())
    }

    /// Tells the store now and then that a session is used.
    fn note_use(&self, key: &Digest, member: &Arc<SignedIn>, now: Timestamp) {
        let every = (self.lifetimes.idle / 20).min(Duration::from_secs(60));
        if !member.is_to_be_told(every, now) {
            return;
        }
        let (redis, key) = (self.redis.clone(), *key);
        let lasts = self.lasts(member.session(), now);
        // Nobody waits for it; the next one tells it again.
        tokio::spawn(async move {
            let _ = redis.touch(&key, lasts).await;
        });
    }

    fn lasts(&self, session: &Session, now: Timestamp) -> Duration {
        let left = session.ends().unix_millis().saturating_sub(now.unix_millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        session.lifetimes().idle.min(left)
    }

    fn forget(&self, key: &Digest) {
        let warm = self.known.table.remove(key).and_then(|gone| gone.signed_in);
        if let Some(member) = warm {
            // What is not there any more is over, for whoever waits for that too (SESS-10).
            member.ending().tell();
        }
    }

    fn is_owed(&self, key: &Digest) -> bool {
        self.owes.load(Ordering::Acquire) > 0 && self.owing().contains(key)
    }

    fn owe(&self, key: &Digest) {
        let mut owed = self.owing();
        if owed.len() < MOST_OWED {
            owed.insert(*key);
            self.owes.store(owed.len(), Ordering::Release);
        }
    }

    fn paid(&self, key: &Digest) {
        let mut owed = self.owing();
        owed.remove(key);
        self.owes.store(owed.len(), Ordering::Release);
    }

    fn owing(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self) {
        loop {
            sleep(SETTLE).await;
            if self.owed() == 0 || !self.is_up() {
                continue;
            }
            let owed: Vec<Digest> = self.owing().iter().copied().collect();
            for key in owed {
                if self.redis.delete(&key).await.is_err() {
                    break;
                }
                self.paid(&key);
            }
        }
    }
}

/// A sign-out of each sort under a name of its own.
fn marked(who: SignOut, key: &Digest) -> Digest {
    match who {
        SignOut::Here => *key,
        SignOut::There => Digest::of(key.to_hex().as_bytes()),
    }
}

/// Where what the store says goes.
struct Hearing {
    heard: Arc<Heard>,
    known: Known,
    clock: Clock,
    prefix: String,
}

impl Hearing {
    fn hear(&self, told: Told) {
        let heard = &self.heard;
        match told {
            Told::Changed(name) => match Redis::session_of(&self.prefix, &name) {
                Some(key) => {
                    heard.copies.changed(&key, || self.known.table.doubt(&key));
                    self.known.watched.suspect(&key);
                }
                None => {
                    heard.said.fetch_add(1, Ordering::AcqRel);
                    if Redis::is_everybody(&self.prefix, &name) {
                        // What is open asks nothing, so somebody has to ask for it (SESS-10).
                        self.known.watched.suspect_all();
                    }
                }
            },
            Told::AllChanged => {
                heard.copies.all_changed();
                self.known.watched.suspect_all();
                heard.said.fetch_add(1, Ordering::AcqRel);
            }
            Told::Uncertain => {
                heard.copies.down(self.clock.now());
                heard.said.fetch_add(1, Ordering::AcqRel);
            }
            Told::Up => {
                heard.copies.up();
                self.known.watched.suspect_all();
            }
        }
    }
}
