//! `break-glass`: a link to a portal's own sign-in, made by a running Anteport, and the end of all
//! of them. Deliberately not here: what seals a link, which the running one knows and nobody else.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin_client::{self, AskError, Question, reachable};
use super::{ConfigPath, FAILED, REFUSED, UNAVAILABLE, complain, report, say};
use crate::config;
use crate::telemetry::causes;
use crate::telemetry::log::Shown;

/// For the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of it that are read.
const MOST: u64 = 64 * 1024;
/// The longest text of it that is shown.
const LONGEST: usize = 512;

/// What is wanted.
#[derive(Debug, Args)]
pub(super) struct What {
    /// The portal, by its public URL or its host; the only one needs no name
    #[arg(long, value_name = "URL")]
    portal: Option<String>,
    /// Why, for the audit log: 1 to 200 characters
    #[arg(long, value_name = "TEXT", required_unless_present = "revoke")]
    reason: Option<String>,
    /// Who asks, for the audit log [default: $SUDO_USER, else $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// End all links of the portal that there are, and what they have opened
    #[arg(long)]
    revoke: bool,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
enum BreakGlassError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("it was refused: {message} ({code})")]
    Refused { code: String, message: String },
    #[error("the answer is not what an Anteport of this version tells")]
    Answer(#[source] serde_json::Error),
    #[error("the running Anteport knows nothing of break-glass: it answered with status {0}")]
    Unknown(u16),
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

#[derive(Deserialize)]
struct Refused {
    error: String,
    message: String,
}

/// Asks the Anteport of a configuration.
#[must_use]
pub(super) fn run(config: ConfigPath, what: &What) -> ExitCode {
    let address = match config::admin_address(&config.resolve()) {
        Ok(address) => reachable(address).to_string(),
        Err(problems) => {
            report(&problems);
            return ExitCode::from(REFUSED);
        }
    };
    let done = if what.revoke { what.end(&address) } else { what.make(&address) };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    complain(&format!("error: {}", Shown::new(&causes(&error), LONGEST)));
    ExitCode::from(match &error {
        BreakGlassError::Ask(AskError::Ask { .. } | AskError::Silent { .. }) => UNAVAILABLE,
        BreakGlassError::Refused { code, .. } if code == "session-store-unavailable" => UNAVAILABLE,
        _ => FAILED,
    })
}

impl What {
    /// The link alone is on standard output, to be passed on.
    fn make(&self, address: &str) -> Result<(), BreakGlassError> {
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

    fn end(&self, address: &str) -> Result<(), BreakGlassError> {
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

    fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        address: &str,
        target: &str,
    ) -> Result<T, BreakGlassError> {
        let by = self.by.clone().or_else(whoever_asks);
        let texts = [("portal", &self.portal), ("reason", &self.reason), ("by", &by)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let asked = texts.map(|(name, text)| (name.to_owned(), json!(text))).collect();
        let body = Value::Object(asked).to_string();
        let question = Question { target, posted: Some(&body), most: MOST, limit: LIMIT };
        let answer = admin_client::put(address, question)?;
        if answer.status == 200 {
            return serde_json::from_slice(answer.body()).map_err(BreakGlassError::Answer);
        }
        match serde_json::from_slice::<Refused>(answer.body()) {
            Ok(Refused { error: code, message }) => Err(BreakGlassError::Refused { code, message }),
            Err(_) => Err(BreakGlassError::Unknown(answer.status)),
        }
    }
}

/// Whoever sits there, as far as the environment says.
fn whoever_asks() -> Option<String> {
    let name = |variable| std::env::var(variable).ok().filter(|name: &String| !name.is_empty());
    name("SUDO_USER").or_else(|| name("USER"))
}
