//! Reading the configuration again while we run: because somebody asks for it, or because a file of
//! it is another one. It is put in force as a whole, or refused with everything that is wrong with
//! it, while the one before goes on. What cannot be changed while the process lives is named.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::current::{ChangeError, Current};
use super::limits;
use crate::config::{Files, Loaded, Logging, Problem, Problems, Severity};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;

/// Where a configuration is read from again, and what else follows it.
pub struct Source {
    load: Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>,
    relog: Box<dyn Fn(&Logging) + Send + Sync>,
    /// What the configuration was read from that is in force at the start.
    files: Files,
}

impl Source {
    /// `load` reads it, `relog` changes what is logged, and `files` are those of the configuration
    /// with which the service was started.
    #[must_use]
    pub fn new(
        files: Files,
        load: impl Fn() -> Result<Loaded, Problems> + Send + Sync + 'static,
        relog: impl Fn(&Logging) + Send + Sync + 'static,
    ) -> Self {
        Self { load: Box::new(load), relog: Box::new(relog), files }
    }
}

/// Why a configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// SIGHUP.
    Signal,
    /// A POST to `/-/reload`.
    Asked,
    /// A file of it is another one.
    Files,
}

impl Reason {
    /// As it is logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Asked => "asked",
            Self::Files => "files",
        }
    }
}

/// Why the configuration that was read is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be used.
    #[error("{} of the configuration cannot be used", errors(.0))]
    Problems(Problems),
    /// It can, but not now, or not here.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

fn errors(problems: &Problems) -> String {
    match problems.errors() {
        1 => "1 key".to_owned(),
        errors => format!("{errors} keys"),
    }
}

impl ReloadError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Problems(_) => "config-refused",
            Self::Change(ChangeError::Fixed(_)) => "config-needs-restart",
            Self::Change(ChangeError::HandingOver) => "config-handing-over",
            Self::Change(ChangeError::SetUp(_) | ChangeError::Panicked) => "config-unusable",
        }
    }
}

/// Reads the configuration again.
pub struct Reloads {
    current: Arc<Current>,
    source: Source,
    /// The configuration itself, by its whole path; none if it comes from no file.
    file: Option<String>,
    /// What was read. Held while somebody reads.
    read: Mutex<Read>,
}

/// The files of configurations, as they were found.
struct Read {
    /// Of the one that was read last, whether it could be used or not.
    last: Files,
    /// Of the one that is in force.
    in_force: Files,
}

/// A configuration that was put in force.
#[derive(Debug)]
pub struct Reloaded {
    /// What it warns of.
    pub warnings: Vec<Problem>,
    /// Whether any of its files is another one than before.
    pub is_another: bool,
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads").finish_non_exhaustive()
    }
}

impl Reloads {
    pub(super) fn new(current: Arc<Current>, source: Source) -> Self {
        let (last, in_force) = (source.files.clone(), source.files.clone());
        let file = source.files.configuration().map(|path| path.display().to_string());
        Self { current, source, file, read: Mutex::new(Read { last, in_force }) }
    }

