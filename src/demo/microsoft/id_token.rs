//! ID tokens, as Entra ID's v2.0 endpoint makes them: back-dated by five minutes, valid for an
//! hour and five. A [`Fault`] is one thing wrong with a token that is otherwise in order.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Microsoft;
use super::faults::Fault;
use super::keys;
use super::state::Grant;
use crate::demo::{CLIENT_ID, TENANT_ID, random};
use crate::gate::Timestamp;

/// How far `iat` and `nbf` lie in the past.
const BACK_DATED: Duration = Duration::from_secs(300);
/// From `iat` to `exp`.
const LIFETIME: Duration = Duration::from_secs(3900);
const HOUR: Duration = Duration::from_secs(3600);
/// A tenant that is not ours.
const OTHER_TENANT: &str = "5d0e8f37-92a4-4c1b-a6f8-1b7c3e9d2a60";
/// The domain of a guest.
const GUEST_DOMAIN: &str = "rowing.example";

/// Makes the ID token of a grant.
pub(super) async fn issue(microsoft: &Microsoft, grant: &Grant, fault: Option<Fault>) -> String {
    let mut claims = claims(microsoft, grant);
    if let Some(fault) = fault {
        spoil(&mut claims, microsoft, grant, fault);
    }
    let claims = Value::Object(claims);
    let key = microsoft.keys.signing().await;
    match fault {
        Some(Fault::AlgNone) => keys::unsigned(&claims),
        Some(Fault::Hs256WithPublicKey) => key.sign_with_public_key(&claims),
        Some(Fault::UnknownKey) => microsoft.keys.foreign().await.sign(&claims),
        Some(Fault::PersonalKey) => microsoft.keys.personal().await.sign(&claims),
        Some(Fault::BadSignature) => with_another_bit(&key.sign(&claims)),
        _ => key.sign(&claims),
    }
}

fn claims(microsoft: &Microsoft, grant: &Grant) -> Map<String, Value> {
    let account = grant.account;
    let issued = microsoft.now().before(BACK_DATED);
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    claim("aud", json!(CLIENT_ID));
    claim("iss", json!(microsoft.issuer()));
    claim("iat", json!(issued.unix_seconds()));
    claim("nbf", json!(issued.unix_seconds()));
    claim("exp", json!(issued.after(LIFETIME).unix_seconds()));
    claim("aio", json!(random::token(48)));
    claim("rh", json!(format!("1.{}.", random::token(36))));
    claim("roles", json!(account.roles));
    claim("sid", json!(grant.sid));
    claim("login_hint", json!(account.login_hint()));
    claim("sub", json!(account.subject()));
    claim("uti", json!(random::token(16)));
    claim("ver", json!("2.0"));
    if let Some(nonce) = &grant.nonce {
        claim("nonce", json!(nonce));
    }
    if grant.covers("profile") {
        claim("name", json!(account.name));
        claim("oid", json!(account.oid));
        claim("preferred_username", json!(account.username));
        claim("tid", json!(TENANT_ID));
    }
    if grant.covers("email") {
        claim("email", json!(account.username));
    }
    claims
}

/// Changes the claims of which a fault speaks; those of the signature are left to [`issue`].
fn spoil(claims: &mut Map<String, Value>, microsoft: &Microsoft, grant: &Grant, fault: Fault) {
    let now = microsoft.now();
    let seconds = |at: Timestamp| json!(at.unix_seconds());
    let other_issuer = json!(format!("{}/{OTHER_TENANT}/v2.0", microsoft.base));
    let mut claim = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    match fault {
        Fault::WrongNonce => claim("nonce", json!(random::token(32))),
        Fault::WrongAudience => claim("aud", json!(random::guid())),
        Fault::WrongIssuer => claim("iss", other_issuer),
        Fault::OtherTenant => {
            claim("iss", other_issuer);
            claim("tid", json!(OTHER_TENANT));
        }
        Fault::Expired => {
            let ended = now.before(HOUR);
            claim("iat", seconds(ended.before(LIFETIME)));
            claim("nbf", seconds(ended.before(LIFETIME)));
            claim("exp", seconds(ended));
        }
        Fault::NotYetValid => {
            let begins = now.after(HOUR * 2);
            claim("nbf", seconds(begins));
            claim("exp", seconds(begins.after(LIFETIME)));
        }
        Fault::MissingOid => {
            claims.remove("oid");
        }
        Fault::Guest => {
            let local = grant.account.username.split('@').next();
            let username = format!("{}@{GUEST_DOMAIN}", local.unwrap_or_default());
            claim("preferred_username", json!(username));
            // Guests have an address whatever the scope.
            claim("email", json!(username));
            claim("idp", json!(format!("https://sts.windows.net/{OTHER_TENANT}/")));
        }
        Fault::AlgNone
        | Fault::Hs256WithPublicKey
        | Fault::UnknownKey
        | Fault::PersonalKey
        | Fault::BadSignature => {}
    }
}

fn with_another_bit(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    if let Some(byte) = signature.last_mut() {
        *byte ^= 1;
    }
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
