//! The connections to Redis: made, watched, and made again. One connection to each node carries
//! the requests of all workers and, by RESP3, what the server says of keys that were read over it
//! (client tracking). So an answer and the word that it is out of date come in the order in which
//! they were true, and when a connection is lost it is certain from when on nothing is heard any
//! more.
//!
//! A request that is given up leaves its answer to be read and dropped in its turn: the driver's
//! task pairs answers with requests, not whoever waits (SESS-07). What is read is opened under
//! the key that it was asked by, so that another's answer would open for nobody; and what says
//! that nothing is there is asked again with its name. A connection that has got out of step is
//! found out and made anew. Deliberately not here: what is asked.

mod connect;
mod examination;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use redis::aio::MultiplexedConnection;
use redis::sentinel::SentinelClient;
use redis::{
    Cmd, ErrorKind, FromRedisValue, PushInfo, PushKind, RedisResult, ServerErrorKind, Value, cmd,
};
use tokio::sync::{Mutex, Notify};
use tokio::time::{sleep, timeout};

pub(crate) use self::examination::{NotKept, RoundTrip, StoreFault, examine};
use super::slots;
use crate::config::{self, RedisMode};
use crate::sessions::{ObserveStore, StoreCall, StoreError, StoreOutcome};
use crate::telemetry::causes;

/// How often each node is asked whether it is there.
const PING_EVERY: Duration = Duration::from_millis(250);
/// For its answer. With the pause before it this is how long a silent loss stays unknown.
const PING_TIME: Duration = Duration::from_millis(500);
/// For all connections to be made. With the longest pause before it this is how long an attempt
/// that hangs can keep us from a store that is back.
const CONNECT_TIME: Duration = Duration::from_secs(1);
/// Between two attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Before a command is tried again that a node could not take just now.
const MOMENT: Duration = Duration::from_millis(10);
/// How many commands may wait to be written to one node.
const WAITING: usize = 1024;

/// What a store says without having been asked.
#[derive(Debug)]
pub(in crate::sessions) enum Told {
    /// A key that was read has changed, or is gone.
    Changed(Vec<u8>),
    /// Everything has.
    AllChanged,
    /// Nothing is heard any more of what was read.
    Uncertain,
    /// What is read from now on is heard of.
    Up,
}

/// The connections.
pub(in crate::sessions) struct Link {
    settings: config::Redis,
    wiring: ArcSwap<Wiring>,
    generation: AtomicU64,
    /// Somebody has seen a fault, or another order of things.
    hurry: Notify,
    is_up: AtomicBool,
    /// Whether the first attempt to connect has ended, and who waits for that.
    has_begun: AtomicBool,
    begun: Notify,
    /// So that each question whether a node is there has an answer of its own.
    pings: AtomicU64,
    sentinel: Mutex<Option<SentinelClient>>,
    told: Box<dyn Fn(Told) + Send + Sync>,
    observe: OnceLock<ObserveStore>,
    reconnects: AtomicU64,
}

/// The connections as they are at present.
#[derive(Default)]
struct Wiring {
    nodes: Vec<Node>,
    /// By slot, the index of the node; `None` where one node has all.
    slots: Option<Vec<Option<u16>>>,
}

#[derive(Clone)]
struct Node {
    /// `host:port`.
    address: String,
    connection: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
}

impl Wiring {
    fn of(&self, slot: u16) -> Option<&Node> {
        let index = match &self.slots {
            None => 0,
            Some(slots) => usize::from((*slots.get(usize::from(slot))?)?),
        };
        self.nodes.get(index).filter(|node| !node.is_lost.load(Ordering::Acquire))
    }

