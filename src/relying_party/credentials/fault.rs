//! Why a credential is passed over: the closed list that logs and metrics speak of, and which
//! answers of the token endpoint mean one of them.

use super::super::TokenRefusal;
use crate::catalogue::{self, Class};

/// Why a credential is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialFault {
    /// No such secret.
    SecretWrong,
    /// The secret's time is over.
    SecretExpired,
    /// The certificate is not registered, or the assertion is not what it should be.
    AssertionRefused,
    /// The assertion is too old, or not yet valid: the clocks disagree, or it was not renewed.
    AssertionTime,
    /// The certificate has expired, or is not accepted for another reason.
    CertificateRefused,
    /// No federated credential of the application is for this token.
    FederationUnknown,
    /// The provider takes no credential of this kind.
    KindUnsupported,
    /// Something else about it that the provider refuses.
    Other,
    /// There is no token in the file where there should be one.
    TokenFileUnreadable,
    /// The managed identity's service gave no token.
    IdentityUnavailable,
    /// No assertion could be signed.
    NotSigned,
}

impl CredentialFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SecretWrong,
        Self::SecretExpired,
        Self::AssertionRefused,
        Self::AssertionTime,
        Self::CertificateRefused,
        Self::FederationUnknown,
        Self::KindUnsupported,
        Self::Other,
        Self::TokenFileUnreadable,
        Self::IdentityUnavailable,
        Self::NotSigned,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecretWrong => "secret-wrong",
            Self::SecretExpired => "secret-expired",
            Self::AssertionRefused => "assertion-refused",
            Self::AssertionTime => "assertion-time",
            Self::CertificateRefused => "certificate-refused",
            Self::FederationUnknown => "federation-unknown",
            Self::KindUnsupported => "kind-unsupported",
            Self::Other => "other",
            Self::TokenFileUnreadable => "token-file-unreadable",
            Self::IdentityUnavailable => "identity-unavailable",
            Self::NotSigned => "not-signed",
        }
    }

    /// Whether nobody refused it: it could not be sent, and may be soon.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::TokenFileUnreadable | Self::IdentityUnavailable | Self::NotSigned)
    }

    /// What an operator can do about it.
    pub(super) const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::SecretWrong => "compare it with the Value under Certificates & secrets",
            Self::SecretExpired => "make a new one under Certificates & secrets and put it first",
            Self::AssertionRefused => "upload the certificate under Certificates & secrets",
            Self::AssertionTime => "see that this machine's clock is right",
            Self::CertificateRefused => "make a new certificate, upload it and put it first",
            Self::FederationUnknown => {
                "compare issuer, subject and audience, letter by letter, under Certificates & \
                 secrets, Federated credentials"
            }
            Self::KindUnsupported => "use a client secret",
            Self::Other
            | Self::TokenFileUnreadable
            | Self::IdentityUnavailable
            | Self::NotSigned => return None,
        })
    }

    /// Whether an answer is about the credential, so that the next one may do; the code was not
    /// looked at then (azure.md, sections 3.2 and 5.2).
    pub(in crate::relying_party) fn of(refusal: &TokenRefusal) -> Option<Self> {
        if refusal.is_temporary() {
            return None;
        }
        let is_unauthenticated = refusal.error == "invalid_client";
        let fault = match refusal.code.as_deref() {
            Some(code) => Self::of_code(code, is_unauthenticated)?,
            None => Self::Other,
        };
        // RFC 6749, section 5.2: client authentication failed. Entra ID says of federated tokens
        // that the request is invalid, too.
        (is_unauthenticated || fault == Self::FederationUnknown).then_some(fault)
    }

    fn of_code(code: &str, is_unauthenticated: bool) -> Option<Self> {
        Some(match code {
            "AADSTS7000215" => Self::SecretWrong,
            "AADSTS7000222" => Self::SecretExpired,
            "AADSTS50012" | "AADSTS50027" | "AADSTS50048" | "AADSTS700027" => {
                Self::AssertionRefused
            }
            "AADSTS700024" => Self::AssertionTime,
            "AADSTS7000214" | "AADSTS7000274" | "AADSTS7000277" | "AADSTS1000502" => {
                Self::CertificateRefused
            }
            "AADSTS70021" | "AADSTS70025" | "AADSTS700211" | "AADSTS700212" | "AADSTS700213"
            | "AADSTS700222" | "AADSTS700229" | "AADSTS7002138" => Self::FederationUnknown,
            "AADB2C99027" => Self::KindUnsupported,
            _ if is_unauthenticated && !is_whatever_the_credential(code) => Self::Other,
            _ => return None,
        })
    }
}

