//! Pomerium: a JWT, and a header that nobody signs for each claim that the operator names.

use http::HeaderName;
use serde_json::json;

use super::facts::{Fact, Facts, Headers, List};
use super::{Pen, insert, uuid};
use crate::identity::IdentityError;
use crate::signing_key::SigningAlgorithm;

const ASSERTION: &str = "x-pomerium-jwt-assertion";
/// How the others begin.
const FAMILY: &str = "x-pomerium-claim";

/// Adds the headers.
pub(super) fn render(
    (issuer, audience): (&str, &str),
    mapped: &[(HeaderName, String)],
    facts: &Facts<'_>,
    pen: &Pen<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    let user = facts.verified_user("sub", ASSERTION)?;
    let groups = facts.groups(ASSERTION)?;
    let text = |fact: Option<Fact<'_>>| fact.map(|fact| fact.text);
    // What is not known is an empty text there, so that these are always there.
    let (email, name) = (text(facts.verified_email(ASSERTION)?), text(facts.name(ASSERTION)?));
    let mut claims = json!({
        "iss": issuer,
        "aud": audience,
        "jti": uuid::random()?,
        "iat": pen.issued(),
        "exp": pen.expires(),
        "sub": &user.text,
        "user": &user.text,
        "email": email.unwrap_or_default(),
        "groups": groups.elements,
        "sid": facts.session.handle(),
        "name": name.unwrap_or_default(),
    });
    for (header, claim) in mapped {
        let list = match claim.as_str() {
            "name" => {
                if let Some(name) = facts.name(FAMILY)? {
                    headers.displayed_at(header, FAMILY, &name)?;
                }
                continue;
            }
            "user" | "sub" => List::from(Some(facts.verified_user("sub", FAMILY)?)),
            "email" => List::from(facts.verified_email(FAMILY)?),
            "groups" => facts.groups(FAMILY)?,
            claim => facts.verified_list(claim, FAMILY)?,
        };
        headers.listed_at(header, FAMILY, &list)?;
        // A claim that has a header is in the token, too, as one text.
        if claims.get(claim).is_none() && !list.elements.is_empty() {
            insert(&mut claims, claim, Some(list.elements.join(",").into()));
        }
    }
    headers.ours(ASSERTION, pen.sign(SigningAlgorithm::Es256, claims)?)
}
