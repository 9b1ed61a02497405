//! Presets: a portal that trusts another gate gets the headers that it knows. Read here and
//! resolved; what the headers say is `identity::presets`'s.

use std::sync::Arc;

use http::HeaderName;
use url::Url;

use super::context::{Context, Located, Spot};
use super::file::{IdentityFile, PortalFile};
use super::headers;
use super::keys::presets::PRESETS;
use super::kind::Unfit;
use super::providers::{Provider, ProviderFile, ProviderKind, Tenants};
use super::section::Section;
use super::{PERSONAL_ACCOUNTS, Portal, value};
use crate::address;
use crate::gate::{
    CanonicalPath, EXTENSION, Endpoint, PortalCookies, PresetEndpoint, ValuePattern,
};
use crate::signing_key::SigningAlgorithm;

/// What a portal is told in the way of other gates.
#[derive(Clone, Debug, Default)]
pub struct Presets {
    /// Each once.
    pub presets: Vec<Preset>,
    /// What they take it from.
    pub claims: PresetClaims,
    /// What is known of addresses.
    pub addresses: Addresses,
}

/// Whose e-mail addresses a portal may take for verified (AZ-02).
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Whether the operator says that each is its member's own, where the provider says nothing.
    pub are_theirs: bool,
    /// What each provider of the portal is, by its name: how it says that an address is verified.
    pub providers: Vec<(Arc<str>, ProviderKind)>,
}

impl Presets {
    /// Cookies that a portal behind such a gate may believe: a visitor's own never reach it.
    #[must_use]
    pub fn cookies(&self) -> PortalCookies {
        let of = |preset: &Preset| match preset {
            Preset::CloudflareAccess { .. } => {
                Some(ValuePattern::Exactly("CF_Authorization".to_owned()))
            }
            Preset::EasyAuth { .. }
            | Preset::Oauth2Proxy { .. }
            | Preset::GoogleIap { .. }
            | Preset::AwsAlb { .. }
            | Preset::Pomerium { .. }
            | Preset::Authelia => None,
        };
        PortalCookies::new(&self.presets.iter().filter_map(of).collect::<Vec<_>>())
    }
}

/// The claims that presets take what they tell from.
#[derive(Clone, Debug, Default)]
pub struct PresetClaims {
    /// What names a member; without it, each preset's own.
    pub user: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The name for display.
    pub name: String,
    /// The groups.
    pub groups: String,
}

/// Another gate.
#[derive(Clone, Debug)]
pub enum Preset {
    /// App Service "Easy Auth".
    EasyAuth {
        /// What each provider of the portal is called there.
        names: Vec<(String, String)>,
    },
    /// oauth2-proxy.
    Oauth2Proxy {
        /// `X-Forwarded-…`.
        forwarded: bool,
        /// `X-Auth-Request-…`.
        auth_request: bool,
    },
    /// Cloudflare Access.
    CloudflareAccess {
        /// `iss`.
        team_domain: String,
        /// `aud`.
        audience: String,
        /// Whether the unsigned header is sent, too.
        plain: bool,
    },
    /// Google's Identity-Aware Proxy.
    GoogleIap {
        /// `aud`.
        audience: String,
        /// Whether the unsigned headers are sent, too.
        plain: bool,
    },
    /// AWS Application Load Balancer.
    AwsAlb {
        /// The ARN of the load balancer.
        signer: String,
        /// `iss`, if not the ID token's.
        issuer: Option<String>,
        /// `client`, if not the ID token's `aud`.
        client_id: Option<String>,
        /// Claims besides those of userinfo.
        claims: Vec<String>,
        /// Whether the unsigned header is sent, too.
        plain: bool,
    },
    /// Pomerium.
    Pomerium {
        /// `iss`.
        issuer: String,
        /// `aud`: the portal's host.
        audience: String,
        /// Plain headers, each with its claim.
        headers: Vec<(HeaderName, String)>,
    },
    /// Authelia.
    Authelia,
}

