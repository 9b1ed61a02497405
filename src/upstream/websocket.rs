//! Upgrades to WebSocket, the portal's half (RFC 6455, section 4; HTTP-08): asked for after the
//! decision, on a connection of its own, and believed only with the right proof. Nothing of the
//! visitor's goes to the portal before that, because there is no [`Tunnel`] before it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Buf as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::RequestBody;
use super::exchange::{Connection, Sending, Terms};
use super::pool::Place;
use super::wire::{self, Framing, WireError};
use super::{Answer, Forwarding, Upstream, UpstreamError};
use crate::config::Protocol;
use crate::gate::Permit;
use crate::gate::identity::{self, Envelope};

/// What proves that a portal has read the key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A visitor's wish for a WebSocket, read before its headers are cleansed.
#[derive(Debug)]
pub struct AskedWebSocket {
    /// As the visitor sent it.
    key: HeaderValue,
}

impl AskedWebSocket {
    /// `None` if this is anything else: an upgrade to `h2c`, to two protocols, of another version,
    /// with another method.
    #[must_use]
    pub fn read(method: &Method, version: Version, headers: &HeaderMap) -> Option<Self> {
        let is_asked = method == Method::GET
            && version == Version::HTTP_11
            && names_upgrade(headers)
            && is_websocket(headers)
            && single(headers, &header::SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13")
            && !headers.contains_key(header::TRANSFER_ENCODING)
            && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        let key = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|_| is_asked)?;
        let is_key = STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16);
        is_key.then(|| Self { key: key.clone() })
    }

    /// Whether this is the `101` that was asked for.
    fn check(&self, headers: &HeaderMap) -> Result<(), WireError> {
        let text = [self.key.as_bytes(), GUID].concat();
        let proof = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text));
        let is_proven = single(headers, &header::SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|accept| accept.as_bytes() == proof.as_bytes());
        match is_proven && names_upgrade(headers) && is_websocket(headers) {
            true => Ok(()),
            false => Err(WireError::Upgrade),
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(name).iter();
    all.next().filter(|_| all.next().is_none())
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = single(headers, &header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// What came of it.
#[derive(Debug)]
pub enum Upgrade {
    /// The portal speaks WebSocket from here on.
    Switched(Upgraded),
    /// It gave an ordinary answer.
    Answered(Answer),
}

/// A WebSocket with a portal.
pub struct Upgraded {
    /// Status 101 and the portal's headers; those of the connection, `Connection` and `Upgrade`,
    /// are for its receiver to set.
    pub head: Response<()>,
    /// Both directions.
    pub tunnel: Tunnel,
}

/// Without the portal's headers: there are cookies in them (LOG-01).
impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgraded(…)")
    }
}

/// The bytes of a WebSocket, in both directions. It counts as a request of the portal's until it
/// is dropped.
#[derive(Debug)]
pub struct Tunnel {
    connection: Box<Connection>,
    _place: Place,
}

/// What an upgrade is asked with.
static UPGRADE: [(HeaderName, HeaderValue); 2] = [
    (header::CONNECTION, HeaderValue::from_static("Upgrade")),
    (header::UPGRADE, HeaderValue::from_static("websocket")),
];

