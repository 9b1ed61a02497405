//! From what an operator wrote of a provider to what it means.

use std::sync::Arc;

use url::Url;

use super::written::{Cloud, HostFile, KindFile, ProviderFile, TenantsFile};
use super::{
    AnswerBy, AzureAdB2c, EntraId, ExternalId, Oidc, PERSONAL_ACCOUNTS, Provider, ProviderKind,
    Tenant, Tenants, credentials, expiry,
};
use super::{GroupSource, graph, groups, request};
use crate::address::is_user_flow;
use crate::config::context::{Context, Located, Spot};
use crate::config::resolve::Setting;
use crate::config::tls;
use crate::config::value::is_loopback;

/// Resolves a provider; `None` if something was reported.
pub(in crate::config) fn resolve(
    context: &Context<'_>,
    name: &Located<String>,
    file: &ProviderFile,
    setting: &Setting<'_>,
) -> Option<Provider> {
    let kind = resolve_kind(context, file);
    if let Some(scopes) = &file.scopes {
        check_scopes(context, scopes);
    }
    let graph = graph::base(context, file);
    let groups = file.scopes.as_ref().zip(graph.clone()).and_then(|(scopes, graph)| {
        let cloud = file.host().and_then(|host| host.cloud);
        groups::resolve(context, file.groups.as_ref(), cloud, graph, scopes)
    });
    let credentials = credentials::resolve(context, &file.credentials, &file.kind, setting);
    let learns_ends = graph.and_then(|graph| expiry::resolve(context, file, graph));
    let trusted = match &file.ca {
        Some(files) => tls::trusted(context, setting.folder, files).map(Some),
        None => Some(None),
    };
    let request = file.request.as_ref().and_then(|file| request::resolve(context, file));
    if let (true, Some(request)) = (file.lacks_credentials, &request)
        && request.answer != AnswerBy::IdTokenByForm
    {
        let message = "`credentials` is missing: at least one client credential, such as \
                       `[{ secret: { file: /run/secrets/client_secret } }]`";
        context.error(&file.spot, message);
    }
    let (groups, scopes) = groups?;
    let is_by_token = request.as_ref().is_some_and(|it| it.answer == AnswerBy::IdTokenByForm);
    if let (true, GroupSource::Graph { .. }, Some(file)) =
        (is_by_token, &groups.source, &file.groups)
    {
        let message = "Graph is asked with an access token, and there is none with \
                       `response_type: id_token`";
        context.error(&file.spot, message);
    }
    Some(Provider {
        name: Arc::from(&*name.value),
        kind: kind?,
        label: file.label.clone(),
        client_id: file.client_id.clone()?,
        credentials: credentials?,
        learns_ends: learns_ends?,
        scopes,
        clock_skew: file.clock_skew?,
        trusted: trusted?,
        groups,
        callback_path: file.callback_path.as_ref()?.as_ref().map(|path| path.value.clone()),
        request: request?,
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
            journeys,
            policy_in_query,
            names_policy,
            local_accounts_only,
            valid_issuers,
        } => {
            let login = customers_login(context, file, host, tenant.as_ref(), Cloud::b2c);
            let local_accounts = local_accounts_only.as_ref().and_then(|local| {
                // CFG-01: what would do nothing seems to do something.
                if local.value && policy.as_ref().is_some_and(|policy| !is_user_flow(policy)) {
                    let message = "this is about user flows: of a custom policy an address counts \
                                   as verified if `email_verified` says so";
                    context.error(&local.spot, message);
                    return None;
                }
                Some(local.value)
            });
            ProviderKind::AzureAdB2c(AzureAdB2c {
                login: login?,
                tenant: in_cloud(&tenant.as_ref()?.value, host.cloud?),
                policy: policy.clone()?,
                journeys: journeys.clone()?,
                policy_in_query: (*policy_in_query)?,
                names_policy: (*names_policy)?,
                local_accounts_only: local_accounts?,
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
pub(super) fn check(context: &Context<'_>, url: &Url, spot: &Spot) -> bool {
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
