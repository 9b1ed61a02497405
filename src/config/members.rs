//! `members` of a portal: whom it knows, who is asked about that, and what becomes of others. What
//! an operator writes of it is in `written.rs`, and what that means in `resolve.rs`.

mod resolve;
mod written;

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

pub(super) use self::resolve::resolve;
pub(super) use self::written::{MembersFile, read};
use crate::gate::{ClaimPath, Secret};

/// Whom a portal knows, and what becomes of others.
#[derive(Debug)]
pub struct Members {
    /// What becomes of somebody whom the directory does not know.
    pub unknown: Unknown,
    /// Who is created, and what others are told.
    pub registration: Registration,
    /// The same for those who come by a provider of this name.
    pub by_provider: Vec<(Arc<str>, Registration)>,
    /// Whether an account of the directory that is nobody's is linked by a verified address.
    pub links_by_address: bool,
    /// Who is asked.
    pub directory: Option<Directory>,
    /// What is told of whoever is created or linked.
    pub first_login: Vec<Attribute>,
    /// What is told at every sign-in.
    pub every_login: Vec<Attribute>,
    /// How long first and last sign-in are remembered after the last.
    pub remembered: Duration,
}

impl Members {
    /// What holds for those who come by a provider.
    #[must_use]
    pub fn registration_by(&self, provider: &str) -> &Registration {
        let mut own = self.by_provider.iter();
        own.find(|(name, _)| &**name == provider).map_or(&self.registration, |(_, own)| own)
    }
}

/// What becomes of somebody whom the directory does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are let in, and nobody is created.
    Allow,
    /// They are refused.
    Deny,
    /// They are created, as far as the registration lets them be.
    Provision,
}

/// Who is created, and what others are told.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who is.
    pub is: Open,
    /// What those are told who are not.
    pub message: Option<String>,
}

/// Who is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Anybody whom some route lets in.
    ToAll,
    /// Nobody.
    ToNobody,
    /// Who is invited.
    ToInvited,
}

impl Open {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToAll => "open",
            Self::ToNobody => "existing_only",
            Self::ToInvited => "invite",
        }
    }
}

/// An attribute of the directory's, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Where it is from.
    pub from: Source,
}

/// Where an attribute is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A claim, or what is inside of one.
    Claim(ClaimPath),
    /// The address, if it is verified. No claim says that: it depends on the provider.
    VerifiedAddress,
}

/// Who is asked whom the portal knows.
#[derive(Debug)]
pub struct Directory {
    /// How.
    pub kind: DirectoryKind,
    /// Where: over `https`, or on this machine.
    pub url: Url,
    /// For all that is asked at one sign-in.
    pub deadline: Duration,
    /// Certificates to trust instead of the system's.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
}

/// How a directory is asked.
#[derive(Debug)]
pub enum DirectoryKind {
    /// By an address of the operator's, with requests that this key signs.
    Webhook(Secret<Vec<u8>>),
    /// By SCIM 2.0, with this bearer token.
    Scim(Secret<String>),
}

/// The attributes of a SCIM user that can be written: none that says what somebody may do or how
/// they sign in, and none that they are known by.
pub const SCIM_ATTRIBUTES: [&str; 22] = [
    "userName",
    "displayName",
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "emails",
    "phoneNumbers",
    "name.formatted",
    "name.familyName",
    "name.givenName",
    "name.middleName",
    "name.honorificPrefix",
    "name.honorificSuffix",
    "enterprise.employeeNumber",
    "enterprise.costCenter",
    "enterprise.organization",
    "enterprise.division",
    "enterprise.department",
];
