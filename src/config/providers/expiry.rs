//! Where it is known from when credentials end.

use url::Url;

use super::written::{KindFile, ProviderFile};
use crate::config::context::{Context, Located};
use crate::config::section::Section;

/// Microsoft Graph, as an application asks it in its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphApi {
    /// What its addresses begin with, before the version.
    pub base: Url,
    /// The scope that is asked for.
    pub scope: String,
}

/// What an operator wrote of it. What is `None` was left out or has been reported.
pub(super) struct ExpiryFile {
    asks_graph: Located<bool>,
}

impl ExpiryFile {
    /// `None` where the kind of provider has no such key.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        if !section.is_a_key("credential_expiry") {
            return None;
        }
        Some(Self { asks_graph: section.value("credential_expiry", |word| Ok(word == "graph"))? })
    }
}

/// Which Graph is asked, if one is; outside `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &ProviderFile,
    base: Option<Url>,
) -> Option<Option<GraphApi>> {
    let (Some(expiry), KindFile::EntraId { host, tenants, .. }) = (&file.expiry, &file.kind) else {
        return Some(None);
    };
    let (cloud, base) = (host.cloud?, base?);
    if !expiry.asks_graph.value {
        return Some(None);
    }
    if file.lacks_credentials {
        let message = "Graph is asked when the client credentials end, and with one of them: there \
                       are no `credentials` here";
        context.error(&expiry.asks_graph.spot, message);
        return None;
    }
    if !tenants.names_one {
        let message = "Graph is asked in the tenant of the app registration, and several are \
                       named here: declare `expires` at each credential";
        context.error(&expiry.asks_graph.spot, message);
        return None;
    }
    Some(Some(GraphApi { base, scope: cloud.graph_scope(".default") }))
}
