//! People whose tokens are out of the ordinary, as they come up at Microsoft (azure.md, sections
//! 4.1 to 4.5). Deliberately not here: faults, which no token of Microsoft's has (`faults.rs`).

use serde_json::{Map, Value, json};

use super::accounts::Account;
use super::tenants::Product;

/// What is out of the ordinary about somebody's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persona {
    /// Nothing.
    Plain,
    /// Invited from another tenant.
    Guest,
    /// Without an address.
    NoEmail,
    /// With the address of somebody else, which nobody has verified.
    ForeignEmail,
    /// With an address of a verified domain, said as a boolean.
    VerifiedEmail,
    /// The same, said as text.
    VerifiedEmailAsText,
    /// In so many groups.
    InGroups(usize),
    /// A name of 256 characters.
    LongName,
    /// A name outside of ASCII, from right to left in part.
    OtherScript,
    /// At B2C through Google.
    Social,
    /// At B2C for the first time.
    NewUser,
    /// At B2C without `emails`.
    NoEmails,
    /// At B2C with an empty list of them.
    EmptyEmails,
    /// At B2C, of whom only the address is known.
    NameUnknown,
    /// At B2C, in a tenant whose `sub` is a sentence.
    SubjectNotSupported,
    /// At B2C, with attributes of text, number and boolean.
    TypedExtensions,
}

/// How accounts of a persona are made in a tenant.
pub(super) struct Template {
    pub(super) local: &'static str,
    pub(super) persona: Persona,
}

impl Template {
    pub(super) fn fits(&self, product: Product) -> bool {
        match self.persona {
            Persona::Plain | Persona::LongName | Persona::OtherScript => true,
            Persona::Guest
            | Persona::NoEmail
            | Persona::ForeignEmail
            | Persona::VerifiedEmail
            | Persona::VerifiedEmailAsText
            | Persona::InGroups(_) => product == Product::EntraId,
            Persona::Social
            | Persona::NewUser
            | Persona::NoEmails
            | Persona::EmptyEmails
            | Persona::NameUnknown
            | Persona::SubjectNotSupported
            | Persona::TypedExtensions => product == Product::AzureAdB2c,
        }
    }
}

/// One of each.
pub(super) static TEMPLATES: &[Template] = &[
    Template { local: "member", persona: Persona::Plain },
    Template { local: "guest", persona: Persona::Guest },
    Template { local: "no.email", persona: Persona::NoEmail },
    Template { local: "foreign.email", persona: Persona::ForeignEmail },
    Template { local: "verified.email", persona: Persona::VerifiedEmail },
    Template { local: "verified.email.text", persona: Persona::VerifiedEmailAsText },
    Template { local: "groups199", persona: Persona::InGroups(199) },
    Template { local: "groups201", persona: Persona::InGroups(201) },
    Template { local: "groups2000", persona: Persona::InGroups(2000) },
    Template { local: "long.name", persona: Persona::LongName },
    Template { local: "other.script", persona: Persona::OtherScript },
    Template { local: "social", persona: Persona::Social },
    Template { local: "new.user", persona: Persona::NewUser },
    Template { local: "no.emails", persona: Persona::NoEmails },
    Template { local: "empty.emails", persona: Persona::EmptyEmails },
    Template { local: "name.unknown", persona: Persona::NameUnknown },
    Template { local: "sub.not.supported", persona: Persona::SubjectNotSupported },
    Template { local: "extensions", persona: Persona::TypedExtensions },
];

/// 256 characters, as many as a display name may have.
const LONG_NAME: &str = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh-Cholmondeley-\
    Marjoribanks-Llanfairpwllgwyngyll-Chargoggagogg-Manchauggagogg-Chaubunagungamaugg-\
    Taumatawhakatangihangakoauauotamateaturipukakapikimaungahoronukupokaiwhenuakitanatahu-Smith \
    the Younger III";

impl Persona {
    /// `name`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "Robin Member",
            Self::Guest => "Ana Ferreira",
            Self::NoEmail => "Nils Addressless",
            Self::ForeignEmail => "Mallory Borrowed",
            Self::VerifiedEmail | Self::VerifiedEmailAsText => "Vera Verified",
            Self::InGroups(_) => "Greta Groups",
            Self::LongName => LONG_NAME,
            Self::OtherScript => "Żółć Ђорђе 山田 مريم 👩🏽‍🚀",
            Self::Social => "Gina Social",
            Self::NewUser => "Nora Newcomer",
            Self::NoEmails | Self::EmptyEmails => "Emil Unmailed",
            Self::NameUnknown => "unknown",
            Self::SubjectNotSupported => "Sune Sentence",
            Self::TypedExtensions => "Exta Attributes",
        }
    }

    /// What it is, for a list of accounts.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Plain => "nothing out of the ordinary",
            Self::Guest => "a guest of the tenant: `idp`, `acct` 1",
            Self::NoEmail => "no `email`",
            Self::ForeignEmail => "an `email` of somebody else, not verified",
            Self::VerifiedEmail => "`xms_edov` true",
            Self::VerifiedEmailAsText => "`xms_edov` \"1\"",
            Self::InGroups(..=200) => "in so many groups, which the token lists",
            Self::InGroups(_) => "in so many groups, which the token leaves out",
            Self::LongName => "a very long `name`",
            Self::OtherScript => "a `name` outside of ASCII",
            Self::Social => "through Google: `idp`",
            Self::NewUser => "`newUser` true",
            Self::NoEmails => "no `emails`",
            Self::EmptyEmails => "`emails` empty",
            Self::NameUnknown => "`name` \"unknown\"",
            Self::SubjectNotSupported => "`sub` \"Not supported …\"",
            Self::TypedExtensions => "`extension_` of three types",
        }
    }

    /// Changes the claims of a token as this persona's are.
    pub(super) fn apply(self, claims: &mut Map<String, Value>, account: &Account) {
        let mut set = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        match self {
            Self::Plain
            | Self::InGroups(_)
            | Self::LongName
            | Self::OtherScript
            | Self::NameUnknown => {}
            Self::Guest => {
                let home = "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128";
                set("idp", format!("https://sts.windows.net/{home}/").into());
                set("acct", 1.into());
                set("preferred_username", "ana@partner.example".into());
                set("email", "ana@partner.example".into());
                let upn = format!("ana_partner.example#EXT#@{}", account.tenant.domain);
                set("upn", upn.into());
            }
            Self::NoEmail => {
                claims.remove("email");
            }
            Self::ForeignEmail => set("email", "treasurer@harborclub.example".into()),
            Self::VerifiedEmail => set("xms_edov", true.into()),
            Self::VerifiedEmailAsText => set("xms_edov", "1".into()),
            Self::Social => set("idp", "google.com".into()),
            Self::NewUser => set("newUser", true.into()),
            Self::NoEmails => {
                claims.remove("emails");
            }
            Self::EmptyEmails => set("emails", json!([])),
            Self::SubjectNotSupported => {
                set("sub", "Not supported currently. Use oid claim.".into());
            }
            Self::TypedExtensions => {
                set("extension_MemberNumber", "10442".into());
                set("extension_Boats", 2.into());
                set("extension_IsPatron", true.into());
            }
        }
    }
}
