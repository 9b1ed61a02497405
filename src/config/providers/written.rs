//! What an operator wrote of a provider, key by key.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Tenant;
use super::credentials::CredentialFile;
use super::expiry::ExpiryFile;
use super::graph::{self, GraphFile};
use super::groups::{self, GroupsFile};
use super::request::{self, RequestFile};
use crate::config::context::{Located, Spot};
use crate::config::file::bare;
use crate::config::section::Section;
use crate::config::value;
use crate::gate::CanonicalPath;
use crate::gate::login::Journey;

/// What an operator wrote of a provider. What is `None` was left out or has been reported.
pub(in crate::config) struct ProviderFile {
    pub(super) spot: Spot,
    pub(super) kind: KindFile,
    pub(super) label: Option<String>,
    pub(super) client_id: Option<String>,
    /// Whether nothing stands there at all.
    pub(super) lacks_credentials: bool,
    pub(super) credentials: Vec<CredentialFile>,
    pub(super) expiry: Option<ExpiryFile>,
    pub(super) scopes: Option<Vec<Located<String>>>,
    pub(super) clock_skew: Option<Duration>,
    pub(super) ca: Option<Vec<Located<PathBuf>>>,
    /// `None` where there is no such key.
    pub(super) groups: Option<GroupsFile>,
    pub(super) graph: GraphFile,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) callback_path: Option<Option<Located<CanonicalPath>>>,
    pub(super) request: Option<RequestFile>,
}

impl ProviderFile {
    /// Where it is, for one of Microsoft's.
    pub(super) fn host(&self) -> Option<&HostFile> {
        match &self.kind {
            KindFile::EntraId { host, .. }
            | KindFile::AzureAdB2c { host, .. }
            | KindFile::ExternalId { host, .. } => Some(host),
            KindFile::Oidc { .. } => None,
        }
    }

    /// Whether it is Entra ID.
    pub(in crate::config) const fn is_entra_id(&self) -> bool {
        matches!(self.kind, KindFile::EntraId { .. })
    }

    /// The place of `groups`.
    pub(in crate::config) fn spot_of_groups(&self) -> Option<&Spot> {
        self.groups.as_ref().map(|groups| &groups.spot)
    }

    /// The path of its redirect URI, if that is not ours.
    pub(in crate::config) fn callback_path(&self) -> Option<&Located<CanonicalPath>> {
        self.callback_path.as_ref()?.as_ref()
    }

    /// Whether people can be sent there for this; also where it was written and reported.
    pub(in crate::config) fn offers(&self, journey: Journey) -> bool {
        match (&self.kind, journey) {
            (_, Journey::SignIn) => true,
            (KindFile::AzureAdB2c { journeys, .. }, _) => journeys
                .as_ref()
                .is_none_or(|journeys| journeys.iter().any(|(known, _)| *known == journey)),
            (KindFile::ExternalId { .. } | KindFile::Oidc { .. }, Journey::SignUp) => true,
            (KindFile::EntraId { .. } | KindFile::ExternalId { .. } | KindFile::Oidc { .. }, _) => {
                false
            }
        }
    }
}

pub(super) enum KindFile {
    EntraId {
        host: HostFile,
        tenants: TenantsFile,
        guests: Option<bool>,
    },
    AzureAdB2c {
        host: HostFile,
        tenant: Option<Located<Tenant>>,
        policy: Option<String>,
        /// `None` if one of them was reported.
        journeys: Option<Vec<(Journey, String)>>,
        policy_in_query: Option<bool>,
        names_policy: Option<bool>,
        local_accounts_only: Option<Located<bool>>,
        valid_issuers: Option<Vec<String>>,
    },
    ExternalId {
        host: HostFile,
        tenant: Option<Located<Tenant>>,
        valid_issuers: Option<Vec<String>>,
    },
    Oidc {
        issuer: Option<Located<String>>,
        /// Outside `None` if it was reported, inside if the key is not there.
        metadata: Option<Option<Located<Url>>>,
    },
}

/// Whose people may sign in.
pub(super) struct TenantsFile {
    pub(super) one: Option<Located<Tenant>>,
    /// Whether its key is there.
    pub(super) names_one: bool,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) several: Option<Option<Vec<Located<String>>>>,
    pub(super) personal_accounts: Option<Located<bool>>,
}

/// Where a provider of Microsoft's is.
pub(super) struct HostFile {
    pub(super) cloud: Option<Cloud>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) authority: Option<Option<Located<Url>>>,
}

/// A national cloud (azure.md, section 1.2).
#[derive(Clone, Copy)]
pub(super) enum Cloud {
    Public,
    UsGovernment,
    UsGovernmentDod,
    China,
}

impl Cloud {
    fn read(word: &str) -> Self {
        match word {
            "us_government" => Self::UsGovernment,
            "us_government_dod" => Self::UsGovernmentDod,
            "china" => Self::China,
            _ => Self::Public,
        }
    }