impl Upstream {
    /// Asks the portal for a WebSocket. `headers` are the visitor's, cleansed. On a route where no
    /// WebSocket passes, or with a portal that speaks HTTP/2, it is an ordinary request.
    ///
    /// # Errors
    /// Why there is no answer. Nothing was sent twice.
    pub async fn upgrade(
        &self,
        permit: &Permit,
        asked: &AskedWebSocket,
        headers: &HeaderMap,
        envelope: Option<&Envelope>,
        forwarding: Forwarding<'_>,
    ) -> Result<Upgrade, UpstreamError> {
        let settings = &self.servers.settings;
        let may_switch = permit.passes().websocket && settings.protocol == Protocol::Http1;
        let identity = envelope.into_iter().flat_map(|envelope| &envelope.headers);
        let upgrade = if may_switch { &UPGRADE[..] } else { &[] };
        let more = identity.chain(upgrade).map(|(name, value)| (name, value));
        let ours = forwarding.headers().chain(more);
        let method = &Method::GET;
        let head = wire::write_head(method, permit.target(), ours, headers, Framing::Absent);
        let passes_trailers = permit.passes().trailers;
        let patience = settings.response_timeout;
        let terms = Terms { method, patience, passes_trailers, may_switch };
        let chosen = self.servers.choose(&self.turn, None);
        let mut place = Place::take(self.pool(chosen)?)?;
        let mut connection = self.connect(chosen, &mut place, true).await?;
        let mut sending = Sending::new(head, RequestBody::empty(), Framing::Absent);
        let head = connection.read_answer(&mut sending, terms).await?;
        if head.parts.status != http::StatusCode::SWITCHING_PROTOCOLS {
            let answer = Answer::on(connection, head, sending, place, passes_trailers);
            return Ok(Upgrade::Answered(answer.cleansed()));
        }
        asked.check(&head.parts.headers)?;
        if !sending.is_done() {
            return Err(WireError::Upgrade.into());
        }
        let mut head = Response::from_parts(head.parts, ());
        identity::cleanse_answer(head.headers_mut());
        Ok(Upgrade::Switched(Upgraded { head, tunnel: Tunnel { connection, _place: place } }))
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &mut self.get_mut().connection;
        // What came with the head of the answer is first.
        let waiting = connection.read.len().min(buffer.remaining());
        if waiting == 0 {
            return connection.stream().poll_read(cx, buffer);
        }
        buffer.put_slice(connection.read.get(..waiting).unwrap_or_default());
        connection.read.advance(waiting);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().connection.stream().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().connection.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().connection.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::request::Parts;

    fn read(head: &Parts) -> Option<AskedWebSocket> {
        AskedWebSocket::read(&head.method, head.version, &head.headers)
    }

    fn head(fields: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::get("/live");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const ASKED: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn http_08_only_a_websocket_is_asked_for() {
        assert!(read(&head(ASKED)).is_some());
        let with = |name: &'static str, value: &'static str| {
            let mut fields = ASKED.to_vec();
            fields.retain(|(known, _)| *known != name);
            fields.push((name, value));
            read(&head(&fields))
        };
        assert!(with("upgrade", "h2c").is_none());
        assert!(with("upgrade", "websocket, h2c").is_none());
        assert!(with("upgrade", "websocket/13").is_none());
        assert!(with("connection", "keep-alive").is_none());
        assert!(with("sec-websocket-version", "8").is_none());
        assert!(with("sec-websocket-key", "c2hvcnQ=").is_none());
        assert!(with("sec-websocket-key", "no base64").is_none());
        assert!(with("content-length", "5").is_none());
        assert!(with("transfer-encoding", "chunked").is_none());
        for index in 0..ASKED.len() {
            let (mut once, mut twice) = (ASKED.to_vec(), ASKED.to_vec());
            let removed = once.remove(index);
            assert!(read(&head(&once)).is_none(), "without {removed:?}");
            twice.push(removed);
            let is_list = removed.0 == "connection";
            assert_eq!(read(&head(&twice)).is_some(), is_list, "{removed:?}");
        }
        let mut other = head(ASKED);
        other.method = Method::POST;
        assert!(read(&other).is_none());
        let mut other = head(ASKED);
        other.version = Version::HTTP_10;
        assert!(read(&other).is_none());
    }

    #[test]
    fn http_08_a_101_is_believed_with_its_proof_alone() {
        let asked = read(&head(ASKED)).unwrap();
        let check = |accept: &str, upgrade: &str, connection: &str| {
            let fields = [
                ("sec-websocket-accept", accept),
                ("upgrade", upgrade),
                ("connection", connection),
            ];
            asked.check(&head(&fields).headers)
        };
        let proof = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(check(proof, "websocket", "Upgrade"), Ok(()));
        for (accept, upgrade, connection) in [
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", "websocket", "upgrade"),
            (proof, "h2c", "upgrade"),
            (proof, "websocket", "close"),
            ("", "websocket", "upgrade"),
        ] {
            assert_eq!(check(accept, upgrade, connection), Err(WireError::Upgrade));
        }
    }
}
