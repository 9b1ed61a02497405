//! What whoever runs this asks of the sessions, on the admin listener: a list of them, and their
//! end. Deliberately not here: whom that listener answers (`telemetry::admin`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinError;

use super::Proxy;
use crate::gate::{Session, Timestamp};
use crate::sessions::{Cursor, ListError, Listed, Revocation, RevokeError, Wanted};
use crate::telemetry::admin::{Asked, Objected, Objection};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::metrics::SessionEnd;

/// How many sessions a page has, if nobody says, and at most.
const PAGE: (usize, usize) = (100, 1000);
/// For how long whoever revokes is kept waiting for the number.
const PATIENCE: Duration = Duration::from_secs(5);

impl Proxy {
    /// A page of the list of sessions.
    pub(super) async fn list_sessions(&self, asked: &Asked) -> Result<Value, Objected> {
        asked.only(&["member", "portal", "provider", "limit", "cursor"])?;
        let wanted = Wanted {
            member: asked.one("member"),
            portal: self.known_portal(asked)?,
            provider: self.known_provider(asked)?,
        };
        let limit = asked.one("limit").map(limit).transpose()?.unwrap_or(PAGE.0);
        let cursor = asked.one("cursor").map(str::parse::<Cursor>).transpose();
        let cursor = cursor.map_err(list_objection)?;
        let page = self.sessions.list(wanted, cursor, limit, self.clock.now()).await;
        let page = page.map_err(list_objection)?;
        Ok(json!({
            "sessions": page.sessions.iter().map(described).collect::<Vec<_>>(),
            "next": page.next.map(|next| next.to_string()),
        }))
    }

    /// Ends sessions, and says how many. It comes to its end even if nobody waits for it.
    pub(super) async fn revoke_sessions(self: Arc<Self>, asked: Asked) -> Result<Value, Objected> {
        let until = self.checked(&asked)?;
        let mut revoking = tokio::spawn(async move { self.revoke(&asked, until).await });
        match tokio::time::timeout(PATIENCE, &mut revoking).await {
            Ok(ended) => Ok(json!({ "ended": came_to_an_end(ended)? })),
            Err(_) => {
                tokio::spawn(async move {
                    let ended = came_to_an_end(revoking.await);
                    match ended {
                        Ok(_) => tracing::info!("a revocation has come to its end"),
                        Err(objection) => tracing::error!(
                            cause = objection.message(),
                            "a revocation has not come to its end: ask for it again"
                        ),
                    }
                });
                Ok(json!({ "ended": null, "goes_on": true }))
            }
        }
    }

    /// Whether exactly one kind of revocation is asked for; until when, if it is everybody's.
    fn checked(&self, asked: &Asked) -> Result<Option<Timestamp>, Objected> {
        asked.only(&["session", "member", "sid", "provider", "everybody", "before"])?;
        let kinds = ["session", "member", "sid", "everybody"];
        let has = |name: &str| asked.one(name).is_some();
        let is_clear = kinds.iter().filter(|kind| has(kind)).count() == 1
            && has("sid") == has("provider")
            && (has("everybody") || !has("before"))
            && asked.one("everybody").is_none_or(|said| said == "true");
        if !is_clear {
            return Err(Objection::Unclear.into());
        }
        self.known_provider(asked)?;
        if !has("everybody") {
            return Ok(None);
        }
        let now = self.clock.now();
        let until = match asked.one("before").map(moment).transpose()? {
            Some(before) if before > now => return Err(Objection::Future.into()),
            Some(before) => before.before(Duration::from_millis(1)),
            None => now,
        };
        Ok(Some(until))
    }

