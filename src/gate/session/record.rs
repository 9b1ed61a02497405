//! A session written down: for a store that outlives this process, and to take little room while
//! nobody asks for it. What is read back is believed, so whoever hands it here has opened its seal
//! or never let it leave the process.
//!
//! The form is ours alone and has a version: another version is nobody's session, and its member
//! signs in again. Tokens for the portal stand behind the rest, and only where there are some: every
//! other session is written as it was before there could be any.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AtProvider, Lifetimes, Session};
use crate::gate::claims::{AccountKind, GroupsKnown, Subject};
use crate::gate::login::Journey;
use crate::gate::{PortalToken, PortalTokens, Renewal, Secret, Timestamp, VerifiedClaims};

/// Of the form below.
const VERSION: u8 = 1;
/// Of the same with [`Passed`] behind it.
const WITH_TOKENS: u8 = 2;

/// Claims that often say what else has to be written down, so that it is written once.
const SAID_TWICE: [&str; 5] = ["sub", "oid", "tid", "iss", "sid"];

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    /// JSON.
    claims: &'a str,
    #[serde(borrow)]
    subject: Who<'a>,
    account: Option<AccountKind>,
    groups: GroupsKnown,
    provider: &'a str,
    portal: &'a str,
    handle: &'a str,
    #[serde(borrow)]
    sid: Option<Told<'a>>,
    #[serde(borrow)]
    sub: Option<Told<'a>>,
    id_token: Option<&'a str>,
    started: Timestamp,
    said: Timestamp,
    last_used: Timestamp,
    #[serde(borrow)]
    renewal: Option<Asking<'a>>,
    idle: Duration,
    absolute: Duration,
    revision: u32,
    proof: [u8; 16],
}

/// Text, or where it stands among the claims.
#[derive(Serialize, Deserialize)]
enum Told<'a> {
    Here(&'a str),
    Claim(u8),
}

#[derive(Serialize, Deserialize)]
enum Who<'a> {
    Directory(#[serde(borrow)] Told<'a>, #[serde(borrow)] Told<'a>),
    Issuer(#[serde(borrow)] Told<'a>, #[serde(borrow)] Told<'a>),
}

#[derive(Serialize, Deserialize)]
struct Asking<'a> {
    refresh_token: &'a str,
    journey: Journey,
    nonce: &'a str,
}

/// What the portal gets of the provider's tokens.
#[derive(Serialize, Deserialize)]
struct Passed<'a> {
    #[serde(borrow)]
    access_token: Option<PassedToken<'a>>,
    #[serde(borrow)]
    id_token: Option<PassedToken<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PassedToken<'a> {
    token: &'a str,
    ends: Timestamp,
}

impl<'a> Passed<'a> {
    fn of(tokens: &'a PortalTokens) -> Self {
        let one = |token: &'a PortalToken| PassedToken {
            token: token.token().expose(),
            ends: token.ends(),
        };
        let PortalTokens { access_token, id_token } = tokens;
        Self { access_token: access_token.as_ref().map(one), id_token: id_token.as_ref().map(one) }
    }

    fn tokens(&self) -> PortalTokens {
        let one = |one: &PassedToken<'_>| {
            PortalToken::until(&Secret::new(one.token.to_owned()), one.ends)
        };
        PortalTokens {
            access_token: self.access_token.as_ref().and_then(one),
            id_token: self.id_token.as_ref().and_then(one),
        }
    }
}

impl<'a> Told<'a> {
    fn of(text: &'a str, claims: &VerifiedClaims) -> Self {
        let mut names = (0..).zip(SAID_TWICE);
        match names.find(|(_, name)| claims.text(name) == Some(text)) {
            Some((number, _)) => Self::Claim(number),
            None => Self::Here(text),
        }
    }

    fn text(&self, claims: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
        match self {
            Self::Here(text) => Some((*text).to_owned()),
            Self::Claim(number) => {
                let name = SAID_TWICE.get(usize::from(*number))?;
                claims.get(*name)?.as_str().map(str::to_owned)
            }
        }
    }
}

