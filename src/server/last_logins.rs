//! Which claims the last logins had, for `anteport doctor`: by name, and how often. Never a value,
//! nothing of who it was, and never more than fits (LIM-07, LOG-01).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::gate::{Timestamp, VerifiedClaims};

/// How many logins of each provider are remembered.
const MOST: usize = 20;
/// How many providers: whoever reloads under ever new names has the first ones in here.
const MOST_PROVIDERS: usize = 64;
/// How many claims of a login.
const MOST_CLAIMS: usize = 128;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// What has been seen since the start.
#[derive(Debug, Default)]
pub(super) struct LastLogins(Mutex<BTreeMap<Arc<str>, VecDeque<Login>>>);

#[derive(Debug)]
struct Login {
    at: Timestamp,
    claims: BTreeSet<Box<str>>,
}

/// A login under way. It is remembered when this is dropped, whatever has become of it: of those
/// that were refused somebody wants to know most.
pub(super) struct Seen {
    logins: Arc<LastLogins>,
    provider: Arc<str>,
    login: Login,
}

impl LastLogins {
    /// Somebody has come back from the provider of this name, with a token that was verified.
    pub(super) fn see(self: &Arc<Self>, provider: &Arc<str>, at: Timestamp) -> Seen {
        let (logins, provider) = (Arc::clone(self), Arc::clone(provider));
        Seen { logins, provider, login: Login { at, claims: BTreeSet::new() } }
    }

    fn remember(&self, provider: &Arc<str>, login: Login) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(provider) && all.len() >= MOST_PROVIDERS {
            return;
        }
        let logins = all.entry(Arc::clone(provider)).or_default();
        if logins.len() >= MOST {
            logins.pop_front();
        }
        logins.push_back(login);
    }

    /// For each provider how many logins there were, since when, and in how many of them each claim
    /// was, as JSON.
    pub(super) fn to_json(&self) -> Value {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let providers = all.iter().map(|(provider, logins)| {
            let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
            for name in logins.iter().flat_map(|login| &login.claims) {
                *claims.entry(name).or_default() += 1;
            }
            let moment = |login: Option<&Login>| login.map(|login| login.at.to_utc_date_time());
            json!({
                "provider": &**provider,
                "logins": logins.len(),
                "first": moment(logins.front()),
                "last": moment(logins.back()),
                "claims": claims,
            })
        });
        json!({ "providers": providers.collect::<Vec<_>>() })
    }
}

impl Seen {
    /// What is known of them by now.
    pub(super) fn had(&mut self, claims: &VerifiedClaims) {
        let known = &mut self.login.claims;
        let names = claims.iter().map(|(name, _)| name);
        for name in names.filter(|name| name.len() <= LONGEST_NAME) {
            if known.len() < MOST_CLAIMS {
                known.insert(name.into());
            }
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let at = self.login.at;
        let login = std::mem::replace(&mut self.login, Login { at, claims: BTreeSet::new() });
        self.logins.remember(&self.provider, login);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::gate::Subject;

    fn claims(names: impl IntoIterator<Item = String>) -> VerifiedClaims {
        let subject = Subject::Issuer { issuer: "it".to_owned(), subject: "them".to_owned() };
        let said: Map<String, Value> = names.into_iter().map(|name| (name, json!("x"))).collect();
        VerifiedClaims::supposed(subject, said)
    }

    #[test]
    fn lim_07_the_last_ones_are_remembered_and_no_more_than_fits() {
        let logins = Arc::new(LastLogins::default());
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        for number in 0..25 {
            let provider: Arc<str> = "corporate".into();
            let mut seen = logins.see(&provider, at(number));
            let many = (0..2 * MOST_CLAIMS).map(|number| format!("claim-{number:03}"));
            seen.had(&claims(["x".repeat(LONGEST_NAME + 1)]));
            seen.had(&claims(["email".to_owned()].into_iter().filter(|_| number % 5 == 0)));
            seen.had(&claims(many));
        }
        for number in 0..2 * MOST_PROVIDERS {
            drop(logins.see(&format!("p{number:03}").into(), at(0)));
        }
        let told = logins.to_json();
        assert_eq!(told["providers"].as_array().unwrap().len(), MOST_PROVIDERS);
        let corporate = &told["providers"][0];
        assert_eq!(
            (&corporate["provider"], &corporate["logins"]),
            (&json!("corporate"), &json!(20))
        );
        assert_eq!(corporate["first"], at(5).to_utc_date_time());
        assert_eq!(corporate["last"], at(24).to_utc_date_time());
        assert_eq!(corporate["claims"]["email"], 4);
        assert!(corporate["claims"].as_object().unwrap().len() <= MOST_CLAIMS + 1);
    }
}
