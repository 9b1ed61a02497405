//! A directory that is an address of the operator's. Each question is one `POST` of JSON, signed as
//! Standard Webhooks has it, so that there is a library for the other side in every language; the
//! contract is in `docs/members.md`.
//!
//! A sign-in is first a *lookup*, which changes nothing that cannot be changed twice; only who is
//! unknown and to be created or linked makes a second request, whose id depends on portal, member
//! and kind alone: it comes again after a crash of ours or a broken connection, and whoever has
//! created the member by it, or is about to, does not create another.

mod answer;
mod signature;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use self::answer::{Answered, Decision};
use self::signature::{Id, signature};
use super::calls::{Asked, Call, Calls};
use super::decision::Found;
use super::error::{DirectoryError, Refused};
use super::patience::Patience;
use super::profile::profile;
use super::{Arrival, Ask, LastLogin, Looked, Written};
use crate::config;
use crate::gate::{Secret, Timestamp};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a webhook answers while another request of the same id is at it.
const NOT_YET: [StatusCode; 2] = [StatusCode::CONFLICT, StatusCode::TOO_EARLY];

/// The operator's address.
pub(super) struct Webhook {
    calls: Calls,
    key: Secret<Vec<u8>>,
    /// The portal's public URL.
    portal: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Lookup { is_dry: bool },
    Write(Ask),
}

impl Question {
    const fn name(self) -> &'static str {
        match self {
            Self::Lookup { .. } => "lookup",
            Self::Write(Ask::Create) => "provision",
            Self::Write(Ask::Link) => "link",
        }
    }

    const fn call(self) -> Call {
        match self {
            Self::Lookup { .. } => Call::Look,
            Self::Write(Ask::Create) => Call::Create,
            Self::Write(Ask::Link) => Call::Link,
        }
    }
}

impl Webhook {
    pub(super) fn new(calls: Calls, key: Secret<Vec<u8>>, portal: &str) -> Self {
        Self { calls, key, portal: portal.to_owned() }
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.calls.deadline()
    }

    /// Asks for somebody.
    pub(super) async fn look(
        &self,
        settings: &config::Members,
        arrival: Arrival<'_>,
        is_dry: bool,
        patience: &mut Patience,
    ) -> Result<Looked, DirectoryError> {
        let question = Question::Lookup { is_dry };
        let answered = self.ask(question, settings, arrival, patience).await?;
        let links = settings.links_by_address && arrival.address.is_some();
        let found = match answered.decision {
            Decision::Admit => Found::Known,
            Decision::Refuse => Found::Vetoed,
            // It was told of a verified address, or it has compared something else; and linking is
            // the operator's to allow.
            Decision::Unknown { is_unlinked: true, .. } if links => Found::Unlinked,
            Decision::Unknown { is_invited, .. } => Found::Nobody { is_invited },
        };
        let Answered { message, said, .. } = answered;
        Ok(Looked { found, said, message, account: None })
    }

    /// Has somebody created or linked.
    pub(super) async fn write(
        &self,
        ask: Ask,
        settings: &config::Members,
        arrival: Arrival<'_>,
        patience: &mut Patience,
    ) -> Result<Written, DirectoryError> {
        let answered = self.ask(Question::Write(ask), settings, arrival, patience).await?;
        match answered.decision {
            Decision::Admit => {
                Ok(Written::Member { is_new: answered.is_created, said: answered.said })
            }
            Decision::Refuse => {
                Ok(Written::Refused { why: Refused::Vetoed, message: answered.message })
            }
            Decision::Unknown { .. } => {
                Err(DirectoryError::Answer("does not know whom it was to create or to link"))
            }
        }
    }

    async fn ask(
        &self,
        question: Question,
        settings: &config::Members,
        arrival: Arrival<'_>,
        patience: &mut Patience,
    ) -> Result<Answered, DirectoryError> {
        let member = arrival.claims.subject().member_key();
        // Whoever is asked twice for one sign-in is asked with one id.
        let id = match question {
            Question::Lookup { .. } => Id::random().ok_or(DirectoryError::Random)?,
            Question::Write(_) => Id::of(&self.portal, &member, question.name()),
        };
        let body = self.body(question, settings, arrival, &member).to_string();
        let asked = Asked {
            call: question.call(),
            method: Method::POST,
            url: self.calls.url().clone(),
            headers: self.headers(&id, body.as_bytes(), arrival.now)?,
            body: Bytes::from(body),
            busy: &NOT_YET,
        };
        let answer = self.calls.answer(&asked, patience).await?;
        match answer.status {
            StatusCode::OK => answer::read(&answer.body).map_err(DirectoryError::Answer),
            status => Err(DirectoryError::Refused { status, kind: None }),
        }
    }

    fn body(
        &self,
        question: Question,
        settings: &config::Members,
        arrival: Arrival<'_>,
        member: &str,
    ) -> Value {
        let told: Map<String, Value> = match question {
            // What is told at every sign-in may be kept; this is none.
            Question::Lookup { is_dry: true } => Map::new(),
            Question::Lookup { is_dry: false } => profile(&settings.every_login, arrival),
            Question::Write(_) => {
                let mut told = profile(&settings.first_login, arrival);
                told.extend(profile(&settings.every_login, arrival));
                told
            }
        };
        let (is_first, last) = match arrival.last_login {
            LastLogin::NotKept => (None, None),
            LastLogin::Never => (Some(true), None),
            LastLogin::At(last) => (Some(false), Some(last)),
        };
        json!({
            "type": "member.login",
            "timestamp": arrival.now.to_utc_date_time(),
            "data": {
                "ask": question.name(),
                "dry_run": question == Question::Lookup { is_dry: true },
                "portal": self.portal,
                "member": member,
                "provider": arrival.provider,
                "registration": settings.registration_by(arrival.provider).is.name(),
                "first_login": is_first,
                "last_login": last.map(Timestamp::to_utc_date_time),
                "verified_email": arrival.address,
                "profile": told,
            },
        })
    }

    fn headers(&self, id: &Id, body: &[u8], now: Timestamp) -> Result<HeaderMap, DirectoryError> {
        let timestamp = now.unix_seconds().to_string();
        let signature = signature(&self.key, id.as_str(), &timestamp, body);
        let value = |text: &str| {
            HeaderValue::try_from(text).map_err(|_| DirectoryError::Answer("needs an odd header"))
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ID, value(id.as_str())?);
        headers.insert(IDEMPOTENCY_KEY, value(id.as_str())?);
        headers.insert(TIMESTAMP, value(&timestamp)?);
        headers.insert(SIGNATURE, value(&signature)?);
        Ok(headers)
    }
}
