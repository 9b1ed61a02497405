//! Why a credential is passed over: the closed list that logs and metrics speak of, and which
//! answers of the token endpoint mean one of them.

use super::super::TokenRefusal;

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
        let is_unauthenticated = refusal.error == "invalid_client";
        let Some(code) = refusal.code.as_deref() else {
            // RFC 6749, section 5.2: client authentication failed.
            return is_unauthenticated.then_some(Self::Other);
        };
        let (is_b2c, number) = match code.strip_prefix("AADB2C") {
            Some(number) => (true, number),
            None => (false, code.strip_prefix("AADSTS").unwrap_or_default()),
        };
        let fault = match (is_b2c, number) {
            (false, "7000215") => Self::SecretWrong,
            (false, "7000222") => Self::SecretExpired,
            (false, "50012" | "50027" | "50048" | "700027") => Self::AssertionRefused,
            (false, "700024") => Self::AssertionTime,
            (false, "7000214" | "7000274" | "7000277" | "1000502") => Self::CertificateRefused,
            (false, "70021" | "700211" | "700212" | "700213" | "7002138" | "700229") => {
                // Seen with `invalid_request` as well.
                return Some(Self::FederationUnknown);
            }
            (false, "70002") | (true, "90081") => Self::Other,
            (true, "99027") => Self::KindUnsupported,
            // About the request or the registration: another credential changes nothing.
            _ => return None,
        };
        is_unauthenticated.then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(error: &str, code: Option<&str>) -> Option<CredentialFault> {
        CredentialFault::of(&TokenRefusal {
            status: http::StatusCode::BAD_REQUEST,
            error: error.to_owned(),
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
            ("AADB2C90081", Some(CredentialFault::Other)),
            ("AADB2C99027", Some(CredentialFault::KindUnsupported)),
            ("AADSTS7000218", None),
            ("AADSTS90081", None),
            ("AADSTS54005", None),
        ] {
            assert_eq!(fault("invalid_client", Some(code)), expected, "{code}");
            let elsewhere = expected.filter(|fault| *fault == CredentialFault::FederationUnknown);
            assert_eq!(fault("invalid_request", Some(code)), elsewhere, "{code}");
        }
        assert_eq!(fault("invalid_client", None), Some(CredentialFault::Other));
        assert_eq!(fault("invalid_grant", None), None);
    }
}
