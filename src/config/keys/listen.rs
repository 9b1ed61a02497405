//! What an operator may write about where we are asked: by visitors, by servers in front, by SREs.

use super::super::kind::{Key, Kind};
use super::super::verify::Description;
use super::{ADDRESS, NETWORK, PATH, YES_OR_NO, default, optional, required, restart, word};

const CONNECTIONS: Kind = Kind::Number(1, 1_000_000);

pub(super) const LISTEN: &[Key] = &[
    restart(required("address", ADDRESS, "IP address and port, such as `0.0.0.0:8443`")),
    optional(
        "tls",
        Kind::Section(TLS),
        "certificate and key; without them plain HTTP/1.1 is served, for TLS to end in front",
    ),
    default(
        "proxy_protocol",
        "false",
        YES_OR_NO,
        "whether every connection begins with a PROXY protocol header (1 or 2) and has to",
    ),
    optional(
        "trusted_proxies",
        Kind::List(&NETWORK),
        "networks of the proxies in front, which may say by `X-Forwarded-For` or the PROXY \
         protocol who the visitor is",
    ),
    default("max_connections", "10000", CONNECTIONS, "how many connections there may be in all"),
    default(
        "max_connections_per_address",
        "256",
        CONNECTIONS,
        "how many of them one address may have, `trusted_proxies` excepted",
    ),
];

pub(super) const VERIFY: &[Key] = &[
    required(
        "peers",
        Kind::List(&NETWORK),
        "the servers that may ask; they are believed whatever they say of a request",
    ),
    optional(
        "description",
        word(Description::WORDS),
        "how those describe it that ask over HTTP: `x_forwarded` (Traefik, Caddy), `x_original` \
         (nginx, Apache, HAProxy) or `path` (Envoy)",
    ),
    optional(
        "grpc",
        Kind::Section(VERIFY_GRPC),
        "a listener of its own for those that ask over gRPC, by `envoy.service.auth.v3` (Envoy)",
    ),
];

const VERIFY_GRPC: &[Key] = &[
    restart(required("address", ADDRESS, "IP address and port, such as `127.0.0.1:9191`")),
    optional(
        "tls",
        Kind::Section(TLS),
        "certificate and key; without them HTTP/2 is spoken without TLS",
    ),
];

const TLS: &[Key] = &[
    required(
        "certificate",
        PATH,
        "the path of a PEM file with the certificate chain, the server's own first",
    ),
    required(
        "key",
        PATH,
        "the path of a PEM file with the private key, which others must not be able to read",
    ),
];

pub(super) const ADMIN: &[Key] =
    &[restart(default("address", "127.0.0.1:9090", ADDRESS, "IP address and port"))];
