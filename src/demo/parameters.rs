//! The parameters of a query or of a form, in the order in which they came, and cookies.

use http::HeaderMap;
use http::header::COOKIE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

/// The value of the first cookie of this name.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let fields = headers.get_all(COOKIE).iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Names and values, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The longest form that is read.
    const LONGEST: usize = 64 * 1024;

    /// Reads `name=value&…`.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// Reads the body of a request; `None` if it is too long or breaks off.
    pub(super) async fn of_body(body: Incoming) -> Option<Self> {
        let body = Limited::new(body, Self::LONGEST).collect().await.ok()?;
        Some(Self::parse(&body.to_bytes()))
    }

    /// The first value of that name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.iter().filter(|(known, _)| *known == name);
        values.next().map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// A number, if it is one; at most `limit`.
    pub(super) fn number(&self, name: &str, limit: u64) -> Option<u64> {
        let number: u64 = self.get(name)?.parse().ok()?;
        Some(number.min(limit))
    }

    /// The first name that comes twice.
    pub(super) fn repeated(&self) -> Option<&str> {
        self.iter().enumerate().find_map(|(at, (name, _))| {
            let seen = self.iter().take(at).any(|(known, _)| known == name);
            seen.then_some(name)
        })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
