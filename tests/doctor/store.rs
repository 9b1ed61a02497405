//! Mistakes about where sessions are kept. The Redis here speaks as little as it takes; the real
//! one is asked by `tests/stores`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::bench::{Bench, Plan};
use crate::ports::free_ports;

const ONLY: [&str; 2] = ["--only", "store"];

/// A Redis of one answer: to whoever greets it.
fn redis(greeting: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut read = [0; 4096];
                while stream.read(&mut read).is_ok_and(|read| read > 0) {
                    if stream.write_all(greeting.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn plan(port: u16) -> Plan {
    let sessions = format!(
        "{{ store: redis, keys: [ {{ file: FOLDER/sealing.key }} ], redis: {{ servers: \
         [\"127.0.0.1:{port}\"], password: {{ file: FOLDER/redis }} }} }}"
    );
    Plan { sessions, ..Plan::default() }
}

fn start(port: u16) -> Bench {
    let bench = Bench::start(plan(port));
    bench.write("redis", "canary-of-redis");
    bench
}

#[test]
fn a_redis_that_is_down_is_named() {
    let port = free_ports(1);
    let report = start(port).doctor(&ONLY);
    let words = [&*format!("127.0.0.1:{port}"), "it cannot be reached", "start it, or correct"];
    report.finds("store", "error", &words);
}

#[test]
fn a_redis_that_refuses_the_password_is_named() {
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled: canary.\r\n";
    let report = start(redis(wrong)).doctor(&ONLY);
    report.finds("store", "error", &["it refuses the password", "`requirepass`"]);
}

#[test]
fn a_redis_without_client_tracking_is_named() {
    let report = start(redis("-ERR unknown command `HELLO`, canary\r\n")).doctor(&ONLY);
    report.finds("store", "error", &["no client tracking", "Redis 6"]);
}

#[test]
fn a_snapshot_that_cannot_be_written_is_named() {
    // Not even root makes files there.
    let sessions = "{ store: memory, snapshot: /proc/anteport.snapshot, keys: [ { file: \
                    FOLDER/sealing.key } ] }"
        .to_owned();
    let report = Bench::start(Plan { sessions, ..Plan::default() }).doctor(&ONLY);
    report.finds(
        "snapshot",
        "error",
        &["/proc/anteport", "nothing can be written", "StateDirectory="],
    );
}

#[test]
fn a_snapshot_leaves_nothing_behind() {
    let bench = Bench::start(Plan::default());
    bench.doctor(&ONLY).finds("snapshot", "ok", &["it can be written there"]);
    let left: Vec<_> = std::fs::read_dir(&bench.folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("snapshot"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
