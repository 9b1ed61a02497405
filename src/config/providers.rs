//! Identity providers: what an operator wrote of one, and what it means. Each kind says in
//! [`ProviderKind`] where its metadata is and whose tokens are believed, from configuration alone;
//! what those tokens look like is the relying party's to know.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

use super::context::{Context, Located, Spot};
use super::file::{CredentialFile, bare, secret};
use super::resolve::Setting;
use super::section::Section;
use super::value::{self, is_loopback};
use super::{secrets, tls};
use crate::gate::{Secret, Timestamp};

/// The tenant of personal Microsoft accounts, where anybody can have one (AZ-03).
pub const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// How long before its end a credential is warned about.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration, and in the path of its redirect URI.
    pub name: Arc<str>,
    /// Where it is, and whose tokens are believed.
    pub kind: ProviderKind,
    /// What its button says on the page of a portal that has several.
    pub label: Option<String>,
    /// The application (client) id of the app registration.
    pub client_id: String,
    /// The client secrets, in the order in which they are tried; at least one.
    pub client_secrets: Vec<Secret<String>>,
    /// The scopes asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// By how much the provider's clock and ours may differ (OIDC-09).
    pub clock_skew: Duration,
    /// Certificates to trust instead of the system's, for a provider with a private CA.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
}

/// What a provider is.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct AzureAdB2c {
    /// The login host, as for [`EntraId`].
    pub login: Url,
    /// The tenant.
    pub tenant: Tenant,
    /// The user flow or custom policy that people sign in with, as written: B2C takes any case.
    pub policy: String,
    /// Whether URLs have the policy as `?p=` and not in their path.
    pub policy_in_query: bool,
    /// Whether the issuer names the policy (`/tfp/…`).
    pub names_policy: bool,
    /// What tokens may have as their issuer besides.
    pub valid_issuers: Vec<String>,
}

/// External ID.
#[derive(Clone, Debug)]
pub struct ExternalId {
    /// The login host, as for [`EntraId`].
    pub login: Url,
    /// The tenant.
    pub tenant: Tenant,
    /// What tokens may have as their issuer besides.
    pub valid_issuers: Vec<String>,
}

/// Any OpenID provider with metadata.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Its issuer, to the letter.
    pub issuer: String,
    /// Where its metadata is.
    pub metadata: Url,
}

