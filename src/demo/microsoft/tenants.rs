//! The emulated tenants, and where an application asks for them: by GUID, by domain, by one of the
//! names for several, through a user flow.

use http::Uri;

use super::Parameters;
use super::accounts::Account;
use super::directory::Directory;
use crate::demo::{TENANT_DOMAIN, TENANT_ID};

/// What a tenant is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// An organisation's directory.
    EntraId,
    /// Personal Microsoft accounts.
    Personal,
    /// Customers with user flows.
    AzureAdB2c,
    /// Customers without.
    ExternalId,
}

impl Product {
    /// Its name for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EntraId => "Entra ID",
            Self::Personal => "personal accounts",
            Self::AzureAdB2c => "Azure AD B2C",
            Self::ExternalId => "External ID",
        }
    }
}

/// A national cloud, as a tenant's documents tell of it (azure.md, section 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Everybody's.
    Public,
    /// The US Government's.
    UsGovernment,
    /// 21Vianet's.
    China,
}

/// A tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its GUID.
    pub id: &'static str,
    /// A verified domain.
    pub domain: &'static str,
    /// What it is of.
    pub product: Product,
    /// Where it is.
    pub cloud: Cloud,
    /// Its user flows and custom policies, in B2C.
    pub policies: &'static [&'static str],
}

/// The organisation that the demo is about.
pub static CLUB: Tenant = Tenant {
    id: TENANT_ID,
    domain: TENANT_DOMAIN,
    product: Product::EntraId,
    cloud: Cloud::Public,
    policies: &[],
};
/// Another organisation.
pub static PARTNER: Tenant = Tenant {
    id: "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128",
    domain: "partner.example",
    product: Product::EntraId,
    cloud: Cloud::Public,
    policies: &[],
};
/// Everybody else; the GUID is a constant of Microsoft's.
pub static PERSONAL: Tenant = Tenant {
    id: "9188040d-6c67-4c5b-b112-36a304b66dad",
    domain: "outlook.example",
    product: Product::Personal,
    cloud: Cloud::Public,
    policies: &[],
};
/// Customers in B2C.
pub static MEMBERS: Tenant = Tenant {
    id: "c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8",
    domain: "harbormembers.onmicrosoft.com",
    product: Product::AzureAdB2c,
    cloud: Cloud::Public,
    policies: &POLICIES,
};
/// Customers in External ID.
pub static GUESTS: Tenant = Tenant {
    id: "5e8a91d0-3c47-4b6f-a2d9-07f1c3b8e6a4",
    domain: "harborguests.onmicrosoft.com",
    product: Product::ExternalId,
    cloud: Cloud::Public,
    policies: &[],
};

/// The tenants that are always there.
pub(super) static ALL: [&Tenant; 5] = [&CLUB, &PARTNER, &PERSONAL, &MEMBERS, &GUESTS];

/// The user flows of the B2C tenant.
pub static POLICIES: [&str; 4] =
    ["B2C_1_signupsignin", "B2C_1_passwordreset", "B2C_1_profileedit", "B2C_1_signup"];

/// Whose accounts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// One tenant's.
    One(&'static Tenant),
    /// Those of every organisation.
    Organizations,
    /// Those and personal ones.
    Common,
}

/// Where an application asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) whose: Whose,
    /// The user flow, in B2C.
    pub(super) policy: Option<&'static str>,
    /// Whether it stands in the query.
    in_query: bool,
    /// Whether the tenant is named by its domain: a code is for the name that it was asked with.
    by_domain: bool,
}

impl Cloud {
    /// `cloud_instance_name`, `cloud_graph_host_name`, `msgraph_host` and `tenant_region_scope`.
    pub(super) const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Public => {
                ["microsoftonline.com", "graph.windows.net", "graph.microsoft.com", "WW"]
            }
            Self::UsGovernment => {
                ["microsoftonline.us", "graph.windows.net", "graph.microsoft.us", "USG"]
            }
            Self::China => [
                "partner.microsoftonline.cn",
                "graph.chinacloudapi.cn",
                "microsoftgraph.chinacloudapi.cn",
                "AS",
            ],
        }
    }
}

