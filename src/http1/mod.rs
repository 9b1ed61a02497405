//! HTTP/1.1 from bytes to values and back (RFC 9112): what visitors send (`request`), what is
//! written to portals and read from them (`answer`), and the bodies of both (`content`).
//!
//! It is strict where two readers could disagree about where something begins or ends: that is an
//! error, and its connection is not used again (HTTP-02, HTTP-03, HTTP-05). Deliberately not here:
//! sockets and time.

pub(crate) mod answer;
pub(crate) mod content;
pub(crate) mod request;
