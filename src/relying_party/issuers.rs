//! Whose tokens are believed: the exact issuers that configuration stands for, and what else is
//! asked of a token of theirs. Microsoft's documents do not pass the rule of OpenID Connect
//! Discovery 1.0, section 4.3, where a tenant is named by a domain, is one of several, or is one of
//! customers (azure.md, section 1.5). So each kind has a rule of its own, and nothing turns it off
//! (AZ-01).

use url::Url;

use super::discovery::MetadataError;
use crate::config::{
    AzureAdB2c, EntraId, ExternalId, Oidc, PERSONAL_ACCOUNTS, ProviderKind, Tenant, Tenants,
};

/// The issuers whose tokens are believed, and whom they vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuers {
    trusted: Vec<TrustedIssuer>,
    people: People,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The GUID of its tenant; `None` where there are no tenants.
    pub tenant: Option<String>,
}

/// Who they vouch for, and therefore how a token says who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// Those of an organisation: `tid` and `oid`.
    Organisation {
        /// And those that it has invited from elsewhere (AZ-03).
        guests: bool,
    },
    /// Customers, with tokens of the same shape.
    Customers,
    /// Customers who came through a user flow, which the token names (AZ-04).
    UserFlow,
    /// Anybody, by `iss` and `sub`.
    Subjects,
}

