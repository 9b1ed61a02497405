//! Who starts us, watches us and takes our place: systemd by its protocol, and the process that
//! comes after this one. Nothing of it is needed: a process that nobody listens to runs alike.
//! Deliberately not here: what is done with it, which is `server`'s (`service.rs`).

mod channel;
mod handed;
mod notify;
mod succession;
mod watchdog;

pub use channel::{Channel, ChannelError, Message};
pub use handed::{Handed, HandedError, handed_over};
pub use notify::{Notifier, NotifyError};
pub use succession::{Predecessor, SuccessionError, Successor};
pub use watchdog::{Beat, Pulse, watch};
