//! The one way from what an operator wrote to what the program runs on: references, secrets,
//! certificates, and what one key means for another. Portals are in `portal.rs`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::context::{Context, Located};
use super::file::{File, ListenFile};
use super::portal::{self, Names};
use super::{
    Config, Listen, logging, mapping, presets, providers, requires, sessions, shutdown, signing,
    tls, tokens, traces, verify,
};
use crate::gate::Timestamp;

/// Where and when the file is read.
pub(super) struct Setting<'a> {
    /// Relative paths begin at the folder of the configuration.
    pub(super) folder: &'a Path,
    pub(super) now: Timestamp,
    /// As it was written.
    pub(super) text: &'a str,
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
    let mut all = Some(Vec::new());
    for (name, section) in &file.providers {
        check_name(context, name);
        let provider =
            section.as_ref().and_then(|file| providers::resolve(context, name, file, setting));
        all = all.zip(provider).map(|(mut providers, provider)| {
            providers.push(provider);
            providers
        });
    }

    let mut portals = portal::resolve_all(context, file, &names, setting.folder);
    if let Some(portals) = &portals {
        signing::secrets_are_of_one(context, &file.portals, portals);
        portal::audiences_are_of_one(context, &file.portals, portals);
        presets::tokens_are_of_one(context, &file.portals, portals);
    }
    if let (Some(providers), Some(portals)) = (&mut all, &portals) {
        requires::meet_providers(context, &file.portals, portals, providers);
        for (provider, (_, written)) in providers.iter().zip(&file.providers) {
            let spot = written.as_ref().and_then(|written| written.spot_of_groups());
            if let Some(spot) = spot {
                requires::warn_of_no_groups(context, provider, spot);
            }
        }
    }
    let sessions = file.sessions.as_ref();
    let sessions = sessions.and_then(|file| sessions::resolve(context, file, setting.folder));
    let shutdown = file.shutdown.as_ref().and_then(|file| shutdown::resolve(context, file));
    let signing = file.signing.as_ref();
    let signing = signing.and_then(|file| signing::resolve(context, file, setting.folder));
    let verify = match file.verify.as_ref() {
        Some(Some(file)) => verify::resolve(context, file, setting.folder).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let traces = match &file.traces {
        Some(Some(file)) => traces::resolve(context, file, setting.folder).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(Some(verify)) = &file.verify {
        let admin = file.admin.as_ref().map(|admin| admin.value);
        verify::meet_listeners(context, verify, listen_address.map(|public| public.value), admin);
    }
    if let (Some(Some(file)), Some(portals)) = (&file.verify, &portals) {
        verify::meet_portals(context, file, portals);
    }
    if let (Some(Some(file)), Some(listen)) = (&file.verify, &listen) {
        let store = sessions.as_ref().map(|sessions| &sessions.store);
        verify::meet_others(context, file, &listen.trusted_proxies, store);
    }
    if let (Some(signing), Some(sessions)) = (&signing, &sessions) {
        signing::meet_portals(context, signing, &file.portals, sessions);
    }
    if let (Some(providers), Some(portals)) = (&all, &mut portals) {
        presets::meet_providers(context, &file.portals, portals, providers);
        tokens::meet_providers(context, &file.portals, portals, providers);
        mapping::meet_providers(context, &file.portals, portals, providers);
    }
    if let Some(sessions) = &sessions {
        tokens::meet_store(context, &file.portals, &sessions.store);
    }
    Some(Config {
        listen: listen?,
        admin: file.admin.as_ref()?.value,
        providers: all?.into_iter().map(Arc::new).collect(),
        portals: portals?,
        sessions: sessions?,
        signing: signing?,
        verify: verify?,
        logging: logging::resolve(file.logging.clone()?, setting.folder),
        shutdown: shutdown?,
        watches_files: file.watches_files?,
        traces: traces?,
        fingerprint: fingerprint(setting.text),
    })
}

/// Short, so that a secret that stands in the text cannot be guessed by it: very many texts have
/// the same.
fn fingerprint(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
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
