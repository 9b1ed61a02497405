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
//! after [`Limits::stall_time`]. One address has 256 connections at most unless configured
//! otherwise, which is 5 GiB for half a minute at worst: who has less memory lowers
//! `listen.max_connections_per_address`. Nothing of this outlives its connection. The kernel's own
//! part is bounded by `listener::UNSENT`.
//!
//! Questions over gRPC: the same, with [`RESETS_OF_SERVERS`] for [`RESETS`] from a listed server, whose
//! heads are short. What they describe has its room within [`FORMS`], and is read of listed servers
//! alone, which are believed about more than that.
//!
//! **What one address takes of others (LIM-08):** 256 connections of HTTP/2 could ask for 25 600
//! answers at a time, and a portal takes 1024. `admission::Shares` keeps half of those for the
//! rest.
//!
//! **What `h2` 0.4.20 limits by itself**, and a test of ours holds (`tests/proxy/http2.rs`): five
//! `CONTINUATION` frames for one head (one and a quarter times as many as the largest head needs,
//! five at least); a header list of more than the limit is answered with 431, and one of far more
//! ends the connection; 100 empty `DATA` frames, and a budget for small ones that large ones fill
//! up again; one `PING` and one `SETTINGS` is answered before the next is read, so floods of them
//! cost the one that sends them as much, and store nothing. It does not limit: streams that are
//! reset once the portal has them ([`BROKEN_OFF`]), windows that stay shut
//! ([`Limits::stall_time`]), how long a connection lasts, and how long its preface takes.

use std::time::Duration;

/// How often the files of the configuration are looked at. They have to be the same at two looks.
pub(super) const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(1);

/// For the head of a request over HTTP/2, in bytes: as much as the gate judges, and a target with
/// its line. The library's own limit is a rough one, and the gate's is exact (LIM-01).
pub(super) const HEAD_BYTES: usize = crate::gate::Asked::LARGEST_HEAD + 16 * 1024;
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
/// The table that an HTTP/2 visitor's header compression may refer to, in bytes: the protocol's
/// own.
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
/// HTTP/2 pings: how often, and how long we wait for the answer.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);
/// See [`PING_EVERY`].
pub(super) const PING_TIME: Duration = Duration::from_secs(10);
/// For those to get in who are half-way in when a stop is asked for: more than the way to a load
/// balancer and back takes. Who comes meanwhile is kept waiting for a second, so it is not
/// longer.
pub(super) const LAST_CALL: Duration = Duration::from_millis(5);
/// For both sides of a WebSocket to take leave once they are told to come again.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);
/// For the workers to end once what is under way was cut.
pub(super) const CUT: Duration = Duration::from_secs(5);
/// How often it is looked whether nobody is left who could ask for something, before the sessions
/// go to another process.
pub(super) const LOOK_WHETHER_QUIET: Duration = Duration::from_millis(5);
/// For the providers to be reached before visitors are taken over from another process.
pub(super) const PROVIDERS_TIME: Duration = Duration::from_secs(5);
/// How often a worker and the process look after what has expired.
pub(super) const TIDY_EVERY: Duration = Duration::from_secs(5);
/// How often the process looks after the sessions: what is open in the name of one whose time is
/// over ends two seconds after it at the latest (SESS-10).
pub(super) const TIDY_SESSIONS_EVERY: Duration = Duration::from_secs(1);
/// How often the files of sealing keys are looked at.
pub(super) const LOOK_AT_KEYS_EVERY: Duration = Duration::from_secs(5);
/// HTTP/2 streams that a server which asks about requests may reset before they are looked at. Its
/// connection is that of many visitors, and one of them makes it reset as many as it reads at a time
/// (LIM-08). Each costs as much as its head, which is the server's own and short.
pub(super) const RESETS_OF_SERVERS: usize = 4096;
/// For a question over gRPC, in bytes, beside a form: the head that it describes, with as much again
/// for what is said twice of it and for what is not read, such as a certificate.
pub(super) const QUESTION: usize = 2 * HEAD_BYTES + 64 * 1024;
/// For the whole of a form that a rule looks at.
pub(super) const FORM_TIME: Duration = Duration::from_secs(30);
/// What all forms together that rules look at, or that are kept for their members, may take in
/// bytes (LIM-07); beyond, a 503, and none is kept. A kept one counts from its arrival until the
/// page that has it is with the visitor, which is a third longer, and again on its way back.
pub(super) const FORMS: usize = 64 * 1024 * 1024;
/// What the forms of one address may take of it, so that nobody takes all alone (LIM-08).
pub(super) const FORMS_OF_ONE: usize = FORMS / 4;

/// What a visitor may take of time, and of one connection. A value, so that tests need not wait as
/// long as visitors may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a PROXY protocol header to arrive (FWD-04).
    pub proxy_header: Duration,
    /// For a head to arrive, from its first byte on; for the first request of an HTTP/2 connection
    /// (LIM-01).
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
            proxy_header: Duration::from_secs(3),
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
