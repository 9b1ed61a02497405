//! Which ID tokens are believed of each kind of provider. No network.

use std::time::Duration;

use anteport::config::{
    AzureAdB2c, EntraId, ExternalId, Oidc, PERSONAL_ACCOUNTS, ProviderKind, Tenant, Tenants,
};
use anteport::gate::{Secret, Subject};
use anteport::relying_party::id_token::{Expected, UnverifiedToken};
use anteport::relying_party::issuers::Issuers;
use anteport::relying_party::keys::Keys;
use serde_json::{Value, json};

use crate::provider::{CLIENT, KEYS, OBJECT, TENANT, jwk, token};
use crate::world::{NOON, claims};

const OTHER: &str = "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128";
const POLICY: &str = "B2C_1_signupsignin";
const NONCE: &str = "kU3vNonceOfThisLogin";

/// What is believed of a provider of this kind, whose key set has these keys.
struct Provider {
    issuers: Issuers,
    keys: Keys,
    policy: Option<&'static str>,
}

impl Provider {
    fn new(kind: &ProviderKind, documented: &str, keys: &[Value]) -> Self {
        let issuers = Issuers::of(kind, documented).unwrap();
        let set = json!({ "keys": keys }).to_string();
        let keys = Keys::read(set.as_bytes(), &issuers, None).unwrap();
        let policy = matches!(kind, ProviderKind::AzureAdB2c(_)).then_some(POLICY);
        Self { issuers, keys, policy }
    }

    /// The member's key, or the reason not to believe a token that says this.
    fn judge(&self, key: &str, claims: &Value) -> Result<Subject, &'static str> {
        let nonce = Secret::new(NONCE.to_owned());
        let expected = Expected {
            issuers: &self.issuers,
            policy: self.policy,
            client_id: CLIENT,
            nonce: &nonce,
            access_token: None,
            clock_skew: Duration::from_secs(60),
            max_age: None,
            is_refreshed: false,
            context: None,
        };
        let raw = token(key, claims, &KEYS[0]);
        let token = UnverifiedToken::read(&raw).unwrap();
        let key = self.keys.get(key).ok_or("token-key-unknown")?;
        let claims = token.verify(key, &expected, NOON).map_err(|error| error.code())?;
        Ok(claims.subject().clone())
    }

    fn reason(&self, claims: &Value) -> &'static str {
        self.judge("one", claims).map_or_else(|code| code, |_| "believed")
    }
}

fn of_directory(tenant: &str) -> Subject {
    Subject::Directory { tenant: tenant.to_owned(), object: OBJECT.to_owned() }
}

fn changed(claims: &Value, changes: &[(&str, Value)]) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes {
        match value {
            Value::Null => {
                claims.as_object_mut().unwrap().remove(*name);
            }
            value => claims[*name] = value.clone(),
        }
    }
    claims
}

fn login() -> url::Url {
    "https://login.microsoftonline.com".parse().unwrap()
}

fn of_tenant(tenant: &str) -> (String, Value) {
    let issuer = format!("{}{tenant}/v2.0", login());
    let claims = changed(&claims(&issuer, NONCE, NOON), &[("tid", json!(tenant))]);
    (issuer, claims)
}

