//! Ports for programs that a test starts: below those that the system hands out by itself, so that
//! one is ours whenever somebody begins to listen there, and again after a restart; and no two tests
//! of a process are given the same. The same is true of the port 10,000 above each, which a node of
//! a Redis Cluster takes besides.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where they begin, and how many there are.
const FIRST: u16 = 10_000;
const ALL: u16 = 10_000;

/// The first of so many free ports in a row.
pub(crate) fn free_ports(count: u16) -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different places.
    let begin = (std::process::id() % 100) as u16 * 100;
    loop {
        let given = GIVEN.fetch_add(count, Ordering::Relaxed);
        let first = FIRST + begin.wrapping_add(given) % ALL;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}
