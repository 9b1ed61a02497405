//! Microsoft Graph, as far as it says which groups somebody is in: asked with the access token that
//! came with their own sign-in, at an address that is made of configuration alone. Every wait ends
//! with one deadline, every answer is bounded, and what does not succeed is an error and never an
//! empty list (AZ-05). Deliberately not here: what becomes of the answer, which is `groups`'s.

mod page;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::{Instant, sleep};
use url::Url;

use self::page::Page;
use super::{Call, Limits, Observe, Outcome};
use crate::gate::{Group, Secret};
use crate::outgoing::{Answer, Http, HttpError, is_busy};

/// The pause before a call is tried again, where Graph does not say how long; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often a page is tried.
const TRIES: u32 = 4;

/// Asks Graph in somebody's own name.
pub(super) struct Graph<'a> {
    pub(super) http: &'a Http,
    pub(super) base: &'a Url,
    pub(super) observe: &'a Observe,
    pub(super) limits: Limits,
}

impl Graph<'_> {
    /// All groups of the token's person for which `keep` says so, those within groups among them.
    ///
    /// # Errors
    /// When Graph does not say which they are, all of them.
    pub(super) async fn groups(
        &self,
        access_token: &Secret<String>,
        names: bool,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Vec<Group>, GraphError> {
        let headers = self.headers(access_token)?;
        let now = Instant::now();
        let deadline = now.checked_add(self.limits.graph).unwrap_or(now);
        let mut groups = Vec::new();
        let mut next = Some(page::first(self.base, names));
        for _ in 0..self.limits.graph_pages {
            let Some(url) = next else {
                return Ok(groups);
            };
            let page = self.page(&url, &headers, deadline).await?;
            let listed = page.groups.into_iter();
            groups.extend(listed.filter(|group| keep(&group.id)));
            next = page.next.map(|link| page::next(self.base, &link)).transpose()?;
        }
        match next {
            None => Ok(groups),
            Some(_) => Err(GraphError::TooMany { pages: self.limits.graph_pages }),
        }
    }

    fn headers(&self, access_token: &Secret<String>) -> Result<HeaderMap, GraphError> {
        let bearer = format!("Bearer {}", access_token.expose());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| GraphError::AccessToken)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, bearer);
        // For `$count`, and for the cast (azure.md, section 4.4).
        headers.insert("consistencylevel", HeaderValue::from_static("eventual"));
        Ok(headers)
    }

    /// One page, tried again while Graph is busy and there is time.
    async fn page(
        &self,
        url: &Url,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Page, GraphError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let began = Instant::now();
            let answer = self.http.get_with(url, headers, deadline).await;
            let result = read(answer);
            let outcome = match &result {
                Ok(_) => Outcome::Ok,
                Err(Failed { again: Some(_), .. }) => Outcome::Unreachable,
                Err(_) => Outcome::Refused,
            };
            (self.observe)(Call::Graph, outcome, began.elapsed());
            let (error, wait) = match result {
                Ok(page) => return Ok(page),
                Err(Failed { error, again: None }) => return Err(error),
                Err(Failed { error, again: Some(Again(asked)) }) => (error, asked.unwrap_or(pause)),
            };
            let is_in_time = Instant::now().checked_add(wait).is_some_and(|then| then < deadline);
            if tries >= TRIES || !is_in_time {
                return Err(error);
            }
            sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
    }
}

/// An answer that is no page, and whether another try may be.
struct Failed {
    error: GraphError,
    again: Option<Again>,
}

/// After how long, if Graph says so.
struct Again(Option<Duration>);

fn read(answer: Result<Answer, HttpError>) -> Result<Page, Failed> {
    match answer {
        Ok(answer) if answer.status == StatusCode::OK => match Page::read(&answer.body) {
            Some(page) => Ok(page),
            None => Err(Failed { error: GraphError::Malformed, again: None }),
        },
        Ok(answer) => {
            let again = is_busy(answer.status).then_some(Again(answer.retry_after));
            let code = page::error_code(&answer.body);
            Err(Failed { error: GraphError::Refused { status: answer.status, code }, again })
        }
        Err(error) => {
            let again = error.is_unreachable().then_some(Again(None));
            Err(Failed { error: GraphError::Call(error), again })
        }
    }
}

/// Why Graph does not say which groups somebody is in.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The provider gave no access token, or one that no header can carry.
    #[error("there is no access token to ask Graph with")]
    AccessToken,
    /// No answer.
    #[error("Graph gave no answer")]
    Call(#[source] HttpError),
    /// An answer that says no.
    #[error("Graph answered with status {status}{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// Its status.
        status: StatusCode,
        /// What Graph calls the error, if that has the form of a name.
        code: Option<String>,
    },
    /// An answer that is not a page of groups.
    #[error("Graph's answer has no groups that could be read")]
    Malformed,
    /// The next page is elsewhere, where the token must not go.
    #[error("Graph's next page is not where Graph is")]
    Link,
    /// Groups without what they are called, though that was asked for: so Graph answers an
    /// application that may not read it.
    #[error(
        "Graph left out what groups are called: the application lacks the delegated permission \
         GroupMember.Read.All, or an administrator's consent to it"
    )]
    NoNames,
    /// More pages than are asked for.
    #[error("the groups have more than {pages} pages")]
    TooMany {
        /// How many are.
        pages: usize,
    },
}

impl GraphError {
    /// Whether it may pass by itself.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Call(error) => error.is_unreachable(),
            Self::Refused { status, .. } => is_busy(*status),
            Self::AccessToken
            | Self::Malformed
            | Self::Link
            | Self::NoNames
            | Self::TooMany { .. } => false,
        }
    }

    /// The stable name of this reason, in the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccessToken => "graph-no-access-token",
            Self::Call(_) => "graph-unreachable",
            Self::Refused { status, .. } if status.as_u16() == 429 => "graph-throttled",
            Self::Refused { .. } => "graph-refused",
            Self::Malformed => "graph-malformed",
            Self::Link => "graph-foreign-link",
            Self::NoNames => "graph-no-names",
            Self::TooMany { .. } => "graph-too-many",
        }
    }
}
