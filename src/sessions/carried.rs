//! Sessions that are in their browsers: the record, sealed, in one cookie or a few. Nothing has
//! to be kept here, so that any node that has the keys knows everybody. What is kept all the same
//! is what was read a moment ago, and what was ended before its time.
//!
//! **What a cookie cannot do.** It is written anew when it has grown old by a tenth of the idle
//! time and when the provider has said something else, with the next answer that passes; until
//! that answer arrives the browser shows the earlier one. So use counts to within a tenth, two
//! nodes may ask the provider for the same member, and a refresh token that was taken back in the
//! meantime ends the session. What is too large for a browser is refused at the login and never
//! cut (SESS-05). Deliberately not here: reading and setting cookies (`gate::cookies`, `cookie`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Digest, Here, Purpose, Seal, Sessions, SignedIn, Store, StoreError, index};
use crate::gate::cookies::MOST_PARTS;
use crate::gate::{Secret, Session, SessionId, Ticket, Timestamp};

/// Of one part, in text: with its name and attributes it stays below the 4,096 bytes that a browser
/// keeps (RFC 6265bis, section 5.6).
const PART: usize = 3800;
/// What no other value is sealed under; a session says itself which portal it is for.
const SCOPE: &[u8] = b"carried";

/// What a visitor shows, as far as it can be read.
#[derive(Debug)]
pub struct Shown {
    /// The id of the session.
    pub id: SessionId,
    pub(super) carried: Option<Carried>,
}

/// A session that came along. The secret is its record.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) revision: u32,
    pub(super) last_used: Timestamp,
    pub(super) record: Secret<Vec<u8>>,
}

/// Seals and opens them.
#[derive(Debug)]
pub(super) struct Carrier {
    seal: Arc<Seal>,
    /// How old the time of last use may be that a browser has.
    every: Duration,
}

impl Carrier {
    pub(super) fn new(seal: Arc<Seal>, idle: Duration) -> Self {
        Self { seal, every: idle / 10 }
    }

    /// What came, if we sealed it.
    pub(super) fn open(&self, ticket: &Ticket) -> Option<Shown> {
        let Ticket::Sealed(text) = ticket else {
            return None;
        };
        if text.expose().len() > PART * MOST_PARTS {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text.expose()).ok()?;
        let opened = self.seal.open_bytes(Purpose::Session, SCOPE, sealed).ok()?;
        let (id, rest) = opened.split_first_chunk::<32>()?;
        let (revision, rest) = rest.split_first_chunk::<4>()?;
        let (last_used, record) = rest.split_first_chunk::<8>()?;
        Some(Shown {
            id: SessionId::new(*id),
            carried: Some(Carried {
                revision: u32::from_le_bytes(*revision),
                last_used: Timestamp::from_unix_millis(i64::from_le_bytes(*last_used)),
                record: Secret::new(record.to_vec()),
            }),
        })
    }

    /// What the browser is to keep, part by part.
    ///
    /// # Errors
    /// When it is too large for that.
    pub(super) fn seal(
        &self,
        id: &SessionId,
        session: &Session,
    ) -> Result<Vec<String>, StoreError> {
        let record = session.to_record();
        let last_used = session.last_used().unix_millis().to_le_bytes();
        let revision = session.revision().to_le_bytes();
        let whole = [&id.bytes()[..], &revision, &last_used, record.expose()].concat();
        let sealed = self.seal.seal_bytes(Purpose::Session, SCOPE, &whole);
        let text = URL_SAFE_NO_PAD.encode(sealed.ok_or(StoreError::Random)?);
        let parts: Vec<&[u8]> = text.as_bytes().chunks(PART).collect();
        if parts.len() > MOST_PARTS {
            return Err(StoreError::TooLarge);
        }
        let count = parts.len();
        let part = |(number, part): (usize, &&[u8])| {
            let part = String::from_utf8_lossy(part);
            match number {
                0 => format!("{count}.{part}"),
                _ => part.into_owned(),
            }
        };
        Ok(parts.iter().enumerate().map(part).collect())
    }

