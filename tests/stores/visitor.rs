//! What visitors send to a node, and what comes back: each request over a connection of its own.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The cookie by which the proxy knows a session.
pub const COOKIE: &str = "__Host-anteport";

/// Somebody who is signed in: whose name the portal has to hear, and the cookies that they are
/// known by.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub cookie: String,
}

impl Member {
    /// Takes up what a reply sets, as a browser does. Whether that was the session.
    pub fn keep(&mut self, reply: &Reply) -> bool {
        let known = self.cookie.split("; ").filter_map(|pair| pair.split_once('='));
        let mut jar: BTreeMap<_, _> = known.collect();
        let mut is_anew = false;
        for set in reply.headers("set-cookie") {
            let mut parts = set.split("; ");
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            if parts.any(|attribute| attribute == "Max-Age=0") {
                jar.remove(name);
            } else {
                is_anew |= name == COOKIE;
                jar.insert(name, value);
            }
        }
        self.cookie = header(&jar);
        is_anew
    }
}

/// Cookies as they are sent.
pub fn header<T: Display>(jar: &BTreeMap<T, T>) -> String {
    let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub took: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Opens a page as a browser would, over a connection of its own.
pub async fn ask(node: SocketAddr, host: &str, cookie: &str) -> io::Result<Reply> {
    let headers = format!(
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: {cookie}\r\n"
    );
    get(node, host, "/whoami", &headers).await
}

/// Signs out, as the portal's own pages do.
pub async fn sign_out(node: SocketAddr, host: &str, cookie: &str) -> io::Result<Reply> {
    let headers =
        format!("Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\n");
    post(node, host, "/.auth/logout", &headers, "").await
}

pub async fn get(at: SocketAddr, host: &str, target: &str, headers: &str) -> io::Result<Reply> {
    send(at, host, &format!("GET {target}"), headers, "").await
}

/// Sends a form, or whatever else the headers say that it is.
pub async fn post(
    at: SocketAddr,
    host: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> io::Result<Reply> {
    let headers = format!("{headers}Content-Length: {}\r\n", body.len());
    send(at, host, &format!("POST {target}"), &headers, body).await
}

async fn send(
    at: SocketAddr,
    host: &str,
    what: &str,
    headers: &str,
    body: &str,
) -> io::Result<Reply> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(at).await?;
    let text =
        format!("{what} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    Ok(Reply {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        head: head.to_owned(),
        body: body.to_owned(),
        took: begun.elapsed(),
    })
}
