//! `run`: stand in front of the portals.

use std::path::Path;
use std::process::ExitCode;

use super::{FAILED, REFUSED, complain, report, report_warnings};
use crate::clock::Clock;
use crate::config;

/// Runs with the configuration at `path`.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    match config::load(path, Clock::system().now()) {
        Ok(loaded) => {
            report_warnings(&loaded.warnings);
            complain("error: this build has no server");
            ExitCode::from(FAILED)
        }
        Err(problems) => {
            report(&problems);
            ExitCode::from(REFUSED)
        }
    }
}
