//! The accounts: two of the club that the demo is about, and one of each other tenant.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::personas::Persona;
use super::tenants::{CLUB, GUESTS, MEMBERS, PARTNER, PERSONAL, Tenant};

/// The password of all.
pub const PASSWORD: &str = "demo";

/// An account of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What is typed into the form; also the e-mail address.
    pub username: &'static str,
    /// `name`.
    pub name: &'static str,
    /// `oid`.
    pub oid: &'static str,
    /// `roles`.
    pub roles: &'static [&'static str],
    /// Where it is at home.
    pub tenant: &'static Tenant,
    /// What is out of the ordinary about its tokens.
    pub persona: Persona,
}

/// Who can sign in.
pub static ACCOUNTS: &[Account] = &[
    Account {
        username: "treasurer@harborclub.example",
        name: "Ines Caldera",
        oid: "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57",
        roles: &["Member", "Treasurer"],
        tenant: &CLUB,
        persona: Persona::Plain,
    },
    // A name outside of ASCII: headers and pages have to cope with it.
    Account {
        username: "member@harborclub.example",
        name: "Zoë Halvorsen",
        oid: "c1d84f3e-6a20-4b97-9e5d-0f8b7a6c5d42",
        roles: &["Member"],
        tenant: &CLUB,
        persona: Persona::Plain,
    },
];

/// Who can sign in elsewhere: the tests' business, and of whoever tries a configuration.
pub static OTHERS: &[Account] = &[
    Account {
        username: "ana@partner.example",
        name: "Ana Ferreira",
        oid: "e2a9c7d4-5b31-4f80-96de-7a0c4b8d1f63",
        roles: &[],
        tenant: &PARTNER,
        persona: Persona::Plain,
    },
    Account {
        username: "noor@outlook.example",
        name: "Noor Haddad",
        oid: "00000000-0000-0000-66f3-3332eca7ea81",
        roles: &[],
        tenant: &PERSONAL,
        persona: Persona::Plain,
    },
    Account {
        username: "ines@mail.example",
        name: "Ines Caldera",
        oid: "4d1f7a2c-93b8-4e65-a0c7-5e9b8d3f6a14",
        roles: &[],
        tenant: &MEMBERS,
        persona: Persona::Plain,
    },
    Account {
        username: "visitor@mail.example",
        name: "Jonas Brandt",
        oid: "b86e0d53-2f41-4c9a-8d7e-1a6c9f0e4b72",
        roles: &[],
        tenant: &GUESTS,
        persona: Persona::Plain,
    },
];

impl Account {
    /// `sub`: pairwise, so it depends on the client.
    pub(super) fn subject(&self, client_id: &str) -> String {
        let pair = format!("{client_id}/{}", self.oid);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, pair.as_bytes()))
    }

    /// `login_hint`: opaque, and understood when it comes back as `logout_hint`.
    pub(super) fn login_hint(&self) -> String {
        format!("O.{}", URL_SAFE_NO_PAD.encode(self.oid))
    }

    /// Whether a `login_hint` or `logout_hint` means this account.
    pub(super) fn is_meant_by(&self, hint: &str) -> bool {
        hint == self.login_hint() || hint.eq_ignore_ascii_case(self.username)
    }
}
