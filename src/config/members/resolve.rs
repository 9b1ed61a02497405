//! What the keys of `members` mean for each other. A choice that would do nothing, or something
//! else than it seems, is an error with what to write instead (CFG-01).

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::written::{AttributesFile, DirectoryFile, MembersFile, RegistrationFile};
use super::{
    Attribute, Directory, DirectoryKind, Members, Open, Registration, SCIM_ATTRIBUTES, Source,
    Unknown,
};
use crate::config::context::{Context, Located, Spot};
use crate::config::value::is_loopback;
use crate::config::wording::{did_you_mean, nearest};
use crate::config::{secrets, tls};
use crate::gate::Secret;

/// Of a member who is created, where nobody says otherwise.
const OF_SCIM: [(&str, &str); 4] = [
    ("userName", "preferred_username"),
    ("displayName", "name"),
    ("name.givenName", "given_name"),
    ("name.familyName", "family_name"),
];
const OF_WEBHOOK: [(&str, &str); 3] =
    [("name", "name"), ("given_name", "given_name"), ("family_name", "family_name")];
/// What their address is called. It is told only if it is verified: with one of somebody else's, a
/// stranger could pass for them in the directory, or take their place (AZ-02).
const ADDRESS_OF_SCIM: &str = "emails";
const ADDRESS_OF_WEBHOOK: &str = "email";

/// What makes a secret.
const MAKE_ONE: &str = "`(umask 077; printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\" > \
                        webhook_secret)` makes one";

