//! `sessions`: who is signed in at a running Anteport, and an end of it. Deliberately not here:
//! what a revocation reaches, which the running one knows.

use std::collections::HashSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::admin_client::{self, LONGEST, NotDone, Question};
use super::{ConfigPath, FAILED, Format, Json, REFUSED, USAGE, complain, say};
use crate::telemetry::log::Shown;

/// For one answer. A revocation says after some seconds that it goes on.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MOST: u64 = 16 * 1024 * 1024;
/// How many sessions are asked for at a time.
const PAGE: usize = 500;
/// What an Anteport without this verb knows nothing of.
const WHAT: &str = "sessions";

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// List who is signed in, as a table or as JSON, one object a line
    #[command(after_help = "Examples:\n  anteport sessions list\n  \
                            anteport sessions list --portal members.example.org --format json")]
    List {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        which: Which,
    },
    /// End sessions: everywhere, at once, with all that is open in their name
    ///
    /// Who signs in again afterwards is in again: disable the account first.
    #[command(after_help = "Examples:\n  \
                            anteport sessions revoke --session mZ0sUu5lLJzrPtXXo9yHKg\n  \
                            anteport sessions revoke --everybody --before 2027-01-15T08:00:00Z")]
    Revoke {
        #[command(flatten)]
        config: ConfigPath,
        #[command(flatten)]
        what: What,
    },
}

/// Which sessions are listed.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Of one member: `tid.oid`, or `iss#sub`
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    member: Option<String>,
    /// For one portal
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    portal: Option<String>,
    /// From one provider
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    provider: Option<String>,
    /// For people, or for programs: one object a line
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    json: Json,
}

/// Which sessions end.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(
    ArgGroup::new("meant").required(true).args(["session", "member", "sid", "everybody"])
))]
pub(super) struct What {
    /// One session, by its handle: `sid` of the assertion, `session` of the audit log
    #[arg(long, value_name = "HANDLE", value_parser = NonEmptyStringValueParser::new(),
          allow_hyphen_values = true)]
    session: Option<String>,
    /// All sessions of a member: `tid.oid`, or `iss#sub`
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    member: Option<String>,
    /// Those that came of one session at a provider
    #[arg(long, value_name = "SID", value_parser = NonEmptyStringValueParser::new(),
          requires = "provider", allow_hyphen_values = true)]
    sid: Option<String>,
    /// The provider whose `--sid` it is
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(),
          requires = "sid",
          conflicts_with_all = ["session", "member", "everybody"])]
    provider: Option<String>,
    /// The sessions of everybody
    #[arg(long)]
    everybody: bool,
    /// Only those that began before: 2027-01-15T08:00:00Z, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = NonEmptyStringValueParser::new(),
          requires = "everybody",
          conflicts_with_all = ["session", "member", "sid"])]
    before: Option<String>,
    /// Do not ask whether that is meant
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Deserialize)]
struct Page {
    sessions: Vec<Value>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Ended {
    ended: Option<u64>,
    #[serde(default)]
    goes_on: bool,
}

/// Does it.
#[must_use]
pub(super) fn run(verb: Sessions) -> ExitCode {
    match verb {
        Sessions::List { config, which } => at(config, |address| which.run(address)),
        Sessions::Revoke { config, what } => match what.confirm() {
            Ok(()) => at(config, |address| what.run(address)),
            Err(code) => ExitCode::from(code),
        },
    }
}

/// Acts where the admin listener of the configuration is.
fn at(config: ConfigPath, act: impl FnOnce(&str) -> Result<(), NotDone>) -> ExitCode {
    match admin_client::address_of(&config.resolve(), REFUSED) {
        Ok(address) => admin_client::ended(act(&address)),
        Err(code) => code,
    }
}

impl Which {
    fn run(&self, address: &str) -> Result<(), NotDone> {
        // A store that nodes share may name one twice.
        let mut seen = HashSet::new();
        let is_json = self.json.is_asked() || self.format == Format::Json;
        let mut table = (!is_json).then(Table::default);
        let mut next = None;
        loop {
            let page = self.page(address, next.as_deref())?;
            let is_new = |session: &Value| match session.get("session").and_then(Value::as_str) {
                Some(handle) => seen.insert(handle.to_owned()),
                None => true,
            };
            let sessions: Vec<Value> = page.sessions.into_iter().filter(is_new).collect();
            let lines = match &mut table {
                Some(table) => table.lines(&sessions),
                None => sessions.iter().map(Value::to_string).collect(),
            };
            let is_read = lines.iter().all(|line| writeln!(std::io::stdout(), "{line}").is_ok());
            next = page.next;
            // Whoever closed it has seen enough.
            if next.is_none() || !is_read {
                break;
            }
        }
        if table.is_some() {
            complain(&counted(seen.len() as u64));
        }
        Ok(())
    }

