//! Sessions in Redis or Valkey. What is written there is sealed under its own name, so that
//! whoever reads the store learns nobody's identity, and whoever writes to it makes nobody a
//! member: the worst that can be done there is to delete, or to put back what was there.
//!
//! | name | what |
//! | --- | --- |
//! | `s:{…}` | a session: `r` is its record, sealed, and `t` when it was last used |
//! | `n:{…}` | the sessions of one name (`sid`, `sub`, member), by when each ends at the latest |
//! | `l:{…}` | who asks the provider about a session just now |
//! | `u:{…}` | what is used once |
//! | `o:{…}` | who signed out lately, and when |
//! | `m:{…}` | when a member signed in first and last, by a digest of portal and member |
//! | `r:{…}` | a session, or those of a name until then, ended before its time |
//! | `e` | since when everybody has to sign in anew |
//!
//! Lifetimes are ours, and Redis forgets a session a while after them. Where sessions are in their
//! browsers there is no `s`, `n` or `l`, and elsewhere no `r`. The braces keep what belongs to a
//! session on one node of a Cluster. Deliberately not here: which copies are certain (`copies`),
//! and what a lost store means for a visitor (`remote`).

mod link;
mod scripts;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};

pub(super) use self::link::{Link, Told};
pub(crate) use self::link::{NotKept, RoundTrip, StoreFault, examine};
use super::{Digest, Logins, Purpose, Seal, SealError, StoreCall, StoreError};
use crate::gate::Timestamp;

/// The commands.
#[derive(Clone, Debug)]
pub(super) struct Redis {
    link: Arc<Link>,
    seal: Arc<Seal>,
    prefix: String,
}

/// A record, if its seal could be opened, and when its session was used last.
type Opened = (Result<Vec<u8>, SealError>, Timestamp);

/// Something with a name in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Session,
    Name,
    Lock,
    Used,
    SignedOut,
    Ended,
    Member,
}

/// What the store has said something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Session(Digest),
    Ended(Digest),
    Other,
}

impl Named {
    const fn letter(self) -> &'static str {
        match self {
            Self::Session => "s",
            Self::Name => "n",
            Self::Lock => "l",
            Self::Used => "u",
            Self::SignedOut => "o",
            Self::Ended => "r",
            Self::Member => "m",
        }
    }
}

