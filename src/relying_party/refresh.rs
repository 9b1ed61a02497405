//! Asking the provider again about a member who is signed in (OIDC-13; OpenID Connect Core 1.0,
//! section 12): the refresh token is exchanged, and what comes back is judged like a login's token.

use super::id_token::{Expected, UnverifiedToken};
use super::redeem::RefreshedTokens;
use super::{IdTokenError, RelyingParty, RelyingPartyError};
use crate::gate::{Renewal, Secret, Timestamp, VerifiedClaims};

/// What the provider says of a member now.
pub struct Refreshed {
    /// The claims, if it sent an ID token: it need not (section 12.2).
    pub claims: Option<VerifiedClaims>,
    /// The refresh token for the next time, if it is another one.
    pub refresh_token: Option<Secret<String>>,
}

impl RelyingParty {
    /// Asks again. The request goes to the endpoint of the journey that the session came from: at B2C
    /// a refresh token is its policy's (AADB2C90088). `earlier` is what it said last.
    ///
    /// # Errors
    /// That the provider cannot be asked or says no, or why what it says is not believed.
    pub async fn refresh(
        &self,
        renewal: &Renewal,
        earlier: &VerifiedClaims,
        now: Timestamp,
    ) -> Result<Refreshed, RelyingPartyError> {
        let flow = self.flow(renewal.journey)?;
        let known = flow.discovery.known().await?;
        let scope = self.provider.scopes.join(" ");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", renewal.refresh_token.expose().as_str()),
            ("scope", scope.as_str()),
        ];
        let endpoint = &known.metadata.token_endpoint;
        let tokens = self.token_request(endpoint, &form, RefreshedTokens::read).await?;
        let claims = match &tokens.id_token {
            None => None,
            Some(id_token) => {
                let token = UnverifiedToken::read(id_token.expose())?;
                let (known, key) = flow.discovery.key(token.key_id()).await?;
                let key = key.ok_or(IdTokenError::KeyUnknown)?;
                let expected = Expected {
                    issuers: &known.metadata.issuers,
                    policy: flow.policy.as_deref(),
                    client_id: &self.provider.client_id,
                    nonce: &renewal.nonce,
                    is_refreshed: true,
                    access_token: tokens.access_token.as_ref(),
                    clock_skew: self.provider.clock_skew,
                    max_age: None,
                    context: None,
                };
                let claims = token.verify(&key, &expected, now)?;
                let access_token = tokens.access_token.as_ref();
                Some(self.groups(claims, access_token, Some(earlier), now).await)
            }
        };
        Ok(Refreshed { claims, refresh_token: tokens.refresh_token })
    }
}
