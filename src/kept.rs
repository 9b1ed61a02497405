//! Keys that stand in files, kept as the files say: what is written there anew is in force within
//! seconds, and only if all of it can be used (CRY-02). Files are read rather than watched, so that
//! links that come to lead elsewhere, as in a mounted Secret, count as any other change.
//! Deliberately not here: how often somebody looks, and who is told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::gate::Timestamp;

/// Keys of one purpose: where they stand, and what they are put in force for.
pub trait Keys {
    /// One of them.
    type Key;

    /// Those that there are now, in order.
    ///
    /// # Errors
    /// What is the matter with the first that cannot be used.
    fn read(&self) -> Result<Vec<Self::Key>, String>;

    /// Whether they stand nowhere, and so never change.
    fn is_fixed(&self) -> bool;

    /// Whether two of them are the same.
    fn is_same(one: &Self::Key, other: &Self::Key) -> bool;

    /// They are in force from now on.
    ///
    /// # Errors
    /// When they cannot be; then those before still are.
    fn put(&self, keys: &[Self::Key]) -> Result<(), String>;
}

/// Keys and what they were read from.
pub struct Kept<K: Keys> {
    keys: K,
    state: Mutex<State<K::Key>>,
}

struct State<T> {
    /// In this order.
    in_force: Vec<T>,
    read: Timestamp,
    fault: Option<Fault>,
}

struct Fault {
    cause: String,
    since: Timestamp,
}

/// What a look at the files has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLook {
    /// What is in force, or the fault that was known.
    Nothing,
    /// So many keys, which are in force from now on.
    Changed(usize),
    /// Something that cannot be used; what was in force stays so.
    Faulty(String),
    /// What is in force, after a fault.
    Mended(usize),
}

/// How the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// How many are in force.
    pub count: usize,
    /// When they were read last without a fault.
    pub read: Timestamp,
    /// Why they cannot be read, and since when.
    pub fault: Option<(String, Timestamp)>,
}

impl<K: Keys> Kept<K> {
    /// Those that were read and put in force already.
    pub(crate) fn new(keys: K, in_force: Vec<K::Key>, now: Timestamp) -> Self {
        Self { keys, state: Mutex::new(State { in_force, read: now, fault: None }) }
    }

    /// What they are for.
    pub const fn keys(&self) -> &K {
        &self.keys
    }

    /// Puts those in force that were read last.
    pub(crate) fn put_in_force(&self) -> Result<(), String> {
        self.keys.put(&self.lock().in_force)
    }

    /// Those that are in force, by what is made of each.
    pub(crate) fn each<T>(&self, of: impl Fn(&K::Key) -> T) -> Vec<T> {
        self.lock().in_force.iter().map(of).collect()
    }

    /// Looks whether they are others now. It reads files, which may take its time.
    pub fn look(&self, now: Timestamp) -> KeyLook {
        if self.keys.is_fixed() {
            return KeyLook::Nothing;
        }
        let found = self.keys.read();
        let mut state = self.lock();
        let found = match found {
            Ok(found) => found,
            Err(cause) => return state.fails(cause, now),
        };
        let is_same = found.len() == state.in_force.len()
            && found.iter().zip(&state.in_force).all(|(new, old)| K::is_same(new, old));
        if is_same {
            state.read = now;
            return match state.fault.take() {
                Some(_) => KeyLook::Mended(found.len()),
                None => KeyLook::Nothing,
            };
        }
        if let Err(cause) = self.keys.put(&found) {
            return state.fails(cause, now);
        }
        let count = found.len();
        *state = State { in_force: found, read: now, fault: None };
        KeyLook::Changed(count)
    }

    /// How they are.
    #[must_use]
    pub fn state(&self) -> KeyState {
        let state = self.lock();
        KeyState {
            count: state.in_force.len(),
            read: state.read,
            fault: state.fault.as_ref().map(|fault| (fault.cause.clone(), fault.since)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K::Key>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn fails(&mut self, cause: String, now: Timestamp) -> KeyLook {
        let known = self.fault.take();
        let is_known = known.as_ref().is_some_and(|known| known.cause == cause);
        let since = known.map_or(now, |known| known.since);
        self.fault = Some(Fault { cause: cause.clone(), since });
        match is_known {
            true => KeyLook::Nothing,
            false => KeyLook::Faulty(cause),
        }
    }
}

impl<K: Keys> std::fmt::Debug for Kept<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("state", &self.state()).finish_non_exhaustive()
    }
}
