//! Questions to the admin listener of a running Anteport, one at a time, and how its answers are
//! read. Deliberately not here: what is asked for, which is its verb's.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{FAILED, UNAVAILABLE, complain, report};
use crate::config;
use crate::telemetry::admin::reachable;
use crate::telemetry::causes;
use crate::telemetry::log::Shown;

/// The longest text of an answer that is shown.
pub(super) const LONGEST: usize = 512;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(
        "nobody answers at {address}: no Anteport runs there; start it, or see whether \
         `admin.address` of the one that runs is another"
    )]
    Nobody {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("cannot ask {address}")]
    Ask {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{address} did not answer within {limit:?}")]
    Silent { address: String, limit: Duration },
    #[error(
        "{address} does not answer as an HTTP server: another program is there; see `admin.address`"
    )]
    NotHttp { address: String },
    #[error("{address} answered with status {status}{}", stranger(*.status))]
    Status { address: String, status: u16 },
}

/// What is to be thought of a status that an Anteport would not give: it is 503 while it starts.
const fn stranger(status: u16) -> &'static str {
    match status {
        503 => "",
        _ => ": another program is there, or an Anteport of another version; see `admin.address`",
    }
}

impl AskError {
    /// Who cannot be reached may be soon; who answers something else is not who was meant.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Nobody { .. } | Self::Ask { .. } | Self::Silent { .. } => UNAVAILABLE,
            Self::NotHttp { .. } | Self::Status { .. } => FAILED,
        }
    }
}

/// Why what was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("it was refused: {message} ({code})")]
    Refused { code: String, message: String },
    #[error("the answer is not what an Anteport of this version tells")]
    Answer(#[source] serde_json::Error),
    #[error(
        "{address} knows nothing of {what}, and answered with status {status}: another program is \
         there, or an Anteport of another version; see `admin.address`"
    )]
    Unknown { address: String, what: &'static str, status: u16 },
}

impl NotDone {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Ask(error) => error.exit_code(),
            Self::Refused { code, .. } if code == "session-store-unavailable" => UNAVAILABLE,
            Self::Refused { .. } | Self::Answer(_) | Self::Unknown { .. } => FAILED,
        }
    }
}

/// A refusal, as the admin listener writes it.
#[derive(Deserialize)]
struct Refused {
    error: String,
    message: String,
}

/// Where the admin listener of the configuration at `path` is asked; its problems are told, and end
/// it with the code given.
pub(super) fn address_of(path: &Path, refused: u8) -> Result<String, ExitCode> {
    match config::admin_address(path) {
        Ok(address) => Ok(reachable(address).to_string()),
        Err(problems) => {
            report(&problems);
            Err(ExitCode::from(refused))
        }
    }
}

/// How a verb ends, and what it says of that.
pub(super) fn ended(done: Result<(), NotDone>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", Shown::new(&causes(&error), LONGEST)));
            ExitCode::from(error.exit_code())
        }
    }
}

/// An object of those texts that are given.
pub(super) fn object<const N: usize>(texts: [(&str, Option<&str>); N]) -> Map<String, Value> {
    let given = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    given.map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// A path, with its query.
    pub(super) target: &'a str,
    /// What is posted, as JSON; without it the question is a GET.
    pub(super) posted: Option<&'a str>,
    /// Bytes of the answer that are read, its head included.
    pub(super) most: u64,
    /// For all of it.
    pub(super) limit: Duration,
}

/// What came back, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    address: String,
    pub(super) status: u16,
    whole: Vec<u8>,
}

impl Answer {
    /// What stands behind its head; nothing if that is not whole.
    pub(super) fn body(&self) -> &[u8] {
        let end = memchr::memmem::find(&self.whole, b"\r\n\r\n");
        end.and_then(|at| self.whole.get(at + 4..)).unwrap_or_default()
    }

    /// What was done, or why it was refused; `what` it knows nothing of if it says neither.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, NotDone> {
        if self.status == 200 {
            return serde_json::from_slice(self.body()).map_err(NotDone::Answer);
        }
        match serde_json::from_slice(self.body()) {
            Ok(Refused { error: code, message }) => Err(NotDone::Refused { code, message }),
            Err(_) => {
                let address = self.address.clone();
                Err(NotDone::Unknown { address, what, status: self.status })
            }
        }
    }
}

/// Asks, and gives the answer as long as its status says that all is well.
pub(super) fn ask(address: &str, question: Question<'_>) -> Result<Answer, AskError> {
    let answer = put(address, question)?;
    match answer.status {
        200..=299 => Ok(answer),
        status => Err(AskError::Status { address: address.to_owned(), status }),
    }
}

/// Asks, and gives whatever is answered.
pub(super) fn put(address: &str, question: Question<'_>) -> Result<Answer, AskError> {
    let limit = question.limit;
    let failed = |cause: std::io::Error| {
        let address = address.to_owned();
        match cause.kind() {
            ErrorKind::ConnectionRefused => AskError::Nobody { address, cause },
            _ => AskError::Ask { address, cause },
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let answer = runtime.block_on(async {
        let answer = tokio::time::timeout(limit, exchange(address, question)).await;
        answer.map_err(|_| AskError::Silent { address: address.to_owned(), limit })
    });
    // A name that nobody resolves would be waited for.
    runtime.shutdown_background();
    let whole = answer?.map_err(failed)?;
    let status = status(&whole).ok_or_else(|| AskError::NotHttp { address: address.to_owned() })?;
    Ok(Answer { address: address.to_owned(), status, whole })
}

async fn exchange(address: &str, question: Question<'_>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let (method, body) = match question.posted {
        Some(body) => ("POST", body),
        None => ("GET", ""),
    };
    let content = match question.posted {
        Some(body) => {
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
        }
        None => String::new(),
    };
    let target = question.target;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\n{content}connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(question.most).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}
