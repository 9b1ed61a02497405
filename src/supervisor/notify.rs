//! What a service manager is told (`sd_notify(3)`): one datagram a message, to the address in
//! `NOTIFY_SOCKET`. No answer is waited for, and one that cannot be told is logged and nothing else.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A manager that does not read holds nothing up for longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the service manager how we are. Without one it tells nobody. Clones tell the same one.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Manager>>);

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// It takes us for dead after so long without a word.
    watchdog: Option<Duration>,
    /// It knows that visitors are served, and of no stop.
    is_told_ready: AtomicBool,
}

/// Why nobody is told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// What stands there is no address that there could be.
    #[error("NOTIFY_SOCKET is neither an absolute path nor begins with `@`")]
    Address,
    /// The system has no such socket.
    #[error("NOTIFY_SOCKET cannot be used")]
    Socket(#[from] io::Error),
}

impl Notifier {
    /// As the environment of this process says. It starts no other program than its own successor,
    /// which takes over who is told, so nobody else can speak in its name.
    ///
    /// # Errors
    /// When there is a manager that cannot be told anything.
    pub fn from_environment() -> Result<Self, NotifyError> {
        Self::read(&|name| std::env::var_os(name), std::process::id())
    }

    /// The same, for the process `own` in some other environment.
    ///
    /// # Errors
    /// As there.
    pub fn read(
        environment: &dyn Fn(&str) -> Option<OsString>,
        own: u32,
    ) -> Result<Self, NotifyError> {
        let Some(place) = environment("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
            return Ok(Self(None));
        };
        let address = address(&place)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
        // Somebody else's, if it names somebody else.
        let is_ours = environment("WATCHDOG_PID").is_none_or(|pid| *pid == *own.to_string());
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        let watchdog = watchdog.map(Duration::from_micros);
        Ok(Self(Some(Arc::new(Manager {
            socket,
            address,
            watchdog,
            is_told_ready: AtomicBool::default(),
        }))))
    }

    /// Whether there is anybody to tell.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// How often a word is due: twice as often as the manager asks for. `None` if it does not.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog.map(|most| most / 2)
    }

    /// Visitors are served.
    pub fn ready(&self, status: &str) {
        self.now_ready(true);
        self.tell(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// How it is, in words.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", line(status)));
    }

    /// The configuration is being read anew, until [`Notifier::reloaded`]. Before visitors are served,
    /// and once they are no more, that is nothing to tell.
    pub fn reloading(&self) {
        if !self.is_ready() {
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading the configuration"
        ));
    }

    /// It has been, or the one of before stays in force.
    pub fn reloaded(&self, status: &str) {
        if self.is_ready() {
            self.ready(status);
        }
    }

    /// Nobody new will be let in.
    pub fn stopping(&self, status: &str) {
        self.now_ready(false);
        self.tell(&format!("STOPPING=1\nSTATUS={}", line(status)));
    }

    /// All is well.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Another process takes our place. Nothing that we say counts from then on.
    pub fn main_process_is(&self, pid: u32) {
        self.now_ready(false);
        self.tell(&format!("MAINPID={pid}"));
    }

    fn is_ready(&self) -> bool {
        self.0.as_ref().is_some_and(|manager| manager.is_told_ready.load(Ordering::Acquire))
    }

    fn now_ready(&self, is_ready: bool) {
        if let Some(manager) = &self.0 {
            manager.is_told_ready.store(is_ready, Ordering::Release);
        }
    }

    fn tell(&self, message: &str) {
        let Some(manager) = &self.0 else {
            return;
        };
        if let Err(cause) = manager.socket.send_to_addr(message.as_bytes(), &manager.address) {
            tracing::warn!(%cause, "the service manager could not be told");
        }
    }
}

