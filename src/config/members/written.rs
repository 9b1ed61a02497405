//! What an operator wrote about members, key by key.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{Open, Unknown};
use crate::config::context::{Located, Spot};
use crate::config::file::{SecretFile, bare, secret};
use crate::config::kind::Unfit;
use crate::config::section::Section;
use crate::config::value;
use crate::gate::ClaimPath;

/// What an operator wrote about members. What is `None` was left out or has been reported.
pub(in crate::config) struct MembersFile {
    pub(super) unknown: Option<Located<Unknown>>,
    pub(super) registration: RegistrationFile,
    pub(super) providers: Vec<(Located<String>, Option<RegistrationFile>)>,
    pub(super) links: Option<Located<bool>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) directory: Option<Option<DirectoryFile>>,
    /// `None` if the key is not there.
    pub(super) first_login: Option<AttributesFile>,
    /// The same.
    pub(super) every_login: Option<AttributesFile>,
    pub(super) remembered: Option<Duration>,
}

pub(super) struct RegistrationFile {
    pub(super) is: Option<Located<Open>>,
    /// Whether the key is there.
    pub(super) is_written: bool,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) message: Option<Option<Located<String>>>,
}

pub(super) struct AttributesFile {
    pub(super) spot: Spot,
    pub(super) mapped: Vec<(Located<String>, Located<ClaimPath>)>,
}

pub(super) struct DirectoryFile {
    pub(super) spot: Spot,
    pub(super) webhook: Option<ServerFile>,
    pub(super) scim: Option<ServerFile>,
    /// Whether the keys are there.
    pub(super) names: (bool, bool),
}

pub(super) struct ServerFile {
    pub(super) url: Option<Located<Url>>,
    /// The webhook's secret, or the token.
    pub(super) secret: Option<SecretFile>,
    pub(super) deadline: Option<Duration>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) ca: Option<Option<Vec<Located<PathBuf>>>>,
}

/// Reads the section.
pub(in crate::config) fn read(section: &Section<'_>) -> MembersFile {
    let attributes = |key: &str| {
        section.has(key).then(|| AttributesFile {
            spot: section.spot_of(key),
            mapped: section.named_values(key, value::claim_path),
        })
    };
    let providers = section.named_sections("providers").into_iter();
    MembersFile {
        unknown: section.value("unknown", |word| {
            Ok(match word {
                "deny" => Unknown::Deny,
                "provision" => Unknown::Provision,
                _ => Unknown::Allow,
            })
        }),
        registration: registration(section),
        providers: providers
            .map(|(name, section)| (name, section.map(|section| registration(&section))))
            .collect(),
        links: section.value("link_by_email", |word| Ok(word == "unique_unlinked")),
        directory: section.if_there("directory", |key| {
            section.section(key).map(|section| DirectoryFile {
                spot: section.spot().clone(),
                webhook: section.section("webhook").map(|section| server(&section, "secret")),
                scim: section.section("scim").map(|section| server(&section, "token")),
                names: (section.has("webhook"), section.has("scim")),
            })
        }),
        first_login: attributes("first_login"),
        every_login: attributes("every_login"),
        remembered: bare(section.value("remember_logins", value::duration("1d", "3650d"))),
    }
}

fn registration(section: &Section<'_>) -> RegistrationFile {
    RegistrationFile {
        is: section.value("registration", |word| {
            Ok(match word {
                "existing_only" => Open::ToNobody,
                "invite" => Open::ToInvited,
                _ => Open::ToAll,
            })
        }),
        is_written: section.has("registration"),
        message: section.if_there("registration_message", |key| section.value(key, message)),
    }
}

fn server(section: &Section<'_>, credential: &'static str) -> ServerFile {
    ServerFile {
        url: section.value("url", value::document),
        secret: section.section(credential).map(|section| secret(&section)),
        deadline: bare(section.value("deadline", value::duration("500ms", "30s"))),
        ca: section.if_there("ca", |key| section.values(key, value::path)),
    }
}

fn message(text: &str) -> Result<String, Unfit> {
    let fits = (1..=200).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}
