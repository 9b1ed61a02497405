//! `doctor`: what is wrong with the configuration and with the world around it, and what to do. It
//! shows what `crate::doctor` finds. Deliberately not here: how anything is looked at.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{FAILED, FOUND_ERRORS, Format, complain, say};
use crate::clock::Clock;
use crate::config::{self, read_at_most};
use crate::doctor::{self, Check, Finding, Group, Setting, Status};

/// The largest token that is read.
const LARGEST: u64 = 1024 * 1024;

/// What to look at, and how to tell of it.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    json: super::Json,
    /// Only these groups of checks
    #[arg(long, value_name = "GROUP", num_args = 1.., value_delimiter = ',')]
    only: Vec<Group>,
    /// An ID token, its payload, or its claims as JSON, to compare with what portals are told; `-`
    /// reads standard input
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// Another address of the portal's machine, as others see it, where the portal should not
    /// answer; may be repeated
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    around: Vec<String>,
}

/// Why it cannot even begin.
#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error("`{0}` cannot be read: {1}")]
    Token(String, std::io::Error),
    #[error("`{0}` is neither an ID token nor a JSON object with its claims")]
    NoClaims(String),
    #[error("the system did not give what a process needs: {0}")]
    System(#[from] std::io::Error),
}

/// Looks at the configuration at `path` and at the world around it.
#[must_use]
pub fn run(path: &Path, asked: &Asked) -> ExitCode {
    match examined(path, asked) {
        Ok(Status::Error) => ExitCode::from(FOUND_ERRORS),
        Ok(Status::Ok | Status::Skipped | Status::Warning) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn examined(path: &Path, asked: &Asked) -> Result<Status, DoctorError> {
    let clock = Clock::system();
    let setting = Setting {
        path: path.to_owned(),
        groups: if asked.only.is_empty() { Group::ALL.to_vec() } else { asked.only.clone() },
        claims: asked.token.as_deref().map(claims).transpose()?,
        around: asked.around.clone(),
        clock: clock.clone(),
    };
    let loaded = config::load(path, clock.now());
    let mut report = Report::new(if asked.json.is_asked() { Format::Json } else { asked.format });
    for finding in doctor::configuration(&setting, &loaded) {
        report.tell(&finding);
    }
    if let Ok(loaded) = loaded {
        let runtime = super::runtime()?;
        runtime.block_on(async {
            // All of them are under way, and each is waited for in its turn.
            for mut coming in doctor::begin(loaded.config, setting) {
                while let Some(finding) = coming.next().await {
                    report.tell(&finding);
                }
            }
        });
        // A name that nobody resolves would be waited for.
        runtime.shutdown_background();
    }
    Ok(report.end())
}

/// What a token says: of a file, which may be a pipe so that no token lies on a disk.
fn claims(path: &Path) -> Result<Map<String, Value>, DoctorError> {
    let name = path.display().to_string();
    let read = match &*name {
        "-" => read_at_most(std::io::stdin().by_ref(), LARGEST),
        _ => std::fs::File::open(path).and_then(|file| read_at_most(file, LARGEST)),
    };
    let text = read.map_err(|error| DoctorError::Token(name.clone(), error))?;
    let text = text.trim_ascii();
    let payload = match text.first() {
        Some(b'{') => Some(text.to_vec()),
        _ => payload(text),
    };
    payload
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .ok_or(DoctorError::NoClaims(name))
}

/// The middle of a JWT, of which nothing is verified.
fn payload(token: &[u8]) -> Option<Vec<u8>> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, payload) = (parts.next()?, parts.next()?);
    URL_SAFE_NO_PAD.decode(payload).ok()
}