    pub(super) const fn login(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment | Self::UsGovernmentDod => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// Where Microsoft Graph is.
    pub(super) const fn graph(self) -> &'static str {
        match self {
            Self::Public => "https://graph.microsoft.com",
            Self::UsGovernment => "https://graph.microsoft.us",
            Self::UsGovernmentDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// A scope of Graph's by its whole name; `.default` is the one by which an application asks in
    /// its own name.
    pub(super) fn graph_scope(self, name: &str) -> String {
        format!("{}/{name}", self.graph())
    }

    /// For whom a token is that another issuer made for the exchange (azure.md, section 1.2).
    pub(super) const fn token_exchange(self) -> &'static str {
        match self {
            Self::Public => "api://AzureADTokenExchange",
            Self::UsGovernment | Self::UsGovernmentDod => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        }
    }

    /// What follows a tenant's name in its first domain.
    pub(super) const fn domain(self) -> &'static str {
        match self {
            Self::Public => "onmicrosoft.com",
            Self::UsGovernment | Self::UsGovernmentDod => "onmicrosoft.us",
            Self::China => "partner.onmschina.cn",
        }
    }

    /// The same in the login host of B2C; none is known of the US Government's.
    pub(super) const fn b2c(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("b2clogin.com"),
            Self::UsGovernment | Self::UsGovernmentDod => None,
            Self::China => Some("b2clogin.cn"),
        }
    }
}

/// Reads a provider's section.
pub(in crate::config) fn read(section: &Section<'_>) -> ProviderFile {
    section.value("kind", value::text);
    let kind = match section.variant() {
        "azure_ad_b2c" => KindFile::AzureAdB2c {
            host: host(section),
            tenant: section.value("tenant", value::customer_tenant),
            policy: bare(section.value("policy", value::policy)),
            journeys: journeys(section),
            policy_in_query: bare(section.value("policy_in", |word| Ok(word == "query"))),
            names_policy: bare(section.value("issuer", |word| Ok(word == "tfp"))),
            local_accounts_only: section.value("local_accounts_only", value::yes_or_no),
            valid_issuers: valid_issuers(section),
        },
        "external_id" => KindFile::ExternalId {
            host: host(section),
            tenant: section.value("tenant", value::customer_tenant),
            valid_issuers: valid_issuers(section),
        },
        "oidc" => KindFile::Oidc {
            issuer: section.value("issuer", value::issuer),
            metadata: section.if_there("metadata_url", |key| section.value(key, value::document)),
        },
        _ => KindFile::EntraId {
            host: host(section),
            tenants: TenantsFile {
                one: section.value("tenant", value::tenant),
                names_one: section.has("tenant"),
                several: section.if_there("tenants", |key| section.values(key, value::tenant_id)),
                personal_accounts: section.value("personal_accounts", value::yes_or_no),
            },
            guests: bare(section.value("guests", value::yes_or_no)),
        },
    };
    ProviderFile {
        spot: section.spot().clone(),
        client_id: match kind {
            KindFile::Oidc { .. } => bare(section.value("client_id", value::any_client_id)),
            _ => bare(section.value("client_id", value::client_id)),
        },
        kind,
        label: bare(section.value("label", value::label)),
        lacks_credentials: !section.has("credentials"),
        credentials: section.sections("credentials").iter().map(CredentialFile::read).collect(),
        expiry: ExpiryFile::read(section),
        scopes: section.values("scopes", value::scope),
        clock_skew: bare(section.value("clock_skew", value::duration("0s", "5m"))),
        ca: section.values("ca", value::path),
        groups: groups::read(section),
        graph: graph::read(section),
        callback_path: section.if_there("callback_path", |key| section.value(key, value::own_path)),
        request: section.section("request").map(|section| request::read(&section)),
    }
}

/// The policies of journeys other than signing in.
fn journeys(section: &Section<'_>) -> Option<Vec<(Journey, String)>> {
    let mut journeys = Vec::new();
    for (journey, key) in [
        (Journey::SignUp, "sign_up_policy"),
        (Journey::PasswordReset, "password_reset_policy"),
        (Journey::ProfileEdit, "profile_edit_policy"),
    ] {
        if section.has(key) {
            journeys.push((journey, section.value(key, value::policy)?.value));
        }
    }
    Some(journeys)
}

fn host(section: &Section<'_>) -> HostFile {
    HostFile {
        cloud: match section.is_a_key("cloud") {
            true => bare(section.value("cloud", |word| Ok(Cloud::read(word)))),
            false => Some(Cloud::Public),
        },
        authority: section.if_there("authority", |key| section.value(key, value::origin)),
    }
}

/// `None` if one of them was reported.
fn valid_issuers(section: &Section<'_>) -> Option<Vec<String>> {
    let written = section.if_there("valid_issuers", |key| section.values(key, value::issuer))?;
    Some(written.into_iter().flatten().map(|issuer| issuer.value).collect())
}
