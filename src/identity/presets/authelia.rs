//! Authelia, as its "trusted header SSO" tells portals: four headers that nobody signs.

use super::facts::{Facts, Headers};
use crate::identity::IdentityError;

/// Adds the headers.
pub(super) fn render(facts: &Facts<'_>, headers: &mut Headers<'_>) -> Result<(), IdentityError> {
    let user = facts.verified_user("preferred_username", "remote-user")?;
    headers.exactly("remote-user", &user)?;
    headers.listed("remote-groups", &facts.groups("remote-groups")?)?;
    if let Some(name) = facts.name("remote-name")? {
        headers.displayed("remote-name", &name)?;
    }
    if let Some(email) = facts.verified_email("remote-email")? {
        headers.exactly("remote-email", &email)?;
    }
    Ok(())
}
