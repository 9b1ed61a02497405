//! A request to the token endpoint, whatever is asked for: made as ourselves, with our credentials
//! in turn, and measured.

use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::credentials::{CredentialFault, Signed};
use super::{Call, Outcome, RelyingParty, RelyingPartyError, TokenRefusal, request_id};
use crate::config::ProviderKind;
use crate::outgoing::is_busy;

impl RelyingParty {
    /// Asks with this form, to which the credential is added; `read` takes a successful answer.
    ///
    /// Credentials are tried in turn until one is not refused, each once at most. What the endpoint
    /// answers to one that it accepts is the answer: the request is not repeated then (OIDC-12).
    pub(super) async fn token_request<T>(
        &self,
        endpoint: &Url,
        form: &[(&str, &str)],
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<T, RelyingPartyError> {
        let turn = self.credentials.in_turn(self.clock.now());
        let mut last = RelyingPartyError::NoCredential;
        for &index in &turn.order {
            let now = self.clock.now();
            let signed = match self.credentials.sign(index, endpoint, form, now).await {
                Ok(signed) => signed,
                Err(error) => {
                    self.credentials.unavailable(index, &error, now);
                    // A refusal says more: the provider has an id for it.
                    if last.token_refusal().is_none() {
                        last = RelyingPartyError::CredentialUnavailable(error);
                    }
                    continue;
                }
            };
            let error = match self.ask(endpoint, signed, read).await {
                Ok(answer) => {
                    self.credentials.accepted(index, &turn);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let refusal = match error {
                RelyingPartyError::TokenRefused(refusal) => refusal,
                other => return Err(other),
            };
            let Some(fault) = CredentialFault::of(&refusal) else {
                if refusal.is_about_grant() && self.judges_credentials_first() {
                    self.credentials.accepted(index, &turn);
                }
                return Err(RelyingPartyError::TokenRefused(refusal));
            };
            self.credentials.refused(index, fault, &refusal, self.clock.now());
            let are_secrets = self.credentials.are_secrets();
            last = RelyingPartyError::CredentialsRefused { refusal, are_secrets };
        }
        Err(last)
    }

    /// Whether who is refused a code has a good credential: Microsoft judges that before the code.
    /// Of others nothing is known, and RFC 6749 asks for no order.
    fn judges_credentials_first(&self) -> bool {
        match self.provider.kind {
            ProviderKind::EntraId(_)
            | ProviderKind::AzureAdB2c(_)
            | ProviderKind::ExternalId(_) => true,
            ProviderKind::Oidc(_) => false,
        }
    }

    /// One request with one credential.
    pub(super) async fn ask<T>(
        &self,
        endpoint: &Url,
        signed: Signed,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<T, RelyingPartyError> {
        let mut headers = request_id();
        headers.extend(signed.header);
        let began = Instant::now();
        let answer = self.http.post_form(endpoint, signed.body, &headers).await;
        let (outcome, result) = match answer {
            Err(error) if error.is_unreachable() => {
                (Outcome::Unreachable, Err(RelyingPartyError::TokenCall(error)))
            }
            Err(error) => (Outcome::Refused, Err(RelyingPartyError::TokenCall(error))),
            Ok(answer) if answer.status == StatusCode::OK => {
                // RFC 6749, section 5.1: tokens are `application/json`, and nothing else is read.
                match read(&answer.body).filter(|_| answer.is_json) {
                    Some(read) => (Outcome::Ok, Ok(read)),
                    None => (Outcome::Refused, Err(RelyingPartyError::TokenAnswer)),
                }
            }
            Ok(answer) => {
                let refusal = TokenRefusal::read(answer.status, &answer.body);
                let outcome = match is_busy(answer.status) {
                    true => Outcome::Unreachable,
                    false => Outcome::Refused,
                };
                (outcome, Err(RelyingPartyError::TokenRefused(refusal)))
            }
        };
        (self.observe)(Call::Token, outcome, began.elapsed());
        result
    }
}
