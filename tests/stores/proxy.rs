//! One process of the binary, started and stopped as an operator does.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::redis::{Process, SOON};
use crate::visitor::get;
use crate::world::folder::Folder;

/// One process.
pub struct Proxy {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    folder: Arc<Folder>,
    process: Option<Process>,
}

impl Proxy {
    /// One that will run with this configuration.
    pub fn new(address: SocketAddr, admin: SocketAddr, folder: Arc<Folder>, config: &str) -> Self {
        let proxy = Self { address, admin, folder, process: None };
        std::fs::write(proxy.path("yaml"), config).unwrap();
        proxy
    }

    /// The file of its configuration, or another that is named like it.
    pub fn path(&self, extension: &str) -> PathBuf {
        self.folder.at(&format!("{}.{extension}", self.address.port()))
    }

    /// Starts it.
    pub fn up(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteport"));
        command.args(["run", "--config"]).arg(self.path("yaml"));
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(Process(command.spawn().unwrap()));
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let begun = Instant::now();
        loop {
            let reply = get(self.admin, &self.admin.to_string(), "/readyz", "").await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                return;
            }
            assert!(begun.elapsed() < SOON, "it does not come up: {}", self.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops it as an operator would, and waits for its end.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || process.0.wait().unwrap());
        assert_eq!(ended.await.unwrap().code(), Some(0), "{}", self.log());
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Why each session has ended of which an audit event of this name tells.
    pub fn audited(&self, event: &str) -> Vec<Option<String>> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = lines.filter(|line| line["event.name"] == event);
        lines.map(|line| line["cause"].as_str().map(str::to_owned)).collect()
    }
}