impl Session {
    /// The session, written down. Whoever reads it knows everything about its member.
    #[must_use]
    pub fn to_record(&self) -> Secret<Vec<u8>> {
        let claims = &self.claims;
        let text = claims.to_json();
        let subject = match claims.subject() {
            Subject::Directory { tenant, object } => {
                Who::Directory(Told::of(tenant, claims), Told::of(object, claims))
            }
            Subject::Issuer { issuer, subject } => {
                Who::Issuer(Told::of(issuer, claims), Told::of(subject, claims))
            }
        };
        let AtProvider { sid, sub, id_token } = &self.at_provider;
        let record = Record {
            claims: &text,
            subject,
            account: claims.account(),
            groups: claims.groups_known(),
            provider: &self.provider,
            portal: &self.portal,
            handle: &self.handle,
            sid: sid.as_deref().map(|sid| Told::of(sid, claims)),
            sub: sub.as_deref().map(|sub| Told::of(sub, claims)),
            id_token: id_token.as_ref().map(|token| token.expose().as_str()),
            started: self.started,
            said: self.said,
            last_used: self.last_used(),
            renewal: self.renewal.as_ref().map(|renewal| Asking {
                refresh_token: renewal.refresh_token.expose(),
                journey: renewal.journey,
                nonce: renewal.nonce.expose(),
            }),
            idle: self.lifetimes.idle,
            absolute: self.lifetimes.absolute,
            revision: self.revision,
            proof: *self.proof.expose(),
        };
        let written = match self.tokens() {
            None => postcard::to_extend(&record, vec![VERSION]),
            Some(tokens) => postcard::to_extend(&record, vec![WITH_TOKENS])
                .and_then(|written| postcard::to_extend(&Passed::of(tokens), written)),
        };
        // Plain data into memory: there is nothing that could fail.
        Secret::new(written.unwrap_or_default())
    }