/// Resolves the section; `None` if something was reported. `providers` are the names of the
/// portal's own.
pub(in crate::config) fn resolve(
    context: &Context<'_>,
    file: &MembersFile,
    providers: &[&str],
    folder: &Path,
) -> Option<Members> {
    let directory = match &file.directory {
        Some(Some(written)) => self::directory(context, written, folder).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let asks = !matches!(file.directory, Some(None));
    let has_scim = matches!(&file.directory, Some(Some(written)) if written.names.1);
    let of_all = registration(&file.registration);
    let by_provider = by_provider(context, file, of_all.as_ref(), providers);
    let is_sound = !asks && check_unasked(context, file) || asks && check(context, file, has_scim);
    let first_login = match &file.first_login {
        Some(written) => attributes(context, written, has_scim),
        None if !asks => Some(Vec::new()),
        None if has_scim => Some(usual(&OF_SCIM, ADDRESS_OF_SCIM)),
        None => Some(usual(&OF_WEBHOOK, ADDRESS_OF_WEBHOOK)),
    };
    let every_login = match &file.every_login {
        Some(written) => attributes(context, written, has_scim),
        None => Some(Vec::new()),
    };
    let members = Members {
        unknown: file.unknown.as_ref()?.value,
        registration: of_all?,
        by_provider: by_provider?,
        links_by_address: file.links.as_ref()?.value,
        directory: directory?,
        first_login: first_login?,
        every_login: every_login?,
        remembered: file.remembered?,
    };
    is_sound.then_some(members)
}

fn usual(claims: &[(&str, &str)], address: &str) -> Vec<Attribute> {
    // All of them are paths.
    let claims = claims.iter().filter_map(|(name, claim)| {
        Some(Attribute { name: (*name).to_owned(), from: Source::Claim(claim.parse().ok()?) })
    });
    let address = Attribute { name: address.to_owned(), from: Source::VerifiedAddress };
    claims.chain([address]).collect()
}

fn registration(file: &RegistrationFile) -> Option<Registration> {
    let message = file.message.as_ref()?.as_ref().map(|message| message.value.clone());
    Some(Registration { is: file.is.as_ref()?.value, message })
}

/// Those of single providers, which have the message of all unless they have one of their own.
fn by_provider(
    context: &Context<'_>,
    file: &MembersFile,
    of_all: Option<&Registration>,
    providers: &[&str],
) -> Option<Vec<(Arc<str>, Registration)>> {
    let mut all = Some(Vec::new());
    for (name, written) in &file.providers {
        let is_ours = providers.contains(&&*name.value);
        if !is_ours {
            let hint = did_you_mean(nearest(&name.value, providers.iter().copied()));
            let message = format!("this portal has no such provider in `sign_in.providers`{hint}");
            context.error(&name.spot, message);
        }
        let own = written.as_ref().and_then(registration).filter(|_| is_ours);
        all = all.zip(own).map(|(mut all, own)| {
            let message = own.message.or_else(|| of_all.and_then(|all| all.message.clone()));
            all.push((Arc::from(&*name.value), Registration { is: own.is, message }));
            all
        });
    }
    all
}

/// Without a directory nobody can be unknown to it.
fn check_unasked(context: &Context<'_>, file: &MembersFile) -> bool {
    let mut is_sound = true;
    let mut refuse = |spot: &Spot, message: &str| {
        context.error(spot, message);
        is_sound = false;
    };
    let add_one = "there is no `directory` to ask: add `directory: { webhook: … }` or \
                   `directory: { scim: … }`, or remove this";
    let unknown = file.unknown.as_ref().filter(|unknown| unknown.value != Unknown::Allow);
    if let Some(unknown) = unknown {
        refuse(&unknown.spot, add_one);
    }
    if let Some(Located { value: true, spot, .. }) = &file.links {
        refuse(spot, add_one);
    }
    let registration = file.registration.is.as_ref().filter(|_| file.registration.is_written);
    if let Some(registration) = registration {
        refuse(&registration.spot, add_one);
    }
    if let Some(Some(message)) = &file.registration.message {
        refuse(&message.spot, add_one);
    }
    for (name, _) in &file.providers {
        refuse(&name.spot, add_one);
    }
    for written in [&file.first_login, &file.every_login].into_iter().flatten() {
        refuse(&written.spot, add_one);
    }
    is_sound
}

fn check(context: &Context<'_>, file: &MembersFile, has_scim: bool) -> bool {
    let mut is_sound = true;
    let mut refuse = |spot: &Spot, message: &str| {
        context.error(spot, message);
        is_sound = false;
    };
    let Some(unknown) = &file.unknown else {
        return true;
    };
    let links = file.links.as_ref().is_some_and(|links| links.value);
    let own = file.providers.iter().filter_map(|(_, own)| own.as_ref());
    let all: Vec<&RegistrationFile> = std::iter::once(&file.registration).chain(own).collect();
    let written = all.iter().filter(|one| one.is_written).filter_map(|one| one.is.as_ref());
    for registration in written.clone() {
        match (unknown.value, registration.value) {
            (Unknown::Provision, Open::ToInvited) if has_scim && !links => refuse(
                &registration.spot,
                "with SCIM an invitation is an account that waits for its verified address: write \
                 `link_by_email: unique_unlinked` as well",
            ),
            (Unknown::Provision, _) | (Unknown::Deny, Open::ToNobody) => {}
            (Unknown::Allow, _) => refuse(
                &registration.spot,
                "with `unknown: allow` everybody comes in and nobody is created, so this does \
                 nothing: write `unknown: provision`, or `unknown: deny`, or remove it",
            ),
            (Unknown::Deny, Open::ToAll | Open::ToInvited) => refuse(
                &registration.spot,
                "with `unknown: deny` nobody is created: write `unknown: provision`, or remove it",
            ),
        }
    }
    let of_all = file.registration.is.as_ref().map(|is| is.value);
    let creates_nobody = of_all == Some(Open::ToNobody)
        && written.clone().all(|registration| registration.value == Open::ToNobody);
    if unknown.value == Unknown::Provision && creates_nobody {
        refuse(
            &unknown.spot,
            "`registration: existing_only` lets nobody be created: write `unknown: deny`",
        );
    }
    if let (Unknown::Allow, Some(Some(message))) = (unknown.value, &file.registration.message) {
        refuse(
            &message.spot,
            "with `unknown: allow` nobody is told this: remove it, or write `unknown: deny` or \
             `unknown: provision`",
        );
    }
    if let (Unknown::Allow | Unknown::Deny, false, Some(written)) =
        (unknown.value, links, &file.first_login)
    {
        refuse(
            &written.spot,
            "nobody is created or linked, so this does nothing: `every_login` is told at every \
             sign-in",
        );
    }
    is_sound
}

fn directory(context: &Context<'_>, file: &DirectoryFile, folder: &Path) -> Option<Directory> {
    let (written, is_scim) = match (&file.names, &file.webhook, &file.scim) {
        ((true, true), _, _) => {
            let message = "there is one directory for a portal: keep `webhook` or `scim`";
            context.error(&file.spot, message);
            return None;
        }
        ((false, false), _, _) => {
            let message = "name one: `webhook`, an address of yours, or `scim`, a server that \
                           speaks SCIM 2.0";
            context.error(&file.spot, message);
            return None;
        }
        (_, Some(webhook), _) => (webhook, false),
        (_, None, Some(scim)) => (scim, true),
        // One that cannot be read at all was reported.
        (_, None, None) => return None,
    };
    let url = written.url.as_ref().filter(|url| {
        if is_scim && (url.value.query().is_some() || url.value.path().ends_with("/Users")) {
            let message = "this is the base of the server, without a query and without `/Users`";
            context.error(&url.spot, message);
            return false;
        }
        if url.value.scheme() == "https" || is_loopback(&url.value) {
            return true;
        }
        let message = "a directory is asked over `https`, since who members are is in it; `http` \
                       is for one on this machine";
        context.error(&url.spot, message);
        false
    });
    let kind = written.secret.as_ref().and_then(|source| {
        let secret = secrets::password(context, folder, source)?;
        match is_scim {
            true => Some(DirectoryKind::Scim(token(context, secret, &source.spot)?)),
            false => Some(DirectoryKind::Webhook(key(context, &secret, &source.spot)?)),
        }
    });
    let trusted = match &written.ca {
        Some(Some(files)) => tls::trusted(context, folder, files).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    Some(Directory {
        kind: kind?,
        url: url?.value.clone(),
        deadline: written.deadline?,
        trusted: trusted?,
    })
}

/// A key of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
fn key(context: &Context<'_>, secret: &Secret<String>, spot: &Spot) -> Option<Secret<Vec<u8>>> {
    let encoded = secret.expose().trim().strip_prefix("whsec_");
    let key = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = key.filter(|key| (24..=64).contains(&key.len())).map(Secret::new);
    if key.is_none() {
        let message = format!("this is not `whsec_` and 24 to 64 bytes in base64; {MAKE_ONE}");
        context.error(spot, message);
    }
    key
}

/// RFC 6750, section 2.1.
fn token(context: &Context<'_>, secret: Secret<String>, spot: &Spot) -> Option<Secret<String>> {
    let is_plain = secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || secret.expose().len() > 8 * 1024 {
        let message = "a bearer token is visible ASCII without blanks, of 8 KiB at most";
        context.error(spot, message);
        return None;
    }
    Some(secret)
}

fn attributes(
    context: &Context<'_>,
    file: &AttributesFile,
    has_scim: bool,
) -> Option<Vec<Attribute>> {
    let mut all = Some(Vec::new());
    for (name, claim) in &file.mapped {
        let fits = match has_scim {
            true => SCIM_ATTRIBUTES.contains(&&*name.value),
            false => {
                (1..=64).contains(&name.value.len())
                    && name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            }
        };
        if !fits {
            let message = match has_scim {
                true => {
                    let hint = did_you_mean(nearest(&name.value, SCIM_ATTRIBUTES.into_iter()));
                    format!(
                        "this is no attribute that is written; there are {}{hint}",
                        SCIM_ATTRIBUTES.join(", ")
                    )
                }
                false => "an attribute's name has 1 to 64 letters, digits and `_`".to_owned(),
            };
            context.error(&name.spot, message);
        }
        all = all.filter(|_| fits).map(|mut all| {
            let from = Source::Claim(claim.value.clone());
            all.push(Attribute { name: name.value.clone(), from });
            all
        });
    }
    all
}
