//! A process of ours, with its log and its folder.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub(crate) use crate::ask::ask;
pub(crate) use crate::folder::Folder;
pub(crate) use crate::open::open;
use crate::ports::free_ports;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_anteport");
/// Far more than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A port that the system gives to nobody who connects somewhere.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// What a process and those that it has started say.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    /// The one that serves now.
    pub(crate) pid: u32,
    said: Arc<Said>,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    _folder: Folder,
}

impl Running {
    /// In front of the portal at this port.
    pub(crate) fn start(portal: u16, more: &str) -> Self {
        Self::start_with(portal, more, &[])
    }

    pub(crate) fn start_with(portal: u16, more: &str, environment: &[(&str, &str)]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let text = open(port, admin, portal, more);
        Self::start_as(Folder::new(), &text, (port, admin), environment)
    }

    pub(crate) fn start_as(
        folder: Folder,
        text: &str,
        (port, admin): (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--config"]).arg(folder.write("config.yaml", text));
        command.envs(environment.iter().copied());
        Self::start_by(command, folder, (port, admin))
    }

    /// By this command, whatever it is.
    pub(crate) fn start_by(
        mut command: Command,
        folder: Folder,
        (port, admin): (u16, u16),
    ) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Said>::default();
        let heard = Arc::clone(&said);
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                heard.lines.lock().unwrap().push(line);
                heard.more.notify_all();
            }
        });
        let pid = child.id();
        let running = Self { child, pid, said, port, admin, _folder: folder };
        running.says("\"ready\"");
        running
    }

    /// Waits for a line with this in it.
    pub(crate) fn says(&self, wanted: &str) -> String {
        self.says_again(wanted, 1)
    }

    /// Waits for so many of them, and gives the last.
    pub(crate) fn says_again(&self, wanted: &str, times: usize) -> String {
        let lines = self.said.lines.lock().unwrap();
        let is_missing = |lines: &mut Vec<String>| {
            lines.iter().filter(|line| line.contains(wanted)).count() < times
        };
        let (lines, waited) = self.said.more.wait_timeout_while(lines, SOON, is_missing).unwrap();
        let told = lines.iter().filter(|line| !line.contains("anteport::access"));
        let told: Vec<&String> = told.collect();
        assert!(!waited.timed_out(), "no `{wanted}`: {told:#?}");
        lines.iter().filter(|line| line.contains(wanted)).nth(times - 1).unwrap().clone()
    }

    pub(crate) fn has_said(&self, wanted: &str) -> bool {
        self.said.lines.lock().unwrap().iter().any(|line| line.contains(wanted))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Kills the process that is to take its place, once there is one.
    pub(crate) fn kill_successor(&self) {
        let (old, begun) = (self.pid.to_string(), Instant::now());
        let kill = || Command::new("pkill").args(["-KILL", "-P", &old]).status().unwrap();
        while !kill().success() {
            assert!(begun.elapsed() < SOON, "there is no new process");
        }
    }

    /// Waits for the end of the process that was started first.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < SOON, "it does not end");
            std::thread::yield_now();
        }
    }

    /// Has a new process take its place.
    pub(crate) fn upgrade(&mut self, number: usize) {
        self.signal("-USR2");
        let line = self.says_again("another process has taken this one's place", number);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.pid = line["process"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap();
    }

    pub(crate) fn readyz(&self) -> (u16, String) {
        let answer = ask(self.admin, "GET /readyz HTTP/1.1");
        (status(&answer), answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
    }

    /// Waits until health says this.
    pub(crate) fn is(&self, wanted: &str) {
        let begun = Instant::now();
        while !self.readyz().1.contains(wanted) {
            assert!(begun.elapsed() < SOON, "it is never {wanted}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid != self.child.id() {
            let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts something on a connection of its own.
pub(crate) fn post(port: u16, target: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default()
}
