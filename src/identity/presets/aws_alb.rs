//! An AWS Application Load Balancer that authenticates: a JWT with fields of its own in its header
//! and padding in its base64url, which is part of what is signed; and the subject, which nobody
//! signs. No access token: we keep none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::facts::{Facts, Headers};
use super::{Pen, insert, uuid};
use crate::identity::{IdentityError, SigningError, exactly};
use crate::signing_key::{SigningAlgorithm, SigningKey};

const DATA: &str = "x-amzn-oidc-data";
const IDENTITY: &str = "x-amzn-oidc-identity";

/// The standard claims of OpenID Connect Core 1.0, section 5.1, which a userinfo endpoint gives:
/// an ALB hands on what it says.
const USERINFO: [&str; 20] = [
    "sub",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
];

/// What an operator says of it.
pub(super) struct Alb<'a> {
    pub(super) signer: &'a str,
    pub(super) issuer: Option<&'a str>,
    pub(super) client_id: Option<&'a str>,
    pub(super) claims: &'a [String],
    pub(super) plain: bool,
}

/// Adds the headers.
pub(super) fn render(
    alb: &Alb<'_>,
    facts: &Facts<'_>,
    pen: &Pen<'_>,
    headers: &mut Headers<'_>,
) -> Result<(), IdentityError> {
    let user = facts.user("sub", DATA)?;
    let said = facts.session.claims();
    let issuer = alb.issuer.or_else(|| said.text("iss")).unwrap_or_default();
    let client_id = alb.client_id.or_else(|| said.text("aud")).unwrap_or_default();
    let exact = |name: &str| said.get(name).map(|value| exactly(name, value, DATA)).transpose();
    let mut claims = json!({});
    for name in USERINFO {
        insert(&mut claims, name, exact(name)?);
    }
    for name in alb.claims {
        // Groups that are not known are not left out in silence.
        facts.check_known(name)?;
        insert(&mut claims, name, exact(name)?);
    }
    insert(&mut claims, "sub", Some(user.text.as_str().into()));
    insert(&mut claims, "iss", Some(issuer.into()));
    insert(&mut claims, "exp", Some(pen.expires().into()));
    let key = pen.signers.of(SigningAlgorithm::Es256).ok_or(SigningError::NoKey("ES256"))?;
    let header = json!({
        "typ": "JWT",
        "alg": "ES256",
        "kid": key_id(&key),
        "iss": issuer,
        "client": client_id,
        "signer": alb.signer,
        "exp": pen.expires(),
    });
    let encoded = |part: &Value| URL_SAFE.encode(part.to_string());
    let input = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = key.sign(input.as_bytes()).ok_or(SigningError::Random)?;
    headers.ours(DATA, format!("{input}.{}", URL_SAFE.encode(signature)))?;
    match alb.plain {
        true => headers.exactly(IDENTITY, &user),
        false => Ok(()),
    }
}

/// The name of a key: verifiers put it into a URL and take nothing but a UUID.
pub(super) fn key_id(key: &SigningKey) -> String {
    uuid::of("aws_alb", key.id())
}
