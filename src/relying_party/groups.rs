//! Which groups a member is in, once they have signed in: from the token or from Graph, as the
//! configuration says, and of them those that are kept. Not to know is a result of its own, which
//! closes whatever asks for a group and nothing else (AZ-05), and so is not to know their names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::graph::{Graph, GraphError};
use super::{RelyingParty, Tokens};
use crate::config::{GroupSource, KeptGroups};
use crate::gate::{AccountKind, Group, Secret, Timestamp, VerifiedClaims};

impl RelyingParty {
    /// The claims with the groups that are kept of those that the member is in.
    pub async fn with_groups(
        &self,
        claims: VerifiedClaims,
        tokens: &Tokens,
        now: Timestamp,
    ) -> VerifiedClaims {
        self.groups(claims, tokens.access_token.as_ref(), None, now).await
    }

    /// The same for the member of a session. While Graph is out of order, what it said `earlier`
    /// holds (REL-01).
    pub(super) async fn groups(
        &self,
        claims: VerifiedClaims,
        access_token: Option<&Secret<String>>,
        earlier: Option<&VerifiedClaims>,
        now: Timestamp,
    ) -> VerifiedClaims {
        let settings = &self.provider.groups;
        let listed = listed(&claims).map(|listed| chosen(listed, &settings.kept));
        let (base, names) = match (&settings.source, &settings.kept) {
            (GroupSource::Token, KeptGroups::All) => return claims,
            (GroupSource::Token, KeptGroups::Named(_)) => {
                return match listed {
                    Some(listed) => claims.with_groups(&listed),
                    None => claims,
                };
            }
            (GroupSource::Graph { base, names }, _) => (base, *names),
        };
        let has_none = claims.account() == Some(AccountKind::Personal);
        let asks_for_none = matches!(&settings.kept, KeptGroups::Named(kept) if kept.is_empty());
        match &listed {
            _ if has_none || asks_for_none => return claims.with_groups(&[]),
            Some(listed) if !names => return claims.with_groups(listed),
            Some(_) | None => {}
        }
        let lacks_a_name = |groups: &[Group]| groups.iter().any(|group| group.name.is_none());
        let told = |groups: &[Group]| {
            let told = claims.clone().with_groups(groups);
            // Graph leaves names out for an application that may not read them.
            match names && lacks_a_name(groups) {
                true => told.with_group_names_unresolved(),
                false => told,
            }
        };
        let member = claims.subject().member_key();
        // Who is asked about again is asked about: a lost group counts by then (SESS-06).
        if let (None, Some(groups)) = (earlier, self.memberships.find(&member, now)) {
            return told(&groups);
        }
        let graph = Graph { http: &self.http, base, observe: &self.observe, limits: self.limits };
        let asked = match access_token {
            Some(token) => graph.groups(token, names, |id| settings.kept.has(id)).await,
            None => Err(GraphError::AccessToken),
        };
        match asked {
            Ok(groups) => {
                if names && lacks_a_name(&groups) {
                    let error = GraphError::NoNames;
                    self.report_graph(&error, "the names of a member's groups were not told");
                }
                let claims = told(&groups);
                let until = now.after(self.limits.graph_cache);
                self.memberships.keep(member, groups, now, until, self.limits.graph_members);
                claims
            }
            Err(error) => {
                self.report_graph(&error, "the groups of a member could not be asked for");
                let held = earlier.filter(|_| error.is_temporary());
                let held = held.and_then(|earlier| claims.clone().with_groups_of(earlier));
                match (listed, held) {
                    // Which they are is known all the same, by the younger word of the two: only
                    // what they are called is Graph's to say (SESS-06).
                    (Some(listed), Some(held)) => told(&named(listed, &held)),
                    (Some(listed), None) => told(&listed),
                    (None, Some(held)) => held,
                    (None, None) => claims.with_groups_unresolved(),
                }
            }
        }
    }

    /// Tells the operator what Graph did not say.
    fn report_graph(&self, error: &GraphError, what: &str) {
        tracing::warn!(
            provider = &*self.provider.name,
            reason = error.code(),
            error = error as &dyn std::error::Error,
            "{what}"
        );
    }
}

/// The groups that the token lists, if it lists them all and readably.
fn listed(claims: &VerifiedClaims) -> Option<Vec<&str>> {
    if claims.groups_unknown().is_some() {
        return None;
    }
    match claims.get("groups")? {
        Value::Array(groups) => groups.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Those that are kept.
fn chosen(listed: Vec<&str>, kept: &KeptGroups) -> Vec<Group> {
    let kept = listed.into_iter().filter(|id| kept.has(id));
    kept.map(|id| Group { id: id.to_owned(), name: None }).collect()
}

/// The groups of a list, by the names that they had in earlier claims.
fn named(listed: Vec<Group>, earlier: &VerifiedClaims) -> Vec<Group> {
    let texts = |name: &str| {
        let all = earlier.get(name).and_then(Value::as_array).map(Vec::as_slice);
        all.unwrap_or_default().iter().filter_map(Value::as_str)
    };
    let names: HashMap<&str, &str> = texts("groups").zip(texts("group_names")).collect();
    let named = listed.into_iter().map(|group| {
        let name = names.get(group.id.as_str()).map(|name| (*name).to_owned());
        Group { name, ..group }
    });
    named.collect()
}

/// What Graph said lately, so that somebody who signs in at several portals is asked about once.
#[derive(Debug, Default)]
pub(super) struct Memberships(Mutex<HashMap<String, Membership>>);

struct Membership {
    groups: Arc<[Group]>,
    until: Timestamp,
}

impl Memberships {
    fn find(&self, member: &str, now: Timestamp) -> Option<Arc<[Group]>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(member).filter(|found| now < found.until)?;
        Some(Arc::clone(&found.groups))
    }

    /// At most `most` are kept: what is over goes first, and then all, because they come back.
    fn keep(
        &self,
        member: String,
        groups: Vec<Group>,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= most {
            known.retain(|_, membership| now < membership.until);
        }
        if known.len() >= most {
            known.clear();
        }
        known.insert(member, Membership { groups: groups.into(), until });
    }
}

/// Neither who nor where (LOG-01).
impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Membership(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn lim_07_what_graph_said_is_kept_for_a_while_and_for_so_many() {
        let memberships = Memberships::default();
        let until = NOON.after(Duration::from_secs(60));
        for member in ["a", "b"] {
            let group = Group { id: member.to_owned(), name: None };
            memberships.keep(member.to_owned(), vec![group], NOON, until, 2);
        }
        let found = memberships.find("a", NOON).unwrap();
        assert_eq!(found.first().map(|group| &*group.id), Some("a"));
        assert!(memberships.find("c", NOON).is_none());
        assert!(memberships.find("a", until).is_none());
        // One too many, and nobody is over.
        memberships.keep("c".to_owned(), vec![], NOON, until, 2);
        assert!(memberships.find("a", NOON).is_none() && memberships.find("c", NOON).is_some());
        let later = until.after(Duration::from_secs(60));
        memberships.keep("d".to_owned(), vec![], until, later, 1);
        assert!(memberships.find("c", until).is_none() && memberships.find("d", until).is_some());
        // No value of a member is in its `Debug`.
        assert!(!format!("{memberships:?}").contains("Group"));
    }
}
