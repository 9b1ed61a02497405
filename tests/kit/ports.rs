//! Ports for programs that a test starts: below those that the system hands out by itself, so that
//! one is ours whenever somebody begins to listen there, and again after a restart; and no two tests
//! are given the same, of one process or of several. The same is true of the port 10,000 above each,
//! which a node of a Redis Cluster takes besides.

use std::fs::File;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Where they begin.
const FIRST: u16 = 10_000;
/// How many blocks there are, which a process has for itself, and how many ports in each.
const BLOCKS: u16 = 100;
const EACH: u16 = 100;

/// The blocks of this process, each with the lock that keeps it until the process ends.
static OWN: Mutex<Own> = Mutex::new(Own { locks: Vec::new(), blocks: Vec::new(), given: 0 });

struct Own {
    locks: Vec<File>,
    blocks: Vec<u16>,
    /// How many ports were given of all blocks together.
    given: u16,
}

/// The first of so many free ports in a row.
pub(crate) fn free_ports(count: u16) -> u16 {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let within = own.given % EACH;
        if within + count > EACH {
            own.given += EACH - within;
        }
        let index = usize::from(own.given / EACH);
        let Some(block) = own.blocks.get(index).copied() else {
            if !own.has_another() {
                // All are taken: those that ended long ago are free again.
                own.given = 0;
            }
            continue;
        };
        let first = FIRST + block * EACH + own.given % EACH;
        own.given += count;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

impl Own {
    /// Takes a block that nobody has; whether there was one.
    fn has_another(&mut self) -> bool {
        let begin = (std::process::id() % u32::from(BLOCKS)) as u16;
        let all = (0..BLOCKS).map(|number| (begin + number) % BLOCKS);
        for block in all.filter(|block| !self.blocks.contains(block)).collect::<Vec<_>>() {
            let name = std::env::temp_dir().join(format!("anteport-tests-ports-{block}.lock"));
            let lock = File::options().create(true).append(true).open(name).unwrap();
            if lock.try_lock().is_ok() {
                self.locks.push(lock);
                self.blocks.push(block);
                return true;
            }
        }
        assert!(!self.blocks.is_empty(), "other processes have all ports for tests");
        false
    }
}
