//! `break_glass`: what opens the way to the portal's own sign-in, as the operator writes it. It is
//! the one door that is opened on purpose, so what would open it further than was meant is an error
//! (CFG-01).

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};
use ipnet::IpNet;

use super::Networks;
use super::context::{Context, Located, Spot};
use super::file::{File, PortalFile, bare};
use super::kind::Unfit;
use super::section::Section;
use super::{networks, value};
use crate::gate::{
    Asked, Decision, Form, Glass, Mode, Policy, RawTarget, Refusal, Standing, Timestamp, decide,
};

/// What opens the way to the portal's own sign-in: a link, addresses, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// Whether links are made, and for how long they are good.
    pub link: Option<BreakGlassLink>,
    /// From where nobody needs one.
    pub networks: Networks,
}

/// For how long a link is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlassLink {
    /// To be opened.
    pub lifetime: Duration,
    /// For whoever has opened it.
    pub pass: Duration,
}

/// What an operator wrote at `break_glass`.
pub(super) struct BreakGlassFile {
    spot: Spot,
    /// Outside `None` if it was reported, inside if the key is not there.
    link: Option<Option<BreakGlassLink>>,
    /// The same.
    networks: Option<Option<Vec<Located<IpNet>>>>,
}

pub(super) fn read(section: &Section<'_>) -> BreakGlassFile {
    BreakGlassFile {
        spot: section.spot().clone(),
        link: section.if_there("link", |key| {
            let section = section.section(key)?;
            let lifetime = bare(section.value("lifetime", value::duration("1m", "60m")));
            let pass = bare(section.value("pass", value::duration("1m", "4h")));
            Some(BreakGlassLink { lifetime: lifetime?, pass: pass? })
        }),
        networks: section.if_there("networks", |key| section.values(key, network)),
    }
}

/// The widest that is somebody's own: `10.0.0.0/8`, `fd00::/8`, and of other IPv6 a provider's.
const fn widest(network: &IpNet) -> u8 {
    match network {
        IpNet::V6(network) if !network.addr().is_unique_local() => 32,
        IpNet::V4(_) | IpNet::V6(_) => 8,
    }
}

/// Where administrators sit. A network of half of the world is not theirs.
fn network(text: &str) -> Result<IpNet, Unfit> {
    match text.parse::<IpNet>() {
        Ok(network) if network.prefix_len() < widest(&network) => Err(Unfit::Because(format!(
            "whoever is at one of these addresses comes to the portal's own sign-in: no network wider \
             than `/{}` is taken here; name the few from which administrators come",
            widest(&network)
        ))),
        _ => networks::network(text),
    }
}

/// Outside `None` if something was reported, inside if nothing opens it.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &PortalFile,
    whole: &File,
) -> Option<Option<BreakGlass>> {
    let Some(written) = file.break_glass.as_ref()? else {
        return Some(None);
    };
    let link = *written.link.as_ref()?;
    let networks: &[Located<IpNet>] = match written.networks.as_ref()? {
        Some(networks) => networks,
        None => &[],
    };
    if link.is_none() && networks.is_empty() {
        let message = "this opens nothing: name `link`, `networks` or both";
        context.error(&written.spot, message);
        return None;
    }
    match file.mode? {
        Mode::AzureOnly => {}
        mode @ (Mode::Optional | Mode::ReportOnly | Mode::Off) => {
            let message = format!(
                "in mode `{}` the portal's own sign-in is open anyhow, and this does nothing",
                mode.name()
            );
            context.warn(&written.spot, message);
        }
    }
    let is_fine = check_networks(context, file, whole, networks)?;
    let networks = networks.iter().map(|network| network.value).collect();
    is_fine.then_some(Some(BreakGlass { link, networks }))
}

/// Who comes to no login page by it would learn so on the worst of nights.
pub(super) fn meet_policy(context: &Context<'_>, file: &PortalFile, policy: &Policy) {
    let Some(Some(written)) = &file.break_glass else {
        return;
    };
    // For everybody, whoever a switch has come to.
    let policy = &Policy { rollout: None, ..policy.clone() };
    let pages = policy.login_pages.iter().map(|page| page.path.as_str());
    for page in pages.filter(|page| policy.mode == Mode::AzureOnly && !page.contains('*')) {
        let why = match opens(policy, page) {
            Err(Refusal::NoRoute) => "no line of `routes` covers it",
            Err(Refusal::BreakGlassClosed) => "the line that covers it `requires` a right",
            Ok(()) | Err(_) => continue,
        };
        let message = format!("it does not lead to the login page `{page}`: {why}");
        context.warn(&written.spot, message);
    }
}

/// Whether a broken glass leads to a page.
fn opens(policy: &Policy, page: &str) -> Result<(), Refusal> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::try_from(&*policy.host).map_err(|_| Refusal::Host)?;
    headers.insert(HOST, host);
    let target = RawTarget::Line(Bytes::copy_from_slice(page.as_bytes()));
    let asked = Asked::read(std::slice::from_ref(policy), &Method::GET, &target, &headers)?;
    let standing = Standing { glass: Glass::Link, ..Standing::default() };
    let asked = asked.with_form(Form::Absent).of_visitor(standing);
    match decide(policy, asked, None, Timestamp::from_unix_seconds(0)) {
        Decision::Refuse(refusal) => Err(refusal),
        Decision::Forward(_)
        | Decision::Login(_)
        | Decision::Own(_)
        | Decision::Redirect(_)
        | Decision::Keep(_)
        | Decision::Inspect(_) => Ok(()),
    }
}

/// An address counts only where it is the visitor's own.
fn check_networks(
    context: &Context<'_>,
    file: &PortalFile,
    whole: &File,
    networks: &[Located<IpNet>],
) -> Option<bool> {
    let Some(first) = networks.first() else {
        return Some(true);
    };
    let listen = whole.listen.as_ref()?;
    let proxies: &[Located<IpNet>] = match listen.trusted_proxies.as_ref()? {
        Some(proxies) => proxies,
        None => &[],
    };
    let is_secure = file.public_url.as_ref()?.value.scheme() == "https";
    if is_secure && listen.tls.is_none() && proxies.is_empty() {
        let message = "TLS ends at a server in front, whose address all visitors seem to have as long \
                       as `listen.trusted_proxies` does not name it: everybody could come from here";
        context.error(&first.spot, message);
        return Some(false);
    }
    let mut is_fine = true;
    for network in networks {
        let meets = |proxy: &&Located<IpNet>| {
            let (one, other) = (proxy.value, network.value);
            one.contains(&other) || other.contains(&one)
        };
        if let Some(proxy) = proxies.iter().find(meets) {
            let message = format!(
                "{} of `listen.trusted_proxies` is in here, or this in it: an address that is a \
                 proxy's is nobody's; name the addresses of administrators alone",
                proxy.shown
            );
            context.error(&network.spot, message);
            is_fine = false;
        }
    }
    let message = "whoever is at these addresses, and is not signed in, comes to the portal as nobody \
                   and past its password doors, at any time: keep them to a machine or two";
    context.warn(&first.spot, message);
    Some(is_fine)
}
