//! `reload`: a running Anteport reads its configuration again.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::admin_client::{self, AskError, Question};
use super::{FAILED, REFUSED, complain, say};
use crate::telemetry::causes;
use crate::telemetry::log::Shown;

/// It reads files, which may be far away.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the answer.
const MOST: u64 = 4 * 1024 * 1024;
/// Characters of a line of it that are shown.
const LONGEST: usize = 4096;

#[derive(Deserialize)]
struct Told {
    reloaded: bool,
    #[serde(default)]
    message: String,
    /// What was read, by its whole path.
    #[serde(default)]
    file: Option<String>,
    /// Whether any of its files is another one than before.
    #[serde(default = "as_ever")]
    changed: bool,
    problems: Vec<Problem>,
}

/// One that does not say so has put another one in force.
const fn as_ever() -> bool {
    true
}

#[derive(Deserialize)]
struct Problem {
    severity: String,
    text: String,
}

/// Asks the one whose configuration is at `path`.
#[must_use]
pub(super) fn run(path: &Path) -> ExitCode {
    let address = match admin_client::address_of(path, REFUSED) {
        Ok(address) => address,
        Err(code) => {
            complain("the configuration cannot be used, and nothing was changed");
            return code;
        }
    };
    let question = Question { target: "/-/reload", posted: Some("{}"), most: MOST, limit: LIMIT };
    let answer = match admin_client::put(&address, question) {
        Ok(answer) => answer,
        Err(error) => {
            complain(&format!("error: {}", causes(&error)));
            return ExitCode::from(error.exit_code());
        }
    };
    let Ok(told) = serde_json::from_slice::<Told>(answer.body()) else {
        let error = AskError::Status { address, status: answer.status };
        complain(&format!("error: {error}"));
        return ExitCode::from(FAILED);
    };
    for problem in &told.problems {
        let (severity, text) =
            (Shown::new(&problem.severity, LONGEST), Shown::new(&problem.text, LONGEST));
        complain(&format!("{severity}: {text}"));
    }
    let file = told.file.as_deref().map(|file| Shown::new(file, LONGEST).to_string());
    if let Some(file) = told.file.as_deref().filter(|file| !is_same(path, Path::new(file))) {
        complain(&format!(
            "warning: the Anteport at {address} reads {}, and not {}, which only said where to ask",
            Shown::new(file, LONGEST),
            path.display()
        ));
    }
    match told.reloaded {
        true => {
            let file = file.map(|file| format!(": {file}")).unwrap_or_default();
            say(&match told.changed {
                true => format!("another configuration is in force{file}"),
                false => {
                    format!("no file has changed since what is in force was read{file}")
                }
            });
            ExitCode::SUCCESS
        }
        false => {
            let message = Shown::new(&told.message, LONGEST);
            complain(&format!("error: {message}; nothing was changed"));
            ExitCode::from(REFUSED)
        }
    }
}

/// Whether both lead to one file. A process may see others than we do: then their names decide.
fn is_same(here: &Path, there: &Path) -> bool {
    match (fs::canonicalize(here), fs::canonicalize(there)) {
        (Ok(here), Ok(there)) => here == there,
        _ => std::path::absolute(here).is_ok_and(|here| here == there),
    }
}
