//! Answers that are not what was asked for, as every server can give them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;

use super::{Trouble, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::listener;

/// What becomes of `answer`.
pub(super) async fn afflict(trouble: Trouble, answer: Answer) -> Answer {
    match trouble {
        Trouble::ServerError => pages::server_error(),
        Trouble::Unavailable => pages::outage(),
        Trouble::Html => pages::not_json(),
        Trouble::Throttled(seconds) => {
            let body = serde_json::json!({
                "error": "temporarily_unavailable",
                "error_description": "AADSTS90055: The server is busy, please retry later.",
                "error_codes": [90055],
            });
            let answer = answer::json(StatusCode::TOO_MANY_REQUESTS, &body);
            answer::with(answer, RETRY_AFTER, &seconds.to_string())
        }
        Trouble::Reset => listener::without_an_answer(),
        Trouble::Truncated => truncated(answer).await,
        Trouble::WrongType => answer::with(answer, CONTENT_TYPE, "text/plain; charset=utf-8"),
        Trouble::Slow(delay) => {
            tokio::time::sleep(delay).await;
            answer
        }
    }
}

/// Half of the body; the connection ends before the length that was announced.
async fn truncated(answer: Answer) -> Answer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let whole = body.len();
    let half: Bytes = body.slice(..whole / 2);
    let mut answer = Response::from_parts(head, listener::of_unknown_length(half));
    answer.headers_mut().insert(http::header::CONTENT_LENGTH, whole.into());
    answer
}
