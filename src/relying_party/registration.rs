//! What Microsoft Graph says of our own app registration: when its secrets and certificates end
//! (azure.md, section 10). Asked for seldom, beside the logins, and only where the configuration
//! says so. Deliberately not here: what is done with an end, which is `credentials`'s.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep;
use url::Url;

use super::upkeep::Tries;
use super::{RelyingParty, RelyingPartyError};
use crate::config::GraphApi;
use crate::gate::login::Journey;
use crate::gate::{Secret, Timestamp};
use crate::outgoing::{HttpError, is_busy};

/// How often Graph is asked.
const EVERY: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest pause between tries while it cannot be.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// What is known of the registration.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registration {
    #[serde(default)]
    password_credentials: Vec<Password>,
    #[serde(default)]
    key_credentials: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Password {
    hint: Option<String>,
    end_date_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    custom_key_identifier: Option<String>,
    end_date_time: Option<String>,
}

impl Registration {
    fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// When a secret ends: Graph shows no more of it than its first three characters. Of several
    /// that begin alike the first to end counts, among those that have not.
    pub(super) fn end_of_secret(&self, secret: &str, now: Timestamp) -> Option<Timestamp> {
        let is_it = |hint: &str| !hint.is_empty() && secret.starts_with(hint);
        let alike = self.password_credentials.iter();
        let alike = alike.filter(|it| it.hint.as_deref().is_some_and(is_it));
        first_end(alike.map(|it| it.end_date_time.as_deref()), now)
    }

    /// When a certificate's registration ends. Its thumbprint is written in hexadecimal or base64.
    pub(super) fn end_of_certificate(
        &self,
        thumbprints: &[String],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let is_it = |id: &str| thumbprints.iter().any(|it| it.eq_ignore_ascii_case(id));
        let alike = self.key_credentials.iter();
        let alike = alike.filter(|it| it.custom_key_identifier.as_deref().is_some_and(is_it));
        first_end(alike.map(|it| it.end_date_time.as_deref()), now)
    }
}

fn first_end<'a>(ends: impl Iterator<Item = Option<&'a str>>, now: Timestamp) -> Option<Timestamp> {
    let ends: Vec<Timestamp> = ends.filter_map(|end| Timestamp::from_utc_date_time(end?)).collect();
    let to_come = ends.iter().copied().filter(|end| *end > now).min();
    to_come.or(ends.into_iter().max())
}

/// Why nothing could be learned of the registration.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// No access token.
    #[error("there is no access token to ask Graph with")]
    Token(#[source] RelyingPartyError),
    /// Graph gave no answer.
    #[error("Graph gave no answer")]
    Call(#[source] HttpError),
    /// The application may not read itself.
    #[error("the application may not read its own registration in Graph")]
    NotPermitted,
    /// Another answer than asked for.
    #[error("Graph answered with status {0}")]
    Refused(StatusCode),
    /// An answer without a registration.
    #[error("Graph's answer could not be read")]
    Answer,
}

impl RelyingParty {
    /// Asks Graph when our credentials end, if the configuration says so.
    ///
    /// # Errors
    /// When Graph does not say; what is known already stays.
    pub async fn learn_ends(&self) -> Result<(), RegistrationError> {
        let Some(graph) = &self.provider.learns_ends else {
            return Ok(());
        };
        let token = self.app_only_token(graph).await.map_err(RegistrationError::Token)?;
        let url = address(&graph.base, &self.provider.client_id);
        let url = url.ok_or(RegistrationError::Call(HttpError::Url))?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| RegistrationError::Answer)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, bearer);
        let answer = self.http.get_with(&url, &headers, self.http.deadline()).await;
        let answer = answer.map_err(RegistrationError::Call)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(RegistrationError::NotPermitted),
            status => return Err(RegistrationError::Refused(status)),
        }
        let registration = Registration::read(&answer.body).ok_or(RegistrationError::Answer)?;
        self.credentials.learn_ends(&registration, self.clock.now());
        Ok(())
    }

    /// A token of the application's own, in nobody's name.
    async fn app_only_token(&self, graph: &GraphApi) -> Result<Secret<String>, RelyingPartyError> {
        let known = self.flow(Journey::SignIn)?.discovery.known().await?;
        let form = [("grant_type", "client_credentials"), ("scope", &graph.scope)];
        self.token_request(&known.metadata.token_endpoint, &form, access_token).await
    }

    /// Keeps the ends of our credentials known; to be spawned once. It returns at once where the
    /// configuration does not say that Graph is asked.
    pub async fn keep_ends_known(self: Arc<Self>) {
        if self.provider.learns_ends.is_none() {
            return;
        }
        let mut tries = Tries::new();
        loop {
            let wait = match self.learn_ends().await {
                Ok(()) => {
                    tries.done();
                    EVERY
                }
                Err(error) => {
                    if tries.failed() {
                        self.complain(&error);
                    }
                    match may_pass(&error) {
                        true => tries.pause(LONGEST_PAUSE),
                        false => EVERY,
                    }
                }
            };
            sleep(wait).await;
        }
    }

    fn complain(&self, error: &RegistrationError) {
        let advice = match error {
            RegistrationError::NotPermitted => Some(
                "grant the application permission Application.Read.All in Microsoft Graph, with \
                 admin consent, or declare `expires` and leave `credential_expiry` out",
            ),
            _ => None,
        };
        tracing::warn!(
            provider = &*self.provider.name,
            error = error as &dyn std::error::Error,
            advice,
            "Graph does not say when the client credentials end"
        );
    }
}

