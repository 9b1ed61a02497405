//! The one way from what an operator wrote to what the program runs on: references, secrets,
//! certificates, and what one key means for another. Portals are in `portal.rs`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Located};
use super::file::{File, ListenFile, ProviderFile, SessionsFile};
use super::portal::{self, Names};
use super::value::is_loopback;
use super::{Config, Listen, Provider, Sessions, secrets, tls};
use crate::gate::{Lifetimes, Secret, Timestamp};

/// How long before its end a credential is warned about.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where and when the file is read.
pub(super) struct Setting<'a> {
    /// Relative paths begin at the folder of the configuration.
    pub(super) folder: &'a Path,
    pub(super) now: Timestamp,
}

/// Resolves the file; `None` if something was reported.
pub(super) fn resolve(context: &Context<'_>, file: &File, setting: &Setting<'_>) -> Option<Config> {
    let listen_address = file.listen.as_ref().and_then(|listen| listen.address.as_ref());
    let listen = file.listen.as_ref().and_then(|listen| resolve_listen(context, listen, setting));
    if let Some(certified) = listen.as_ref().and_then(|listen| listen.tls.as_ref()) {
        let portals = file.portals.iter();
        let urls = portals.filter_map(|portal| portal.public_url.as_ref());
        tls::check_hosts(context, certified, urls);
    }
    if let (Some(admin), Some(public)) = (&file.admin, listen_address) {
        check_admin(context, admin, public.value);
    }

    let names: Names = file.providers.iter().map(|(name, _)| &*name.value).collect();
    let mut providers = Some(Vec::new());
    for (name, section) in &file.providers {
        check_name(context, name);
        let provider =
            section.as_ref().and_then(|section| provider(context, name, section, setting));
        providers = providers.zip(provider).map(|(mut providers, provider)| {
            providers.push(Arc::new(provider));
            providers
        });
    }

    let portals = portal::resolve_all(context, file, &names, setting.folder);
    let sessions = file.sessions.as_ref().and_then(|file| sessions(context, file));
    Some(Config {
        listen: listen?,
        admin: file.admin.as_ref()?.value,
        providers: providers?,
        portals: portals?,
        sessions: sessions?,
        logging: file.logging.clone()?,
    })
}

fn resolve_listen(
    context: &Context<'_>,
    listen: &ListenFile,
    setting: &Setting<'_>,
) -> Option<Listen> {
    let tls = match &listen.tls {
        Some(file) => Some(tls::certified_key(context, setting.folder, file)?),
        None => None,
    };
    let trusted = listen.trusted_proxies.as_ref();
    let proxy_protocol = listen.proxy_protocol.as_ref();
    if let (Some(required), Some(None)) = (proxy_protocol, trusted)
        && required.value
    {
        // FWD-04: else everybody could say who they are.
        let message = "whoever connects says here who the visitor is: name in `trusted_proxies` \
                       the networks of those who may";
        context.error(&required.spot, message);
        return None;
    }
    let networks = trusted?.iter().flatten().map(|network| network.value);
    Some(Listen {
        address: listen.address.as_ref()?.value,
        tls,
        proxy_protocol: proxy_protocol?.value,
        trusted_proxies: networks.collect(),
        max_connections: listen.max_connections?,
        max_connections_per_address: listen.max_connections_per_address?,
    })
}

/// CFG-03: apart from visitors.
fn check_admin(context: &Context<'_>, admin: &Located<SocketAddr>, public: SocketAddr) {
    let address = admin.value;
    let is_same_host = address.ip() == public.ip()
        || address.ip().is_unspecified()
        || public.ip().is_unspecified();
    if address.port() != 0 && address.port() == public.port() && is_same_host {
        let message = "this is the port of `listen`; health and metrics need one of their own";
        context.error(&admin.spot, message);
    } else if !address.ip().is_loopback() {
        let message = "health and metrics can be asked for from other machines; see that only \
                       those that should can reach this port";
        context.warn(&admin.spot, message);
    }
}

/// A name is a segment of the redirect URI.
fn check_name(context: &Context<'_>, name: &Located<String>) {
    let fits = (1..=32).contains(&name.value.len())
        && name
            .value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        let message = "a provider's name has 1 to 32 lower-case letters, digits and `-`, because \
                       it is in the redirect URI";
        context.error(&name.spot, message);
    }
}

fn provider(
    context: &Context<'_>,
    name: &Located<String>,
    file: &ProviderFile,
    setting: &Setting<'_>,
) -> Option<Provider> {
    let authority = file.authority.as_ref().filter(|authority| {
        if authority.value.scheme() == "https" {
            return true;
        }
        if is_loopback(&authority.value) {
            let message = "a provider without TLS is for tests: whoever sits between can sign \
                           anybody in";
            context.warn(&authority.spot, message);
            return true;
        }
        let message = "a provider is asked over `https`; `http` is for tests on this machine";
        context.error(&authority.spot, message);
        false
    });
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
        authority: authority?.value.clone(),
        tenant: file.tenant.clone()?,
        client_id: file.client_id.clone()?,
        client_secrets: client_secrets?,
        scopes: file.scopes.as_ref()?.iter().map(|scope| scope.value.clone()).collect(),
        clock_skew: file.clock_skew?,
        trusted: trusted?,
    })
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

fn sessions(context: &Context<'_>, file: &SessionsFile) -> Option<Sessions> {
    let (idle, absolute) = (file.idle.as_ref()?, file.absolute.as_ref()?);
    if idle.value > absolute.value {
        let message = format!(
            "`idle_timeout` ({}) is longer than `absolute_timeout` ({}), which ends every session",
            idle.shown, absolute.shown
        );
        context.error(&idle.spot, message);
        return None;
    }
    Some(Sessions {
        lifetimes: Lifetimes { idle: idle.value, absolute: absolute.value },
        capacity: file.capacity?,
    })
}
