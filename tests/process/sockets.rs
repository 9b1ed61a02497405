//! Sockets that somebody else has opened and keeps, as systemd does (`sd_listen_fds(3)`): a restart
//! refuses nobody, because whoever connects meanwhile waits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::portal::Portal;
use crate::running::{BINARY, Folder, Running, SOON, ask, free_port, open, status};

/// As a manager starts it: the socket is descriptor 3.
fn with(socket: &TcpListener, name: &str, file: &Path) -> Command {
    let script = "exec 3<&0 </dev/null; \
                  LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1 exec \"$0\" run --config \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, BINARY, name]).arg(file);
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())));
    command
}

fn visits(port: u16) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    stream.set_read_timeout(Some(SOON)).map_err(failed)?;
    let request =
        format!("GET /page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    match answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("/page 0") {
        true => Ok(()),
        false => Err(format!("not an answer: {answer}")),
    }
}

#[test]
fn a_restart_on_a_socket_that_somebody_keeps_refuses_nobody() {
    let (portal, admin) = (Portal::start(), free_port());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let text = open(port, admin, portal.port, "");
    let start = || {
        let folder = Folder::new();
        let file = folder.write("config.yaml", &text);
        Running::start_by(with(&socket, "public", &file), folder, (port, admin))
    };
    let (is_over, visited) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut running = start();
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Acquire) {
                        visits(port)?;
                        visited.fetch_add(1, Ordering::AcqRel);
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        for _ in 0..5 {
            let before = visited.load(Ordering::Acquire);
            running.signal("-TERM");
            assert_eq!(running.ends().code(), Some(0));
            // Nobody serves now.
            running = start();
            while visited.load(Ordering::Acquire) <= before {
                std::thread::yield_now();
                assert!(!visitors.iter().any(|visitor| visitor.is_finished()), "somebody failed");
            }
        }
        is_over.store(true, Ordering::Release);
        for visitor in visitors {
            visitor.join().unwrap().unwrap();
        }
    });
    // It can be handed on from there, too.
    running.upgrade(1);
    assert_eq!(running.ends().code(), Some(0));
    assert_eq!(status(&ask(port, "GET /page HTTP/1.1")), 200);
}

#[test]
fn a_socket_that_is_not_what_was_configured_is_said_to_be_and_ends_with_1() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let found = socket.local_addr().unwrap();
    let (port, folder) = (free_port(), Folder::new());
    let file = folder.write("config.yaml", &open(port, free_port(), free_port(), ""));
    for (name, expected) in
        [("public", "`listen.address`"), ("admin", "`admin.address`"), ("http", "`listen.address`")]
    {
        let output = with(&socket, name, &file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for wanted in [name, &found.to_string(), expected] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
}
