//! A portal that records every byte it receives and answers by path, over plain sockets: no HTTP
//! library smooths over what the proxy sends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub line: String,
    /// Names as they were on the wire, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

impl Received {
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times", all.len());
        all.first().copied()
    }
}

pub struct Portal {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    listening: JoinHandle<()>,
}

impl Portal {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::listen(listener, Arc::default())
    }

    fn listen(listener: TcpListener, received: Arc<Mutex<Vec<Received>>>) -> Self {
        let address = listener.local_addr().unwrap();
        let record = Arc::clone(&received);
        let listening = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, connection, Arc::clone(&record)));
            }
        });
        Self { address, received, listening }
    }

    /// Nobody listens any more, and open connections are cut.
    pub async fn goes_down(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }

    pub async fn comes_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self = Self::listen(listener, Arc::clone(&self.received));
    }

    /// Everything that arrived, in order.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The latest request that arrived.
    pub fn last(&self) -> Received {
        self.received().last().cloned().expect("the portal received nothing")
    }
}

async fn serve(mut stream: TcpStream, connection: usize, record: Arc<Mutex<Vec<Received>>>) {
    let mut buffer = Vec::new();
    loop {
        let Some(received) = read(&mut stream, &mut buffer, connection).await else {
            return;
        };
        let target = received.line.split(' ').nth(1).unwrap_or_default().to_owned();
        let is_head = received.line.starts_with("HEAD ");
        record.lock().unwrap().push(received);
        let path = target.split('?').next().unwrap_or_default();
        let answer: Vec<u8> = match path {
            "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_vec(),
            "/cut-chunks" | "/public/cut-chunks" => {
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec()
            }
            "/close" => Vec::new(),
            // Whatever the query says, in hex: the header lines of the answer.
            "/say" => {
                let hex = target.split('?').nth(1).unwrap_or_default().as_bytes();
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
                let lines = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
                [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n".to_vec(), lines, b"\r\nok".to_vec()].concat()
            }
            "/silent" => std::future::pending().await,
            "/surplus" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison".to_vec(),
            "/switch" => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
            "/cookies" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: portal=1; Path=/\r\nSet-Cookie: __Host-anteport=stolen; Path=/; Secure\r\nSet-Cookie: __Host-anteport-login-1=x; Path=/; Secure\r\nX-Anteport-Assertion: reflected\r\nAlt-Svc: h2=\":443\"\r\nKeep-Alive: timeout=5\r\nConnection: X-Secret-Hop\r\nX-Secret-Hop: 1\r\nWWW-Authenticate: Basic\r\nX-Accel-Redirect: /internal\r\n\r\nok".to_vec(),
            "/local-session" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: PHPSESSID=during; Path=/; HttpOnly\r\nSet-Cookie: theme=dark\r\n\r\nok".to_vec(),
            "/public-page" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\nCache-Control: public, max-age=600, s-maxage=900\r\n\r\nok".to_vec(),
            "/page" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html; charset=utf-8\r\n\r\nok".to_vec(),
            "/trailers" | "/public/trailers" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-After\r\n\r\n2\r\nok\r\n0\r\nX-After: 1\r\n\r\n".to_vec(),
            "/stream" | "/public/huge" => {
                let chunks = if path == "/stream" { 1000 } else { 100_000 };
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head).await.unwrap();
                for _ in 0..chunks {
                    let chunk = [b"3e8\r\n".to_vec(), vec![b'x'; 1000], b"\r\n".to_vec()].concat();
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                b"0\r\n\r\n".to_vec()
            }
            _ => {
                let body = format!("the portal answers {target}");
                let length = body.len();
                let body = if is_head { "" } else { &body };
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n\r\n{body}").into_bytes()
            }
        };
        if path == "/early" {
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large";
            stream.write_all(answer).await.unwrap();
            while fill(&mut stream, &mut buffer).await.is_some() {}
            return;
        }
        let ends = matches!(path, "/cut" | "/cut-chunks" | "/public/cut-chunks" | "/close");
        if stream.write_all(&answer).await.is_err() || ends {
            return;
        }
    }
}

/// Reads one request exactly; `None` at the end of the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Received> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    let mut received = Received { line, headers, body: Vec::new(), connection };
    if received.line.contains(" /early ") {
        // It answers before it has read what is sent.
        return Some(received);
    }
    if let Some(length) = received.header("content-length").map(|text| text.parse().unwrap()) {
        while buffer.len() < length {
            fill(stream, buffer).await?;
        }
        received.body = buffer.drain(..length).collect();
    } else if received.header("transfer-encoding").is_some() {
        loop {
            let at = loop {
                match find(buffer, b"\r\n") {
                    Some(at) => break at,
                    None => fill(stream, buffer).await?,
                }
            };
            let size = String::from_utf8_lossy(&buffer[..at]).into_owned();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            buffer.drain(..at + 2);
            while buffer.len() < size + 2 {
                fill(stream, buffer).await?;
            }
            received.body.extend(buffer.drain(..size));
            buffer.drain(..2);
            if size == 0 {
                break;
            }
        }
    }
    Some(received)
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece).await {
        Ok(count) if count > 0 => {
            buffer.extend_from_slice(&piece[..count]);
            Some(())
        }
        _ => None,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
