//! The end of a process: what an operator writes at `shutdown`, and how long each part of it takes.

use std::time::Duration;

use super::context::{Context, Located};
use super::file::bare;
use super::section::Section;
use super::value;

/// How long the parts of a stop take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// From the moment at which `/readyz` says `draining` until nobody new is let in.
    pub delay: Duration,
    /// For what is under way to finish from there on; what has not by then is cut.
    pub drain: Duration,
    /// How much of that WebSockets may have before they are told to come again.
    pub websockets: Duration,
}

/// What an operator wrote at `shutdown`.
pub(super) struct ShutdownFile {
    delay: Option<Duration>,
    drain: Option<Duration>,
    /// Outside `None` if it was reported, inside if the key is not there.
    websockets: Option<Option<Located<Duration>>>,
}

pub(super) fn read(section: &Section<'_>) -> ShutdownFile {
    let time = value::duration("0s", "1h");
    ShutdownFile {
        delay: bare(section.value("delay", &time)),
        drain: bare(section.value("drain", &time)),
        websockets: section.if_there("websockets", |key| section.value(key, &time)),
    }
}

pub(super) fn resolve(context: &Context<'_>, file: &ShutdownFile) -> Option<Shutdown> {
    let drain = file.drain?;
    let websockets = match file.websockets.as_ref()? {
        None => drain,
        Some(websockets) if websockets.value <= drain => websockets.value,
        Some(websockets) => {
            let message = "WebSockets have a part of `drain`, so this is no longer than that";
            context.error(&websockets.spot, message);
            return None;
        }
    };
    Some(Shutdown { delay: file.delay?, drain, websockets })
}
