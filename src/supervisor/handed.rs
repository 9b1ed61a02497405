//! Sockets that whoever started us has opened for us (socket activation, `sd_listen_fds(3)`): the
//! descriptors from 3 on, as many as `LISTEN_FDS` says, if `LISTEN_PID` says that they are ours.
//! What each is for is said by its name in `LISTEN_FDNAMES`; whether it fits the configuration is
//! not asked here.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::SockRef;

/// More than anybody has. What is not there is no socket, so a number alone costs nothing.
const MOST: usize = 1024;

/// One socket that was opened for us.
#[derive(Debug)]
pub struct Handed {
    /// As whoever opened it calls it.
    pub name: String,
    /// It listens.
    pub listener: TcpListener,
    /// Whoever opened it keeps it, for the next process.
    pub is_shared: bool,
}

impl Handed {
    /// The same socket once more.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Self> {
        let Self { name, listener, is_shared } = self;
        Ok(Self { name: name.clone(), listener: listener.try_clone()?, is_shared: *is_shared })
    }
}

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// A number that is none.
    #[error("LISTEN_FDS is not a number of sockets from 0 to {MOST}")]
    Count,
    /// Some have no name, or some names no socket.
    #[error("LISTEN_FDNAMES has {names} names for {sockets} sockets")]
    Names {
        /// How many names.
        names: usize,
        /// How many sockets.
        sockets: usize,
    },
    /// It is a pipe, a file, a socket of another kind, or not there.
    #[error("the descriptor that was handed over as `{name}` is no TCP socket")]
    Kind {
        /// Its name.
        name: String,
        /// What was found out.
        #[source]
        cause: io::Error,
    },
    /// Nobody can connect to it.
    #[error("the socket that was handed over as `{0}` does not listen")]
    Deaf(String),
}

/// The sockets that were opened for this process, in their order; none, mostly. To be called once,
/// before anything else is opened.
///
/// # Errors
/// When there are some that cannot be used.
pub fn handed_over() -> Result<Vec<Handed>, HandedError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    // Without it they could be anybody's: what a shell has open is not for us.
    if variable("LISTEN_PID") != std::process::id().to_string() {
        return Ok(Vec::new());
    }
    let names = names(&variable("LISTEN_FDS"), &variable("LISTEN_FDNAMES"))?;
    let mut all = ListenFd::from_env();
    let take = |(index, name): (usize, String)| match all.take_tcp_listener(index) {
        Ok(Some(listener)) if SockRef::from(&listener).is_listener().unwrap_or(false) => {
            Ok(Handed { name, listener, is_shared: true })
        }
        Ok(Some(_)) => Err(HandedError::Deaf(name)),
        Ok(None) => Err(HandedError::Count),
        Err(cause) => Err(HandedError::Kind { name, cause }),
    };
    names.into_iter().enumerate().map(take).collect()
}

/// A name for each socket: as many as there are.
fn names(count: &str, names: &str) -> Result<Vec<String>, HandedError> {
    let sockets = count.parse().ok().filter(|count| *count <= MOST).ok_or(HandedError::Count)?;
    if names.is_empty() {
        return Ok(vec!["unknown".to_owned(); sockets]);
    }
    let names: Vec<String> = names.split(':').map(str::to_owned).collect();
    match names.len() == sockets {
        true => Ok(names),
        false => Err(HandedError::Names { names: names.len(), sockets }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_a_name() {
        assert_eq!(names("2", "public:admin").unwrap(), ["public", "admin"]);
        assert_eq!(names("2", "").unwrap(), ["unknown", "unknown"]);
        assert_eq!(names("0", "").unwrap(), [""; 0]);
        for (count, all) in [("2", "public"), ("1", "public:admin"), ("0", "public")] {
            assert!(matches!(names(count, all), Err(HandedError::Names { .. })), "{count} {all}");
        }
        for count in ["", "x", "-1", "1025", "99999999999999999999"] {
            assert!(matches!(names(count, "public"), Err(HandedError::Count)), "{count}");
        }
    }

    #[test]
    fn what_is_handed_to_nobody_is_nobodys() {
        assert!(handed_over().unwrap().is_empty());
    }
}
