//! The other ways in which the address of a provider's metadata may be meant, each with what to
//! write for it: Microsoft has several for the same tenant (azure.md, section 1). Values only.
//!
//! They are made of what the configuration says, so nobody else's host is asked; and one that is
//! emulated on this machine stays there.

use url::Url;

use crate::config::{
    AzureAdB2c, EntraId, ExternalId, Oidc, ProviderKind, Tenant, Tenants, is_guid, is_loopback,
};

/// Another form, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) kind: ProviderKind,
    /// The keys that change.
    pub(super) change: String,
}

impl Form {
    fn new(kind: ProviderKind, change: impl Into<String>) -> Self {
        Self { kind, change: change.into() }
    }
}

/// The hosts of Entra ID, by the word of the configuration.
const CLOUDS: [(&str, &str); 3] = [
    ("public", "https://login.microsoftonline.com"),
    ("us_government", "https://login.microsoftonline.us"),
    ("china", "https://login.partner.microsoftonline.cn"),
];

/// All other forms, likely ones first. `documented` is the issuer that the metadata named, if there
/// was any.
pub(super) fn others(kind: &ProviderKind, documented: Option<&str>) -> Vec<Form> {
    match kind {
        ProviderKind::EntraId(entra) => of_entra(entra),
        ProviderKind::AzureAdB2c(b2c) => of_b2c(b2c),
        ProviderKind::ExternalId(external) => of_external(external, documented),
        ProviderKind::Oidc(oidc) => of_oidc(oidc, documented),
    }
}

fn of_entra(entra: &EntraId) -> Vec<Form> {
    let Tenants::One(tenant) = &entra.tenants else {
        return Vec::new();
    };
    let mut forms = Vec::new();
    if let Some(external) = external_id(&entra.login, tenant) {
        forms.push(Form::new(external, "kind: external_id"));
    }
    if !is_loopback(&entra.login) {
        for (cloud, login) in CLOUDS {
            let Some(login) = other_host(&entra.login, login) else { continue };
            let kind = ProviderKind::EntraId(EntraId { login, ..entra.clone() });
            forms.push(Form::new(kind, format!("cloud: {cloud}")));
        }
    }
    forms
}

fn of_b2c(b2c: &AzureAdB2c) -> Vec<Form> {
    let form = |b2c: AzureAdB2c, change: &str| Form::new(ProviderKind::AzureAdB2c(b2c), change);
    let mut forms = Vec::new();
    let (names_policy, issuer) = match b2c.names_policy {
        true => (false, "issuer: default"),
        false => (true, "issuer: tfp"),
    };
    forms.push(form(AzureAdB2c { names_policy, ..b2c.clone() }, issuer));
    if let Some(policy) = other_policy(&b2c.policy) {
        let change = format!("policy: {policy}");
        forms.push(form(AzureAdB2c { policy, ..b2c.clone() }, &change));
    }
    let (policy_in_query, place) = match b2c.policy_in_query {
        true => (false, "policy_in: path"),
        false => (true, "policy_in: query"),
    };
    forms.push(form(AzureAdB2c { policy_in_query, ..b2c.clone() }, place));
    if let Some(name) = tenant_name(&b2c.login, &b2c.tenant, ".b2clogin.com") {
        let usual = format!("https://{name}.b2clogin.com");
        let tenant = Tenant::Domain(format!("{name}.onmicrosoft.com"));
        let usual = other_host(&b2c.login, &usual).filter(|_| !is_loopback(&b2c.login));
        if let Some(login) = usual {
            let change = format!("authority: {}", login.origin().ascii_serialization());
            forms.push(form(AzureAdB2c { login: login.clone(), ..b2c.clone() }, &change));
            if b2c.tenant != tenant {
                let change = format!("tenant: {name}, {change}");
                let (login, tenant) = (login, tenant.clone());
                forms.push(form(AzureAdB2c { login, tenant, ..b2c.clone() }, &change));
            }
        }
        if b2c.tenant != tenant {
            let change = format!("tenant: {name}");
            forms.push(form(AzureAdB2c { tenant, ..b2c.clone() }, &change));
        }
    }
    if let Some(external) = external_id(&b2c.login, &b2c.tenant) {
        forms.push(Form::new(external, "kind: external_id"));
    }
    if let Some(entra) = entra_id(&b2c.login, &b2c.tenant) {
        forms.push(Form::new(entra, "kind: entra_id"));
    }
    forms
}

