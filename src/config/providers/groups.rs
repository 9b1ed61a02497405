//! Where the groups of a provider's people are known from, and which of them are kept.

use std::collections::BTreeSet;

use url::Url;

use super::written::Cloud;
use crate::config::context::{Context, Located, Spot};
use crate::config::file::bare;
use crate::config::requires;
use crate::config::section::Section;
use crate::config::value;

/// Scopes that are of no resource.
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Where groups are known from, and which of them are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Where from.
    pub source: GroupSource,
    /// Which are kept in the session.
    pub kept: KeptGroups,
}

/// Where groups are known from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GroupSource {
    /// From the ID token alone. What it leaves out is not known (AZ-05).
    #[default]
    Token,
    /// From the ID token, and from Microsoft Graph where it has no list.
    Graph {
        /// What Graph's addresses begin with, before the version.
        base: Url,
        /// Whether names are kept beside ids.
        names: bool,
    },
}

/// Which groups are kept in the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeptGroups {
    /// All.
    #[default]
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Groups {
    /// Keeps these as well.
    pub(in crate::config) fn name<'n>(&mut self, named: impl Iterator<Item = &'n str>) {
        if let KeptGroups::Named(kept) = &mut self.kept {
            kept.extend(named.map(str::to_owned));
        }
    }

    /// Whether nobody named any.
    pub(in crate::config) fn keeps_none(&self) -> bool {
        matches!(&self.kept, KeptGroups::Named(kept) if kept.is_empty())
    }
}

impl KeptGroups {
    /// Whether one is kept.
    #[must_use]
    pub fn has(&self, group: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(kept) => kept.contains(group),
        }
    }
}

/// What an operator wrote of it.
pub(super) struct GroupsFile {
    pub(super) spot: Spot,
    asks_graph: Option<bool>,
    names: Option<Located<bool>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    keep: Option<Option<Vec<Located<String>>>>,
}

pub(super) fn read(section: &Section<'_>) -> Option<GroupsFile> {
    let groups = section.is_a_key("groups").then(|| section.section("groups")).flatten()?;
    Some(GroupsFile {
        spot: section.spot_of("groups"),
        asks_graph: bare(groups.value("source", |word| Ok(word == "graph"))),
        names: groups.value("names", value::yes_or_no),
        keep: groups.if_there("keep", |key| groups.values(key, requires::group)),
    })
}

/// What it means; `None` if something was reported. Adds the scope that Graph asks for.
pub(super) fn resolve(
    context: &Context<'_>,
    file: Option<&GroupsFile>,
    cloud: Option<Cloud>,
    base: Option<Url>,
    scopes: &[Located<String>],
) -> Option<(Groups, Vec<String>)> {
    let mut all: Vec<String> = scopes.iter().map(|scope| scope.value.clone()).collect();
    let Some(file) = file else {
        return Some((Groups::default(), all));
    };
    let cloud = cloud?;
    let asks_graph = file.asks_graph?;
    let names = file.names.as_ref()?;
    let kept = match (file.keep.as_ref()?, asks_graph) {
        (None, false) => KeptGroups::All,
        (None, true) => KeptGroups::Named(BTreeSet::new()),
        (Some(keep), _) if keep.iter().any(|group| group.value == "all") => {
            if let Some(other) = keep.iter().find(|group| group.value != "all") {
                context.error(&other.spot, "`all` is in the list, and this is one of them");
                return None;
            }
            KeptGroups::All
        }
        (Some(keep), _) => {
            KeptGroups::Named(keep.iter().map(|group| group.value.clone()).collect())
        }
    };
    if !asks_graph {
        if names.value {
            let message = "the token has no names beside ids: `source: graph` asks for them";
            context.error(&names.spot, message);
            return None;
        }
        return Some((Groups { source: GroupSource::Token, kept }, all));
    }
    // One access token is for one resource, and this one is for Graph.
    let foreign = scopes.iter().find(|scope| {
        let is_short = !scope.value.contains('/');
        !is_short && !scope.value.starts_with(&cloud.graph_scope(""))
    });
    if let Some(foreign) = foreign {
        let message = format!(
            "this scope is of another resource than {}, and one access token is for one: without \
             it, or with `groups: {{ source: token }}`",
            cloud.graph()
        );
        context.error(&foreign.spot, message);
        return None;
    }
    let needed: &[&str] = match names.value {
        true => &["GroupMember.Read.All"],
        false => &["User.Read", "GroupMember.Read.All"],
    };
    let has = |scope: &String, name: &str| {
        !OF_OPENID.contains(&scope.as_str()) && scope.rsplit('/').next() == Some(name)
    };
    if !needed.iter().any(|name| all.iter().any(|scope| has(scope, name))) {
        let name = needed.first().copied().unwrap_or_default();
        all.push(cloud.graph_scope(name));
    }
    Some((Groups { source: GroupSource::Graph { base: base?, names: names.value }, kept }, all))
}