/// A message has a line for each thing that it says.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A path, or a name in the abstract namespace behind an `@`.
fn address(place: &OsStr) -> Result<SocketAddr, NotifyError> {
    let address = match place.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(place)?,
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => return Err(NotifyError::Address),
    };
    Ok(address)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A manager that listens, in the abstract namespace or at a path.
    pub(in crate::supervisor) struct Listening {
        pub(in crate::supervisor) socket: UnixDatagram,
        place: OsString,
    }

    impl Listening {
        pub(in crate::supervisor) fn abstractly(name: &str) -> Self {
            let name = format!("anteport-tests-{}-{name}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let socket = UnixDatagram::bind_addr(&address).unwrap();
            Self { socket, place: format!("@{name}").into() }
        }

        pub(in crate::supervisor) fn notifier(&self, more: &[(&str, &str)]) -> Notifier {
            let read = |name: &str| {
                let known = more.iter().find(|(known, _)| *known == name);
                let place = (name == "NOTIFY_SOCKET").then(|| self.place.clone());
                place.or_else(|| known.map(|(_, value)| value.into()))
            };
            Notifier::read(&read, 17).unwrap()
        }

        pub(in crate::supervisor) fn hears(&self) -> String {
            let mut said = [0; 4096];
            self.socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let length = self.socket.recv(&mut said).unwrap();
            String::from_utf8(said[..length].to_vec()).unwrap()
        }
    }

    #[test]
    fn a_manager_is_told_at_a_path_and_by_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("anteport-notify-{}", std::process::id()));
        let at_path = UnixDatagram::bind(&path).unwrap();
        let by_name = Listening::abstractly("told");
        for listening in [Listening { socket: at_path, place: path.clone().into() }, by_name] {
            let notifier = listening.notifier(&[]);
            notifier.reloading();
            notifier.reloaded("too early, and said to nobody");
            notifier.ready("Serving\nREADY=0");
            assert_eq!(listening.hears(), "READY=1\nSTATUS=Serving READY=0");
            notifier.reloading();
            let said = listening.hears();
            let mut lines = said.lines();
            assert_eq!(lines.next(), Some("RELOADING=1"));
            let when = lines.next().unwrap().strip_prefix("MONOTONIC_USEC=").unwrap();
            assert!(when.parse::<u64>().unwrap() > 0);
            notifier.reloaded("Serving");
            assert_eq!(listening.hears(), "READY=1\nSTATUS=Serving");
            notifier.stopping("Draining");
            notifier.reloaded("too late");
            assert_eq!(listening.hears(), "STOPPING=1\nSTATUS=Draining");
            notifier.main_process_is(42);
            assert_eq!(listening.hears(), "MAINPID=42");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_manager_nobody_is_told_and_one_that_cannot_be_is_an_error() {
        let nobody = Notifier::read(&|_| None, 1).unwrap();
        nobody.ready("to nobody");
        assert!(!nobody.is_heard() && nobody.watchdog_interval().is_none());
        let at = |place: &str| {
            let place = OsString::from(place);
            Notifier::read(&|name| (name == "NOTIFY_SOCKET").then(|| place.clone()), 1)
        };
        assert!(!at("").unwrap().is_heard());
        assert!(matches!(at("relative"), Err(NotifyError::Address)));
        assert!(matches!(at("vsock:2:1234"), Err(NotifyError::Address)));
        let long = format!("/{}", "x".repeat(4096));
        assert!(matches!(at(&long), Err(NotifyError::Socket(_))));
        // Whoever was there is gone: it is logged.
        at("/nobody/is/here").unwrap().alive();
    }

    #[test]
    fn the_watchdog_is_told_twice_as_often_as_it_asks_and_only_its_own() {
        let listening = Listening::abstractly("interval");
        let interval = |more: &[(&str, &str)]| {
            listening.notifier(more).watchdog_interval().map(|d| d.as_millis())
        };
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[("WATCHDOG_USEC", "30000000")]), Some(15_000));
        assert_eq!(interval(&[("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "17")]), Some(1));
        assert_eq!(interval(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "18")]), None);
        for odd in ["0", "-1", "x", ""] {
            assert_eq!(interval(&[("WATCHDOG_USEC", odd)]), None, "{odd}");
        }
    }
}