/// Whether every credential is answered with this code: to try the next would send the member's
/// code once more, and blame each credential in turn for what is none's fault. AADSTS7000218, that
/// there was none, is not among them: a header or a form may be lost on the way, and another kind
/// is sent in another way.
fn is_whatever_the_credential(code: &str) -> bool {
    match code {
        // No such tenant; no such application in it, or it is switched off.
        "AADSTS90002" | "AADSTS700016" | "AADSTS70001" | "AADSTS1000031" | "AADSTS7000112" => true,
        // The application is registered as one that sends none.
        "AADSTS700025" | "AADB2C90084" => true,
        // The request itself cannot be read.
        "AADSTS90081" | "AADSTS900144" | "AADB2C90083" | "AADB2C90086" => true,
        // About the member, or about the code, such as AADSTS54005: it was looked at already.
        _ => catalogue::find(code).is_some_and(|entry| entry.class != Class::Operator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(error: &'static str, code: Option<&str>) -> Option<CredentialFault> {
        CredentialFault::of(&TokenRefusal {
            status: http::StatusCode::BAD_REQUEST,
            error,
            code: code.map(str::to_owned),
            trail: Box::default(),
        })
    }

    #[test]
    fn oidc_12_only_answers_about_the_credential_lead_to_the_next() {
        for (code, expected) in [
            ("AADSTS7000215", Some(CredentialFault::SecretWrong)),
            ("AADSTS7000222", Some(CredentialFault::SecretExpired)),
            ("AADSTS700027", Some(CredentialFault::AssertionRefused)),
            ("AADSTS50012", Some(CredentialFault::AssertionRefused)),
            ("AADSTS700024", Some(CredentialFault::AssertionTime)),
            ("AADSTS7000214", Some(CredentialFault::CertificateRefused)),
            ("AADSTS700213", Some(CredentialFault::FederationUnknown)),
            ("AADSTS7002138", Some(CredentialFault::FederationUnknown)),
            ("AADSTS70025", Some(CredentialFault::FederationUnknown)),
            ("AADSTS700222", Some(CredentialFault::FederationUnknown)),
            ("AADB2C90081", Some(CredentialFault::Other)),
            ("AADB2C99027", Some(CredentialFault::KindUnsupported)),
            ("AADSTS7000218", Some(CredentialFault::Other)),
            ("AADSTS9999999", Some(CredentialFault::Other)),
            ("AADSTS90081", None),
            ("AADSTS700016", None),
            ("AADSTS7000112", None),
            ("AADSTS700025", None),
            ("AADB2C90084", None),
            ("AADSTS54005", None),
            ("AADSTS70008", None),
            ("AADB2C90080", None),
            ("AADSTS90033", None),
        ] {
            assert_eq!(fault("invalid_client", Some(code)), expected, "{code}");
            let elsewhere = expected.filter(|fault| *fault == CredentialFault::FederationUnknown);
            assert_eq!(fault("invalid_request", Some(code)), elsewhere, "{code}");
        }
        assert_eq!(fault("invalid_client", None), Some(CredentialFault::Other));
        assert_eq!(fault("invalid_grant", None), None);
        assert_eq!(fault("invalid_grant", Some("AADSTS9999999")), None);
    }
}
