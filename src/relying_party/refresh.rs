//! Asking the provider again about a member who is signed in (OIDC-13; OpenID Connect Core 1.0,
//! section 12): the refresh token is exchanged, and what comes back is judged like a login's token.

use std::sync::atomic::Ordering;

use super::redeem::{RefreshedTokens, access_token as for_portal};
use super::{Asked, RelyingParty, RelyingPartyError};
use crate::gate::{PortalToken, PortalTokens, Renewal, Secret, Timestamp, VerifiedClaims};

/// What the provider says of a member now.
#[derive(Debug)]
pub struct Refreshed {
    /// The claims, if it sent an ID token: it need not (section 12.2).
    pub claims: Option<VerifiedClaims>,
    /// The refresh token for the next time, if it is another one.
    pub refresh_token: Option<Secret<String>>,
    /// What a portal may get of the other tokens.
    pub tokens: PortalTokens,
}

/// Why nothing new is known of a member.
#[derive(Debug, thiserror::Error)]
#[error("nothing new is known of the member")]
pub struct RefreshError {
    /// Why.
    #[source]
    pub error: RelyingPartyError,
    /// The refresh token for the next time, if another one came all the same: at a provider that
    /// exchanges them the earlier one is spent.
    pub refresh_token: Option<Secret<String>>,
}

impl From<RelyingPartyError> for RefreshError {
    fn from(error: RelyingPartyError) -> Self {
        Self { error, refresh_token: None }
    }
}

impl RelyingParty {
    /// Asks again. The request goes to the endpoint of the journey that the session came from: at
    /// B2C a refresh token is its policy's (AADB2C90088). `earlier` is what it said last.
    ///
    /// # Errors
    /// That the provider cannot be asked or says no, or why what it says is not believed.
    pub async fn refresh(
        &self,
        renewal: &Renewal,
        earlier: &VerifiedClaims,
    ) -> Result<Refreshed, RefreshError> {
        let asked_at = self.clock.now();
        let asked = self.exchange(renewal).await;
        let now = self.clock.now();
        if asked.as_ref().is_err_and(RelyingPartyError::is_out_of_order) {
            let until = now.after(self.limits.refresh_pause);
            self.no_refresh_before.store(until.unix_millis(), Ordering::Relaxed);
        }
        let RefreshedTokens { id_token, access_token, refresh_token, expires_in } = asked?;
        let mut tokens = PortalTokens {
            access_token: for_portal(access_token.as_ref(), expires_in, asked_at),
            id_token: None,
        };
        let Some(id_token) = id_token else {
            return Ok(Refreshed { claims: None, refresh_token, tokens });
        };
        let access_token = access_token.as_ref();
        // How long ago the member signed in was the login's to ask.
        let asked = Asked {
            journey: renewal.journey,
            nonce: &renewal.nonce,
            is_refreshed: true,
            max_age: None,
            context: None,
        };
        match self.judge(&id_token, access_token, &asked, now).await {
            Ok(claims) => {
                let claims = self.groups(claims, access_token, Some(earlier), now).await;
                tokens.id_token = PortalToken::of_claims(&id_token, &claims);
                Ok(Refreshed { claims: Some(claims), refresh_token, tokens })
            }
            Err(error) => Err(RefreshError { error, refresh_token }),
        }
    }

    /// Whether the provider was out of order a moment ago, and nobody is asked about again.
    #[must_use]
    pub fn is_pausing(&self, now: Timestamp) -> bool {
        now.unix_millis() < self.no_refresh_before.load(Ordering::Relaxed)
    }

    async fn exchange(&self, renewal: &Renewal) -> Result<RefreshedTokens, RelyingPartyError> {
        let known = self.flow(renewal.journey)?.discovery.known().await?;
        let scope = self.provider.scopes.join(" ");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", renewal.refresh_token.expose().as_str()),
            ("scope", scope.as_str()),
        ];
        let endpoint = &known.metadata.token_endpoint;
        self.token_request(endpoint, &form, RefreshedTokens::read).await
    }
}
