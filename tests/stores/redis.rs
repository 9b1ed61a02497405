//! Redis servers of our own, on ports that the system gives, ended with whoever started them.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, FromRedisValue, cmd};

use crate::world::folder::Folder;
use crate::world::free_port;

/// For something that happens at once on a machine that is not busy.
pub const SOON: Duration = Duration::from_secs(20);

/// A process that ends with this value.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One server.
pub struct Server {
    pub address: SocketAddr,
    process: Option<Process>,
    more: Vec<String>,
    _folder: Folder,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(more: &[&str]) -> Self {
        let address = free_port();
        let folder = Folder::new();
        let more = more.iter().map(|text| (*text).to_owned()).collect();
        let mut server = Self { address, process: None, more, _folder: folder };
        server.up();
        server
    }

    /// Starts it again at the same address, empty.
    pub fn up(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        command.arg("--dir").arg(&self._folder.0).args(&self.more);
        self.process = Some(Process::start(&mut command));
        let begun = Instant::now();
        while self.try_ask::<String>(cmd("PING")).is_err() {
            assert!(begun.elapsed() < SOON, "redis-server does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Stops it in its tracks, or lets it go on.
    pub fn pause(&self, is_paused: bool) {
        let signal = if is_paused { "STOP" } else { "CONT" };
        self.process.as_ref().unwrap().signal(signal);
    }

    /// Asks it something, over a connection of its own.
    pub fn ask<T: FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        self.try_ask(std::mem::take(command)).unwrap()
    }

    /// The same of one that may cut it off, as Sentinels do with those of whom they change the
    /// part.
    pub fn try_ask<T: FromRedisValue>(&self, command: redis::Cmd) -> redis::RedisResult<T> {
        let client = Client::open(format!("redis://{}/", self.address))?;
        command.query(&mut client.get_connection()?)
    }

    /// How often a command was given, as the server counts.
    pub fn count(&self, command: &str) -> u64 {
        let info: String = self.ask(cmd("INFO").arg("commandstats"));
        let line = info.lines().find_map(|line| {
            line.strip_prefix(&format!("cmdstat_{command}:calls="))?.split(',').next()
        });
        line.map_or(0, |calls| calls.parse().unwrap())
    }

    /// Cuts all connections, but the one that says so.
    pub fn cut(&self) {
        let _: i64 =
            self.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"));
    }
}
