//! Members who go on opening pages on all nodes while something is wrong, at a steady rate, and a
//! count of what they get. Each answer is looked at: whose name is in it?

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::redis::SOON;
use crate::visitor::{Member, Reply, ask};

/// One request every so often: 400 a second.
const PACE: Duration = Duration::from_micros(2_500);

/// How many at most have no answer yet: a machine that is busy makes them fewer, not wait in a
/// queue.
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
    /// Nobody listened, at any address.
    pub unreached: usize,
    /// Connections that were taken and given no answer.
    pub broken: usize,
    /// Anything else.
    pub other: usize,
    /// How many answers had the session in them anew, for the browser to keep.
    pub anew: usize,
    /// What was not right, and how often, for whoever reads why a test failed.
    pub notes: BTreeMap<String, usize>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asked, right, wrong_names, sign_outs, refused, .. } = self;
        let Self { unreached, broken, other, anew, .. } = self;
        write!(
            f,
            "{asked} requests: 200 {right}, 503 {refused}, sign-outs {sign_outs}, wrong names \
             {wrong_names}, nobody listened {unreached}, no answer {broken}, other {other}; \
             sessions anew {anew}"
        )
    }
}

/// Load that goes on until it is stopped.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    /// With the cookies that they have by now.
    members: Arc<Mutex<Vec<Member>>>,
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
        let (host, count) = (fleet.host.clone(), members.len());
        let members = Arc::new(Mutex::new(members.to_vec()));
        let asking_as = Arc::clone(&members);
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
                    let number = order.next(count);
                    let first = order.next(nodes.len());
                    let (nodes, host, counts) = (nodes.clone(), host.clone(), Arc::clone(&counts));
                    let members = Arc::clone(&members);
                    asking.spawn(async move {
                        let member = members.lock().unwrap()[number].clone();
                        let came = once(&nodes, first, &host, &member).await;
                        let is_anew = came
                            .as_ref()
                            .is_ok_and(|reply| members.lock().unwrap()[number].keep(reply));
                        let mut tally = counts.lock().unwrap();
                        tally.anew += usize::from(is_anew);
                        tally.count(came, &member);
                    });
                }
                while asking.join_next().await.is_some() {}
            });
        });
        Self { tally, members: asking_as, is_over, thread: Some(thread) }
    }

    pub fn so_far(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// The members, with the cookies that they have by now.
    pub fn members(&self) -> Vec<Member> {
        self.members.lock().unwrap().clone()
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

impl Tally {
    fn count(&mut self, came: Came, member: &Member) {
        self.asked += 1;
        let reply = match came {
            Ok(reply) => reply,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.unreached += 1;
                return;
            }
            Err(error) => {
                self.broken += 1;
                self.note(error.to_string());
                return;
            }
        };
        match reply.status {
            200 if reply.body == member.name => self.right += 1,
            200 => {
                self.wrong_names += 1;
                self.note(format!("{} for {}", reply.body, member.name));
            }
            303 | 401 => {
                self.sign_outs += 1;
                self.note(format!("{} for {}", reply.status, member.name));
            }
            503 if is_refusal(&reply) => self.refused += 1,
            status => {
                self.other += 1;
                let code = reply.body.lines().find(|line| line.contains("<code"));
                self.note(format!("{status} {}", code.unwrap_or_default()));
            }
        }
    }

    fn note(&mut self, what: String) {
        *self.notes.entry(what).or_default() += 1;
    }
}

fn is_refusal(reply: &Reply) -> bool {
    reply.header("retry-after").is_some() && reply.body.contains("session-store-unavailable")
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
