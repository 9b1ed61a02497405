//! Every limit on what visitors may send, in one place. Nothing relies on a library's default.

use std::time::Duration;

/// How long we are patient. Values, so that tests need not be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a PROXY protocol header to arrive (FWD-04).
    pub proxy_header: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { proxy_header: Duration::from_secs(3) }
    }
}

/// For the head of a request, in bytes: as much as the gate judges, and a target with its line. The
/// library's own limit is a rough one, and the gate's is exact (LIM-01).
pub(super) const HEAD_BYTES: usize = crate::gate::Asked::LARGEST_HEAD + 16 * 1024;
// Header fields (LIM-01): 100, which is what hyper reads HTTP/1.1 heads with. Saying so makes it
// allocate for each head, so it is not said, and a test holds it.
/// For a request's head to arrive; also how long a connection may idle (LIM-01).
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// For a TLS handshake (LIM-02).
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// HTTP/2 streams of one connection (LIM-04).
pub(super) const STREAMS: u32 = 100;
/// HTTP/2 flow-control windows, in bytes (LIM-04).
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;
/// See [`STREAM_WINDOW`].
pub(super) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// HTTP/2 streams that a visitor may reset before the connection is closed (LIM-04).
pub(super) const RESETS: usize = 50;
/// HTTP/2 pings: how often, and how long we wait for the answer.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);
/// See [`PING_EVERY`].
pub(super) const PING_TIME: Duration = Duration::from_secs(10);
/// For open connections to finish after a stop was asked for.
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How often a worker and the process look after what has expired.
pub(super) const TIDY_EVERY: Duration = Duration::from_secs(5);
