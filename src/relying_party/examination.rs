//! What `doctor` asks of a provider: the same calls as a login's, one at a time and in nobody's
//! name, each with what came of it. Nothing here makes or ends a session, and no answer is kept
//! but metadata and keys.
//!
//! **A credential is tried by a request that comes to nothing.** Entra ID is asked for a token of
//! the application's own for Microsoft Graph (azure.md, section 10): every application may have
//! one, it opens nothing that the application was not granted, and it is dropped unread. Where
//! that does not fit, as in B2C, in External ID, with several tenants and elsewhere, a code is
//! redeemed that nobody was ever given: `invalid_client` means that the credential was not taken,
//! and `invalid_grant` that only the code was at fault.

use std::sync::Arc;

use http::StatusCode;
use url::Url;

use super::credentials::CredentialFault;
use super::discovery::{Known, Metadata};
use super::redeem;
use super::{
    CredentialError, DiscoveryError, MetadataError, RelyingParty, RelyingPartyError, TokenRefusal,
};
use crate::config::{ProviderKind, Tenants};
use crate::gate::login::{AuthorizationRequest, Demands, Journey, microsoft_code};
use crate::gate::{Secret, Timestamp};
use crate::outgoing::{HttpError, Looked};

/// What stands for a code, a verifier, a state and a nonce that nobody was given.
const MADE_UP: &str = "made-up-by-anteport-doctor-and-worth-nothing";

/// What was learned of one set of the provider's endpoints.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Whose tokens are believed.
    pub(crate) issuers: Vec<String>,
    /// How many keys tokens can be verified with.
    pub(crate) keys: usize,
    /// Why other keys were passed over, where that is not as usual.
    pub(crate) odd_keys: Vec<&'static str>,
}

/// What came of trying a credential.
#[derive(Debug)]
pub(crate) enum Tried {
    /// The provider took it.
    Accepted,
    /// It did not; with what can be done about it, where that is more than the catalogue says.
    Refused(CredentialFault, TokenRefusal, Option<&'static str>),
    /// The request was refused for another reason than the credential.
    Otherwise(TokenRefusal),
    /// It could not be sent.
    Unavailable(CredentialError),
    /// There was no answer to judge by.
    Unknown(RelyingPartyError),
}

/// What the provider makes of a redirect URI.
#[derive(Debug)]
pub(crate) enum AtRedirect {
    /// It sends people back there.
    Registered,
    /// It shows a page with this code instead.
    Page(String),
    /// Nobody can say.
    Unclear,
}

impl RelyingParty {
    /// Fetches the metadata and keys of a journey, as a start does.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn examine(&self, journey: Journey) -> Result<Learned, DiscoveryError> {
        let found = self.flows.iter().find(|flow| flow.journey == journey);
        let Some(flow) = found else {
            return Err(DiscoveryError::Metadata(MetadataError::Malformed));
        };
        let known = flow.discovery.known().await?;
        let trusted = known.metadata.issuers.all().iter();
        let odd = known.keys().refused().iter().filter(|key| !key.is_expected());
        Ok(Learned {
            issuers: trusted.map(|trusted| trusted.issuer.clone()).collect(),
            keys: known.keys().len(),
            odd_keys: odd.map(|key| key.code()).collect(),
        })
    }

