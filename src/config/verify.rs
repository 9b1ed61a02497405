//! Forward-auth: what an operator writes at `verify`. Another server has the visitors' connections
//! and asks us about each request; only those that are listed are believed (VER-01).

use ipnet::IpNet;

use super::context::{Context, Located, Spot};
use super::file::bare;
use super::networks;
use super::section::Section;
use super::{Networks, Portal, Store};
use crate::gate::{Mode, Rule};

/// Who may ask whether a request may pass, and how it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The servers that ask; at least one.
    pub peers: Networks,
    /// How they describe a request.
    pub description: Description,
}

/// How another server describes the request that it asks about. One way for all of them: headers of
/// another way are a visitor's, who could describe something else by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Description {
    /// `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`: Traefik, Caddy.
    Forwarded,
    /// `X-Original-Method` and `X-Original-URL`: nginx, and what else takes a status for an answer.
    Original,
    /// By itself, with its path behind that of the endpoint: Envoy, and the Gateway API's
    /// `ExternalAuth`.
    Path,
}

impl Description {
    /// The words of the configuration.
    pub(super) const WORDS: &'static [&'static str] = &["x_forwarded", "x_original", "path"];
}

/// What an operator wrote at `verify`.
pub(super) struct VerifyFile {
    peers: Option<Vec<Located<IpNet>>>,
    description: Option<Description>,
    spot: Spot,
}

pub(super) fn read(section: &Section<'_>) -> VerifyFile {
    VerifyFile {
        peers: section.values("peers", networks::network),
        description: bare(section.value("description", |word| {
            Ok(match word {
                "x_original" => Description::Original,
                "path" => Description::Path,
                _ => Description::Forwarded,
            })
        })),
        spot: section.spot().clone(),
    }
}

/// `None` if something of it was reported.
pub(super) fn resolve(file: &VerifyFile) -> Option<Verify> {
    let peers = file.peers.as_ref()?.iter().map(|network| network.value).collect();
    Some(Verify { peers, description: file.description? })
}

/// What the rest of the configuration means where another server asks. It speaks for visitors, and
/// it has to hand on what a session in cookies is renewed with.
pub(super) fn meet_others(
    context: &Context<'_>,
    file: &VerifyFile,
    trusted: &Networks,
    store: Option<&Store>,
) {
    let peers = file.peers.iter().flatten();
    for peer in peers.filter(|peer| !trusted.contain(peer.value.addr())) {
        let message = "it is not in `listen.trusted_proxies`: all its visitors count as one address, \
                       in limits and in the audit log";
        context.warn(&peer.spot, message);
    }
    if matches!(store, Some(Store::Cookie { .. })) {
        let message = "with `sessions.store: cookie`, the server in front has to hand the answers' \
                       `Set-Cookie` on to visitors, also of those that let a request pass: else \
                       members are signed out while they work";
        context.warn(&file.spot, message);
    }
}

/// What the request path does and forward-auth cannot: it sees neither bodies nor the portal's
/// answers (VER-02).
pub(super) fn meet_portals(context: &Context<'_>, file: &VerifyFile, portals: &[Portal]) {
    let reads_forms = |portal: &Portal| {
        let policy = &portal.policy;
        let mut rules = policy.login_pages.iter().chain(&policy.password_routes);
        let mut routes = policy.routes.iter().map(|route| &route.conditions);
        rules.any(Rule::reads_forms) || routes.any(|conditions| !conditions.form.is_empty())
    };
    for portal in portals {
        if file.description != Some(Description::Original) && reads_forms(portal) {
            let message = format!(
                "rules of {} look at forms, which are not seen here: requests that could have such a \
                 form are refused (`verify-form`); with `x_original` they are sent here instead",
                portal.policy.host
            );
            context.warn(&file.spot, &message);
        }
    }
    for portal in portals.iter().filter(|portal| portal.break_glass.is_some()) {
        let message = format!(
            "`break_glass` of {} opens nothing for requests that another server asks about",
            portal.policy.host
        );
        context.warn(&file.spot, &message);
    }
    for portal in portals.iter().filter(|portal| portal.policy.mode == Mode::AzureOnly) {
        if !portal.policy.portal_cookies.is_empty() {
            let message = format!(
                "with `verify`, cookies of the portal's own sign-in reach {} (PATH-18), for its \
                 answers are not seen here; see docs/forward-auth.md",
                portal.policy.host
            );
            context.warn(&file.spot, &message);
        }
    }
}
