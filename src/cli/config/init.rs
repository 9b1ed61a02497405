//! `config init`: a first configuration, from flags and from what is asked on a terminal. Every
//! answer is judged by the reader of configurations itself. No secret is asked for, nor taken as an
//! argument (CFG-04).

mod answers;
mod file;
mod next;
mod questions;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::answers::Answers;
use self::questions::{QUESTIONS, Question};
use super::super::{FAILED, USAGE, complain, report_warnings, say};
use crate::clock::Clock;

/// What is known already, and where the file goes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The URL that visitors know, such as https://members.example.org
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where the portal listens, such as http://127.0.0.1:3000
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// What people sign in with: entra_id, azure_ad_b2c, external_id or oidc [default: entra_id]
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The tenant: its GUID or a domain of it; for B2C and External ID its name
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The issuer of any other OpenID provider
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The user flow or custom policy of B2C that people sign in with
    #[arg(long, value_name = "NAME")]
    user_flow: Option<String>,
    /// The custom domain of B2C's or External ID's sign-in pages, if there is one
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// The application (client) id
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The file with the client secret
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    secret_file: Option<String>,
    /// The environment variable with the client secret
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
    /// What visitors without a session meet: azure_only, optional, report_only or off
    /// [default: azure_only]
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// The product that the portal is made with, whose password doors are known, such as wordpress;
    /// `generic` for one that is not known
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where visitors connect [default: 127.0.0.1:8443, with TLS 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The certificate chain for TLS, if none ends in front
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "config.yaml")]
    output: PathBuf,
    /// Write it even if it is there already
    #[arg(long)]
    force: bool,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} is there already: `--output` names another, `--force` writes it anew", .0.display())]
    There(PathBuf),
    #[error("cannot write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error("the answers ended before the last question, and nothing was written")]
    Ended,
    /// Each with what is wrong, as it is told.
    #[error("{}", .0.join("\nerror: "))]
    Usage(Vec<String>),
}

impl InitError {
    const fn code(&self) -> u8 {
        match self {
            Self::There(_) | Self::Write { .. } | Self::Ended => FAILED,
            Self::Usage(_) => USAGE,
        }
    }
}

/// Writes it.
#[must_use]
pub(super) fn run(asked: &Init) -> ExitCode {
    let (input, output) = (io::stdin(), io::stderr());
    let done = match input.is_terminal() && output.is_terminal() {
        true => init(asked, Some((&mut input.lock(), &mut output.lock()))),
        false => init(asked, None),
    };
    match done {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::from(error.code())
        }
    }
}

/// Somebody to ask.
type Terminal<'t> = (&'t mut dyn BufRead, &'t mut dyn Write);

/// What is said when it is done.
fn init(asked: &Init, terminal: Option<Terminal<'_>>) -> Result<String, InitError> {
    // Before anybody has answered anything.
    if !asked.force && fs::symlink_metadata(&asked.output).is_ok() {
        return Err(InitError::There(asked.output.clone()));
    }
    let mut answers = asked.answers();
    match terminal {
        Some(terminal) => interview(&mut answers, terminal)?,
        None => complete(&mut answers)?,
    }
    let now = Clock::system().now();
    let name = asked.output.display().to_string();
    let written = answers.judged(&name, now).map_err(InitError::Usage)?;
    write(&asked.output, &written.text, asked.force)
        .map_err(|cause| InitError::Write { path: asked.output.clone(), cause })?;
    report_warnings(&written.warnings);
    Ok(next::steps(&name, &answers, &written))
}

impl Init {
    fn answers(&self) -> Answers {
        let mut answers = Answers::default();
        for (flag, given) in [
            ("public-url", &self.public_url),
            ("upstream", &self.upstream),
            ("kind", &self.kind),
            ("tenant", &self.tenant),
            ("issuer", &self.issuer),
            ("user-flow", &self.user_flow),
            ("domain", &self.domain),
            ("client-id", &self.client_id),
            ("secret-file", &self.secret_file),
            ("secret-env", &self.secret_env),
            ("mode", &self.mode),
            ("profile", &self.profile),
            ("listen", &self.listen),
            ("tls-certificate", &self.tls_certificate),
            ("tls-key", &self.tls_key),
        ] {
            if let Some(given) = given {
                answers.set(flag, given);
            }
        }
        answers
    }
}

/// Without anybody to ask: all that is missing or wrong at once.
fn complete(answers: &mut Answers) -> Result<(), InitError> {
    let mut wrong = Vec::new();
    for question in QUESTIONS {
        let given = answers.get(question.flag).is_some();
        if !question.is_asked(answers) {
            if given {
                wrong.push(format!("--{}: {}", question.flag, question.only));
            }
            continue;
        }
        match (given, question.default) {
            (false, Some(default)) => answers.set(question.flag, default),
            (false, None) if question.is_required && !question.is_answered(answers) => {
                wrong.push(format!("--{} is missing: {}", question.flag, question.in_words()));
            }
            (false, None) => {}
            (true, _) => {
                let reason = question.fault(answers);
                wrong.extend(reason.map(|reason| format!("--{}: {reason}", question.flag)));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(InitError::Usage(wrong)),
    }
}

/// Asks for what flags did not give, and again for what is wrong.
fn interview(answers: &mut Answers, (input, output): Terminal<'_>) -> Result<(), InitError> {
    for question in QUESTIONS {
        if !question.is_asked(answers) {
            answers.remove(question.flag);
            continue;
        }
        if question.is_answered(answers) {
            match question.fault(answers) {
                None => continue,
                Some(reason) => tell(output, &format!("--{}: {reason}", question.flag)),
            }
        }
        while !ask(question, answers, input, output)? {}
    }
    Ok(())
}

/// Whether it was answered.
fn ask(
    question: &Question,
    answers: &mut Answers,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<bool, InitError> {
    question.forget(answers);
    let hint = match (question.default, question.is_required) {
        (Some(default), _) => format!(" [{default}]"),
        (None, true) => String::new(),
        (None, false) => " [none]".to_owned(),
    };
    let _ = write!(output, "{}{hint}: ", question.in_words());
    let _ = output.flush();
    let mut line = String::new();
    match input.read_line(&mut line) {
        Ok(0) | Err(_) => return Err(InitError::Ended),
        Ok(_) => {}
    }
    let given = match (line.trim(), question.default) {
        ("", Some(default)) => default,
        ("", None) if question.is_required => {
            tell(output, "this needs an answer");
            return Ok(false);
        }
        ("", None) => return Ok(true),
        (given, _) => given,
    };
    question.answer(answers, given);
    match question.fault(answers) {
        None => Ok(true),
        Some(reason) => {
            tell(output, &reason);
            question.forget(answers);
            Ok(false)
        }
    }
}

fn tell(output: &mut dyn Write, reason: &str) {
    let _ = writeln!(output, "  {reason}");
}

/// All of it or nothing.
fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    if !force {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        return file.write_all(text.as_bytes());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let new = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    let put = |mut file: File| file.write_all(text.as_bytes());
    let done = put(new).and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

#[cfg(test)]
mod tests;
