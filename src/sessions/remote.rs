//! Sessions whose truth is in Redis: what is certain here is answered here, everything else is
//! asked for, and a store that does not answer is neither a sign-out nor a way in (GEN-03,
//! REL-04).
//!
//! | the store | a member whose session is known here | anybody else |
//! | --- | --- | --- |
//! | is heard | at once, without asking | one question |
//! | does not answer, or is lost | goes on for as long as the grace allows | 503 |
//!
//! A session that ends here while the store cannot be told is over here at once, and the store is
//! told when it is back.
//!
//! Where sessions are in their browsers, the store has only what was ended before its time; that
//! nothing was found there is then what is certain, or not. Deliberately not here: the commands
//! (`redis`), and which copies are certain (`copies`).

mod again;
mod endings;
mod heard;
mod open;
mod owed;
mod peek;
mod turn;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) use self::heard::Known;
use self::heard::{Heard, Hearing};
pub use self::turn::Lease;
use super::copies::CHANGED;
use super::index;
use super::marks::{Once, SignOut};
use super::redis::{Link, Redis};
use super::{
    Digest, EndedHere, Here, Logins, ObserveStore, Ours, Seal, SignedIn, StoreError, StoreState,
};
use crate::clock::Clock;
use crate::config;
use crate::gate::login::PendingLogin;
use crate::gate::{Lifetimes, Session, Timestamp};

/// By how much the store's time may differ from ours.
const CLOCKS: Duration = Duration::from_secs(60);