impl Place {
    /// What the path of a request names, and the endpoint below it.
    pub(super) fn find<'p>(
        directory: &Directory,
        path: &'p str,
        query: &Parameters,
    ) -> Option<(Self, &'p str)> {
        let path = path.trim_start_matches('/');
        let path = path.strip_prefix("tfp/").unwrap_or(path);
        let (name, rest) = path.split_once('/')?;
        let lower = name.to_ascii_lowercase();
        let whose = match lower.as_str() {
            "organizations" => Whose::Organizations,
            "common" => Whose::Common,
            "consumers" => Whose::One(&PERSONAL),
            name => Whose::One(directory.tenant(name)?),
        };
        let by_domain = lower.contains('.');
        let policies = match whose {
            Whose::One(tenant) if tenant.product == Product::AzureAdB2c => tenant.policies,
            _ => return Some((Self { whose, policy: None, in_query: false, by_domain }, rest)),
        };
        let known = |name: &str| {
            policies.iter().copied().find(|known: &&str| known.eq_ignore_ascii_case(name))
        };
        if let Some((policy, rest)) = rest.split_once('/')
            && let Some(policy) = known(policy)
        {
            return Some((Self { whose, policy: Some(policy), in_query: false, by_domain }, rest));
        }
        let policy = query.get("p").and_then(known)?;
        Some((Self { whose, policy: Some(policy), in_query: true, by_domain }, rest))
    }

    /// The domain of the tenant, for the head of a page.
    pub(super) fn tenant_name(self) -> &'static str {
        match self.whose {
            Whose::One(tenant) => tenant.domain,
            Whose::Organizations | Whose::Common => "Several organisations",
        }
    }

    pub(super) fn product(self) -> Product {
        match self.whose {
            Whose::One(tenant) => tenant.product,
            Whose::Organizations | Whose::Common => Product::EntraId,
        }
    }

    /// The national cloud that its documents are of.
    pub(super) fn cloud(self) -> Cloud {
        match self.whose {
            Whose::One(tenant) => tenant.cloud,
            Whose::Organizations | Whose::Common => Cloud::Public,
        }
    }

    /// Where an endpoint of this place is.
    pub(super) fn endpoint(self, base: &str, endpoint: &str) -> String {
        // Documents have policies in lower case.
        let policy = self.policy.map(str::to_ascii_lowercase);
        match (self.in_query, policy) {
            (true, Some(policy)) => format!("{base}/{}/{endpoint}?p={policy}", self.name()),
            (false, Some(policy)) => format!("{base}/{}/{policy}/{endpoint}", self.name()),
            (_, None) => format!("{base}/{}/{endpoint}", self.name()),
        }
    }

    /// As documents name it: B2C by its domain, others by the GUID.
    fn name(self) -> &'static str {
        match self.whose {
            Whose::One(tenant) if tenant.product == Product::AzureAdB2c => tenant.domain,
            Whose::One(tenant) if tenant.product == Product::Personal => "consumers",
            Whose::One(tenant) => tenant.id,
            Whose::Organizations => "organizations",
            Whose::Common => "common",
        }
    }

    /// What its metadata says is the issuer.
    pub(super) fn documented_issuer(self, base: &str, names_policy: bool) -> String {
        match self.whose {
            Whose::One(tenant) => self.issuer(tenant, base, names_policy),
            // The braces are literal: each tenant puts its own id there.
            Whose::Organizations | Whose::Common => format!("{base}/{{tenantid}}/v2.0"),
        }
    }

    /// The issuer of a token for an account of this tenant.
    pub(super) fn issuer(self, tenant: &Tenant, base: &str, names_policy: bool) -> String {
        let id = tenant.id;
        match (tenant.product, self.policy) {
            (Product::AzureAdB2c, Some(policy)) if names_policy => {
                format!("{base}/tfp/{id}/{}/v2.0/", policy.to_ascii_lowercase())
            }
            (Product::AzureAdB2c, _) => format!("{base}/{id}/v2.0/"),
            (Product::ExternalId, _) => format!("https://{id}.ciamlogin.com/{id}/v2.0"),
            (Product::EntraId | Product::Personal, _) => format!("{base}/{id}/v2.0"),
        }
    }

    /// Whether somebody with this account can sign in here.
    pub(super) fn admits(self, account: &Account) -> bool {
        match self.whose {
            Whose::One(tenant) => account.tenant == tenant,
            Whose::Organizations => account.tenant.product == Product::EntraId,
            Whose::Common => {
                matches!(account.tenant.product, Product::EntraId | Product::Personal)
            }
        }
    }
}

/// Whether a path names a tenant of B2C, whatever stands behind it.
pub(super) fn is_of_b2c(directory: &Directory, path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("tfp/").unwrap_or(path);
    let name = path.split('/').next().unwrap_or_default().to_ascii_lowercase();
    directory.tenant(&name).is_some_and(|tenant| tenant.product == Product::AzureAdB2c)
}

/// The parts of paths that the cookie of single sign-on is set for.
pub(super) fn cookie_paths(directory: &Directory) -> impl Iterator<Item = &'static str> {
    let aliases = ["organizations", "common", "consumers"];
    directory.tenants().iter().flat_map(|tenant| [tenant.id, tenant.domain]).chain(aliases)
}

/// What stands in front of the form that belongs to an authorization request: the same path as the
/// request's, so that the form is of the same place.
pub(super) fn beside(uri: &Uri, endpoint: &str) -> String {
    let path = uri.path();
    let above = path.strip_suffix("oauth2/v2.0/authorize").or_else(|| path.strip_suffix("login"));
    format!("{}{endpoint}", above.unwrap_or("/"))
}