    /// Reads it, and puts it in force if all of it can be. It reads files, which may take its time;
    /// whoever asks at once waits for their turn. What comes of it is logged and noted.
    ///
    /// # Errors
    /// Why the one before is in force.
    pub fn reload(&self, reason: Reason) -> Result<Reloaded, ReloadError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.change(&mut read);
        self.current.note(result.as_ref().map(|_| ()).map_err(ReloadError::name));
        let note = Audit { reason: Some(reason.as_str()), ..Audit::default() };
        match &result {
            Ok(reloaded) => {
                report(reloaded.warnings.iter());
                tracing::info!(reason = reason.as_str(), "another configuration is in force");
                audit::write(Event::ConfigurationReloaded, &note);
            }
            Err(error) => {
                self.current.now().metrics().service.reload_refused();
                if let ReloadError::Problems(problems) = error {
                    report(problems.iter());
                }
                let cause = causes(error);
                tracing::error!(
                    reason = reason.as_str(),
                    code = error.name(),
                    cause,
                    "the configuration was not reloaded; the one before stays in force"
                );
                let note = Audit { code: Some(error.name()), cause: Some(cause.as_str()), ..note };
                audit::write(Event::ConfigurationRefused, &note);
            }
        }
        result
    }

    fn change(&self, read: &mut Read) -> Result<Reloaded, ReloadError> {
        // Before anything is read: the files are still to be taken if nobody takes our place.
        if self.current.is_handing_over() {
            return Err(ChangeError::HandingOver.into());
        }
        let loaded = (self.source.load)();
        read.last = match &loaded {
            Ok(loaded) => loaded.files.clone(),
            Err(problems) => problems.files().clone(),
        };
        let Loaded { config, warnings, files } = loaded.map_err(ReloadError::Problems)?;
        let logging = config.logging.clone();
        self.current.change(config)?;
        (self.source.relog)(&logging);
        let is_another = read.in_force != files;
        read.in_force = files;
        Ok(Reloaded { warnings, is_another })
    }

    /// [`Reloads::reload`] beside everything else.
    pub(super) async fn reload_beside(
        self: Arc<Self>,
        reason: Reason,
    ) -> Result<Reloaded, ReloadError> {
        let reloading = tokio::task::spawn_blocking(move || self.reload(reason));
        match reloading.await {
            Ok(result) => result,
            Err(_) => Err(ChangeError::Panicked.into()),
        }
    }

    /// Reloads when a file is another one, and stays so from one look to the next: whoever writes a
    /// file may not be done with it. For ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut every = tokio::time::interval(limits::LOOK_AT_FILES_EVERY);
        let mut last = Files::default();
        loop {
            every.tick().await;
            if !self.current.now().watches_files() || self.current.is_handing_over() {
                continue;
            }
            let reloads = Arc::clone(&self);
            let looking = tokio::task::spawn_blocking(move || {
                let last = reloads.read.lock().unwrap_or_else(PoisonError::into_inner).last.clone();
                let now = last.now();
                (now != last).then_some(now)
            });
            match looking.await {
                Ok(Some(now)) if now == last => {
                    // What comes of it has been logged.
                    let _ = Arc::clone(&self).reload_beside(Reason::Files).await;
                }
                Ok(Some(now)) => last = now,
                Ok(None) | Err(_) => {}
            }
        }
    }
}

/// A line for each.
fn report<'a>(problems: impl Iterator<Item = &'a Problem>) {
    for problem in problems {
        match problem.severity() {
            Severity::Error => tracing::error!(severity = %Severity::Error, "{problem}"),
            Severity::Warning => tracing::warn!(severity = %Severity::Warning, "{problem}"),
        }
    }
}

/// What comes of a reload, for whoever asked for it.
pub(super) fn told(reloads: &Reloads, result: &Result<Reloaded, ReloadError>) -> (bool, Value) {
    let (is_done, mut answer) = outcome(result);
    if let (Some(answer), Some(file)) = (answer.as_object_mut(), &reloads.file) {
        answer.insert("file".to_owned(), file.as_str().into());
    }
    (is_done, answer)
}

fn outcome(result: &Result<Reloaded, ReloadError>) -> (bool, Value) {
    let each = |problems: &mut dyn Iterator<Item = &Problem>| -> Vec<Value> {
        let written = problems.map(|problem| {
            json!({
                "severity": problem.severity().to_string(),
                "line": problem.line(),
                "column": problem.column(),
                "key": problem.key(),
                "message": problem.message(),
                "text": problem.to_string(),
            })
        });
        written.collect()
    };
    match result {
        Ok(Reloaded { warnings, is_another }) => {
            let problems = each(&mut warnings.iter());
            (true, json!({ "reloaded": true, "changed": is_another, "problems": problems }))
        }
        Err(error) => {
            let mut answer = json!({
                "reloaded": false,
                "error": error.name(),
                "message": causes(error),
                "problems": [],
            });
            if let Some(answer) = answer.as_object_mut() {
                match error {
                    ReloadError::Problems(problems) => {
                        answer.insert("problems".to_owned(), each(&mut problems.iter()).into());
                    }
                    ReloadError::Change(ChangeError::Fixed(keys)) => {
                        answer.insert("keys".to_owned(), json!(keys));
                    }
                    ReloadError::Change(_) => {}
                }
            }
            (false, answer)
        }
    }
}
