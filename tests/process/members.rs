//! Members whose sessions are in memory stay signed in while the program is replaced, and a
//! sign-out counts in both processes.

use std::io::Write as _;
use std::net::TcpStream;

use anteport::demo::Ports;

use crate::browser::Browser;
use crate::microsoft::{microsoft, providers};
use crate::portal::{Portal, WebSocket, head};
use crate::running::{Folder, Running, SOON, ask, free_port, status};

/// Sessions that outlive a process, with a key that nobody else may read.
pub(crate) fn key(folder: &Folder) -> String {
    let key = folder.write("key", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let snapshot = folder.at("sessions");
    format!(
        "sessions: {{ keys: [{{ file: \"{}\" }}], snapshot: \"{}\" }}",
        key.display(),
        snapshot.display()
    )
}

fn config(ports: &Ports, more: &str) -> String {
    let Ports { proxy, microsoft, portal, admin } = ports;
    let providers = providers(*microsoft);
    format!(
        r#"
listen: {{ address: "127.0.0.1:{proxy}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
{providers}
portals:
  - public_url: "http://127.0.0.1:{proxy}"
    upstream: {{ url: "http://127.0.0.1:{portal}" }}
    local_login: {{}}
    routes: [ {{ path: "/**", access: signed_in, websocket: true }} ]
shutdown: {{ drain: 60s }}
{more}
"#
    )
}

fn signed_in(port: u16) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut browser = Browser::new(format!("http://127.0.0.1:{port}"));
    runtime.block_on(browser.sign_in("/reports", "treasurer@harborclub.example"));
    format!("Cookie: __Host-anteport={}\r\n", browser.own_cookies()["__Host-anteport"])
}

#[test]
fn sess_09_10_members_stay_signed_in_and_a_sign_out_counts_in_both_processes() {
    let (folder, portal) = (Folder::new(), Portal::start());
    let (proxy, admin, microsoft_port) = (free_port(), free_port(), free_port());
    let ports = Ports { proxy, microsoft: microsoft_port, portal: portal.port, admin };
    microsoft(&ports);
    let text = config(&ports, &key(&folder));
    let mut running = Running::start_as(folder, &text, (proxy, admin), &[]);
    let [stays, leaves, late] = [signed_in(proxy), signed_in(proxy), signed_in(proxy)];
    let is_member = |cookie: &str| {
        let answer = ask(proxy, &format!("GET /page HTTP/1.1\r\n{}", cookie.trim_end()));
        assert!([200, 401, 303].contains(&status(&answer)), "{answer}");
        status(&answer) == 200
    };
    let sign_out = |cookie: &str| {
        let fetch = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
        let request = format!("GET /.auth/logout HTTP/1.1\r\nAccept: text/html\r\n{fetch}");
        let answer = ask(proxy, &format!("{request}\r\n{}", cookie.trim_end()));
        assert_eq!(status(&answer), 303, "{answer}");
    };
    let mut kept = WebSocket::open(proxy, &stays);
    let mut cut = WebSocket::open(proxy, &leaves);
    sign_out(&late);
    for websocket in [&mut kept, &mut cut] {
        websocket.talks("before");
    }
    running.upgrade(1);
    assert!(is_member(&stays) && is_member(&leaves), "nobody signs in again");
    assert!(!is_member(&late), "SESS-04: nobody comes back");
    for websocket in [&mut kept, &mut cut] {
        websocket.talks("at the old process");
    }
    sign_out(&leaves);
    assert!(!is_member(&leaves));
    assert_eq!(cut.hears(), None, "SESS-10: it ends with its session, which is elsewhere now");
    kept.talks("and this one goes on");
    // Again, while the first of the old ones still has something to finish.
    running.upgrade(2);
    assert!(is_member(&stays) && !is_member(&leaves) && !is_member(&late));
    kept.says(8, &[0x03, 0xe8]);
    assert!(kept.hears().is_some());
    assert_eq!(running.ends().code(), Some(0));
    assert!(is_member(&stays));
}

/// Asks again and again on one connection, until it hears that an answer is the last.
fn until_last(port: u16, cookie: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = format!("HEAD /page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{cookie}\r\n");
    loop {
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&stream);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        if head.contains("connection: close") {
            return;
        }
    }
}

#[test]
fn sess_09_a_stop_in_the_middle_of_a_hand_over_leaves_one_heir_of_the_sessions_and_no_process() {
    let (folder, portal) = (Folder::new(), Portal::start());
    let (proxy, admin, microsoft_port) = (free_port(), free_port(), free_port());
    let ports = Ports { proxy, microsoft: microsoft_port, portal: portal.port, admin };
    microsoft(&ports);
    let text = config(&ports, &key(&folder)).replace("drain: 60s", "drain: 1s");
    let kept = Folder(folder.0.clone());
    let mut running = Running::start_as(folder, &text, (proxy, admin), &[]);
    let cookie = signed_in(proxy);
    let is_member = || {
        let answer = ask(proxy, &format!("GET /page HTTP/1.1\r\n{}", cookie.trim_end()));
        status(&answer) == 200
    };
    // What is under way is waited for, so that the sessions do not go over at once.
    let mut websocket = WebSocket::open(proxy, &cookie);
    websocket.talks("before");
    running.signal("-USR2");
    // The new process is there, and this one lets nobody in any more.
    until_last(proxy, &cookie);
    running.signal("-TERM");
    assert_eq!(running.ends().code(), Some(0));
    assert!(!running.has_said("has taken this one's place"));
    for port in [proxy, admin] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody is left behind");
    }
    let snapshot = kept.at("sessions");
    assert!(snapshot.exists(), "the one that was stopped has left them");
    let again = Running::start_as(kept, &text, (proxy, admin), &[]);
    assert!(is_member() && !snapshot.exists(), "read once");
    drop(again);
}
