//! Where Microsoft Graph is: the cloud has it, unless the operator has a Microsoft of their own.

use url::Url;

use super::resolve::check;
use super::written::ProviderFile;
use crate::config::context::{Context, Located};
use crate::config::section::Section;
use crate::config::value;

/// What an operator wrote of it: outside `None` if it was reported, inside if the key is not there.
pub(super) type GraphFile = Option<Option<Located<Url>>>;

pub(super) fn read(section: &Section<'_>) -> GraphFile {
    match section.is_a_key("graph") {
        true => section.if_there("graph", |key| section.value(key, value::document)),
        false => Some(None),
    }
}

/// What its addresses begin with, before the version; outside `None` if something was reported,
/// inside where there is no Graph.
pub(super) fn base(context: &Context<'_>, file: &ProviderFile) -> Option<Option<Url>> {
    let Some(host) = file.host() else {
        return Some(None);
    };
    let has_authority = host.authority.as_ref()?.is_some();
    match file.graph.as_ref()? {
        None => Some(Url::parse(host.cloud?.graph()).ok()),
        Some(written) if !has_authority => {
            let message = "Graph is where the cloud has it; another place is for providers that \
                           have an `authority` of their own";
            context.error(&written.spot, message);
            None
        }
        Some(written) => {
            check(context, &written.value, &written.spot).then(|| Some(written.value.clone()))
        }
    }
}
