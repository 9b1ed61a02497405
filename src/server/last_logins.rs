//! Which claims the last logins had, for `anteport doctor`: by name, and how often. Never a value,
//! nothing of who it was, and never more than fits (LIM-07, LOG-01).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::gate::{Timestamp, VerifiedClaims};

/// How many logins at each portal with each provider are remembered.
const MOST: usize = 20;
/// How many pairs of the two: whoever reloads under ever new names has the first ones in here.
const MOST_PAIRS: usize = 256;
/// How many claims of a login.
const MOST_CLAIMS: usize = 128;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// What has been seen since the start.
#[derive(Debug, Default)]
pub(super) struct LastLogins(Mutex<BTreeMap<Pair, VecDeque<Login>>>);

/// A portal's host, and the name of a provider.
type Pair = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Login {
    at: Timestamp,
    claims: BTreeSet<Box<str>>,
}

impl LastLogins {
    /// Somebody has come back to the portal of this host from the provider of this name, with a token
    /// that was verified. Whatever becomes of it then: of those that are refused somebody wants to
    /// know most.
    pub(super) fn saw(
        &self,
        host: &Arc<str>,
        provider: &Arc<str>,
        claims: &VerifiedClaims,
        at: Timestamp,
    ) {
        let names = claims.iter().map(|(name, _)| name);
        let names = names.filter(|name| name.len() <= LONGEST_NAME).take(MOST_CLAIMS);
        let claims = names.map(Box::from).collect();
        let pair = (Arc::clone(host), Arc::clone(provider));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&pair) && all.len() >= MOST_PAIRS {
            return;
        }
        let logins = all.entry(pair).or_default();
        if logins.len() >= MOST {
            logins.pop_front();
        }
        logins.push_back(Login { at, claims });
    }

    /// For each portal and provider how many logins there were, since when, and in how many of them
    /// each claim was, as JSON.
    pub(super) fn to_json(&self) -> Value {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = all.iter().map(|((host, provider), logins)| {
            let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
            for name in logins.iter().flat_map(|login| &login.claims) {
                *claims.entry(name).or_default() += 1;
            }
            let moment = |login: Option<&Login>| login.map(|login| login.at.to_utc_date_time());
            json!({
                "portal": &**host,
                "provider": &**provider,
                "logins": logins.len(),
                "first": moment(logins.front()),
                "last": moment(logins.back()),
                "claims": claims,
            })
        });
        json!({ "last_logins": pairs.collect::<Vec<_>>() })
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
        let logins = LastLogins::default();
        let (host, provider): (Arc<str>, Arc<str>) = ("a.example".into(), "corporate".into());
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        for number in 0..25 {
            let own = ["email".to_owned()].into_iter().filter(|_| number % 5 == 0);
            let long = ["x".repeat(LONGEST_NAME + 1)];
            logins.saw(&host, &provider, &claims(own.chain(long)), at(number));
        }
        let many = (0..2 * MOST_CLAIMS).map(|number| format!("claim-{number:03}"));
        logins.saw(&"b.example".into(), &provider, &claims(many), at(0));
        for number in 0..2 * MOST_PAIRS {
            logins.saw(&host, &format!("p{number:03}").into(), &claims([]), at(0));
        }
        let told = logins.to_json();
        let told = told["last_logins"].as_array().unwrap();
        assert_eq!(told.len(), MOST_PAIRS);
        let first = &told[0];
        assert_eq!(
            (&first["portal"], &first["provider"]),
            (&json!("a.example"), &json!("corporate"))
        );
        assert_eq!((&first["logins"], &first["claims"]), (&json!(20), &json!({ "email": 4 })));
        assert_eq!(first["first"], at(5).to_utc_date_time());
        assert_eq!(first["last"], at(24).to_utc_date_time());
        let other = told.iter().find(|it| it["portal"] == "b.example").unwrap();
        assert_eq!(other["claims"].as_object().unwrap().len(), MOST_CLAIMS);
    }
}