impl ProviderKind {
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

/// What an operator wrote of a provider. What is `None` was left out or has been reported.
pub(super) struct ProviderFile {
    spot: Spot,
    kind: KindFile,
    label: Option<String>,
    client_id: Option<String>,
    credentials: Vec<CredentialFile>,
    scopes: Option<Vec<Located<String>>>,
    clock_skew: Option<Duration>,
    ca: Option<Vec<Located<std::path::PathBuf>>>,
}

enum KindFile {
    EntraId {
        host: HostFile,
        tenants: TenantsFile,
        guests: Option<bool>,
    },
    AzureAdB2c {
        host: HostFile,
        tenant: Option<Located<Tenant>>,
        policy: Option<String>,
        policy_in_query: Option<bool>,
        names_policy: Option<bool>,
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
struct TenantsFile {
    one: Option<Located<Tenant>>,
    /// Whether its key is there.
    names_one: bool,
    /// Outside `None` if it was reported, inside if the key is not there.
    several: Option<Option<Vec<Located<String>>>>,
    personal_accounts: Option<Located<bool>>,
}

/// Where a provider of Microsoft's is.
struct HostFile {
    cloud: Option<Cloud>,
    /// Outside `None` if it was reported, inside if the key is not there.
    authority: Option<Option<Located<Url>>>,
}

/// A national cloud (azure.md, section 1.2).
#[derive(Clone, Copy)]
enum Cloud {
    Public,
    UsGovernment,
    China,
}

impl Cloud {
    fn read(word: &str) -> Self {
        match word {
            "us_government" => Self::UsGovernment,
            "china" => Self::China,
            _ => Self::Public,
        }
    }

    const fn login(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// What follows a tenant's name in its first domain.
    const fn domain(self) -> &'static str {
        match self {
            Self::Public => "onmicrosoft.com",
            Self::UsGovernment => "onmicrosoft.us",
            Self::China => "partner.onmschina.cn",
        }
    }

    /// The same in the login host of B2C; none is known of the US Government's.
    const fn b2c(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("b2clogin.com"),
            Self::UsGovernment => None,
            Self::China => Some("b2clogin.cn"),
        }
    }
}

/// Reads a provider's section.
pub(super) fn read(section: &Section<'_>) -> ProviderFile {
    section.value("kind", value::text);
    let kind = match section.variant() {
        "azure_ad_b2c" => KindFile::AzureAdB2c {
            host: host(section),
            tenant: section.value("tenant", value::customer_tenant),
            policy: bare(section.value("policy", value::policy)),
            policy_in_query: bare(section.value("policy_in", |word| Ok(word == "query"))),
            names_policy: bare(section.value("issuer", |word| Ok(word == "tfp"))),
            valid_issuers: valid_issuers(section),
        },
        "external_id" => KindFile::ExternalId {
            host: host(section),
            tenant: section.value("tenant", value::customer_tenant),
            valid_issuers: valid_issuers(section),
        },
        "oidc" => KindFile::Oidc {
            issuer: section.value("issuer", value::issuer),
            metadata: if_there(section, "metadata_url", || {
                section.value("metadata_url", value::document)
            }),
        },
        _ => KindFile::EntraId {
            host: host(section),
            tenants: TenantsFile {
                one: section.value("tenant", value::tenant),
                names_one: section.has("tenant"),
                several: if_there(section, "tenants", || {
                    section.values("tenants", value::tenant_id)
                }),
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
        credentials: section
            .sections("credentials")
            .iter()
            .map(|section| CredentialFile {
                secret: section.section("secret").map(|section| secret(&section)),
                expires: section.value("expires", value::end_of_day),
            })
            .collect(),
        scopes: section.values("scopes", value::scope),
        clock_skew: bare(section.value("clock_skew", value::duration("0s", "5m"))),
        ca: section.values("ca", value::path),
    }
}

fn host(section: &Section<'_>) -> HostFile {
    HostFile {
        cloud: match section.is_a_key("cloud") {
            true => bare(section.value("cloud", |word| Ok(Cloud::read(word)))),
            false => Some(Cloud::Public),
        },
        authority: if_there(section, "authority", || section.value("authority", value::origin)),
    }
}

fn if_there<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn() -> Option<T>,
) -> Option<Option<T>> {
    match section.has(key) {
        true => read().map(Some),
        false => Some(None),
    }
}

/// `None` if one of them was reported.
fn valid_issuers(section: &Section<'_>) -> Option<Vec<String>> {
    let written =
        if_there(section, "valid_issuers", || section.values("valid_issuers", value::issuer))?;
    Some(written.into_iter().flatten().map(|issuer| issuer.value).collect())
}

/// Resolves a provider; `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    name: &Located<String>,
    file: &ProviderFile,
    setting: &Setting<'_>,
) -> Option<Provider> {
    let kind = resolve_kind(context, file);
    if let Some(scopes) = &file.scopes {
        check_scopes(context, scopes);
    }
    let client_secrets = credentials(context, file, setting);
    let trusted = match &file.ca {
        Some(files) => tls::trusted(context, setting.folder, files).map(Some),
        None => Some(None),
    };
    Some(Provider {
        name: Arc::from(&*name.value),
        kind: kind?,
        label: file.label.clone(),
        client_id: file.client_id.clone()?,
        client_secrets: client_secrets?,
        scopes: file.scopes.as_ref()?.iter().map(|scope| scope.value.clone()).collect(),
        clock_skew: file.clock_skew?,
        trusted: trusted?,
    })
}

fn resolve_kind(context: &Context<'_>, file: &ProviderFile) -> Option<ProviderKind> {
    Some(match &file.kind {
        KindFile::EntraId { host, tenants, guests } => {
            let login = login(context, host, || Some(host.cloud?.login().to_owned()));
            let tenants = self::tenants(context, &file.spot, tenants);
            ProviderKind::EntraId(EntraId { login: login?, tenants: tenants?, guests: (*guests)? })
        }
        KindFile::AzureAdB2c {
            host,
            tenant,
            policy,
            policy_in_query,
            names_policy,
            valid_issuers,
        } => {
            let login = customers_login(context, file, host, tenant.as_ref(), Cloud::b2c);
            ProviderKind::AzureAdB2c(AzureAdB2c {
                login: login?,
                tenant: in_cloud(&tenant.as_ref()?.value, host.cloud?),
                policy: policy.clone()?,
                policy_in_query: (*policy_in_query)?,
                names_policy: (*names_policy)?,
                valid_issuers: valid_issuers.clone()?,
            })
        }
        KindFile::ExternalId { host, tenant, valid_issuers } => {
            let domain = |_| Some("ciamlogin.com");
            let login = customers_login(context, file, host, tenant.as_ref(), domain);
            ProviderKind::ExternalId(ExternalId {
                login: login?,
                tenant: in_cloud(&tenant.as_ref()?.value, host.cloud?),
                valid_issuers: valid_issuers.clone()?,
            })
        }
        KindFile::Oidc { issuer, metadata } => {
            let issuer = issuer.as_ref().filter(|issuer| {
                Url::parse(&issuer.value).is_ok_and(|url| check(context, &url, &issuer.spot))
            });
            let metadata = match metadata.as_ref()? {
                Some(written) if !check(context, &written.value, &written.spot) => return None,
                Some(written) => written.value.clone(),
                None => {
                    let issuer = issuer?.value.trim_end_matches('/');
                    Url::parse(&format!("{issuer}/.well-known/openid-configuration")).ok()?
                }
            };
            ProviderKind::Oidc(Oidc { issuer: issuer?.value.clone(), metadata })
        }
    })
}

/// A bare name of a tenant is that of its first domain.
fn in_cloud(tenant: &Tenant, cloud: Cloud) -> Tenant {
    match tenant {
        Tenant::Domain(name) if !name.contains('.') => {
            Tenant::Domain(format!("{name}.{}", cloud.domain()))
        }
        other => other.clone(),
    }
}

fn tenants(context: &Context<'_>, spot: &Spot, file: &TenantsFile) -> Option<Tenants> {
    let personal = file.personal_accounts.as_ref()?;
    match (file.names_one, file.several.as_ref()?) {
        (true, Some(several)) => {
            let spot = several.first().map_or(spot, |first| &first.spot);
            context.error(spot, "`tenant` is there already; name one tenant or several");
            None
        }
        (true, None) if personal.value => {
            let message = "personal accounts are in none of an organisation's tenants: name the \
                           tenants in `tenants`, and not `tenant`";
            context.error(&personal.spot, message);
            None
        }
        (true, None) => Some(Tenants::One(file.one.as_ref()?.value.clone())),
        (false, None) if personal.value => {
            Some(Tenants::Several(vec![PERSONAL_ACCOUNTS.to_owned()]))
        }
        (false, None) => {
            let message = "`tenant` is missing: the tenant whose people may sign in, by its GUID \
                           or a verified domain; or several GUIDs in `tenants`";
            context.error(spot, message);
            None
        }
        (false, Some(several)) => {
            let mut ids: Vec<String> = Vec::new();
            let mut is_fine = true;
            for id in several {
                if ids.contains(&id.value) {
                    context.error(&id.spot, "this tenant is in the list already");
                    is_fine = false;
                }
                ids.push(id.value.clone());
            }
            if personal.value {
                ids.push(PERSONAL_ACCOUNTS.to_owned());
            }
            is_fine.then_some(Tenants::Several(ids))
        }
    }
}

/// The login host of a tenant of customers: its own, unless another is written.
fn customers_login(
    context: &Context<'_>,
    file: &ProviderFile,
    host: &HostFile,
    tenant: Option<&Located<Tenant>>,
    domain: impl Fn(Cloud) -> Option<&'static str>,
) -> Option<Url> {
    login(context, host, || {
        let (tenant, cloud) = (tenant?, host.cloud?);
        let first =
            |name: &str| name.strip_suffix(&format!(".{}", cloud.domain())).map(str::to_owned);
        let name = match &tenant.value {
            Tenant::Id(id) => Some(id.clone()),
            Tenant::Domain(name) if name.contains('.') => first(name),
            Tenant::Domain(name) => Some(name.clone()),
        };
        let is_guid_of_b2c =
            matches!((&file.kind, &tenant.value), (KindFile::AzureAdB2c { .. }, Tenant::Id(_)));
        match (name, domain(cloud)) {
            (Some(name), Some(domain)) if !is_guid_of_b2c => {
                Some(format!("https://{name}.{domain}"))
            }
            _ => {
                let message = "the login host does not follow from this tenant: name it in \
                               `authority`, such as `https://contoso.b2clogin.com`";
                context.error(&tenant.spot, message);
                None
            }
        }
    })
}

fn login(
    context: &Context<'_>,
    host: &HostFile,
    usual: impl FnOnce() -> Option<String>,
) -> Option<Url> {
    match host.authority.as_ref()? {
        Some(written) => {
            check(context, &written.value, &written.spot).then(|| written.value.clone())
        }
        None => Url::parse(&usual()?).ok(),
    }
}

/// A provider is asked over TLS.
fn check(context: &Context<'_>, url: &Url, spot: &Spot) -> bool {
    if url.scheme() == "https" {
        return true;
    }
    if is_loopback(url) {
        let message =
            "a provider without TLS is for tests: whoever sits between can sign anybody in";
        context.warn(spot, message);
        return true;
    }
    let message = "a provider is asked over `https`; `http` is for tests on this machine";
    context.error(spot, message);
    false
}

fn check_scopes(context: &Context<'_>, scopes: &[Located<String>]) {
    for (index, scope) in scopes.iter().enumerate() {
        let is_second = scopes.iter().take(index).any(|earlier| earlier.value == scope.value);
        if is_second {
            context.error(&scope.spot, "this scope is in the list already");
        }
    }
    let has_openid = scopes.iter().any(|scope| scope.value == "openid");
    if let (false, Some(first)) = (has_openid, scopes.first()) {
        context.error(
            &first.spot,
            "`openid` is not among the scopes, and without it there is no sign-in",
        );
    }
}

fn credentials(
    context: &Context<'_>,
    file: &ProviderFile,
    setting: &Setting<'_>,
) -> Option<Vec<Secret<String>>> {
    let mut secrets = Some(Vec::new());
    for credential in &file.credentials {
        if let Some(expires) = &credential.expires {
            warn_of_end(context, expires, setting.now);
        }
        let secret = credential
            .secret
            .as_ref()
            .and_then(|source| secrets::read(context, setting.folder, source));
        secrets = secrets.zip(secret).map(|(mut secrets, secret)| {
            secrets.push(secret);
            secrets
        });
    }
    secrets
}

fn warn_of_end(context: &Context<'_>, expires: &Located<Timestamp>, now: Timestamp) {
    if expires.value <= now {
        context.warn(
            &expires.spot,
            "this credential has expired; make a new one in Azure and put it first",
        );
        return;
    }
    let left = expires.value.since(now);
    if left <= NOTICE {
        let days = left.as_secs() / (24 * 60 * 60);
        let when = match days {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        context.warn(
            &expires.spot,
            format!("this credential expires {when}; make a new one in Azure and put it first"),
        );
    }
}
