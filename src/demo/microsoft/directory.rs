//! Whom one emulator knows: tenants and accounts. Those of the demo are always there; others come
//! from an operator's configuration. They live as long as the process, which makes them once.

use aws_lc_rs::digest::{SHA256, digest};

use super::accounts::{ACCOUNTS, Account, OTHERS};
use super::graph::PEOPLE;
use super::personas::{Persona, TEMPLATES};
use super::tenants::{ALL, Cloud, Product, Tenant};

/// Tenants and accounts.
#[derive(Clone, Debug)]
pub struct Directory {
    tenants: Vec<&'static Tenant>,
    accounts: Vec<&'static Account>,
    /// The GUIDs of those tenants that a configuration names.
    named: Vec<&'static str>,
}

impl Default for Directory {
    /// Those of the demo.
    fn default() -> Self {
        let accounts = ACCOUNTS.iter().chain(OTHERS).chain(PEOPLE);
        Self { tenants: ALL.to_vec(), accounts: accounts.collect(), named: Vec::new() }
    }
}

/// A tenant as a configuration names it.
pub(super) struct Named<'a> {
    /// A GUID, or a domain.
    pub(super) name: &'a str,
    pub(super) product: Product,
    pub(super) cloud: Cloud,
    pub(super) policies: &'a [&'a str],
}

impl Directory {
    /// The same, and in each tenant one account of every persona.
    #[must_use]
    pub fn with_personas(mut self) -> Self {
        for tenant in self.tenants.clone() {
            for template in TEMPLATES.iter().filter(|template| template.fits(tenant.product)) {
                let username = format!("{}@{}", template.local, address_domain(tenant));
                if self.account(&username).is_none() {
                    self.accounts.push(new_account(tenant, username, template.persona));
                }
            }
        }
        self
    }

    /// A tenant of an operator's; one that has the name already goes behind it.
    pub(super) fn add(&mut self, named: &Named<'_>) {
        let name = named.name.to_ascii_lowercase();
        let is_domain = name.contains('.');
        let id = if is_domain { guid_of(&name) } else { name.clone() };
        let domain = match is_domain {
            true => name.clone(),
            false => format!("{}.example", id.split('-').next().unwrap_or("tenant")),
        };
        let before = self.tenant(&name).filter(|known| known.product == named.product);
        let mut policies = before.map_or_else(Vec::new, |known| known.policies.to_vec());
        for policy in named.policies {
            if !policies.iter().any(|known| known.eq_ignore_ascii_case(policy)) {
                policies.push(kept(policy));
            }
        }
        let tenant = Tenant {
            id: before.map_or_else(|| kept(&id), |known| known.id),
            domain: before.map_or_else(|| kept(&domain), |known| known.domain),
            product: named.product,
            cloud: named.cloud,
            policies: Vec::leak(policies),
        };
        if !self.named.contains(&tenant.id) {
            self.named.push(tenant.id);
        }
        if before == Some(&tenant) {
            return;
        }
        let tenant: &'static Tenant = Box::leak(Box::new(tenant));
        // The accounts of the one that it stands for move in.
        let moved = self.accounts.iter().copied().map(|account| match before {
            Some(before) if account.tenant == before => {
                &*Box::leak(Box::new(Account { tenant, ..account.clone() }))
            }
            _ => account,
        });
        self.accounts = moved.collect();
        self.tenants.retain(|known| Some(*known) != before);
        self.tenants.insert(0, tenant);
    }

    pub(super) fn tenants(&self) -> &[&'static Tenant] {
        &self.tenants
    }

    /// Who can sign in.
    #[must_use]
    pub fn accounts(&self) -> &[&'static Account] {
        &self.accounts
    }

    /// The people of the tenants that a configuration names.
    pub fn named(&self) -> impl Iterator<Item = &'static Account> {
        let accounts = self.accounts.iter().copied();
        accounts.filter(|account| self.named.contains(&account.tenant.id))
    }

    /// The tenant of this GUID or domain, in lower case.
    pub(super) fn tenant(&self, name: &str) -> Option<&'static Tenant> {
        self.tenants.iter().copied().find(|tenant| tenant.id == name || tenant.domain == name)
    }

    /// Finds an account as typed.
    pub(super) fn account(&self, username: &str) -> Option<&'static Account> {
        let username = username.trim();
        let mut accounts = self.accounts.iter().copied();
        accounts.find(|account| account.username.eq_ignore_ascii_case(username))
    }
}

/// What stands behind the `@` of an account's name.
fn address_domain(tenant: &Tenant) -> &'static str {
    match tenant.product {
        Product::EntraId | Product::Personal => tenant.domain,
        // Customers have addresses of their own.
        Product::AzureAdB2c => "mail.example",
        Product::ExternalId => "post.example",
    }
}

fn new_account(tenant: &'static Tenant, username: String, persona: Persona) -> &'static Account {
    let oid = guid_of(&format!("{}/{username}", tenant.id));
    Box::leak(Box::new(Account {
        oid: kept(&oid),
        username: kept(&username),
        name: persona.name(),
        roles: if tenant.product == Product::EntraId { &["Member"] } else { &[] },
        tenant,
        persona,
    }))
}

fn kept(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

/// A GUID (version 4 in form) that is the same for the same name at each start, so that a member
/// stays the same member.
fn guid_of(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let first = hash.as_ref().iter().take(16);
    let number = first.fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    crate::demo::random::as_guid(number)
}

#[cfg(test)]
mod tests {
    use super::super::tenants::POLICIES;
    use super::*;

    #[test]
    fn a_tenant_of_an_operator_is_the_same_at_each_start_and_has_people() {
        let start = || {
            let mut directory = Directory::default();
            directory.add(&Named {
                name: "Contoso.onmicrosoft.com",
                product: Product::AzureAdB2c,
                cloud: Cloud::Public,
                policies: &["B2C_1A_Own"],
            });
            directory.with_personas()
        };
        let (first, second) = (start(), start());
        let tenant = first.tenant("contoso.onmicrosoft.com").unwrap();
        assert_eq!(Some(tenant), second.tenant(tenant.id));
        assert_eq!(tenant.policies, ["B2C_1A_Own"]);
        let people = first.accounts().iter().filter(|account| account.tenant == tenant);
        assert!(people.count() > 5);
    }

    #[test]
    fn a_tenant_of_the_demo_keeps_its_people_and_gets_more_policies() {
        let mut directory = Directory::default();
        for policy in ["B2C_1A_One", "B2C_1A_two", "b2c_1a_one"] {
            directory.add(&Named {
                name: "harbormembers.onmicrosoft.com",
                product: Product::AzureAdB2c,
                cloud: Cloud::Public,
                policies: &[policy],
            });
        }
        let tenant = directory.tenant("harbormembers.onmicrosoft.com").unwrap();
        assert_eq!(tenant.policies.len(), POLICIES.len() + 2);
        assert_eq!(directory.account("ines@mail.example").unwrap().tenant, tenant);
        assert_eq!(directory.tenants().len(), ALL.len());
    }
}
