//! The program is replaced while visitors come and go, and none of them notices (REL-07).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::portal::{Portal, WebSocket};
use crate::running::{Folder, Running, SOON, ask, free_port, post, status};

/// How often, unless `ANTEPORT_UPGRADES` says otherwise.
const UPGRADES: usize = 10;

/// What visitors met with.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    answers: AtomicUsize,
    /// Connections on which more than one was answered.
    kept: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Load {
    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    /// Connects again and again; each connection carries one request, or as many as it may.
    fn visit(&self, port: u16, number: usize, keeps: bool) {
        let mut turn = 0;
        while !self.is_over.load(Ordering::Acquire) {
            let stream = match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => stream,
                Err(error) => return self.fault(format!("a connection is refused: {error}")),
            };
            stream.set_read_timeout(Some(SOON)).unwrap();
            let mut on_this_one = 0;
            loop {
                turn += 1;
                on_this_one += 1;
                let target = format!("/{number}/{turn}");
                match exchange(&stream, port, &target, keeps) {
                    Ok(is_last) => {
                        self.answers.fetch_add(1, Ordering::AcqRel);
                        let goes_on = keeps && !is_last && !self.is_over.load(Ordering::Acquire);
                        if !goes_on {
                            break;
                        }
                        // As long as somebody reads.
                        std::thread::sleep(Duration::from_millis((turn % 7) as u64));
                    }
                    Err(error) => {
                        return self.fault(format!("answer {on_this_one} is lost: {error}"));
                    }
                }
            }
            self.kept.fetch_add(usize::from(on_this_one > 1), Ordering::AcqRel);
        }
    }
}

/// Posts something and reads the whole answer; whether it says that it is the last.
fn exchange(mut stream: &TcpStream, port: u16, target: &str, keeps: bool) -> Result<bool, String> {
    let connection = if keeps { "keep-alive" } else { "close" };
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: {connection}\r\n\
         Content-Length: 5\r\n\r\nhello"
    );
    let failed = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut read = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Err(format!("it ended after {} bytes", read.len()));
        }
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body == format!("{target} 5")
        {
            if !head.starts_with("HTTP/1.1 200 ") {
                return Err(head.to_owned());
            }
            return Ok(head.contains("connection: close"));
        }
        if text.len() > 4096 || (text.len() > 12 && !text.starts_with("HTTP/1.1 200 ")) {
            return Err(text.into_owned());
        }
    }
}

fn upgrades_under_load(more: &str, times: usize) {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, more);
    running.is("ready");
    let (port, load) = (running.port, Load::default());
    std::thread::scope(|scope| {
        for number in 0..6 {
            let load = &load;
            scope.spawn(move || load.visit(port, number, number % 2 == 0));
        }
        let (load, admin) = (&load, running.admin);
        scope.spawn(move || {
            while !load.is_over.load(Ordering::Acquire) {
                let answer = ask(admin, "GET /readyz HTTP/1.1");
                if status(&answer) != 200 {
                    return load.fault(format!("health says: {answer}"));
                }
            }
        });
        let upgrading = std::panic::AssertUnwindSafe(|| {
            for number in 1..=times {
                running.upgrade(number);
                let faults = load.faults.lock().unwrap();
                assert!(faults.is_empty(), "upgrade {number}: {faults:#?}");
            }
        });
        let upgraded = std::panic::catch_unwind(upgrading);
        load.is_over.store(true, Ordering::Release);
        if let Err(panic) = upgraded {
            std::panic::resume_unwind(panic);
        }
    });
    let faults = load.faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    let (answers, kept) = (load.answers.into_inner(), load.kept.into_inner());
    println!("{times} upgrades, {answers} answers, {kept} kept connections");
    assert!(answers > times && kept > 0, "{answers} {kept}");
    assert_eq!(running.readyz().0, 200);
    running.signal("-TERM");
    running.says_again("everything that was under way has finished", times + 1);
}

#[test]
fn rel_07_upgrades_under_load_refuse_nobody_and_lose_no_answer() {
    let times = std::env::var("ANTEPORT_UPGRADES").ok().and_then(|times| times.parse().ok());
    upgrades_under_load("", times.unwrap_or(UPGRADES));
}

#[test]
fn rel_07_nor_do_they_where_sessions_are_in_memory_and_go_along() {
    let folder = Folder::new();
    let more = crate::members::key(&folder);
    upgrades_under_load(&more, 4);
}

#[test]
fn what_is_under_way_at_the_old_process_finishes() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { drain: 60s }");
    let mut talking = WebSocket::open(running.port, "");
    talking.talks("before");
    running.upgrade(1);
    talking.talks("while another process serves");
    assert_eq!(status(&ask(running.port, "GET /page HTTP/1.1")), 200);
    talking.says(8, &[0x03, 0xe8]);
    assert!(talking.hears().is_some());
    assert_eq!(running.ends().code(), Some(0), "and then it ends");
    assert_eq!(status(&ask(running.port, "GET /page HTTP/1.1")), 200);
}

/// In front of a provider that is not there: a new process waits for it for some seconds.
fn unreachable() -> String {
    crate::microsoft::providers(1)
}

#[test]
fn a_stop_while_a_new_process_starts_ends_both_and_a_second_wish_starts_no_third() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, &unreachable());
    for _ in 0..3 {
        running.signal("-USR2");
    }
    running.says("another process is started");
    running.signal("-TERM");
    assert_eq!(running.ends().code(), Some(0));
    assert!(!running.has_said("has taken this one's place"));
    for port in [running.port, running.admin] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody is left behind");
    }
}

