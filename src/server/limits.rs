//! Every limit on what visitors may send, in one place. Nothing relies on a library's default.

use std::time::Duration;

/// For the head of a request over HTTP/2, in bytes: as much as the gate judges, and a target with
/// its line. The library's own limit is a rough one, and the gate's is exact (LIM-01).
pub(super) const HEAD_BYTES: usize = crate::gate::Asked::LARGEST_HEAD + 16 * 1024;
/// For a TLS handshake (LIM-02).
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Connections of one worker (LIM-02).
pub(super) const CONNECTIONS: usize = 10_000;
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
/// For the whole of a form that a rule looks at.
pub(super) const FORM_TIME: Duration = Duration::from_secs(30);
/// What all forms together that rules look at may take, in bytes (LIM-07); beyond, a 503.
pub(super) const FORMS: usize = 64 * 1024 * 1024;
/// In what portions [`FORMS`] is given out.
pub(super) const FORM_UNIT: usize = 4 * 1024;

/// What a visitor over HTTP/1.1 may take of time, and of one connection. A value, so that tests
/// need not wait as long as visitors may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a head to arrive, from its first byte on (LIM-01).
    pub head_time: Duration,
    /// For the first byte of the next request.
    pub idle_time: Duration,
    /// For the next byte of a body that is waited for (LIM-03).
    pub body_idle: Duration,
    /// How long a body may be waited for in all, if it brought nothing; each byte allows for more
    /// (LIM-03).
    pub body_grace: Duration,
    /// How many bytes of a body allow for a second more. Slower than any line that people use, and
    /// far more than somebody needs who only wants to hold connections (LIM-03).
    pub body_rate: u32,
    /// For the visitor to take anything of an answer (LIM-03).
    pub stall_time: Duration,
    /// Requests of one connection (LIM-02).
    pub requests: u32,
    /// How old a connection may become; the request that it carries then is its last (LIM-02).
    pub age: Duration,
    /// How many bytes of an unread body are read to keep a connection (HTTP-04).
    pub drain_bytes: usize,
    /// How long that may take, and how long a closed connection is listened to, so that what we
    /// said last is not lost (RFC 9112, section 9.6).
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_grace: Duration::from_secs(10),
            body_rate: 240,
            stall_time: Duration::from_secs(30),
            requests: 100_000,
            age: Duration::from_secs(3600),
            drain_bytes: 64 * 1024,
            drain_time: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// How long a body that has brought so many bytes may have been waited for in all.
    pub(super) fn patience(&self, bytes: u64) -> Duration {
        self.body_grace
            + Duration::from_millis(bytes.saturating_mul(1000) / u64::from(self.body_rate.max(1)))
    }
}
