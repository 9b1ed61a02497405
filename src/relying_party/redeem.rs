//! What a login asks of the token endpoint, and how its answers are read. Values only: the call
//! itself is made in `token_request`.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::{self, Class};
use crate::gate::login::{error_word, microsoft_code};
use crate::gate::{PortalToken, PortalTokens, Secret, Timestamp, Trail, VerifiedClaims};
use crate::outgoing::is_busy;

/// What a code was exchanged for. None of it is believed yet, and none of it is shown.
pub struct Tokens {
    pub(super) id_token: Secret<String>,
    pub(super) access_token: Option<Secret<String>>,
    pub(super) refresh_token: Option<Secret<String>>,
    expires_in: Option<Duration>,
}

/// What a refresh token was exchanged for: an ID token need not be among it.
pub(super) struct RefreshedTokens {
    pub(super) id_token: Option<Secret<String>>,
    pub(super) access_token: Option<Secret<String>>,
    pub(super) refresh_token: Option<Secret<String>>,
    /// How long the access token lasts, if that was said.
    pub(super) expires_in: Option<Duration>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// What a login asks the token endpoint for, without our credential.
pub(super) fn form<'a>(
    code: &'a Secret<String>,
    verifier: &'a Secret<String>,
    redirect_uri: &'a str,
) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier.expose()),
    ]
}

impl Tokens {
    /// The ID token of a callback, with which nothing else came.
    pub(super) fn of_callback(id_token: Secret<String>) -> Self {
        Self { id_token, access_token: None, refresh_token: None, expires_in: None }
    }

    /// Reads a successful answer (OpenID Connect Core 1.0, section 3.1.3.3). `None` when it is not
    /// such an answer.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let RefreshedTokens { id_token, access_token, refresh_token, expires_in } =
            RefreshedTokens::read(body)?;
        Some(Self { id_token: id_token?, access_token, refresh_token, expires_in })
    }

    /// What a portal may get of it, once the ID token is believed to say these claims. It was asked
    /// for at `asked`, so that no token is taken to last longer than it does.
    #[must_use]
    pub fn for_portal(&self, claims: &VerifiedClaims, asked: Timestamp) -> PortalTokens {
        PortalTokens {
            access_token: access_token(self.access_token.as_ref(), self.expires_in, asked),
            id_token: PortalToken::of_claims(&self.id_token, claims),
        }
    }

    /// The refresh token, if one came along.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret<String>> {
        self.refresh_token.as_ref()
    }
}

impl RefreshedTokens {
    /// Reads a successful answer to a refresh (section 12.2). Its other members are of no interest;
    /// these are strict, but for `expires_in`: unreadable it is none.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            token_type: String,
            id_token: Option<String>,
            access_token: Option<String>,
            refresh_token: Option<String>,
            expires_in: Option<Value>,
        }

        let answer: Answer = serde_json::from_slice(body).ok()?;
        // RFC 6749, section 7.1: a type that we do not understand must not be used.
        answer.token_type.eq_ignore_ascii_case("bearer").then(|| Self {
            id_token: answer.id_token.map(Secret::new),
            access_token: answer.access_token.map(Secret::new),
            refresh_token: answer.refresh_token.map(Secret::new),
            expires_in: answer.expires_in.as_ref().and_then(seconds),
        })
    }
}

/// A number, or the same as text, as B2C likes to have it (azure.md, section 3.5).
fn seconds(written: &Value) -> Option<Duration> {
    let seconds = match written {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    seconds.map(Duration::from_secs)
}

/// An access token of which it is known when it ends. It is never read, so that only its answer can
/// say so; of one that could have ended nobody gets anything.
pub(super) fn access_token(
    token: Option<&Secret<String>>,
    expires_in: Option<Duration>,
    asked: Timestamp,
) -> Option<PortalToken> {
    PortalToken::until(token?, asked.after(expires_in?))
}

/// Why the token endpoint refused, reduced to what may be logged: the description can quote the
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// `error`, if it is one that there is.
    pub error: &'static str,
    /// `AADSTS…`.
    pub code: Option<String>,
    /// By what the provider finds it again.
    pub trail: Box<Trail>,
}

impl TokenRefusal {
    /// Reads an error answer (RFC 6749, section 5.2; azure.md, section 3.6), as far as it goes.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let id = |name: &str| text(name).filter(|id| is_plain(id)).map(str::to_owned);
        // B2C has no members for these, and writes them behind its sentence.
        let trail = text("error_description").map(Trail::of).unwrap_or_default();
        let number = answer.get("error_codes").and_then(|codes| codes.get(0));
        let code = match number.and_then(Value::as_u64) {
            Some(number) => Some(format!("AADSTS{number}")),
            None => text("error_description").and_then(microsoft_code),
        };
        Self {
            status,
            error: error_word(text("error").unwrap_or_default()),
            code,
            trail: Box::new(Trail {
                correlation_id: id("correlation_id").or(trail.correlation_id),
                trace_id: id("trace_id").or(trail.trace_id),
                timestamp: text("timestamp").and_then(Trail::time).or(trail.timestamp),
            }),
        }
    }

    /// Whether it was about the code, and the credential therefore good.
    pub(super) fn is_about_grant(&self) -> bool {
        self.error == "invalid_grant"
    }

    /// Whether the provider wants the member to sign in again, as opposed to us to ask otherwise or
    /// later (RFC 6749, section 5.2; azure.md, section 3.3).
    pub(super) fn asks_for_sign_in(&self) -> bool {
        const SIGN_IN: [&str; 5] = [
            "invalid_grant",
            "interaction_required",
            "login_required",
            "consent_required",
            "account_selection_required",
        ];
        SIGN_IN.contains(&self.error) && !self.is_temporary()
    }

    /// Whether another try later may do.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        is_busy(self.status)
            || matches!(self.error, "temporarily_unavailable" | "server_error")
            || self
                .code
                .as_deref()
                .and_then(catalogue::find)
                .is_some_and(|entry| entry.class == Class::Temporary)
    }
}

/// For the operator's log.
impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.error)?;
        for (name, value) in [
            ("code", &self.code),
            ("correlation id", &self.trail.correlation_id),
            ("trace id", &self.trail.trace_id),
            ("time", &self.trail.timestamp),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        write!(f, ", status {}", self.status.as_u16())
    }
}

fn is_plain(text: &str) -> bool {
    Trail::id(text).is_some_and(|id| id == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn an_access_token_ends_when_its_answer_says_so_or_goes_nowhere() {
        let ends = |expires_in: &str| {
            let expires_in = match expires_in {
                "" => String::new(),
                some => format!(r#","expires_in":{some}"#),
            };
            let body = format!(r#"{{"token_type":"Bearer","access_token":"a"{expires_in}}}"#);
            let read = RefreshedTokens::read(body.as_bytes()).unwrap();
            let token = access_token(read.access_token.as_ref(), read.expires_in, NOON);
            token.map(|token| token.ends().unix_seconds() - NOON.unix_seconds())
        };
        for (written, lasts) in [("3600", 3600), ("\"3600\"", 3600), ("0", 0), ("4211", 4211)] {
            assert_eq!(ends(written), Some(lasts), "{written}");
        }
        for written in ["", "null", "-1", "\"\"", "\"soon\"", "[3600]", "true"] {
            assert_eq!(ends(written), None, "{written}");
        }
        assert!(ends("18446744073709551615").is_some_and(|lasts| lasts > 0), "it saturates");
    }
}