    fn page(&self, address: &str, cursor: Option<&str>) -> Result<Page, NotDone> {
        let path = "/-/sessions?".to_owned();
        let begins = path.len();
        let mut query = Serializer::for_suffix(path, begins);
        query.append_pair("limit", &PAGE.to_string());
        let filters = [
            ("member", self.member.as_deref()),
            ("portal", self.portal.as_deref()),
            ("provider", self.provider.as_deref()),
            ("cursor", cursor),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let target = query.finish();
        let question = Question { target: &target, posted: None, most: MOST, limit: LIMIT };
        admin_client::put(address, question)?.read(WHAT)
    }
}

impl What {
    /// Asks whether it is meant, where much ends by one word.
    fn confirm(&self) -> Result<(), u8> {
        let what = match (&self.member, self.everybody, &self.before) {
            (Some(member), _, _) => {
                format!("all sessions of {}, on every portal", Shown::new(member, LONGEST))
            }
            (None, true, Some(before)) => {
                let before = Shown::new(before, LONGEST);
                format!("the sessions of everybody who signed in before {before}")
            }
            (None, true, None) => "the sessions of everybody".to_owned(),
            (None, false, _) => return Ok(()),
        };
        if self.yes {
            return Ok(());
        }
        let input = std::io::stdin();
        if !input.is_terminal() {
            complain("error: nobody can be asked here whether that is meant: add `--yes`");
            return Err(USAGE);
        }
        let _ = write!(std::io::stderr(), "End {what}? [y/N] ");
        let mut answer = String::new();
        let is_read = input.lock().read_line(&mut answer).is_ok();
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" if is_read => Ok(()),
            _ => {
                complain("nothing was ended");
                Err(FAILED)
            }
        }
    }

    fn run(&self, address: &str) -> Result<(), NotDone> {
        let mut asked = admin_client::object([
            ("session", self.session.as_deref()),
            ("member", self.member.as_deref()),
            ("sid", self.sid.as_deref()),
            ("provider", self.provider.as_deref()),
            ("before", self.before.as_deref()),
        ]);
        if self.everybody {
            asked.insert("everybody".to_owned(), json!(true));
        }
        let body = Value::Object(asked).to_string();
        let question = Question {
            target: "/-/sessions/revoke",
            posted: Some(&body),
            most: MOST,
            limit: LIMIT,
        };
        match admin_client::put(address, question)?.read(WHAT)? {
            Ended { goes_on: true, .. } => {
                say("it goes on: they are many, and the log of Anteport says when all have ended");
            }
            Ended { ended: Some(count), .. } => {
                // That it is over is what was asked for, whoever has ended it.
                if count == 0 && self.session.is_some() {
                    complain(
                        "warning: no session has this handle now: it is over already, or mistyped; \
                         `sessions list` shows those that there are",
                    );
                }
                say(&format!("ended: {}", counted(count)));
            }
            Ended { ended: None, .. } => say("ended; how many sessions that were is not known"),
        }
        Ok(())
    }
}

fn counted(count: u64) -> String {
    if count == 1 { "1 session".to_owned() } else { format!("{count} sessions") }
}

/// The columns, and what they are called in the answer.
const COLUMNS: [(&str, &str); 8] = [
    ("SESSION", "session"),
    ("SIGNED IN", "started"),
    ("LAST USED", "last_used"),
    ("ENDS", "ends"),
    ("REFRESH", "has_refresh_token"),
    ("PROVIDER", "provider"),
    ("PORTAL", "portal"),
    ("MEMBER", "member"),
];

/// A table that is written while it is read: a column is as wide as what it has had so far.
#[derive(Default)]
struct Table {
    widths: [usize; COLUMNS.len()],
    has_head: bool,
}

impl Table {
    fn lines(&mut self, sessions: &[Value]) -> Vec<String> {
        let head = COLUMNS.map(|(title, _)| title.to_owned());
        let rows = sessions.iter().map(|session| COLUMNS.map(|(_, name)| cell(session.get(name))));
        let is_first = !std::mem::replace(&mut self.has_head, true);
        let rows: Vec<_> = is_first.then_some(head).into_iter().chain(rows).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; COLUMNS.len()]| {
            let cells = row.iter().zip(self.widths);
            let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }
}

/// What a provider says of somebody is not to steer a terminal.
fn cell(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => Shown::new(text, LONGEST).to_string(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        _ => "?".to_owned(),
    }
}