fn of_external(external: &ExternalId, documented: Option<&str>) -> Vec<Form> {
    let mut forms = Vec::new();
    // On a custom domain the issuer is whatever it is, and has to be named.
    if let Some(issuer) = documented {
        let mut valid_issuers = external.valid_issuers.clone();
        valid_issuers.push(issuer.to_owned());
        let kind = ProviderKind::ExternalId(ExternalId { valid_issuers, ..external.clone() });
        // That of Entra ID is not a form of it, but somebody else's.
        if entra_id(&external.login, &external.tenant).is_none_or(|entra| !of(&entra, issuer)) {
            forms.push(Form::new(kind, format!("valid_issuers: [\"{issuer}\"]")));
        }
    }
    if let Some(entra) = entra_id(&external.login, &external.tenant) {
        forms.push(Form::new(entra, "kind: entra_id"));
    }
    if let Some(ProviderKind::ExternalId(usual)) = external_id(&external.login, &external.tenant)
        && usual.login.origin() != external.login.origin()
    {
        let change = format!("authority: {}", usual.login.origin().ascii_serialization());
        let login = usual.login;
        let kind = ProviderKind::ExternalId(ExternalId { login, ..external.clone() });
        forms.push(Form::new(kind, change));
    }
    forms
}

/// Whether an issuer is one of this provider's.
fn of(kind: &ProviderKind, issuer: &str) -> bool {
    crate::relying_party::issuers::Issuers::of(kind, issuer).is_ok()
}

fn of_oidc(oidc: &Oidc, documented: Option<&str>) -> Vec<Form> {
    let mut forms = Vec::new();
    if let Some(microsoft) = of_microsoft(oidc) {
        forms.push(microsoft);
    }
    // The same but for a slash, or for the host's letters.
    let bare = |issuer: &str| issuer.trim_end_matches('/').to_ascii_lowercase();
    if let Some(issuer) = documented.filter(|issuer| bare(issuer) == bare(&oidc.issuer)) {
        let kind = Oidc { issuer: issuer.to_owned(), metadata: oidc.metadata.clone() };
        forms.push(Form::new(ProviderKind::Oidc(kind), format!("issuer: {issuer}")));
    }
    for ending in ["/v2.0", "/"] {
        let issuer = format!("{}{ending}", oidc.issuer.trim_end_matches('/'));
        let metadata = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        if let (Ok(metadata), true) = (Url::parse(&metadata), issuer != oidc.issuer) {
            let change = format!("issuer: {issuer}");
            forms.push(Form::new(ProviderKind::Oidc(Oidc { issuer, metadata }), change));
        }
    }
    forms
}

/// Microsoft by its own name: issuers there do not follow the rule of others.
fn of_microsoft(oidc: &Oidc) -> Option<Form> {
    let url = Url::parse(&oidc.issuer).ok()?;
    let host = url.host_str()?;
    let mut segments = url.path_segments()?.filter(|segment| !segment.is_empty());
    let first = segments.next()?;
    let tenant = match is_guid(first) {
        true => Tenant::Id(first.to_ascii_lowercase()),
        false => Tenant::Domain(first.to_ascii_lowercase()),
    };
    let origin = Url::parse(&url.origin().ascii_serialization()).ok()?;
    let of_b2c = || {
        let policy = segments.next().filter(|segment| segment.len() > "B2C_1_".len())?;
        let is_policy = policy.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("B2C_"));
        let b2c = AzureAdB2c {
            login: origin.clone(),
            tenant: tenant.clone(),
            policy: policy.to_owned(),
            journeys: Vec::new(),
            policy_in_query: false,
            names_policy: false,
            local_accounts_only: false,
            valid_issuers: Vec::new(),
        };
        let change = format!("kind: azure_ad_b2c, tenant: {first}, policy: {policy}");
        is_policy.then(|| Form::new(ProviderKind::AzureAdB2c(b2c), change))
    };
    let is_local = is_loopback(&url);
    if host.ends_with(".ciamlogin.com") {
        let kind = external_id(&origin, &tenant)?;
        return Some(Form::new(kind, format!("kind: external_id, tenant: {first}")));
    }
    let mut of_b2c = of_b2c;
    if let Some(form) = of_b2c() {
        return Some(form);
    }
    let is_old = host == "sts.windows.net";
    let is_login = CLOUDS.iter().any(|(_, login)| login.strip_prefix("https://") == Some(host));
    if !(is_old || is_login || is_local) {
        return None;
    }
    let login = match is_old {
        true => Url::parse("https://login.microsoftonline.com").ok()?,
        false => origin,
    };
    let tenants = Tenants::One(tenant);
    let kind = ProviderKind::EntraId(EntraId { login, tenants, guests: false });
    Some(Form::new(kind, format!("kind: entra_id, tenant: {first}")))
}

