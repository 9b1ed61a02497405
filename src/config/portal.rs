//! A portal: its place on the network, its sign-in, and what it is told. Deliberately not here:
//! its rules for the gate, which are in `policy.rs`, and where its requests go (`upstream.rs`).

use std::path::Path;

use http::HeaderName;
use url::Url;

use super::context::{Context, Located, Spot};
use super::file::{AssertionFile, AssertionOn, File, IdentityFile, PortalFile, SignInFile};
use super::policy::policy;
use super::providers::ProviderFile;
use super::value::is_loopback;
use super::wording::{did_you_mean, nearest};
use super::{
    Assertion, Identity, Logout, Mapping, Members, Portal, Preset, ServerAddress, SignIn,
    break_glass, headers, members, pages, presets, reachable, signature, signing, tokens, told,
    upstream,
};
use crate::gate::{CanonicalPath, EXTENSION, EXTENSIONS, Mode};

/// The names of the providers, in their order.
pub(super) type Names<'a> = Vec<&'a str>;

/// Resolves all portals; `None` if something was reported.
pub(super) fn resolve_all(
    context: &Context<'_>,
    file: &File,
    providers: &Names<'_>,
    folder: &Path,
) -> Option<Vec<Portal>> {
    let mut portals = Some(Vec::new());
    let mut hosts: Vec<(Host, String)> = Vec::new();
    let mut used = Vec::new();
    for portal in &file.portals {
        if let Some(url) =
            portal.public_url.as_ref().filter(|url| check_public_url(context, url, file))
        {
            check_unique(context, url, &mut hosts);
        }
        let sign_in = portal
            .sign_in
            .as_ref()
            .and_then(|sign_in| self::sign_in(context, sign_in, portal.mode, providers));
        used.extend(sign_in.iter().flat_map(|sign_in| &sign_in.providers).copied());
        let resolved = resolve(context, portal, sign_in, file, folder);
        portals = portals.zip(resolved).map(|(mut portals, portal)| {
            portals.push(portal);
            portals
        });
    }
    if portals.is_some() {
        for (index, (name, _)) in file.providers.iter().enumerate() {
            if !used.contains(&index) {
                context.warn(&name.spot, "no portal signs in with this provider");
            }
        }
    }
    portals
}

