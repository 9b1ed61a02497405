//! A certificate with its private key, as a credential: it signs client assertions. The two belong
//! together, and the key is one that Microsoft takes.

use std::fmt;

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use rustls::pki_types::PrivateKeyDer;

use crate::certificate::Certificate;
use crate::gate::Timestamp;

/// A certificate with its private key, which signs client assertions (`private_key_jwt`).
pub struct ClientCertificate {
    certificate: Certificate,
    key: KeyPair,
    algorithm: AssertionAlgorithm,
}

/// How an assertion is signed, and by what the provider finds the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionAlgorithm {
    /// `PS256`, and the certificate by its SHA-256 (`x5t#S256`).
    Ps256,
    /// `RS256`, and the certificate by its SHA-1 (`x5t`), for servers that know nothing newer.
    Rs256,
}

/// Why certificate and key are no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not X.509.
    #[error("the certificate cannot be read")]
    Certificate,
    /// Microsoft takes RSA keys of 2048 bits and more.
    #[error("the key is not an RSA key of 2048 to 8192 bits")]
    Key,
    /// They are of different pairs.
    #[error("the key does not belong to the certificate")]
    Mismatch,
}

impl ClientCertificate {
    /// Brings a certificate (DER) and its key together.
    ///
    /// # Errors
    /// When they cannot sign together.
    pub fn new(
        certificate: &[u8],
        key: &PrivateKeyDer<'_>,
        algorithm: AssertionAlgorithm,
    ) -> Result<Self, CertificateError> {
        let certificate = Certificate::read(certificate).ok_or(CertificateError::Certificate)?;
        let key = match key {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(CertificateError::Key),
        };
        let key = key.map_err(|_| CertificateError::Key)?;
        match certificate.rsa_public_key() {
            Some(public) if public == key.public_key().as_ref() => {
                Ok(Self { certificate, key, algorithm })
            }
            _ => Err(CertificateError::Mismatch),
        }
    }

    /// When the certificate ends.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.certificate.ends()
    }

    /// How assertions are signed.
    #[must_use]
    pub const fn algorithm(&self) -> AssertionAlgorithm {
        self.algorithm
    }

    pub(crate) const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) const fn key(&self) -> &KeyPair {
        &self.key
    }
}

/// A key is the one that belongs to its certificate.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.certificate.der() == other.certificate.der() && self.algorithm == other.algorithm
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(…)")
    }
}
