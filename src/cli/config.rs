//! `config`: what an operator may write, what a file means, and a first one. One file a verb below
//! this one.

mod init;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{ConfigPath, Json, REFUSED, USAGE, complain, report, report_warnings, say};
use crate::clock::Clock;
use crate::config::{self, Explained};

/// What is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a first configuration, and say what to register in Azure for it
    ///
    /// On a terminal it asks for what is not given by flags. It never asks for a secret, only where
    /// one is. What it writes, the program can run on, once the secret is there.
    #[command(after_help = "Examples:\n  anteport config init\n  \
                            anteport config init --public-url https://members.example.org \\\n    \
                            --upstream http://127.0.0.1:3000 --tenant contoso.onmicrosoft.com \\\n    \
                            --client-id a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20 \\\n    \
                            --secret-file /run/secrets/client_secret")]
    Init(Box<init::Init>),
    /// Print the JSON Schema of the configuration, for editors and for CI
    #[command(after_help = "Example: anteport config schema > config.schema.json")]
    Schema,
    /// Print what holds with a configuration: the value of every key, and where each is from
    ///
    /// That is a place in the file, a variable of the environment, or the default. Secrets are not
    /// shown.
    #[command(after_help = "Examples:\n  anteport config show --config config.yaml\n  \
                            anteport config show --format json | jq '.keys[] | \
                            select(.from != \"default\")'")]
    Show {
        #[command(flatten)]
        config: ConfigPath,
        /// For people, or for programs
        #[arg(long, value_enum, default_value = "yaml")]
        format: Format,
        #[command(flatten)]
        json: Json,
    },
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

/// How it is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Yaml,
    Json,
}

/// Does it.
#[must_use]
pub(super) fn run(verb: Verb) -> ExitCode {
    match verb {
        Verb::Init(asked) => init::run(&asked),
        Verb::Schema => {
            say(config::schema().trim_end());
            ExitCode::SUCCESS
        }
        Verb::Show { config, json, .. } if json.is_asked() => show(config, Format::Json),
        Verb::Show { config, format, .. } => show(config, format),
        Verb::Explain { key: None } => {
            say(config::key_tree().trim_end());
            ExitCode::SUCCESS
        }
        Verb::Explain { key: Some(key) } => explain(&key),
    }
}

fn show(config: ConfigPath, format: Format) -> ExitCode {
    match config::effective(&config.resolve(), Clock::system().now()) {
        Ok(effective) => {
            report_warnings(&effective.warnings);
            let text = match format {
                Format::Yaml => effective.to_yaml(),
                Format::Json => effective.to_json(),
            };
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            report(&problems);
            ExitCode::from(REFUSED)
        }
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
