//! `reload`: a running Anteport reads its configuration again.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::admin_client::{self, Question};
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
    problems: Vec<Problem>,
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
        complain(&format!("error: {address} answered with status {}", answer.status));
        return ExitCode::from(FAILED);
    };
    for problem in &told.problems {
        let (severity, text) =
            (Shown::new(&problem.severity, LONGEST), Shown::new(&problem.text, LONGEST));
        complain(&format!("{severity}: {text}"));
    }
    match told.reloaded {
        true => {
            say("another configuration is in force");
            ExitCode::SUCCESS
        }
        false => {
            let message = Shown::new(&told.message, LONGEST);
            complain(&format!("error: {message}; nothing was changed"));
            ExitCode::from(REFUSED)
        }
    }
}
