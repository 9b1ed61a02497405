//! A process that takes the place of another without anybody being refused: the old one starts the
//! new one, gives it the sockets that it listens on, and ends once the new one serves. Both have
//! the sockets meanwhile, so whoever connects waits in the kernel's queue at worst.
//!
//! | the old one | the new one |
//! | --- | --- |
//! | starts the program by the name that it was started by itself | |
//! | hands over each socket, and says `begin` | reads its configuration, makes all that it needs |
//! | | `prepared` |
//! | lets nobody in any more, leaves its sessions, if the new one is to have them, and says `go` | |
//! | | reads the sessions, serves, and says `ready` |
//! | tells the service manager, says `yours`, and finishes what is under way | tells it how it is |
//! | asks in whose name something may go on (`still_open`) | `over`: in theirs not |
//!
//! Whatever fails until `ready`, the old one goes on as if nothing had been. Deliberately not here:
//! what both of them do in between (`server/hand_over.rs`).

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Channel, ChannelError, Handed, Message};

/// Says that standard input is one end of a [`Channel`].
const MARK: &str = "ANTEPORT_PREDECESSOR";
/// For a process to read its configuration, or a million sessions.
const PATIENCE: Duration = Duration::from_secs(30);
/// For an answer that takes no work.
const MOMENT: Duration = Duration::from_secs(2);
/// How often it is looked whether somebody still wants to wait.
const LOOK: Duration = Duration::from_millis(100);
/// How many sessions one question is about.
const AT_ONCE: usize = 500;