fn resolve(
    context: &Context<'_>,
    file: &PortalFile,
    sign_in: Option<SignIn>,
    whole: &File,
    folder: &Path,
) -> Option<Portal> {
    let upstream = file
        .upstream
        .as_ref()
        .and_then(|upstream| upstream::resolve(context, upstream, whole, folder));
    reachable::warn_of_others(context, file, whole);
    let parties: Vec<(&str, &ProviderFile)> = sign_in
        .iter()
        .flat_map(|sign_in| &sign_in.providers)
        .filter_map(|index| whole.providers.get(*index))
        .filter_map(|(name, party)| Some((&*name.value, party.as_ref()?)))
        .collect();
    if sign_in.is_some() {
        check_journeys(context, file, &parties);
    }
    let names: Vec<&str> = parties.iter().map(|(name, _)| *name).collect();
    let members = match &file.members {
        Some(Some(members)) => members::resolve(context, members, &names, folder).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(None | Some(Members { directory: None, .. })) = &members {
        warn_of_extensions(context, file);
    }
    let identity = file
        .identity
        .as_ref()
        .and_then(|identity| self::identity(context, identity, file, &parties, folder));
    let presets = identity.as_ref().map(|identity| &identity.presets);
    let of_presets = presets
        .into_iter()
        .flat_map(|presets| presets.presets.iter().flat_map(Preset::header_names));
    let of_tokens = identity.iter().flat_map(|identity| &identity.tokens);
    let others: Vec<&str> = of_presets.chain(of_tokens.map(|(_, name)| name.as_str())).collect();
    let told = told::resolve(context, file, &others);
    let routes = told.as_ref().map(|told| told.routes.as_slice()).unwrap_or_default();
    let callbacks = callbacks(context, file, &parties);
    let elsewhere = presets::elsewhere(context, file, &callbacks);
    let policy = policy(context, file, callbacks, routes, elsewhere);
    let break_glass = break_glass::resolve(context, file, whole);
    if let Some(policy) = &policy {
        break_glass::meet_policy(context, file, policy);
    }
    let pages = file.pages.as_ref().and_then(|pages| pages::resolve(context, pages));
    Some(Portal {
        public_url: file.public_url.as_ref()?.value.clone(),
        policy: policy?,
        break_glass: break_glass?,
        upstream: upstream?,
        sign_in: sign_in?,
        pages: pages?,
        members: members?,
        identity: Identity { parts: told?.parts, ..identity? },
        logout: Logout { federated: file.federated? },
    })
}

/// What begins like this a directory says, and nobody else.
fn warn_of_extensions(context: &Context<'_>, file: &PortalFile) {
    let told = file.identity.iter().flat_map(|identity| &identity.headers);
    let told = told.filter(|(_, mapping)| {
        mapping.iter().flat_map(Mapping::paths).any(|path| path.name() == EXTENSIONS)
    });
    let required = file.routes.iter().flatten().filter_map(|route| route.requires.as_ref());
    let required = required.flat_map(|requires| &requires.claims);
    let required = required.filter(|claim| claim.value.starts_with(EXTENSION));
    for written in told.map(|(name, _)| name).chain(required) {
        let message = "only `members.directory` says a claim whose name begins with `ext.`, and \
                       this portal has none, so nobody has it";
        context.warn(&written.spot, message);
    }
}

/// Who is sent on a journey has to have somewhere to go.
fn check_journeys(context: &Context<'_>, file: &PortalFile, parties: &[(&str, &ProviderFile)]) {
    let pages = file.local_login.iter().flat_map(|local| &local.login_pages);
    for journey in pages.filter_map(|page| page.journey.as_ref()) {
        if !parties.iter().any(|(_, party)| party.offers(journey.value)) {
            let message = format!(
                "no provider of this portal has a `{}`; with `azure_ad_b2c` it is \
                 `{}_policy`",
                journey.value.name(),
                journey.value.name()
            );
            context.error(&journey.spot, message);
        }
    }
}

/// Redirect URIs that are not below our own prefix: each is one provider's (OIDC-04).
fn callbacks(
    context: &Context<'_>,
    file: &PortalFile,
    parties: &[(&str, &ProviderFile)],
) -> Vec<(CanonicalPath, String)> {
    let mut found: Vec<(CanonicalPath, String)> = Vec::new();
    for (name, party) in parties {
        let Some(path) = party.callback_path() else {
            continue;
        };
        // In any spelling that a sloppy reader could take for it.
        let meets = |one: &str, other: &str| {
            let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
            one == other
                || one.starts_with(&format!("{other}/"))
                || other.starts_with(&format!("{one}/"))
        };
        let twin = found.iter().find(|(known, _)| meets(known.as_str(), path.value.as_str()));
        if let Some((_, other)) = twin {
            let message = format!(
                "`{other}` has this path already, or one below or above it, and a callback says by \
                 its path whose it is"
            );
            context.error(&path.spot, message);
        } else if file
            .auth_path
            .as_ref()
            .is_some_and(|own| meets(own.as_str(), path.value.as_str()))
        {
            let message = "this is at, below or above `auth_path`, where each provider has a \
                           callback anyhow; leave `callback_path` out";
            context.error(&path.spot, message);
        } else {
            found.push((path.value.clone(), (*name).to_owned()));
        }
    }
    found
}

/// `__Host-` cookies need TLS, and browsers take `localhost` for it.
fn check_public_url(context: &Context<'_>, url: &Located<Url>, file: &File) -> bool {
    if url.value.scheme() == "https" {
        return true;
    }
    if !is_loopback(&url.value) {
        let message = "visitors come over `https`: browsers keep our session cookie \
                       (`__Host-…`) for nothing less; `http` is for tests on this machine";
        context.error(&url.spot, message);
        return false;
    }
    if file.listen.as_ref().is_some_and(|listen| listen.tls.is_some()) {
        let message = "`listen.tls` serves `https`, and this is an `http` URL";
        context.error(&url.spot, message);
        return false;
    }
    let message = "a portal without TLS is for tests on this machine";
    context.warn(&url.spot, message);
    true
}

/// A host with and without its port, as a request may name it.
struct Host {
    name: String,
    port: u16,
    has_own_port: bool,
}

/// HOST-01: a request's host names one portal. Which scheme it came by is not asked, so the port
/// of either scheme may be left out.
fn check_unique(context: &Context<'_>, url: &Located<Url>, hosts: &mut Vec<(Host, String)>) {
    let host = Host {
        name: url.value.host_str().unwrap_or_default().to_owned(),
        port: url.value.port_or_known_default().unwrap_or_default(),
        has_own_port: url.value.port().is_none(),
    };
    let twin = hosts.iter().find(|(earlier, _)| {
        earlier.name == host.name
            && (earlier.port == host.port || (earlier.has_own_port && host.has_own_port))
    });
    if let Some((_, shown)) = twin {
        let message = format!(
            "an earlier portal has the same host ({shown}), and the host of a request says which \
             portal it is for"
        );
        context.error(&url.spot, message);
    }
    hosts.push((host, url.shown.clone()));
}

fn sign_in(
    context: &Context<'_>,
    file: &SignInFile,
    mode: Option<Mode>,
    names: &Names<'_>,
) -> Option<SignIn> {
    let providers = if file.names_providers {
        named_providers(context, file, names)?
    } else {
        match names.as_slice() {
            [_] => vec![0],
            [] | [_, ..] if mode == Some(Mode::Off) => Vec::new(),
            [] => {
                let message = "there is no provider to sign in with; add one under `providers`";
                context.error(&file.spot, message);
                return None;
            }
            [_, ..] => {
                let message = format!(
                    "`providers` is missing: say with which of {} visitors sign in",
                    names.join(", ")
                );
                context.error(&file.spot, message);
                return None;
            }
        }
    };
    let test = file.test.as_ref()?;
    if test.value {
        let message = "whoever this portal lets in is shown what its `routes` ask for and how its \
                       headers are made; it is for setting a portal up, and off afterwards";
        context.warn(&test.spot, message);
    }
    Some(SignIn { providers, button_label: file.button_label.clone()?, test: test.value })
}

fn named_providers(
    context: &Context<'_>,
    file: &SignInFile,
    names: &Names<'_>,
) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    let written = file.providers.as_ref()?;
    for name in written {
        match names.iter().position(|known| *known == name.value) {
            Some(index) if found.contains(&index) => {
                context.error(&name.spot, "this provider is in the list already");
            }
            Some(index) => found.push(index),
            None => {
                let there = match names.as_slice() {
                    [] => "there are none".to_owned(),
                    [only] => format!("there is {only}"),
                    several => format!("there are {}", several.join(", ")),
                };
                let message = if name.is_private {
                    format!("no provider has the name that the environment gives; {there}")
                } else {
                    let hint = did_you_mean(nearest(&name.value, names.iter().copied()));
                    format!("there is no provider {}; {there}{hint}", name.shown)
                };
                context.error(&name.spot, message);
            }
        }
    }
    (found.len() == written.len()).then_some(found)
}

