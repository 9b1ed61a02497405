//! The registrations that an operator's own configuration wants: its tenants and policies, client
//! ids, secrets and redirect URIs, so that it can be tried without Azure. It is registered as it is
//! written, so what a registration forgot cannot be found here. Providers of kind `oidc` are
//! somebody else's.

use std::sync::Arc;

use super::directory::{Directory, Named};
use super::tenants::{Cloud, Product};
use super::{B2c, ClientSecret, FederatedCredential, Identity, Options};
use crate::config::{
    Config, Credential, PERSONAL_ACCOUNTS, Proof, Provider, ProviderKind, Tenant, Tenants,
};

impl Options {
    /// What this configuration wants to be registered.
    #[must_use]
    pub fn operator(config: &Config) -> Self {
        let mut options = Self { client_ids: Vec::new(), ..Self::default() };
        for (index, provider) in config.providers.iter().enumerate() {
            if register(&mut options.directory, &mut options.b2c, provider) {
                let id = provider.client_id.to_ascii_lowercase();
                if !options.client_ids.contains(&id) {
                    options.client_ids.push(id);
                }
                for credential in &provider.credentials {
                    options.accept(credential);
                }
                options.redirect_uris.extend(redirect_uris(config, index, provider));
            }
        }
        options.redirect_uris.dedup();
        options.directory = options.directory.with_personas();
        options
    }

    fn accept(&mut self, credential: &Credential) {
        match &credential.proof {
            Proof::Secret { value, .. } => {
                self.secrets.push(ClientSecret { value: value.clone(), expires: None });
            }
            Proof::Certificate(it) => {
                self.proofs.certificates.push(it.certificate().der().to_vec())
            }
            Proof::Federated { .. } => self.proofs.any_federated = true,
            Proof::ManagedIdentity(identity) => {
                let client_id = identity.client_id.clone();
                // Which object it is does not stand in a configuration.
                self.proofs.federated.push(FederatedCredential {
                    issuer: None,
                    subject: client_id.clone(),
                    audience: identity.audience.to_owned(),
                    keys: Vec::new(),
                });
                self.proofs
                    .identities
                    .push(Identity { principal_id: client_id.clone(), client_id });
            }
        }
    }
}

/// Whether the provider is one of Microsoft's.
fn register(directory: &mut Directory, b2c: &mut B2c, provider: &Provider) -> bool {
    let mut add = |name: &str, product, cloud, policies: &[&str]| {
        directory.add(&Named { name, product, cloud, policies });
    };
    match &provider.kind {
        ProviderKind::EntraId(entra) => {
            let cloud = cloud_of(entra.login.host_str().unwrap_or_default());
            match &entra.tenants {
                Tenants::One(tenant) => add(tenant.as_str(), Product::EntraId, cloud, &[]),
                Tenants::Several(ids) => {
                    for id in ids {
                        let product = match &**id {
                            PERSONAL_ACCOUNTS => Product::Personal,
                            _ => Product::EntraId,
                        };
                        add(id, product, cloud, &[]);
                    }
                }
            }
        }
        ProviderKind::AzureAdB2c(of) => {
            let cloud = cloud_of(domain_or_host(&of.tenant, of.login.host_str()));
            let others = of.journeys.iter().map(|(_, policy)| policy.as_str());
            let policies: Vec<&str> = others.chain([of.policy.as_str()]).collect();
            add(of.tenant.as_str(), Product::AzureAdB2c, cloud, &policies);
            b2c.names_policy |= of.names_policy;
        }
        ProviderKind::ExternalId(of) => {
            add(of.tenant.as_str(), Product::ExternalId, Cloud::Public, &[]);
        }
        ProviderKind::Oidc(_) => return false,
    }
    true
}

fn domain_or_host<'a>(tenant: &'a Tenant, host: Option<&'a str>) -> &'a str {
    match tenant {
        Tenant::Domain(domain) => domain,
        Tenant::Id(_) => host.unwrap_or_default(),
    }
}

fn cloud_of(name: &str) -> Cloud {
    match name.rsplit('.').next() {
        Some("us") => Cloud::UsGovernment,
        Some("cn") => Cloud::China,
        _ => Cloud::Public,
    }
}

/// As `check` prints them.
fn redirect_uris<'c>(
    config: &'c Config,
    index: usize,
    provider: &'c Arc<Provider>,
) -> impl Iterator<Item = String> + 'c {
    let portals = config.portals.iter();
    let portals = portals.filter(move |portal| portal.sign_in.providers.contains(&index));
    portals.flat_map(|portal| portal.to_register(provider))
}
