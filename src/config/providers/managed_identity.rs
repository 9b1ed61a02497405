//! A managed identity as a credential: which one, where its tokens come from, and for whom they
//! are. Deliberately not here: asking for one.

use url::{Host, Url};

use super::written::Cloud;
use crate::config::context::{Context, Located, Spot};
use crate::gate::Secret;

/// Where a virtual machine of Azure asks for its tokens.
const IMDS: &str = "http://169.254.169.254";

/// A user-assigned managed identity that the app registration trusts.
#[derive(Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// Its client id.
    pub client_id: String,
    /// For whom its tokens are: the token exchange of the cloud.
    pub audience: &'static str,
    /// Where they come from.
    pub source: IdentitySource,
}

/// Where tokens of a managed identity come from.
#[derive(Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The instance metadata service of a virtual machine; scheme, host and port.
    Imds(Url),
    /// The endpoint that App Service and Container Apps give a process, and what it wants to see.
    AppService {
        /// Its address.
        url: Url,
        /// The value of `X-IDENTITY-HEADER`.
        header: Secret<String>,
    },
}

/// What an operator wrote of a managed identity. What is `None` was left out or has been reported.
pub(super) struct ManagedIdentityFile {
    pub(super) spot: Spot,
    pub(super) client_id: Option<String>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) endpoint: Option<Option<Located<Url>>>,
}

/// Resolves it; `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &ManagedIdentityFile,
    cloud: Cloud,
) -> Option<ManagedIdentity> {
    let source = match file.endpoint.as_ref()? {
        Some(written) if !is_near(&written.value) => {
            let message = "tokens of a managed identity come from this machine: the endpoint is a \
                           loopback or link-local address, such as `http://169.254.169.254`";
            context.error(&written.spot, message);
            return None;
        }
        Some(written) => IdentitySource::Imds(written.value.clone()),
        None => source_of_environment(context, &file.spot)?,
    };
    Some(ManagedIdentity {
        client_id: file.client_id.clone()?,
        audience: cloud.token_exchange(),
        source,
    })
}

/// App Service and Container Apps say where to ask; a virtual machine says nothing.
fn source_of_environment(context: &Context<'_>, spot: &Spot) -> Option<IdentitySource> {
    let variable = |name: &str| (context.environment)(name).filter(|value| !value.is_empty());
    let Some(endpoint) = variable("IDENTITY_ENDPOINT") else {
        return Url::parse(IMDS).ok().map(IdentitySource::Imds);
    };
    let url = Url::parse(&endpoint).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    let Some(url) = url else {
        let message = "the environment variable `IDENTITY_ENDPOINT` is not the URL of an endpoint";
        context.error(spot, message);
        return None;
    };
    let Some(header) = variable("IDENTITY_HEADER") else {
        let message = "the environment has `IDENTITY_ENDPOINT` and no `IDENTITY_HEADER`, as with \
                       Azure Arc, whose identities an app registration cannot trust; name \
                       `endpoint` for another";
        context.error(spot, message);
        return None;
    };
    Some(IdentitySource::AppService { url, header: Secret::new(header) })
}

fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