/// A user flow of this name in place of a custom policy, or the other way round.
fn other_policy(policy: &str) -> Option<String> {
    let strip = |prefix: &str| match policy.get(..prefix.len()) {
        Some(begin) if begin.eq_ignore_ascii_case(prefix) => policy.get(prefix.len()..),
        _ => None,
    };
    match (strip("B2C_1A_"), strip("B2C_1_")) {
        (Some(name), _) => Some(format!("B2C_1_{name}")),
        (None, Some(name)) => Some(format!("B2C_1A_{name}")),
        (None, None) => None,
    }
}

/// The first label of a tenant's own domain.
fn tenant_name(login: &Url, tenant: &Tenant, host: &str) -> Option<String> {
    let of_domain = match tenant {
        Tenant::Domain(domain) => domain.strip_suffix(".onmicrosoft.com"),
        Tenant::Id(_) => None,
    };
    let of_login = login.host_str().and_then(|name| name.strip_suffix(host));
    let name = of_domain.or(of_login)?;
    (!name.is_empty() && !name.contains('.')).then(|| name.to_owned())
}

/// The tenant as one of External ID.
fn external_id(login: &Url, tenant: &Tenant) -> Option<ProviderKind> {
    let login = match is_loopback(login) {
        true => login.clone(),
        false => {
            let name = match tenant {
                Tenant::Id(id) => id.clone(),
                Tenant::Domain(_) => tenant_name(login, tenant, ".ciamlogin.com")?,
            };
            Url::parse(&format!("https://{name}.ciamlogin.com")).ok()?
        }
    };
    let (tenant, valid_issuers) = (tenant.clone(), Vec::new());
    Some(ProviderKind::ExternalId(ExternalId { login, tenant, valid_issuers }))
}

/// The tenant as one of Entra ID.
fn entra_id(login: &Url, tenant: &Tenant) -> Option<ProviderKind> {
    let login = match is_loopback(login) {
        true => login.clone(),
        false => Url::parse("https://login.microsoftonline.com").ok()?,
    };
    let tenants = Tenants::One(tenant.clone());
    Some(ProviderKind::EntraId(EntraId { login, tenants, guests: false }))
}

