//! Every limit on what a portal may take of us that is not the operator's to choose, in one place.
//! Those of heads, chunks and trailers are beside their parser, in `crate::http1`.

use std::time::Duration;

/// How many idle connections a worker keeps to a server.
pub(super) const IDLE: usize = 256;
/// For how long; shorter than the keep-alive time of common servers would be safer still, and the
/// one retry of an unsent request covers the rest.
pub(super) const LONGEST_IDLE: Duration = Duration::from_secs(55);
/// The head of an answer to a health check, in bytes.
pub(super) const CHECK_HEAD: usize = 64 * 1024;
/// How many addresses of one name are tried.
pub(super) const ADDRESSES: usize = 8;
/// How long a server that could not be reached is left out, at first; each time twice as long.
pub(super) const BACK_OFF: Duration = Duration::from_secs(1);
/// See [`BACK_OFF`].
pub(super) const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// How many HTTP/2 connections a worker has to a server; beyond, requests share what there is.
pub(super) const HTTP2_CONNECTIONS: usize = 64;
/// How many requests one of them has before another is made, if the portal allows so many.
pub(super) const HTTP2_STREAMS: usize = 100;
/// How many bytes a portal may send ahead of its visitor, of one answer.
pub(super) const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all answers of one connection.
pub(super) const HTTP2_CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// The largest frame.
pub(super) const HTTP2_FRAME: u32 = 16 * 1024;
/// The header fields of an answer, in bytes.
pub(super) const HTTP2_HEADERS: u32 = 64 * 1024;
/// What waits to be sent, of one request.
pub(super) const HTTP2_SEND_BUFFER: usize = 256 * 1024;
/// Streams that were reset and are still remembered, or reset by the portal.
pub(super) const HTTP2_RESETS: usize = 50;
/// Pings while requests are open: how often, and how long we wait for the answer.
pub(super) const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
/// See [`HTTP2_PING_EVERY`].
pub(super) const HTTP2_PING_TIME: Duration = Duration::from_secs(10);
