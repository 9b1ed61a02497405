//! `config`: what an operator may write, what a file means, and a first one. One file a verb below
//! this one.

use std::process::ExitCode;

use clap::Subcommand;

use super::{USAGE, complain, say};
use crate::config::{self, Explained};

/// What is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print the JSON Schema of the configuration, for editors and for CI
    #[command(after_help = "Example: anteport config schema > config.schema.json")]
    Schema,
    /// Say what a key is for, what may stand there, and what holds without it
    ///
    /// Without KEY it prints all of them, a line each. The end of a key's path is enough where it is
    /// the only one.
    #[command(after_help = "Examples:\n  anteport config explain local_login.profile\n  \
                            anteport config explain 'portals[].routes[].access'")]
    Explain {
        /// The key, as problems name it, such as `portals[0].local_login.profile`
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
}

/// Does it.
#[must_use]
pub(super) fn run(verb: Verb) -> ExitCode {
    match verb {
        Verb::Schema => {
            say(config::schema().trim_end());
            ExitCode::SUCCESS
        }
        Verb::Explain { key: None } => {
            say(config::key_tree().trim_end());
            ExitCode::SUCCESS
        }
        Verb::Explain { key: Some(key) } => explain(&key),
    }
}

fn explain(key: &str) -> ExitCode {
    match config::explain_key(key) {
        Explained::Key(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Explained::Several(lines) => {
            say(&format!(
                "There are several; name more of the path of the one that you mean.\n\n{lines}"
            ));
            ExitCode::SUCCESS
        }
        Explained::Unknown(nearest) => {
            let hint = nearest.map_or_else(
                || "`anteport config explain` lists all".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            complain(&format!("error: there is no such key; {hint}"));
            ExitCode::from(USAGE)
        }
    }
}
