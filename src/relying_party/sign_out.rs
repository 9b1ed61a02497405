//! Signing out together with the provider: where a member is sent to sign out there too, and what a
//! session has to keep for that. What the provider itself says of sign-outs is in `logout_token`.

use super::{RelyingParty, Tokens};
use crate::config::ProviderKind;
use crate::gate::login::Redemption;
use crate::gate::{AtProvider, Secret, VerifiedClaims};

/// The longest ID token that is sent back: an address has to fit into a header.
const LONGEST_HINT: usize = 6 * 1024;
/// The longest name of a session at a provider.
const LONGEST_SID: usize = 256;

impl RelyingParty {
    /// Where a member is sent to end the provider's session too; from what is known already, so
    /// that no logout waits. `None` while nothing is known. The provider sends `state` back.
    #[must_use]
    pub fn end_session_url(
        &self,
        claims: &VerifiedClaims,
        id_token_hint: Option<&Secret<String>>,
        post_logout_redirect_uri: &str,
        state: &str,
    ) -> Option<String> {
        let known = self.main()?.last()?;
        let mut url = known.metadata.end_session_endpoint.clone()?;
        let mut query = url.query_pairs_mut();
        query.append_pair("post_logout_redirect_uri", post_logout_redirect_uri);
        match &self.provider.kind {
            // Without it Microsoft asks which account, even if there is one (azure.md, section
            // 7.1).
            ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) => {
                if let Some(hint) = claims.text("login_hint") {
                    query.append_pair("logout_hint", hint);
                }
            }
            // By these the provider finds the application, and so the addresses that it may return
            // to (azure.md, section 7.3; OpenID Connect RP-Initiated Logout 1.0, section 2).
            ProviderKind::AzureAdB2c(_) | ProviderKind::Oidc(_) => {
                if let Some(token) = id_token_hint {
                    query.append_pair("id_token_hint", token.expose());
                }
                query.append_pair("client_id", &self.provider.client_id);
            }
        }
        query.append_pair("state", state);
        drop(query);
        Some(url.into())
    }

    /// What a session keeps of its login, to be signed out there and from there.
    #[must_use]
    pub fn at_provider(
        &self,
        tokens: &Tokens,
        claims: &VerifiedClaims,
        redemption: &Redemption,
    ) -> AtProvider {
        // Where the claim is not configured, the callback says it (azure.md, section 7.2).
        let sid = claims.text("sid").or_else(|| redemption.session_state());
        let wants_token = match &self.provider.kind {
            // It is of no effect there, and a million of them take room.
            ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) => false,
            ProviderKind::AzureAdB2c(_) | ProviderKind::Oidc(_) => self.signs_out(),
        };
        let is_short = tokens.id_token.expose().len() <= LONGEST_HINT;
        AtProvider {
            sid: sid.filter(|sid| is_sid(sid)).map(str::to_owned),
            sub: claims.text("sub").filter(|_| self.takes_logout_tokens()).map(str::to_owned),
            id_token: (wants_token && is_short).then(|| tokens.id_token.clone()),
        }
    }

    /// The origin of the page from which the provider says, in the browser, that its session is
    /// over.
    #[must_use]
    pub fn sign_out_origin(&self) -> Option<String> {
        let known = self.main()?.last()?;
        let metadata = &known.metadata;
        let page = metadata.end_session_endpoint.as_ref();
        Some(page.unwrap_or(&metadata.authorization_endpoint).origin().ascii_serialization())
    }

    /// Whether this is one of the issuers that the provider may speak for.
    #[must_use]
    pub fn speaks_for(&self, issuer: &str) -> bool {
        let known = self.main().and_then(|main| main.last());
        known.is_some_and(|known| known.metadata.issuers.find(issuer).is_some())
    }

    fn signs_out(&self) -> bool {
        let known = self.main().and_then(|main| main.last());
        known.is_some_and(|known| known.metadata.end_session_endpoint.is_some())
    }
}

/// Whether a text could be the name of a session at a provider.
#[must_use]
pub fn is_sid(text: &str) -> bool {
    (1..=LONGEST_SID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
