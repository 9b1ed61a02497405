//! A provider that is what a test says it is: over real sockets, with keys of its own, counting
//! who asks for what, and able to lie.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const TENANT: &str = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";
pub const CLIENT: &str = "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20";
pub const OBJECT: &str = "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57";
pub const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// RSA keys, made once for all tests.
pub static KEYS: LazyLock<[RsaKeyPair; 2]> =
    LazyLock::new(|| std::array::from_fn(|_| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

/// Modulus and exponent, out of an RSAPublicKey (RFC 8017, appendix A.1.1).
pub fn numbers(key: &RsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, head) = match usize::from(der[1]) {
            short @ 0..=0x7f => (short, 2),
            0x80 | 0x81 => (usize::from(der[2]), 3),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        };
        der[head..].split_at(length)
    }
    let (sequence, _) = element(key.public_key().as_ref());
    let (modulus, rest) = element(sequence);
    let (exponent, _) = element(rest);
    let plain = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
    (plain(modulus), plain(exponent))
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key as Entra publishes it: no `alg`.
pub fn jwk(kid: &str, key: &RsaKeyPair) -> Value {
    let (modulus, exponent) = numbers(key);
    json!({
        "kty": "RSA", "use": "sig", "kid": kid, "x5t": kid,
        "n": base64(modulus), "e": base64(exponent),
    })
}

/// A compact JWS, whatever its header says.
pub fn sign(header: &[u8], payload: &[u8], key: &RsaKeyPair) -> String {
    sign_by(&RSA_PKCS1_SHA256, header, payload, key)
}

/// The same by any of RSA's ways to sign.
pub fn sign_by(
    way: &'static dyn RsaEncoding,
    header: &[u8],
    payload: &[u8],
    key: &RsaKeyPair,
) -> String {
    let input = format!("{}.{}", base64(header), base64(payload));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(way, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64(signature))
}

pub fn header(kid: &str) -> Value {
    json!({"typ": "JWT", "alg": "RS256", "kid": kid})
}

pub fn token(kid: &str, claims: &Value, key: &RsaKeyPair) -> String {
    let header = header(kid).to_string();
    sign(header.as_bytes(), claims.to_string().as_bytes(), key)
}

/// What the provider answers a request with.
#[derive(Clone)]
pub enum Reply {
    Json(u16, Value),
    Body(u16, Vec<u8>),
    Redirect(String),
    /// A body of this many bytes whose length is not announced.
    Chunked(usize),
    /// A body that is said to be of this type.
    Typed(&'static str, Vec<u8>),
    /// A body that breaks off, and the connection with it.
    Cut(Vec<u8>),
    /// The connection ends without an answer.
    Hangup,
    /// Too many requests; to come again after so many seconds.
    Throttled(u64),
    /// Nothing, ever.
    Silence,
}

#[derive(Clone)]
pub struct Seen {
    pub path: String,
    pub headers: http::HeaderMap,
    pub form: HashMap<String, String>,
}

type TokenEndpoint = Box<dyn Fn(&Seen) -> Reply + Send>;

struct Script {
    metadata: Reply,
    keys: Reply,
    graph: Reply,
    token: TokenEndpoint,
    seen: Vec<Seen>,
}

pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    is_down: Arc<AtomicBool>,
}

impl Provider {
    pub async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), None).await
    }

    /// Over TLS, as `localhost`.
    pub async fn start_tls(tls: tokio_rustls::TlsAcceptor) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(tls)).await
    }

    async fn serve(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let base = match tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let script = Arc::new(Mutex::new(Script {
            metadata: Reply::Json(200, metadata(&base)),
            keys: Reply::Json(200, json!({"keys": [jwk("one", &KEYS[0])]})),
            graph: Reply::Body(404, Vec::new()),
            token: Box::new(|_| Reply::Json(500, json!({"error": "server_error"}))),
            seen: Vec::new(),
        }));
        let is_down = Arc::new(AtomicBool::new(false));
        let provider = Self { address, script: Arc::clone(&script), is_down: Arc::clone(&is_down) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let script = Arc::clone(&script);
                let tls = tls.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&script), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let stream = TokioIo::new(stream);
                                drop(http.serve_connection(stream, service).await);
                            }
                        }
                    }
                });
            }
        });
        provider
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn issuer(&self) -> String {
        format!("{}/{TENANT}/v2.0", self.base())
    }

    /// Whether connections are closed as they come.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    pub fn set_metadata(&self, reply: Reply) {
        self.script.lock().unwrap().metadata = reply;
    }

    pub fn set_keys(&self, reply: Reply) {
        self.script.lock().unwrap().keys = reply;
    }

    pub fn set_graph(&self, reply: Reply) {
        self.script.lock().unwrap().graph = reply;
    }

    pub fn publish(&self, keys: &[Value]) {
        self.set_keys(Reply::Json(200, json!({ "keys": keys })));
    }

    pub fn set_token(&self, endpoint: impl Fn(&Seen) -> Reply + Send + 'static) {
        self.script.lock().unwrap().token = Box::new(endpoint);
    }

    /// Answers the token request with this ID token.
    pub fn issue(&self, id_token: String) {
        self.set_token(move |_| Reply::Json(200, token_answer(&id_token)));
    }

    pub fn seen(&self, part: &str) -> Vec<Seen> {
        let script = self.script.lock().unwrap();
        let seen = script.seen.iter();
        seen.filter(|seen| seen.path.contains(part)).cloned().collect()
    }

    pub fn count(&self, part: &str) -> usize {
        self.seen(part).len()
    }
}

