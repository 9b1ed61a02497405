//! Cloudflare Access: a JWT, the e-mail address in a header that nobody signs, the keys with
//! certificates for them, and `get-identity`. No `CF_Authorization` cookie: cookies are between the
//! visitor and the portal.

use std::sync::Arc;

use serde_json::{Value, json};

use super::facts::{Fact, Facts, Headers};
use super::{Pen, insert, uuid};
use crate::gate::Subject;
use crate::identity::IdentityError;
use crate::signing_key::{SigningAlgorithm, SigningKey};

const ASSERTION: &str = "cf-access-jwt-assertion";
const EMAIL: &str = "cf-access-authenticated-user-email";

/// Adds the headers.
pub(super) fn render(
    (team_domain, audience): (&str, &str),
    plain: bool,
    facts: &Facts<'_>,
    pen: &Pen<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    let email = facts.verified_email(ASSERTION)?;
    let mut claims = json!({
        "aud": [audience],
        "iss": team_domain,
        "iat": pen.issued(),
        "nbf": pen.issued(),
        "exp": pen.expires(),
        "type": "app",
        "identity_nonce": facts.session.handle(),
        "sub": subject(facts),
    });
    let address = email.as_ref().map(|email| email.text.as_str().into());
    insert(&mut claims, "email", address);
    headers.ours(ASSERTION, pen.sign(SigningAlgorithm::Rs256, claims)?)?;
    match email {
        Some(email) if plain => headers.exactly(EMAIL, &email),
        Some(_) | None => Ok(()),
    }
}

/// A UUID, as there; it follows from the member key, so it is another for every member.
fn subject(facts: &Facts<'_>) -> String {
    uuid::of("cloudflare_access", &facts.session.claims().subject().member_key())
}

/// The keys, and the same in certificates.
pub(super) fn certs(keys: &[Arc<SigningKey>]) -> String {
    let public: Vec<&Value> = keys.iter().map(|key| key.public()).collect();
    let certificate =
        |key: &Arc<SigningKey>| Some(json!({ "kid": key.id(), "cert": key.certificate()? }));
    let certificates: Vec<Value> = keys.iter().filter_map(certificate).collect();
    json!({ "keys": public, "public_cert": certificates.first(), "public_certs": certificates })
        .to_string()
}

/// Who somebody is, as far as we know what is asked for there.
pub(super) fn identity(facts: &Facts<'_>) -> String {
    let session = facts.session;
    let kind = match session.claims().subject() {
        Subject::Directory { .. } => "azureAD",
        Subject::Issuer { .. } => "oidc",
    };
    let mut identity = json!({
        "id": subject(facts),
        "user_uuid": subject(facts),
        "idp": { "id": session.provider(), "type": kind },
        "iat": session.started().unix_seconds(),
        "auth_status": "NONE",
        "common_name": "",
        "service_token_id": "",
        "service_token_status": false,
        "is_warp": false,
        "is_gateway": false,
    });
    // What cannot be told is not there: nobody is let in by this.
    let text = |fact: Option<Fact<'_>>| fact.map(|fact| fact.text.into());
    insert(&mut identity, "email", facts.verified_email(ASSERTION).ok().and_then(text));
    insert(&mut identity, "name", facts.name(ASSERTION).ok().and_then(text));
    if let Ok(groups) = facts.groups(ASSERTION) {
        let groups: Vec<Value> = groups.elements.iter().map(|id| json!({ "id": id })).collect();
        insert(&mut identity, "groups", Some(groups.into()));
    }
    identity.to_string()
}
