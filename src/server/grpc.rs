//! Forward-auth over gRPC: Envoy asks on a listener of its own, in one message a request, and is
//! told in one. Whatever can be told at all is told as a no within an answer, and not as an error of
//! gRPC's, which a server in front may be configured to take for a yes (GEN-02). Deliberately not
//! here: what the messages say (`check`).

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::account::{Account, Body};
use super::check;
use super::described::Undescribed;
use super::peer::Peer;
use super::respond::{self, Asker};
use super::stop::Shutdown;
use super::verify::{Passing, Verifying};
use super::worker::{Entrance, Seat, Worker};
use super::{Proxy, http2, inspect, limits};
use crate::telemetry::Verdict;
use crate::telemetry::metrics::Handshake;
use crate::upstream::RequestBody;

/// The one thing that can be asked.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The status of an exchange, as gRPC counts them.
const OK: HeaderValue = HeaderValue::from_static("0");
const UNIMPLEMENTED: HeaderValue = HeaderValue::from_static("12");

/// Serves a connection until it ends, or, once a stop is asked for, until what was asked is answered.
pub(super) async fn serve(
    seat: Arc<Seat>,
    stream: TcpStream,
    address: IpAddr,
    tls: Option<TlsAcceptor>,
    shutdown: Shutdown,
) {
    // A socket that refuses this still works, with more delay.
    let _ = stream.set_nodelay(true);
    let proxy = Arc::clone(&seat.now().proxy);
    // It speaks for nobody here: each message says whose a request is.
    let Some(peer) = proxy.seated(Peer::new(address, false)) else {
        return;
    };
    let (peer, metrics) = (Arc::new(peer), Arc::clone(&proxy.metrics));
    drop(proxy);
    let Some(tls) = tls else {
        let stream = TokioIo::new(stream);
        return http2::serve(Entrance::Questions, seat, stream, peer, shutdown).await;
    };
    match tokio::time::timeout(limits::HANDSHAKE_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            metrics.tls_handshake(Handshake::Ok);
            let stream = TokioIo::new(stream);
            http2::serve(Entrance::Questions, seat, stream, peer, shutdown).await;
        }
        Ok(Err(_)) => metrics.tls_handshake(Handshake::Failed),
        Err(_) => metrics.tls_handshake(Handshake::Timeout),
    }
}

/// Answers one question.
pub(super) async fn answer(
    worker: &Worker,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<Body> {
    let proxy = &worker.proxy;
    let (head, body) = request.into_parts();
    if head.method != Method::POST || head.uri.path() != CHECK || !is_grpc(&head.headers) {
        return unimplemented(proxy);
    }
    // Whoever is not listed is not even read.
    let Some(verifying) = &proxy.verify else {
        return told(respond::unasked(Undescribed::Peer, Account::unread(proxy)));
    };
    if !verifying.believes(peer) {
        return told(unread(verifying, Undescribed::Peer, proxy));
    }
    let body = RequestBody::http2(body);
    // Of a server that speaks for many, so that it is nobody's share.
    let reading = inspect::whole(body, largest(proxy), None, &proxy.form_room);
    let (body, _share) = match reading.await {
        Ok(read) => read,
        Err(error) => {
            let account = Account::unread(proxy);
            let asker = Asker::unread(account.request_id());
            return told(respond::uninspected(&error, &asker, account));
        }
    };
    match message(&head.headers, body) {
        Ok(message) => told(judge(worker, verifying, peer, message).await),
        Err(Unframed::Compressed) => unimplemented(proxy),
        Err(Unframed::Malformed) => told(unread(verifying, Undescribed::Description, proxy)),
    }
}

/// The request that a message describes is judged as if it had come.
async fn judge(
    worker: &Worker,
    verifying: &Verifying,
    peer: &Peer,
    message: Bytes,
) -> Response<Body> {
    let proxy = &worker.proxy;
    let read = check::read(message).and_then(|read| {
        // What we would not see, the server in front may hand on.
        let is_hiding = crate::gate::identity::hides_by_connection(&read.head.headers);
        if is_hiding { Err(Undescribed::Header) } else { Ok(read) }
    });
    let read = match read {
        Ok(read) => read,
        Err(error) => return unread(verifying, error, proxy),
    };
    let address = read.source.unwrap_or(peer.address()).to_canonical();
    let visitor = Peer::new(address, proxy.front.trusted.contain(address));
    let described = verifying.told(read.target, read.shown);
    let body = RequestBody::held(read.body);
    Box::pin(worker.answer(&visitor, read.head, body, Some(described))).await
}

/// Whether it is gRPC, with messages that are protocol buffers.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/grpc")
        || kind.eq_ignore_ascii_case("application/grpc+proto")
}

/// Why what came is not one message.
enum Unframed {
    Compressed,
    Malformed,
}

/// The one message: whether it is compressed, its length, and all the rest.
fn message(headers: &HeaderMap, mut body: Bytes) -> Result<Bytes, Unframed> {
    let frame = body.split_to(body.len().min(FRAME));
    let (flag, length) = match &*frame {
        [flag, length @ ..] => (*flag, <[u8; 4]>::try_from(length)),
        [] => return Err(Unframed::Malformed),
    };
    let is_encoded = headers.get(&GRPC_ENCODING).is_some_and(|encoding| encoding != "identity");
    match (flag, length.map(u32::from_be_bytes)) {
        (0, Ok(length)) if u32::try_from(body.len()) == Ok(length) => Ok(body),
        (1, Ok(_)) if is_encoded => Err(Unframed::Compressed),
        _ => Err(Unframed::Malformed),
    }
}

/// The bytes before a message.
const FRAME: usize = 5;

/// The largest question: of the largest head, and a form that may be looked at.
fn largest(proxy: &Proxy) -> usize {
    let forms = proxy.policies.iter().map(|policy| policy.form_limit);
    limits::QUESTION.saturating_add(forms.max().unwrap_or_default())
}

/// A question that is no description of a request, or that is not to be believed.
fn unread(verifying: &Verifying, error: Undescribed, proxy: &Arc<Proxy>) -> Response<Body> {
    let account = Account::unread(proxy);
    let asker = Asker::unread(account.request_id());
    verifying.refuse(error, &asker, account)
}

/// What a visitor is to get, as a message to the server that asks for it.
fn told(mut response: Response<Body>) -> Response<Body> {
    let passing = response.extensions_mut().remove::<Passing>();
    let body = response.body_mut().take_own();
    let answer = check::answer(response.status(), response.headers(), body, passing);
    let mut framed = BytesMut::with_capacity(FRAME + answer.encoded_len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(answer.encoded_len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&answer.encode_to_vec());
    let (_, mut body) = response.into_parts();
    body.put_message(framed.freeze(), HeaderMap::from_iter([(GRPC_STATUS.clone(), OK)]));
    grpc(body)
}

/// Nothing that is here.
fn unimplemented(proxy: &Arc<Proxy>) -> Response<Body> {
    let mut account = Account::unread(proxy);
    account.decided(Verdict::Refuse, Some(Undescribed::Description.code()));
    account.answered(StatusCode::NOT_IMPLEMENTED);
    let mut response = grpc(Body::own(Bytes::new(), account));
    response.headers_mut().insert(GRPC_STATUS.clone(), UNIMPLEMENTED);
    response
}

fn grpc(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
