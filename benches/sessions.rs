//! The table of sessions by itself, in memory: what a session takes, what finding one takes, and
//! how long somebody who looks is held up while a million expire; and the first two of `moka`
//! with one `Arc<[u8]>` a session. `cargo bench --bench sessions`, on a machine that has nothing
//! else to do.
//!
//! A look goes by the session's id, whose SHA-256 is its key, and is timed by itself; what
//! reading the clock takes is measured first and taken off.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anteport::clock::Clock;
use anteport::config::{SealingKeys, Sessions as Settings, Store};
use anteport::gate::{
    AtProvider, Lifetimes, Session, SessionId, Subject, Timestamp, VerifiedClaims,
};
use anteport::sessions::{Here, Ours, Seal, Sessions};
use serde_json::{Map, json};

/// The program's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const MORNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(86_400), absolute: Duration::from_secs(86_400) };
/// After so long, what nobody has used is cold.
const LATER: Duration = Duration::from_secs(61);
/// So many calls of the housekeeping go round the table once.
const ROUND: usize = 8;
const LOOKS: usize = 200_000;
/// Looks that took longer than this are counted by why.
const SLOW: Duration = Duration::from_micros(50);

/// One worker's way to a member: nothing that a session brings with it is asked for.
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let clock = cost_of_the_clock();
        println!("reading the clock: {clock:?}, taken off; SHA-256 of an id: {:?}", digests(clock));
        // In a process of its own, so that neither counts what the other has given back.
        if std::env::args().any(|word| word == "--moka") {
            return moka(clock);
        }
        ours(clock).await;
        let own = std::env::current_exe().unwrap();
        assert!(std::process::Command::new(own).arg("--moka").status().unwrap().success());
    });
}

async fn ours(clock: Duration) {
    let few = Filled::fill(FEW, MORNING).await;
    let small = (few.cold(clock, LATER), few.warm(clock));
    println!("10^3 sessions: cold {}, warm {}", small.0, small.1);
    drop(few);
    let before = resident();
    let many = Filled::fill(MANY, MORNING).await;
    let per = |bytes: usize| bytes / MANY;
    println!(
        "10^6 sessions: a record of {} bytes, {} bytes resident a session, cold",
        record(1, MORNING).to_record().expose().len(),
        per(resident().saturating_sub(before)),
    );
    let cold = many.cold(clock, LATER);
    let _ = many.looks(clock, many.ids.len());
    println!(
        "10^6 sessions: {} bytes resident a session, all of them warm",
        per(resident().saturating_sub(before))
    );
    let warm = many.warm(clock);
    println!("10^6 sessions: cold {cold}, warm {warm}");
    println!(
        "10^6 to 10^3: cold {:.1}, warm {:.1}",
        cold.median.as_secs_f64() / small.0.median.as_secs_f64(),
        warm.median.as_secs_f64() / small.1.median.as_secs_f64(),
    );
    many.expire(clock).await;
}

/// Sessions in the table.
struct Filled {
    sessions: Arc<Sessions>,
    ids: Vec<SessionId>,
    /// When the last of them was put there.
    now: Timestamp,
}

impl Filled {
    /// Puts so many there, and lets them become cold in between, as those of a day would.
    async fn fill(count: usize, from: Timestamp) -> Self {
        let settings = Settings {
            store: Store::Memory { snapshot: None },
            keys: SealingKeys::default(),
            lifetimes: LIFETIMES,
            refresh_interval: LIFETIMES.idle,
            capacity: 2 * MANY as u64,
        };
        let seal = Arc::new(Seal::new(&[]).unwrap());
        let every = Ours::new(|_| true);
        let sessions = Sessions::new(&settings, &seal, &Clock::at(from), every, |_| {});
        let mut filled =
            Self { sessions: Arc::new(sessions), ids: Vec::with_capacity(count), now: from };
        for number in 0..count {
            if number.is_multiple_of(20_000) {
                filled.cool(LATER);
            }
            let session = record(number, filled.now);
            filled.ids.push(filled.sessions.start(session, filled.now).await.unwrap().0);
        }
        filled.cool(LATER);
        // In no order.
        let mut order = Order(88_172_645_463_325_252);
        for at in (1..filled.ids.len()).rev() {
            filled.ids.swap(at, order.next(at + 1));
        }
        filled
    }