impl Issuers {
    /// The issuers of a provider whose metadata says that it is `documented`. Where configuration
    /// names a tenant by its domain, the GUID is the document's; everything else has to agree.
    ///
    /// # Errors
    /// When the document is another issuer's.
    pub fn of(kind: &ProviderKind, documented: &str) -> Result<Self, MetadataError> {
        match kind {
            ProviderKind::EntraId(entra) => of_entra(entra, documented),
            ProviderKind::AzureAdB2c(b2c) => of_b2c(b2c, documented),
            ProviderKind::ExternalId(external) => of_external(external, documented),
            ProviderKind::Oidc(oidc) => of_oidc(oidc, documented),
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&TrustedIssuer> {
        self.trusted.iter().find(|trusted| trusted.issuer == issuer)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[TrustedIssuer] {
        &self.trusted
    }

    /// Whom they vouch for.
    #[must_use]
    pub const fn people(&self) -> People {
        self.people
    }
}

impl TrustedIssuer {
    fn of(issuer: &str, tenant: &str) -> Self {
        Self { issuer: issuer.to_owned(), tenant: Some(tenant.to_owned()) }
    }
}

fn of_entra(entra: &EntraId, documented: &str) -> Result<Issuers, MetadataError> {
    let login = entra.login.origin().ascii_serialization();
    let issuer = |tenant: &str| format!("{login}/{tenant}/v2.0");
    let trusted = match &entra.tenants {
        Tenants::One(tenant) => {
            let found = between(documented, &format!("{login}/"), "/v2.0");
            let found = found.filter(|found| stands_for(tenant, found));
            let found = found.ok_or(MetadataError::Issuer)?;
            if found == PERSONAL_ACCOUNTS {
                return Err(MetadataError::PersonalAccounts);
            }
            vec![TrustedIssuer::of(documented, found)]
        }
        Tenants::Several(tenants) => {
            let expected = match entra.tenants.as_str() {
                "consumers" => issuer(PERSONAL_ACCOUNTS),
                // The braces are literal.
                _ => issuer("{tenantid}"),
            };
            if documented != expected {
                return Err(MetadataError::Issuer);
            }
            tenants.iter().map(|tenant| TrustedIssuer::of(&issuer(tenant), tenant)).collect()
        }
    };
    Ok(Issuers { trusted, people: People::Organisation { guests: entra.guests } })
}

fn of_b2c(b2c: &AzureAdB2c, documented: &str) -> Result<Issuers, MetadataError> {
    let login = b2c.login.origin().ascii_serialization();
    let found = match b2c.names_policy {
        false => between(documented, &format!("{login}/"), "/v2.0/"),
        true => {
            // Documents write the policy in lower case, whatever configuration does. `iss` of a
            // token is compared to the letter: where it is spelled otherwise, `valid_issuers`
            // has to name it.
            let rest = between(documented, &format!("{login}/tfp/"), "/v2.0/");
            let named = rest.and_then(|rest| rest.split_once('/'));
            named
                .filter(|(_, policy)| policy.eq_ignore_ascii_case(&b2c.policy))
                .map(|(tenant, _)| tenant)
        }
    };
    let found = found.filter(|found| stands_for(&b2c.tenant, found));
    let found = found.ok_or(MetadataError::Issuer)?;
    Ok(Issuers { trusted: with(documented, found, &b2c.valid_issuers), people: People::UserFlow })
}

/// The issuer has the tenant's GUID twice, in its host too, wherever the document is. On a custom
/// domain it may be another, which configuration has to name.
fn of_external(external: &ExternalId, documented: &str) -> Result<Issuers, MetadataError> {
    let found = between(documented, "https://", "/v2.0")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(host, tenant)| host.strip_suffix(".ciamlogin.com") == Some(tenant))
        .map(|(_, tenant)| tenant);
    let listed = || {
        let is_listed = external.valid_issuers.iter().any(|listed| listed == documented);
        let tenant = documented.strip_suffix("/v2.0")?.rsplit('/').next()?;
        is_listed.then_some(tenant)
    };
    let found = found.or_else(listed).filter(|found| stands_for(&external.tenant, found));
    let found = found.ok_or(MetadataError::Issuer)?;
    let trusted = with(documented, found, &external.valid_issuers);
    Ok(Issuers { trusted, people: People::Customers })
}

fn of_oidc(oidc: &Oidc, documented: &str) -> Result<Issuers, MetadataError> {
    match documented == oidc.issuer {
        true => Ok(Issuers {
            trusted: vec![TrustedIssuer { issuer: oidc.issuer.clone(), tenant: None }],
            people: People::Subjects,
        }),
        false => Err(MetadataError::Issuer),
    }
}

/// The document's own issuer and those that configuration adds, all of the same tenant.
fn with(documented: &str, tenant: &str, more: &[String]) -> Vec<TrustedIssuer> {
    let mut trusted = vec![TrustedIssuer::of(documented, tenant)];
    for issuer in more.iter().filter(|issuer| *issuer != documented) {
        trusted.push(TrustedIssuer::of(issuer, tenant));
    }
    trusted
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    text.strip_prefix(begin)?.strip_suffix(end)
}

/// Whether a tenant of the configuration may have this GUID.
fn stands_for(tenant: &Tenant, found: &str) -> bool {
    is_guid(found)
        && match tenant {
            Tenant::Id(id) => id == found,
            Tenant::Domain(_) => true,
        }
}

/// A GUID as Microsoft writes it: lower-case, with its four hyphens.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Where a provider's endpoints may be: Microsoft's on the login host alone, so that secrets and
/// visitors are sent nowhere else; those of others wherever TLS is.
pub(super) fn may_be_at(kind: &ProviderKind, endpoint: &Url) -> bool {
    match kind {
        ProviderKind::EntraId(EntraId { login, .. })
        | ProviderKind::AzureAdB2c(AzureAdB2c { login, .. })
        | ProviderKind::ExternalId(ExternalId { login, .. }) => endpoint.origin() == login.origin(),
        ProviderKind::Oidc(oidc) => {
            endpoint.scheme() == "https" || endpoint.origin() == oidc.metadata.origin()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8";
    const OTHER: &str = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";

    fn id() -> Tenant {
        Tenant::Id(ID.to_owned())
    }

    fn domain() -> Tenant {
        Tenant::Domain("harbor.onmicrosoft.com".to_owned())
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn entra(tenants: Tenants) -> ProviderKind {
        let login = url("https://login.microsoftonline.com");
        ProviderKind::EntraId(EntraId { login, tenants, guests: false })
    }

    fn b2c(tenant: Tenant, names_policy: bool, more: &[&str]) -> ProviderKind {
        ProviderKind::AzureAdB2c(AzureAdB2c {
            login: url("https://harbor.b2clogin.com"),
            tenant,
            policy: "B2C_1_signupsignin".to_owned(),
            journeys: Vec::new(),
            policy_in_query: false,
            names_policy,
            local_accounts_only: false,
            valid_issuers: more.iter().map(|&issuer| issuer.to_owned()).collect(),
        })
    }

    fn external(tenant: Tenant, more: &[&str]) -> ProviderKind {
        ProviderKind::ExternalId(ExternalId {
            login: url("https://harbor.ciamlogin.com"),
            tenant,
            valid_issuers: more.iter().map(|&issuer| issuer.to_owned()).collect(),
        })
    }

    fn names(kind: &ProviderKind, documented: &str) -> Option<Vec<String>> {
        let issuers = Issuers::of(kind, documented).ok()?;
        Some(issuers.all().iter().map(|trusted| trusted.issuer.clone()).collect())
    }

    #[test]
    fn az_01_one_tenant_of_entra_has_one_issuer() {
        let host = "https://login.microsoftonline.com";
        let exact = format!("{host}/{ID}/v2.0");
        for tenant in [id(), domain()] {
            let kind = entra(Tenants::One(tenant));
            assert_eq!(names(&kind, &exact), Some(vec![exact.clone()]));
            for odd in [
                format!("{host}/{ID}/v2.0/"),
                format!("{host}/{{tenantid}}/v2.0"),
                format!("{host}/{}/v2.0", ID.to_uppercase()),
                format!("https://login.microsoftonline.us/{ID}/v2.0"),
                format!("https://sts.windows.net/{ID}/"),
                format!("{host}/{PERSONAL_ACCOUNTS}/v2.0"),
                format!("{host}/x/{ID}/v2.0"),
                format!("{host}.evil.example/{ID}/v2.0"),
            ] {
                assert_eq!(names(&kind, &odd), None, "{odd}");
            }
        }
        let other = format!("{host}/{OTHER}/v2.0");
        assert_eq!(names(&entra(Tenants::One(id())), &other), None);
        assert_eq!(names(&entra(Tenants::One(domain())), &other), Some(vec![other]));
    }

    #[test]
    fn az_01_several_tenants_have_the_issuers_of_the_list() {
        let host = "https://login.microsoftonline.com";
        let several =
            |ids: &[&str]| entra(Tenants::Several(ids.iter().map(|&id| id.to_owned()).collect()));
        let template = format!("{host}/{{tenantid}}/v2.0");
        let of = |id: &str| format!("{host}/{id}/v2.0");
        assert_eq!(names(&several(&[ID, OTHER]), &template), Some(vec![of(ID), of(OTHER)]));
        let mixed = several(&[ID, PERSONAL_ACCOUNTS]);
        assert_eq!(names(&mixed, &template), Some(vec![of(ID), of(PERSONAL_ACCOUNTS)]));
        assert!(mixed.metadata_url().path().starts_with("/common/"));
        assert!(several(&[ID]).metadata_url().path().starts_with("/organizations/"));
        let personal = several(&[PERSONAL_ACCOUNTS]);
        assert!(personal.metadata_url().path().starts_with("/consumers/"));
        let own = of(PERSONAL_ACCOUNTS);
        assert_eq!(names(&personal, &own), Some(vec![own]));
        assert_eq!(names(&personal, &template), None);
        assert_eq!(names(&several(&[ID]), &of(ID)), None);
    }

    #[test]
    fn az_01_b2c_has_its_default_or_its_tfp_issuer() {
        let host = "https://harbor.b2clogin.com";
        let default = format!("{host}/{ID}/v2.0/");
        let tfp = format!("{host}/tfp/{ID}/b2c_1_signupsignin/v2.0/");
        for tenant in [id(), domain()] {
            let kind = b2c(tenant.clone(), false, &[]);
            assert_eq!(names(&kind, &default), Some(vec![default.clone()]));
            assert_eq!(names(&kind, &tfp), None);
            assert_eq!(names(&kind, default.trim_end_matches('/')), None);
            let kind = b2c(tenant, true, &[]);
            assert_eq!(names(&kind, &tfp), Some(vec![tfp.clone()]));
            assert_eq!(names(&kind, &default), None);
            let other = format!("{host}/tfp/{ID}/b2c_1_reset/v2.0/");
            assert_eq!(names(&kind, &other), None);
        }
        let custom = format!("https://login.harbor.example/{ID}/v2.0/");
        let both = names(&b2c(id(), false, &[&custom]), &default);
        assert_eq!(both, Some(vec![default, custom.clone()]));
        // What is fetched is the host's own: one that is only listed is no document's.
        assert_eq!(names(&b2c(id(), false, &[&custom]), &custom), None);
    }

    #[test]
    fn az_01_external_id_has_its_guid_twice() {
        let own = format!("https://{ID}.ciamlogin.com/{ID}/v2.0");
        for tenant in [id(), domain()] {
            assert_eq!(names(&external(tenant, &[]), &own), Some(vec![own.clone()]));
        }
        for odd in [
            format!("https://harbor.ciamlogin.com/{ID}/v2.0"),
            format!("https://{OTHER}.ciamlogin.com/{ID}/v2.0"),
            format!("https://{OTHER}.ciamlogin.com/{OTHER}/v2.0"),
            format!("https://{ID}.ciamlogin.com.evil.example/{ID}/v2.0"),
            format!("https://login.microsoftonline.com/{ID}/v2.0"),
        ] {
            assert_eq!(names(&external(id(), &[]), &odd), None, "{odd}");
        }
        let custom = format!("https://login.harbor.example/{ID}/v2.0");
        assert_eq!(names(&external(id(), &[&custom]), &custom), Some(vec![custom.clone()]));
        let foreign = format!("https://login.harbor.example/{OTHER}/v2.0");
        assert_eq!(names(&external(id(), &[&foreign]), &foreign), None);
    }

    #[test]
    fn others_are_their_own_issuer_to_the_letter() {
        let issuer = "https://id.example.org/realms/club";
        let metadata = url("https://id.example.org/realms/club/.well-known/openid-configuration");
        let kind = ProviderKind::Oidc(Oidc { issuer: issuer.to_owned(), metadata });
        assert_eq!(names(&kind, issuer), Some(vec![issuer.to_owned()]));
        for odd in ["https://id.example.org/realms/club/", "https://ID.example.org/realms/club"] {
            assert_eq!(names(&kind, odd), None, "{odd}");
        }
        assert!(may_be_at(&kind, &url("https://keys.example.net/x")));
        assert!(!may_be_at(&kind, &url("http://id.example.org/x")));
    }

    #[test]
    fn microsofts_metadata_is_where_configuration_says() {
        let at = |kind: &ProviderKind| kind.metadata_url().to_string();
        assert_eq!(
            at(&b2c(domain(), false, &[])),
            "https://harbor.b2clogin.com/harbor.onmicrosoft.com/B2C_1_signupsignin/v2.0/\
             .well-known/openid-configuration"
        );
        let ProviderKind::AzureAdB2c(b2c) = b2c(domain(), false, &[]) else { unreachable!() };
        let query = ProviderKind::AzureAdB2c(AzureAdB2c { policy_in_query: true, ..b2c });
        assert_eq!(
            at(&query),
            "https://harbor.b2clogin.com/harbor.onmicrosoft.com/v2.0/.well-known/\
             openid-configuration?p=B2C_1_signupsignin"
        );
        assert_eq!(
            at(&external(id(), &[])),
            format!("https://harbor.ciamlogin.com/{ID}/v2.0/.well-known/openid-configuration")
        );
    }
}
