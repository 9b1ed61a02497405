//! Forward-auth over gRPC, as Envoy asks: nobody gets by it who would not get by us (VER-01), and
//! what cannot be read is a no within an answer (GEN-02). The messages are written and read here by
//! hand, from their published numbers. What is refused however it is asked: `verify`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http2::{CANCEL, END_HEADERS, HEADERS, RST_STREAM, fields as head_fields, frame};
use crate::verify::{Described, GRPC, assertion, get};
use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::folder::Folder;
use crate::world::{Plan, World, assert_refusal};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const PERMISSION_DENIED: u64 = 7;
const OVERWRITE: u64 = 2;

async fn world(top: &'static str) -> World {
    World::start_with(Plan { top, ..Plan::default() }).await
}

/// A field with bytes in it, be they a text or another message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 128 {
        written.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    written.push(u8::try_from(length).unwrap());
    written.extend_from_slice(content);
    written
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            return value;
        }
    }
}

/// What stands at a number: bytes, or a number.
#[derive(Debug)]
enum Value {
    Bytes(Vec<u8>),
    Number(u64),
}

/// The fields of a message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(content.to_vec())
            }
            kind => panic!("a field of kind {kind}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let found = fields(message).into_iter().filter(|(known, _)| *known == number);
    found
        .filter_map(|(_, value)| match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) => None,
        })
        .collect()
}

fn number(message: &[u8], number: u64) -> u64 {
    let found = fields(message).into_iter().find(|(known, _)| *known == number);
    match found {
        Some((_, Value::Number(value))) => value,
        _ => 0,
    }
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(all(message, number).concat()).unwrap()
}

/// What Envoy says of a request.
#[derive(Clone)]
pub struct Question {
    method: String,
    scheme: String,
    host: String,
    path: Vec<u8>,
    /// As they are, or together where they are of one name.
    is_raw: bool,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    source: &'static str,
    /// More fields of `HttpRequest`.
    more: Vec<u8>,
}

impl Question {
    pub fn of(described: &Described<'_>, browser: &Browser, world: &World) -> Self {
        let mut question = Self {
            method: described.method.to_owned(),
            scheme: described.scheme.to_owned(),
            host: world.proxy.to_string(),
            path: described.uri.into(),
            is_raw: false,
            headers: Vec::new(),
            body: Vec::new(),
            source: "192.0.2.1",
            more: Vec::new(),
        };
        for (name, value) in [
            (":method", described.method),
            (":scheme", described.scheme),
            (":authority", &*world.proxy.to_string()),
            (":path", described.uri),
        ] {
            question = question.with(name, value);
        }
        for (name, value) in &described.more {
            question = question.with(name, value);
        }
        match browser.cookie() {
            Some(cookies) => question.with("cookie", &cookies),
            None => question,
        }
    }

    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Says something else at a pseudo-header.
    fn saying(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.with(name, value)
    }

    fn raw(self) -> Self {
        Self { is_raw: true, ..self }
    }

    fn body(self, body: &str) -> Self {
        Self { body: body.into(), ..self }
    }

    fn message(&self) -> Vec<u8> {
        let mut http = [
            field(2, self.method.as_bytes()),
            field(4, &self.path),
            field(5, self.host.as_bytes()),
            field(6, self.scheme.as_bytes()),
        ]
        .concat();
        if self.is_raw {
            let raw = self.headers.iter().flat_map(|(name, value)| {
                field(1, &[field(1, name.as_bytes()), field(3, value)].concat())
            });
            http.extend(field(13, &raw.collect::<Vec<u8>>()));
            http.extend(field(12, &self.body));
        } else {
            let mut together: Vec<(&str, Vec<u8>)> = Vec::new();
            for (name, value) in &self.headers {
                match together.iter_mut().find(|(known, _)| known == name) {
                    Some((_, before)) => before.extend([b",", &**value].concat()),
                    None => together.push((name, value.clone())),
                }
            }
            for (name, value) in together {
                http.extend(field(3, &[field(1, name.as_bytes()), field(2, &value)].concat()));
            }
            http.extend(field(11, &self.body));
        }
        http.extend(&self.more);
        let address = field(1, &field(1, &field(2, self.source.as_bytes())));
        let attributes = [field(1, &address), field(4, &field(2, &http))].concat();
        field(1, &attributes)
    }