impl Preset {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EasyAuth { .. } => "easy_auth",
            Self::Oauth2Proxy { .. } => "oauth2_proxy",
            Self::CloudflareAccess { .. } => "cloudflare_access",
            Self::GoogleIap { .. } => "google_iap",
            Self::AwsAlb { .. } => "aws_alb",
            Self::Pomerium { .. } => "pomerium",
            Self::Authelia => "authelia",
        }
    }

    /// What it signs with, if it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Option<SigningAlgorithm> {
        match self {
            Self::EasyAuth { .. } | Self::Oauth2Proxy { .. } | Self::Authelia => None,
            Self::CloudflareAccess { .. } => Some(SigningAlgorithm::Rs256),
            Self::GoogleIap { .. } | Self::AwsAlb { .. } | Self::Pomerium { .. } => {
                Some(SigningAlgorithm::Es256)
            }
        }
    }

    /// The names of its headers; which of them a request has depends on its member.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        match self {
            Self::EasyAuth { .. } => vec![
                "x-ms-client-principal",
                "x-ms-client-principal-id",
                "x-ms-client-principal-name",
                "x-ms-client-principal-idp",
            ],
            Self::Oauth2Proxy { forwarded, auth_request } => {
                let of_upstream = [
                    "x-forwarded-user",
                    "x-forwarded-email",
                    "x-forwarded-preferred-username",
                    "x-forwarded-groups",
                ];
                let of_request = [
                    "x-auth-request-user",
                    "x-auth-request-email",
                    "x-auth-request-preferred-username",
                    "x-auth-request-groups",
                ];
                let of_upstream = of_upstream.into_iter().filter(|_| *forwarded);
                of_upstream.chain(of_request.into_iter().filter(|_| *auth_request)).collect()
            }
            Self::CloudflareAccess { plain, .. } => with_plain(
                "cf-access-jwt-assertion",
                &["cf-access-authenticated-user-email"],
                *plain,
            ),
            Self::GoogleIap { plain, .. } => with_plain(
                "x-goog-iap-jwt-assertion",
                &["x-goog-authenticated-user-email", "x-goog-authenticated-user-id"],
                *plain,
            ),
            Self::AwsAlb { plain, .. } => {
                with_plain("x-amzn-oidc-data", &["x-amzn-oidc-identity"], *plain)
            }
            Self::Pomerium { headers, .. } => std::iter::once("x-pomerium-jwt-assertion")
                .chain(headers.iter().map(|(name, _)| name.as_str()))
                .collect(),
            Self::Authelia => vec!["remote-user", "remote-groups", "remote-name", "remote-email"],
        }
    }

    /// Whether the real thing tells of verified addresses alone, or of none but its own directory's,
    /// so that portals take what it tells for one.
    fn promises_verified_addresses(&self) -> bool {
        match self {
            Self::Oauth2Proxy { .. }
            | Self::CloudflareAccess { .. }
            | Self::GoogleIap { .. }
            | Self::Pomerium { .. }
            | Self::Authelia => true,
            // They hand on what the provider says, and with it what it says of the address.
            Self::EasyAuth { .. } | Self::AwsAlb { .. } => false,
        }
    }

    /// Whether some of them are signed by nobody.
    fn has_plain_headers(&self) -> bool {
        self.algorithm().is_none() || self.header_names().len() > 1
    }
}

