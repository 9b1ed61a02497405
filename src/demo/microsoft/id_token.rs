//! The ID token: the claims of Entra ID v2.0, back-dated by five minutes, and every way in which a
//! test wants one to be wrong.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::state::Grant;
use super::tenants::{POLICIES, Product};
use super::{Fault, Microsoft, graph, journeys, keys};
use crate::demo::random;
use crate::gate::login::Journey;

/// By how much `iat` and `nbf` lie in the past.
const BACK_DATED: Duration = Duration::from_secs(300);
/// From `iat` to
const LIFETIME: Duration = Duration::from_secs(3900);
/// The same in B2C.
const B2C_LIFETIME: Duration = Duration::from_secs(3600);
/// A tenant that is not ours.
const OTHER_TENANT: &str = "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128";

/// By which way an ID token goes to the application.
#[derive(Clone, Copy)]
pub(super) enum Way<'c> {
    /// In an answer to the application itself.
    Back,
    /// Through the browser, perhaps together with a code.
    Front { code: Option<&'c str> },
}

/// Makes the ID token of a grant, with the fault whose turn it is.
pub(super) async fn make(microsoft: &Microsoft, grant: &Grant, way: Way<'_>) -> IdToken {
    let (fault, more) = {
        let mut state = microsoft.state();
        (state.token_faults.pop_front(), state.token_claims.pop_front())
    };
    let mut claims = claims(microsoft, grant);
    if grant.place.product() != Product::AzureAdB2c {
        graph::tell(&mut claims, grant.account, matches!(way, Way::Front { .. }));
    }
    grant.account.persona.apply(&mut claims, grant.account);
    if let Way::Front { code: Some(code) } = way {
        // OpenID Connect Core 1.0, section 3.3.2.11: the left half of the hash.
        let hash = digest(&SHA256, code.as_bytes());
        let half = hash.as_ref().get(..16).unwrap_or_default();
        claims.insert("c_hash".to_owned(), URL_SAFE_NO_PAD.encode(half).into());
    }
    for (name, value) in more.into_iter().flatten() {
        match value {
            Value::Null => claims.remove(&name),
            value => claims.insert(name, value),
        };
    }
    if let Some(fault) = fault {
        spoil(&mut claims, microsoft, fault);
    }
    let claims = Value::Object(claims);
    let keys = match microsoft.switches().own_key {
        true => microsoft.keys.own(),
        false => microsoft.keys.of(grant.place.product()),
    };
    let jwt = match fault {
        Some(Fault::AlgNone) => keys::unsigned(&claims),
        Some(Fault::Hs256WithPublicKey) => keys.signing().await.sign_with_public_key(&claims),
        Some(Fault::UnknownKey) => keys.foreign().await.sign(&claims),
        Some(Fault::PersonalKey) => keys.personal().await.sign(&claims),
        Some(Fault::BadSignature) => with_another_signature(&keys.signing().await.sign(&claims)),
        _ => keys.signing().await.sign(&claims),
    };
    IdToken { jwt, claims }
}

/// An ID token and what it says.
pub(super) struct IdToken {
    pub(super) jwt: String,
    pub(super) claims: Value,
}

fn claims(microsoft: &Microsoft, grant: &Grant) -> Map<String, Value> {
    match grant.account.tenant.product {
        Product::AzureAdB2c => of_b2c(microsoft, grant),
        Product::EntraId | Product::Personal | Product::ExternalId => of_entra(microsoft, grant),
    }
}

fn issuer(microsoft: &Microsoft, grant: &Grant) -> String {
    let names_policy = microsoft.switches().b2c.names_policy;
    grant.place.issuer(grant.account.tenant, &microsoft.base, names_policy)
}

