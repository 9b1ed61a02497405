//! Where the three streams of the log go: standard error, standard output or files, which somebody
//! may move away and have opened anew.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{Logging, Sink};

/// Others than owner and group have no business in a log.
const MODE: u32 = 0o640;

/// A place where lines go, and which.
pub(super) struct Place {
    pub(super) sink: Box<dyn Write + Send>,
    pub(super) is_terminal: bool,
    pub(super) streams: Streams,
}

/// Which streams go somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// The application's own lines.
    pub application: bool,
    /// One event a request.
    pub access: bool,
    /// Who was let in, out or refused.
    pub audit: bool,
}

impl Streams {
    /// All of them.
    pub const ALL: Self = Self { application: true, access: true, audit: true };

    fn to(sink: &Sink, logging: &Logging) -> Self {
        Self {
            application: logging.to == *sink,
            // Which may be switched on while the process lives.
            access: logging.access_to == *sink,
            audit: logging.audit_to == *sink,
        }
    }
}

/// A file of the log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be written to {}", path.display())]
pub struct Unwritable {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// Has files opened anew, for whoever has moved them away. Clones ask the same.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Each file is opened by its name before its next line.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn asked(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens each place once, whatever goes there.
pub(super) fn open(logging: &Logging, reopen: &Reopen) -> Result<Vec<Place>, Unwritable> {
    let mut known: Vec<&Sink> = Vec::new();
    let mut places = Vec::new();
    for sink in [&logging.to, &logging.audit_to, &logging.access_to] {
        if known.contains(&sink) {
            continue;
        }
        let streams = Streams::to(sink, logging);
        known.push(sink);
        let (sink, is_terminal): (Box<dyn Write + Send>, bool) = match sink {
            Sink::Stderr => (Box::new(io::stderr()), io::stderr().is_terminal()),
            Sink::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Sink::File(path) => (Box::new(LogFile::open(path, reopen)?), false),
        };
        places.push(Place { sink, is_terminal, streams });
    }
    Ok(places)
}

/// A file, by its name.
struct LogFile {
    path: PathBuf,
    file: File,
    reopen: Reopen,
    opened: u64,
}

impl LogFile {
    fn open(path: &Path, reopen: &Reopen) -> Result<Self, Unwritable> {
        let opened = reopen.asked();
        let file = add_to(path).map_err(|cause| Unwritable { path: path.to_owned(), cause })?;
        Ok(Self { path: path.to_owned(), file, reopen: reopen.clone(), opened })
    }
}

/// A pipe or a device would be waited for.
fn add_to(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return Err(io::Error::other("it is not a file"));
    }
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let asked = self.reopen.asked();
        if asked != self.opened {
            self.opened = asked;
            match add_to(&self.path) {
                Ok(file) => self.file = file,
                Err(cause) => tracing::error!(
                    path = %self.path.display(),
                    %cause,
                    "a file of the log could not be opened anew; its lines go where they went"
                ),
            }
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
