//! Ten thousand WebSockets of a hundred sessions, one of which ends (SESS-10).
//!
//! They take more descriptors than a process may have everywhere: the portal is a process of its
//! own, and both are given as many as there may be.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::Request;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::ended_http2::{Sender, signs_in, websocket_on};
use crate::tls;
use crate::websockets::{agreed, head, talks};
use crate::world::{Plan, World};

const NAME: &str = "ten_thousand::sess_10_of_ten_thousand_websockets_those_of_one_session_close";
/// What a process of this test is for.
const ROLE: &str = "ANTEPORT_TEST_TEN_THOUSAND";
/// Where the portal's process listens.
const LISTENS: &str = "the portal listens on port ";

const SESSIONS: usize = 100;
const SOCKETS: usize = 100;
/// So many sessions speak HTTP/1.1, on a connection for each WebSocket; the others HTTP/2, on one
/// connection each.
const OVER_HTTP1: usize = 30;

const ROUTES: &str = r#"
    mode: azure_only
    local_login: {}
    routes: [ { path: "/**", access: signed_in, websocket: true } ]
    identity: { headers: { X-Auth-Email: email } }
"#;

/// A process of this test, with as many descriptors as it may have.
fn process(role: &str) -> Command {
    let mut command = Command::new("sh");
    let raise = "ulimit -S -n \"$(ulimit -H -n)\" && exec \"$@\"";
    command.args(["-c", raise, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(ROLE, role);
    command
}

/// A process that goes with the test.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sess_10_of_ten_thousand_websockets_those_of_one_session_close() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match std::env::var(ROLE).as_deref() {
        Ok("portal") => runtime().block_on(portal()),
        Ok(_) => runtime().block_on(everything()),
        Err(_) => {
            let output = process("world").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}\n{errors}");
            assert!(said.contains("1 passed"), "{said}\n{errors}");
            for line in said.lines().filter(|line| line.contains("WebSockets")) {
                println!("{line}");
            }
        }
    }
}

/// Agrees to every WebSocket and echoes, until it is killed.
async fn portal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{LISTENS}{}", listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut head = Vec::new();
    loop {
        // Nothing comes behind a head before it has been answered.
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                count => head.extend_from_slice(&buffer[..count]),
            }
        }
        if let Some(answer) = agreed(&String::from_utf8_lossy(&head)) {
            stream.write_all(answer.as_bytes()).await?;
            break;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").await?;
        head.clear();
    }
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// The portal's process, and its port.
fn start_portal() -> (Beside, u16) {
    let child = process("portal").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut beside = Beside(child.unwrap());
    let lines = BufReader::new(beside.0.stdout.take().unwrap()).lines();
    let mut ports = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(LISTENS).map(|port| port.parse().unwrap()));
    let port = ports.next().unwrap();
    (beside, port)
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

type Sockets = Vec<Box<dyn Socket>>;

async fn connection(world: &World, certificate: &CertificateDer<'static>) -> Sender {
    let mut sender = tls::over_http2(world, certificate).await;
    sender.ready().await.unwrap();
    sender
}

