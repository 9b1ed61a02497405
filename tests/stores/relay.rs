//! A relay between the nodes and Redis that does to answers what a bad network, or a bad proxy
//! for Redis, would: it reads where one ends (RESP3), and delays, drops, cuts, mangles, doubles
//! or reorders it. What Redis says without having been asked passes as it is.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

/// What is done to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// All come so much later.
    Slow(Duration),
    /// None comes.
    Silent,
    /// Each so-manieth is cut in its middle, and the connection with it.
    Cut(u64),
    /// Each so-manieth is something else.
    Garbage(u64),
    /// Each so-manieth does not come, and those after it do.
    Lost(u64),
    /// Each so-manieth comes twice.
    Doubled(u64),
    /// Each so-manieth is held back, and the next one passes it.
    Reordered(u64),
}

/// The relay, for as long as the tests run.
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    fault: Mutex<Fault>,
    answers: AtomicU64,
    faulty: AtomicU64,
    /// Answers that are on their way, and how many that were at once.
    under_way: AtomicU64,
    together: AtomicU64,
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    /// Whether this answer is one of each so many.
    fn is_turn(&self, every: u64) -> bool {
        self.answers.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }
}

impl Relay {
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            answers: AtomicU64::new(0),
            faulty: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            together: AtomicU64::new(0),
        });
        let sharing = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (node, _) = listener.accept().await.unwrap();
                    tokio::spawn(relay(node, to, Arc::clone(&sharing)));
                }
            });
        });
        Self { address, shared }
    }

    /// From now on this is done to answers.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
        self.shared.together.store(0, Ordering::Relaxed);
    }

    /// How many answers have been on their way at once since then.
    pub fn together(&self) -> u64 {
        self.shared.together.load(Ordering::Relaxed)
    }

    /// To how many answers something was done.
    pub fn faulty(&self) -> u64 {
        self.shared.faulty.load(Ordering::Relaxed)
    }
}

async fn relay(node: TcpStream, to: SocketAddr, shared: Arc<Shared>) {
    let Ok(redis) = TcpStream::connect(to).await else {
        return;
    };
    let (mut from_node, to_node) = node.into_split();
    let (from_redis, mut to_redis) = redis.into_split();
    let (to_writer, from_answers) = mpsc::unbounded_channel();
    tokio::select! {
        _ = tokio::io::copy(&mut from_node, &mut to_redis) => {}
        // To its end: what was cut in its middle comes as far as that.
        _ = async { tokio::join!(answers(from_redis, to_writer, &shared), write(to_node, from_answers)) } => {}
    }
}

/// What goes to the node, and when at the earliest; an answer that is late is on its way until
/// then.
type Due = (Instant, Vec<u8>, Option<Arriving>);

struct Arriving(Arc<Shared>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn write(mut node: OwnedWriteHalf, mut answers: UnboundedReceiver<Due>) {
    while let Some((due, bytes, _arriving)) = answers.recv().await {
        sleep_until(due).await;
        if node.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn answers(mut redis: OwnedReadHalf, node: UnboundedSender<Due>, shared: &Arc<Shared>) {
    let send = |bytes: Vec<u8>| drop(node.send((Instant::now(), bytes, None)));
    let mut buffer = Vec::new();
    let mut held: Option<Vec<u8>> = None;
    loop {
        let Some(length) = length(&buffer) else {
            if redis.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let answer: Vec<u8> = buffer.drain(..length).collect();
        if answer.starts_with(b">") {
            send(answer);
            continue;
        }
        if let Some(earlier) = held.take() {
            send([answer, earlier].concat());
            continue;
        }
        let fault = shared.fault();
        let is_faulty = match fault {
            Fault::None => false,
            Fault::Slow(_) | Fault::Silent => true,
            Fault::Cut(every)
            | Fault::Garbage(every)
            | Fault::Lost(every)
            | Fault::Doubled(every)
            | Fault::Reordered(every) => shared.is_turn(every),
        };
        if !is_faulty {
            send(answer);
            continue;
        }
        shared.faulty.fetch_add(1, Ordering::Relaxed);
        match fault {
            Fault::None => {}
            Fault::Slow(delay) => {
                let under_way = shared.under_way.fetch_add(1, Ordering::Relaxed) + 1;
                shared.together.fetch_max(under_way, Ordering::Relaxed);
                let arriving = Arriving(Arc::clone(shared));
                let _ = node.send((Instant::now() + delay, answer, Some(arriving)));
            }
            Fault::Silent | Fault::Lost(_) => {}
            Fault::Cut(_) => {
                send(answer[..answer.len() / 2].to_vec());
                return;
            }
            Fault::Garbage(_) => send(b"\x00\xff<html>\r\n\r\n*-7\r\n$99".to_vec()),
            Fault::Doubled(_) => send([answer.clone(), answer].concat()),
            Fault::Reordered(_) => held = Some(answer),
        }
    }
}

/// How long the first answer of these bytes is, if all of it is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).unwrap().parse::<i64>().unwrap();
    let count = match bytes[0] {
        b'$' | b'!' | b'=' => {
            // Nothing at all has the length -1, and no end of its own.
            let end = usize::try_from(number()).map_or(line, |length| line + length + 2);
            return (bytes.len() >= end).then_some(end);
        }
        b'*' | b'~' | b'>' => number(),
        b'%' => number() * 2,
        b'|' => number() * 2 + 1,
        _ => 0,
    };
    (0..count).try_fold(line, |at, _| Some(at + length(bytes.get(at..)?)?))
}
