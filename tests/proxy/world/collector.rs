//! A collector of traces, as far as a sender can tell: it takes what is posted to it, and answers
//! as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A request to it.
#[derive(Clone, Debug)]
pub struct Posted {
    pub head: String,
    pub body: Value,
}

pub struct Collector {
    pub address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    came: Arc<Notify>,
    listening: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

pub const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

impl Collector {
    /// Answers every request with these bytes; with none of them, never.
    pub async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let came = Arc::new(Notify::new());
        let (record, tell) = (Arc::clone(&posted), Arc::clone(&came));
        let listening = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (record, tell) = (Arc::clone(&record), Arc::clone(&tell));
                connections.spawn(async move {
                    take(stream, answer, &record, &tell).await;
                });
            }
        });
        Self { address, posted, came, listening }
    }

    /// What stands at `traces` for it, with more keys behind.
    pub fn section(&self, more: &str) -> &'static str {
        let section = format!("{{ endpoint: \"http://{}/v1/traces\"{more} }}", self.address);
        format!("traces: {section}").leak()
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// Waits for a request.
    pub async fn is_asked(&self) {
        let came = tokio::time::timeout(std::time::Duration::from_secs(20), self.came.notified());
        came.await.expect("nothing was posted to the collector");
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Span> {
        let posted = self.posted();
        let spans = posted
            .iter()
            .flat_map(|one| one.body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array());
        spans.flatten().cloned().map(Span).collect()
    }
}

/// A span, as it came.
#[derive(Clone, Debug)]
pub struct Span(pub Value);

impl Span {
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// An attribute; of a number, its digits.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let attributes = self.0["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|attribute| attribute["key"] == name)?;
        let value = found["value"].as_object().unwrap();
        value.values().next().unwrap().as_str()
    }
}

async fn take(
    mut stream: TcpStream,
    answer: &str,
    record: &Mutex<Vec<Posted>>,
    tell: &Notify,
) -> Option<()> {
    let mut read = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&piece[..count]);
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let length: usize = length.unwrap();
        let body = &read[end + 4..];
        if body.len() < length {
            continue;
        }
        let body = serde_json::from_slice(body).unwrap();
        record.lock().unwrap().push(Posted { head, body });
        tell.notify_one();
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        stream.write_all(answer.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
}
