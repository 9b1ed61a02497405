//! Which address of somebody is verified, by what kind of provider says it (azure.md, section 4.3):
//! an address that anybody could write into their own tenant is nobody's (AZ-02).
//!
//! | provider | the address | is verified if |
//! | --- | --- | --- |
//! | Entra ID, External ID | `email` | `xms_edov` says so: the domain's owner has it |
//! | Azure AD B2C, user flows | the only one of `emails` | `local_accounts_only` is configured |
//! | Azure AD B2C, custom policies | `email` | `email_verified` says so |
//! | any other | `email` | `email_verified` says so |
//!
//! A user flow verifies the addresses of local accounts, and passes on those of others as they came.
//! Which one it is, a token does not say for sure: `idp` is an optional claim, so that without it an
//! account may be from anywhere. Only the operator knows who can have an account there. One with an
//! `idp` is from elsewhere, whatever is configured.
//!
//! Whoever links accounts by an address asks here, and so does whoever tells a portal of one that
//! takes it for verified. Deliberately not here: what comes of an address that is not.

use serde_json::Value;

use crate::config::ProviderKind;
use crate::gate::VerifiedClaims;

/// The longest address (RFC 5321, section 4.5.3.1).
const LONGEST: usize = 254;

/// The verified address of somebody who signed in, if there is one, by what the provider is: of
/// Azure AD B2C, the policy that they went through.
pub(crate) fn verified<'c>(kind: &ProviderKind, claims: &'c VerifiedClaims) -> Option<&'c str> {
    let address = match kind {
        ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) => {
            said(claims, "xms_edov").then(|| claims.text("email"))?
        }
        ProviderKind::AzureAdB2c(b2c) if is_user_flow(&b2c.policy) => {
            b2c.local_accounts_only.then_some(())?;
            let [only] = claims.get("emails")?.as_array()?.as_slice() else {
                return None;
            };
            claims.get("idp").is_none().then(|| only.as_str())?
        }
        ProviderKind::AzureAdB2c(_) | ProviderKind::Oidc(_) => {
            said(claims, "email_verified").then(|| claims.text("email"))?
        }
    };
    address.filter(|address| is_plain(address))
}

/// The same where it is not known which policy somebody went through: the token names it, which was
/// compared (AZ-04).
pub(crate) fn verified_by_any<'c>(
    kind: &ProviderKind,
    claims: &'c VerifiedClaims,
) -> Option<&'c str> {
    let named = claims.text("tfp").or_else(|| claims.text("acr")).unwrap_or_default();
    let flows = kind.flows();
    let flow = flows.iter().find(|(_, flow)| match flow {
        ProviderKind::AzureAdB2c(b2c) => b2c.policy.eq_ignore_ascii_case(named),
        ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) | ProviderKind::Oidc(_) => true,
    });
    verified(flow.map(|(_, kind)| kind)?, claims)
}

/// Whether the provider says of an address that nobody has verified it. What it says in a way that
/// cannot be read is taken for that; that it says nothing is not.
pub(crate) fn is_denied(claims: &VerifiedClaims, address: &str) -> bool {
    let is_it = |text: &str| text.eq_ignore_ascii_case(address);
    let is_in = |name: &str| match claims.get(name) {
        Some(Value::String(text)) => is_it(text),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(is_it),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    };
    let denies =
        |name: &str| claims.get(name).is_some_and(|value| !value.is_null()) && !said(claims, name);
    ["email_verified", "xms_edov"].into_iter().any(denies)
        && ["email", "emails"].into_iter().any(is_in)
}

/// Custom policies do what they are made to, and are called `B2C_1A_…`.
pub(crate) fn is_user_flow(policy: &str) -> bool {
    !policy.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("B2C_1A_"))
}

