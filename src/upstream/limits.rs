//! Every limit on what a portal may take of us that is not the operator's to choose, in one place.
//! Those of heads, chunks and trailers are beside their parser, in `wire.rs`.

use std::time::Duration;

/// How many idle connections a worker keeps to a server.
pub(super) const IDLE: usize = 256;
/// For how long; shorter than the keep-alive time of common servers would be safer still, and the
/// one retry of an unsent request covers the rest.
pub(super) const LONGEST_IDLE: Duration = Duration::from_secs(55);
/// How many addresses of one name are tried.
pub(super) const ADDRESSES: usize = 8;
/// How long a server that could not be reached is left out, at first; each time twice as long.
pub(super) const BACK_OFF: Duration = Duration::from_secs(1);
/// See [`BACK_OFF`].
pub(super) const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
