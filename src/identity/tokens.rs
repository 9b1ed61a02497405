//! The provider's tokens on their way to a portal that asked for them: handed on as they are, each
//! in a header of its own, and only while they are good. Deliberately not here: what a session
//! keeps of them (`gate::tokens`).

use http::{HeaderName, HeaderValue};

use super::{Identity, IdentityError, LARGEST_TOKEN};
use crate::gate::{PortalTokens, Session, Timestamp, TokenKind};

impl Identity {
    /// Those that this portal asked for: a session keeps no others.
    #[must_use]
    pub fn wanted(&self, tokens: PortalTokens) -> PortalTokens {
        tokens.only(|kind| self.tokens.iter().any(|(wanted, _)| *wanted == kind))
    }

    /// The headers in which they go.
    pub fn token_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.tokens.iter().map(|(_, header)| header)
    }

    /// Which of them the portal gets of a member now, by name.
    #[must_use]
    pub fn passed(&self, session: &Session, now: Timestamp) -> Vec<&'static str> {
        let kinds = self.tokens.iter().map(|(kind, _)| *kind);
        let good = kinds.filter(|kind| {
            session.tokens().is_some_and(|tokens| tokens.good(*kind, now).is_some())
        });
        good.map(TokenKind::name).collect()
    }

    /// Adds their headers, and says when the first of them ends.
    pub(super) fn add_tokens(
        &self,
        session: &Session,
        now: Timestamp,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Option<Timestamp>, IdentityError> {
        let mut first = None;
        for (kind, header) in &self.tokens {
            let Some(token) = session.tokens().and_then(|tokens| tokens.good(*kind, now)) else {
                continue;
            };
            let value = value(*kind, header, token.token().expose())?;
            headers.push((header.clone(), value));
            first = Some(first.map_or(token.ends(), |first: Timestamp| first.min(token.ends())));
        }
        Ok(first)
    }
}

/// A token as a header has it. Whoever writes headers down leaves its value out (LOG-01), and
/// HTTP/2 keeps it in no table (RFC 7541, section 7.1.3).
fn value(kind: TokenKind, header: &HeaderName, token: &str) -> Result<HeaderValue, IdentityError> {
    let kind = kind.name();
    if token.len() > LARGEST_TOKEN {
        let (header, size) = (header.clone(), token.len());
        return Err(IdentityError::TokenTooLarge { kind, header, size });
    }
    let unfit = || IdentityError::TokenForm { kind, header: header.clone() };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unfit());
    }
    let mut value = HeaderValue::try_from(token).map_err(|_| unfit())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(token: &str) -> Result<HeaderValue, IdentityError> {
        value(TokenKind::AccessToken, &HeaderName::from_static("x-auth-access-token"), token)
    }

    #[test]
    fn hdr_09_a_token_goes_as_it_is_or_not_at_all() {
        let longest = "a".repeat(LARGEST_TOKEN);
        for token in ["a", "~!opaque/+=", &longest] {
            assert_eq!(told(token).unwrap(), token);
        }
        let error = told(&format!("{longest}a")).unwrap_err();
        assert_eq!(error.code(), "identity-token-too-large");
        for token in ["a b", " a", "a\r\nX: b", "a\tb", "é", "a\0"] {
            let error = told(token).unwrap_err();
            assert_eq!(error.code(), "identity-token-form", "{token:?}");
        }
    }

    #[test]
    fn log_01_no_debug_shows_a_token() {
        let value = told("canary").unwrap();
        assert!(value.is_sensitive() && !format!("{value:?}").contains("canary"));
    }
}
