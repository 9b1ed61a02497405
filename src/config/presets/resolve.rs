//! The presets of one portal, and what else of its configuration they meet.

use http::HeaderName;
use url::Url;

use super::written::{PresetsFile, Sections};
use super::{Addresses, CLOUDFLARE_ACCESS, POMERIUM, Preset, Presets};
use crate::config::context::{Context, Located, Spot};
use crate::config::file::{IdentityFile, PortalFile};
use crate::config::headers;
use crate::config::providers::ProviderFile;
use crate::gate::{CanonicalPath, Endpoint, PresetEndpoint};

/// What other gates have outside of our own prefix, where their presets are on.
pub(in crate::config) fn elsewhere(
    context: &Context<'_>,
    file: &PortalFile,
    callbacks: &[(CanonicalPath, String)],
) -> Vec<(CanonicalPath, Endpoint)> {
    let names = file.identity.iter().flat_map(|identity| identity.presets.names.iter().flatten());
    let mut found = Vec::new();
    for preset in names {
        let paths: &[(&str, PresetEndpoint)] = match preset.value {
            CLOUDFLARE_ACCESS => &[
                ("/cdn-cgi/access/certs", PresetEndpoint::CloudflareCerts),
                ("/cdn-cgi/access/get-identity", PresetEndpoint::CloudflareIdentity),
            ],
            POMERIUM => &[("/.well-known/pomerium/jwks.json", PresetEndpoint::PomeriumJwks)],
            _ => &[],
        };
        for (path, endpoint) in paths {
            let Ok(path) = CanonicalPath::parse(path) else {
                continue;
            };
            let lower = path.as_str().to_ascii_lowercase();
            let meets = |(callback, _): &&(CanonicalPath, String)| {
                let callback = callback.as_str().to_ascii_lowercase();
                lower == callback
                    || lower.starts_with(&format!("{callback}/"))
                    || callback.starts_with(&format!("{lower}/"))
            };
            if let Some((callback, provider)) = callbacks.iter().find(meets) {
                let message = format!(
                    "`{path}` is where this gate publishes, and `{provider}` has its callback at \
                     `{callback}`: choose another `callback_path`"
                );
                context.error(&preset.spot, message);
            }
            found.push((path, Endpoint::Preset(endpoint.clone())));
        }
    }
    found
}

/// Resolves the presets of one portal; `None` if something was reported.
pub(in crate::config) fn resolve(
    context: &Context<'_>,
    file: &PresetsFile,
    identity: &IdentityFile,
    public_url: Option<&Located<Url>>,
    parties: &[(&str, &ProviderFile)],
) -> Option<Presets> {
    let names = file.names.as_ref()?;
    for (section, spot) in &file.written {
        if !file.has(section) {
            let message =
                format!("`preset` does not name `{section}`: add it there, or remove this");
            context.error(spot, message);
        }
    }
    let mut presets: Option<Vec<Preset>> = Some(Vec::new());
    for name in names {
        let is_twin = presets.iter().flatten().any(|known: &Preset| known.name() == name.value);
        if is_twin {
            context.error(&name.spot, "this preset is in the list already");
            continue;
        }
        let preset = preset(context, file, name, public_url, parties);
        if let Some(preset) = &preset {
            check_names(context, preset, &name.spot, identity);
            check_only_way_in(context, file, preset, &name.spot);
        }
        presets = presets.zip(preset).map(|(mut presets, preset)| {
            presets.push(preset);
            presets
        });
    }
    let are_theirs = file.addresses_are_theirs.as_ref()?.value;
    let addresses = Addresses { are_theirs, providers: Vec::new() };
    Some(Presets { presets: presets?, claims: file.claims.clone()?, addresses })
}

fn preset(
    context: &Context<'_>,
    file: &PresetsFile,
    name: &Located<&'static str>,
    public_url: Option<&Located<Url>>,
    parties: &[(&str, &ProviderFile)],
) -> Option<Preset> {
    let sections = &file.sections;
    let missing = |what: &str| {
        // One that could not be read was reported.
        if !file.written.iter().any(|(written, _)| *written == name.value) {
            let preset = name.value;
            let message =
                format!("the portal compares {what}: write `{preset}: {{ … }}` beside this");
            context.error(&name.spot, message);
        }
    };
    match name.value {
        "easy_auth" => {
            check_called(context, sections, &name.spot, parties);
            let names = parties.iter().map(|(provider, party)| {
                let usual = if party.is_entra_id() { "aad" } else { provider };
                let called = sections.provider_name.as_ref().map_or(usual, |name| &name.value);
                ((*provider).to_owned(), called.to_owned())
            });
            Some(Preset::EasyAuth { names: names.collect() })
        }
        "oauth2_proxy" => {
            let (forwarded, auth_request) = sections.oauth2_proxy.unwrap_or((true, false));
            Some(Preset::Oauth2Proxy { forwarded, auth_request })
        }
        CLOUDFLARE_ACCESS => {
            let Some((audience, domain, plain)) = &sections.cloudflare_access else {
                missing("the AUD tag of its application (`audience`)");
                return None;
            };
            let domain = domain.as_ref().or(public_url.map(|url| &url.value))?.as_str();
            Some(Preset::CloudflareAccess {
                team_domain: domain.strip_suffix('/').unwrap_or(domain).to_owned(),
                audience: audience.clone(),
                plain: *plain,
            })
        }
        "google_iap" => {
            let Some((audience, plain)) = &sections.google_iap else {
                missing("the audience, `/projects/…` (`audience`)");
                return None;
            };
            Some(Preset::GoogleIap { audience: audience.clone(), plain: *plain })
        }
        "aws_alb" => {
            let Some(alb) = &sections.aws_alb else {
                missing("the ARN of the load balancer (`signer`)");
                return None;
            };
            Some(Preset::AwsAlb {
                signer: alb.signer.clone(),
                issuer: alb.issuer.clone(),
                client_id: alb.client_id.clone(),
                claims: alb.claims.clone(),
                plain: alb.plain,
            })
        }
        POMERIUM => pomerium(context, sections, public_url),
        _ => Some(Preset::Authelia),
    }
}