#[test]
fn az_01_of_several_tenants_issuer_and_tenant_agree() {
    let several = |tenants: &[&str]| {
        let tenants = Tenants::Several(tenants.iter().map(|&id| id.to_owned()).collect());
        let kind = ProviderKind::EntraId(EntraId { login: login(), tenants, guests: false });
        let template = format!("{}{{tenantid}}/v2.0", login());
        let mut own = jwk("one", &KEYS[0]);
        own["issuer"] = json!(template);
        let mut personal = jwk("personal", &KEYS[0]);
        personal["issuer"] = json!(format!("{}{PERSONAL_ACCOUNTS}/v2.0", login()));
        Provider::new(&kind, &template, &[own, personal])
    };
    let two = several(&[TENANT, OTHER]);
    for tenant in [TENANT, OTHER] {
        let (_, claims) = of_tenant(tenant);
        assert_eq!(two.judge("one", &claims), Ok(of_directory(tenant)));
        // The key of personal accounts vouches for no organisation.
        assert!(two.judge("personal", &claims).is_err());
    }
    let (issuer, good) = of_tenant(TENANT);
    let foreign = "c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8";
    for (changes, code) in [
        (vec![("tid", json!(OTHER))], "token-tenant"),
        (vec![("tid", json!(PERSONAL_ACCOUNTS))], "token-tenant"),
        (vec![("tid", Value::Null)], "token-tenant"),
        (vec![("iss", json!(issuer.replace(TENANT, foreign)))], "token-issuer"),
        (vec![("iss", json!(issuer.replace(TENANT, "{tenantid}")))], "token-issuer"),
        (vec![("idp", json!(format!("https://sts.windows.net/{OTHER}/")))], "token-guest"),
    ] {
        assert_eq!(two.reason(&changed(&good, &changes)), code, "{changes:?}");
    }
    let (_, of_personal) = of_tenant(PERSONAL_ACCOUNTS);
    let of_personal = changed(&of_personal, &[("idp", json!("live.com"))]);
    assert_eq!(two.reason(&of_personal), "token-issuer");
    // AZ-03: by explicit policy they may.
    let with_personal = several(&[TENANT, PERSONAL_ACCOUNTS]);
    let subject = Ok(of_directory(PERSONAL_ACCOUNTS));
    assert_eq!(with_personal.judge("personal", &of_personal), subject);
    assert_eq!(with_personal.judge("one", &of_personal), subject);
    assert_eq!(with_personal.judge("personal", &good), Err("token-key-issuer"));
}

#[test]
fn az_03_guests_sign_in_where_that_is_said() {
    let (issuer, good) = of_tenant(TENANT);
    let guest = changed(
        &good,
        &[("idp", json!(format!("https://sts.windows.net/{OTHER}/"))), ("acct", json!(1))],
    );
    for (guests, code) in [(false, "token-guest"), (true, "believed")] {
        let tenants = Tenants::One(Tenant::Id(TENANT.to_owned()));
        let kind = ProviderKind::EntraId(EntraId { login: login(), tenants, guests });
        let provider = Provider::new(&kind, &issuer, &[jwk("one", &KEYS[0])]);
        assert_eq!(provider.reason(&guest), code);
        assert_eq!(provider.reason(&good), "believed");
    }
}

#[test]
fn az_04_a_token_of_b2c_names_the_user_flow_of_the_login() {
    let kind = ProviderKind::AzureAdB2c(AzureAdB2c {
        login: "https://harbor.b2clogin.com".parse().unwrap(),
        tenant: Tenant::Domain("harbor.onmicrosoft.com".to_owned()),
        policy: POLICY.to_owned(),
        policy_in_query: false,
        names_policy: false,
        local_accounts_only: false,
        journeys: Vec::new(),
        valid_issuers: vec![format!("https://login.harbor.example/{TENANT}/v2.0/")],
    });
    let issuer = format!("https://harbor.b2clogin.com/{TENANT}/v2.0/");
    let provider = Provider::new(&kind, &issuer, &[jwk("one", &KEYS[0])]);
    let good = changed(
        &claims(&issuer, NONCE, NOON),
        &[
            ("ver", json!("1.0")),
            ("tid", Value::Null),
            ("sub", json!(OBJECT)),
            ("idp", json!("google.com")),
            ("emails", json!(["ines@mail.example"])),
            ("tfp", json!("B2C_1_SignUpSignIn")),
        ],
    );
    assert_eq!(provider.judge("one", &good), Ok(of_directory(TENANT)));
    for (changes, code) in [
        (vec![("iss", json!(format!("https://login.harbor.example/{TENANT}/v2.0/")))], "believed"),
        (vec![("tid", json!(TENANT))], "believed"),
        (vec![("oid", Value::Null)], "believed"),
        (vec![("sub", json!("Not supported currently. Use oid claim."))], "believed"),
        (vec![("tfp", Value::Null), ("acr", json!("b2c_1_signupsignin"))], "believed"),
        (vec![("tfp", Value::Null)], "token-policy"),
        (vec![("tfp", json!("B2C_1_reset"))], "token-policy"),
        (vec![("tfp", json!("B2C_1_reset")), ("acr", json!(POLICY))], "token-policy"),
        (vec![("tfp", json!([POLICY]))], "token-claim-type"),
        (vec![("tid", json!(OTHER))], "token-tenant"),
        (vec![("ver", json!("2.0"))], "token-version"),
        (vec![("iss", json!(issuer.trim_end_matches('/')))], "token-issuer"),
        (vec![("iss", json!(issuer.replace("harbor", "other")))], "token-issuer"),
        (vec![("iss", json!(issuer.replace(TENANT, OTHER)))], "token-issuer"),
        (vec![("oid", json!("ines"))], "token-subject"),
        (
            vec![("oid", Value::Null), ("sub", json!("Not supported currently. Use oid claim."))],
            "token-subject",
        ),
    ] {
        assert_eq!(provider.reason(&changed(&good, &changes)), code, "{changes:?}");
    }
    // A custom policy may have subjects of its own.
    let own = changed(&good, &[("oid", Value::Null), ("sub", json!("member-10442"))]);
    let subject = Subject::Issuer { issuer, subject: "member-10442".to_owned() };
    assert_eq!(provider.judge("one", &own), Ok(subject));
}

