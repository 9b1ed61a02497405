//! Every limit on what visitors may send, in one place. Nothing relies on a library's default.
//!
//! **Memory of one connection (LIM-07), at most.** HTTP/1.1 carries one request at a time: a head
//! ([`HEAD_BYTES`], 48 KiB, and as much again once it is taken apart), a piece of a body on its way
//! to the portal (64 KiB) and one on its way back (64 KiB), under 256 KiB with TLS's own 34 KiB.
//! HTTP/2 carries [`STREAMS`] (100). All unread bodies together: [`CONNECTION_WINDOW`], 1 MiB.
//! Heads: 100 × 48 KiB. Answers: 100 × ([`SEND_BUFFER`] and the piece that waits before it,
//! 128 KiB). Streams that were reset before they were looked at: [`RESETS`] × 48 KiB. Header
//! tables: 2 × 4 KiB. Together 1 + 4.7 + 12.5 + 2.4 MiB: under 21 MiB, and that for a visitor with
//! a hundred answers of 128 KiB and more under way, of which each that is not taken is given up
//! after [`Limits::write_stall`]. One address has 256 connections at most unless configured
//! otherwise, which is 5 GiB for half a minute at worst: who has less memory lowers
//! `listen.max_connections_per_address`. Nothing of this outlives its connection.
//!
//! **What `h2` 0.4.20 limits by itself**, and a test of ours holds (`tests/proxy/http2.rs`): five
//! `CONTINUATION` frames for one head (one and a quarter times as many as the largest head needs,
//! five at least); a header list of more than the limit is answered with 431, and one of far more
//! ends the connection; 100 empty `DATA` frames, and a budget for small ones that large ones fill
//! up again; one `PING` and one `SETTINGS` is answered before the next is read, so floods of them
//! cost the one that sends them as much, and store nothing. It does not limit: streams that are
//! reset once the portal has them ([`BROKEN_OFF`]), windows that stay shut
//! ([`Limits::write_stall`]), how long a connection lasts, and how long its preface takes.

use std::time::Duration;

/// How long we are patient. Values, so that tests need not be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a PROXY protocol header to arrive (FWD-04).
    pub proxy_header: Duration,
    /// For an HTTP/2 visitor to make room for a piece of an answer (LIM-03, LIM-04).
    pub write_stall: Duration,
    /// For the first request of an HTTP/2 connection to arrive (LIM-01).
    pub first_request: Duration,
    /// For an HTTP/2 connection to be used; what it carries then may end (LIM-02).
    pub connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proxy_header: Duration::from_secs(3),
            write_stall: Duration::from_secs(30),
            first_request: HEAD_TIME,
            connection_age: Duration::from_secs(60 * 60),
        }
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
/// The most bytes of one HTTP/2 frame: the least that the protocol allows (RFC 9113, 4.2).
pub(super) const FRAME: u32 = 16 * 1024;
/// The table that an HTTP/2 visitor's header compression may refer to, in bytes: the protocol's own.
pub(super) const HEADER_TABLE: u32 = 4096;
/// What may wait in one HTTP/2 stream to be written, in bytes.
pub(super) const SEND_BUFFER: usize = 64 * 1024;
/// HTTP/2 streams that a visitor may reset before they are looked at, and that we may reset for
/// being malformed, before the connection is closed (LIM-04).
pub(super) const RESETS: usize = 50;
/// HTTP/2 requests that a visitor may break off before the connection is closed; each that is
/// answered to its end makes up for one. A page with so many pictures is left in a moment, and
/// comes back on a new connection.
pub(super) const BROKEN_OFF: usize = 200;
/// Requests of one HTTP/2 connection (LIM-02).
pub(super) const REQUESTS: usize = 100_000;
/// HTTP/2 pings: how often, and how long we wait for the answer.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);
/// See [`PING_EVERY`].
pub(super) const PING_TIME: Duration = Duration::from_secs(10);
/// For open connections to finish after a stop was asked for.
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How often a worker and the process look after what has expired.
pub(super) const TIDY_EVERY: Duration = Duration::from_secs(5);
