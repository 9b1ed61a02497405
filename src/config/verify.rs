//! Forward-auth: what an operator writes at `verify`. Another server has the visitors' connections
//! and asks us about each request; only those that are listed are believed (VER-01).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

use super::context::{Context, Located, Spot};
use super::file::{self, TlsFile, bare};
use super::section::Section;
use super::{Networks, Portal, Store, networks, tls, value};
use crate::gate::{Mode, Rule};

/// Who may ask whether a request may pass, and how it is described.
#[derive(Clone, Debug)]
pub struct Verify {
    /// The servers that ask; at least one.
    pub peers: Networks,
    /// How they describe a request over HTTP; `None` if they only ask over gRPC.
    pub description: Option<Description>,
    /// Where they ask over gRPC.
    pub grpc: Option<Grpc>,
}

/// A listener of its own for questions over gRPC.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// IP address and port.
    pub address: SocketAddr,
    /// Without it HTTP/2 is spoken with prior knowledge.
    pub tls: Option<Arc<CertifiedKey>>,
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
    /// Outside `None` if it was reported, inside if the key is not there; so is the next.
    description: Option<Option<Description>>,
    grpc: Option<Option<GrpcFile>>,
    spot: Spot,
}

struct GrpcFile {
    address: Option<Located<SocketAddr>>,
    tls: Option<TlsFile>,
}

pub(super) fn read(section: &Section<'_>) -> VerifyFile {
    let description = |name: &str| {
        bare(section.value(name, |word| {
            Ok(match word {
                "x_original" => Description::Original,
                "path" => Description::Path,
                _ => Description::Forwarded,
            })
        }))
    };
    let grpc = |name: &str| {
        section.section(name).map(|section| GrpcFile {
            address: section.value("address", value::address),
            tls: section.section("tls").map(|section| file::tls(&section)),
        })
    };
    VerifyFile {
        peers: section.values("peers", networks::network),
        description: section.if_there("description", description),
        grpc: section.if_there("grpc", grpc),
        spot: section.spot().clone(),
    }
}

/// `None` if something of it was reported.
pub(super) fn resolve(context: &Context<'_>, file: &VerifyFile, folder: &Path) -> Option<Verify> {
    if matches!((&file.description, &file.grpc), (Some(None), Some(None))) {
        let message = "it says nowhere how requests are described: name `description` for servers \
                       that ask over HTTP, or `grpc` for Envoy";
        context.error(&file.spot, message);
        return None;
    }
    let grpc = match file.grpc.as_ref()? {
        Some(grpc) => Some(resolve_grpc(context, grpc, folder)?),
        None => None,
    };
    let peers = file.peers.as_ref()?.iter().map(|network| network.value).collect();
    Some(Verify { peers, description: file.description?, grpc })
}

fn resolve_grpc(context: &Context<'_>, file: &GrpcFile, folder: &Path) -> Option<Grpc> {
    let tls = match &file.tls {
        Some(file) => Some(tls::certified_key(context, folder, file)?),
        None => None,
    };
    let address = file.address.as_ref()?;
    if tls.is_none() && !address.value.ip().is_loopback() {
        let message = "members' cookies come here in the clear: without `tls` this is for an \
                       address of the machine or pod alone";
        context.warn(&address.spot, message);
    }
    Some(Grpc { address: address.value, tls })
}

/// Questions over gRPC are apart from what visitors and administrators ask.
pub(super) fn meet_listeners(
    context: &Context<'_>,
    file: &VerifyFile,
    public: Option<SocketAddr>,
    admin: Option<SocketAddr>,
) {
    let grpc = file.grpc.as_ref().and_then(Option::as_ref);
    let Some(address) = grpc.and_then(|grpc| grpc.address.as_ref()) else {
        return;
    };
    for (key, other) in [("listen", public), ("admin", admin)] {
        let is_taken = other.is_some_and(|other| {
            let is_same_host = address.value.ip() == other.ip()
                || address.value.ip().is_unspecified()
                || other.ip().is_unspecified();
            address.value.port() != 0 && address.value.port() == other.port() && is_same_host
        });
        if is_taken {
            let message =
                format!("this is the port of `{key}`; questions over gRPC need one of their own");
            context.error(&address.spot, message);
        }
    }
}

/// What the rest of the configuration means where another server asks. It speaks for visitors, and
/// it has to hand on what a session in cookies is renewed with.
pub(super) fn meet_others(
    context: &Context<'_>,
    file: &VerifyFile,
    trusted: &Networks,
    store: Option<&Store>,
) {
    // Over gRPC they say of each request whose it is.
    let is_asked_over_http = matches!(file.description, Some(Some(_)));
    let peers = file.peers.iter().flatten().filter(|_| is_asked_over_http);
    for peer in peers.filter(|peer| !trusted.contain(peer.value.addr())) {
        let message = "it is not in `listen.trusted_proxies`: all its visitors count as one address, \
                       in limits and in the audit log";
        context.warn(&peer.spot, message);
    }
    // Over gRPC it is asked to.
    if matches!(store, Some(Store::Cookie { .. })) && is_asked_over_http {
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
        let is_seen = match file.description {
            Some(Some(Description::Original)) => true,
            None | Some(Some(Description::Forwarded | Description::Path)) => false,
            // Over gRPC a form comes along, if the server in front is told to show it.
            Some(None) => matches!(file.grpc, Some(Some(_))),
        };
        if !is_seen && reads_forms(portal) {
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
