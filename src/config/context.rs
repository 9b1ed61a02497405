//! What all readers of a configuration share: the places of its values, and the problems so far.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::files::Files;
use super::problem::{Problem, Problems, Severity};
use super::wording::cropped;
use super::yaml::Place;

/// What all readers share: the environment to fill values in from, and the problems so far.
pub(super) struct Context<'a> {
    pub(super) file: Arc<str>,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
    files: RefCell<Files>,
}

/// A place in the file and the path of its key.
#[derive(Clone)]
pub(super) struct Spot {
    pub(super) place: Place,
    key: Rc<str>,
}

/// A value that was read, and from where.
#[derive(Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
    /// How a message may quote it.
    pub(super) shown: String,
    /// Whether it came from the environment, so that not even what it resembles may be said.
    pub(super) is_private: bool,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &str, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            file: Arc::from(file),
            environment,
            problems: RefCell::default(),
            files: RefCell::default(),
        }
    }

    pub(super) fn error(&self, spot: &Spot, message: impl Into<String>) {
        self.add(Severity::Error, spot, message.into());
    }

    pub(super) fn warn(&self, spot: &Spot, message: impl Into<String>) {
        self.add(Severity::Warning, spot, message.into());
    }

    /// The same, after these files were read.
    pub(super) fn after(self, files: Files) -> Self {
        Self { files: RefCell::new(files), ..self }
    }

    /// Notes that a file is about to be read.
    pub(super) fn reads(&self, path: &Path) {
        self.files.borrow_mut().add(path);
    }

    /// What there is to say, and what was read.
    pub(super) fn done(self) -> Problems {
        Problems::new(self.problems.into_inner()).after(self.files.into_inner())
    }

    fn add(&self, severity: Severity, spot: &Spot, message: String) {
        self.problems.borrow_mut().push(Problem {
            line: spot.place.line,
            column: spot.place.column,
            severity,
            key: spot.key.to_string(),
            message,
            file: Arc::clone(&self.file),
        });
    }
}

impl Spot {
    /// The top of the file, at a place of which no key is known.
    pub(super) fn top(place: Place) -> Self {
        Self { place, key: Rc::from("") }
    }

    pub(super) fn key(&self, place: Place, name: &str) -> Self {
        // A name that is chosen by the operator may hold anything; a path is one line.
        let name = cropped(name);
        let key = if self.key.is_empty() {
            Rc::from(name)
        } else {
            Rc::from(format!("{}.{name}", self.key))
        };
        Self { place, key }
    }

    pub(super) fn item(&self, place: Place, index: usize) -> Self {
        Self { place, key: Rc::from(format!("{}[{index}]", self.key)) }
    }

    /// The same key, at another place.
    pub(super) fn at(&self, place: Place) -> Self {
        Self { place, key: Rc::clone(&self.key) }
    }
}
