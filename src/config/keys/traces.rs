//! The keys of `traces`.

use super::super::kind::{Key, Kind};
use super::{PATH, SECRET, default, optional, required};

pub(super) const TRACES: &[Key] = &[
    required(
        "endpoint",
        Kind::Value("a URL such as `http://127.0.0.1:4318/v1/traces`"),
        "where a collector takes OTLP over HTTP as JSON, such as `http://127.0.0.1:4318/v1/traces`",
    ),
    optional(
        "headers",
        Kind::Named {
            name: "header names, each with where its value comes from",
            of: &Kind::Section(SECRET),
        },
        "what the collector asks for besides, such as `Authorization`: each a secret",
    ),
    optional(
        "ca",
        Kind::List(&PATH),
        "PEM files with the certificates to trust instead of the system's",
    ),
    default(
        "sample",
        "0.1",
        Kind::Value("a number from 0 to 1, such as `0.1`"),
        "the part of the requests that are traced, of those about which no proxy of \
         `listen.trusted_proxies` has decided",
    ),
    default(
        "service",
        "anteport",
        Kind::Value("a name of 1 to 64 letters, digits, `.`, `_` and `-`"),
        "what the collector calls this service",
    ),
];
