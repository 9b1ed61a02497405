//! What is wrong with a configuration, and where. Deliberately not here: how it was found.

use std::fmt;
use std::sync::Arc;

use super::files::Files;

/// One thing to say about a configuration. It never quotes a secret or a value that came from the
/// environment (CFG-04).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    // In this order problems are sorted: by place.
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) severity: Severity,
    pub(super) key: String,
    pub(super) message: String,
    pub(super) file: Arc<str>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and may not mean what was meant.
    Warning,
}

impl Problem {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// The line, from 1; 0 when it is about the file as a whole.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1 and in characters.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// The key that it is about, such as `portals[0].routes[2].path`; empty at the top.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where it is: `file:line:column: key`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = self.file.to_string();
        if self.line > 0 {
            place.push_str(&format!(":{}:{}", self.line, self.column));
        }
        if !self.key.is_empty() {
            place.push_str(": ");
            place.push_str(&self.key);
        }
        place
    }

    /// What is wrong and what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `file:line:column: key: message`, on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Why a configuration was refused: every error that could be seen at once, and the warnings,
/// sorted by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    all: Vec<Problem>,
    files: Files,
}

impl Problems {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { all: problems, files: Files::default() }
    }

    /// The same, with the files that were read.
    pub(super) fn after(self, files: Files) -> Self {
        Self { files, ..self }
    }

    /// The files that were read, or could not be.
    #[must_use]
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// A problem with the file as a whole.
    pub(super) fn with_file(file: &str, message: String) -> Self {
        Self::new(vec![Problem {
            line: 0,
            column: 0,
            severity: Severity::Error,
            key: String::new(),
            message,
            file: Arc::from(file),
        }])
    }

    /// All of them, errors and warnings, sorted by place.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter()
    }

    /// How many of them are errors; at least one.
    #[must_use]
    pub fn errors(&self) -> usize {
        let errors = self.all.iter().filter(|problem| problem.severity == Severity::Error);
        errors.count()
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, Files) {
        (self.all, self.files)
    }
}

/// One line each, `error: ` or `warning: ` before its place.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.all.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {problem}", problem.severity)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
