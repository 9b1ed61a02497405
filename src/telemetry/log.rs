//! How log lines go out: each place through a thread of its own (`streams` says which there are).
//!
//! A sink that is slow, full or gone costs lines, which are counted, and never a request (LOG-02,
//! REL-09). What is logged, and how, comes from the configuration alone; `RUST_LOG` is not read.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::time::UtcTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use super::streams::{self, Reopen, Streams, Unwritable};
use super::{access_log, audit};
use crate::config::{LogFormat, Logging};

/// How many lines may wait for the sink. At some 400 bytes a line, under 2 MiB.
pub const WAITING_LINES: usize = 4096;

/// How long [`Log`] waits at the end for lines to be written.
const FLUSH: Duration = Duration::from_millis(1500);

/// The logging of this process. Dropped last, it writes what waits, for a second and a half at
/// most.
#[derive(Debug, Default)]
pub struct Log {
    guards: Vec<WorkerGuard>,
    dropped: DroppedLines,
    reopen: Reopen,
    levels: Levels,
}

/// What is logged, which may be changed while the process lives; how it is and where, stays.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<(Streams, reload::Handle<Targets, Registry>)>);

impl Levels {
    /// From now on it is as these settings say.
    pub fn change(&self, logging: &Logging) {
        for (streams, handle) in &self.0 {
            // It fails only when nothing is logged any more.
            let _ = handle.reload(filter(logging, *streams));
        }
    }
}

/// Lines that the sink did not take; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines {
    /// Lines that could not even wait.
    full: Vec<ErrorCounter>,
    /// Lines whose writing failed.
    failed: Arc<AtomicU64>,
}

impl DroppedLines {
    /// How many, since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        let full: usize = self.full.iter().map(ErrorCounter::dropped_lines).sum();
        let full = u64::try_from(full).unwrap_or(u64::MAX);
        full.saturating_add(self.failed.load(Ordering::Relaxed))
    }
}

/// Logging was set up before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process logs already")]
pub struct AlreadyLogging;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something else took its place before.
    #[error(transparent)]
    AlreadyLogging(#[from] AlreadyLogging),
    /// A file of it cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
}

/// Sends the log of this process where it is to go. A panic is a line of it, too: else it would be
/// written past the log to standard error, which may be full, with what it was about (LOG-01).
///
/// # Errors
/// If a file cannot be written, or something else took that place before.
pub fn init(logging: &Logging) -> Result<Log, LogError> {
    let mut log = Log::default();
    let places = streams::open(logging, &log.reopen)?.into_iter();
    let layers: Vec<BoxedLayer> = places
        .map(|place| {
            let to = (place.is_terminal, WAITING_LINES);
            layer(logging, place.sink, to, place.streams, &mut log)
        })
        .collect();
    let subscriber = tracing_subscriber::registry().with(layers);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyLogging)?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, "a panic, which is a fault of this program's");
    }));
    Ok(log)
}

/// What [`init`] installs, for any one sink.
pub fn subscriber<W: Write + Send + 'static>(
    logging: &Logging,
    sink: W,
    is_terminal: bool,
    waiting_lines: usize,
) -> (impl Subscriber + Send + Sync + use<W>, Log) {
    let mut log = Log::default();
    let layer = layer(logging, sink, (is_terminal, waiting_lines), Streams::ALL, &mut log);
    (tracing_subscriber::registry().with(layer), log)
}

/// A sink with its thread, and what goes there.
fn layer<W: Write + Send + 'static>(
    logging: &Logging,
    sink: W,
    (is_terminal, waiting_lines): (bool, usize),
    streams: Streams,
    log: &mut Log,
) -> BoxedLayer {
    let sink = Sink { inner: sink, failed: Arc::clone(&log.dropped.failed) };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(waiting_lines)
        .lossy(true)
        .thread_name("log")
        .finish(sink);
    log.dropped.full.push(writer.error_counter());
    log.guards.push(guard);
    let is_pretty = match logging.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let layer = if is_pretty { pretty(writer, is_terminal) } else { json(writer) };
    let (filter, handle) = reload::Layer::new(filter(logging, streams));
    log.levels.0.push((streams, handle));
    layer.with_filter(filter).boxed()
}