    /// Asks for a document, or a page, and takes whatever comes: nothing is followed or believed.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn look(&self, url: &Url) -> Result<Looked, HttpError> {
        self.http.look(url, self.http.deadline()).await
    }

    /// Tries one credential, by its index in the configuration.
    pub(crate) async fn try_credential(
        &self,
        index: usize,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Tried {
        let known = match self.known_for_sign_in().await {
            Ok(known) => known,
            Err(error) => return Tried::Unknown(error),
        };
        let (code, verifier) = (Secret::new(MADE_UP.to_owned()), Secret::new(MADE_UP.to_owned()));
        let code = redeem::form(&code, &verifier, redirect_uri);
        let graph = self.graph_scope();
        let own = graph.map(|scope| [("grant_type", "client_credentials"), ("scope", scope)]);
        let form = own.as_ref().map_or(&code[..], |own| &own[..]);
        let endpoint = &known.metadata.token_endpoint;
        let signed = match self.credentials.sign(index, endpoint, form, now).await {
            Ok(signed) => signed,
            Err(error) => return Tried::Unavailable(error),
        };
        // Whatever it is, it is not read.
        let refusal = match self.ask(endpoint, signed, |_| Some(())).await {
            Ok(()) => return Tried::Accepted,
            Err(RelyingPartyError::TokenRefused(refusal)) => refusal,
            Err(error) => return Tried::Unknown(error),
        };
        if refusal.is_temporary() {
            return Tried::Unknown(RelyingPartyError::TokenRefused(refusal));
        }
        match CredentialFault::of(&refusal) {
            Some(fault) => {
                let advice = self.credentials.advice(index, fault);
                Tried::Refused(fault, refusal, advice)
            }
            None if refusal.is_about_grant() => Tried::Accepted,
            None => Tried::Otherwise(refusal),
        }
    }

    /// When a credential ends, as far as that is known.
    pub(crate) fn end_of(&self, index: usize, now: Timestamp) -> Option<Timestamp> {
        self.credentials.states(now).get(index).and_then(|state| state.ends)
    }

    /// Begins a sign-in that nobody may notice (`prompt=none`) to see where the answer goes: a
    /// provider sends no error to a redirect URI that it does not know.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    pub(crate) async fn try_redirect(
        &self,
        redirect_uri: &str,
    ) -> Result<AtRedirect, RelyingPartyError> {
        let known = self.known_for_sign_in().await?;
        let made_up = || Secret::new(MADE_UP.to_owned());
        let request = AuthorizationRequest {
            state: made_up(),
            nonce: made_up(),
            verifier: made_up(),
            journey: Journey::SignIn,
            demands: Demands::default(),
        };
        let endpoint = known.metadata.authorization_endpoint.clone();
        let url = super::authorization::url(endpoint, &self.provider, &request, redirect_uri);
        let mut url = Url::parse(&url).map_err(|_| RelyingPartyError::TokenCall(HttpError::Url))?;
        url.query_pairs_mut().append_pair("prompt", "none");
        let looked = self.look(&url).await.map_err(RelyingPartyError::TokenCall)?;
        let text = String::from_utf8_lossy(&looked.body);
        // By `response_mode=form_post` the answer is a page with a form that leads there.
        let form = format!("action=\"{redirect_uri}\"");
        let is_form = || looked.status == StatusCode::OK && text.contains(&form);
        if looked.leads_to(redirect_uri) || is_form() {
            return Ok(AtRedirect::Registered);
        }
        Ok(microsoft_code(&text).map_or(AtRedirect::Unclear, AtRedirect::Page))
    }

    async fn known_for_sign_in(&self) -> Result<Arc<Known>, RelyingPartyError> {
        Ok(self.flow(Journey::SignIn)?.discovery.known().await?)
    }

    /// Graph, where the application can be asked about in its own name.
    fn graph_scope(&self) -> Option<&str> {
        let ProviderKind::EntraId(entra) = &self.provider.kind else {
            return None;
        };
        let host = entra.login.host_str().unwrap_or_default();
        let usual = match host.rsplit('.').next() {
            Some("us") => "https://graph.microsoft.us/.default",
            Some("cn") => "https://microsoftgraph.chinacloudapi.cn/.default",
            _ => "https://graph.microsoft.com/.default",
        };
        let known = self.provider.learns_ends.as_ref().map(|graph| &*graph.scope);
        matches!(entra.tenants, Tenants::One(_)).then(|| known.unwrap_or(usual))
    }
}

/// Whether a document is metadata of what a provider of this kind would be.
///
/// # Errors
/// Why it is not.
pub(crate) fn fits(kind: &ProviderKind, document: &[u8]) -> Result<(), MetadataError> {
    Metadata::read(document, kind).map(drop)
}
