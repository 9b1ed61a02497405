//! `requires`: whom a route lets in beyond a sign-in, as the operator writes it, and whether any
//! provider of the portal could ever say so.

use super::context::{Context, Located, Spot};
use super::file::{PortalFile, RouteFile, bare};
use super::kind::Unfit;
use super::providers::{GroupSource, Provider, ProviderKind, Tenant, Tenants};
use super::rollout::RolloutFile;
use super::section::Section;
use super::value::{self, is_guid};
use super::{PERSONAL_ACCOUNTS, Portal};
use crate::gate::{AccountKind, Requirement, Right};

/// Claims that their owners can change, or that nobody has verified (AZ-02).
const CHOSEN: [&str; 8] = [
    "email",
    "emails",
    "family_name",
    "given_name",
    "name",
    "preferred_username",
    "unique_name",
    "upn",
];

/// What an operator wrote under `requires`.
pub(super) struct RequiresFile {
    pub(super) spot: Spot,
    /// `None` if something was reported.
    pub(super) requirement: Option<Requirement>,
    tenants: Vec<Located<String>>,
    accounts: Vec<Located<AccountKind>>,
    context: Option<Located<String>>,
    pub(super) claims: Vec<Located<String>>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> RequiresFile {
    let list = |key: &str| section.if_there(key, |key| section.values(key, text));
    let roles = list("roles");
    let groups = section.if_there("groups", |key| section.values(key, group));
    let claims = section.named_lists("claims", text);
    for (name, _) in &claims {
        check_claim(section, name);
    }
    let tenants = section.if_there("tenants", |key| section.values(key, value::tenant_guid));
    let accounts = section.if_there("account", |key| section.values(key, account));
    let (acr, amr) = (list("acr"), list("amr"));
    let max_age = section.value("max_age", value::duration("1m", "365d"));
    let context = section.value("authentication_context", authentication_context);
    let hint = bare(section.value("hint", hint));
    if section.has("claims") && claims.is_empty() {
        section.refuse_at(&section.spot_of("claims"), "no claim that could be read is named here");
    }
    let written = || {
        let mut rights = Vec::new();
        let texts = |list: &[Located<String>]| -> Vec<String> {
            list.iter().map(|one| one.value.clone()).collect()
        };
        let mut add = |list: &Option<Vec<Located<String>>>, right: fn(Vec<String>) -> Right| {
            rights.extend(list.iter().map(|list| right(texts(list))));
        };
        add(roles.as_ref()?, Right::Roles);
        add(groups.as_ref()?, Right::Groups);
        add(tenants.as_ref()?, Right::Tenants);
        add(acr.as_ref()?, Right::Acr);
        add(amr.as_ref()?, Right::Amr);
        if let Some(kinds) = accounts.as_ref()? {
            rights.push(Right::Accounts(kinds.iter().map(|kind| kind.value).collect()));
        }
        rights.extend(claims.iter().map(|(name, values)| Right::Claim {
            name: name.value.clone(),
            values: texts(values),
        }));
        Some(Requirement {
            rights,
            max_age: max_age.as_ref().map(|age| age.value),
            authentication_context: context.as_ref().map(|context| context.value.clone()),
            hint: hint.clone(),
        })
    };
    let requirement = written();
    let says_nothing = section.is_empty() || (section.has("hint") && section.entries() == 1);
    if says_nothing {
        section.refuse("nothing is required; name what is, or remove the key");
    }
    RequiresFile {
        spot: section.spot().clone(),
        requirement,
        tenants: tenants.flatten().unwrap_or_default(),
        accounts: accounts.flatten().unwrap_or_default(),
        claims: claims.into_iter().map(|(name, _)| name).collect(),
        context,
    }
}

fn check_claim(section: &Section<'_>, name: &Located<String>) {
    if let Err(Unfit::Because(message)) = value::claim(&name.value) {
        section.refuse_at(&name.spot, &message);
    } else if value::claim(&name.value).is_err() {
        section.refuse_at(&name.spot, "expected the name of a claim");
    } else if name.value == "groups" {
        let message = "groups have a key of their own beside `claims`, which knows when the \
                       provider left them out: `groups`";
        section.refuse_at(&name.spot, message);
    }
}

fn text(text: &str) -> Result<String, Unfit> {
    let is_text = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_text.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// Microsoft writes object ids in lower case.
pub(super) fn group(written: &str) -> Result<String, Unfit> {
    match is_guid(written) {
        true => Ok(written.to_ascii_lowercase()),
        false => text(written),
    }
}

fn hint(written: &str) -> Result<String, Unfit> {
    text(written).ok().filter(|text| text.chars().count() <= 200).ok_or(Unfit::Kind)
}

fn account(word: &str) -> Result<AccountKind, Unfit> {
    let mut kinds = [AccountKind::Member, AccountKind::Guest, AccountKind::Personal].into_iter();
    kinds.find(|kind| kind.name() == word).ok_or(Unfit::Kind)
}

fn authentication_context(text: &str) -> Result<String, Unfit> {
    let number = text.strip_prefix('c').filter(|digits| !digits.starts_with('0'));
    let number = number.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.and_then(|digits| digits.parse::<u8>().ok());
    let fits = number.is_some_and(|number| (1..=99).contains(&number));
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// Warns of what no provider of a portal ever says, and has each keep the groups that are named.
pub(super) fn meet_providers(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &[Portal],
    providers: &mut [Provider],
) {
    for (file, portal) in files.iter().zip(portals) {
        let asked: Vec<&Provider> =
            portal.sign_in.providers.iter().filter_map(|index| providers.get(*index)).collect();
        for requires in file.routes.iter().flatten().filter_map(|route| route.requires.as_ref()) {
            warn_of_never(context, requires, &asked);
        }
        let requirements = file.routes.iter().flatten().filter_map(RouteFile::requirement);
        let mapped = portal.identity.headers.iter().flat_map(|(_, mapping)| mapping.groups());
        let switched = file.rollout.iter().flatten().flat_map(RolloutFile::groups);
        let named = requirements.flat_map(Requirement::groups).chain(mapped).chain(switched);
        let named: Vec<&str> = named.collect();
        for index in &portal.sign_in.providers {
            if let Some(provider) = providers.get_mut(*index) {
                provider.groups.name(named.iter().copied());
            }
        }
    }
}

/// Graph is asked for groups that somebody named.
pub(super) fn warn_of_no_groups(context: &Context<'_>, provider: &Provider, spot: &Spot) {
    let asks = matches!(provider.groups.source, GroupSource::Graph { .. });
    if asks && provider.groups.keeps_none() {
        let message = "no route requires a group, no header has a word for one and `keep` names none, so Graph is \
                       not asked";
        context.warn(spot, message);
    }
}

fn warn_of_never(context: &Context<'_>, requires: &RequiresFile, providers: &[&Provider]) {
    for name in requires.claims.iter().filter(|name| CHOSEN.contains(&name.value.as_str())) {
        let message = "people can change this claim, or nobody has verified it: what they may do \
                       should not depend on it";
        context.warn(&name.spot, message);
    }
    let any = |could: &dyn Fn(&ProviderKind) -> bool| {
        providers.iter().any(|provider| could(&provider.kind))
    };
    for tenant in &requires.tenants {
        if !any(&|kind| could_be_of(kind, &tenant.value)) {
            let message = "no provider of this portal signs in people of this tenant, so this is \
                           nobody";
            context.warn(&tenant.spot, message);
        }
    }
    for kind in &requires.accounts {
        if !any(&|provider| could_be(provider, kind.value)) {
            let message = format!(
                "no provider of this portal signs in accounts that are {}, so this is nobody",
                kind.shown
            );
            context.warn(&kind.spot, message);
        }
    }
    if let Some(written) = &requires.context
        && !any(&|kind| matches!(kind, ProviderKind::EntraId(_) | ProviderKind::ExternalId(_)))
    {
        let message = "only `entra_id` and `external_id` have authentication contexts, and this \
                       portal signs in with neither, so this is nobody";
        context.warn(&written.spot, message);
    }
}

fn could_be_of(kind: &ProviderKind, tenant: &str) -> bool {
    let is = |one: &Tenant| match one {
        Tenant::Id(id) => id == tenant,
        // Its GUID is the provider's to say.
        Tenant::Domain(_) => true,
    };
    match kind {
        ProviderKind::EntraId(entra) => match &entra.tenants {
            Tenants::One(one) => is(one),
            Tenants::Several(ids) => ids.iter().any(|id| id == tenant),
        },
        ProviderKind::AzureAdB2c(b2c) => is(&b2c.tenant),
        ProviderKind::ExternalId(external) => is(&external.tenant),
        ProviderKind::Oidc(_) => false,
    }
}

fn could_be(provider: &ProviderKind, kind: AccountKind) -> bool {
    let (has_personal, has_others) = match provider {
        ProviderKind::EntraId(entra) => match &entra.tenants {
            Tenants::One(_) => (false, true),
            Tenants::Several(ids) => (
                ids.iter().any(|id| id == PERSONAL_ACCOUNTS),
                ids.iter().any(|id| id != PERSONAL_ACCOUNTS),
            ),
        },
        ProviderKind::AzureAdB2c(_) | ProviderKind::ExternalId(_) => (false, true),
        ProviderKind::Oidc(_) => (false, false),
    };
    match kind {
        AccountKind::Member => has_others,
        AccountKind::Personal => has_personal,
        AccountKind::Guest => {
            has_others && matches!(provider, ProviderKind::EntraId(entra) if entra.guests)
        }
    }
}
