//! Where it is known from when credentials end.

use url::Url;

use super::resolve::check;
use super::written::{KindFile, if_there};
use crate::config::context::{Context, Located};
use crate::config::section::Section;
use crate::config::value;

/// Microsoft Graph, as an application asks it in its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphApi {
    /// What its addresses begin with, before the version.
    pub base: Url,
    /// The scope that is asked for.
    pub scope: &'static str,
}

/// What an operator wrote of it. What is `None` was left out or has been reported.
pub(super) struct ExpiryFile {
    asks_graph: Located<bool>,
    /// Outside `None` if it was reported, inside if the key is not there.
    graph: Option<Option<Located<Url>>>,
}

impl ExpiryFile {
    /// `None` where the kind of provider has no such key.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        if !section.is_a_key("credential_expiry") {
            return None;
        }
        Some(Self {
            asks_graph: section.value("credential_expiry", |word| Ok(word == "graph"))?,
            graph: if_there(section, "graph", || section.value("graph", value::document)),
        })
    }
}

/// Which Graph is asked, if one is; outside `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    file: Option<&ExpiryFile>,
    kind: &KindFile,
) -> Option<Option<GraphApi>> {
    let (Some(file), KindFile::EntraId { host, tenants, .. }) = (file, kind) else {
        return Some(None);
    };
    let has_authority = host.authority.as_ref()?.is_some();
    let cloud = host.cloud?;
    let base = match file.graph.as_ref()? {
        None => Url::parse(cloud.graph()).ok()?,
        Some(written) if !has_authority => {
            let message = "Graph is where the cloud has it; another place is for providers that \
                           have an `authority` of their own";
            context.error(&written.spot, message);
            return None;
        }
        Some(written) => {
            check(context, &written.value, &written.spot).then(|| written.value.clone())?
        }
    };
    if !file.asks_graph.value {
        return Some(None);
    }
    if !tenants.names_one {
        let message = "Graph is asked in the tenant of the app registration, and several are \
                       named here: declare `expires` at each credential";
        context.error(&file.asks_graph.spot, message);
        return None;
    }
    Some(Some(GraphApi { base, scope: cloud.graph_default_scope() }))
}
