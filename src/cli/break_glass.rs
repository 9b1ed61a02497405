//! `break-glass`: a link to a portal's own sign-in, made by a running Anteport, and the end of all
//! of them. Deliberately not here: what seals a link, which the running one knows and nobody else.

use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admin_client::{self, NotDone, Question};
use super::{ConfigPath, REFUSED, complain, say};

/// For the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of it that are read.
const MOST: u64 = 64 * 1024;

/// What is wanted.
#[derive(Debug, Args)]
pub(super) struct What {
    /// The portal, by its public URL or its host; the only one needs no name
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    portal: Option<String>,
    /// Why, for the audit log: 1 to 200 characters
    #[arg(long, value_name = "TEXT", required_unless_present = "revoke",
          value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Who asks, for the audit log [default: $SUDO_USER, else $USER, else the user id]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    by: Option<String>,
    /// End all links of the portal that there are, and what they have opened
    #[arg(long)]
    revoke: bool,
}

#[derive(Deserialize)]
struct Made {
    link: String,
    page: String,
    code: String,
    name: String,
    until: String,
    pass_seconds: u64,
    on_this_node_alone: bool,
}

#[derive(Deserialize)]
struct Ended {
    passes: u64,
    others_may_not_know: bool,
}

/// Asks the Anteport of a configuration.
#[must_use]
pub(super) fn run(config: ConfigPath, what: &What) -> ExitCode {
    match admin_client::address_of(&config.resolve(), REFUSED) {
        Ok(address) if what.revoke => admin_client::ended(what.end(&address)),
        Ok(address) => admin_client::ended(what.make(&address)),
        Err(code) => code,
    }
}

impl What {
    /// The link alone is on standard output, to be passed on.
    fn make(&self, address: &str) -> Result<(), NotDone> {
        let made: Made = self.ask(address, "/-/break-glass")?;
        let minutes = made.pass_seconds.div_ceil(60);
        complain(&format!(
            "This link opens the way to the portal's own sign-in once, until {}, in the browser that \
             opens it, for {minutes} minutes. It is {} in the audit log.",
            made.until, made.name
        ));
        say(&made.link);
        complain(&format!("Or open {} and type in the code: {}", made.page, made.code));
        if made.on_this_node_alone {
            complain(
                "Only this node can open it, until it restarts: `sessions.keys` names no keys that \
                 others have too.",
            );
        }
        Ok(())
    }

    fn end(&self, address: &str) -> Result<(), NotDone> {
        let ended: Ended = self.ask(address, "/-/break-glass/revoke")?;
        let passes = match ended.passes {
            1 => "1 pass was".to_owned(),
            count => format!("{count} passes were"),
        };
        say(&format!("ended: no link that was made so far opens anything; {passes} in use here"));
        if ended.others_may_not_know {
            complain(
                "Other nodes with the same `sessions.keys`, if there are any, cannot be told: there is \
                 no store that they share. Run this on each.",
            );
        }
        Ok(())
    }

    fn ask<T: DeserializeOwned>(&self, address: &str, target: &str) -> Result<T, NotDone> {
        let by = self.by.clone().or_else(whoever_asks);
        let asked = admin_client::object([
            ("portal", self.portal.as_deref()),
            ("reason", self.reason.as_deref()),
            ("by", by.as_deref()),
        ]);
        let body = Value::Object(asked).to_string();
        let question = Question { target, posted: Some(&body), most: MOST, limit: LIMIT };
        admin_client::put(address, question)?.read("break-glass")
    }
}

/// Whoever sits there, as far as the environment says; else the user whose process this is.
fn whoever_asks() -> Option<String> {
    let name = |variable| std::env::var(variable).ok().filter(|name: &String| !name.is_empty());
    // A process's folder is its user's.
    let uid = || Some(format!("uid {}", std::fs::metadata("/proc/self").ok()?.uid()));
    name("SUDO_USER").or_else(|| name("USER")).or_else(uid)
}