/// What was found so far.
struct Report {
    format: Format,
    marks: [&'static str; 4],
    speaks_utf8: bool,
    worst: Status,
    count: usize,
    /// In JSON all of them come at the end.
    kept: Vec<Value>,
    has_uris: bool,
}

impl Report {
    fn new(format: Format) -> Self {
        let speaks_utf8 = speaks_utf8(&|name| std::env::var(name).ok());
        let marks = match speaks_utf8 {
            true => ["✓", "-", "!", "✗"],
            false => ["ok  ", "skip", "warn", "FAIL"],
        };
        let (worst, kept) = (Status::Ok, Vec::new());
        Self { format, marks, speaks_utf8, worst, count: 0, kept, has_uris: false }
    }

    /// At once: the next one may take its time.
    fn tell(&mut self, finding: &Finding) {
        self.worst = self.worst.max(finding.status);
        match self.format {
            Format::Json => self.kept.push(as_json(finding)),
            Format::Text => self.line(finding),
        }
        let is_trouble = matches!(finding.status, Status::Warning | Status::Error);
        self.count = self.count.saturating_add(usize::from(is_trouble));
    }

    fn line(&mut self, finding: &Finding) {
        if finding.check == Check::RedirectUri && !std::mem::replace(&mut self.has_uris, true) {
            say("");
            say("Redirect URIs to register, platform \"Web\":");
        }
        let [ok, skipped, warning, error] = self.marks;
        let mark = match finding.status {
            Status::Ok => ok,
            Status::Skipped => skipped,
            Status::Warning => warning,
            Status::Error => error,
        };
        let reason = finding.reason.as_deref().map(|reason| format!(" ({reason})"));
        let reason = reason.unwrap_or_default();
        say(&self.printable(&format!(
            "{mark} {:<20} {}: {}{reason}",
            finding.check.name(),
            finding.subject,
            finding.told
        )));
        if let Some(fix) = finding.fix.as_deref().filter(|_| finding.status != Status::Ok) {
            say(&self.printable(&format!("    {fix}")));
        }
    }

    /// What somebody else wrote moves no cursor (LOG-02), and is of letters that are shown here.
    fn printable(&self, line: &str) -> String {
        let line = if self.speaks_utf8 { line.to_owned() } else { line.replace('…', "...") };
        let is_odd = |c: char| c.is_control() || (!self.speaks_utf8 && !c.is_ascii());
        line.chars().map(|c| if is_odd(c) { '?' } else { c }).collect()
    }

    fn end(self) -> Status {
        match self.format {
            Format::Json => {
                let report = json!({ "status": self.worst.name(), "findings": self.kept });
                say(&report.to_string());
            }
            Format::Text => {
                say("");
                say(&match (self.worst, self.count) {
                    (Status::Ok | Status::Skipped, _) => "Nothing is wrong.".to_owned(),
                    (Status::Warning, 1) => "One thing to look at.".to_owned(),
                    (Status::Warning, count) => format!("{count} things to look at."),
                    (Status::Error, 1) => "One thing is wrong.".to_owned(),
                    (Status::Error, count) => format!("{count} things are wrong or to look at."),
                });
            }
        }
        self.worst
    }
}

fn as_json(finding: &Finding) -> Value {
    let mut told = json!({
        "check": finding.check.name(),
        "status": finding.status.name(),
        "subject": finding.subject,
        "message": finding.told,
        "fix": finding.fix,
    });
    if let (Some(reason), Some(told)) = (&finding.reason, told.as_object_mut()) {
        told.insert("code".to_owned(), reason.as_str().into());
    }
    told
}

/// As the locale says (POSIX: the first of these that is set).
fn speaks_utf8(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.into_iter().filter_map(variable).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_whether_marks_can_be_shown() {
        let speaks = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> =
                set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            speaks_utf8(&move |name| {
                set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            })
        };
        assert!(speaks(&[("LANG", "de_DE.UTF-8")]));
        assert!(speaks(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!speaks(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!speaks(&[]));
    }

    #[test]
    fn a_token_is_taken_as_it_is_met() {
        let token = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(r#"{"oid":"1"}"#));
        assert_eq!(payload(token.as_bytes()), Some(br#"{"oid":"1"}"#.to_vec()));
        assert_eq!(payload(b"no token"), None);
        assert_eq!(payload(b".."), Some(Vec::new()));
    }
}
