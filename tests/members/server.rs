//! A small HTTP server that does with a connection what no good one does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        assert!(found.len() < 2, "{name} came twice");
        found.first().copied()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What comes back.
#[derive(Clone, Debug)]
pub enum Reply {
    Json(u16, Value),
    /// With one header field.
    With(u16, &'static str, String),
    /// These bytes as the body.
    Raw(u16, Vec<u8>),
    /// A body that ends before its time.
    Short,
    /// Nothing, and the connection is closed.
    Cut,
    /// Nothing, for ever.
    Hang,
    /// That, after so long.
    Late(Duration, Box<Reply>),
}

/// Serves for as long as the test lasts.
pub async fn serve(handler: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let _ = exchange(stream, &*handler).await;
            });
        }
    });
    address
}

async fn exchange(
    mut stream: TcpStream,
    handler: &(impl Fn(Asked) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut body = bytes[head + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(());
        }
    }
    let mut words = line.split(' ');
    let asked = Asked {
        method: words.next().unwrap().to_owned(),
        target: words.next().unwrap().to_owned(),
        headers,
        body,
    };
    let mut reply = handler(asked);
    if let Reply::Late(time, late) = reply {
        tokio::time::sleep(time).await;
        reply = *late;
    }
    let (status, header, body) = match reply {
        Reply::Json(status, value) => (status, String::new(), value.to_string().into_bytes()),
        Reply::With(status, name, value) => (status, format!("{name}: {value}\r\n"), Vec::new()),
        Reply::Raw(status, body) => (status, String::new(), body),
        Reply::Short => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"decision\":";
            return stream.write_all(head.as_bytes()).await;
        }
        Reply::Cut => return Ok(()),
        Reply::Hang | Reply::Late(..) => std::future::pending().await,
    };
    // A 204 has no body and no length of one.
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n{header}{length}Connection: \
         close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
