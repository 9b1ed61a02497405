//! The two accounts of the tenant.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::demo::CLIENT_ID;

/// The password of both.
pub const PASSWORD: &str = "demo";

/// An account of the tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// What is typed into the form; also the e-mail address.
    pub username: &'static str,
    /// `name`.
    pub name: &'static str,
    /// `oid`.
    pub oid: &'static str,
    /// `roles`.
    pub roles: &'static [&'static str],
}

/// Who can sign in.
pub static ACCOUNTS: &[Account] = &[
    Account {
        username: "treasurer@harborclub.example",
        name: "Ines Caldera",
        oid: "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57",
        roles: &["Member", "Treasurer"],
    },
    // A name outside of ASCII: headers and pages have to cope with it.
    Account {
        username: "member@harborclub.example",
        name: "Zoë Halvorsen",
        oid: "c1d84f3e-6a20-4b97-9e5d-0f8b7a6c5d42",
        roles: &["Member"],
    },
];

impl Account {
    /// Finds an account as typed.
    pub(super) fn named(username: &str) -> Option<&'static Self> {
        let username = username.trim();
        ACCOUNTS.iter().find(|account| account.username.eq_ignore_ascii_case(username))
    }

    /// `sub`: pairwise, so it depends on the client.
    pub(super) fn subject(&self) -> String {
        let pair = format!("{CLIENT_ID}/{}", self.oid);
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
