//! A provider says that somebody has signed out there: in the browser, from a frame of its own page
//! (OpenID Connect Front-Channel Logout 1.0; azure.md, section 7.2), or by itself with a logout
//! token (Back-Channel Logout 1.0). No cookie is needed, and none comes along: each provider has an
//! address of its own, and ends only the sessions that it and the name it gives have together
//! (OIDC-20).

use std::sync::Arc;

use http::{Method, Response, StatusCode};

use super::account::Body;
use super::parameters::{at_most_once, once};
use super::request::Visit;
use super::respond::{self, Said};
use crate::relying_party::{LogoutTokenError, RelyingParty, is_sid};
use crate::sessions::{Meant, Sessions, SignedIn, StoreError, Word};
use crate::telemetry::Verdict;
use crate::telemetry::causes;
use crate::telemetry::metrics::SessionEnd;
use crate::upstream::RequestBody;

/// The longest form that is read. A logout token has some hundred bytes.
const LONGEST_FORM: usize = 32 * 1024;

impl Visit<'_> {
    /// A frame of the provider's page. Whatever it asks for, the answer is the same: it tells
    /// nobody whether there was a session. What ended one does not count for the pace, and is not
    /// held up by it: strangers behind the same address cannot keep a member's sign-out away.
    pub(super) async fn front_channel_logout(
        mut self,
        provider: usize,
        body: RequestBody,
    ) -> Response<Body> {
        let Some(party) = self.proxy.relying_parties.get(provider).map(Arc::clone) else {
            return self.unknown();
        };
        let parameters = match self.head.method {
            Method::GET => self.head.target.query().unwrap_or_default().to_owned(),
            // Reported of Azure AD B2C (azure.md, section 7.3).
            Method::POST => match self.posted(body, LONGEST_FORM).await {
                Ok(form) => form,
                Err(error) => return respond::uninspected(&error, self.asker, self.account),
            },
            _ => return self.only("GET, POST"),
        };
        let sid = once(&parameters, "sid").filter(|sid| is_sid(sid));
        let issuer = once(&parameters, "iss");
        // Entra sends none (azure.md, section 7.2); one that is there has to be right.
        let is_right = issuer.as_deref().is_none_or(|issuer| party.speaks_for(issuer))
            && at_most_once(&parameters, &["sid", "iss"]);
        let meant = sid.as_deref().filter(|_| is_right).map(Meant::Sid);
        let (sessions, name, issuer) = (&self.proxy.sessions, party.name(), issuer.as_deref());
        let (ended, told) = match meant {
            Some(meant) => sessions.end_meant(name, meant, issuer, self.now).await,
            None => (Vec::new(), Ok(())),
        };
        self.signed_out_there(&ended, "front-channel");
        if let Err(error) = told {
            return respond::store(error, self.asker, self.account);
        }
        if ended.is_empty() && !self.keeps_pace() {
            return self.too_many_sign_outs();
        }
        if let Some(meant) = meant {
            // And those that start just now.
            let word = Word::Claimed;
            let (ended, told) = sessions.sign_out_meant(name, meant, issuer, word, self.now).await;
            self.signed_out_there(&ended, "front-channel");
            if let Err(error) = told {
                return respond::store(error, self.asker, self.account);
            }
        }
        self.account.decided(Verdict::Own, None);
        respond::framed(party.sign_out_origin().as_deref(), self.asker, self.account)
    }

    /// The provider itself.
    pub(super) async fn back_channel_logout(
        mut self,
        provider: usize,
        body: RequestBody,
    ) -> Response<Body> {
        let party = self.proxy.relying_parties.get(provider).map(Arc::clone);
        let Some(party) = party.filter(|party| party.takes_logout_tokens()) else {
            return self.unknown();
        };
        if self.head.method != Method::POST {
            return self.only("POST");
        }
        let form = match self.posted(body, LONGEST_FORM).await {
            Ok(form) => form,
            Err(error) => return respond::uninspected(&error, self.asker, self.account),
        };
        // Anybody can make us look for a key, so it counts before that.
        if !self.keeps_pace() {
            return self.too_many_sign_outs();
        }
        match self.believed(&party, &form).await {
            Ok(()) => {
                self.was_in_order();
                self.account.decided(Verdict::Own, None);
                respond::empty(StatusCode::OK, self.asker, self.account)
            }
            Err(NotEnded::Store(error)) => respond::store(error, self.asker, self.account),
            Err(NotEnded::Disbelieved(error)) => {
                tracing::warn!(
                    request.id = self.asker.request_id(),
                    provider = &**party.name(),
                    code = error.code(),
                    cause = %causes(&error),
                    "a logout token was not accepted"
                );
                respond::disbelieved(&error, self.asker, self.account)
            }
        }
    }

    /// Ends the sessions that a logout token means.
    async fn believed(&self, party: &RelyingParty, form: &str) -> Result<(), NotEnded> {
        let raw = once(form, "logout_token").unwrap_or_default();
        let token = party.logout_token(&raw, self.proxy.clock.now()).await?;
        let sessions = &self.proxy.sessions;
        if !sessions.spend_logout_token(party.name(), &token.id).await? {
            return Err(LogoutTokenError::Replayed.into());
        }
        // `sid` is one session at the provider, and `sub` beside it whose that is; `sub` alone is
        // all of that person's.
        let meant = match (&token.sid, &token.sub) {
            (Some(sid), _) => Meant::Sid(sid),
            (None, Some(sub)) => Meant::Sub(sub),
            (None, None) => return Err(LogoutTokenError::Subject.into()),
        };
        let issuer = Some(token.issuer.as_str());
        let (name, word) = (party.name(), Word::Proven);
        let spent = Spent { sessions, provider: name, id: &token.id, is_obeyed: false };
        let (ended, told) = sessions.sign_out_meant(name, meant, issuer, word, self.now).await;
        self.signed_out_there(&ended, "back-channel");
        spent.was_obeyed(told.is_ok());
        Ok(told?)
    }

    fn signed_out_there(&self, ended: &[Arc<SignedIn>], way: &str) {
        for member in ended {
            self.ended(member, SessionEnd::Provider, Some(way));
        }
    }

    /// Counts a request of this address. Whether it has not asked too often; a proxy of ours speaks
    /// for many.
    fn keeps_pace(&self) -> bool {
        let stranger = self.proxy.stranger(self.visitor);
        stranger.is_none_or(|address| self.proxy.sign_outs.admits(address, self.now))
    }

    /// What was counted last was a sign-out.
    fn was_in_order(&self) {
        if let Some(address) = self.proxy.stranger(self.visitor) {
            self.proxy.sign_outs.forgives(address);
        }
    }

    fn too_many_sign_outs(mut self) -> Response<Body> {
        self.account.decided(Verdict::Refuse, Some(TooOften.code()));
        let said = Said::new(StatusCode::TOO_MANY_REQUESTS, TooOften.code());
        respond::say(&said, self.asker, self.account)
    }
}

/// A logout token that was spent and is not obeyed yet. Its provider sends it again when it hears
/// that it could not be, or when it has not waited for us; and then it has to be believed.
struct Spent<'a> {
    sessions: &'a Arc<Sessions>,
    provider: &'a str,
    id: &'a str,
    is_obeyed: bool,
}

impl Spent<'_> {
    fn was_obeyed(mut self, is_obeyed: bool) {
        self.is_obeyed = is_obeyed;
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        if !self.is_obeyed {
            let sessions = Arc::clone(self.sessions);
            let (provider, id) = (self.provider.to_owned(), self.id.to_owned());
            tokio::spawn(async move { sessions.give_back_logout_token(&provider, &id).await });
        }
    }
}

/// Why a logout token was not obeyed, or not everywhere.
enum NotEnded {
    Disbelieved(LogoutTokenError),
    Store(StoreError),
}

impl From<LogoutTokenError> for NotEnded {
    fn from(error: LogoutTokenError) -> Self {
        Self::Disbelieved(error)
    }
}

impl From<StoreError> for NotEnded {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An address asks for more sign-outs than any provider does.
struct TooOften;

impl TooOften {
    /// The stable name of this reason.
    const fn code(&self) -> &'static str {
        "sign-outs-busy"
    }
}
