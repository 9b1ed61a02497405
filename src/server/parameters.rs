//! Parameters of requests for ourselves: in the query, or in a form that was posted. Deliberately
//! not here: what they mean, and forms for the portal, which `inspect` looks at.

use http::header;

use super::inspect::{self, InspectError, Share};
use super::request::Visit;
use crate::upstream::RequestBody;

/// A parameter that is there exactly once (OIDC-05).
pub(super) fn once(parameters: &str, name: &str) -> Option<String> {
    let mut found = url::form_urlencoded::parse(parameters.as_bytes())
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned());
    found.next().filter(|_| found.next().is_none())
}

/// Whether none of these is there twice (OIDC-05).
pub(super) fn at_most_once(parameters: &str, names: &[&str]) -> bool {
    let times = |name: &str| {
        url::form_urlencoded::parse(parameters.as_bytes())
            .filter(|(known, _)| known == name)
            .count()
    };
    names.iter().all(|name| times(name) <= 1)
}

impl Visit<'_> {
    /// A query parameter that is there exactly once.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        once(self.head.target.query().unwrap_or_default(), name)
    }

    /// A form that was posted here. One of another type is none, and says nothing.
    pub(super) async fn posted(
        &self,
        body: RequestBody,
        limit: usize,
    ) -> Result<String, InspectError> {
        self.posted_form(body, limit).await.map(|(form, _)| form)
    }

    /// The same with the room that it takes, for as long as there is something of it.
    pub(super) async fn posted_form(
        &self,
        body: RequestBody,
        limit: usize,
    ) -> Result<(String, Option<Share>), InspectError> {
        let kind = self.head.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok((String::new(), None));
        }
        let stranger = self.proxy.stranger(self.visitor);
        let form = inspect::own_form(body, limit, stranger, &self.proxy.form_room).await?;
        Ok((form.0, Some(form.1)))
    }
}
