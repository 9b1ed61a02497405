//! What an operator may write about whom a route lets in, beyond a sign-in.

use super::super::kind::{Key, Kind};
use super::{DURATION, GUID, optional, word};

const TEXT: Kind = Kind::Value("a text of 1 to 256 characters");

/// All that is written has to hold, and of a list one.
pub(super) const REQUIRES: &[Key] = &[
    optional("roles", Kind::List(&TEXT), "app roles: one of these"),
    optional(
        "groups",
        Kind::List(&TEXT),
        "groups: one of these, by object id, or as the provider lists them in `groups`",
    ),
    optional(
        "claims",
        Kind::Named {
            name: "claims, each with a value or a list of values",
            of: &Kind::List(&TEXT),
        },
        "claims by their names: each has, or lists, one of these values",
    ),
    optional("tenants", Kind::List(&GUID), "tenants: the account is of one of these"),
    optional(
        "account",
        Kind::List(&word(&["member", "guest", "personal"])),
        "kinds of account: `member` of the tenant, `guest` in it, or `personal`",
    ),
    optional("acr", Kind::List(&TEXT), "classes of authentication: one of these in `acr`"),
    optional("amr", Kind::List(&TEXT), "methods of authentication: one of these in `amr`"),
    optional(
        "max_age",
        DURATION,
        "how long ago the person may have signed in, from 1m to 365d; else they do so again",
    ),
    optional(
        "authentication_context",
        Kind::Formed {
            what: "an authentication context, `c1` to `c99`",
            pattern: "^c[1-9][0-9]?$",
        },
        "an authentication context of Conditional Access that the sign-in has to satisfy",
    ),
    optional(
        "hint",
        Kind::Value("a text of 1 to 200 characters on one line"),
        "what those are told who are refused, such as whom to ask",
    ),
];