fn with_plain<'a>(signed: &'a str, others: &[&'a str], plain: bool) -> Vec<&'a str> {
    let others = others.iter().copied().filter(|_| plain);
    std::iter::once(signed).chain(others).collect()
}

/// What an operator wrote about presets.
pub(super) struct PresetsFile {
    /// `None` if one of them was reported.
    names: Option<Vec<Located<&'static str>>>,
    only_way_in: Option<Located<bool>>,
    addresses_are_theirs: Option<Located<bool>>,
    claims: Option<PresetClaims>,
    sections: Sections,
    /// Which sections are there, readable or not, each with its place.
    written: Vec<(&'static str, Spot)>,
}

/// The sections of single presets, as far as they could be read; `None` also where there is none.
#[derive(Default)]
struct Sections {
    provider_name: Option<Located<String>>,
    oauth2_proxy: Option<(bool, bool)>,
    cloudflare_access: Option<(String, Option<Url>, bool)>,
    google_iap: Option<(String, bool)>,
    aws_alb: Option<AwsAlb>,
    pomerium: Option<(bool, Vec<Located<String>>)>,
}

struct AwsAlb {
    signer: String,
    issuer: Option<String>,
    client_id: Option<String>,
    claims: Vec<String>,
    plain: bool,
}

const CLOUDFLARE_ACCESS: &str = "cloudflare_access";
const POMERIUM: &str = "pomerium";

/// Reads what stands in `identity`.
pub(super) fn read(section: &Section<'_>) -> PresetsFile {
    let known = |text: &str| PRESETS.into_iter().find(|preset| *preset == text).ok_or(Unfit::Kind);
    let names = match section.has("preset") {
        true => section.values("preset", known),
        false => Some(Vec::new()),
    };
    let written = PRESETS.into_iter().filter(|preset| section.is_a_key(preset));
    let written = written.filter(|preset| section.has(preset));
    PresetsFile {
        names,
        only_way_in: section.value("only_way_in", value::yes_or_no),
        addresses_are_theirs: section.value("addresses_are_theirs", value::yes_or_no),
        claims: section.section("preset_claims").and_then(|section| claims(&section)),
        sections: Sections {
            provider_name: section
                .section("easy_auth")
                .and_then(|section| section.value("provider_name", provider_name)),
            oauth2_proxy: section.section("oauth2_proxy").and_then(|section| {
                let families = section
                    .value("headers", |word| Ok((word != "auth_request", word != "forwarded")));
                families.map(|families| families.value)
            }),
            cloudflare_access: section.section(CLOUDFLARE_ACCESS).and_then(|section| {
                let audience = section.value("audience", value::audience);
                let domain =
                    section.if_there("team_domain", |key| section.value(key, value::origin));
                let plain = section.value("plain_headers", value::yes_or_no);
                Some((audience?.value, domain?.map(|domain| domain.value), plain?.value))
            }),
            google_iap: section.section("google_iap").and_then(|section| {
                let audience = section.value("audience", value::audience);
                let plain = section.value("plain_headers", value::yes_or_no);
                Some((audience?.value, plain?.value))
            }),
            aws_alb: section.section("aws_alb").and_then(|section| aws_alb(&section)),
            pomerium: section.section(POMERIUM).and_then(|section| {
                let is_uri = section.value("issuer", |word| Ok(word == "uri"));
                let headers =
                    section.if_there("claim_headers", |key| section.values(key, value::claim));
                // What is wrong with one does not hide what is with the other.
                let is_uri = is_uri.is_some_and(|is_uri| is_uri.value);
                Some((is_uri, headers?.unwrap_or_default()))
            }),
        },
        written: written.map(|preset| (preset, section.spot_of(preset))).collect(),
    }
}

fn claims(section: &Section<'_>) -> Option<PresetClaims> {
    let claim =
        |name: &str| section.value(name, value::claim_path).map(|claim| claim.value.to_string());
    let user = section.if_there("user", claim);
    let (email, name, groups) = (claim("email"), claim("name"), claim("groups"));
    Some(PresetClaims { user: user?, email: email?, name: name?, groups: groups? })
}

fn aws_alb(section: &Section<'_>) -> Option<AwsAlb> {
    let text = |name: &str| section.value(name, value::audience).map(|text| text.value);
    let signer = text("signer");
    let (issuer, client_id) =
        (section.if_there("issuer", text), section.if_there("client_id", text));
    let claims = section.if_there("claims", |key| section.values(key, value::claim));
    let plain = section.value("plain_headers", value::yes_or_no);
    Some(AwsAlb {
        signer: signer?,
        issuer: issuer?,
        client_id: client_id?,
        claims: claims?.into_iter().flatten().map(|claim| claim.value).collect(),
        plain: plain?.value,
    })
}

fn provider_name(text: &str) -> Result<String, Unfit> {
    value::slug(text).and_then(|name| if name.len() <= 32 { Ok(name) } else { Err(Unfit::Kind) })
}

impl PresetsFile {
    fn has(&self, name: &str) -> bool {
        self.names.iter().flatten().any(|preset| preset.value == name)
    }

    /// The place of a preset's section, or of its name where it has none.
    fn spot_of(&self, name: &str) -> Option<&Spot> {
        let section = self.written.iter().find(|(written, _)| *written == name);
        let named = || self.names.iter().flatten().find(|preset| preset.value == name);
        section.map(|(_, spot)| spot).or_else(|| Some(&named()?.spot))
    }

    /// What presets sign with, each with the place of its name.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = (&Spot, SigningAlgorithm)> {
        self.names.iter().flatten().filter_map(|preset| {
            let algorithm = match preset.value {
                CLOUDFLARE_ACCESS => SigningAlgorithm::Rs256,
                "google_iap" | "aws_alb" | POMERIUM => SigningAlgorithm::Es256,
                _ => return None,
            };
            Some((&preset.spot, algorithm))
        })
    }
}

/// What other gates have outside of our own prefix, where their presets are on.
pub(super) fn elsewhere(
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
pub(super) fn resolve(
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

/// What the providers of each portal mean for its presets.
pub(super) fn meet_providers(
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
pub(super) fn tokens_are_of_one(context: &Context<'_>, files: &[PortalFile], portals: &[Portal]) {
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
