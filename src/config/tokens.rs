//! The provider's tokens that a portal gets, if it asks for them: what an operator writes at
//! `identity.tokens`, and what it means for providers and for the store of sessions.

use http::HeaderName;

use super::context::{Context, Located, Spot};
use super::file::{IdentityFile, PortalFile};
use super::kind::Unfit;
use super::section::Section;
use super::{AnswerBy, GroupSource, Portal, Provider, ProviderKind, Store, headers, value};
use crate::gate::TokenKind;

/// Scopes that are about who signs in, and of no resource.
const OF_OPENID: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// What an operator wrote.
pub(super) struct TokensFile {
    spot: Spot,
    /// Each that is there; `None` if its name was reported.
    names: Vec<(TokenKind, Option<Located<HeaderName>>)>,
    acts_as_member: Option<Located<bool>>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> TokensFile {
    let name = |text: &str| headers::name_for_token(text).map_err(Unfit::Because);
    let written = TokenKind::ALL.into_iter().filter(|kind| section.has(kind.name()));
    TokensFile {
        spot: section.spot().clone(),
        names: written.map(|kind| (kind, section.value(kind.name(), name))).collect(),
        acts_as_member: section.value("portal_acts_as_member", value::yes_or_no),
    }
}

/// Resolves it; `None` if something was reported. `of_presets` are the headers that presets set.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &TokensFile,
    identity: &IdentityFile,
    of_presets: &[&str],
) -> Option<Vec<(TokenKind, HeaderName)>> {
    if file.names.is_empty() {
        let message = "no token is named: write `access_token`, `id_token` or both, each with the \
                       name of its header";
        context.error(&file.spot, message);
        return None;
    }
    if file.acts_as_member.as_ref().is_some_and(|written| !written.value) {
        let message = "whoever has a member's access token is this member at its API until it ends: \
                       the portal, whatever it writes its requests to, and whoever reads that. If the \
                       portal is to act as its members there, write `portal_acts_as_member: true` \
                       beside this";
        context.error(&file.spot, message);
    }
    let mut tokens = Some(Vec::new());
    let mut known: Vec<String> = of_presets.iter().copied().map(headers::folded).collect();
    known.extend(identity.headers.iter().map(|(name, _)| headers::folded(&name.value)));
    for (kind, name) in &file.names {
        if let Some(name) = name {
            let folded = headers::folded(name.value.as_str());
            if known.contains(&folded) {
                let message = "`headers`, a preset or another token has this name already, or one \
                               that many servers cannot tell from it";
                context.error(&name.spot, message);
            }
            known.push(folded);
        }
        // One that cannot be used does not keep the other from being reported.
        tokens = tokens.zip(name.as_ref()).map(|(mut tokens, name)| {
            tokens.push((*kind, name.value.clone()));
            tokens
        });
    }
    tokens
}

/// Warns of tokens that do not come, or that are for another API than meant.
pub(super) fn meet_providers(
    context: &Context<'_>,
    files: &[PortalFile],
    portals: &[Portal],
    providers: &[Provider],
) {
    for (file, portal) in files.iter().zip(portals) {
        let Some(tokens) = written(file) else {
            continue;
        };
        let parties = portal.sign_in.providers.iter().filter_map(|index| providers.get(*index));
        for provider in parties {
            for (kind, name) in &tokens.names {
                if let (TokenKind::AccessToken, Some(name)) = (kind, name)
                    && let Some(message) = access_token_of(provider)
                {
                    context.warn(&name.spot, message);
                }
            }
            let is_asked_again = provider.scopes.iter().any(|scope| scope == "offline_access");
            if !is_asked_again {
                let message = format!(
                    "`offline_access` is not among the scopes of `{}`: after a token has ended, an \
                     hour mostly, its header is absent until the member signs in again",
                    provider.name
                );
                context.warn(&tokens.spot, message);
            }
        }
    }
}

/// What an operator may not expect of the access token of a provider.
fn access_token_of(provider: &Provider) -> Option<String> {
    let name = &provider.name;
    if provider.request.answer == AnswerBy::IdTokenByForm {
        return Some(format!(
            "with `response_type: id_token` there is no access token of `{name}`"
        ));
    }
    if matches!(provider.groups.source, GroupSource::Graph { .. }) {
        return Some(format!(
            "`{name}` is asked for groups by `source: graph`, so its access token is for Microsoft \
             Graph, where the portal then is the member"
        ));
    }
    if provider.scopes.iter().any(|scope| !OF_OPENID.contains(&scope.as_str())) {
        return None;
    }
    let scopes = format!("no scope of `{name}` is of a resource");
    Some(match &provider.kind {
        ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) => format!(
            "{scopes}, so its access token is for Microsoft Graph, where the portal then is the \
             member, and no other API takes it; add one such as `api://portal/read` to `scopes`"
        ),
        ProviderKind::AzureAdB2c(_) => format!(
            "{scopes}, and Azure AD B2C gives no access token then; add the client id itself, or \
             one such as `https://club.onmicrosoft.com/api/read`, to `scopes`"
        ),
        ProviderKind::Oidc(_) => format!(
            "{scopes}, so its access token is for whatever this provider takes it for, mostly for \
             userinfo alone"
        ),
    })
}

/// Cookies have no room for them (SESS-05).
pub(super) fn meet_store(context: &Context<'_>, files: &[PortalFile], store: &Store) {
    let Store::Cookie { .. } = store else {
        return;
    };
    for tokens in files.iter().filter_map(written) {
        let message = "with `store: cookie` a session is in its browser's cookies, which have no room \
                       for tokens: write `store: memory` or `store: redis` under `sessions`";
        context.error(&tokens.spot, message);
    }
}

fn written(file: &PortalFile) -> Option<&TokensFile> {
    file.identity.as_ref()?.tokens.as_ref()?.as_ref()
}
