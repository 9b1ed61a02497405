//! What an operator may write at `upstream`.

use super::super::kind::{Key, Kind};
use super::{DURATION, PATH, URL_PATTERN, default, optional, required, word};

pub(super) const UPSTREAM: &[Key] = &[
    optional(
        "url",
        Kind::Formed { what: "a URL such as `http://127.0.0.1:3000`", pattern: URL_PATTERN },
        "scheme, host and port, such as `http://127.0.0.1:3000`",
    ),
    optional(
        "urls",
        Kind::List(&Kind::Formed {
            what: "a URL such as `http://10.0.0.1:3000`",
            pattern: URL_PATTERN,
        }),
        "instead of `url`: several servers of the same portal, which take turns",
    ),
    default(
        "protocol",
        "http1",
        word(&["http1", "http2"]),
        "what is spoken with the portal; `http2` over an `http` URL is without an upgrade",
    ),
    optional("tls", Kind::Section(UPSTREAM_TLS), "how an `https` portal is known, and we to it"),
    default(
        "connect_timeout",
        "2s",
        DURATION,
        "for a connection to be made, with TLS if there is TLS",
    ),
    default("response_timeout", "30s", DURATION, "for the head of an answer to begin"),
    default(
        "idle_timeout",
        "5m",
        DURATION,
        "for the next bytes of an answer's body; event streams need a sign of life within it",
    ),
    default(
        "max_requests",
        "1024",
        Kind::Number(1, 1_000_000),
        "how many requests the portal has at a time; beyond, visitors are asked to come back",
    ),
    optional(
        "health_check",
        Kind::Section(HEALTH_CHECK),
        "asks each server how it is, so that one that is ill gets no requests while others can",
    ),
];

const UPSTREAM_TLS: &[Key] = &[
    optional(
        "ca",
        Kind::List(&PATH),
        "PEM files with the certificates to trust instead of the system's",
    ),
    optional(
        "certificate",
        PATH,
        "the path of a PEM file with the chain of our own certificate, if the portal asks for one",
    ),
    optional(
        "key",
        PATH,
        "the path of a PEM file with its private key, which others must not be able to read",
    ),
    optional(
        "server_name",
        Kind::Value("a host name or an IP address, such as `portal.internal`"),
        "the name that the portal's certificate is for, if it is not the host of the URL",
    ),
];

const HEALTH_CHECK: &[Key] = &[
    required(
        "path",
        Kind::Formed { what: "a path such as `/healthz`", pattern: "^/" },
        "what is asked for; any 2xx or 3xx is well",
    ),
    default("interval", "10s", DURATION, "how often"),
    default("timeout", "2s", DURATION, "for the whole of an answer's head"),
    default(
        "healthy_after",
        "1",
        Kind::Number(1, 100),
        "after how many good answers in a row a server is well",
    ),
    default("unhealthy_after", "2", Kind::Number(1, 100), "after how many bad ones it is ill"),
];