/// The WebSockets of one session, each of which has been heard.
async fn open(
    world: &World,
    certificate: &CertificateDer<'static>,
    number: usize,
    cookie: &str,
) -> Sockets {
    let mut sockets: Sockets = Vec::with_capacity(SOCKETS);
    if number < OVER_HTTP1 {
        for _ in 0..SOCKETS {
            let mut stream = tls::connect(world, certificate, b"http/1.1").await;
            let request = format!(
                "GET /live HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: {cookie}\r\n\r\n",
                world.proxy
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            talks(&mut stream, "hello").await;
            sockets.push(Box::new(stream));
        }
        return sockets;
    }
    let mut sender = connection(world, certificate).await;
    // The settings that allow it come with the first answer.
    let plain = Request::get(format!("https://{}/", world.proxy)).header("cookie", cookie);
    let answer = sender.send_request(plain.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer);
    for _ in 0..SOCKETS {
        sockets.push(Box::new(websocket_on(world, &mut sender, "/live", cookie).await));
    }
    sockets
}

/// How many of them are closed, when each is said something to and waited for.
async fn closed(sockets: &mut Sockets) -> usize {
    let mut closed = 0;
    for socket in sockets {
        let mut heard = [0; 5];
        let echoes = async {
            socket.write_all(b"again").await?;
            socket.read_exact(&mut heard).await.map(|_| ())
        };
        let echoes = tokio::time::timeout(Duration::from_secs(20), echoes).await;
        closed += usize::from(echoes.expect("it neither echoes nor closes").is_err());
    }
    closed
}

async fn everything() {
    let (portal, port) = start_portal();
    let plan = Plan {
        portal: ROUTES,
        upstream: Some(format!(
            "{{ url: \"http://127.0.0.1:{port}\", response_timeout: 20s, max_requests: 50000 }}"
        )),
        listen: ", max_connections: 20000, max_connections_per_address: 20000",
        ..Plan::default()
    };
    let begun = Instant::now();
    let (world, certificate) = tls::world_with(plan).await;
    let mut sender = connection(&world, &certificate).await;
    let mut cookies = Vec::with_capacity(SESSIONS);
    for number in 0..SESSIONS {
        let person = if number % 2 == 0 { "treasurer" } else { "member" };
        let person = format!("{person}@harborclub.example");
        cookies.push(signs_in(&world, &mut sender, &person).await);
    }
    let signed_in = begun.elapsed();
    let mut sessions: Vec<Sockets> = Vec::with_capacity(SESSIONS);
    for (number, cookie) in cookies.iter().enumerate() {
        sessions.push(open(&world, &certificate, number, cookie).await);
    }
    let count: usize = sessions.iter().map(Vec::len).sum();
    assert_eq!(count, 10_000);
    println!("{count} WebSockets after {:?}, logins {signed_in:?}", begun.elapsed());

    // One over each version of HTTP.
    for (before, ended) in [OVER_HTTP1 / 2, SESSIONS / 2].into_iter().enumerate() {
        let sign_out = Request::post(format!("https://{}/.auth/logout", world.proxy))
            .header("sec-fetch-site", "same-origin")
            .header("cookie", &cookies[ended])
            .body(Empty::new())
            .unwrap();
        let mut closing = JoinSet::new();
        for mut socket in sessions[ended].drain(..) {
            closing.spawn(async move {
                let mut rest = Vec::new();
                let _ = socket.read_to_end(&mut rest).await;
                rest
            });
        }
        let asked = Instant::now();
        assert_eq!(sender.send_request(sign_out).await.unwrap().status(), 303);
        let all = async {
            let mut closed = 0;
            while let Some(rest) = closing.join_next().await {
                assert!(rest.unwrap().is_empty(), "nothing was said any more");
                closed += 1;
            }
            closed
        };
        let all = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
        let took = asked.elapsed();
        assert_eq!(all, SOCKETS);
        assert!(took < Duration::from_secs(2), "{took:?}");
        let metric = format!(
            "anteport_streams_ended_total{{portal=\"{}\",kind=\"websocket\"}}",
            world.proxy
        );
        let counted = world.metric(&metric).await;
        assert_eq!(counted as usize, SOCKETS * (before + 1));
        println!(
            "{all} WebSockets of one session were closed {took:?} after its sign-out was asked for"
        );
    }
    let checking = Instant::now();
    let mut open = 0;
    for sockets in &mut sessions {
        open += sockets.len();
        assert_eq!(closed(sockets).await, 0);
    }
    assert_eq!(open, 10_000 - 2 * SOCKETS);
    println!("{open} WebSockets of the others echo, said within {:?}", checking.elapsed());
    drop((sessions, sender, portal));
    world.stop().await;
    println!("{count} WebSockets: {:?} in all", begun.elapsed());
}