impl Redis {
    pub(super) fn new(link: Arc<Link>, seal: Arc<Seal>, prefix: String) -> Self {
        Self { link, seal, prefix }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// What a name of the store is of.
    pub(super) fn read_name(prefix: &str, name: &[u8]) -> Changed {
        let key = |letter: &str| {
            let name = std::str::from_utf8(name).ok()?.strip_prefix(prefix)?;
            Digest::from_hex(name.strip_prefix(letter)?.strip_prefix(":{")?.strip_suffix('}')?)
        };
        let session = key(Named::Session.letter()).map(Changed::Session);
        let ended = || key(Named::Ended.letter()).map(Changed::Ended);
        session.or_else(ended).unwrap_or(Changed::Other)
    }

    /// Ends what is of this name and began until now.
    pub(super) async fn end(
        &self,
        key: &Digest,
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.raise(StoreCall::End, &self.name(Named::Ended, key), now, kept).await
    }

    /// Until when what is of this name was ended.
    pub(super) async fn ended(&self, key: &Digest) -> Result<Option<Timestamp>, StoreError> {
        self.moment(StoreCall::Find, &self.name(Named::Ended, key)).await
    }

    /// The record of a session, and when it was used last as far as the store was told.
    pub(super) async fn get(
        &self,
        key: &Digest,
    ) -> Result<Option<(Vec<u8>, Timestamp)>, StoreError> {
        match self.read(key).await? {
            Some((Ok(record), used)) => Ok(Some((record, used))),
            // Its key was dropped, which ends what it sealed.
            None | Some((Err(SealError::Retired), _)) => Ok(None),
            Some((Err(SealError::Broken), _)) => Err(StoreError::Unavailable),
        }
    }

    /// The same for whoever only looks: what cannot be read is none.
    pub(super) async fn peek(
        &self,
        key: &Digest,
    ) -> Result<Option<(Vec<u8>, Timestamp)>, StoreError> {
        let found = self.read(key).await?;
        Ok(found.and_then(|(record, used)| Some((record.ok()?, used))))
    }

    async fn read(&self, key: &Digest) -> Result<Option<Opened>, StoreError> {
        let name = self.name(Named::Session, key);
        let mut get = cmd("HMGET");
        get.arg(&name).arg("r").arg("t");
        let mut found: (Option<Vec<u8>>, Option<i64>) =
            self.link.ask(StoreCall::Find, &name, &get).await?;
        if found.0.is_none() {
            // A sealed record proves by itself whose it is, but an answer that was meant for
            // another question must sign nobody out.
            found = self.answer(StoreCall::Find, &name, &script(scripts::FIND, &[&name])).await?;
        }
        let (Some(sealed), used) = found else {
            return Ok(None);
        };
        let opened = self.seal.open_bytes(Purpose::Session, name.as_bytes(), sealed);
        if matches!(opened, Err(SealError::Broken)) {
            self.link.suspect();
            tracing::error!("the store of sessions has a session that is none of ours");
        }
        Ok(Some((opened, Timestamp::from_unix_millis(used.unwrap_or_default()))))
    }

    /// Notes a moment, unless a later one is noted already, which then stays for as long.
    async fn raise(
        &self,
        call: StoreCall,
        name: &str,
        moment: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let mut raise = script(scripts::RAISE, &[name]);
        raise.arg(moment.unix_millis()).arg(millis(kept));
        self.does(call, name, &raise).await.map(drop)
    }

    /// A moment, if one is noted.
    async fn moment(&self, call: StoreCall, name: &str) -> Result<Option<Timestamp>, StoreError> {
        let at = self.number(call, name).await?;
        Ok(at.map(Timestamp::from_unix_millis))
    }

    /// A number, if it is there.
    async fn number(&self, call: StoreCall, name: &str) -> Result<Option<i64>, StoreError> {
        self.answer(call, name, &script(scripts::GET, &[name])).await
    }

    /// Whether a script has done what it is for.
    async fn does(&self, call: StoreCall, name: &str, script: &Cmd) -> Result<bool, StoreError> {
        self.answer::<i64>(call, name, script).await.map(|done| done > 0)
    }

    /// What a script answers, if it is of this name (SESS-07).
    async fn answer<T: FromRedisValue>(
        &self,
        call: StoreCall,
        name: &str,
        script: &Cmd,
    ) -> Result<T, StoreError> {
        let (of, answer): (String, T) = self.link.ask(call, name, script).await?;
        if of == name {
            return Ok(answer);
        }
        self.link.suspect();
        Err(StoreError::Unavailable)
    }

    /// Puts a new session there.
    pub(super) async fn put(
        &self,
        key: &Digest,
        record: &[u8],
        (used, kept): (Timestamp, Duration),
    ) -> Result<(), StoreError> {
        let name = self.name(Named::Session, key);
        let sealed = self.sealed(&name, record)?;
        let mut put = script(scripts::PUT, &[&name]);
        put.arg(sealed).arg(used.unix_millis()).arg(millis(kept));
        self.does(StoreCall::Start, &name, &put).await.map(drop)
    }

    /// A session is found by this name from now on, until it ends and a while longer.
    pub(super) async fn add_name(
        &self,
        name: &Digest,
        key: &Digest,
        (ends, spare): (Timestamp, Duration),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let name = self.name(Named::Name, name);
        let mut add = script(scripts::ADD, &[&name]);
        add.arg(now.unix_millis()).arg(ends.unix_millis()).arg(key.to_hex()).arg(millis(spare));
        self.does(StoreCall::Names, &name, &add).await.map(drop)
    }

    /// The sessions of a name, some of which may be over.
    pub(super) async fn named(&self, name: &Digest) -> Result<Vec<Digest>, StoreError> {
        let name = self.name(Named::Name, name);
        let list = script(scripts::LIST, &[&name]);
        let keys: Vec<String> = self.answer(StoreCall::Names, &name, &list).await?;
        Ok(keys.iter().filter_map(|key| Digest::from_hex(key)).collect())
    }

    /// Takes a session out.
    pub(super) async fn delete(&self, key: &Digest) -> Result<bool, StoreError> {
        let name = self.name(Named::Session, key);
        self.does(StoreCall::End, &name, &script(scripts::DELETE, &[&name])).await
    }

    /// A session is used.
    pub(super) async fn touch(
        &self,
        key: &Digest,
        (used, kept): (Timestamp, Duration),
    ) -> Result<(), StoreError> {
        let name = self.name(Named::Session, key);
        let mut touch = script(scripts::TOUCH, &[&name]);
        touch.arg(used.unix_millis()).arg(millis(kept));
        self.does(StoreCall::Use, &name, &touch).await.map(drop)
    }

    /// Takes the lock of a session for so long, unless another has it.
    pub(super) async fn lock(
        &self,
        key: &Digest,
        token: &str,
        lasts: Duration,
    ) -> Result<bool, StoreError> {
        self.once((Named::Lock, StoreCall::Turn), key, token, lasts).await
    }

    /// Keeps a lock that is ours for so long from now on.
    pub(super) async fn hold(
        &self,
        key: &Digest,
        token: &str,
        lasts: Duration,
    ) -> Result<bool, StoreError> {
        let name = self.name(Named::Lock, key);
        let mut hold = script(scripts::HOLD, &[&name]);
        hold.arg(token).arg(millis(lasts));
        self.does(StoreCall::Turn, &name, &hold).await
    }

    /// Gives a lock back.
    pub(super) async fn unlock(&self, key: &Digest, token: &str) -> Result<(), StoreError> {
        let name = self.name(Named::Lock, key);
        let mut unlock = script(scripts::UNLOCK, &[&name]);
        unlock.arg(token);
        self.does(StoreCall::Turn, &name, &unlock).await.map(drop)
    }

    /// Writes another state of a session, if it is still there and we still have its lock.
    pub(super) async fn swap(
        &self,
        key: &Digest,
        token: &str,
        record: &[u8],
        (used, kept): (Timestamp, Duration),
    ) -> Result<bool, StoreError> {
        let (name, lock) = (self.name(Named::Session, key), self.name(Named::Lock, key));
        let sealed = self.sealed(&name, record)?;
        let mut swap = script(scripts::SWAP, &[&name, &lock]);
        swap.arg(token).arg(sealed).arg(used.unix_millis()).arg(millis(kept));
        self.does(StoreCall::Renew, &name, &swap).await
    }

    /// Spends something: true once.
    pub(super) async fn spend(&self, key: &Digest, kept: Duration) -> Result<bool, StoreError> {
        self.once((Named::Used, StoreCall::Spend), key, "1", kept).await
    }

    /// It was not spent after all.
    pub(super) async fn give_back(&self, key: &Digest) -> Result<(), StoreError> {
        let name = self.name(Named::Used, key);
        let delete = script(scripts::DELETE, &[&name]);
        self.does(StoreCall::Spend, &name, &delete).await.map(drop)
    }

    /// Notes when somebody signed out.
    pub(super) async fn note_sign_out(
        &self,
        key: &Digest,
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.raise(StoreCall::SignOut, &self.name(Named::SignedOut, key), now, kept).await
    }

    /// When somebody signed out lately.
    pub(super) async fn signed_out(&self, key: &Digest) -> Result<Option<Timestamp>, StoreError> {
        self.moment(StoreCall::SignOut, &self.name(Named::SignedOut, key)).await
    }

    /// Notes that a member has signed in.
    pub(super) async fn note_login(
        &self,
        key: &Digest,
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let name = self.name(Named::Member, key);
        let mut note = script(scripts::SIGN_IN, &[&name]);
        note.arg(now.unix_millis()).arg(millis(kept));
        self.does(StoreCall::Logins, &name, &note).await.map(drop)
    }

    /// When a member signed in first and last.
    pub(super) async fn logins(&self, key: &Digest) -> Result<Option<Logins>, StoreError> {
        let name = self.name(Named::Member, key);
        let read = script(scripts::SIGNED_IN, &[&name]);
        let found: (Option<i64>, Option<i64>) =
            self.answer(StoreCall::Logins, &name, &read).await?;
        let (Some(first), Some(last)) = found else {
            return Ok(None);
        };
        let at = Timestamp::from_unix_millis;
        Ok(Some(Logins { first: at(first), last: at(last) }))
    }

    /// Whose sessions all have to have begun later.
    pub(super) async fn everybody(&self) -> Result<Option<Timestamp>, StoreError> {
        self.moment(StoreCall::Everybody, &self.everybodys_name()).await
    }

    /// Ends all sessions that began until then. It only ever becomes later.
    pub(super) async fn end_everybody(
        &self,
        until: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.raise(StoreCall::Everybody, &self.everybodys_name(), until, kept).await
    }

    /// Whether this is what [`Redis::everybody`] is called.
    pub(super) fn is_everybody(prefix: &str, name: &[u8]) -> bool {
        name.strip_prefix(prefix.as_bytes()) == Some(b"e")
    }

    fn everybodys_name(&self) -> String {
        format!("{}e", self.prefix)
    }

    /// Some of the sessions of one node, and where to go on, which is zero at the end; `None` if
    /// there is no such node.
    pub(super) async fn scan(
        &self,
        node: usize,
        cursor: u64,
        count: usize,
    ) -> Result<Option<(u64, Vec<Digest>)>, StoreError> {
        let mut scan = cmd("SCAN");
        let pattern = format!("{}s:{{*", glob_escaped(&self.prefix));
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let found: Option<(u64, Vec<Vec<u8>>)> =
            self.link.ask_node(StoreCall::List, node, &scan).await?;
        Ok(found.map(|(next, names)| {
            let key = |name: &Vec<u8>| match Self::read_name(&self.prefix, name) {
                Changed::Session(key) => Some(key),
                Changed::Ended(_) | Changed::Other => None,
            };
            (next, names.iter().filter_map(key).collect())
        }))
    }

    async fn once(
        &self,
        (named, call): (Named, StoreCall),
        key: &Digest,
        value: &str,
        kept: Duration,
    ) -> Result<bool, StoreError> {
        let name = self.name(named, key);
        let mut once = script(scripts::ONCE, &[&name]);
        once.arg(value).arg(millis(kept));
        self.does(call, &name, &once).await
    }

    fn sealed(&self, name: &str, record: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealed = self.seal.seal_bytes(Purpose::Session, name.as_bytes(), record);
        sealed.ok_or(StoreError::Random)
    }

    fn name(&self, named: Named, key: &Digest) -> String {
        format!("{}{}:{{{}}}", self.prefix, named.letter(), key.to_hex())
    }
}

fn script(text: &str, names: &[&str]) -> Cmd {
    let mut eval = cmd("EVAL");
    eval.arg(text).arg(names.len());
    for name in names {
        eval.arg(name);
    }
    eval
}

/// Redis refuses to keep anything for no time.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn glob_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