    pub async fn ask(&self, world: &World) -> Told {
        ask(world, &framed(&self.message())).await
    }
}

/// One message, uncompressed.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// What Envoy is told.
#[derive(Debug)]
pub struct Told {
    code: u64,
    /// What the visitor gets, or the headers with which the request passes.
    answer: Answer,
    remove: Vec<String>,
    /// What the visitor gets besides when it passes.
    cookies: Vec<String>,
}

impl Told {
    /// As the other ways to ask would have it.
    pub fn into_heard(self) -> Answer {
        let cookies = self.cookies.into_iter().map(|cookie| ("set-cookie".to_owned(), cookie));
        let mut answer = self.answer;
        answer.headers.extend(cookies);
        answer
    }

    fn passes(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.answer.text());
        self
    }

    fn read(message: &[u8]) -> Self {
        let option = |option: &Vec<u8>, action| {
            assert_eq!(number(option, 3), action, "a header is set in place of what is there");
            let header = all(option, 1).concat();
            (text(&header, 1), text(&header, 2))
        };
        let url = url::Url::parse("http://127.0.0.1/").unwrap();
        let status = all(message, 1).concat();
        let code = number(&status, 1);
        let (denied, ok) = (all(message, 2), all(message, 3));
        match (&*denied, &*ok) {
            ([denied], []) => {
                assert_eq!(code, PERMISSION_DENIED);
                let status = number(&all(denied, 1).concat(), 1).try_into().unwrap();
                assert!(status >= 300, "{status} is no denial");
                let headers = all(denied, 2).iter().map(|one| option(one, 0)).collect();
                let answer = Answer { status, headers, body: all(denied, 3).concat(), url };
                Self { code, answer, remove: Vec::new(), cookies: Vec::new() }
            }
            ([], [ok]) => {
                assert_eq!(code, 0);
                let headers = all(ok, 2).iter().map(|one| option(one, OVERWRITE)).collect();
                let answer = Answer { status: 200, headers, body: Vec::new(), url };
                let text = |bytes| String::from_utf8(bytes).unwrap();
                let remove: Vec<String> = all(ok, 5).into_iter().map(text).collect();
                for name in &remove {
                    assert_eq!(answer.header(name), None, "removed after it was set: {name}");
                }
                let added = all(ok, 6);
                let cookies = added.iter().map(|one| option(one, 0)).map(|(name, value)| {
                    assert_eq!(name, "set-cookie");
                    value
                });
                Self { code, answer, remove, cookies: cookies.collect() }
            }
            _ => panic!("neither a yes nor a no: {message:?}"),
        }
    }
}

async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Sender {
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

type Sender = http2::SendRequest<Full<Bytes>>;

async fn connect(world: &World) -> Sender {
    over(TcpStream::connect(world.grpc.unwrap()).await.unwrap()).await
}

/// One exchange: what `Response` says, its message, and `grpc-status`.
async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> (Vec<u8>, String) {
    let response = sender.send_request(request).await.unwrap();
    heard(response).await
}

async fn heard(response: Response<Incoming>) -> (Vec<u8>, String) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = trailers.get("grpc-status").or(head.headers.get("grpc-status")).unwrap();
    let status = status.to_str().unwrap().to_owned();
    (body.to_bytes().to_vec(), status)
}

