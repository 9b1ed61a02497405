//! Tokens of a managed identity, from the machine that we run on (azure.md, section 3.2). One is
//! kept until shortly before its end, and while a new one cannot be had, until its end.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use super::super::Limits;
use super::CredentialError;
use crate::config::{IdentitySource, ManagedIdentity};
use crate::gate::{Secret, Timestamp};
use crate::outgoing::{Http, HttpError};

/// How long before a token's end another is asked for.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// How long before its end it is not used any more: it is judged elsewhere, and a moment later.
const LATE: Duration = Duration::from_secs(30);
/// The pause before a second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often is asked.
const TRIES: u32 = 3;

/// The tokens of one managed identity.
pub(super) struct IdentityTokens {
    http: Http,
    /// Whoever asks while somebody else does waits for that answer.
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    held: Option<Held>,
    failed: Option<(Instant, Failure)>,
}

/// Why there is no token, for all who waited for one; no error where the answer had none.
#[derive(Clone)]
struct Failure(Option<Arc<HttpError>>);

impl From<Failure> for CredentialError {
    fn from(failure: Failure) -> Self {
        failure.0.map_or(Self::IdentityAnswer, Self::Identity)
    }
}

struct Held {
    token: Secret<String>,
    ends: Timestamp,
}

impl IdentityTokens {
    /// `trusted` is in place of the system's certificates, where the endpoint has TLS.
    pub(super) fn new(limits: Limits, trusted: Option<Vec<CertificateDer<'static>>>) -> Self {
        Self { http: Http::new(limits.of_calls(), trusted), latest: Mutex::default() }
    }

    /// A token that is good for a while.
    pub(super) async fn get(
        &self,
        identity: &ManagedIdentity,
        now: Timestamp,
    ) -> Result<Secret<String>, CredentialError> {
        let came = Instant::now();
        let mut latest = self.latest.lock().await;
        let is_good_for = |left| move |held: &&Held| now.after(left) < held.ends;
        if let Some(held) = latest.held.as_ref().filter(is_good_for(EARLY)) {
            return Ok(held.token.clone());
        }
        let failure = match latest.failed.take().filter(|(at, _)| *at >= came) {
            // It failed while we waited: who comes by the dozen does not wait one after the other.
            Some((at, failure)) => {
                latest.failed = Some((at, failure.clone()));
                failure
            }
            None => match self.fetch(identity).await {
                Ok(fetched) => return Ok(latest.held.insert(fetched).token.clone()),
                Err(failure) => {
                    latest.failed = Some((Instant::now(), failure.clone()));
                    failure
                }
            },
        };
        match latest.held.as_ref().filter(is_good_for(LATE)) {
            Some(held) => Ok(held.token.clone()),
            None => Err(failure.into()),
        }
    }

    async fn fetch(&self, identity: &ManagedIdentity) -> Result<Held, Failure> {
        let no_token = || Failure(None);
        let no_answer = |error| Failure(Some(Arc::new(error)));
        let (url, headers) = request(identity).ok_or_else(no_token)?;
        let deadline = self.http.deadline();
        let mut pause = FIRST_PAUSE;
        let mut tries = TRIES;
        loop {
            tries = tries.saturating_sub(1);
            let answer = self.http.get_with(&url, &headers, deadline).await;
            let answer = answer.map_err(no_answer)?;
            if answer.status == StatusCode::OK {
                return read(&answer.body).ok_or_else(no_token);
            }
            let wait = answer.retry_after.unwrap_or(pause);
            // Who is asked to come again too late need not be waited for by all the others.
            let is_in_time = Instant::now().checked_add(wait).is_some_and(|then| then < deadline);
            if tries == 0 || !may_pass(answer.status) || !is_in_time {
                return Err(no_answer(HttpError::Status(answer.status)));
            }
            sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
    }
}

/// What the service answers while it starts or has too much to do.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The address that is asked, and the header without which neither service answers: a page that
/// somebody is lured to cannot send it.
fn request(identity: &ManagedIdentity) -> Option<(Url, HeaderMap)> {
    let (mut url, version, (name, value)) = match &identity.source {
        IdentitySource::Imds(origin) => {
            let mut url = origin.clone();
            url.set_path("/metadata/identity/oauth2/token");
            let name = HeaderName::from_static("metadata");
            (url, "2018-02-01", (name, HeaderValue::from_static("true")))
        }
        IdentitySource::AppService { url, header } => {
            let mut value = HeaderValue::try_from(header.expose()).ok()?;
            value.set_sensitive(true);
            let name = HeaderName::from_static("x-identity-header");
            (url.clone(), "2019-08-01", (name, value))
        }
    };
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", identity.audience)
        .append_pair("client_id", &identity.client_id);
    Some((url, HeaderMap::from_iter([(name, value)])))
}

/// `expires_on` is text, and has been a number.
fn read(body: &[u8]) -> Option<Held> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_on: Value,
    }

    let answer: Answer = serde_json::from_slice(body).ok()?;
    let ends = match &answer.expires_on {
        Value::String(text) => text.parse().ok()?,
        number => number.as_i64()?,
    };
    let token = super::federated::token(answer.access_token.into_bytes())?;
    Some(Held { token, ends: Timestamp::from_unix_seconds(ends) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_text_or_a_number() {
        let read = |text: &str| read(text.as_bytes()).map(|held| held.ends.unix_seconds());
        let token = r#"{"access_token":"a.b.c","expires_on":"#;
        assert_eq!(read(&format!("{token}\"1767225600\"}}")), Some(1_767_225_600));
        assert_eq!(read(&format!("{token}1767225600}}")), Some(1_767_225_600));
        for other in ["null}", "\"soon\"}", "1.5}", "1"] {
            assert_eq!(read(&format!("{token}{other}")), None, "{other}");
        }
        assert_eq!(read(r#"{"access_token":"no token","expires_on":1}"#), None);
    }
}