#[test]
fn a_new_process_that_is_killed_while_it_starts_changes_nothing() {
    let portal = Portal::start();
    let running = Running::start(portal.port, &unreachable());
    running.signal("-USR2");
    running.says("another process is started");
    running.kill_successor();
    let line = running.says("nobody takes this process's place");
    assert!(line.contains("signal 9"), "{line}");
    assert_eq!(status(&ask(running.port, "GET /page HTTP/1.1")), 200);
    assert_eq!(running.readyz().0, 200);
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn cfg_02_while_another_process_takes_over_nothing_is_reloaded() {
    let portal = Portal::start();
    let (port, admin) = (free_port(), free_port());
    let text = crate::running::open(port, admin, portal.port, &unreachable());
    let folder = Folder::new();
    let path = folder.at("config.yaml");
    let running = Running::start_as(folder, &text, (port, admin), &[]);
    let page = || status(&ask(port, "GET /page HTTP/1.1"));
    let reload = || post(admin, "/-/reload", JSON, "{}");
    running.signal("-USR2");
    running.says("another process is started");
    // It has read its configuration by then, or will: this one changes nothing in either case.
    let elsewhere = format!("http://127.0.0.1:{}", portal.port);
    std::fs::write(&path, text.replace(&elsewhere, "http://127.0.0.1:1")).unwrap();
    for _ in 0..3 {
        let refused = reload();
        assert!(refused.contains("\"config-handing-over\""), "{refused}");
        assert!(refused.contains("\"reloaded\":false"), "{refused}");
        assert_eq!(page(), 200, "nothing has changed");
    }
    running.signal("-HUP");
    let line = running.says("\"signal\"");
    assert!(line.contains("config-handing-over"), "{line}");
    assert_eq!(page(), 200);
    running.kill_successor();
    running.says("nobody takes this process's place");
    assert_eq!(page(), 200);
    let reloaded = reload();
    assert!(reloaded.contains("\"reloaded\":true"), "{reloaded}");
    assert_eq!(page(), 502, "what was to be read is still there to be read");
}

#[test]
fn sess_10_what_a_pass_let_through_at_the_old_process_ends_with_its_passes() {
    let (folder, portal) = (Folder::new(), Portal::start());
    let (port, admin) = (free_port(), free_port());
    let keys = crate::members::key(&folder);
    let text = crate::running::open(port, admin, portal.port, &unreachable());
    let text = text.replace("access: public", "access: signed_in");
    let glass = "mode: azure_only\n    break_glass: { link: {} }";
    let text = text.replace("mode: \"off\"", glass) + &keys + "\nshutdown: { drain: 60s }\n";
    let mut running = Running::start_as(folder, &text, (port, admin), &[]);
    let pass = || {
        let made = post(admin, "/-/break-glass", JSON, "{\"reason\":\"drill\"}");
        let code = made.split("\"code\":\"").nth(1).unwrap_or_else(|| panic!("{made}"));
        let form = "Content-Type: application/x-www-form-urlencoded\r\nOrigin: null\r\n\
                    Sec-Fetch-Site: same-origin\r\n";
        let body = format!("link={}", code.split('"').next().unwrap());
        let opened = post(port, "/.auth/break-glass", form, &body);
        let lines = opened.lines();
        let mut set = lines.filter_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.next().unwrap_or_else(|| panic!("{opened}"));
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    };
    let comes = |pass: &str| {
        status(&ask(port, &format!("GET /page HTTP/1.1\r\n{}", pass.trim_end()))) == 200
    };
    let early = pass();
    let mut websocket = WebSocket::open(port, &early);
    websocket.talks("through the glass");
    assert!(comes(&early));
    // A hand-over that comes to nothing ends nothing.
    running.signal("-USR2");
    running.says("another process is started");
    running.kill_successor();
    running.says("nobody takes this process's place");
    websocket.talks("still there");
    assert!(comes(&early));
    running.upgrade(1);
    assert_eq!(websocket.hears(), None, "nobody could end it any more");
    assert!(!comes(&early));
    let late = pass();
    assert!(comes(&late), "and the new process makes links");
    let own = format!("Sec-Fetch-Site: same-origin\r\n{late}");
    assert_eq!(status(&post(port, "/.auth/logout", &own, "")), 303);
    let line = running.says("given back");
    assert!(line.contains("break-glass-ended"), "LOG-03: {line}");
    assert!(!comes(&late));
    assert_eq!(running.ends().code(), Some(0), "nothing is left under way at the old one");
}

#[test]
fn a_new_process_that_does_not_start_changes_nothing() {
    let portal = Portal::start();
    let (port, admin) = (free_port(), free_port());
    let text = crate::running::open(port, admin, portal.port, "");
    let folder = Folder::new();
    let path = folder.0.clone();
    let mut running = Running::start_as(folder, &text, (port, admin), &[]);
    let answers = || assert_eq!(status(&ask(port, "GET /page HTTP/1.1")), 200);
    for (number, (written, why)) in [
        ("listen: nowhere".to_owned(), "exit code 78"),
        (
            text.replace(&format!("127.0.0.1:{port}\" }}\nadmin"), "127.0.0.1:1\" }\nadmin"),
            "exit code 1",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(path.join("config.yaml"), written).unwrap();
        running.signal("-USR2");
        let line = running.says_again("nobody takes this process's place", number + 1);
        assert!(line.contains(why), "{line}");
        answers();
    }
    assert_eq!(running.readyz().0, 200);
    std::fs::write(path.join("config.yaml"), text).unwrap();
    running.upgrade(1);
    answers();
    assert_eq!(running.ends().code(), Some(0));
}
