//! Where log lines go: to standard error, through a thread of their own.
//!
//! A sink that is slow, full or gone costs lines, which are counted, and never a request (LOG-02,
//! REL-09). What is logged, and how, comes from the configuration alone; `RUST_LOG` is not read.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
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

use super::{access_log, audit};
use crate::config::{LogFormat, Logging};

/// How many lines may wait for the sink. At some 400 bytes a line, under 2 MiB.
pub const WAITING_LINES: usize = 4096;

/// How long [`Log`] waits at the end for lines to be written.
const FLUSH: Duration = Duration::from_millis(1500);

/// The logging of this process. Dropped last, it writes what waits, for a second and a half at
/// most.
#[derive(Debug)]
pub struct Log {
    guard: Option<WorkerGuard>,
    dropped: DroppedLines,
    levels: Levels,
}

/// What is logged, which may be changed while the process lives; how it is, stays.
#[derive(Clone, Debug)]
pub struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    /// From now on it is as these settings say.
    pub fn change(&self, logging: &Logging) {
        // It fails only when nothing is logged any more.
        let _ = self.0.reload(filter(logging));
    }
}

/// Lines that the sink did not take; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines {
    /// Lines that could not even wait.
    full: Option<ErrorCounter>,
    /// Lines whose writing failed.
    failed: Arc<AtomicU64>,
}

impl DroppedLines {
    /// How many, since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        let full = self.full.as_ref().map_or(0, ErrorCounter::dropped_lines);
        let full = u64::try_from(full).unwrap_or(u64::MAX);
        full.saturating_add(self.failed.load(Ordering::Relaxed))
    }
}

/// Logging was set up before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process logs already")]
pub struct AlreadyLogging;

/// Sends the log of this process to standard error.
///
/// # Errors
/// If something else took that place before.
pub fn init(logging: &Logging) -> Result<Log, AlreadyLogging> {
    let is_terminal = io::stderr().is_terminal();
    let (subscriber, log) = subscriber(logging, io::stderr(), is_terminal, WAITING_LINES);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyLogging)?;
    Ok(log)
}

/// What [`init`] installs, for any sink.
pub fn subscriber<W: Write + Send + 'static>(
    logging: &Logging,
    sink: W,
    is_terminal: bool,
    waiting_lines: usize,
) -> (impl Subscriber + Send + Sync + use<W>, Log) {
    let failed = Arc::new(AtomicU64::new(0));
    let sink = Sink { inner: sink, failed: Arc::clone(&failed) };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(waiting_lines)
        .lossy(true)
        .thread_name("log")
        .finish(sink);
    let dropped = DroppedLines { full: Some(writer.error_counter()), failed };
    let is_pretty = match logging.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let layer = if is_pretty { pretty(writer, is_terminal) } else { json(writer) };
    let (filter, handle) = reload::Layer::new(filter(logging));
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    let log = Log { guard: Some(guard), dropped, levels: Levels(handle) };
    (subscriber, log)
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

/// Our own lines from the configured level on, those of others from `WARN` on; access events if
/// they are wanted; audit events always (LOG-03).
fn filter(logging: &Logging) -> Targets {
    let access = if logging.access { LevelFilter::INFO } else { LevelFilter::OFF };
    let ours = LevelFilter::from_level(logging.level);
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("anteport", ours)
        .with_target(access_log::TARGET, access)
        .with_target(audit::TARGET, LevelFilter::INFO)
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
}

impl Drop for Log {
    /// The writer's own end could wait for a blocked standard output for ever; ours does not.
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        let (done, is_done) = mpsc::channel();
        let flushing = std::thread::Builder::new().name("log-end".to_owned()).spawn(move || {
            drop(guard);
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
