//! Google's Identity-Aware Proxy: a JWT, and two headers that nobody signs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::facts::{Facts, Headers};
use super::{Pen, insert};
use crate::identity::IdentityError;
use crate::signing_key::{SigningAlgorithm, SigningKey};

const ASSERTION: &str = "x-goog-iap-jwt-assertion";
const EMAIL: &str = "x-goog-authenticated-user-email";
const ID: &str = "x-goog-authenticated-user-id";
/// What stands before each name there.
const NAMESPACE: &str = "accounts.google.com:";

/// Adds the headers.
pub(super) fn render(
    audience: &str,
    plain: bool,
    facts: &Facts<'_>,
    pen: &Pen<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    let (user, email) = (facts.verified_user("sub", ASSERTION)?, facts.verified_email(ASSERTION)?);
    let mut claims = json!({
        "iss": "https://cloud.google.com/iap",
        "aud": audience,
        "sub": format!("{NAMESPACE}{}", user.text),
        "iat": pen.issued(),
        "exp": pen.expires(),
    });
    let address = email.as_ref().map(|email| email.text.as_str().into());
    insert(&mut claims, "email", address);
    headers.ours(ASSERTION, pen.sign(SigningAlgorithm::Es256, claims)?)?;
    if plain {
        if let Some(email) = email {
            headers.prefixed(EMAIL, NAMESPACE, &email)?;
        }
        headers.prefixed(ID, NAMESPACE, &user)?;
    }
    Ok(())
}

/// Key ids with keys in PEM.
pub(super) fn keys(keys: &[Arc<SigningKey>]) -> String {
    let pem = |key: &Arc<SigningKey>| Some((key.id().to_owned(), key.public_pem()?.into()));
    Value::Object(keys.iter().filter_map(pem).collect::<Map<String, Value>>()).to_string()
}
