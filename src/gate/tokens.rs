//! Tokens of the provider's that a portal asked for, and until when each is good. A session has
//! none unless its portal names them: whoever has an access token is the member at its API until it
//! ends. They are handed on and never read. Deliberately not here: which header carries them
//! (`crate::identity`), and getting them (`crate::relying_party`).

use std::time::Duration;

use super::{Secret, Session, Timestamp, VerifiedClaims};

/// How long before a token's end the provider is asked for the next at the earliest.
const BEFORE_END: Duration = Duration::from_secs(60);
/// For less than this left of a token's life, the provider is not asked early: providers that give
/// nothing new would otherwise be asked over and over.
const WORTH_ASKING: Duration = Duration::from_secs(10);

/// Which token of the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// What an API takes.
    AccessToken,
    /// What says who signed in.
    IdToken,
}

impl TokenKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::IdToken];

    /// As written in the configuration, and on pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::IdToken => "id_token",
        }
    }
}

/// A token, and when it ends.
#[derive(Clone, Debug)]
pub struct PortalToken {
    token: Secret<String>,
    ends: Timestamp,
}

impl PortalToken {
    /// A token that is good before `ends`; an empty one is none.
    #[must_use]
    pub fn until(token: &Secret<String>, ends: Timestamp) -> Option<Self> {
        (!token.expose().is_empty()).then(|| Self { token: token.clone(), ends })
    }

    /// The ID token that said these claims; one without an end is none.
    #[must_use]
    pub fn of_claims(token: &Secret<String>, claims: &VerifiedClaims) -> Option<Self> {
        Self::until(token, claims.ends()?)
    }

    /// The token itself.
    #[must_use]
    pub const fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// From then on it is worth nothing.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.ends
    }
}

/// The tokens that a session has for its portal.
#[derive(Clone, Debug, Default)]
pub struct PortalTokens {
    /// The access token.
    pub access_token: Option<PortalToken>,
    /// The ID token.
    pub id_token: Option<PortalToken>,
}

impl PortalTokens {
    /// The token of a kind, while it is good.
    #[must_use]
    pub fn good(&self, kind: TokenKind, now: Timestamp) -> Option<&PortalToken> {
        let token = match kind {
            TokenKind::AccessToken => self.access_token.as_ref(),
            TokenKind::IdToken => self.id_token.as_ref(),
        };
        token.filter(|token| now < token.ends)
    }

    /// Those that are wanted.
    #[must_use]
    pub fn only(self, is_wanted: impl Fn(TokenKind) -> bool) -> Self {
        Self {
            access_token: self.access_token.filter(|_| is_wanted(TokenKind::AccessToken)),
            id_token: self.id_token.filter(|_| is_wanted(TokenKind::IdToken)),
        }
    }

    /// These, and for each that is not among them the earlier one, while it is good.
    #[must_use]
    pub fn or_earlier(self, earlier: Option<&Self>, now: Timestamp) -> Self {
        let earlier = |kind| earlier.and_then(|earlier| earlier.good(kind, now)).cloned();
        Self {
            access_token: self.access_token.or_else(|| earlier(TokenKind::AccessToken)),
            id_token: self.id_token.or_else(|| earlier(TokenKind::IdToken)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.access_token.is_none() && self.id_token.is_none()
    }

    /// When the provider is to be asked for the next, if it spoke last at `said`: before the first
    /// of them ends, by a minute, or by a quarter of what then was left of a shorter life.
    pub(super) fn asked_before(&self, said: Timestamp) -> Option<Timestamp> {
        let all = [self.access_token.as_ref(), self.id_token.as_ref()].into_iter().flatten();
        let early = all.filter_map(|token| {
            let left = token.ends.since(said);
            (left >= WORTH_ASKING).then(|| token.ends.before(BEFORE_END.min(left / 4)))
        });
        early.min()
    }
}

impl Session {
    /// The same, with these tokens for its portal.
    #[must_use]
    pub fn passing(self, tokens: PortalTokens) -> Self {
        self.with_tokens((!tokens.is_empty()).then(|| tokens.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::login::Journey;
    use crate::gate::{Lifetimes, Renewal, Subject};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOON.after(Duration::from_secs(seconds))
    }

    fn token(text: &str, seconds: u64) -> Option<PortalToken> {
        PortalToken::until(&Secret::new(text.to_owned()), later(seconds))
    }

    fn session(access_token: Option<PortalToken>) -> Session {
        let subject = Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
        let lifetimes =
            Lifetimes { idle: Duration::from_secs(36_000), absolute: Duration::from_secs(36_000) };
        let renewal = Renewal {
            refresh_token: Secret::new("refresh".to_owned()),
            journey: Journey::SignIn,
            nonce: Secret::new("nonce".to_owned()),
        };
        Session::start(claims, "p".into(), "h".into(), "handle".into(), lifetimes, NOON)
            .renewable(Some(renewal))
            .passing(PortalTokens { access_token, id_token: None })
    }

    #[test]
    fn a_token_is_good_until_it_ends_and_an_empty_one_never() {
        let tokens = PortalTokens { access_token: token("a", 60), id_token: token("", 60) };
        assert!(tokens.good(TokenKind::AccessToken, later(59)).is_some());
        assert!(tokens.good(TokenKind::AccessToken, later(60)).is_none());
        assert!(tokens.good(TokenKind::IdToken, NOON).is_none());
    }

    #[test]
    fn what_does_not_come_again_is_kept_while_it_is_good() {
        let earlier = PortalTokens { access_token: token("a", 60), id_token: token("i", 60) };
        let came = || PortalTokens { access_token: token("b", 90), id_token: None };
        let text = |token: Option<&PortalToken>| token.map(|token| token.token().expose().clone());
        let at = |now| {
            let tokens = came().or_earlier(Some(&earlier), now);
            (text(tokens.access_token.as_ref()), text(tokens.id_token.as_ref()))
        };
        assert_eq!(at(later(59)), (Some("b".to_owned()), Some("i".to_owned())));
        assert_eq!(at(later(60)), (Some("b".to_owned()), None));
        assert!(came().only(|kind| kind == TokenKind::IdToken).is_empty());
    }

    #[test]
    fn the_provider_is_asked_before_the_portals_token_ends() {
        const DAY: Duration = Duration::from_secs(86_400);
        for (lasts, asked) in [(3600, 3540), (300, 240), (100, 75), (20, 15)] {
            let session = session(token("a", lasts));
            assert!(!session.is_renewal_due(DAY, later(asked - 1)), "{lasts}");
            assert!(session.is_renewal_due(DAY, later(asked)), "{lasts}");
            assert!(session.is_renewal_due(DAY, later(lasts + 1)), "{lasts}: nor later left alone");
        }
        for none in [token("a", 9), token("a", 0), None] {
            assert!(!session(none).is_renewal_due(DAY, later(36_000)));
        }
    }

    #[test]
    fn a_provider_that_gives_nothing_new_is_not_asked_over_and_over() {
        const DAY: Duration = Duration::from_secs(86_400);
        let mut session = session(token("a", 3600));
        let mut asked = 0;
        for second in 0..7200 {
            if session.is_renewal_due(DAY, later(second)) {
                asked += 1;
                session = session.renewed(None, None, later(second)).unwrap();
            }
        }
        assert!((1..=4).contains(&asked), "{asked}");
    }

    #[test]
    fn log_01_no_debug_shows_a_token() {
        let session = session(token("canary", 3600));
        assert!(!format!("{session:?}").contains("canary"));
    }
}
