//! App Service "Easy Auth": all claims in `X-MS-CLIENT-PRINCIPAL`, and `/.auth/me` in the same
//! words. Nobody signs these headers. No tokens: we keep none for portals.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::facts::{Fact, Facts, Headers};
use crate::address;
use crate::gate::{EXTENSIONS, Session, Subject, VerifiedClaims};
use crate::identity::{IdentityError, exactly, is_known};

const PRINCIPAL: &str = "x-ms-client-principal";
const ID: &str = "x-ms-client-principal-id";
const NAME: &str = "x-ms-client-principal-name";
const IDP: &str = "x-ms-client-principal-idp";

const EMAIL_ADDRESS: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
/// No token of today's has claims of this type. The original says it all the same.
const ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

/// Claims that are called otherwise there; all others keep their names.
const TYPES: [(&str, &str); 10] = [
    ("sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"),
    ("email", EMAIL_ADDRESS),
    ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"),
    ("tid", "http://schemas.microsoft.com/identity/claims/tenantid"),
    ("idp", "http://schemas.microsoft.com/identity/claims/identityprovider"),
    ("given_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"),
    ("family_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"),
    ("upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"),
    ("amr", "http://schemas.microsoft.com/claims/authnmethodsreferences"),
    ("scp", "http://schemas.microsoft.com/identity/claims/scope"),
];

/// Adds the headers; `names` has what each provider is called towards the portal.
pub(super) fn render(
    names: &[(String, String)],
    facts: &Facts<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    let session = facts.session;
    for name in ["groups", "group_names"] {
        is_known(session.claims(), name)?;
    }
    for (name, value) in session.claims().iter() {
        exactly(name, value, PRINCIPAL)?;
    }
    let provider = session.provider();
    let called = names.iter().find(|(known, _)| known == provider);
    let called = called.map_or(provider, |(_, called)| called.as_str());
    let principal = json!({
        "auth_typ": called,
        "claims": claims(session.claims()),
        "name_typ": EMAIL_ADDRESS,
        "role_typ": ROLE,
    });
    headers.ours(PRINCIPAL, STANDARD.encode(principal.to_string()))?;
    let id = match session.claims().subject() {
        Subject::Directory { object, .. } => Fact::of("oid", object),
        Subject::Issuer { subject, .. } => Fact::of("sub", subject),
    };
    headers.exactly(ID, &id)?;
    let named = || name(session.claims()).map(|(claim, name)| Fact::of(claim, name));
    if let Some(name) = facts.email(NAME)?.or_else(named) {
        headers.exactly(NAME, &name)?;
    }
    headers.ours(IDP, called.to_owned())
}

/// One element of `/.auth/me`; `called` is the provider's name.
#[must_use]
pub fn describe(session: &Session, called: &str) -> Value {
    let member = session.claims().subject().member_key();
    let time = session.ends().to_utc_date_time();
    // To seven digits of a second, as .NET writes it.
    let time = format!("{}.0000000Z", time.trim_end_matches('Z'));
    json!({
        "provider_name": called,
        "user_id": name(session.claims()).map_or(member.as_str(), |(_, name)| name),
        "user_claims": claims(session.claims()),
        "expires_on": time,
    })
}

/// What a member is called: the e-mail address, unless the provider says that nobody has verified
/// it, else the name that they sign in with.
fn name(claims: &VerifiedClaims) -> Option<(&'static str, &str)> {
    ["email", "preferred_username", "upn"]
        .into_iter()
        .filter_map(|claim| Some((claim, claims.text(claim)?)))
        .find(|(_, text)| !text.is_empty() && !address::is_denied(claims, text))
}

/// All claims of the provider's: one that is a list has an entry for each element, and every value is
/// text. What the portal's directory said is the portal's, and not for the browser.
fn claims(claims: &VerifiedClaims) -> Vec<Value> {
    let mut all = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| *name != EXTENSIONS) {
        let called = TYPES.iter().find(|(short, _)| *short == name);
        let called = called.map_or(name, |(_, long)| long);
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            all.push(json!({ "typ": called, "val": text }));
        }
    }
    all
}
