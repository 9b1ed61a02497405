//! `logging`: what is logged, in which shape, and where it goes.

use std::path::{Path, PathBuf};

use super::file::bare;
use super::kind::Unfit;
use super::section::Section;
use super::value;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The shape of a line.
    pub format: LogFormat,
    /// The least severe level of the application's own lines.
    pub level: tracing::Level,
    /// Whether each request makes an access event.
    pub access: bool,
    /// Where the application's own lines go.
    pub to: Sink,
    /// Where access events go.
    pub access_to: Sink,
    /// Where audit events go.
    pub audit_to: Sink,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Pretty` on a terminal, else `Json`.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, which is made if it is not there, and added to.
    File(PathBuf),
}

impl Sink {
    fn parse(text: &str) -> Result<Self, Unfit> {
        match text {
            "stderr" => Ok(Self::Stderr),
            "stdout" => Ok(Self::Stdout),
            // Else a word with a typing error in it would be a file.
            path if path.contains('/') => value::path(path).map(Self::File),
            _ => Err(Unfit::Kind),
        }
    }

    /// Relative paths begin at the folder of the configuration.
    fn within(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            other => other,
        }
    }
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> Option<Logging> {
    let format = section.value("format", |word| {
        Ok(match word {
            "pretty" => LogFormat::Pretty,
            "json" => LogFormat::Json,
            _ => LogFormat::Auto,
        })
    });
    let level = section.value("level", |word| word.parse().map_err(|_| Unfit::Kind));
    let access = section.value("access", value::yes_or_no);
    let to = bare(section.value("to", Sink::parse));
    let own = |key: &str| match section.has(key) {
        true => bare(section.value(key, Sink::parse)),
        false => to.clone(),
    };
    let (access_to, audit_to) = (own("access_to"), own("audit_to"));
    Some(Logging {
        format: format?.value,
        level: level?.value,
        access: access?.value,
        to: to?,
        access_to: access_to?,
        audit_to: audit_to?,
    })
}

/// With its files' places.
pub(super) fn resolve(logging: Logging, folder: &Path) -> Logging {
    Logging {
        to: logging.to.within(folder),
        access_to: logging.access_to.within(folder),
        audit_to: logging.audit_to.within(folder),
        ..logging
    }
}