fn identity(
    context: &Context<'_>,
    file: &IdentityFile,
    portal: &PortalFile,
    parties: &[(&str, &ProviderFile)],
    folder: &Path,
) -> Option<Identity> {
    let public_url = portal.public_url.as_ref();
    let headers = mapped_headers(context, file);
    let signature = signature::resolve(context, &file.signature, folder);
    let assertion = match &file.assertion {
        AssertionFile::Off => None,
        AssertionFile::Unreadable => return None,
        AssertionFile::On(on) => {
            let AssertionOn { audience, lifetime, algorithm, secret } = on.as_ref();
            let of_url = || {
                let url = public_url?.value.as_str();
                Some(url.strip_suffix('/').unwrap_or(url).to_owned())
            };
            let signed_by =
                signing::signed_by(context, algorithm.as_ref(), secret.as_ref(), folder);
            Some(Assertion {
                audience: audience.as_ref().map(|it| it.value.clone()).or_else(of_url)?,
                lifetime: (*lifetime)?,
                signed_by: signed_by?,
            })
        }
    };
    let presets = presets::resolve(context, &file.presets, file, public_url, parties);
    let of_presets = presets.iter().flat_map(|presets| &presets.presets);
    let of_presets: Vec<&str> = of_presets.flat_map(Preset::header_names).collect();
    let tokens = match &file.tokens {
        Some(Some(tokens)) => tokens::resolve(context, tokens, file, &of_presets),
        Some(None) => Some(Vec::new()),
        None => None,
    };
    Some(Identity {
        headers: headers?,
        assertion,
        signature: signature?,
        parts: Vec::new(),
        presets: presets?,
        tokens: tokens?,
    })
}

