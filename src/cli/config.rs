//! `config`: what an operator may write, what a file means, and a first one. One file a verb below
//! this one.

use std::process::ExitCode;

use clap::Subcommand;

use super::say;
use crate::config;

/// What is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print the JSON Schema of the configuration, for editors and for CI
    #[command(after_help = "Example: anteport config schema > config.schema.json")]
    Schema,
}

/// Does it.
#[must_use]
pub(super) fn run(verb: Verb) -> ExitCode {
    match verb {
        Verb::Schema => {
            say(config::schema().trim_end());
            ExitCode::SUCCESS
        }
    }
}
