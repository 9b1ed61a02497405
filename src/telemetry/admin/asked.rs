//! What somebody asks the admin listener for: the parameters of a query or of a body, each there
//! once, and why they are not taken. Deliberately not here: what they mean.

use std::fmt;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The longest body.
const LONGEST_BODY: usize = 4 * 1024;

/// Parameters by name, none of them twice or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Vec<(String, String)>);

macro_rules! objections {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $message:literal;)+) => {
        /// Why a question about sessions has no answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Objection { $($(#[$doc])* $variant,)+ }

        impl Objection {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// What is said to whoever asked.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
}

objections! {
    /// Another method.
    Method = "method", METHOD_NOT_ALLOWED, "`Allow` has the methods that there are here";
    /// A body of another type.
    ContentType = "content-type", UNSUPPORTED_MEDIA_TYPE,
        "the body is `application/json` or, from a program, `application/x-www-form-urlencoded`";
    /// A form that a browser sends, whatever page it is on.
    Browser = "browser", FORBIDDEN, "a form of a page is not taken";
    /// A body over the limit.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "the body is larger than 4 KiB";
    /// What is not JSON, or not a form, or broke off.
    Unreadable = "unreadable", BAD_REQUEST,
        "the parameters are one JSON object of texts, numbers and `true`, or one form, in UTF-8";
    /// A name that means nothing.
    ParameterUnknown = "parameter-unknown", BAD_REQUEST, "there is a parameter that is not known here";
    /// One name twice.
    ParameterRepeated = "parameter-repeated", BAD_REQUEST, "a parameter is there more than once";
    /// A name without a value.
    ParameterEmpty = "parameter-empty", BAD_REQUEST, "a parameter is empty";
    /// How many are wanted.
    Limit = "limit", BAD_REQUEST, "`limit` is a number from 1 to 1000";
    /// Where the list goes on.
    Cursor = "cursor", BAD_REQUEST,
        "the list does not go on at `cursor`: begin again without it, and ask for the same";
    /// No such portal.
    PortalUnknown = "portal-unknown", BAD_REQUEST,
        "`portal` is the host of one of the portals, with its port if its `public_url` has one";
    /// No such provider.
    ProviderUnknown = "provider-unknown", BAD_REQUEST,
        "`provider` is the name of one of the `providers`";
    /// Not exactly one kind of revocation.
    Unclear = "unclear", BAD_REQUEST,
        "say exactly one: `session`, `member`, `sid` with `provider`, or `everybody: true`, and \
         `before` with the last alone";
    /// No moment.
    Moment = "moment", BAD_REQUEST,
        "`before` is a moment as 2027-01-15T08:00:00Z, in UTC, or in seconds since 1970";
    /// Whoever signs in until then would be signed out again.
    Future = "moment-in-future", BAD_REQUEST, "`before` is in the future";
    /// The store does not say, or could not be told.
    StoreUnavailable = "session-store-unavailable", SERVICE_UNAVAILABLE,
        "the store of sessions does not answer: ask again";
    /// Somebody else's machine.
    NotHere = "not-here", FORBIDDEN, "that is answered to the machine itself alone: ask there";
    /// A portal without break-glass.
    BreakGlassOff = "break-glass-off", BAD_REQUEST,
        "no link is made for this portal: it takes `mode: azure_only` and `break_glass: { link: {} }` \
         in its part of the configuration, and a reload; see docs/break-glass.md";
    /// Nobody says why.
    Reason = "reason", BAD_REQUEST,
        "say why as `reason`, and who you are as `by` if you like: 1 to 200 characters on one line";
    /// No randomness.
    NotMade = "not-made", INTERNAL_SERVER_ERROR, "the system's random generator failed";
}

/// Why a question has no answer, and the names that would have had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objected {
    /// Why.
    pub objection: Objection,
    /// Those that there are, where one was asked for that is not among them.
    pub known: Vec<String>,
}