type BoxedLayer = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

fn pretty(writer: NonBlocking, colours: bool) -> BoxedLayer {
    tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_timer(UtcTime::rfc_3339())
        .with_writer(writer)
        .boxed()
}

/// One object a line.
fn json(writer: NonBlocking) -> BoxedLayer {
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_timer(UtcTime::rfc_3339())
        .with_writer(writer)
        .boxed()
}

/// Of what goes there: our own lines from the configured level on, those of others from `WARN` on;
/// access events if they are wanted; audit events always (LOG-03).
fn filter(logging: &Logging, streams: Streams) -> Targets {
    let of = |is_wanted: bool, level: LevelFilter| if is_wanted { level } else { LevelFilter::OFF };
    let ours = of(streams.application, LevelFilter::from_level(logging.level));
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("anteport", ours)
        .with_target(access_log::TARGET, of(streams.access && logging.access, LevelFilter::INFO))
        .with_target(audit::TARGET, of(streams.audit, LevelFilter::INFO))
}

impl Log {
    /// What is logged.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }

    /// The count of lines that the sink did not take, for the metrics.
    #[must_use]
    pub fn dropped_lines(&self) -> DroppedLines {
        self.dropped.clone()
    }

    /// Has its files opened anew.
    #[must_use]
    pub fn reopen(&self) -> Reopen {
        self.reopen.clone()
    }
}

impl Drop for Log {
    /// The writer's own end could wait for a blocked standard output for ever; ours does not.
    fn drop(&mut self) {
        let guards = std::mem::take(&mut self.guards);
        if guards.is_empty() {
            return;
        }
        let (done, is_done) = mpsc::channel();
        let flushing = std::thread::Builder::new().name("log-end".to_owned()).spawn(move || {
            // Each of them waits for its sink, and none for another.
            std::thread::scope(|scope| {
                for guard in guards {
                    scope.spawn(move || drop(guard));
                }
            });
            let _ = done.send(());
        });
        if flushing.is_ok() {
            let _ = is_done.recv_timeout(FLUSH);
        }
    }
}

/// Counts lines that cannot be written, and goes on.
struct Sink<W> {
    inner: W,
    failed: Arc<AtomicU64>,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.inner.write_all(line).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.inner.flush();
        Ok(())
    }
}

/// Text that came from outside, as a log may show it: printable ASCII, the rest escaped, and cut at
/// a length (LOG-02).
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    text: &'a str,
    longest: usize,
}

impl<'a> Shown<'a> {
    /// At most about `longest` characters of `text`.
    #[must_use]
    pub const fn new(text: &'a str, longest: usize) -> Self {
        Self { text, longest }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if self.text.len() <= self.longest && is_plain(self.text) {
            return f.write_str(self.text);
        }
        let mut left = self.longest;
        for character in self.text.chars() {
            let escaped = match character {
                ' '..='~' => None,
                _ => Some(character.escape_default()),
            };
            let length = escaped.as_ref().map_or(1, ExactSizeIterator::len);
            if length > left {
                return f.write_str("…");
            }
            left -= length;
            match escaped {
                None => fmt::Write::write_char(f, character)?,
                Some(escaped) => write!(f, "{escaped}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_is_printable_and_bounded() {
        for (text, longest, shown) in [
            ("/reports", 20, "/reports"),
            ("a\nb", 20, "a\\nb"),
            ("a\u{1b}[31mb", 20, "a\\u{1b}[31mb"),
            ("Jörg", 20, "J\\u{f6}rg"),
            ("aaaaaaaa", 4, "aaaa…"),
            ("aa\nb", 3, "aa…"),
        ] {
            assert_eq!(Shown::new(text, longest).to_string(), shown);
        }
    }
}
