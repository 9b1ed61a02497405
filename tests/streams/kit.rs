//! The binary as a process, and what stands around it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use crate::folder::Folder;
pub(crate) use crate::ports::free_ports;

const BINARY: &str = env!("CARGO_BIN_EXE_anteport");

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Folder {
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }
}

/// The binary, running. It ends with the test.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
}

impl Running {
    /// Starts it, and waits until it is ready. Its output stays unread.
    pub(crate) fn start(config: &Path, port: u16) -> Self {
        let child = Command::new(BINARY)
            .args(["run", "--config"])
            .arg(config)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Self { child, port };
        until("it is ready", || {
            assert!(running.child.try_wait().unwrap().is_none(), "{}", running.said());
            running.admin("GET", "/readyz", "").is_some_and(|answer| answer.contains(" 200 "))
        });
        running
    }

    /// Everything that it has said on standard error, once it has ended.
    fn said(&mut self) -> String {
        let mut said = String::new();
        let _ = self.stderr().read_to_string(&mut said);
        said
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Asks it to stop; it has to do so within this time.
    pub(crate) fn stop_within(&mut self, limit: Duration) -> ExitStatus {
        self.signal("-TERM");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < limit, "it does not stop");
            std::thread::yield_now();
        }
    }

    /// The whole answer of the admin listener, if it gives one.
    pub(crate) fn admin(&self, method: &str, target: &str, body: &str) -> Option<String> {
        exchange(self.port + 1, method, target, &[], body.as_bytes())
    }

    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> String {
        let answer = exchange(self.port, method, target, headers, body.as_bytes());
        answer.unwrap_or_else(|| panic!("no answer to {method} {target}"))
    }

    /// A series of its metrics.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.admin("GET", "/metrics", "").unwrap();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.find(|(name, _)| *name == series).map_or(0.0, |(_, value)| value.parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that comes, with a generous bound.
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// One request and its answer, on a connection of their own.
fn exchange(
    port: u16,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    // What came before a reset counts.
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Reads a pipe to its end, beside everything else.
pub(crate) fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// A request as a server of the test got it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A plain HTTP/1.1 server that answers every request alike and remembers them all.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) fn start(port: u16, status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let record = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = Arc::clone(&record);
                std::thread::spawn(move || serve(stream, status, body, &record));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Until the other side has had enough.
fn serve(
    mut stream: TcpStream,
    status: &str,
    body: &str,
    record: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut read = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
            read.extend_from_slice(piece.get(..count)?);
        };
        let head = String::from_utf8_lossy(read.get(..end)?).into_owned();
        read.drain(..end + 4);
        let headers: BTreeMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while read.len() < length {
            let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
            read.extend_from_slice(piece.get(..count)?);
        }
        let sent: Vec<u8> = read.drain(..length).collect();
        let sent = String::from_utf8_lossy(&sent).into_owned();
        record.lock().unwrap().push(Asked { headers, body: sent });
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).ok()?;
    }
}
