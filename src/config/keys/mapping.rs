//! What an operator may write about how one identity header is made.

use super::super::kind::{Key, Kind};
use super::super::mapping::Transform;
use super::{YES_OR_NO, default, optional, word};

const TEXT: Kind = Kind::Value("a text of 1 to 256 characters on one line");

/// One of the first three, or one value alone, which is a claim.
pub(super) const MAPPING: &[Key] = &[
    optional(
        "claim",
        Kind::Value("a claim, such as `email`, `emails[0]` or `address.locality`"),
        "the claim that it carries: a name, an element, or what is inside of an object",
    ),
    optional("value", TEXT, "a text, the same for every member"),
    optional(
        "template",
        Kind::Value("a text with claims in braces, such as `{given_name} {family_name}`"),
        "a text with claims in braces; it is sent if all of them are there",
    ),
    optional(
        "transform",
        Kind::List(&Kind::Short { keys: TRANSFORM, key: "apply" }),
        "what is done to each value, in this order; a value that it does not apply to refuses the \
         sign-in",
    ),
    optional(
        "map",
        Kind::Named { name: "values, each with the portal's word for it", of: &TEXT },
        "the portal's words for what the claim says, such as names of its roles for groups",
    ),
    default(
        "unmapped",
        "drop",
        word(&["drop", "keep", "refuse"]),
        "what becomes of values that `map` has no word for",
    ),
    optional(
        "join",
        Kind::Value("one character such as `;`, which is no letter or digit, or `none`"),
        "what stands between the elements of a list, `,` unless it is said here; with `none` there \
         is one value",
    ),
    optional("default", TEXT, "what is sent where there is no value"),
    default("required", "false", YES_OR_NO, "whether nobody signs in without a value"),
];

/// One of these.
pub(in crate::config) const TRANSFORM: &[Key] = &[
    optional(
        "apply",
        word(Transform::WORDS),
        "letters in one case, no white space at the ends, or \
        what is behind the `@`",
    ),
    optional("before", TEXT, "what is before this text, which has to be there once"),
    optional("after", TEXT, "what is behind this text, which has to be there once"),
    optional("strip_prefix", TEXT, "what follows this text, with which the value has to begin"),
];