pub fn metadata(base: &str) -> Value {
    json!({
        "issuer": format!("{base}/{TENANT}/v2.0"),
        "authorization_endpoint": format!("{base}/{TENANT}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/{TENANT}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/{TENANT}/discovery/v2.0/keys"),
        "end_session_endpoint": format!("{base}/{TENANT}/oauth2/v2.0/logout"),
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "cloud_instance_name": "microsoftonline.com",
        "tenant_region_scope": null,
    })
}

pub fn token_answer(id_token: &str) -> Value {
    json!({
        "token_type": "Bearer", "scope": "openid profile User.Read", "expires_in": "4211",
        "access_token": "opaque-access-token", "id_token": id_token,
    })
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    script: Arc<Mutex<Script>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let seen = Seen {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        form: url::form_urlencoded::parse(&body).into_owned().collect(),
    };
    let reply = {
        let mut script = script.lock().unwrap();
        let reply = match &*seen.path {
            path if path.ends_with("/.well-known/openid-configuration") => script.metadata.clone(),
            path if path.ends_with("/keys") => script.keys.clone(),
            path if path.ends_with("/token") => (script.token)(&seen),
            // About somebody else; nobody should ask.
            path if path.ends_with("/userinfo") => Reply::Json(200, json!({"sub": "mallory"})),
            path if path.starts_with("/graph/") => script.graph.clone(),
            _ => Reply::Body(404, Vec::new()),
        };
        script.seen.push(seen);
        reply
    };
    let response = Response::builder();
    let full = |body: Vec<u8>| Full::new(Bytes::from(body)).boxed();
    Ok(match reply {
        Reply::Json(status, value) => response
            .status(status)
            .header("content-type", "application/json")
            .body(full(value.to_string().into_bytes())),
        Reply::Body(status, body) => response.status(status).body(full(body)),
        Reply::Redirect(to) => response.status(302).header("location", to).body(full(Vec::new())),
        Reply::Typed(kind, body) => response.header("content-type", kind).body(full(body)),
        Reply::Cut(body) => response
            .header("content-type", "application/json")
            .header("content-length", body.len() * 2)
            .body(full(body).map_frame(|frame| frame).boxed()),
        Reply::Hangup => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Reply::Throttled(seconds) => {
            response.status(429).header("retry-after", seconds).body(full(Vec::new()))
        }
        Reply::Chunked(bytes) => response.body(chunks(bytes)),
        Reply::Silence => std::future::pending().await,
    }
    .unwrap())
}

fn chunks(bytes: usize) -> Body {
    struct Chunks(usize);
    impl hyper::body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let size = self.0.min(16 * 1024);
            self.0 -= size;
            let data = Bytes::from(vec![b' '; size]);
            std::task::Poll::Ready((size > 0).then(|| Ok(Frame::data(data))))
        }
    }
    Chunks(bytes).boxed()
}
