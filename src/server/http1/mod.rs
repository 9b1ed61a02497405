//! HTTP/1.1 towards visitors: one connection, its requests one after another, all in one task.
//!
//! It is ours because a library forgives what must not be forgiven here (HTTP-02, HTTP-03), and
//! because a request that is read, judged, sent on and answered in one task costs least. Heads and
//! bodies are read by `crate::http1`; here are the socket, the order of things, and time.

mod connection;
mod date;
mod exchange;
mod inlet;
mod outbox;
mod tunnel;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

pub(super) use connection::serve;
pub(crate) use date::written as http_date;
pub(super) use tunnel::Tunnel;

use crate::http1::request::HeadError;

/// Why there is no request to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It did not arrive in time (LIM-01).
    Late,
    /// It is none.
    Head(HeadError),
}

impl Unread {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Late => "request-timeout",
            Self::Head(error) => error.code(),
        }
    }
}

/// What a connection runs over.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Makes the end of the connection look like none to whoever reads until its end (HTTP-06).
    fn cut(&self);
}

impl Transport for TcpStream {
    fn cut(&self) {
        // A socket that refuses this ends as it likes.
        let _ = socket2::SockRef::from(self).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// Whose peer misses the alert that ends it.
impl<I: Transport> Transport for TlsStream<I> {
    fn cut(&self) {
        self.get_ref().0.cut();
    }
}

#[cfg(test)]
impl Transport for tokio::io::DuplexStream {
    fn cut(&self) {}
}