    async fn revoke(
        &self,
        asked: &Asked,
        until: Option<Timestamp>,
    ) -> Result<Option<usize>, Objection> {
        let (session, member, sid) = (asked.one("session"), asked.one("member"), asked.one("sid"));
        let what = match (session, member, sid.zip(asked.one("provider")), until) {
            (Some(handle), None, None, None) => Revocation::Session(handle),
            (None, Some(key), None, None) => Revocation::Member(key),
            (None, None, Some((sid, provider)), None) => Revocation::Sid { provider, sid },
            (None, None, None, Some(until)) => Revocation::Everybody { until },
            _ => return Err(Objection::Unclear),
        };
        let ended = |session: &Session| self.revoked(session);
        let revoked = self.sessions.revoke(what, self.clock.now(), ended).await;
        let count = revoked.map_err(|error| match error {
            RevokeError::Future => Objection::Future,
            RevokeError::Store(_) => Objection::StoreUnavailable,
        })?;
        if let Some(until) = until {
            let cause =
                format!("by the operator, of all that began until {}", until.to_utc_date_time());
            let audit = Audit { cause: Some(&cause), ..Audit::default() };
            audit::write(Event::EverybodyRevoked, &audit);
        }
        Ok(count)
    }

    fn revoked(&self, session: &Session) {
        self.metrics.session_ended(SessionEnd::Revoked);
        audit::write(
            Event::SessionRevoked,
            &Audit {
                portal: Some(session.portal()),
                provider: Some(session.provider()),
                member: Some(&session.claims().subject().member_key()),
                session: Some(session.handle()),
                cause: Some("by the operator"),
                ..Audit::default()
            },
        );
    }

    fn known_portal<'a>(&self, asked: &'a Asked) -> Result<Option<&'a str>, Objected> {
        let portal = asked.one("portal");
        let is_known = |host: &str| self.policies.iter().any(|policy| *policy.host == *host);
        if portal.is_none_or(is_known) { Ok(portal) } else { Err(self.portal_unknown()) }
    }

    /// There is none of that name, but these.
    pub(super) fn portal_unknown(&self) -> Objected {
        let known = self.policies.iter().map(|policy| policy.host.to_string()).collect();
        Objected { objection: Objection::PortalUnknown, known }
    }

    fn known_provider<'a>(&self, asked: &'a Asked) -> Result<Option<&'a str>, Objected> {
        let provider = asked.one("provider");
        let names = || self.relying_parties.iter().map(|party| party.name().to_string());
        match provider {
            Some(provider) if names().all(|name| name != provider) => {
                let objection = Objection::ProviderUnknown;
                Err(Objected { objection, known: names().collect() })
            }
            Some(_) | None => Ok(provider),
        }
    }
}

/// A task that did not come to its end has not told the store of all.
fn came_to_an_end<T>(ended: Result<Result<T, Objection>, JoinError>) -> Result<T, Objection> {
    ended.unwrap_or(Err(Objection::StoreUnavailable))
}

fn limit(text: &str) -> Result<usize, Objection> {
    let limit = digits(text).and_then(|limit| usize::try_from(limit).ok());
    limit.filter(|limit| (1..=PAGE.1).contains(limit)).ok_or(Objection::Limit)
}

fn moment(text: &str) -> Result<Timestamp, Objection> {
    let seconds = digits(text).map(Timestamp::from_unix_seconds);
    seconds.or_else(|| Timestamp::from_utc_date_time(text)).ok_or(Objection::Moment)
}

/// A number of few digits, and nothing else.
fn digits(text: &str) -> Option<i64> {
    let is_number = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn described(session: &Listed) -> Value {
    json!({
        "session": session.handle,
        "portal": session.portal,
        "provider": session.provider,
        "member": session.member,
        "started": session.started.to_utc_date_time(),
        "last_used": session.last_used.to_utc_date_time(),
        "ends": session.ends.to_utc_date_time(),
        "has_refresh_token": session.has_refresh_token,
    })
}

const fn list_objection(error: ListError) -> Objection {
    match error {
        ListError::Cursor => Objection::Cursor,
        ListError::Store(_) => Objection::StoreUnavailable,
    }
}
