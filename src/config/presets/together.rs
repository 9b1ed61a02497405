//! What several providers or portals together mean for presets: whom a portal could take for somebody
//! else (AZ-02), and whose tokens another portal would take (ENV-01).

use std::sync::Arc;

use url::Url;

use super::{Preset, ProviderKind};
use crate::address;
use crate::config::context::{Context, Located, Spot};
use crate::config::file::PortalFile;
use crate::config::providers::{Provider, Tenants};
use crate::config::{PERSONAL_ACCOUNTS, Portal};
use crate::gate::EXTENSION;

/// What the providers of each portal mean for its presets.
pub(in crate::config) fn meet_providers(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &mut [Portal],
    providers: &[Provider],
) {
    for (file, portal) in files.iter().zip(portals) {
        let parties = portal.sign_in.providers.iter().filter_map(|index| providers.get(*index));
        let parties: Vec<&Provider> = parties.collect();
        let presets = &mut portal.identity.presets;
        let kinds = parties.iter().map(|party| (Arc::clone(&party.name), party.kind.clone()));
        presets.addresses.providers = kinds.collect();
        let Some(written) = file.identity.as_ref().map(|identity| &identity.presets) else {
            continue;
        };
        for name in written.names.iter().flatten() {
            if let Some(preset) = presets.presets.iter().find(|known| known.name() == name.value) {
                warn_of_several(context, preset, &name.spot, &parties);
            }
        }
        let is_from_directory = presets.claims.email.starts_with(EXTENSION);
        let first = written.names.iter().flatten().find(|name| {
            let mut known = presets.presets.iter().filter(|known| known.name() == name.value);
            known.any(Preset::promises_verified_addresses)
        });
        if let (Some(first), false, false) =
            (first, presets.addresses.are_theirs, is_from_directory)
        {
            for party in &parties {
                check_addresses(context, first, party);
            }
        }
    }
}

/// AZ-02: names are unique within one tenant.
fn warn_of_several(context: &Context<'_>, preset: &Preset, spot: &Spot, parties: &[&Provider]) {
    let name = preset.name();
    if parties.len() > 1 {
        let message = format!(
            "the portal has several providers, and `{name}` does not say by which of them somebody \
             signed in: two people could have one name or address there"
        );
        context.warn(spot, message);
        return;
    }
    for party in parties {
        let whose = match &party.kind {
            ProviderKind::EntraId(entra) => match &entra.tenants {
                Tenants::Several(ids) if ids.iter().any(|id| id == PERSONAL_ACCOUNTS) => {
                    "people with personal accounts"
                }
                Tenants::Several(ids) if ids.len() > 1 => "people of several tenants",
                Tenants::Several(_) | Tenants::One(_) => continue,
            },
            ProviderKind::AzureAdB2c(_) | ProviderKind::ExternalId(_) | ProviderKind::Oidc(_) => {
                continue;
            }
        };
        let message = format!(
            "`{}` signs in {whose}, and `{name}` does not say of which tenant somebody is: two \
             people could have one name or address there",
            party.name
        );
        context.warn(spot, message);
    }
}

/// AZ-02: who could never sign in, and who might not.
fn check_addresses(context: &Context<'_>, preset: &Located<&'static str>, party: &Provider) {
    let (name, provider) = (preset.value, &party.name);
    let or_else = "or, if every address there is its member's own, write \
                   `addresses_are_theirs: true` beside this";
    match &party.kind {
        ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) => {
            let message = format!(
                "portals take the address that `{name}` tells for verified, and `{provider}` says \
                 that one is by the optional claim `xms_edov` alone: add it to the ID token of the \
                 app registration, without which nobody with an address signs in, {or_else}"
            );
            context.warn(&preset.spot, message);
        }
        ProviderKind::AzureAdB2c(b2c) => {
            if address::is_user_flow(&b2c.policy) && !b2c.local_accounts_only {
                let message = format!(
                    "portals take the address that `{name}` tells for verified, and no token of \
                     `{provider}` says that one is, so that nobody with an address signs in: write \
                     `local_accounts_only: true` there if that is so, {or_else}"
                );
                context.error(&preset.spot, message);
            }
        }
        // By `email_verified`, as far as they say it.
        ProviderKind::Oidc(_) => {}
    }
}

/// What says for which portal a token is. One that two portals accept could be handed on by one of
/// them to the other.
pub(in crate::config) fn tokens_are_of_one(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &[Portal],
) {
    let mut known: Vec<(&'static str, &str, &Url)> = Vec::new();
    for (file, portal) in files.iter().zip(portals) {
        for preset in &portal.identity.presets.presets {
            let of = match preset {
                Preset::CloudflareAccess { audience, .. } | Preset::GoogleIap { audience, .. } => {
                    audience
                }
                Preset::AwsAlb { signer, .. } => signer,
                // The host, which portals on several ports share.
                Preset::Pomerium { audience, .. } => audience,
                Preset::EasyAuth { .. } | Preset::Oauth2Proxy { .. } | Preset::Authelia => continue,
            };
            let twin = known.iter().find(|(name, known, _)| (*name, *known) == (preset.name(), of));
            let written = file.identity.as_ref().map(|identity| &identity.presets);
            let spot = written.and_then(|written| written.spot_of(preset.name()));
            if let (Some((.., twin)), Some(spot)) = (twin, spot) {
                let message = format!(
                    "{twin} says this of itself, too: each of the two portals could hand on to the \
                     other what its members come with"
                );
                context.warn(spot, message);
            }
            known.push((preset.name(), of, &portal.public_url));
        }
    }
}
