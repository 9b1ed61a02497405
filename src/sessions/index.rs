//! Which sessions a provider means when it says that somebody has signed out there: by the id of its
//! own session (`sid`), or by whom it is about (`sub`). As large as the table of sessions, whose every
//! removal is told here. Deliberately not here: whether the provider is believed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Digest;
use crate::gate::Session;

/// What a provider calls the sessions that are to end.
#[derive(Clone, Copy)]
pub enum Meant<'a> {
    /// Those that came of one session at the provider.
    Sid(&'a str),
    /// All those of one person.
    Sub(&'a str),
}

impl Meant<'_> {
    /// The key of the table: one provider's names are never another's (OIDC-20).
    pub(super) fn key(self, provider: &str) -> Digest {
        let (kind, name) = match self {
            Self::Sid(sid) => ("sid", sid),
            Self::Sub(sub) => ("sub", sub),
        };
        Digest::of(format!("{kind}\n{}\n{provider}\n{name}", provider.len()).as_bytes())
    }
}

/// The sessions by what their providers call them.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_name: Mutex<HashMap<Digest, Vec<Digest>>>,
}

impl Index {
    pub(super) fn add(&self, session: &Session, id: Digest) {
        let mut by_name = self.lock();
        for key in names(session) {
            by_name.entry(key).or_default().push(id);
        }
    }

    pub(super) fn remove(&self, session: &Session, id: &Digest) {
        let mut by_name = self.lock();
        for key in names(session) {
            if let Some(ids) = by_name.get_mut(&key) {
                ids.retain(|known| known != id);
                if ids.is_empty() {
                    by_name.remove(&key);
                }
            }
        }
    }

    pub(super) fn find(&self, key: &Digest) -> Vec<Digest> {
        self.lock().get(key).cloned().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Vec<Digest>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that a session is found by.
pub(super) fn names(session: &Session) -> impl Iterator<Item = Digest> {
    let there = session.at_provider();
    let sid = there.sid.as_deref().map(Meant::Sid);
    let sub = there.sub.as_deref().map(Meant::Sub);
    [sid, sub].into_iter().flatten().map(|meant| meant.key(session.provider()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Map;

    use super::super::Sessions;
    use super::*;
    use crate::gate::{AtProvider, Lifetimes, SessionId, Subject, Timestamp, VerifiedClaims};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn store(capacity: u64) -> Sessions {
        let hour = Duration::from_secs(3600);
        let lifetimes = Lifetimes { idle: hour, absolute: hour };
        let settings = crate::config::Sessions { lifetimes, capacity, refresh_interval: hour };
        Sessions::new(&settings, |_| {})
    }

    fn start(store: &Sessions, provider: &str, sid: &str) -> SessionId {
        let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: "s".into() };
        let claims = [("iss".to_owned(), "https://i.example".into())];
        let claims = VerifiedClaims::assertion(subject, Map::from_iter(claims));
        let hour = Duration::from_secs(3600);
        let lifetimes = Lifetimes { idle: hour, absolute: hour };
        let handle = String::new();
        let session = Session::start(claims, provider.into(), "h".into(), handle, lifetimes, NOON);
        let (sid, sub) = (Some(sid.to_owned()), Some("s".to_owned()));
        let at_provider = AtProvider { sid, sub, id_token: None };
        store.start(session.known_as(at_provider), None).unwrap()
    }

    fn lives(store: &Sessions, id: &SessionId) -> bool {
        store.find(id, NOON).is_some()
    }

    #[test]
    fn oidc_20_a_provider_ends_what_it_and_the_name_have_together() {
        let store = store(100);
        let one = start(&store, "a", "1");
        let same = start(&store, "a", "1");
        let other_sid = start(&store, "a", "2");
        let other_provider = start(&store, "b", "1");
        let ended = |meant, issuer| store.sign_out_meant("a", meant, issuer, NOON).len();
        assert_eq!(ended(Meant::Sid("1"), Some("https://other.example")), 0);
        assert_eq!(ended(Meant::Sub("1"), None), 0);
        assert!(lives(&store, &one));
        let known = store.end_meant("a", Meant::Sid("1"), None).len();
        assert_eq!((known, ended(Meant::Sid("1"), None)), (2, 0));
        assert!(!lives(&store, &one) && !lives(&store, &same));
        assert!(lives(&store, &other_sid) && lives(&store, &other_provider));
        assert_eq!(ended(Meant::Sub("s"), Some("https://i.example")), 1);
        assert!(!lives(&store, &other_sid) && lives(&store, &other_provider));
        assert_eq!(ended(Meant::Sid("1"), None), 0);
    }

    #[test]
    fn lim_07_names_go_with_their_sessions() {
        let store = store(10);
        let ids: Vec<_> = (0..100).map(|n| start(&store, "a", &n.to_string())).collect();
        store.tidy();
        let left = ids.iter().filter(|id| lives(&store, id)).count();
        assert!(left <= 10, "{left}");
        assert_eq!(store.index.len(), left + 1, "their sids, and the one sub");
        for id in &ids {
            let _ended: Option<Arc<_>> = store.end(id);
        }
        store.tidy();
        assert_eq!(store.index.len(), 0);
    }

    #[test]
    fn a_session_that_was_renewed_is_found_by_its_names() {
        let store = store(10);
        let id = start(&store, "a", "1");
        let earlier = store.find(&id, NOON).unwrap();
        let session = earlier.session();
        let next = session.continued(session.claims().clone(), String::new(), NOON);
        assert!(store.renew(&id, &earlier, next).is_some());
        store.tidy();
        assert_eq!(store.sign_out_meant("a", Meant::Sid("1"), None, NOON).len(), 1);
        assert!(!lives(&store, &id));
    }

    #[test]
    fn log_01_nobody_reads_the_names_in_a_log() {
        let store = store(10);
        let id = start(&store, "a", "canary");
        let shown = format!("{:?}", store.find(&id, NOON).unwrap());
        assert!(shown.contains("AtProvider") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn oidc_14_whoever_signed_out_since_then_is_signed_out() {
        let store = store(10);
        let later = NOON.after(Duration::from_secs(1));
        let before = start(&store, "a", "1");
        assert!(!store.signed_out_since(NOON, Some(&before), None));
        assert!(store.sign_out(&before, later).is_some());
        assert!(store.signed_out_since(NOON, Some(&before), None));
        assert!(store.signed_out_since(later, Some(&before), None), "in the same moment, too");
        let now = start(&store, "a", "2");
        assert!(!store.signed_out_since(NOON, None, Some(&now)));
        assert_eq!(store.sign_out_meant("a", Meant::Sid("3"), None, later).len(), 0);
        let now = start(&store, "a", "3");
        assert!(store.signed_out_since(NOON, None, Some(&now)));
    }

    #[test]
    fn oidc_14_names_that_strangers_invent_push_no_members_sign_out_away() {
        let store = store(10);
        let later = NOON.after(Duration::from_secs(1));
        let before = start(&store, "a", "1");
        assert!(store.sign_out(&before, later).is_some());
        for number in 0..25_000 {
            let name = number.to_string();
            assert!(store.sign_out_meant("a", Meant::Sid(&name), None, later).is_empty());
        }
        store.tidy();
        assert!(store.signed_out_since(NOON, Some(&before), None));
    }
}
