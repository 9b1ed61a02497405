//! The answers so far, and what the reader of configurations says of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::file;
use crate::clock::Clock;
use crate::config::{self, Config, Loaded, Problem, Severity};
use crate::gate::Timestamp;

/// Answers by the flag that would give them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(BTreeMap<&'static str, String>);

/// A configuration that can be written.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) text: String,
    /// What it means, with what is not there yet made up.
    pub(super) config: Config,
    pub(super) warnings: Vec<Problem>,
    /// What has to be there before it can run, a sentence each.
    pub(super) still_to_do: Vec<String>,
}

/// What stands for an answer that is not there yet, so that the others can be judged.
const MADE_UP: &[(&str, &str)] = &[
    ("public-url", "https://members.example.org"),
    ("upstream", "http://127.0.0.1:3000"),
    ("kind", "entra_id"),
    ("tenant", "contoso.onmicrosoft.com"),
    ("issuer", "https://accounts.example.org"),
    ("user-flow", "B2C_1_signupsignin"),
    ("client-id", "00000000-0000-0000-0000-000000000000"),
];

/// The variable that a secret is supposed to be in while its file is not there.
const SUPPOSED: &str = "ANTEPORT_CONFIG_INIT";

pub(super) fn is_kind(kind: &str) -> bool {
    matches!(kind, "entra_id" | "azure_ad_b2c" | "external_id" | "oidc")
}

impl Answers {
    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }

    pub(super) fn set(&mut self, flag: &'static str, answer: &str) {
        self.0.insert(flag, answer.to_owned());
    }

    pub(super) fn remove(&mut self, flag: &str) {
        self.0.remove(flag);
    }

    /// The same with everything in it, and with no file that would have to be there.
    fn supposed(&self) -> Self {
        let mut all = self.clone();
        for (flag, answer) in MADE_UP {
            all.0.entry(flag).or_insert_with(|| (*answer).to_owned());
        }
        if !is_kind(all.get("kind").unwrap_or_default()) && self.get("kind").is_none() {
            all.set("kind", "entra_id");
        }
        for flag in ["secret-file", "tls-certificate", "tls-key"] {
            all.remove(flag);
        }
        all.set("secret-env", SUPPOSED);
        all
    }

    /// What the reader says of a key.
    pub(super) fn fault_at(&self, key: &str) -> Option<String> {
        let text = file::text(&self.supposed());
        let read = config::parse("", &text, &environment, Clock::system().now());
        let problems = read.err()?;
        let is_here = |problem: &&Problem| {
            problem.severity() == Severity::Error && problem.key().starts_with(key)
        };
        problems.iter().find(is_here).map(|problem| problem.message().to_owned())
    }

    /// What is wrong with where the secret is. It is never quoted: it may be the secret itself.
    pub(super) fn fault_of_secret(&self) -> Option<String> {
        if let Some(name) = self.get("secret-env") {
            let is_usual = name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
                && !name.starts_with(|first: char| first.is_ascii_digit());
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            let is_there = is_name && std::env::var_os(name).is_some();
            let fits = is_there || (is_usual && !name.is_empty());
            return (!fits).then(|| {
                "this is no name of an environment variable, such as CLIENT_SECRET; a secret itself \
                 does not belong here"
                    .to_owned()
            });
        }
        let path = self.get("secret-file")?;
        let is_path = path.contains('/') || Path::new(path).is_file();
        if !is_path || path.chars().any(char::is_control) || path.contains("${") {
            return Some(
                "this is no path of a file, such as /run/secrets/client_secret or ./client_secret; \
                 a secret itself does not belong here"
                    .to_owned(),
            );
        }
        None
    }

    /// The file, judged as a whole; else what is wrong, a line each.
    pub(super) fn judged(&self, name: &str, now: Timestamp) -> Result<Judged, Vec<String>> {
        let lines = |problems: config::Problems| -> Vec<String> {
            let errors = problems.iter().filter(|problem| problem.severity() == Severity::Error);
            errors.map(|problem| format!("{}: {}", problem.key(), problem.message())).collect()
        };
        let mut supposed = self.supposed();
        if let (Some(name), None) = (self.get("secret-env"), self.get("secret-file")) {
            supposed.set("secret-env", name);
        }
        let is_supposed = |variable: &str| {
            environment(variable)
                .or_else(|| (supposed.get("secret-env") == Some(variable)).then(|| "x".to_owned()))
        };
        let Loaded { config, warnings, .. } =
            config::parse(name, &file::text(&supposed), &is_supposed, now).map_err(lines)?;
        // What only the real places can show.
        let text = file::text(self);
        let (warnings, still_to_do) = match config::parse(name, &text, &environment, now) {
            Ok(loaded) => (loaded.warnings, Vec::new()),
            Err(problems) => {
                let errors = problems.iter().filter(|it| it.severity() == Severity::Error);
                let to_do = errors.map(|it| format!("{}: {}", it.key(), it.message()));
                (warnings, to_do.collect())
            }
        };
        Ok(Judged { text, config, warnings, still_to_do })
    }
}

fn environment(name: &str) -> Option<String> {
    match name {
        SUPPOSED => Some("x".to_owned()),
        _ => std::env::var(name).ok(),
    }
}