    fn cool(&mut self, after: Duration) {
        self.now = self.now.after(after);
        for _ in 0..ROUND {
            self.sessions.tidy(self.now);
        }
    }

    fn looks(&self, clock: Duration, count: usize) -> Times {
        let look = |id: &SessionId| {
            let begun = Instant::now();
            let found = black_box(self.sessions.here(id, self.now));
            let took = begun.elapsed();
            assert!(matches!(found, Here::Member(_)));
            took
        };
        Times::new(self.ids.iter().cycle().take(count).map(look).collect(), clock)
    }

    /// Each of them once, after nobody has used them for a while.
    fn cold(&self, clock: Duration, after: Duration) -> Times {
        let later = self.now.after(after);
        for _ in 0..ROUND {
            self.sessions.tidy(later);
        }
        self.looks(clock, self.ids.len().min(LOOKS))
    }

    /// Whoever has been found before.
    fn warm(&self, clock: Duration) -> Times {
        let _ = self.looks(clock, self.ids.len());
        self.looks(clock, LOOKS)
    }

    /// All expire at once but a thousand, which somebody looks for all the time.
    async fn expire(mut self, clock: Duration) {
        let later = self.now.after(LIFETIMES.absolute - Duration::from_secs(1));
        let mut stays = Vec::new();
        for number in 0..FEW {
            let (id, _) = self.sessions.start(record(MANY + number, later), later).await.unwrap();
            stays.push(id);
        }
        self.ids = stays;
        let over = self.now.after(LIFETIMES.absolute);
        self.now = over;
        let quiet = held_up(
            |id| matches!(self.sessions.here(id, over), Here::Member(_)),
            &self.ids,
            || {
                std::thread::sleep(Duration::from_secs(1));
            },
        );
        println!("while nothing expires:");
        quiet.0.print(clock);
        let mut calls = Vec::new();
        let sessions = Arc::clone(&self.sessions);
        let busy = held_up(
            |id| matches!(self.sessions.here(id, over), Here::Member(_)),
            &self.ids,
            || {
                for _ in 0..ROUND {
                    let begun = Instant::now();
                    sessions.tidy(over);
                    calls.push(begun.elapsed());
                }
            },
        );
        let worst = calls.iter().max().unwrap();
        println!(
            "while a million expire, for {:?} (a call of the housekeeping {worst:?} at most; {} are left):",
            busy.1,
            self.sessions.count()
        );
        busy.0.print(clock);
    }
}

/// Looks all the time, on another core, while something happens.
fn held_up(
    is_there: impl Fn(&SessionId) -> bool + Sync,
    ids: &[SessionId],
    happens: impl FnOnce(),
) -> (Looked, Duration) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looked = Looked { all: Vec::with_capacity(10_000_000), ..Looked::default() };
            let mut waits = waits();
            for id in ids.iter().cycle() {
                let begun = Instant::now();
                let is_there = black_box(is_there(id));
                let took = begun.elapsed();
                assert!(is_there);
                looked.count += 1;
                if looked.all.len() < looked.all.capacity() {
                    looked.all.push(took);
                }
                // Nobody gives a core away and has it back in less.
                if took > Duration::from_micros(2) {
                    let before = std::mem::replace(&mut waits, self::waits());
                    let why = if waits > before { &mut looked.waiting } else { &mut looked.taken };
                    why.extend((took > SLOW).then_some(took));
                }
                if is_over.load(Ordering::Acquire) {
                    break;
                }
            }
            looked
        });
        let begun = Instant::now();
        happens();
        let took = begun.elapsed();
        is_over.store(true, Ordering::Release);
        (looking.join().unwrap(), took)
    })
}

/// How long looks took, and the slow ones of them once more by why: a thread that waits for
/// another gives its core away, which the kernel counts; one that does not is slow because the
/// machine took its core.
#[derive(Default)]
struct Looked {
    count: usize,
    /// Of the first ten million.
    all: Vec<Duration>,
    waiting: Vec<Duration>,
    taken: Vec<Duration>,
}

impl Looked {
    fn print(self, clock: Duration) {
        println!("  {} looks; {}", self.count, Times::new(self.all, clock));
        for (why, mut times) in [
            ("waiting for somebody", self.waiting),
            ("waiting for nobody: the machine took the core", self.taken),
        ] {
            times.sort_unstable();
            let above = times.iter().filter(|took| **took > Duration::from_millis(1)).count();
            let longest = times.last().copied().unwrap_or_default();
            println!(
                "  above {SLOW:?} {why}: {}, longest {longest:?}, {above} above 1 ms",
                times.len()
            );
        }
    }
}

