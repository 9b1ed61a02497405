//! What an operator may write about tokens of the provider's that a portal gets.

use super::super::kind::{Key, Kind};
use super::{YES_OR_NO, default, optional};

const HEADER: Kind = Kind::Value("the name of a header, such as `X-Auth-Access-Token`");

pub(super) const TOKENS: &[Key] = &[
    optional("access_token", HEADER, "the header with the provider's access token"),
    optional("id_token", HEADER, "the header with the provider's ID token"),
    default(
        "portal_acts_as_member",
        "false",
        YES_OR_NO,
        "whether the portal may do what its members may at the API that their token is for, which \
         tokens need",
    ),
];
