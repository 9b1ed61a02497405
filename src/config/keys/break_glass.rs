//! What an operator may write about the two ends of a switch: for whom it holds already, and what
//! undoes it for an hour.

use super::super::kind::{Key, Kind};
use super::{DURATION, NETWORK, default, optional};

/// At least one of these.
pub(super) const ROLLOUT: &[Key] = &[
    default(
        "share",
        "0%",
        Kind::Value("a share of visitors from `0%` to `100%`"),
        "for so many of all visitors, who are drawn by lot and keep it",
    ),
    optional(
        "groups",
        Kind::List(&Kind::Value("a text of 1 to 256 characters")),
        "for members of these groups once they are signed in, by object id, or as the provider lists \
         them in `groups`",
    ),
];

/// At least one of these.
pub(super) const BREAK_GLASS: &[Key] = &[
    optional(
        "link",
        Kind::Section(LINK),
        "whether `anteport break-glass` makes links for it; `{}` is yes",
    ),
    optional(
        "networks",
        Kind::List(&NETWORK),
        "networks from which everybody comes to the portal's own sign-in, always and without a link",
    ),
];

const LINK: &[Key] = &[
    default("lifetime", "10m", DURATION, "how long a link can be opened, from 1m to 60m"),
    default("pass", "30m", DURATION, "how long it lasts for whoever has opened it, from 1m to 4h"),
];
