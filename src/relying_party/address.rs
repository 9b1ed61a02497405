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

use serde_json::Value;

use super::RelyingParty;
use crate::config::ProviderKind;
use crate::gate::VerifiedClaims;
use crate::gate::login::Journey;

/// The longest address (RFC 5321, section 4.5.3.1).
const LONGEST: usize = 254;

impl RelyingParty {
    /// The verified address of somebody who signed in, if there is one.
    #[must_use]
    pub fn verified_address<'c>(
        &self,
        claims: &'c VerifiedClaims,
        journey: Journey,
    ) -> Option<&'c str> {
        let flows = self.provider.kind.flows();
        let flow = flows.iter().find(|(known, _)| *known == journey).or_else(|| flows.first());
        verified_address(flow.map(|(_, kind)| kind)?, claims)
    }
}

/// The same by what the provider is.
fn verified_address<'c>(kind: &ProviderKind, claims: &'c VerifiedClaims) -> Option<&'c str> {
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

/// Custom policies do what they are made to, and are called `B2C_1A_…`.
fn is_user_flow(policy: &str) -> bool {
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
        verified_address(kind, &claims).map(str::to_owned)
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
