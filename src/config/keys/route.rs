//! What an operator may write about who goes where.

use super::super::kind::{Key, Kind};
use super::doors::{COVERS, PAIRS};
use super::requires::REQUIRES;
use super::{PATTERN, SIZE, YES_OR_NO, default, optional, required, word};

pub(super) const ROUTE: &[Key] = &[
    required("path", PATTERN, "a path such as `/assets/**`"),
    optional(
        "covers",
        COVERS,
        "what else could be this path, on a line that asks for a sign-in: as for a password route",
    ),
    optional("query", PAIRS, "parameters of the query that have to be there for the line to count"),
    optional(
        "form",
        PAIRS,
        "fields of the body or the query that have to be there for it to count",
    ),
    required(
        "access",
        word(&["public", "signed_in"]),
        "`public` or `signed_in`; nothing is public because a line is missing",
    ),
    optional(
        "requires",
        Kind::Section(REQUIRES),
        "on a line that asks for a sign-in, what members need besides",
    ),
    default("websocket", "false", YES_OR_NO, "whether upgrades to WebSocket pass"),
    default(
        "response_trailers",
        "false",
        YES_OR_NO,
        "whether trailers of the portal's answers pass, as gRPC needs them",
    ),
    default(
        "local_credentials",
        "false",
        YES_OR_NO,
        "whether `Authorization` passes to the portal and `WWW-Authenticate` to the visitor",
    ),
    default("max_body", "none", SIZE, "the largest body of a request"),
    default(
        "identity",
        "all",
        Kind::List(&Kind::Value("`all`, `none`, `assertion` or the name of an identity header")),
        "what the portal is told there about a member: `all`, `none`, or a list of `assertion` and \
         names under `identity.headers`",
    ),
];
