//! One request as its bytes, and all that is answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Far more than anything takes.
const SOON: Duration = Duration::from_secs(30);

/// Asks on a connection of its own: a request line, and lines of a head that lacks `Host`.
pub(crate) fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let host = format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{request}\r\n{host}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