    /// Whether the browser is to keep another than it has shown.
    pub(super) fn has_grown_old(&self, shown: &Carried, member: &SignedIn, now: Timestamp) -> bool {
        shown.revision < member.session().revision() || shown.last_used.after(self.every) <= now
    }
}

impl Sessions {
    /// What a visitor shows, as far as it can be read.
    #[must_use]
    pub fn shown(&self, ticket: &Ticket) -> Option<Shown> {
        match (&self.carrier, ticket) {
            (Some(carrier), ticket) => carrier.open(ticket),
            (None, Ticket::Id(id)) => Some(Shown { id: id.clone(), carried: None }),
            (None, Ticket::Sealed(_)) => None,
        }
    }

    /// What is known here of the session that a visitor shows.
    #[must_use]
    pub fn arrive(&self, shown: &Shown, now: Timestamp) -> Here {
        match &shown.carried {
            Some(carried) if !self.admit(&shown.id, carried) => Here::Nobody,
            Some(_) | None => self.here(&shown.id, now),
        }
    }

    /// Reads a session that came along, unless what is known here is as young. Whether it is one.
    fn admit(&self, id: &SessionId, carried: &Carried) -> bool {
        let key = Digest::of_id(id);
        loop {
            let known = self.table.find(&key).map(|found| found.signed_in);
            if let Some(known) = &known
                && carried.revision <= known.session().revision()
            {
                known.session().touch(carried.last_used);
                return true;
            }
            let record = carried.record.expose();
            let session = Session::from_record(record).filter(|found| self.is_ours.include(found));
            let Some(session) = session else {
                return false;
            };
            session.touch(carried.last_used);
            let next = Arc::new(match &known {
                Some(known) => {
                    session.touch(known.session().last_used());
                    known.renewed(session)
                }
                None => SignedIn::new(session),
            });
            let is_there = match &self.store {
                Store::Remote(remote, _) => {
                    remote.known().admit(&key, known.as_ref(), &next, record)
                }
                Store::Memory { revoked: Some(revoked), .. }
                    if revoked.include(&key, next.session()) =>
                {
                    return false;
                }
                Store::Memory { index, .. } => {
                    // First, so that whoever ends it by its name from now on finds it.
                    index.add(index::names(next.session()), &key);
                    let is_there = self.table.admit(&key, known.as_ref(), &next, record);
                    if let (true, Some(known)) = (is_there, &known) {
                        let names = index::names(known.session());
                        index.leave(names, index::names(next.session()), &key);
                    }
                    is_there
                }
            };
            if is_there {
                return true;
            }
            // Another has shown it at this moment: what that one waits for is what this one waits
            // for.
        }
    }

    /// What the browser of a session is to keep, part by part.
    ///
    /// # Errors
    /// When it is too large for that.
    pub fn tickets(&self, id: &SessionId, member: &SignedIn) -> Result<Vec<String>, StoreError> {
        match &self.carrier {
            Some(carrier) => carrier.seal(id, member.session()),
            None => Ok(vec![id.cookie_value()]),
        }
    }