    fn at(&self, address: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.address == address)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Link {
    pub(in crate::sessions) fn new(
        settings: config::Redis,
        told: impl Fn(Told) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            wiring: ArcSwap::default(),
            generation: AtomicU64::new(0),
            hurry: Notify::new(),
            is_up: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            begun: Notify::new(),
            pings: AtomicU64::new(0),
            sentinel: Mutex::new(None),
            told: Box::new(told),
            observe: OnceLock::new(),
            reconnects: AtomicU64::new(0),
        })
    }

    /// Whether the store can be asked, as far as is known.
    pub(in crate::sessions) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Every call is told to `observe` from now on.
    pub(in crate::sessions) fn observe(&self, observe: ObserveStore) {
        // There is one who observes.
        let _ = self.observe.set(observe);
    }

    /// How often the store was reached again after it had been lost.
    pub(in crate::sessions) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Asks the node that has `key`.
    ///
    /// # Errors
    /// When there is no answer within the time, or none that can be read.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        call: StoreCall,
        key: &str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let asking = async {
            self.begins().await;
            self.route(slots::slot(key), command).await
        };
        let answer = match timeout(self.settings.timeout, asking).await {
            Ok(answer) => answer.and_then(|answer| {
                redis::from_redis_value(answer).map_err(|error| {
                    self.suspect();
                    error.into()
                })
            }),
            Err(_) => {
                self.hurry.notify_one();
                Err((ErrorKind::Io, "no answer in time").into())
            }
        };
        self.asked(call, begun, answer)
    }

    /// Tells of a call.
    fn asked<T>(
        &self,
        call: StoreCall,
        begun: Instant,
        answer: RedisResult<T>,
    ) -> Result<T, StoreError> {
        let outcome = match &answer {
            Ok(_) => StoreOutcome::Ok,
            Err(error) => match error.kind() {
                ErrorKind::Io => StoreOutcome::Unreachable,
                _ => StoreOutcome::Refused,
            },
        };
        if let Some(observe) = self.observe.get() {
            observe(call, outcome, begun.elapsed());
        }
        answer.map_err(|error| {
            tracing::debug!(cause = %causes(&error), "the store of sessions did not do what it was asked");
            StoreError::Unavailable
        })
    }

    /// What one of the nodes is called; `None` if there are fewer.
    ///
    /// # Errors
    /// When it is not known at present which there are.
    pub(in crate::sessions) fn node(&self, number: usize) -> Result<Option<String>, StoreError> {
        Ok(self.numbered(number)?.map(|node| node.address))
    }

    /// An answer was to another question: whether the connections are in step is looked at now.
    pub(super) fn suspect(&self) {
        self.hurry.notify_one();
    }

    /// Asks one of the nodes; `None` if there are fewer.
    ///
    /// # Errors
    /// As [`Link::ask`].
    pub(super) async fn ask_node<T: FromRedisValue>(
        &self,
        call: StoreCall,
        number: usize,
        command: &Cmd,
    ) -> Result<Option<T>, StoreError> {
        let Some(mut node) = self.numbered(number)? else {
            return Ok(None);
        };
        let begun = Instant::now();
        let asking = timeout(self.settings.timeout, command.query_async(&mut node.connection));
        let late = |_| Err((ErrorKind::Io, "no answer in time").into());
        let answer = asking.await.unwrap_or_else(late);
        self.asked(call, begun, answer).map(Some)
    }

    /// The nodes that have something, in an order that a new connection does not change.
    fn numbered(&self, number: usize) -> Result<Option<Node>, StoreError> {
        let wiring = self.wiring.load();
        if !self.is_up() || wiring.nodes.is_empty() {
            return Err(StoreError::Unavailable);
        }
        let has_something = |index: usize| {
            let slots = wiring.slots.as_ref();
            slots.is_none_or(|slots| slots.iter().flatten().any(|has| usize::from(*has) == index))
        };
        let nodes = wiring.nodes.iter().enumerate();
        let mut nodes: Vec<&Node> =
            nodes.filter(|(index, _)| has_something(*index)).map(|(_, node)| node).collect();
        nodes.sort_unstable_by(|one, other| one.address.cmp(&other.address));
        Ok(nodes.get(number).map(|node| (*node).clone()))
    }

    /// A process that has just started is asked before it is connected: that is not a store that is
    /// down.
    async fn begins(&self) {
        // First, so that what is told between the two is heard.
        let begun = self.begun.notified();
        if !self.has_begun.load(Ordering::Acquire) {
            begun.await;
        }
    }

    /// Asks until a node takes it; whoever calls has a time for it.
    async fn route(&self, slot: u16, command: &Cmd) -> RedisResult<Value> {
        let mut moved_to: Option<String> = None;
        loop {
            let wiring = self.wiring.load();
            let node = match &moved_to {
                Some(address) => wiring.at(address).or_else(|| wiring.of(slot)),
                None => wiring.of(slot),
            };
            let Some(node) = node.cloned() else {
                return Err((ErrorKind::Io, "not connected").into());
            };
            drop(wiring);
            let mut connection = node.connection;
            let error = match command.query_async::<Value>(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    moved_to = error.redirect_node().map(|(address, _)| address.to_owned());
                    self.hurry.notify_one();
                    if moved_to.as_deref().is_none_or(|to| self.wiring.load().at(to).is_none()) {
                        sleep(MOMENT).await;
                    }
                }
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    let to = error.redirect_node().map(|(address, _)| address.to_owned());
                    let to = to.and_then(|to| self.wiring.load().at(&to).cloned());
                    let Some(Node { mut connection, .. }) = to else {
                        return Err(error);
                    };
                    let mut both = redis::pipe();
                    both.cmd("ASKING").ignore().add_command(command.clone());
                    let (answer,): (Value,) = both.query_async(&mut connection).await?;
                    return Ok(answer);
                }
                ErrorKind::Server(
                    ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading,
                ) => sleep(MOMENT).await,
                _ => {
                    // Demoted, shut, or not what it was.
                    if error.is_unrecoverable_error()
                        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
                    {
                        self.hurry.notify_one();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Keeps the connections; to be run beside the requests, for ever.
    pub(in crate::sessions) async fn keep(self: Arc<Self>) {
        let mut pause = PAUSE.0;
        let mut lost: Option<Instant> = None;
        let mut has_said = false;
        loop {
            let error = match timeout(CONNECT_TIME, self.connect()).await {
                Ok(Ok(wiring)) => {
                    self.wiring.store(Arc::new(wiring));
                    let was_up = self.is_up.swap(true, Ordering::AcqRel);
                    (self.told)(Told::Up);
                    match lost.take() {
                        Some(lost) => {
                            self.reconnects.fetch_add(1, Ordering::Relaxed);
                            let lost_for_ms =
                                u64::try_from(lost.elapsed().as_millis()).unwrap_or(u64::MAX);
                            tracing::info!(lost_for_ms, "the store of sessions is heard again");
                        }
                        None if !was_up => tracing::info!("the store of sessions is heard"),
                        None => tracing::debug!("the store of sessions is in another order"),
                    }
                    (pause, has_said) = (PAUSE.0, false);
                    self.has_begun();
                    let is_gone = self.watch().await;
                    (self.told)(Told::Uncertain);
                    if is_gone {
                        self.is_up.store(false, Ordering::Release);
                        lost = Some(Instant::now());
                        tracing::warn!(
                            "the store of sessions is lost: who is known here goes on for `grace`"
                        );
                    }
                    continue;
                }
                Ok(Err(error)) => causes(&error),
                Err(_) => "it took too long to connect".to_owned(),
            };
            // One that was in another order, and cannot be asked in it.
            if self.is_up.swap(false, Ordering::AcqRel) {
                lost = Some(Instant::now());
            }
            self.has_begun();
            if !std::mem::replace(&mut has_said, true) {
                tracing::warn!(cause = error, "the store of sessions cannot be reached");
            }
            sleep(pause.mul_f64(jitter())).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn has_begun(&self) {
        self.has_begun.store(true, Ordering::Release);
        self.begun.notify_waiters();
    }

    /// Returns when the connections are not what they should be: whether one is lost.
    async fn watch(&self) -> bool {
        let wiring = self.wiring.load_full();
        loop {
            let is_hurried = tokio::select! {
                () = self.hurry.notified() => true,
                () = sleep(PING_EVERY) => false,
            };
            for node in &wiring.nodes {
                let is_well = match node.is_lost.load(Ordering::Acquire) {
                    true => false,
                    false => timeout(PING_TIME, self.is_well(node)).await.unwrap_or(false),
                };
                if !is_well {
                    node.is_lost.store(true, Ordering::Release);
                    return true;
                }
            }
            // A Cluster may be ordered anew while all its nodes are well.
            if is_hurried && wiring.slots.is_some() {
                return false;
            }
        }
    }

    async fn is_well(&self, node: &Node) -> bool {
        let mut connection = node.connection.clone();
        // One that gives the answer to an earlier question would give it for ever.
        let ping = self.pings.fetch_add(1, Ordering::Relaxed).to_string();
        let answer = cmd("PING").arg(&ping).query_async::<String>(&mut connection).await;
        if answer.ok().as_ref() != Some(&ping) {
            return false;
        }
        match &self.settings.mode {
            RedisMode::Sentinel { .. } => is_primary(&mut connection).await.unwrap_or(false),
            RedisMode::Single | RedisMode::Cluster => true,
        }
    }

    /// In the driver's own task, so that nothing that is read later is heard before.
    fn hear(&self, push: PushInfo, is_lost: &AtomicBool, generation: u64) {
        match (push.kind, push.data.into_iter().next()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        (self.told)(Told::Changed(key));
                    }
                }
            }
            (PushKind::Invalidate, _) => (self.told)(Told::AllChanged),
            (PushKind::Disconnection, _) => {
                is_lost.store(true, Ordering::Release);
                // One that we have left ourselves tells nothing.
                if self.generation.load(Ordering::Acquire) == generation {
                    (self.told)(Told::Uncertain);
                    self.hurry.notify_one();
                }
            }
            _ => {}
        }
    }
}

async fn is_primary(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    Ok(matches!(role.first(), Some(Value::BulkString(role)) if role == b"master"))
}

/// From a half to one and a half, so that many nodes do not come back in one moment.
fn jitter() -> f64 {
    let mut random = [0; 1];
    // Without randomness it is the middle.
    let _ = aws_lc_rs::rand::fill(&mut random);
    0.5 + f64::from(random[0]) / 255.0
}