/// For how long it is remembered that everybody was signed out: no session lasts longer, whatever
/// the configuration was when it began.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sessions in a store that others share.
pub(super) struct Remote {
    redis: Redis,
    known: Known,
    clock: Clock,
    lifetimes: Lifetimes,
    grace: Duration,
    heard: Arc<Heard>,
    owed: Mutex<HashSet<Digest>>,
    owes: AtomicUsize,
    is_ours: Ours,
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
            clock: clock.clone(),
            prefix: settings.prefix.clone(),
        };
        let link = Link::new(settings.clone(), move |told| hearing.hear(told));
        Self {
            redis: Redis::new(link, seal, settings.prefix.clone()),
            known,
            clock,
            lifetimes,
            grace: settings.grace,
            heard,
            owed: Mutex::default(),
            owes: AtomicUsize::new(0),
            is_ours,
        }
    }

    /// What this process knows of sessions.
    pub(super) const fn known(&self) -> &Known {
        &self.known
    }

    /// Keeps the connections, and tells what is owed; to be run beside the requests, for ever.
    pub(super) async fn keep(&self) {
        tokio::select! {
            () = Arc::clone(self.redis.link()).keep() => {}
            () = self.settle() => {}
            () = self.read_again() => {}
        }
    }

    /// Whether the store can be asked, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.redis.link().is_up()
    }

    /// How it is.
    pub(super) fn state(&self, now: Timestamp) -> StoreState {
        StoreState::Shared {
            hearing: self.heard.copies.hearing(self.grace, now),
            copies: self.known.table.count(),
            owed: self.owed(),
            reconnects: self.redis.link().reconnects(),
        }
    }

    /// Every call is told to `observe` from now on.
    pub(super) fn observe(&self, observe: ObserveStore) {
        self.redis.link().observe(observe);
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

    /// A session is used that the store is being asked for.
    pub(super) fn use_meanwhile(&self, key: &Digest, now: Timestamp) {
        let known = self.known.table.find(key).map(|found| found.signed_in);
        if let Some(known) = known.filter(|known| self.is_valid(known.session(), now)) {
            known.session().touch(now);
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
            Err(error) => self.for_want_of_better(key, now).map(Some).ok_or(error),
        }
    }

    /// What the store says of a session, kept here.
    pub(super) async fn look(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        self.learn_everybody().await?;
        if self.known.endings.is_some() {
            return self.look_for_endings(key, now).await;
        }
        let reader = self.heard.copies.read(*key);
        let Some((record, used)) = self.redis.get(key).await? else {
            reader.keep(|_| self.known.forget(key));
            return Ok(None);
        };
        let Some(session) = Session::from_record(&record) else {
            // Of another version of ours.
            return Ok(None);
        };
        session.touch(used);
        // What is known here of its use may be younger.
        if let Some(known) = self.known.table.find(key) {
            session.touch(known.signed_in.session().last_used());
        }
        let is_over = !self.is_valid(&session, now) || !self.is_ours.include(&session);
        if is_over || self.is_owed(key) {
            reader.keep(|_| self.known.forget(key));
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
        if self.known.endings.is_some() {
            let record = session.to_record();
            let member = Arc::new(SignedIn::new(session));
            self.known.put(key, &member, record.expose());
            return Ok(member);
        }
        // First, so that whoever ends it by its name from now on finds it.
        let names: Vec<Digest> = index::names(&session).collect();
        for name in names {
            self.redis.add_name(&name, key, (session.ends(), CLOCKS), now).await?;
        }
        let record = session.to_record();
        self.redis.put(key, record.expose(), (now, self.kept(&session, now))).await?;
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
        if self.known.endings.is_some() {
            let next = Arc::new(earlier.renewed(session));
            // Whoever signed out meanwhile stays so.
            let is_there = self.look(key, now).await?.is_some();
            if is_there {
                self.known.put(key, &next, record.expose());
            }
            return Ok(is_there.then_some(next));
        }
        let kept = (session.last_used(), self.kept(&session, now));
        if self.redis.swap(key, &lease.token, record.expose(), kept).await? {
            let member = Arc::new(earlier.renewed(session));
            member.told(now);
            self.known.table.put(*key, Arc::clone(&member), record.expose(), CHANGED);
            return Ok(Some(member));
        }
        // It is over, or we took so long that it was another's turn.
        self.look(key, now).await
    }

    /// Ends a session. It is over here, whether the store could be told or not; once it was told,
    /// it is over, whether the store had said before whose it was or not.
    pub(super) async fn end(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> EndedHere<Option<Arc<SignedIn>>> {
        let known = self.known.table.find(key).map(|found| found.signed_in);
        let known = match known {
            Some(known) => Some(known),
            None => self.look(key, now).await.ok().flatten(),
        };
        self.owe(key);
        let was_here = self.known.forget(key);
        let taken = self.take_away(key, now).await;
        if taken.is_ok() {
            self.paid(key);
        }
        // Of those who end it at one moment one has ended it: the one to whom the store says so,
        // and where it says nothing, the one who has found it here.
        let has_ended = match (&self.known.endings, &taken) {
            (None, Ok(was_there)) => *was_there,
            (None, Err(_)) | (Some(_), _) => was_here,
        };
        (known.filter(|_| has_ended), taken.map(drop))
    }

    /// Whether it was there, as far as the store can tell.
    async fn take_away(&self, key: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        match self.known.endings {
            None => self.redis.delete(key).await,
            Some(_) => {
                self.redis.end(key, now, self.lifetimes.absolute).await?;
                Ok(true)
            }
        }
    }

    /// Notes an ending of all that a name has until now, where sessions are in their browsers and
    /// are not known here.
    pub(super) async fn note_ending(
        &self,
        name: &Digest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.redis.end(name, now, self.lifetimes.absolute).await
    }

    /// Ends the sessions of a name, all of them that can be. Where they are in their browsers, only
    /// those that are known here.
    pub(super) async fn end_named(
        &self,
        name: &Digest,
        is_meant: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> EndedHere<Vec<Arc<SignedIn>>> {
        let keys = match self.named(name).await {
            Ok(keys) => keys,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let (mut ended, mut told) = (Vec::new(), Ok(()));
        for key in keys {
            let (one, is_told) = self.end_if(&key, &is_meant, now).await;
            ended.extend(one);
            told = told.and(is_told);
        }
        (ended, told)
    }

    async fn end_if(
        &self,
        key: &Digest,
        is_meant: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> EndedHere<Option<Arc<SignedIn>>> {
        let known = || self.known.table.peek(key);
        let found = match self.known.endings {
            Some(_) => Ok(known()),
            // What is known here ends here, though the store does not answer any more.
            None => self.look(key, now).await.or_else(|error| known().map(Some).ok_or(error)),
        };
        match found {
            Ok(Some(found)) if is_meant(found.session()) => self.end(key, now).await,
            Ok(Some(_) | None) => (None, Ok(())),
            Err(error) => (None, Err(error)),
        }
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

    /// Spends something of a kind that only nodes with a store know.
    pub(super) async fn spend_for(&self, key: &Digest, kept: Duration) -> Result<bool, StoreError> {
        self.redis.spend(key, kept).await
    }

    /// Notes a moment under a name, unless a later one is known.
    pub(super) async fn raise(
        &self,
        key: &Digest,
        at: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.redis.note_sign_out(key, at, kept).await
    }

    /// The latest moment that was noted under a name.
    pub(super) async fn raised(&self, key: &Digest) -> Result<Option<Timestamp>, StoreError> {
        self.redis.signed_out(key).await
    }

    pub(super) async fn give_back_spent(&self, key: &Digest) {
        // Else it stays spent, and nothing is done twice.
        let _ = self.redis.give_back(key).await;
    }

    /// When a member signed in first and last.
    pub(super) async fn logins(&self, key: &Digest) -> Result<Option<Logins>, StoreError> {
        self.redis.logins(key).await
    }

    pub(super) async fn note_login(
        &self,
        key: &Digest,
        kept: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.redis.note_login(key, now, kept).await
    }

    /// Until when whoever signed in has to do it anew, as the store says.
    pub(super) async fn everybody_as_told(&self) -> Result<Timestamp, StoreError> {
        self.learn_everybody().await?;
        Ok(self.everybody())
    }

    fn is_valid(&self, session: &Session, now: Timestamp) -> bool {
        session.started() > self.everybody() && now < self.lasts_until(session)
    }

    /// Until when a session lasts if nobody uses it.
    fn lasts_until(&self, session: &Session) -> Timestamp {
        super::lasts_until(session, self.lifetimes.absolute)
    }

    fn everybody(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.heard.everybody.load(Ordering::Acquire))
    }

    /// Asks for it if something may have been said of it. Whoever looks at many does so first, and
    /// once for all of them.
    pub(super) async fn learn_everybody(&self) -> Result<(), StoreError> {
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
        let kept = self.kept(member.session(), now);
        // Nobody waits for it; the next one tells it again.
        tokio::spawn(async move {
            let _ = redis.touch(&key, (now, kept)).await;
        });
    }

    /// For how long the store has to keep a session that is used now: longer than it can last,
    /// because the clocks are not the same.
    fn kept(&self, session: &Session, now: Timestamp) -> Duration {
        let left = session.ends().unix_millis().saturating_sub(now.unix_millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        session.lifetimes().idle.min(left) + CLOCKS
    }
}

/// A sign-out of each sort under a name of its own.
fn marked(who: SignOut, key: &Digest) -> Digest {
    match who {
        SignOut::Here => *key,
        SignOut::There => Digest::of(key.to_hex().as_bytes()),
    }
}