/// Whether it may be another moment's answer.
fn may_pass(error: &RegistrationError) -> bool {
    match error {
        RegistrationError::Token(error) => error.is_temporary(),
        RegistrationError::Call(error) => error.is_unreachable(),
        RegistrationError::Refused(status) => is_busy(*status),
        RegistrationError::NotPermitted | RegistrationError::Answer => false,
    }
}

fn address(base: &Url, client_id: &str) -> Option<Url> {
    let mut url = base.clone();
    let application = format!("applications(appId='{client_id}')");
    url.path_segments_mut().ok()?.pop_if_empty().extend(["v1.0", &application]);
    url.set_query(Some("$select=passwordCredentials,keyCredentials"));
    Some(url)
}

fn access_token(body: &[u8]) -> Option<Secret<String>> {
    #[derive(Deserialize)]
    struct Answer {
        token_type: String,
        access_token: String,
    }

    let answer: Answer = serde_json::from_slice(body).ok()?;
    let is_bearer = answer.token_type.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Secret::new(answer.access_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_767_225_600); // 2026-01-01

    fn registration() -> Registration {
        let text = r#"{
            "passwordCredentials": [
                {"hint": "Q7x", "endDateTime": "2025-12-31T00:00:00Z", "secretText": null},
                {"hint": "Q7x", "endDateTime": "2026-12-31T00:00:00Z"},
                {"hint": "Q7x", "endDateTime": "2027-12-31T00:00:00.1234567Z"},
                {"hint": "Z9y", "endDateTime": "2025-01-01T00:00:00Z"},
                {"hint": null, "endDateTime": "2026-02-01T00:00:00Z"},
                {"hint": "", "endDateTime": "2026-02-01T00:00:00Z"},
                {"hint": "bad", "endDateTime": "soon"}
            ],
            "keyCredentials": [
                {"customKeyIdentifier": "52ED9B50", "endDateTime": "2026-03-01T00:00:00Z"},
                {"customKeyIdentifier": null, "endDateTime": "2026-02-01T00:00:00Z"}
            ]
        }"#;
        Registration::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_secret_is_known_by_its_first_characters_and_not_by_being_the_latest() {
        let end = |secret| registration().end_of_secret(secret, NOON);
        let at = |text| Timestamp::from_utc_date_time(text);
        assert_eq!(end("Q7xanything"), at("2026-12-31T00:00:00Z"));
        assert_eq!(end("Z9y~"), at("2025-01-01T00:00:00Z"));
        assert_eq!(end("other"), None);
        assert_eq!(end("bad"), None);
    }

    #[test]
    fn a_certificate_is_known_by_its_thumbprint() {
        let end = |id: &str| registration().end_of_certificate(&[id.to_owned()], NOON);
        assert_eq!(end("52ed9b50"), Timestamp::from_utc_date_time("2026-03-01T00:00:00Z"));
        assert_eq!(end("00000000"), None);
    }

    #[test]
    fn the_address_is_made_of_configuration() {
        let url = |base: &str| address(&base.parse().unwrap(), "a94b").unwrap().to_string();
        let asked = "v1.0/applications(appId='a94b')?$select=passwordCredentials,keyCredentials";
        assert_eq!(
            url("https://graph.microsoft.com"),
            format!("https://graph.microsoft.com/{asked}")
        );
        assert_eq!(url("http://127.0.0.1:1/graph/"), format!("http://127.0.0.1:1/graph/{asked}"));
    }
}