/// How often this thread has given its core away.
fn waits() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// The same in moka, with the record alone.
fn moka(clock: Duration) {
    type Cache = moka::sync::Cache<[u8; 32], Arc<[u8]>>;
    let fill = |count: usize| {
        let cache: Cache = Cache::builder()
            .max_capacity(2 * MANY as u64)
            .time_to_live(LIFETIMES.absolute)
            .time_to_idle(LIFETIMES.idle)
            .build();
        let mut keys = Vec::new();
        for number in 0..count {
            let session = record(number, MORNING);
            let key = key(number);
            cache.insert(key, session.to_record().expose().as_slice().into());
            keys.push(key);
        }
        cache.run_pending_tasks();
        let mut order = Order(88_172_645_463_325_252);
        for at in (1..keys.len()).rev() {
            keys.swap(at, order.next(at + 1));
        }
        (cache, keys)
    };
    let looks = |cache: &Cache, keys: &[[u8; 32]]| {
        let look = |key: &[u8; 32]| {
            let begun = Instant::now();
            let found = black_box(cache.get(key));
            let took = begun.elapsed();
            assert!(found.is_some());
            took
        };
        Times::new(keys.iter().cycle().take(LOOKS).map(look).collect(), clock)
    };
    let (cache, keys) = fill(FEW);
    println!("moka, 10^3: {} (without the SHA-256)", looks(&cache, &keys));
    let before = resident();
    let (cache, keys) = fill(MANY);
    println!("moka, 10^6: {} bytes resident a session", resident().saturating_sub(before) / MANY);
    println!("moka, 10^6: {} (without the SHA-256)", looks(&cache, &keys));
}

fn key(number: usize) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_le_bytes());
    digest.as_ref().try_into().unwrap()
}

/// A member of an organisation, with what Microsoft usually says.
fn record(number: usize, now: Timestamp) -> Session {
    let oid = format!("{number:08x}-0000-4000-8000-0123456789ab");
    let tenant = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";
    let claims = json!({
        "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "tid": tenant, "oid": oid,
        "sub": format!("kT9sJ0tQmXrW3n5uYb7dE1fG2hI4jK6l{number:011}"), "sid": format!("{oid}-sid"),
        "name": format!("Member Number {number}"), "email": format!("member{number}@members.example"),
        "preferred_username": format!("member{number}@members.example"),
        "roles": ["Member", "Treasurer"], "ver": "2.0",
    });
    let claims: Map<_, _> = claims.as_object().unwrap().clone();
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let at_provider = AtProvider { sid: text("sid"), sub: text("sub"), id_token: None };
    let subject = Subject::Issuer { issuer: tenant.to_owned(), subject: oid.clone() };
    let claims = VerifiedClaims::assertion(subject, claims);
    let (provider, portal) = ("corporate".into(), "members.example".into());
    Session::start(claims, provider, portal, oid, LIFETIMES, now).known_as(at_provider)
}

/// How long each of many took, in order.
struct Times {
    all: Vec<Duration>,
    median: Duration,
}

impl Times {
    fn new(mut all: Vec<Duration>, clock: Duration) -> Self {
        all.sort_unstable();
        let all: Vec<_> = all.into_iter().map(|took| took.saturating_sub(clock)).collect();
        let median = all[all.len() / 2];
        Self { all, median }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.all[((self.all.len() - 1) as f64 * share) as usize];
        write!(
            f,
            "median {:?} (quartiles {:?} to {:?}), 99 % {:?}, 99.99 % {:?}, longest {:?} of {}",
            self.median,
            at(0.25),
            at(0.75),
            at(0.99),
            at(0.9999),
            at(1.0),
            self.all.len()
        )
    }
}

fn cost_of_the_clock() -> Duration {
    let times = (0..LOOKS).map(|_| Instant::now().elapsed()).collect();
    Times::new(times, Duration::ZERO).median
}

fn digests(clock: Duration) -> Duration {
    let one = |number: usize| {
        let id = key(number);
        let begun = Instant::now();
        black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &id));
        begun.elapsed()
    };
    Times::new((0..LOOKS).map(one).collect(), clock).median
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Numbers in no order, the same at each run (xorshift64*).
struct Order(u64);

impl Order {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }
}