fn of_entra(microsoft: &Microsoft, grant: &Grant) -> Map<String, Value> {
    let account = grant.account;
    let issued = microsoft.now().before(BACK_DATED);
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("aud", grant.client_id.clone().into());
    set("iss", issuer(microsoft, grant).into());
    set("iat", issued.unix_seconds().into());
    set("nbf", issued.unix_seconds().into());
    set("exp", issued.after(LIFETIME).unix_seconds().into());
    set("aio", random::token(60).into());
    set("rh", format!("1.{}", random::token(30)).into());
    set("uti", random::token(16).into());
    set("sub", account.subject(&grant.client_id).into());
    set("sid", grant.sid.clone().into());
    set("login_hint", account.login_hint().into());
    if !account.roles.is_empty() {
        set("roles", json!(account.roles));
    }
    set("ver", "2.0".into());
    if account.tenant.product == Product::Personal {
        set("idp", "live.com".into());
    }
    if let Some(nonce) = &grant.nonce {
        set("nonce", nonce.clone().into());
    }
    set("auth_time", grant.authenticated.unix_seconds().into());
    if !grant.contexts.is_empty() {
        set("acrs", json!(grant.contexts));
    }
    if grant.asks_for("profile") {
        set("name", account.name.into());
        set("preferred_username", account.username.into());
        set("oid", account.oid.into());
        set("tid", account.tenant.id.into());
    }
    if grant.asks_for("email") {
        set("email", account.username.into());
    }
    claims
}

/// Not back-dated, without `tid`, and with the user flow.
fn of_b2c(microsoft: &Microsoft, grant: &Grant) -> Map<String, Value> {
    let account = grant.account;
    let issued = microsoft.now();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("exp", issued.after(B2C_LIFETIME).unix_seconds().into());
    set("nbf", issued.unix_seconds().into());
    set("ver", "1.0".into());
    set("iss", issuer(microsoft, grant).into());
    set("sub", account.oid.into());
    set("aud", grant.client_id.clone().into());
    set("iat", issued.unix_seconds().into());
    set("auth_time", issued.unix_seconds().into());
    set("oid", account.oid.into());
    set("name", microsoft.name_of(account).into());
    if journeys::of(grant.place) == Journey::SignUp {
        set("newUser", true.into());
    }
    if grant.forgot {
        set("isForgotPassword", true.into());
    }
    set("emails", json!([account.username]));
    set("extension_MemberNumber", "10442".into());
    if let Some(nonce) = &grant.nonce {
        set("nonce", nonce.clone().into());
    }
    if let Some(policy) = grant.place.policy {
        set("tfp", policy.into());
    }
    claims
}

fn spoil(claims: &mut Map<String, Value>, microsoft: &Microsoft, fault: Fault) {
    let foreign_issuer = format!("{}/{OTHER_TENANT}/v2.0", microsoft.base);
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    match fault {
        Fault::WrongNonce => {
            set("nonce", random::token(16).into());
        }
        Fault::WrongAudience => {
            set("aud", "0b5f7c11-9e2d-4a38-b6c4-1d7e8f9a0b2c".into());
        }
        Fault::WrongIssuer => {
            set("iss", foreign_issuer.into());
        }
        Fault::OtherTenant => {
            set("iss", foreign_issuer.into());
            set("tid", OTHER_TENANT.into());
        }
        Fault::OtherPolicy => {
            set("tfp", POLICIES[1].into());
        }
        Fault::MissingOid => {
            claims.remove("oid");
        }
        Fault::Guest => {
            set("idp", format!("https://sts.windows.net/{OTHER_TENANT}/").into());
            set("acct", 1.into());
            set("name", "Ana Ferreira".into());
            set("preferred_username", "ana@partner.example".into());
            set("email", "ana@partner.example".into());
            set("oid", "e2a9c7d4-5b31-4f80-96de-7a0c4b8d1f63".into());
        }
        Fault::AuthenticatedLongAgo => {
            let day = Duration::from_secs(24 * 60 * 60);
            set("auth_time", microsoft.now().before(day).unix_seconds().into());
        }
        Fault::Expired => shift(claims, -2 * 3600),
        Fault::NotYetValid => shift(claims, 2 * 3600),
        Fault::AlgNone
        | Fault::Hs256WithPublicKey
        | Fault::UnknownKey
        | Fault::PersonalKey
        | Fault::BadSignature => {}
    }
}

fn shift(claims: &mut Map<String, Value>, seconds: i64) {
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = claims.get_mut(name) {
            *time = time.as_i64().map_or(0, |time| time + seconds).into();
        }
    }
}

/// The same token with the first character of its signature exchanged.
fn with_another_signature(jwt: &str) -> String {
    let Some((signed, signature)) = jwt.rsplit_once('.') else {
        return jwt.to_owned();
    };
    let mut rest = signature.chars();
    let first = match rest.next() {
        Some('A') => 'B',
        _ => 'A',
    };
    format!("{signed}.{first}{}", rest.as_str())
}

impl Grant {
    /// Whether a scope was asked for.
    pub(super) fn asks_for(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|asked| asked == scope)
    }
}