/// An assertion says for which portal it is, so no two have the same audience: each would believe
/// what is about the members of the other. One that stands behind two addresses is one.
pub(super) fn audiences_are_of_one(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &[Portal],
) {
    let written = |file: &PortalFile| match &file.identity.as_ref()?.assertion {
        AssertionFile::On(on) => on.audience.as_ref().map(|audience| audience.spot.clone()),
        AssertionFile::Off | AssertionFile::Unreadable => None,
    };
    let mut known: Vec<(&Portal, &str, Option<Spot>)> = Vec::new();
    for (file, portal) in files.iter().zip(portals) {
        let Some(assertion) = &portal.identity.assertion else {
            continue;
        };
        let (audience, spot) = (assertion.audience.as_str(), written(file));
        let twin = known.iter().find(|(other, known, _)| {
            *known == audience && !are_the_same(&other.upstream.servers, &portal.upstream.servers)
        });
        // One of the two is written: public URLs are not the same.
        if let Some((other, _, earlier)) = twin
            && let Some((at, of)) = spot
                .as_ref()
                .map(|spot| (spot, &other.public_url))
                .or_else(|| Some((earlier.as_ref()?, &portal.public_url)))
        {
            let message = format!(
                "{of} has this audience, too, and is another portal: each of the two would believe \
                 assertions that are for the other. Name one of its own, or remove this key"
            );
            context.error(at, message);
        }
        known.push((portal, audience, spot));
    }
}

/// Whether two lists have the same servers, of which none is there twice. Their order is only whose
/// turn it is.
fn are_the_same(some: &[ServerAddress], others: &[ServerAddress]) -> bool {
    some.len() == others.len() && some.iter().all(|server| others.contains(server))
}

/// HDR-08.
fn mapped_headers(
    context: &Context<'_>,
    file: &IdentityFile,
) -> Option<Vec<(HeaderName, Mapping)>> {
    let mut mapped = Some(Vec::new());
    let mut seen: Vec<(String, &Located<String>)> = Vec::new();
    for (written, mapping) in &file.headers {
        let name = headers::name(&written.value).and_then(|name| {
            let folded = headers::folded(&written.value);
            let twin = seen.iter().find(|(earlier, _)| *earlier == folded);
            if let Some((_, twin)) = twin {
                return Err(format!(
                    "many servers cannot tell this name from {}, which is mapped already",
                    twin.shown
                ));
            }
            seen.push((folded, written));
            Ok(name)
        });
        let name = name.map_err(|message| context.error(&written.spot, message)).ok();
        // What is wrong with how it is made was reported.
        let made = name.zip(mapping.clone());
        mapped = mapped.zip(made).map(|(mut mapped, made)| {
            mapped.push(made);
            mapped
        });
    }
    mapped
}