/// The portal has nothing but what they are called to tell providers apart, and so has a link to
/// `/.auth/login/…`.
fn check_called(
    context: &Context<'_>,
    sections: &Sections,
    spot: &Spot,
    parties: &[(&str, &ProviderFile)],
) {
    if let (Some(name), [_, _, ..]) = (&sections.provider_name, parties) {
        let message = "the portal has several providers, which cannot all be called so; without \
                       this, Entra ID is `aad` and others have their own names";
        context.error(&name.spot, message);
        return;
    }
    let mut known: Vec<(&str, &str)> = Vec::new();
    for (provider, party) in parties {
        let called = if party.is_entra_id() { "aad" } else { provider };
        match known.iter().find(|(_, other)| *other == called) {
            Some((twin, _)) => {
                let message = format!(
                    "`{twin}` and `{provider}` would both be called `{called}` towards the portal, \
                     which could not tell by whom somebody was signed in: of providers of `kind: \
                     entra_id` this preset takes one, with all its `tenants`"
                );
                context.error(spot, message);
            }
            None => known.push((provider, called)),
        }
    }
}

fn pomerium(
    context: &Context<'_>,
    sections: &Sections,
    public_url: Option<&Located<Url>>,
) -> Option<Preset> {
    let none = (false, Vec::new());
    let (is_uri, claims) = sections.pomerium.as_ref().unwrap_or(&none);
    let host = public_url?.value.host_str()?;
    let mut headers: Option<Vec<(HeaderName, String)>> = Some(Vec::new());
    let mut known: Vec<HeaderName> = Vec::new();
    for claim in claims {
        let name = format!("x-pomerium-claim-{}", claim.value.replace('_', "-"));
        let name = headers::name(&name).map_err(|message| context.error(&claim.spot, message)).ok();
        if let Some(name) = &name {
            if known.contains(name) {
                context.error(&claim.spot, "a claim in this list has the same header already");
            }
            known.push(name.clone());
        }
        // One that cannot be used does not keep the others from being reported.
        headers = headers.zip(name).map(|(mut headers, name)| {
            headers.push((name, claim.value.clone()));
            headers
        });
    }
    Some(Preset::Pomerium {
        issuer: if *is_uri { format!("https://{host}/") } else { host.to_owned() },
        audience: host.to_owned(),
        headers: headers?,
    })
}

/// One header says one thing (HDR-06).
fn check_names(context: &Context<'_>, preset: &Preset, spot: &Spot, identity: &IdentityFile) {
    let names: Vec<String> = preset.header_names().into_iter().map(headers::folded).collect();
    for (written, _) in &identity.headers {
        if names.contains(&headers::folded(&written.value)) {
            let message = format!(
                "this preset sets {}, which `headers` maps to a claim: remove it there",
                written.shown
            );
            context.error(spot, message);
        }
    }
}

/// ENV-05: what nobody signs, whoever reaches the portal can say.
fn check_only_way_in(context: &Context<'_>, file: &PresetsFile, preset: &Preset, spot: &Spot) {
    let is_acknowledged = file.only_way_in.as_ref().is_none_or(|only| only.value);
    if is_acknowledged || !preset.has_plain_headers() {
        return;
    }
    let name = preset.name();
    let or_else = match preset {
        Preset::CloudflareAccess { .. } | Preset::GoogleIap { .. } | Preset::AwsAlb { .. } => {
            format!("; with `{name}: {{ plain_headers: false }}` only the signed header is sent")
        }
        Preset::Pomerium { .. } => {
            "; without `claim_headers` only the signed one is sent".to_owned()
        }
        Preset::EasyAuth { .. } | Preset::Oauth2Proxy { .. } | Preset::Authelia => String::new(),
    };
    let message = format!(
        "`{name}` has headers that nobody signs, so whoever reaches the portal without Anteport \
         can be any member there. If nobody can reach it so (a firewall, a loopback address, a network of its own), \
         write `only_way_in: true` beside this{or_else}"
    );
    context.error(spot, message);
}
