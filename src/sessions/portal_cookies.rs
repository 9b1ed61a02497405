//! Which cookies the portal set during a session (PATH-18). The browser itself carries the proof:
//! beside each such cookie one of ours that says, under a key that is in the session alone, that
//! this name was set to this value. So it holds on every node and after a restart, takes no
//! memory, and a cookie that somebody brings along from elsewhere has no proof. Deliberately not
//! here: which cookies of the portal it is asked of (`gate::PortalCookies`).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;

use super::cookie;
use crate::gate::{Session, cookies};

/// How many proofs a browser may have; one whose cookie is gone goes then.
const MOST: usize = 16;

/// The proofs that came with a request.
#[derive(Debug, Default)]
pub struct PortalProofs(Vec<(String, String)>);

impl PortalProofs {
    /// Those among a visitor's cookies.
    pub fn read<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let proofs = cookies::own_with(cookies::PROOF_PREFIX, fields).into_iter();
        Self(proofs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Whether the portal set this cookie during this session.
    #[must_use]
    pub fn show(&self, session: &Session, name: &[u8], value: &[u8]) -> bool {
        let own = name_of(name);
        let proof = self.0.iter().find(|(known, _)| *known == own).map(|(_, proof)| proof);
        let proof = proof.and_then(|proof| URL_SAFE_NO_PAD.decode(proof).ok());
        proof.is_some_and(|proof| hmac::verify(&key(session), &said(name, value), &proof).is_ok())
    }

    /// What an answer that sets these cookies of the portal's sets besides.
    #[must_use]
    pub fn after<'a>(
        &self,
        session: &Session,
        set: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Vec<HeaderValue> {
        let mut fields = Vec::new();
        let mut renewed = Vec::new();
        for (name, value) in set.take(MOST) {
            let own = name_of(name);
            let tag = hmac::sign(&key(session), &said(name, value));
            fields.extend(cookie::proof(&own, URL_SAFE_NO_PAD.encode(tag)));
            renewed.push(own);
        }
        // What another name had before is of no use to somebody who has so many.
        let others = self.0.iter().filter(|(known, _)| !renewed.contains(known));
        let room = MOST.saturating_sub(renewed.len());
        fields.extend(others.skip(room).filter_map(|(name, _)| cookie::no_proof(name)));
        fields
    }
}

fn key(session: &Session) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, session.proof().expose())
}

/// No cookie's name has a `=`.
fn said(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b"=", value].concat()
}

fn name_of(name: &[u8]) -> String {
    let mut short = URL_SAFE_NO_PAD.encode(digest(&SHA256, name));
    short.truncate(16);
    format!("{}{short}", cookies::PROOF_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Lifetimes, Secret, Subject, Timestamp, VerifiedClaims};
    use std::time::Duration;

    fn session(proof: u8) -> Session {
        let subject = Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
        let hour = Duration::from_secs(3600);
        let lifetimes = Lifetimes { idle: hour, absolute: hour };
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        Session::start(claims, "p".into(), "h".into(), String::new(), lifetimes, now)
            .proven_by(Secret::new([proof; 16]))
    }

    /// What the browser sends after these answers.
    fn sent_back(fields: &[HeaderValue]) -> PortalProofs {
        let pairs = fields.iter().map(|field| {
            HeaderValue::from_bytes(field.as_bytes().split(|byte| *byte == b';').next().unwrap())
        });
        PortalProofs::read(&pairs.collect::<Result<Vec<_>, _>>().unwrap())
    }

    #[test]
    fn path_18_a_proof_is_of_one_session_name_and_value() {
        let (ours, other) = (session(1), session(2));
        let set: [(&[u8], &[u8]); 2] = [(b"PHPSESSID", b"one"), (b"x", b"")];
        let proofs = sent_back(&PortalProofs::default().after(&ours, set.into_iter()));
        assert!(proofs.show(&ours, b"PHPSESSID", b"one") && proofs.show(&ours, b"x", b""));
        assert!(!proofs.show(&other, b"PHPSESSID", b"one"));
        assert!(!proofs.show(&ours, b"PHPSESSID", b"two"));
        assert!(!proofs.show(&ours, b"PHPSESSIC", b"one"));
        assert!(!PortalProofs::default().show(&ours, b"PHPSESSID", b"one"));
    }

    #[test]
    fn a_browser_keeps_no_more_proofs_than_are_of_use() {
        let session = session(1);
        let names: Vec<Vec<u8>> = (0..MOST).map(|n| format!("s{n}").into_bytes()).collect();
        let set = names.iter().map(|name| (name.as_slice(), &b"v"[..]));
        let proofs = sent_back(&PortalProofs::default().after(&session, set));
        assert_eq!(proofs.0.len(), MOST);
        let one: [(&[u8], &[u8]); 1] = [(b"another", b"v")];
        let fields = proofs.after(&session, one.into_iter());
        assert_eq!(fields.len(), 2, "one is set and one goes");
        assert!(fields.iter().any(|field| field.to_str().unwrap().contains("Max-Age=0")));
    }
}
