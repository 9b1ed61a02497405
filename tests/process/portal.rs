//! A portal that takes its time: each answer ends when the test says so.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

/// Listens until the test ends.
pub(crate) struct Portal {
    pub(crate) port: u16,
    finish: Sender<()>,
}

impl Portal {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (finish, finished) = channel();
        let finished = Arc::new(Mutex::new(finished));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let finished = Arc::clone(&finished);
                std::thread::spawn(move || while serve(&stream, &finished) {});
            }
        });
        Self { port, finish }
    }

    /// Lets a download go on to its end.
    pub(crate) fn finish(&self) {
        self.finish.send(()).unwrap();
    }
}

pub(crate) fn head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Answers one request; false at the end.
fn serve(mut stream: &TcpStream, finished: &Mutex<Receiver<()>>) -> bool {
    let head = head(stream);
    let Some(target) = head.split(' ').nth(1) else {
        return false;
    };
    let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_err() {
        return false;
    }
    let written = match target {
        "/download" => {
            let begun = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
            let _ = finished.lock().unwrap().recv();
            begun.and_then(|()| stream.write_all(b"half"))
        }
        "/live" => return live(stream, &head),
        _ => {
            let text = format!("{target} {}", body.len());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            stream.write_all(format!("{head}{text}").as_bytes())
        }
    };
    written.is_ok()
}

/// Sends each frame back as it came, without its mask; ends with the visitor's last.
fn live(mut stream: &TcpStream, head: &str) -> bool {
    let key = field(head, "sec-websocket-key").unwrap();
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let sha1 = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let proof = aws_lc_rs::digest::digest(sha1, text.as_bytes());
    let proof = base64::engine::general_purpose::STANDARD.encode(proof);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {proof}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    loop {
        let mut head = [0; 6];
        if stream.read_exact(&mut head).is_err() {
            return false;
        }
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        stream.read_exact(&mut payload).unwrap();
        for (byte, mask) in payload.iter_mut().zip(head[2..].iter().cycle()) {
            *byte ^= mask;
        }
        let frame = [&[head[0], head[1] & 0x7f][..], &payload].concat();
        if stream.write_all(&frame).is_err() || head[0] & 0xf == 8 {
            return false;
        }
    }
}

/// A visitor's WebSocket.
pub(crate) struct WebSocket(TcpStream);

impl WebSocket {
    pub(crate) fn open(port: u16, cookie: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(super::running::SOON)).unwrap();
        let request = format!(
            "GET /live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{cookie}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self(stream)
    }

    pub(crate) fn says(&mut self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0][..], payload].concat();
        self.0.write_all(&frame).unwrap();
    }

    /// The next frame, or `None` at the end.
    pub(crate) fn hears(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let mut payload = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[0] & 0xf, payload))
    }

    pub(crate) fn talks(&mut self, text: &str) {
        self.says(1, text.as_bytes());
        assert_eq!(self.hears(), Some((1, text.as_bytes().to_vec())));
    }
}
