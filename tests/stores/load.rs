//! Members who go on opening pages on all nodes while something is wrong, at a steady rate, and a count
//! of what they get. Each answer is looked at: whose name is in it?

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::fleet::{Fleet, NODES};
use crate::redis::SOON;
use crate::visitor::{Member, Reply, ask};

/// One request every so often: 400 a second.
const PACE: Duration = Duration::from_micros(2_500);

/// How many at most have no answer yet: a machine that is busy makes them fewer, not wait in a queue.
const AT_ONCE: usize = 32;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub asked: usize,
    /// Answered as the member.
    pub right: usize,
    /// Answered as somebody else.
    pub wrong_names: usize,
    /// Asked to sign in.
    pub sign_outs: usize,
    /// The store's 503, with all that belongs to it.
    pub refused: usize,
    /// Connections that were taken and given no answer.
    pub broken: usize,
    /// Anything else.
    pub other: usize,
    /// What was not right, and how often, for whoever reads why a test failed.
    pub notes: BTreeMap<String, usize>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asked, right, wrong_names, sign_outs, refused, broken, other, .. } = self;
        write!(
            f,
            "{asked} requests: 200 {right}, 503 {refused}, sign-outs {sign_outs}, \
             wrong names {wrong_names}, no answer {broken}, other {other}"
        )
    }
}

/// Load that goes on until it is stopped.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(fleet: &Fleet, members: &[Member]) -> Self {
        Self::start_at(PACE, fleet, members)
    }

    /// With one request every so often.
    pub fn start_at(pace: Duration, fleet: &Fleet, members: &[Member]) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let nodes: Vec<_> = fleet.nodes.iter().map(|node| node.address).collect();
        let (host, members) = (fleet.host.clone(), members.to_vec());
        let (counts, over) = (Arc::clone(&tally), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut order = Order(0x2545_F491_4F6C_DD1D);
                let mut pace = tokio::time::interval(pace);
                let mut asking = JoinSet::new();
                while !over.load(Ordering::Acquire) {
                    pace.tick().await;
                    while asking.try_join_next().is_some() {}
                    if asking.len() >= AT_ONCE {
                        asking.join_next().await;
                    }
                    let member = members[order.next(members.len())].clone();
                    let first = order.next(NODES);
                    let (nodes, host, counts) = (nodes.clone(), host.clone(), Arc::clone(&counts));
                    asking.spawn(async move {
                        let came = once(&nodes, first, &host, &member).await;
                        count(&mut counts.lock().unwrap(), came, &member);
                    });
                }
                while asking.join_next().await.is_some() {}
            });
        });
        Self { tally, is_over, thread: Some(thread) }
    }

    pub fn so_far(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Waits until so many more have been answered.
    pub async fn goes_on(&self, more: usize) {
        let (begun, before) = (Instant::now(), self.so_far().asked);
        while self.so_far().asked < before + more {
            assert!(begun.elapsed() < SOON, "{}", self.so_far());
            tokio::time::sleep(PACE).await;
        }
    }

    /// Ends it, and says what came of it.
    pub fn stop(mut self) -> Tally {
        self.is_over.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

type Came = Result<Reply, std::io::Error>;

/// As behind a load balancer: where nobody listens, another node is asked.
async fn once(nodes: &[SocketAddr], first: usize, host: &str, member: &Member) -> Came {
    let mut came = ask(nodes[first], host, &member.cookie).await;
    for next in 1..nodes.len() {
        match &came {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                came = ask(nodes[(first + next) % nodes.len()], host, &member.cookie).await;
            }
            _ => break,
        }
    }
    came
}

fn count(tally: &mut Tally, came: Came, member: &Member) {
    tally.asked += 1;
    let reply = match came {
        Ok(reply) => reply,
        Err(error) => {
            tally.broken += 1;
            *tally.notes.entry(error.to_string()).or_default() += 1;
            return;
        }
    };
    let is_refusal = |reply: &Reply| {
        reply.header("retry-after").is_some() && reply.body.contains("session-store-unavailable")
    };
    match reply.status {
        200 if reply.body == member.name => tally.right += 1,
        200 => {
            tally.wrong_names += 1;
            *tally.notes.entry(format!("{} for {}", reply.body, member.name)).or_default() += 1;
        }
        303 | 401 => {
            tally.sign_outs += 1;
            *tally.notes.entry(format!("{} for {}", reply.status, member.name)).or_default() += 1;
        }
        503 if is_refusal(&reply) => tally.refused += 1,
        status => {
            tally.other += 1;
            let line = reply.body.lines().find(|line| line.contains("<code")).unwrap_or_default();
            *tally.notes.entry(format!("{status} {line}")).or_default() += 1;
        }
    }
}

/// Numbers in no order, the same at each run (xorshift64*).
pub struct Order(pub u64);

impl Order {
    pub fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % below
    }
}
