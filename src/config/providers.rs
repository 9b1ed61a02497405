//! Identity providers: what an operator wrote of one, and what it means. Each kind says in
//! [`ProviderKind`] where its metadata is and whose tokens are believed, from configuration alone;
//! what those tokens look like is the relying party's to know.

mod certificate;
mod credentials;
mod expiry;
mod graph;
mod groups;
mod managed_identity;
mod request;
mod resolve;
mod written;

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

pub use self::certificate::{AssertionAlgorithm, CertificateError, ClientCertificate};
pub(crate) use self::credentials::LARGEST_TOKEN;
pub use self::credentials::{Credential, Proof, SecretMethod};
pub use self::expiry::GraphApi;
pub use self::groups::{GroupSource, Groups, KeptGroups};
pub use self::managed_identity::{IdentitySource, ManagedIdentity};
pub use self::request::{AnswerBy, RequestOptions};
pub(super) use self::resolve::resolve;
pub(super) use self::written::{ProviderFile, read};
use crate::gate::CanonicalPath;
use crate::gate::login::Journey;

/// The tenant of personal Microsoft accounts, where anybody can have one (AZ-03).
pub const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// An identity provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in the configuration, and in the path of its redirect URI.
    pub name: Arc<str>,
    /// Where it is, and whose tokens are believed.
    pub kind: ProviderKind,
    /// What its button says on the page of a portal that has several.
    pub label: Option<String>,
    /// The application (client) id of the app registration.
    pub client_id: String,
    /// What proves to it that it is us who ask, in the order in which they are tried; at least one.
    pub credentials: Vec<Credential>,
    /// The Graph that is asked when they end, if one is.
    pub learns_ends: Option<GraphApi>,
    /// The scopes asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// By how much the provider's clock and ours may differ (OIDC-09).
    pub clock_skew: Duration,
    /// The path of the redirect URI, if it is not `login/{name}/callback` below our own prefix.
    pub callback_path: Option<CanonicalPath>,
    /// What is asked for besides a sign-in.
    pub request: RequestOptions,
    /// Certificates to trust instead of the system's, for a provider with a private CA.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
    /// Where groups are known from, and which are kept.
    pub groups: Groups,
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Entra ID, once Azure AD: the directory of an organisation.
    EntraId(EntraId),
    /// Azure AD B2C: customers, who sign in by user flows.
    AzureAdB2c(AzureAdB2c),
    /// External ID: customers, in B2C's successor.
    ExternalId(ExternalId),
    /// Any other OpenID provider.
    Oidc(Oidc),
}

/// Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraId {
    /// The login host: scheme, host and port. Plain `http` only for a loopback address.
    pub login: Url,
    /// Whose people may sign in (AZ-01).
    pub tenants: Tenants,
    /// Whether people whom the tenant has invited from elsewhere may (AZ-03).
    pub guests: bool,
}

/// Whose people may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// One tenant's.
    One(Tenant),
    /// Those of several, by the tenants' GUIDs in lower case; that of personal accounts is among
    /// them if those may sign in.
    Several(Vec<String>),
}

/// A tenant, as an authority's path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Its GUID in lower case.
    Id(String),
    /// A domain: the GUID is what the provider's metadata says its issuer is.
    Domain(String),
}

impl Tenant {
    /// As it stands in the authority's path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(text) | Self::Domain(text) => text,
        }
    }
}

/// Azure AD B2C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureAdB2c {
    /// The login host, as for [`EntraId`].
    pub login: Url,
    /// The tenant.
    pub tenant: Tenant,
    /// The user flow or custom policy that people sign in with, as written: B2C takes any case.
    pub policy: String,
    /// Those of the other journeys, where there are any.
    pub journeys: Vec<(Journey, String)>,
    /// Whether URLs have the policy as `?p=` and not in their path.
    pub policy_in_query: bool,
    /// Whether the issuer names the policy (`/tfp/…`).
    pub names_policy: bool,
    /// Whether every account of its user flows is a local one, whose address is verified by e-mail:
    /// no token says so by itself.
    pub local_accounts_only: bool,
    /// What tokens may have as their issuer besides.
    pub valid_issuers: Vec<String>,
}

/// External ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalId {
    /// The login host, as for [`EntraId`].
    pub login: Url,
    /// The tenant.
    pub tenant: Tenant,
    /// What tokens may have as their issuer besides.
    pub valid_issuers: Vec<String>,
}

/// Any OpenID provider with metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Its issuer, to the letter.
    pub issuer: String,
    /// Where its metadata is.
    pub metadata: Url,
}

impl ProviderKind {
    /// The provider once for each set of endpoints that it has: B2C has one for each policy, and
    /// everybody else has one. The first is for signing in.
    #[must_use]
    pub fn flows(&self) -> Vec<(Journey, Self)> {
        let mut flows = vec![(Journey::SignIn, self.clone())];
        if let Self::AzureAdB2c(b2c) = self {
            flows.extend(b2c.journeys.iter().map(|(journey, policy)| {
                let flow = AzureAdB2c { policy: policy.clone(), ..b2c.clone() };
                (*journey, Self::AzureAdB2c(flow))
            }));
        }
        flows
    }

    /// Whether visitors can be sent there for this.
    #[must_use]
    pub fn offers(&self, journey: Journey) -> bool {
        match (self, journey) {
            (_, Journey::SignIn) => true,
            (Self::AzureAdB2c(b2c), _) => b2c.journeys.iter().any(|(known, _)| *known == journey),
            // By `prompt=create`.
            (Self::ExternalId(_) | Self::Oidc(_), Journey::SignUp) => true,
            (Self::EntraId(_) | Self::ExternalId(_) | Self::Oidc(_), _) => false,
        }
    }

    /// Where the metadata is: made of configuration alone (OIDC-11).
    #[must_use]
    pub fn metadata_url(&self) -> Url {
        let below = |login: &Url, segments: &[&str], policy: Option<&str>| {
            let mut url = login.clone();
            url.set_fragment(None);
            url.set_query(policy.map(|policy| format!("p={policy}")).as_deref());
            if let Ok(mut path) = url.path_segments_mut() {
                path.clear().extend(segments);
                path.extend(["v2.0", ".well-known", "openid-configuration"]);
            }
            url
        };
        match self {
            Self::EntraId(entra) => below(&entra.login, &[entra.tenants.as_str()], None),
            Self::AzureAdB2c(b2c) if b2c.policy_in_query => {
                below(&b2c.login, &[b2c.tenant.as_str()], Some(&b2c.policy))
            }
            Self::AzureAdB2c(b2c) => below(&b2c.login, &[b2c.tenant.as_str(), &b2c.policy], None),
            Self::ExternalId(external) => below(&external.login, &[external.tenant.as_str()], None),
            Self::Oidc(oidc) => oidc.metadata.clone(),
        }
    }
}

impl Tenants {
    /// As the authority's path names them: what Microsoft calls several has three names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::One(tenant) => tenant.as_str(),
            Self::Several(tenants) => match tenants.as_slice() {
                [only] if only == PERSONAL_ACCOUNTS => "consumers",
                several if several.iter().any(|id| id == PERSONAL_ACCOUNTS) => "common",
                _ => "organizations",
            },
        }
    }
}
