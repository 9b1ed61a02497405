//! What tests and operators change about the emulator while it runs. Deliberately not here: the
//! words for it, which `control.rs` has.

use serde_json::{Map, Value};

use super::accounts::Account;
use super::faults::{AuthorizeError, Fault, Switches, TokenAnswer, Trouble};
use super::{ControlError, Microsoft};

impl Microsoft {
    /// The next ID token is made with this fault. Calls queue up.
    pub fn next_token(&self, fault: Fault) {
        self.state().token_faults.push_back(fault);
    }

    /// The token endpoint treats its next call so. Calls queue up.
    pub fn next_token_answer(&self, answer: TokenAnswer) {
        self.state().token_answers.push_back(answer);
    }

    /// The next ID token says this besides; `null` takes a claim away. Calls queue up.
    pub fn next_claims(&self, claims: Map<String, Value>) {
        self.state().token_claims.push_back(claims);
    }

    /// The next metadata document or key set is answered so. Calls queue up.
    pub fn next_document(&self, trouble: Trouble) {
        self.state().document_troubles.push_back(trouble);
    }

    /// The next authorization request that is in order ends on a page with this AADSTS number.
    pub fn page_error(&self, number: u32) {
        self.state().page_errors.push_back(number);
    }

    /// The next authorization request that is in order ends with this error at its redirect URI.
    pub fn authorize_error(&self, error: &str, subcode: Option<&str>, description: Option<&str>) {
        self.state().authorize_errors.push_back(AuthorizeError {
            error: error.to_owned(),
            subcode: subcode.map(str::to_owned),
            description: description.map(str::to_owned),
        });
    }

    /// While set, every request is answered with 503 and an HTML page.
    pub fn set_outage(&self, outage: bool) {
        self.state().switches.outage = outage;
    }

    /// What is other than usual.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.state().switches
    }

    /// Changes what is other than usual.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.state().switches);
    }

    /// Nobody with this account signs in or is refreshed any more; or again.
    ///
    /// # Errors
    /// There is no such account.
    pub fn set_disabled(&self, username: &str, is_disabled: bool) -> Result<(), ControlError> {
        let account = self.account(username)?;
        let disabled = &mut self.state().disabled;
        if is_disabled {
            disabled.insert(account.oid);
        } else {
            disabled.remove(account.oid);
        }
        Ok(())
    }

    /// What the account has been given up to now is worth nothing: "revoke sessions".
    ///
    /// # Errors
    /// There is no such account.
    pub fn revoke_sessions(&self, username: &str) -> Result<(), ControlError> {
        let account = self.account(username)?;
        let now = self.now();
        let mut state = self.state();
        state.sso.retain(|sso| sso.account != account);
        state.revoked.insert(account.oid, now);
        Ok(())
    }

    fn account(&self, username: &str) -> Result<&'static Account, ControlError> {
        let account = self.options.directory.account(username);
        account.ok_or_else(|| ControlError::NoAccount(username.chars().take(100).collect()))
    }

    /// Publishes the key that is going to sign after the next [`Microsoft::rotate_keys`].
    pub fn publish_next_keys(&self) {
        self.keys.publish_next();
    }

    /// From now on a new key signs; the one before stays published.
    pub fn rotate_keys(&self) {
        self.keys.rotate();
    }

    /// From now on a new key signs, and the earlier ones are withdrawn at once.
    pub fn replace_keys(&self) {
        self.keys.replace();
    }

    /// Ends everybody's single sign-on.
    pub fn end_all_sessions(&self) {
        self.state().sso.clear();
    }
}
