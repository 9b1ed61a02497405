//! TLS towards visitors: HTTP/2 and HTTP/1.1 by ALPN, and what the portal is told of it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::folder::Folder;
use crate::world::{Plan, World};

/// A world with a certificate of its own, and that certificate.
async fn world() -> (World, CertificateDer<'static>) {
    world_with(Plan::default()).await
}

/// The same, with TLS besides what is planned.
pub async fn world_with(plan: Plan) -> (World, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = Folder::new();
    let certificate = folder.write("tls.crt", &made.cert.pem());
    let key = folder.write("tls.key", &made.signing_key.serialize_pem());
    let tls = format!("{{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let world = World::start_with(Plan { listen_tls: Some(tls), ..plan }).await;
    (world, made.cert.der().clone())
}

pub async fn connect(
    world: &World,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> TlsStream<TcpStream> {
    connect_to(world.proxy, trusted, alpn).await
}

pub async fn connect_to(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// A connection over HTTP/2.
pub async fn over_http2<B>(world: &World, trusted: &CertificateDer<'static>) -> SendRequest<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
{
    let stream = connect(world, trusted, b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
}

async fn body(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn cry_03_http2_is_spoken_over_tls_and_its_cookie_crumbs_are_joined() {
    let (world, certificate) = world().await;
    let mut sender = over_http2(&world, &certificate).await;
    let request = Request::get(format!("https://{}/public/page?x=1", world.proxy))
        .header("cookie", "a=1")
        .header("cookie", "__Host-anteport=forged")
        .header("cookie", "b=2")
        .header("x-auth-user", "admin")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    assert_eq!(body(response).await, "the portal answers /public/page?x=1");
    let received = world.portal.last();
    assert_eq!(received.header("cookie"), Some("a=1; b=2"));
    assert_eq!(received.header("x-forwarded-proto"), Some("https"));
    assert_eq!(received.header("host"), Some(&*world.proxy.to_string()));
    assert_eq!(received.header("x-auth-user"), None);
    // Another stream of the same connection is judged alone (GEN-05).
    let request = Request::get(format!("https://{}/reports", world.proxy))
        .header("accept", "application/json")
        .body(Empty::<Bytes>::new())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 401);
    let request = Request::get("https://evil.example/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 421);
    drop(sender);
    world.stop().await;
}

#[tokio::test]
async fn http1_over_tls_leads_to_a_sign_in_with_an_https_redirect_uri() {
    let (world, certificate) = world().await;
    let stream = connect(&world, &certificate, b"http/1.1").await;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/reports")
        .header("host", world.proxy.to_string())
        .header("accept", "text/html")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 303);
    let location = response.headers()["location"].to_str().unwrap();
    assert!(location.contains("redirect_uri=https%3A%2F%2F127.0.0.1"), "{location}");
    drop(sender);
    let ok = world.metric("anteport_tls_handshakes_total{result=\"ok\"}").await;
    assert!(ok >= 1.0);
    world.stop().await;
}

#[tokio::test]
async fn a_visitor_who_speaks_no_tls_is_counted_and_forgotten() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (world, _) = world().await;
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "no plain answer on a TLS listener");
    assert_eq!(world.metric("anteport_tls_handshakes_total{result=\"failed\"}").await, 1.0);
    world.stop().await;
}
