//! What the user flows of B2C do besides signing in (azure.md, section 6): choosing a new password,
//! changing a profile, and the answers to those who turn back. Deliberately not here: passwords,
//! which stay the one that all accounts have, and new accounts: who signs up is `newUser`.

use super::Microsoft;
use super::accounts::Account;
use super::errors::AadError;
use super::tenants::{Place, Product};
use crate::gate::login::Journey;

/// The longest display name that is taken, in characters.
const LONGEST_NAME: usize = 256;

/// What a place is for: of B2C the policy's name tells, and nothing else could.
pub(super) fn of(place: Place) -> Journey {
    let policy = place.policy.unwrap_or_default().to_ascii_lowercase();
    let says = |word| policy.contains(word);
    match () {
        () if says("reset") => Journey::PasswordReset,
        () if says("edit") => Journey::ProfileEdit,
        () if says("signup") && !says("signin") => Journey::SignUp,
        () => Journey::SignIn,
    }
}

/// Somebody pressed Cancel.
pub(super) fn cancelled(place: Place) -> Option<AadError> {
    let text = "The user has cancelled entering self-asserted information.";
    (place.product() == Product::AzureAdB2c).then(|| AadError::new(90091, "access_denied", text))
}

/// Somebody pressed «Forgot your password?» in a flow that leaves the rest to the application.
pub(super) fn forgotten() -> AadError {
    AadError::new(90118, "access_denied", "The user has forgotten their password.")
}

impl Microsoft {
    /// Changes the display name of an account, as far as it is one.
    pub(super) fn rename(&self, account: &'static Account, name: &str) {
        let name: String = name.trim().chars().take(LONGEST_NAME).collect();
        if !name.is_empty() {
            self.state().names.insert(account.oid, name);
        }
    }

    /// The display name of an account.
    pub(super) fn name_of(&self, account: &Account) -> String {
        let changed = self.state().names.get(account.oid).cloned();
        changed.unwrap_or_else(|| account.name.to_owned())
    }
}
