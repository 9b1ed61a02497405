//! What an operator may write at `shutdown`.

use super::super::kind::Key;
use super::{DURATION, default, optional};

pub(super) const SHUTDOWN: &[Key] = &[
    default(
        "delay",
        "0s",
        DURATION,
        "for how long after SIGTERM visitors are still let in while `/readyz` says `draining`, so \
         that a load balancer in front sees it first",
    ),
    default(
        "drain",
        "10s",
        DURATION,
        "how long what is under way has to finish from then on; what has not is cut",
    ),
    optional(
        "websockets",
        DURATION,
        "how much of `drain` WebSockets have before they are told to come again (1001, going \
         away); without it all of it",
    ),
];