/// Why a process does not take another's place.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// There is nothing of its name any more, or it may not be started.
    #[error("the program {0:?} could not be started")]
    Start(OsString, #[source] std::io::Error),
    /// It could not start, and has said why.
    #[error("the new process ended before it was ready ({0}); its own lines say why")]
    Ended(String),
    /// It is there and does not get on.
    #[error("the new process could not be spoken to")]
    New(#[source] ChannelError),
    /// The old one is gone, or has changed its mind.
    #[error("the process whose place is to be taken could not be spoken to")]
    Old(#[source] ChannelError),
}

/// The process that takes our place, as we see it. Dropped before it is ready, it is ended.
#[derive(Debug)]
pub struct Successor {
    channel: Channel,
    child: Child,
    is_ready: bool,
    /// Whoever waits for it does not any more.
    is_given_up: Arc<AtomicBool>,
}

impl Successor {
    /// Starts the program that this process is, as it is on disk now, with the arguments that this
    /// one was started with. Once it is given up it is not waited for any more.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        sockets: &[Handed],
        is_given_up: Arc<AtomicBool>,
    ) -> Result<Self, SuccessionError> {
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(arguments);
        let mut successor = Self::start_as(command, sockets)?;
        successor.is_given_up = is_given_up;
        Ok(successor)
    }

    fn start_as(mut command: Command, sockets: &[Handed]) -> Result<Self, SuccessionError> {
        let (channel, theirs) = Channel::pair().map_err(SuccessionError::New)?;
        command.stdin(Stdio::from(theirs.into_descriptor())).env(MARK, "1");
        // It is told what it needs by us. The watchdog is whoever's the manager says.
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        let started = command.spawn();
        let child = started
            .map_err(|cause| SuccessionError::Start(command.get_program().to_owned(), cause))?;
        // With it goes our copy of their end, so that we notice when they end.
        drop(command);
        let mut successor = Self { channel, child, is_ready: false, is_given_up: Arc::default() };
        let handed = sockets.iter().try_for_each(|socket| successor.channel.hand(socket));
        handed
            .and_then(|()| successor.channel.say(&Message::Begin))
            .map_err(|error| successor.failed(error))?;
        Ok(successor)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has all that it needs. It takes a while: not for an event loop, as everything
    /// here.
    ///
    /// # Errors
    /// When it does not come so far.
    pub fn prepared(&mut self) -> Result<(), SuccessionError> {
        self.waits_for(&Message::Prepared)
    }

    /// Lets it serve, and waits until it does. From then on it is on its own.
    ///
    /// # Errors
    /// When it does not come so far.
    pub fn take_over(&mut self) -> Result<(), SuccessionError> {
        self.channel.say(&Message::Go).map_err(|error| self.failed(error))?;
        self.waits_for(&Message::Ready)?;
        self.is_ready = true;
        Ok(())
    }

    /// Ends it, however far it is.
    pub fn end(mut self) {
        self.is_ready = false;
    }

    /// Whoever watches over us knows of it.
    pub fn is_yours(&self) {
        // If it is gone by now, whoever watches notices.
        let _ = self.channel.say(&Message::Yours);
    }

    /// Which of these sessions are over, as it knows.
    ///
    /// # Errors
    /// When it does not say.
    pub fn over(&self, sessions: &[String]) -> Result<Vec<String>, ChannelError> {
        let mut all = Vec::new();
        for some in sessions.chunks(AT_ONCE) {
            self.channel.say(&Message::StillOpen(some.to_vec()))?;
            match self.channel.hear(Some(MOMENT))?.0 {
                Message::Over(over) => all.extend(over),
                _ => return Err(ChannelError::Strange),
            }
        }
        Ok(all)
    }

    fn waits_for(&mut self, wanted: &Message) -> Result<(), SuccessionError> {
        let begun = Instant::now();
        loop {
            let has_time = begun.elapsed() < PATIENCE && !self.is_given_up.load(Ordering::Acquire);
            return match self.channel.hear(Some(LOOK)) {
                Err(ChannelError::Late) if has_time => continue,
                Ok((message, _)) if message == *wanted => Ok(()),
                Ok(_) => Err(SuccessionError::New(ChannelError::Strange)),
                Err(error) => Err(self.failed(error)),
            };
        }
    }

    /// Whoever does not answer may have ended.
    fn failed(&mut self, error: ChannelError) -> SuccessionError {
        let ended = matches!(error, ChannelError::Gone).then(|| self.child.wait());
        match ended {
            Some(Ok(status)) => SuccessionError::Ended(in_words(status)),
            Some(Err(_)) | None => SuccessionError::New(error),
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_ready {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

/// The process whose place we take, as we see it.
#[derive(Debug)]
pub struct Predecessor(Channel);

impl Predecessor {
    /// Whoever has started us to take its place, if somebody has, and what it listens on.
    ///
    /// # Errors
    /// When it does not say.
    pub fn from_environment() -> Result<Option<(Self, Vec<Handed>)>, SuccessionError> {
        if std::env::var_os(MARK).is_none() {
            return Ok(None);
        }
        let channel = Channel::from_standard_input().map_err(SuccessionError::Old)?;
        Self::on(channel).map(Some)
    }

    fn on(channel: Channel) -> Result<(Self, Vec<Handed>), SuccessionError> {
        let mut sockets = Vec::new();
        loop {
            match channel.hear(Some(MOMENT)).map_err(SuccessionError::Old)? {
                (Message::Listener { name, is_shared }, Some(listener)) => {
                    sockets.push(Handed { name, listener, is_shared });
                }
                (Message::Begin, None) => return Ok((Self(channel), sockets)),
                _ => return Err(SuccessionError::Old(ChannelError::Strange)),
            }
        }
    }

    /// Says that everything is there, and waits until its place is free.
    ///
    /// # Errors
    /// When it is not.
    pub fn wait(&self) -> Result<(), SuccessionError> {
        self.0.say(&Message::Prepared).map_err(SuccessionError::Old)?;
        match self.0.hear(Some(PATIENCE)).map_err(SuccessionError::Old)?.0 {
            Message::Go => Ok(()),
            _ => Err(SuccessionError::Old(ChannelError::Strange)),
        }
    }

    /// Says that visitors are served, and waits until whoever watches over it watches over us.
    pub fn ready(&self) {
        if let Err(cause) = self.0.say(&Message::Ready).and_then(|()| self.0.hear(Some(MOMENT))) {
            tracing::warn!(%cause, "the process whose place is taken ended without a word");
        }
    }

    /// Answers for as long as it asks which sessions `are_over`.
    pub fn answer(&self, are_over: impl Fn(Vec<String>) -> Vec<String>) {
        while let Ok((Message::StillOpen(sessions), _)) = self.0.hear(None) {
            if self.0.say(&Message::Over(are_over(sessions))).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn socket() -> Handed {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Handed { name: "public".to_owned(), listener, is_shared: false }
    }

    #[test]
    fn both_come_to_their_end_together() {
        let (old, new) = Channel::pair().unwrap();
        let handed = socket();
        let at = handed.listener.local_addr().unwrap();
        let new = std::thread::spawn(move || {
            let (predecessor, sockets) = Predecessor::on(new).unwrap();
            predecessor.wait().unwrap();
            predecessor.ready();
            predecessor.answer(|all| all.into_iter().filter(|id| id.ends_with('7')).collect());
            sockets
        });
        // Anything that runs: what it would say is said by the thread.
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut successor =
            Successor { channel: old, child, is_ready: false, is_given_up: Arc::default() };
        successor.channel.hand(&handed).unwrap();
        successor.channel.say(&Message::Begin).unwrap();
        successor.prepared().unwrap();
        successor.take_over().unwrap();
        successor.is_yours();
        let all: Vec<String> = (0..2500).map(|number| format!("{number:064x}")).collect();
        let over = successor.over(&all).unwrap();
        let wanted: Vec<String> = all.into_iter().filter(|id| id.ends_with('7')).collect();
        assert!(over == wanted && !over.is_empty());
        successor.is_ready = false;
        drop(successor);
        let sockets = new.join().unwrap();
        assert_eq!(sockets[0].listener.local_addr().unwrap(), at);
    }

    #[test]
    fn who_ends_before_it_is_ready_is_said_to_have() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 78"]);
        let failed = match Successor::start_as(command, &[socket()]) {
            Ok(mut successor) => successor.prepared().unwrap_err(),
            Err(failed) => failed,
        };
        assert!(failed.to_string().contains("exit code 78"), "{failed}");
        let missing = Successor::start_as(Command::new("/nobody/here"), &[]).unwrap_err();
        assert!(missing.to_string().contains("/nobody/here"), "{missing}");
    }

    #[test]
    fn a_successor_whose_predecessor_is_gone_does_not_begin() {
        let (old, new) = Channel::pair().unwrap();
        old.hand(&socket()).unwrap();
        drop(old);
        assert!(matches!(Predecessor::on(new), Err(SuccessionError::Old(ChannelError::Gone))));
    }
}
