//! What it takes to ask the provider again about a member while the session goes on, and when that
//! is due. Deliberately not here: asking, which is the relying party's.

use std::fmt;
use std::time::Duration;

use super::login::Journey;
use super::{Secret, Session, Timestamp, VerifiedClaims};

/// How long before the ID token's end the provider is asked again.
const BEFORE_END: Duration = Duration::from_secs(60);
/// What stays as it was at the sign-in where a later token does not say it (azure.md, section 3.3).
const OF_SIGN_IN: [&str; 8] =
    ["acr", "acrs", "amr", "auth_time", "idp", "login_hint", "nonce", "sid"];

/// What it takes to ask the provider again.
#[derive(Clone)]
pub struct Renewal {
    /// The refresh token.
    pub refresh_token: Secret<String>,
    /// What the member had gone to the provider for: at B2C a refresh token is its policy's.
    pub journey: Journey,
    /// The nonce of the login. A later ID token has no other (OpenID Connect Core 1.0, section
    /// 12.2).
    pub nonce: Secret<String>,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal(…)")
    }
}

/// Another person than the one who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider speaks of another person than the one who signed in")]
pub struct OtherMember;

impl Session {
    /// Whether the provider can be asked again about its member and that is due: after `interval`,
    /// and shortly before the ID token ends, or one that the portal gets.
    #[must_use]
    pub fn is_renewal_due(&self, interval: Duration, now: Timestamp) -> bool {
        let ends = self.token_ends().map(|ends| ends.before(BEFORE_END));
        // A word without a token may be younger than the last token.
        let ends = ends.filter(|ends| *ends > self.said());
        let of_portal = self.tokens().and_then(|tokens| tokens.asked_before(self.said()));
        let due = ends.into_iter().chain(of_portal).fold(self.said().after(interval), Ord::min);
        self.renewal().is_some() && now >= due
    }

    /// The session with the refresh token for the next time, about which nothing else is new.
    #[must_use]
    pub fn rotated(&self, refresh_token: Secret<String>, now: Timestamp) -> Self {
        let renewal = self.renewal().map(|renewal| Renewal { refresh_token, ..renewal.clone() });
        let session = self.with_word(self.claims().clone(), renewal, now);
        session.said_at(self.said())
    }

    /// The session after the provider was asked again. What it says now counts from now on: a role
    /// that is not in it is gone. Without `claims` it has confirmed what it said before.
    ///
    /// # Errors
    /// If it speaks of somebody else.
    pub fn renewed(
        &self,
        claims: Option<VerifiedClaims>,
        refresh_token: Option<Secret<String>>,
        now: Timestamp,
    ) -> Result<Self, OtherMember> {
        let claims = match claims {
            Some(claims) if claims.subject() != self.claims().subject() => return Err(OtherMember),
            // The directory of members is asked at a sign-in, and what it said there holds.
            Some(claims) => {
                claims.completed_from(self.claims(), &OF_SIGN_IN).with_extensions_of(self.claims())
            }
            None => self.claims().clone(),
        };
        let renewal = self.renewal().map(|renewal| Renewal {
            refresh_token: refresh_token.unwrap_or_else(|| renewal.refresh_token.clone()),
            ..renewal.clone()
        });
        Ok(self.with_word(claims, renewal, now))
    }
}