/// A host, if it is another than this.
fn other_host(login: &Url, other: &str) -> Option<Url> {
    Url::parse(other).ok().filter(|other| other.origin() != login.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn b2c(login: &str, tenant: Tenant, policy: &str) -> ProviderKind {
        ProviderKind::AzureAdB2c(AzureAdB2c {
            login: url(login),
            tenant,
            policy: policy.to_owned(),
            journeys: Vec::new(),
            policy_in_query: false,
            names_policy: false,
            local_accounts_only: false,
            valid_issuers: Vec::new(),
        })
    }

    fn written(kind: &ProviderKind, documented: Option<&str>) -> Vec<(String, String)> {
        let forms = others(kind, documented).into_iter();
        forms.map(|form| (form.change, form.kind.metadata_url().to_string())).collect()
    }

    fn offers(kind: &ProviderKind, change: &str, at: &str) {
        let found = written(kind, None);
        let is_it = |(known, url): &(String, String)| known == change && url.starts_with(at);
        assert!(found.iter().any(is_it), "{change} at {at} is not among {found:#?}");
    }

    #[test]
    fn b2c_is_looked_for_where_it_may_be() {
        let domain = Tenant::Domain("harbor.onmicrosoft.com".to_owned());
        let old = b2c("https://login.microsoftonline.com", domain.clone(), "B2C_1_signin");
        let at = "https://harbor.b2clogin.com/harbor.onmicrosoft.com/B2C_1_signin/v2.0/";
        offers(&old, "authority: https://harbor.b2clogin.com", at);
        let at = "https://login.microsoftonline.com/harbor.onmicrosoft.com/B2C_1A_signin/v2.0/";
        offers(&old, "policy: B2C_1A_signin", at);
        let at = "https://login.microsoftonline.com/harbor.onmicrosoft.com/v2.0/";
        offers(&old, "policy_in: query", at);
        offers(&old, "kind: entra_id", at);
        offers(&old, "kind: external_id", "https://harbor.ciamlogin.com/harbor.onmicrosoft.com/");
        let id = b2c("https://harbor.b2clogin.com", Tenant::Id(ID.to_owned()), "b2c_1_x");
        let at = "https://harbor.b2clogin.com/harbor.onmicrosoft.com/b2c_1_x/";
        offers(&id, "tenant: harbor", at);
        offers(&id, "policy: B2C_1A_x", &format!("https://harbor.b2clogin.com/{ID}/B2C_1A_x/"));
        offers(&id, "issuer: tfp", &format!("https://harbor.b2clogin.com/{ID}/b2c_1_x/"));
    }

    #[test]
    fn entra_is_looked_for_in_other_clouds_and_as_external_id() {
        let login = url("https://login.microsoftonline.com");
        let tenants = Tenants::One(Tenant::Id(ID.to_owned()));
        let kind = ProviderKind::EntraId(EntraId { login, tenants, guests: false });
        let at = format!("https://login.microsoftonline.us/{ID}/v2.0/");
        offers(&kind, "cloud: us_government", &at);
        offers(&kind, "kind: external_id", &format!("https://{ID}.ciamlogin.com/{ID}/v2.0/"));
        assert!(written(&kind, None).iter().all(|(change, _)| change != "cloud: public"));
    }

    #[test]
    fn microsoft_by_another_kind_is_known_by_its_hosts() {
        let oidc = |issuer: &str| {
            let metadata = url(&format!("{issuer}/.well-known/openid-configuration"));
            ProviderKind::Oidc(Oidc { issuer: issuer.to_owned(), metadata })
        };
        let at = format!("https://login.microsoftonline.com/{ID}/v2.0/");
        for issuer in [
            format!("https://sts.windows.net/{ID}/"),
            format!("https://login.microsoftonline.com/{ID}"),
            format!("https://login.microsoftonline.com/{ID}/v2.0"),
        ] {
            offers(&oidc(&issuer), &format!("kind: entra_id, tenant: {ID}"), &at);
        }
        let policy = "https://harbor.b2clogin.com/harbor.onmicrosoft.com/B2C_1_signin/v2.0";
        let change = "kind: azure_ad_b2c, tenant: harbor.onmicrosoft.com, policy: B2C_1_signin";
        offers(&oidc(policy), change, policy);
        let ciam = format!("https://harbor.ciamlogin.com/{ID}/v2.0");
        offers(&oidc(&ciam), &format!("kind: external_id, tenant: {ID}"), "https://");
        let own = oidc("https://id.example.org/realms/club");
        let slash = written(&own, Some("https://id.example.org/realms/club/"));
        assert_eq!(slash[0].0, "issuer: https://id.example.org/realms/club/");
        assert!(written(&own, None).iter().all(|(change, _)| !change.contains("kind")));
    }

    /// Whatever is emulated is nobody else's.
    #[test]
    fn cfg_05_what_is_on_this_machine_stays_there() {
        let domain = Tenant::Domain("harbor.onmicrosoft.com".to_owned());
        let login = "http://127.0.0.1:8401";
        let entra = Tenants::One(domain.clone());
        let kinds = [
            b2c(login, domain.clone(), "signin"),
            ProviderKind::EntraId(EntraId { login: url(login), tenants: entra, guests: false }),
            ProviderKind::ExternalId(ExternalId {
                login: url(login),
                tenant: domain,
                valid_issuers: Vec::new(),
            }),
            ProviderKind::Oidc(Oidc {
                issuer: format!("{login}/{ID}"),
                metadata: url(&format!("{login}/{ID}/.well-known/openid-configuration")),
            }),
        ];
        for kind in kinds {
            for (change, url) in written(&kind, Some("https://elsewhere.example/x")) {
                assert!(url.starts_with(login), "{change}: {url}");
            }
        }
    }
}