#[test]
fn az_01_external_id_vouches_for_its_customers_wherever_they_are_from() {
    let kind = ProviderKind::ExternalId(ExternalId {
        login: "https://harbor.ciamlogin.com".parse().unwrap(),
        tenant: Tenant::Domain("harbor.onmicrosoft.com".to_owned()),
        valid_issuers: Vec::new(),
    });
    let issuer = format!("https://{TENANT}.ciamlogin.com/{TENANT}/v2.0");
    let provider = Provider::new(&kind, &issuer, &[jwk("one", &KEYS[0])]);
    let good = changed(&claims(&issuer, NONCE, NOON), &[("idp", json!("google.com"))]);
    assert_eq!(provider.judge("one", &good), Ok(of_directory(TENANT)));
    let entra = format!("{}{TENANT}/v2.0", login());
    for (name, value, code) in [
        ("iss", json!(entra), "token-issuer"),
        ("tid", json!(OTHER), "token-tenant"),
        ("tid", Value::Null, "token-tenant"),
        ("oid", Value::Null, "token-subject"),
        ("ver", json!("1.0"), "token-version"),
    ] {
        assert_eq!(provider.reason(&changed(&good, &[(name, value)])), code, "{name}");
    }
}

#[test]
fn az_02_of_other_providers_a_member_is_issuer_and_subject() {
    let issuer = "https://id.example.org/realms/club";
    let kind = ProviderKind::Oidc(Oidc {
        issuer: issuer.to_owned(),
        metadata: format!("{issuer}/.well-known/openid-configuration").parse().unwrap(),
    });
    let provider = Provider::new(&kind, issuer, &[jwk("one", &KEYS[0])]);
    let good = changed(
        &claims(issuer, NONCE, NOON),
        &[("tid", Value::Null), ("oid", Value::Null), ("ver", Value::Null), ("sub", json!("ines"))],
    );
    let subject = Subject::Issuer { issuer: issuer.to_owned(), subject: "ines".to_owned() };
    assert_eq!(provider.judge("one", &good), Ok(subject.clone()));
    // What would make somebody else of it at Microsoft's means nothing here.
    let odd = changed(&good, &[("tid", json!(TENANT)), ("oid", json!(OBJECT))]);
    assert_eq!(provider.judge("one", &odd), Ok(subject));
    for (name, value, code) in [
        ("iss", json!(format!("{issuer}/")), "token-issuer"),
        ("sub", json!(""), "token-subject"),
        ("sub", Value::Null, "token-subject"),
        ("aud", json!("another"), "token-audience"),
    ] {
        assert_eq!(provider.reason(&changed(&good, &[(name, value)])), code, "{name}");
    }
}