/// Documented as a truth value, and seen as other things (azure.md, section 4.1).
fn said(claims: &VerifiedClaims, name: &str) -> bool {
    match claims.get(name) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => matches!(&**text, "1" | "true"),
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

/// One address in ASCII without anything odd: what two programs could read as two addresses is none
/// (GEN-08).
fn is_plain(address: &str) -> bool {
    let is_local =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match address.split_once('@') {
        Some((local, domain)) => {
            address.len() <= LONGEST
                && !local.is_empty()
                && local.bytes().all(is_local)
                && domain.bytes().all(is_domain)
                && domain.split('.').count() > 1
                && domain.split('.').all(|label| !label.is_empty())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AzureAdB2c, EntraId, ExternalId, Oidc, Tenant, Tenants};
    use crate::gate::Subject;
    use serde_json::json;
    use url::Url;

    fn login() -> Url {
        Url::parse("https://login.example").unwrap()
    }

    fn entra() -> ProviderKind {
        let tenants = Tenants::One(Tenant::Id("t".into()));
        ProviderKind::EntraId(EntraId { login: login(), tenants, guests: true })
    }

    fn b2c(policy: &str, local_accounts_only: bool) -> ProviderKind {
        ProviderKind::AzureAdB2c(AzureAdB2c {
            login: login(),
            tenant: Tenant::Id("t".into()),
            policy: policy.into(),
            journeys: vec![],
            policy_in_query: false,
            names_policy: false,
            local_accounts_only,
            valid_issuers: vec![],
        })
    }

    fn address(kind: &ProviderKind, claims: Value) -> Option<String> {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let claims = VerifiedClaims::assertion(subject, claims);
        verified(kind, &claims).map(str::to_owned)
    }

    #[test]
    fn az_02_an_address_of_entra_is_nobodys_unless_its_domain_is_verified() {
        let external = ProviderKind::ExternalId(ExternalId {
            login: login(),
            tenant: Tenant::Id("t".into()),
            valid_issuers: vec![],
        });
        for kind in [entra(), external] {
            let with =
                |edov: Value| address(&kind, json!({ "email": "a@b.example", "xms_edov": edov }));
            for edov in [json!(true), json!(1), json!("1"), json!("true")] {
                assert_eq!(with(edov.clone()).as_deref(), Some("a@b.example"), "{edov}");
            }
            for edov in
                [json!(false), json!(0), json!("0"), json!("false"), json!([true]), json!("yes")]
            {
                assert_eq!(with(edov.clone()), None, "{edov}");
            }
            assert_eq!(address(&kind, json!({ "email": "a@b.example" })), None);
            // What others say with is no word of Entra's.
            let other = json!({ "email": "a@b.example", "email_verified": true });
            assert_eq!(address(&kind, other), None);
            let name = json!({ "preferred_username": "a@b.example", "xms_edov": true });
            assert_eq!(address(&kind, name), None);
        }
    }

    #[test]
    fn az_02_of_b2c_an_address_is_verified_where_all_accounts_are_local() {
        let flow = b2c("B2C_1_SignUpSignIn", true);
        let one = json!({ "emails": ["a@b.example"] });
        // Without `idp` an account may be from elsewhere all the same.
        assert_eq!(address(&b2c("B2C_1_SignUpSignIn", false), one.clone()), None);
        assert_eq!(address(&flow, one.clone()).as_deref(), Some("a@b.example"));
        for claims in [
            json!({ "emails": ["a@b.example"], "idp": "google.com" }),
            json!({ "emails": ["a@b.example", "c@d.example"] }),
            json!({ "emails": [] }),
            json!({ "emails": "a@b.example" }),
            json!({ "email": "a@b.example" }),
        ] {
            assert_eq!(address(&flow, claims.clone()), None, "{claims}");
        }
        for policy in ["B2C_1A_signup", "b2c_1a_SIGNUP"] {
            assert_eq!(address(&b2c(policy, true), one.clone()), None);
            let said = json!({ "email": "a@b.example", "email_verified": true });
            assert_eq!(address(&b2c(policy, false), said).as_deref(), Some("a@b.example"));
        }
    }

    #[test]
    fn az_02_of_b2c_the_policy_that_somebody_went_through_says_what_is_verified() {
        let ProviderKind::AzureAdB2c(mut both) = b2c("B2C_1_SignUpSignIn", true) else { panic!() };
        both.journeys = vec![(crate::gate::login::Journey::SignUp, "B2C_1A_Invited".into())];
        let both = ProviderKind::AzureAdB2c(both);
        for (claims, wanted) in [
            (json!({ "tfp": "b2c_1_signupsignin", "emails": ["a@b.example"] }), true),
            (json!({ "acr": "b2c_1_signupsignin", "emails": ["a@b.example"] }), true),
            (json!({ "tfp": "b2c_1a_invited", "emails": ["a@b.example"] }), false),
            (json!({ "tfp": "b2c_1a_other", "emails": ["a@b.example"] }), false),
            (json!({ "emails": ["a@b.example"] }), false),
            (
                json!({ "tfp": "B2C_1A_Invited", "email": "a@b.example", "email_verified": true }),
                true,
            ),
        ] {
            let Value::Object(said) = claims.clone() else { panic!() };
            let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
            let said = VerifiedClaims::assertion(subject, said);
            assert_eq!(verified_by_any(&both, &said).is_some(), wanted, "{claims}");
        }
    }

    #[test]
    fn az_02_an_address_is_denied_by_whatever_is_no_plain_yes() {
        let denied = |claims: Value| {
            let Value::Object(claims) = claims else { panic!() };
            let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
            is_denied(&VerifiedClaims::assertion(subject, claims), "a@b.example")
        };
        for name in ["email_verified", "xms_edov"] {
            for no in [json!(false), json!(0), json!("0"), json!("False"), json!([]), json!(2)] {
                assert!(denied(json!({ "email": "A@b.example", name: no })), "{name} {no}");
                assert!(denied(json!({ "emails": ["x", "a@b.example"], name: no })), "{name} {no}");
                // That is about another one.
                assert!(!denied(json!({ "email": "c@b.example", "upn": "a@b.example", name: no })));
            }
            for yes in [json!(true), json!(1), json!("1"), json!("true"), Value::Null] {
                assert!(!denied(json!({ "email": "a@b.example", name: yes })), "{name} {yes}");
            }
        }
        assert!(denied(json!({ "email": "a@b.example", "email_verified": true, "xms_edov": 0 })));
        assert!(!denied(json!({ "email": "a@b.example" })));
    }

    #[test]
    fn az_02_of_other_providers_an_address_is_verified_if_they_say_so() {
        let oidc =
            ProviderKind::Oidc(Oidc { issuer: "https://i.example".into(), metadata: login() });
        let with = |email: &str, verified: Value| {
            address(&oidc, json!({ "email": email, "email_verified": verified }))
        };
        assert_eq!(with("a@b.example", json!(true)).as_deref(), Some("a@b.example"));
        assert_eq!(with("a@b.example", json!(false)), None);
        assert_eq!(address(&oidc, json!({ "email": "a@b.example" })), None);
        // GEN-08: one address, and nothing that could be two.
        for odd in [
            "",
            "@",
            "a",
            "a@b",
            "a@b..example",
            "a@b@c.example",
            "a b@c.example",
            "a@b.example\n",
            "a@b.example, c@d.example",
            "\"a\"@b.example",
            "ä@b.example",
            "a@bücher.example",
            "a@\u{212a}elvin.example",
            &format!("{}@b.example", "a".repeat(254)),
        ] {
            assert_eq!(with(odd, json!(true)), None, "{odd:?}");
        }
    }
}