impl Objected {
    /// Names in an answer; a list of very many helps nobody.
    const SHOWN: usize = 20;

    /// What is said to whoever asked.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = self.objection.message().to_owned();
        let mut known = self.known.iter().take(Self::SHOWN).map(String::as_str);
        if let Some(first) = known.next() {
            message = format!("{message}: {first}");
            known.for_each(|name| message.extend([", ", name]));
        }
        if self.known.len() > Self::SHOWN {
            message.push_str(", …");
        }
        message
    }
}

impl From<Objection> for Objected {
    fn from(objection: Objection) -> Self {
        Self { objection, known: Vec::new() }
    }
}

impl Asked {
    /// From a query, or a form that was posted.
    ///
    /// # Errors
    /// When it is not UTF-8, or a name is there twice or without a value.
    pub fn form(text: &[u8]) -> Result<Self, Objection> {
        let pairs = url::form_urlencoded::parse(text);
        Self::new(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// From a body.
    ///
    /// # Errors
    /// As [`Asked::form`]; and when it is of another type, too long, or not what its type says.
    pub(super) async fn posted(request: Request<Incoming>) -> Result<Self, Objection> {
        let kind = Kind::of(request.headers())?;
        let body = Limited::new(request.into_body(), LONGEST_BODY).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Objection::BodyTooLarge,
            false => Objection::Unreadable,
        })?;
        let body = body.to_bytes();
        match kind {
            Kind::Form => Self::form(&body),
            Kind::Json => {
                let Pairs(pairs) =
                    serde_json::from_slice(&body).map_err(|_| Objection::Unreadable)?;
                let pairs = pairs.into_iter().map(|(name, value)| Some((name, as_text(value)?)));
                Self::new(pairs.collect::<Option<_>>().ok_or(Objection::Unreadable)?)
            }
        }
    }

    fn new(pairs: Vec<(String, String)>) -> Result<Self, Objection> {
        for (index, (name, value)) in pairs.iter().enumerate() {
            // What was not UTF-8 means nobody.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(Objection::Unreadable);
            }
            if pairs.iter().take(index).any(|(known, _)| known == name) {
                return Err(Objection::ParameterRepeated);
            }
            if value.is_empty() {
                return Err(Objection::ParameterEmpty);
            }
        }
        Ok(Self(pairs))
    }

    /// # Errors
    /// When something else is there than these.
    pub fn only(&self, names: &[&str]) -> Result<(), Objection> {
        let is_known = |(name, _): &(String, String)| names.contains(&name.as_str());
        if self.0.iter().all(is_known) { Ok(()) } else { Err(Objection::ParameterUnknown) }
    }

    /// A parameter.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Json,
    Form,
}

impl Kind {
    /// No form of a page can have JSON for its type, and a script of another site needs leave to
    /// send it. A form of the ordinary type can be sent by any page: one that comes from a browser,
    /// even an old one that does not say from where, is refused (CFG-03).
    fn of(headers: &HeaderMap) -> Result<Self, Objection> {
        let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(Ok(kind)), None) = (kinds.next().map(|kind| kind.to_str()), kinds.next()) else {
            return Err(Objection::ContentType);
        };
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Json);
        }
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Objection::ContentType);
        }
        let accepts_pages = headers.get_all(header::ACCEPT).iter().any(|accepted| {
            accepted.to_str().is_ok_and(|accepted| accepted.to_ascii_lowercase().contains("html"))
        });
        let of_browsers =
            ["cookie", "referer", "upgrade-insecure-requests", "sec-fetch-mode", "sec-fetch-site"];
        let is_of_a_browser =
            accepts_pages || of_browsers.iter().any(|name| headers.contains_key(*name));
        if is_of_a_browser { Err(Objection::Browser) } else { Ok(Self::Form) }
    }
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::Bool(true) => Some("true".to_owned()),
        Value::Bool(false) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A JSON object in which a name that is there twice stays there twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}