    /// What [`Session::to_record`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_record(record: &[u8]) -> Option<Self> {
        let (version, record) = record.split_first()?;
        if !matches!(*version, VERSION | WITH_TOKENS) {
            return None;
        }
        let (record, behind): (Record<'_>, &[u8]) = postcard::take_from_bytes(record).ok()?;
        let tokens = match *version {
            WITH_TOKENS => postcard::from_bytes::<Passed<'_>>(behind).ok()?.tokens(),
            _ => PortalTokens::default(),
        };
        let claims: serde_json::Map<_, _> = serde_json::from_str(record.claims).ok()?;
        let subject = match &record.subject {
            Who::Directory(tenant, object) => {
                Subject::Directory { tenant: tenant.text(&claims)?, object: object.text(&claims)? }
            }
            Who::Issuer(issuer, subject) => {
                Subject::Issuer { issuer: issuer.text(&claims)?, subject: subject.text(&claims)? }
            }
        };
        let at_provider = AtProvider {
            sid: record.sid.as_ref().and_then(|sid| sid.text(&claims)),
            sub: record.sub.as_ref().and_then(|sub| sub.text(&claims)),
            id_token: record.id_token.map(|token| Secret::new(token.to_owned())),
        };
        let renewal = record.renewal.map(|asking| Renewal {
            refresh_token: Secret::new(asking.refresh_token.to_owned()),
            journey: asking.journey,
            nonce: Secret::new(asking.nonce.to_owned()),
        });
        let claims = VerifiedClaims::restored(subject, claims, record.account, record.groups);
        let session = Self {
            token_ends: claims.ends(),
            claims,
            provider: Arc::from(record.provider),
            portal: Arc::from(record.portal),
            handle: record.handle.to_owned(),
            at_provider,
            started: record.started,
            said: record.said,
            renewal,
            lifetimes: Lifetimes { idle: record.idle, absolute: record.absolute },
            last_used: AtomicI64::new(record.last_used.unix_millis()),
            revision: record.revision,
            proof: Secret::new(record.proof),
            tokens: None,
        };
        Some(session.passing(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn lifetimes() -> Lifetimes {
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) }
    }

    fn session(claims: Value, subject: Subject) -> Session {
        let claims = claims.as_object().cloned().unwrap_or_default();
        let claims = VerifiedClaims::assertion(subject, claims);
        Session::start(
            claims,
            "corporate".into(),
            "members.example".into(),
            "handle".into(),
            lifetimes(),
            NOON,
        )
    }

    fn same(one: &Session, other: &Session) -> bool {
        // The record has everything; what it leaves out would not come back.
        one.to_record().expose() == other.to_record().expose()
            && one.claims == other.claims
            && one.is_live(NOON) == other.is_live(NOON)
            && one.ends() == other.ends()
            && one.token_ends == other.token_ends
    }

    #[test]
    fn a_session_comes_back_as_it_was() {
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let claims = json!({ "tid": "t", "oid": "o", "exp": 1_800_003_600, "roles": ["a", "é"],
            "nested": { "a": [1, null, 1.5, true] } });
        let renewal = Renewal {
            refresh_token: Secret::new("refresh".to_owned()),
            journey: Journey::SignUp,
            nonce: Secret::new("nonce".to_owned()),
        };
        let at_provider = AtProvider {
            sid: Some("s".to_owned()),
            sub: Some("t".to_owned()),
            id_token: Some(Secret::new("token".to_owned())),
        };
        let session = session(claims, subject).renewable(Some(renewal)).known_as(at_provider);
        session.touch(NOON.after(Duration::from_secs(5)));
        let back = Session::from_record(session.to_record().expose()).unwrap();
        assert!(same(&session, &back));
        assert_eq!(back.claims().subject(), session.claims().subject());
        assert_eq!(back.at_provider().sub.as_deref(), Some("t"));
        assert_eq!(back.renewal().unwrap().journey, Journey::SignUp);
    }

    #[test]
    fn az_05_what_is_not_known_of_groups_is_not_known_later() {
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let known = session(json!({ "groups": ["g"] }), subject);
        let with = |claims| known.continued(claims, "handle".into(), NOON);
        let written = |session: &Session| session.to_record().expose().clone();
        let claims = known.claims();
        let none = with(claims.clone().with_groups_unresolved());
        let unnamed = with(claims.clone().with_group_names_unresolved());
        for session in [&known, &none, &unnamed] {
            let back = Session::from_record(&written(session)).unwrap();
            assert!(same(session, &back));
            assert_eq!(back.claims().groups_unknown(), session.claims().groups_unknown());
            let names = session.claims().group_names_unknown();
            assert_eq!(back.claims().group_names_unknown(), names);
        }
        // Sessions from before names were told apart are read as they were written.
        for (kind, byte) in
            [(GroupsKnown::AsSaid, 0), (GroupsKnown::Unresolved, 1), (GroupsKnown::WithoutNames, 2)]
        {
            assert_eq!(postcard::to_stdvec(&kind).unwrap(), [byte]);
        }
    }

    #[test]
    fn a_session_of_ordinary_claims_takes_little_more_than_they_do() {
        let claims = json!({
            "iss": "https://login.microsoftonline.com/3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11/v2.0",
            "tid": "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11", "oid": "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "name": "Ada Lovelace",
            "preferred_username": "ada@example.org", "exp": 1_800_003_600, "roles": ["treasurer"],
            "sid": "3e2f1a64-8b7d-4e0a-9c55-6d2f0b9a7e11"
        });
        let length = claims.to_string().len();
        let subject = Subject::Directory {
            tenant: claims["tid"].as_str().unwrap().to_owned(),
            object: claims["oid"].as_str().unwrap().to_owned(),
        };
        let text = |name: &str| claims[name].as_str().map(str::to_owned);
        let at_provider = AtProvider { sid: text("sid"), sub: text("sub"), id_token: None };
        let record = session(claims.clone(), subject).known_as(at_provider).to_record();
        let more = record.expose().len() - length;
        assert!(more < 128, "{more} bytes beside {length} of claims");
    }

    #[test]
    fn tokens_come_back_and_a_session_without_any_is_written_as_before() {
        let subject = || Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let bare = session(json!({}), subject());
        let token = |text: &str| PortalToken::until(&Secret::new(text.to_owned()), NOON);
        let tokens = PortalTokens { access_token: token("access"), id_token: None };
        let passing = session(json!({}), subject()).passing(tokens);
        let (without, with) = (bare.to_record(), passing.to_record());
        assert_eq!((without.expose()[0], with.expose()[0]), (VERSION, WITH_TOKENS));
        let length = without.expose().len();
        assert_eq!(without.expose()[1..], with.expose()[1..length], "the tokens are behind it all");
        let back = Session::from_record(with.expose()).unwrap();
        let kept = back.tokens().unwrap();
        let access_token = kept.access_token.as_ref().unwrap();
        assert_eq!((access_token.token().expose().as_str(), access_token.ends()), ("access", NOON));
        assert!(kept.id_token.is_none());
        assert!(same(&passing, &back));
        assert!(Session::from_record(without.expose()).unwrap().tokens().is_none());
        for cut in length..with.expose().len() {
            assert!(Session::from_record(&with.expose()[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn another_version_is_nobodys_session() {
        let subject = Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let record = session(json!({}), subject).to_record();
        let mut record = record.expose().clone();
        record[0] = WITH_TOKENS + 1;
        assert!(Session::from_record(&record).is_none());
        assert!(Session::from_record(&[]).is_none());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| Value::Object(Map::from_iter(map))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_claims_come_back(
            claims in prop::collection::btree_map("[a-z]{1,6}|sub|oid|tid|iss", value(), 0..6),
            (tenant, object) in (".*", ".*"),
        ) {
            let claims = Value::Object(Map::from_iter(claims));
            let session = session(claims, Subject::Directory { tenant, object });
            let back = Session::from_record(session.to_record().expose());
            prop_assert!(back.is_some_and(|back| same(&session, &back)
                && back.claims().subject() == session.claims().subject()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Session::from_record(&[&[VERSION], &bytes[..]].concat());
            let _ = Session::from_record(&[&[WITH_TOKENS], &bytes[..]].concat());
        }
    }
}