    /// Whether the browser of a session is to keep something else than it has shown.
    #[must_use]
    pub fn has_grown_old(&self, shown: &Shown, member: &SignedIn, now: Timestamp) -> bool {
        match (&self.carrier, &shown.carried) {
            (Some(carrier), Some(carried)) => carrier.has_grown_old(carried, member, now),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Lifetimes, Subject, VerifiedClaims, cookies};
    use http::HeaderValue;
    use proptest::prelude::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn session(note: &str) -> Session {
        let subject = Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let claims = serde_json::Map::from_iter([("note".to_owned(), note.into())]);
        let claims = VerifiedClaims::assertion(subject, claims);
        let hour = Duration::from_secs(3600);
        let lifetimes = Lifetimes { idle: hour, absolute: hour };
        Session::start(claims, "p".into(), "h".into(), "handle".into(), lifetimes, NOON)
    }

    fn carrier() -> Carrier {
        Carrier::new(Arc::new(Seal::new(&[]).unwrap()), Duration::from_secs(1000))
    }

    fn id() -> SessionId {
        SessionId::new([3; 32])
    }

    /// As a browser sends them back.
    fn sent(parts: &[String]) -> Vec<HeaderValue> {
        let pair = |(number, part): (usize, &String)| match number {
            0 => format!("{}={part}", cookies::SESSION),
            _ => format!("{}{}={part}", cookies::PART_PREFIX, number + 1),
        };
        let pairs: Vec<String> = parts.iter().enumerate().map(pair).collect();
        vec![HeaderValue::from_str(&pairs.join("; ")).unwrap()]
    }

    fn shown(carrier: &Carrier, fields: &[HeaderValue]) -> Option<Shown> {
        carrier.open(&cookies::read(fields).session?)
    }

    proptest! {
        #[test]
        fn sess_05_a_session_comes_back_whole_or_is_refused(length in 0_usize..14_000) {
            let (carrier, session) = (carrier(), session(&"n".repeat(length)));
            match carrier.seal(&id(), &session) {
                Ok(parts) => {
                    prop_assert!(parts.len() <= MOST_PARTS);
                    prop_assert!(parts.iter().all(|part| part.len() <= PART + 2));
                    let shown = shown(&carrier, &sent(&parts)).unwrap();
                    prop_assert_eq!(*shown.id.bytes(), [3; 32]);
                    let record = shown.carried.unwrap().record;
                    prop_assert!(record.expose() == session.to_record().expose());
                }
                Err(error) => {
                    prop_assert_eq!(error, StoreError::TooLarge);
                    prop_assert!(length > 11_000, "{}", length);
                }
            }
        }
    }

    #[test]
    fn sess_02_parts_that_do_not_belong_together_are_nobodys() {
        let carrier = carrier();
        let one = carrier.seal(&id(), &session(&"1".repeat(8000))).unwrap();
        let other = carrier.seal(&id(), &session(&"2".repeat(8000))).unwrap();
        let is_somebody = |parts: &[String]| shown(&carrier, &sent(parts)).is_some();
        assert_eq!(one.len(), 3);
        assert!(is_somebody(&one) && is_somebody(&other));
        let more = [one.clone(), vec!["left-of-a-longer-one".to_owned()]].concat();
        assert!(is_somebody(&more), "what is left of a longer one does not count");
        let mixed = [one[0].clone(), other[1].clone(), one[2].clone()];
        assert!(!is_somebody(&mixed));
        assert!(!is_somebody(&one[..2]) && !is_somebody(&one[..1]));
        let swapped = [one[0].clone(), one[2].clone(), one[1].clone()];
        assert!(!is_somebody(&swapped));
        let mut fields = sent(&one);
        fields.push(HeaderValue::from_str(&format!("{}2=x", cookies::PART_PREFIX)).unwrap());
        assert!(shown(&carrier, &fields).is_none(), "COOK-03: a part that comes twice");
        for count in ["0", "5", "9", "x", "", "03", "1000000000000"] {
            let text = format!("{count}.{}", one[0].split_once('.').unwrap().1);
            let parts = [text, one[1].clone(), one[2].clone()];
            assert!(!is_somebody(&parts), "{count}");
        }
        let other_keys = Carrier::new(Arc::new(Seal::new(&[]).unwrap()), Duration::ZERO);
        assert!(shown(&other_keys, &sent(&one)).is_none());
    }

    #[test]
    fn a_browser_gets_another_when_its_own_has_grown_old() {
        let carrier = carrier();
        let parts = carrier.seal(&id(), &session("")).unwrap();
        let shown = shown(&carrier, &sent(&parts)).unwrap().carried.unwrap();
        let member = SignedIn::new(session(""));
        assert!(!carrier.has_grown_old(&shown, &member, NOON.after(Duration::from_secs(99))));
        assert!(carrier.has_grown_old(&shown, &member, NOON.after(Duration::from_secs(100))));
        let rotated = session("").rotated(Secret::new("r".to_owned()), NOON);
        assert!(carrier.has_grown_old(&shown, &SignedIn::new(rotated), NOON));
    }
}
