//! A sink that blocks costs lines, not requests (LOG-02, REL-09): pipes that nobody reads.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::kit::{Folder, Running, Server, free_ports};
use crate::open::open;

/// Far more lines than a pipe and our queue hold together.
const REQUESTS: usize = 10_000;
const VISITORS: usize = 4;

fn config(port: u16, portal: u16, to: &str) -> String {
    open(port, port + 1, portal, &format!("logging: {{ to: {to} }}"))
}

/// Asks so often on one connection, and has an answer of the portal's each time.
fn ask_often(port: u16, times: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!("GET /page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    for number in 0..times {
        stream.write_all(request.as_bytes()).unwrap();
        while !read.ends_with(b"the portal's answer") {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "cut at request {number}");
            read.extend_from_slice(piece.get(..count).unwrap());
        }
        assert!(read.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&read));
        read.clear();
    }
}

fn a_pipe_that_nobody_reads(to: &str) {
    let folder = Folder::new();
    let port = free_ports(2);
    let portal = Server::start(0, "200 OK", "the portal's answer");
    let file = folder.write("config.yaml", &config(port, portal.port, to));
    // Both pipes are there, and nobody takes anything out of them.
    let mut running = Running::start(&file, port);
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| ask_often(port, REQUESTS / VISITORS));
        }
    });
    assert_eq!(portal.asked().len(), REQUESTS, "each request was answered by the portal");
    let lost = running.metric("anteport_log_lines_dropped_total");
    assert!(lost > 1000.0, "{lost} lines were lost");
    let status = running.stop_within(Duration::from_secs(20));
    assert_eq!(status.code(), Some(0), "and it stops as ever");
}

#[test]
fn log_02_rel_09_standard_output_that_nobody_reads_costs_lines_and_no_request() {
    a_pipe_that_nobody_reads("stdout");
}

#[test]
fn log_02_rel_09_standard_error_that_nobody_reads_costs_lines_and_no_request() {
    a_pipe_that_nobody_reads("stderr");
}

/// Whoever read it has gone: each line fails at once.
#[test]
fn log_02_a_reader_that_goes_costs_lines_and_no_request() {
    let folder = Folder::new();
    let port = free_ports(2);
    let portal = Server::start(0, "200 OK", "the portal's answer");
    let file = folder.write("config.yaml", &config(port, portal.port, "stdout"));
    let mut running = Running::start(&file, port);
    drop(running.stdout());
    ask_often(port, 200);
    crate::kit::until("the lines are counted", || {
        running.metric("anteport_log_lines_dropped_total") >= 200.0
    });
    assert_eq!(running.stop_within(Duration::from_secs(20)).code(), Some(0));
}
