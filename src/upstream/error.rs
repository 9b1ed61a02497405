//! Why there is no answer from a portal, or no end of one.

use std::io;
use std::time::Duration;

use super::request_body::BodyError;
use super::wire::WireError;
use crate::config::ServerAddress;

/// Why there is no answer from the portal.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection.
    #[error("the portal at {server} cannot be reached")]
    Unreachable {
        /// As configured.
        server: ServerAddress,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// No connection in time.
    #[error("the portal did not accept a connection within {0:?}")]
    ConnectTimeout(Duration),
    /// No TLS: a certificate that is not trusted or for another name, or ours not accepted.
    #[error("TLS with the portal failed")]
    Tls(#[source] io::Error),
    /// As many requests as the portal may have at a time.
    #[error("the portal has {0} requests already, which is `max_requests`")]
    Busy(usize),
    /// No answer in time.
    #[error("the portal did not begin to answer within {0:?}")]
    ResponseTimeout(Duration),
    /// Silence within an answer.
    #[error("the portal fell silent within an answer for {0:?}")]
    Stalled(Duration),
    /// Something that is not HTTP/1.1, or nothing.
    #[error("the portal broke off or did not speak HTTP/1.1")]
    Broken(#[from] WireError),
    /// The connection failed.
    #[error("the connection to the portal failed")]
    Connection(#[source] io::Error),
    /// Something that is not the HTTP that was agreed on, or the end of the connection.
    #[error("the portal broke off or did not speak the HTTP that it is asked by")]
    Exchange(#[source] hyper::Error),
    /// A stream of HTTP/2 that was reset within an answer.
    #[error("the portal broke off within an answer")]
    Cut,
    /// The visitor broke the request off.
    #[error("the request's body is not whole")]
    Visitor(#[source] BodyError),
}

impl UpstreamError {
    /// Why TLS came to nothing, where that was TLS's own doing.
    #[must_use]
    pub fn of_tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls(cause) => cause.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// Cannot come up: there is always one.
    pub(super) fn no_server() -> Self {
        let server = ServerAddress { host: String::new(), port: 0 };
        Self::Unreachable { server, cause: io::ErrorKind::NotFound.into() }
    }

    /// Whether the portal has certainly not got anything of the request: it came to no connection.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::ConnectTimeout(_) | Self::Busy(_) => true,
            // With TLS 1.3, a portal may say only later that it does not take our certificate.
            Self::Tls(_)
            | Self::ResponseTimeout(_)
            | Self::Stalled(_)
            | Self::Broken(_)
            | Self::Connection(_)
            | Self::Exchange(_)
            | Self::Cut
            | Self::Visitor(_) => false,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "upstream-unreachable",
            Self::ConnectTimeout(_) => "upstream-connect-timeout",
            Self::Tls(_) => "upstream-tls",
            Self::Busy(_) => "upstream-busy",
            Self::ResponseTimeout(_) => "upstream-response-timeout",
            Self::Stalled(_) => "upstream-stalled",
            Self::Broken(_) | Self::Connection(_) | Self::Exchange(_) | Self::Cut => {
                "upstream-broken"
            }
            Self::Visitor(error) => error.code(),
        }
    }
}

impl From<io::Error> for UpstreamError {
    /// A portal that does not accept our certificate says so after the handshake (TLS 1.3).
    fn from(cause: io::Error) -> Self {
        match cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            true => Self::Tls(cause),
            false => Self::Connection(cause),
        }
    }
}
