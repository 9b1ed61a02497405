//! oauth2-proxy: `X-Forwarded-…` as it tells upstreams, and `X-Auth-Request-…` as nginx hands on
//! what it answers to `auth_request`. Nobody signs either.

use super::facts::{Facts, Headers};
use crate::identity::IdentityError;

/// The names of one family: user, e-mail address, user name, groups.
type Family = [&'static str; 4];

const FORWARDED: Family = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
];

const AUTH_REQUEST: Family = [
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-preferred-username",
    "x-auth-request-groups",
];

/// Adds the headers of one family or both.
pub(super) fn render(
    (forwarded, auth_request): (bool, bool),
    facts: &Facts<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    for (family, is_on) in [(FORWARDED, forwarded), (AUTH_REQUEST, auth_request)] {
        if is_on {
            of(family, facts, headers)?;
        }
    }
    Ok(())
}

fn of(
    [user, email, username, groups]: Family,
    facts: &Facts<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    headers.exactly(user, &facts.verified_user("sub", user)?)?;
    if let Some(fact) = facts.verified_email(email)? {
        headers.exactly(email, &fact)?;
    }
    if let Some(fact) = facts.text("preferred_username", username)? {
        headers.exactly(username, &fact)?;
    }
    headers.listed(groups, &facts.groups(groups)?)
}
