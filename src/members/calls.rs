//! The calls to a directory: how they are made and tried again, how they end, and who is told of
//! it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use url::Url;

use super::error::DirectoryError;
use super::patience::Patience;
use crate::outgoing::{Answer, Bounds, Http, is_busy};

/// Told of every call to the directory: what it was, how it ended, how long it took.
pub type Observe = Arc<dyn Fn(Call, Outcome, Duration) + Send + Sync>;

/// The calls that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// For somebody.
    Look,
    /// Somebody is created.
    Create,
    /// Somebody is linked to an account.
    Link,
    /// Somebody's account is brought up to date.
    Update,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer to what was asked.
    Ok,
    /// With an answer that is a refusal.
    Refused,
    /// Without an answer, or with one that says «not now».
    Unreachable,
}

/// The most that is read of an answer.
const ANSWER_BYTES: usize = 256 * 1024;
/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How many calls to one directory there are at a time; others wait their turn.
const AT_A_TIME: usize = 64;

/// The way to one directory.
pub(super) struct Calls {
    http: Http,
    url: Url,
    deadline: Duration,
    observe: Observe,
}

/// A request, which can be made again.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Which statuses say «not now» besides the usual ones.
    pub(super) busy: &'static [StatusCode],
}

impl Asked {
    /// When a try that begins now has to be over. What makes a member is not given up while there is
    /// time: it may be under way, and would be made twice by a directory that takes long.
    fn end_of_try(&self, patience: &Patience) -> Instant {
        match self.call {
            Call::Look | Call::Update => patience.end_of_try(),
            Call::Create | Call::Link => patience.deadline(),
        }
    }

    /// Whether a status says «not now».
    fn is_not_now(&self, status: StatusCode) -> bool {
        match status {
            // What a directory does not do, it does not do later either.
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
            status => is_busy(status) || self.busy.contains(&status),
        }
    }
}

/// Why a call has no answer, and whether it may be made again.
pub(super) struct Failed {
    pub(super) error: DirectoryError,
    pub(super) again: Option<Again>,
}

/// After how long, if the directory says so.
pub(super) struct Again(pub(super) Option<Duration>);

impl Calls {
    pub(super) fn new(
        url: Url,
        deadline: Duration,
        trusted: Option<Vec<CertificateDer<'static>>>,
        observe: Observe,
    ) -> Self {
        let bounds = Bounds {
            connect: CONNECT,
            total: deadline,
            answer_bytes: ANSWER_BYTES,
            posts: AT_A_TIME,
        };
        Self { http: Http::new(bounds, trusted), url, deadline, observe }
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// One try.
    pub(super) async fn once(&self, asked: &Asked, patience: &Patience) -> Result<Answer, Failed> {
        let began = Instant::now();
        let answer = self.http.send(
            (asked.method.clone(), &asked.url),
            &asked.headers,
            asked.body.clone(),
            asked.end_of_try(patience),
        );
        let result = match answer.await {
            Ok(answer) if asked.is_not_now(answer.status) => Err(Failed {
                error: DirectoryError::Busy(answer.status),
                again: Some(Again(answer.retry_after)),
            }),
            Ok(answer) => Ok(answer),
            Err(error) => {
                let again = error.is_unreachable().then_some(Again(None));
                Err(Failed { error: DirectoryError::Call(error), again })
            }
        };
        let outcome = match &result {
            Ok(answer) if answer.status.is_success() => Outcome::Ok,
            // These are answers.
            Ok(Answer {
                status: StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED, ..
            }) => Outcome::Ok,
            Ok(_) | Err(Failed { again: None, .. }) => Outcome::Refused,
            Err(Failed { again: Some(_), .. }) => Outcome::Unreachable,
        };
        (self.observe)(asked.call, outcome, began.elapsed());
        result
    }

    /// As many tries as there is time for: for what may be asked twice.
    pub(super) async fn answer(
        &self,
        asked: &Asked,
        patience: &mut Patience,
    ) -> Result<Answer, DirectoryError> {
        loop {
            match self.once(asked, patience).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { error, again: Some(Again(pause)) }) => {
                    if !patience.again(pause).await {
                        return Err(error);
                    }
                }
                Err(Failed { error, again: None }) => return Err(error),
            }
        }
    }
}