fn request(path: &str) -> http::request::Builder {
    Request::post(format!("http://anteport{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

async fn ask(world: &World, body: &[u8]) -> Told {
    let mut sender = connect(world).await;
    let request = request(CHECK).body(Full::from(body.to_vec())).unwrap();
    let (message, status) = exchange(&mut sender, request).await;
    assert_eq!(status, "0", "an error may be taken for a yes");
    let length = u32::try_from(message.len() - 5).unwrap().to_be_bytes();
    assert_eq!(message[..5], [&[0], &length[..]].concat());
    Told::read(&message[5..])
}

#[tokio::test]
async fn ver_01_a_member_passes_with_the_headers_that_the_portal_would_get() {
    let world = world(GRPC).await;
    let browser = world.treasurer().await;
    for is_raw in [false, true] {
        let question =
            Question { is_raw, ..Question::of(&get("/reports?q=a%20b"), &browser, &world) };
        let passes = question.ask(&world).await.passes();
        let through = browser.send("GET", "/reports", PAGE, b"").await;
        assert_eq!(through.status, 200);
        let told = world.portal.last();
        for name in ["x-auth-user", "x-auth-email", "x-auth-name", "x-auth-roles"] {
            assert!(told.header(name).is_some());
            assert_eq!(passes.answer.all(name), [told.header(name).unwrap()], "{name}");
        }
        assert_eq!(assertion(&passes.answer)["aud"], format!("http://{}", world.proxy));
        // COOK-01, PATH-15.
        assert_eq!(passes.remove, ["cookie", "authorization"]);
        // FWD-01: what this one says of where it comes from, but not what Envoy itself says.
        let said = Question { is_raw, ..Question::of(&get("/reports"), &browser, &world) };
        let said = said.with("x-forwarded-host", "evil.example").with("true-client-ip", "10.0.0.1");
        let said = said.with("x-forwarded-for", "192.0.2.7").with("x-envoy-internal", "true");
        let removed = said.ask(&world).await.passes().remove;
        assert_eq!(removed[..2], ["cookie", "authorization"]);
        let mut more = removed[2..].to_vec();
        more.sort();
        assert_eq!(more, ["true-client-ip", "x-forwarded-host"]);
        assert!(passes.cookies.is_empty());
        let theme = Question { is_raw, ..Question::of(&get("/reports"), &world.browser(), &world) };
        let theme = theme.with("cookie", format!("theme=dark; {}", browser.cookie().unwrap()));
        let passes = theme.ask(&world).await.passes();
        assert_eq!(passes.answer.all("cookie"), ["theme=dark"]);
        assert_eq!(passes.remove, ["authorization"]);
        // HTTP/2 may have had several.
        let crumbs = Question { is_raw, ..Question::of(&get("/reports"), &browser, &world) };
        let crumbs = crumbs.with("cookie", "theme=dark").ask(&world).await;
        assert!(!format!("{:?}", crumbs.answer).contains("__Host-anteport="), "COOK-01");
    }
    // Whoever is nobody, on a public page: nothing of what could say who they are is left.
    let nobody = Question::of(&get("/public/x"), &world.browser(), &world);
    let passes = nobody.ask(&world).await.passes();
    assert!(passes.answer.headers.is_empty(), "{:?}", passes.answer);
    let removed = ["x-anteport-assertion", "x-auth-user", "x-auth-email", "x-auth-roles", "cookie"];
    assert!(removed.iter().all(|name| passes.remove.iter().any(|known| known == name)));
    for method in ["HEAD", "POST", "DELETE", "OPTIONS"] {
        let question = Question::of(&get("/reports").method(method), &browser, &world);
        question.ask(&world).await.passes();
    }
    world.stop().await;
}

#[tokio::test]
async fn ver_01_strangers_get_an_answer_with_all_its_cookies() {
    let world = world(GRPC).await;
    let told = Question::of(&get("/reports"), &world.browser(), &world).ask(&world).await;
    assert_eq!(told.answer.status, 303);
    assert!(told.answer.location().path().ends_with("/authorize"));
    assert!(told.answer.header("set-cookie").unwrap().starts_with("__Host-anteport-login-"));
    assert_eq!(told.answer.header("cache-control"), Some("no-store"), "VER-02");
    for (uri, status) in [("/.auth/me", 403), ("/.auth/verify", 403), ("/.auth/verify/x", 403)] {
        let told = Question::of(&get(uri), &world.browser(), &world).ask(&world).await;
        assert_refusal(&told.answer, status, "verify-own");
    }
    // Over HTTP nobody is asked here.
    let browser = world.treasurer().await;
    assert_refusal(&browser.send("GET", "/.auth/verify", PAGE, b"").await, 404, "endpoint-unknown");
    world.stop().await;
}

#[tokio::test]
async fn ver_01_a_description_is_there_once_and_whole() {
    let world = world(GRPC).await;
    let browser = world.treasurer().await;
    let good = Question::of(&get("/reports"), &browser, &world);
    good.ask(&world).await.passes();
    let host = good.host.clone();
    let changed = |change: &dyn Fn(&mut Question)| {
        let mut question = good.clone();
        change(&mut question);
        question
    };
    for (why, question) in [
        ("no method", changed(&|question| question.method.clear())),
        ("no path", changed(&|question| question.path.clear())),
        ("no host", changed(&|question| question.host.clear())),
        ("no scheme", changed(&|question| question.scheme.clear())),
        ("another scheme", changed(&|question| question.scheme = "ws".into())),
        ("another method", good.clone().saying(":method", "POST")),
        ("another path", good.clone().saying(":path", "/public/x")),
        ("another host", good.clone().saying(":authority", "elsewhere.example")),
        ("another host", good.clone().with("host", "elsewhere.example")),
        ("a host twice", good.clone().raw().with("host", &host).with("host", &host)),
        ("another scheme", good.clone().saying(":scheme", "https")),
        ("a pseudo-header of nobody's", good.clone().with(":protocol", "websocket")),
        ("a path twice", good.clone().raw().with(":path", "/reports")),
        ("no name", good.clone().with("", "x")),
        ("no name", good.clone().with("a b", "x")),
        ("two lines", good.clone().with("x-a", "1\r\nx-auth-user: admin")),
        ("nothing", good.clone().raw().with("x-a", "\0")),
        ("a query apart", changed(&|question| question.more = field(7, b"a=b"))),
        ("a fragment", changed(&|question| question.more = field(8, b"a"))),
        (
            "a header twice",
            changed(&|question| {
                let one = [field(1, b"x-a"), field(2, b"1")].concat();
                question.more = [field(3, &one), field(3, &one)].concat();
            }),
        ),
        (
            "headers in both ways",
            changed(&|question| {
                question.more = field(13, &field(1, &[field(1, b"x-a"), field(3, b"1")].concat()));
            }),
        ),
        (
            "a header in two ways",
            changed(&|question| {
                question.is_raw = true;
                let one = [field(1, b"x-a"), field(2, b"1"), field(3, b"2")].concat();
                question.more = field(13, &field(1, &one));
            }),
        ),
        (
            "another case",
            changed(&|question| {
                question.more = field(3, &[field(1, b"X-Auth-User"), field(2, b"1")].concat());
            }),
        ),
        (
            "a body in two ways",
            changed(&|question| {
                question.body = b"a=b".to_vec();
                question.more = field(12, b"a=c");
            }),
        ),
        ("no address", changed(&|question| question.source = "example.org")),
        ("an absolute path", Question::of(&get("http://x/reports"), &browser, &world)),
        ("no path", Question::of(&get("*").method("OPTIONS"), &browser, &world)),
        ("an address", Question::of(&get("example.org:443").method("CONNECT"), &browser, &world)),
        ("bytes", Question::of(&get("/é"), &browser, &world)),
        // It may stand for a byte that Envoy has and sends on.
        ("a replacement", Question::of(&get("/public/!"), &browser, &world)),
        ("a length that is none", good.clone().with("content-length", "+1")),
        ("whole and not", {
            let twice = good.clone().raw().with("x-envoy-auth-partial-body", "false");
            twice.with("x-envoy-auth-partial-body", "true")
        }),
    ] {
        let told = question.ask(&world).await;
        assert_eq!(told.answer.status, 403, "{why}");
        assert_refusal(&told.answer, 403, "verify-description");
    }
    // What a yes could not say.
    let latin = Question::of(&get("/public/x"), &world.browser(), &world).raw();
    let told = latin.with("cookie", b"theme=\xe9").ask(&world).await;
    assert_refusal(&told.answer, 403, "verify-header");
    // It stands for itself where the bytes came along, and in a query.
    Question::of(&get("/public/!"), &browser, &world).raw().ask(&world).await.passes();
    Question::of(&get("/public/?!"), &browser, &world).ask(&world).await.passes();
    for (host, status) in [("elsewhere.example", 421), ("a@b", 403), ("a/b", 403)] {
        let question = changed(&|question| question.host = host.into());
        let told = question.saying(":authority", host).ask(&world).await;
        assert_eq!(told.answer.status, status, "{host}");
    }
    for (uri, status) in [
        ("//reports", 400),
        ("/../reports", 400),
        ("/%2e%2e/reports", 400),
        ("/a%00", 400),
        ("/a%2fb", 400),
        ("/reports;x", 400),
        ("/a\\b", 400),
    ] {
        let told = Question::of(&get(uri), &browser, &world).ask(&world).await;
        assert_eq!(told.answer.status, status, "{uri}");
    }
    let https = Described { scheme: "https", ..get("/reports") };
    assert_eq!(Question::of(&https, &browser, &world).ask(&world).await.answer.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn gen_02_what_is_no_message_is_a_no() {
    let world = world(GRPC).await;
    let good = Question::of(&get("/public/x"), &world.browser(), &world).message();
    let whole = framed(&good);
    for (why, body) in [
        ("nothing", vec![]),
        ("half a frame", whole[..3].to_vec()),
        ("half a message", whole[..whole.len() - 1].to_vec()),
        ("more than a message", [&*whole, b"x"].concat()),
        ("two messages", [whole.clone(), whole.clone()].concat()),
        ("another length", [&[0, 255, 255, 255, 255], &*good].concat()),
        ("compressed by nothing", [&[1], &whole[1..]].concat()),
        ("a flag of nobody's", [&[2], &whole[1..]].concat()),
        ("an empty message", framed(b"")),
        ("no message", framed(b"\xff\xff\xff\xff")),
        ("a message that is cut", framed(&good[..good.len() - 1])),
        ("a length of everything", framed(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")),
        ("no attributes", framed(&field(1, b""))),
        ("no request", framed(&field(1, &field(4, b"")))),
        ("an empty request", framed(&field(1, &field(4, &field(2, b""))))),
        ("groups in groups", framed(&[0x0b; 4000])),
    ] {
        let told = ask(&world, &body).await;
        assert_eq!(told.answer.status, 403, "{why}");
        assert_refusal(&told.answer, 403, "verify-description");
    }
    // LIM-01: of any size, and however much is in it.
    let huge = Question::of(&get("/public/x"), &world.browser(), &world);
    let told = huge.clone().body(&"x".repeat(2 << 20)).ask(&world).await;
    assert_refusal(&told.answer, 413, "body-too-large");
    let told = huge.clone().with("x-a", "x".repeat(40 * 1024)).ask(&world).await;
    assert_eq!(told.answer.status, 431);
    let many = (0..200).fold(huge, |question, at| question.with(&format!("x-{at}"), "1"));
    assert_eq!(many.ask(&world).await.answer.status, 431);
    let most = Question::of(&get("/public/x"), &world.browser(), &world);
    let most = (0..5000)
        .fold(Question { is_raw: true, ..most }, |all, at| all.with(&format!("a{at}"), ""));
    assert_refusal(&most.ask(&world).await.answer, 403, "verify-description");
    let long = format!("/public/{}", "x".repeat(9000));
    let told = Question::of(&get(&long), &world.browser(), &world).ask(&world).await;
    assert_eq!(told.answer.status, 414);
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_here_is_not_implemented() {
    let world = world(GRPC).await;
    let good = framed(&Question::of(&get("/public/x"), &world.browser(), &world).message());
    let mut sender = connect(&world).await;
    let compressed = [&[1], &good[1..]].concat();
    for (request, body) in [
        (request("/envoy.service.auth.v2.Authorization/Check"), &good),
        (request("/grpc.health.v1.Health/Check"), &good),
        (request("/public/x"), &good),
        (Request::post(format!("http://anteport{CHECK}")), &good),
        (
            Request::post(format!("http://anteport{CHECK}")).header("content-type", "text/html"),
            &good,
        ),
        (request(CHECK).method("GET"), &good),
        (request(CHECK).header("grpc-encoding", "gzip"), &compressed),
    ] {
        let request = request.body(Full::from(body.clone())).unwrap();
        let what = format!("{} {}", request.method(), request.uri());
        let (message, status) = exchange(&mut sender, request).await;
        assert_eq!((message.len(), &*status), (0, "12"), "{what}");
    }
    world.stop().await;
}

#[tokio::test]
async fn ver_01_only_those_who_are_listed_are_believed() {
    const ELSEWHERE: &str = "verify: { peers: [192.0.2.0/24], grpc: { address: \"127.0.0.1:0\" } }";
    let world = world(ELSEWHERE).await;
    let browser = world.treasurer().await;
    let question = Question::of(&get("/public/x"), &browser, &world);
    assert_refusal(&question.ask(&world).await.answer, 403, "verify-peer");
    // Not even read.
    assert_refusal(&ask(&world, b"").await.answer, 403, "verify-peer");
    // Whoever is listed meanwhile is, from the next question on.
    let mut sender = connect(&world).await;
    world.configure("192.0.2.0/24", "127.0.0.1");
    world.reload().await.unwrap();
    let body = Full::from(framed(&question.message()));
    let (message, _) = exchange(&mut sender, request(CHECK).body(body).unwrap()).await;
    Told::read(&message[5..]).passes();
    // And another address takes a restart.
    world.configure("127.0.0.1:0", "127.0.0.1:1");
    let error = world.reload().await.unwrap_err().to_string();
    assert!(error.contains("verify.grpc.address"), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn path_12_a_form_that_came_along_is_read() {
    const FORMS: &str = r#"
    local_login:
      form_limit: 1KiB
      password_routes: [ { path: /entry, methods: [POST], form: { task: sign_in } } ]
    routes: [ { path: "/**", access: signed_in } ]
    identity: { headers: { X-Auth-User: oid } }"#;
    const URLENCODED: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let world = World::start_with(Plan { top: GRPC, portal: FORMS, ..Plan::default() }).await;
    let browser = world.treasurer().await;
    let described = get("/entry").method("POST").with(URLENCODED.0, URLENCODED.1);
    let form = |body: &str| Question::of(&described, &browser, &world).body(body);
    let length = |question: Question| {
        let length = question.body.len().to_string();
        question.with("content-length", length)
    };
    let partial = |question: Question, says: &str| question.with("x-envoy-auth-partial-body", says);
    for is_raw in [false, true] {
        let ask = async |question: Question| Question { is_raw, ..question }.ask(&world).await;
        ask(length(form("task=comment"))).await.passes();
        ask(partial(length(form("task=comment")), "false")).await.passes();
        ask(form("").with("content-length", "0")).await.passes();
        for body in ["task=sign_in", "a=b&task=sign_in&c", "task=comment&task=sign_in"] {
            for question in [length(form(body)), partial(length(form(body)), "false")] {
                let told = ask(question).await;
                assert_refusal(&told.answer, 403, "local-login-blocked");
            }
        }
        // What is left of it could say anything.
        for question in [
            form(""),
            form("task=comment"),
            form("task=comment").with("content-length", "13"),
            form("").with("content-length", "12"),
            partial(form(""), "false"),
            // Envoy says so, too, of as much as it may send, and sends on what comes behind it.
            partial(form("task=comment"), "false"),
            partial(form("task=comment"), "true"),
            partial(length(form("task=comment")), "true"),
            partial(form("task=comment"), "no"),
            form("").with("content-length", "0").with("transfer-encoding", "chunked"),
        ] {
            assert_refusal(&ask(question).await.answer, 403, "verify-form");
        }
        let told = ask(length(form(&format!("a={}", "x".repeat(2000))))).await;
        assert_refusal(&told.answer, 403, "local-login-blocked");
        // A GET has none, unless there is one.
        let page = Question::of(&get("/entry"), &browser, &world);
        ask(page.clone()).await.passes();
        ask(partial(page.body("task=sign_in"), "true")).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_visitors_address_may_be_of_any_kind_or_missing() {
    const PORTAL: &str = r#"
    routes: [ { path: "/**", access: signed_in } ]
    local_login: {}
    identity: { headers: { X-Auth-User: oid } }"#;
    let listen = ", trusted_proxies: [198.51.100.0/24]";
    let world = World::start_with(Plan { top: GRPC, portal: PORTAL, listen, ..Plan::default() });
    let world = world.await;
    let browser = world.treasurer().await;
    for source in ["192.0.2.1", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.1", ""] {
        let question = Question::of(&get("/x"), &browser, &world);
        let question = Question { source, ..question }.with("x-forwarded-for", "203.0.113.9");
        question.ask(&world).await.passes();
    }
    world.stop().await;
}

#[tokio::test]
async fn sess_03_a_session_that_is_in_the_browser_is_renewed_there() {
    const COOKIE: &str = "{ store: cookie, \
        keys: [ { value: \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\" } ] }";
    let plan = Plan { top: GRPC, sessions: COOKIE, ..Plan::default() };
    let world = World::start_with(plan).await;
    let browser = world.treasurer().await;
    let question = Question::of(&get("/reports"), &browser, &world);
    assert!(question.ask(&world).await.passes().cookies.is_empty());
    world.clock.advance(Duration::from_secs(20 * 60));
    let cookies = question.ask(&world).await.passes().cookies;
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-anteport=")), "{cookies:?}");
    world.stop().await;
}

#[tokio::test]
async fn cry_03_it_is_asked_over_tls_where_that_is_configured() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = folder.write("tls.crt", &made.cert.pem());
    let key = folder.write("tls.key", &made.signing_key.serialize_pem());
    let top = format!(
        "verify: {{ peers: [127.0.0.1], grpc: {{ address: \"127.0.0.1:0\", \
         tls: {{ certificate: \"{}\", key: \"{}\" }} }} }}",
        certificate.display(),
        key.display()
    );
    let world = world(top.leak()).await;
    let stream = crate::tls::connect_to(world.grpc.unwrap(), made.cert.der(), b"h2").await;
    let mut sender = over(stream).await;
    let question = Question::of(&get("/public/x"), &world.browser(), &world);
    let body = Full::from(framed(&question.message()));
    let (message, status) = exchange(&mut sender, request(CHECK).body(body).unwrap()).await;
    assert_eq!(status, "0");
    Told::read(&message[5..]).passes();
    drop(sender);
    world.stop().await;
}

/// Who breaks off many requests makes their server break off as many questions, on a connection
/// that others' go over.
#[tokio::test]
async fn lim_08_a_visitor_who_breaks_off_ends_nobody_elses_questions() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const ELSEWHERE: &str = "verify: { peers: [192.0.2.1], grpc: { address: \"127.0.0.1:0\" } }";
    // Whoever is not listed has what every visitor has.
    for (top, ends) in [(GRPC, PING), (ELSEWHERE, GOAWAY)] {
        let world = world(top).await;
        let mut stream = TcpStream::connect(world.grpc.unwrap()).await.unwrap();
        let mut wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        wire.extend(frame(SETTINGS, 0, 0, &[]));
        let head = head_fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", CHECK),
            (":authority", "anteport"),
            ("content-type", "application/grpc"),
        ]);
        for at in 0..300 {
            wire.extend(frame(HEADERS, END_HEADERS, 2 * at + 1, &head));
            wire.extend(frame(RST_STREAM, 0, 2 * at + 1, &CANCEL.to_be_bytes()));
        }
        wire.extend(frame(PING, 0, 0, &[7; 8]));
        stream.write_all(&wire).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                stream.read_exact(&mut payload).await.unwrap();
                if head[3] == GOAWAY || (head[3] == PING && head[4] == 1) {
                    return head[3];
                }
            }
        });
        assert_eq!(end.await.unwrap(), ends, "{top}");
        drop(stream);
        world.stop().await;
    }
}
