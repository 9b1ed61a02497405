//! What two processes of ours say to each other while the one takes the other's place: messages
//! with a beginning and an end, some with a socket. It connects a process and the one that it has
//! started and nobody else. They may be of different versions, so what is said is JSON, and
//! whatever one of them does not understand is an error and no guess.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use super::Handed;

/// The most bytes of one message.
const LARGEST: usize = 64 * 1024;

/// What is said. Named after who says it: the old process first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Old: a socket, which comes along.
    Listener {
        /// What it is for.
        name: String,
        /// Whether somebody else keeps it, too.
        is_shared: bool,
    },
    /// Old: these were all.
    Begin,
    /// New: everything is there that it takes to serve, and nobody is served yet.
    Prepared,
    /// Old: take my place.
    Go,
    /// New: visitors are served.
    Ready,
    /// Old: whoever watches over us looks at you from now on.
    Yours,
    /// Old: something is still open in the name of these sessions, which are yours to know of.
    StillOpen(Vec<String>),
    /// New: of those, these are over.
    Over(Vec<String>),
}

/// One end of it.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Why nothing is said or heard.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other process has ended, or wants no more of it.
    #[error("the other process is gone")]
    Gone,
    /// The other process is there and says nothing.
    #[error("the other process did not answer in time")]
    Late,
    /// Another version, or somebody else.
    #[error("the other process said something that is not understood here")]
    Strange,
    /// The system's.
    #[error("the other process could not be spoken to")]
    System(#[source] std::io::Error),
}

impl From<Errno> for ChannelError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::AGAIN => Self::Late,
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Self::Gone,
            error => Self::System(error.into()),
        }
    }
}

impl Channel {
    /// Both ends of a new one.
    ///
    /// # Errors
    /// The system's.
    pub fn pair() -> Result<(Self, Self), ChannelError> {
        let kind = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (one, other) = socketpair(kind.0, kind.1, kind.2, None)?;
        Ok((Self(one), Self(other)))
    }

    /// The end that this process was started with in place of its standard input.
    ///
    /// # Errors
    /// When there is something else.
    pub fn from_standard_input() -> Result<Self, ChannelError> {
        let input = std::io::stdin();
        let end = input.as_fd().try_clone_to_owned().map_err(ChannelError::System)?;
        match socket_type(&end) {
            Ok(SocketType::SEQPACKET) => Ok(Self(end)),
            Ok(_) | Err(_) => Err(ChannelError::Strange),
        }
    }

    /// To be given to a process as its standard input.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Says something.
    ///
    /// # Errors
    /// When it is not heard.
    pub fn say(&self, message: &Message) -> Result<(), ChannelError> {
        self.send(message, None)
    }

    /// Hands a socket over, and says what it is for.
    ///
    /// # Errors
    /// When it is not heard.
    pub fn hand(&self, socket: &Handed) -> Result<(), ChannelError> {
        let Handed { name, listener, is_shared } = socket;
        let message = Message::Listener { name: name.clone(), is_shared: *is_shared };
        self.send(&message, Some(listener.as_fd()))
    }

    fn send(&self, message: &Message, socket: Option<BorrowedFd<'_>>) -> Result<(), ChannelError> {
        let text = serde_json::to_vec(message)
            .map_err(|error| ChannelError::System(std::io::Error::other(error)))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets = socket.as_slice();
        if !sockets.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(sockets));
        }
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for what is said next, and for the socket that comes along.
    ///
    /// # Errors
    /// When nothing comes, or nothing that is understood.
    pub fn hear(
        &self,
        patience: Option<Duration>,
    ) -> Result<(Message, Option<TcpListener>), ChannelError> {
        set_socket_timeout(&self.0, Timeout::Recv, patience)?;
        let mut text = vec![0; LARGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let length = loop {
            let pieces = &mut [IoSliceMut::new(&mut text)];
            match recvmsg(&self.0, pieces, &mut control, flags) {
                Err(Errno::INTR) => {}
                received => break received?.bytes,
            }
        };
        let sockets = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let socket = sockets.flatten().next().map(TcpListener::from);
        let text = text.get(..length).filter(|text| !text.is_empty()).ok_or(ChannelError::Gone)?;
        match serde_json::from_slice(text) {
            Ok(message) => Ok((message, socket)),
            Err(_) => Err(ChannelError::Strange),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_secs(20));

    #[test]
    fn a_socket_that_is_handed_over_is_the_same_one() {
        let (old, new) = Channel::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        old.hand(&Handed { name: "public".to_owned(), listener, is_shared: true }).unwrap();
        old.say(&Message::Begin).unwrap();
        let (message, handed) = new.hear(SOON).unwrap();
        assert_eq!(message, Message::Listener { name: "public".to_owned(), is_shared: true });
        let handed = handed.unwrap();
        assert_eq!(handed.local_addr().unwrap(), address);
        // Nobody was refused meanwhile.
        let _visitor = std::net::TcpStream::connect(address).unwrap();
        handed.accept().unwrap();
        let (message, none) = new.hear(SOON).unwrap();
        assert!(message == Message::Begin && none.is_none());
    }

    #[test]
    fn who_is_gone_silent_or_strange_is_known_as_that() {
        let (old, new) = Channel::pair().unwrap();
        assert!(matches!(new.hear(Some(Duration::from_millis(1))), Err(ChannelError::Late)));
        for strange in ["", "{}", "\"restart\"", "{\"listener\":7}", "\"begin\" "] {
            let Ok(sent) = rustix::net::send(&old.0, strange.as_bytes(), SendFlags::NOSIGNAL)
            else {
                continue;
            };
            assert_eq!(sent, strange.len());
            let heard = new.hear(SOON);
            match strange {
                "\"begin\" " => assert_eq!(heard.unwrap().0, Message::Begin),
                "" => assert!(matches!(heard, Err(ChannelError::Gone))),
                _ => assert!(matches!(heard, Err(ChannelError::Strange)), "{strange}"),
            }
        }
        drop(old);
        assert!(matches!(new.hear(SOON), Err(ChannelError::Gone)));
        assert!(matches!(new.say(&Message::Ready), Err(ChannelError::Gone)));
    }
}
