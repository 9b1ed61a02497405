//! `demo`: see it work, without a configuration and without Azure.

use std::process::ExitCode;

use super::{FAILED, complain};

/// Runs the demo with the proxy at `port`.
#[must_use]
pub fn run(_port: u16) -> ExitCode {
    complain("error: this build has no demo");
    ExitCode::from(FAILED)
}
