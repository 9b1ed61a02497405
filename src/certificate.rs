//! What a certificate says of itself: when it ends, which key it is for, and by which thumbprints
//! others know it. Nothing is verified here, and nothing is trusted for it: these certificates are
//! our own, or stand for somebody in the emulator.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::gate::Timestamp;

/// What was read of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    ends: Timestamp,
    rsa_public_key: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one from DER, and nothing behind it.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let public_key = certificate.public_key();
        let is_rsa = matches!(public_key.parsed(), Ok(PublicKey::RSA(_)));
        rest.is_empty().then(|| Self {
            der: der.to_vec(),
            ends: Timestamp::from_unix_seconds(certificate.validity().not_after.timestamp()),
            rsa_public_key: is_rsa.then(|| public_key.subject_public_key.data.to_vec()),
        })
    }

    /// As it was read.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// `notAfter`.
    pub(crate) const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Its key as an `RSAPublicKey` (RFC 8017, appendix A.1.1), if it is one.
    pub(crate) fn rsa_public_key(&self) -> Option<&[u8]> {
        self.rsa_public_key.as_deref()
    }

    /// `x5t#S256` of RFC 7515, section 4.1.8.
    pub(crate) fn sha256_thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.der))
    }

    /// `x5t` of RFC 7515, section 4.1.7. It names the certificate and proves nothing.
    pub(crate) fn sha1_thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der))
    }

    /// The same as Graph writes it: in hexadecimal, or in base64.
    pub(crate) fn sha1_in_graph(&self) -> [String; 2] {
        let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        let hex = thumbprint.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        [hex, STANDARD.encode(thumbprint)]
    }
}

/// Modulus and exponent of an `RSAPublicKey`, without leading zeros (RFC 7518, section 6.3.1).
pub(crate) fn rsa_parts(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, key) = x509_parser::public_key::RSAPublicKey::from_der(der).ok()?;
    let without_zeros = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().to_vec()
    };
    Some((without_zeros(key.modulus), without_zeros(key.exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_when_it_ends_and_whose_key_it_has() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2027, 3, 1);
        let made = parameters.self_signed(&key).unwrap();
        let read = Certificate::read(made.der()).unwrap();
        assert_eq!(read.ends(), Timestamp::from_unix_seconds(1_803_859_200));
        assert_eq!(read.rsa_public_key().map(<[u8]>::len), Some(270));
        assert_eq!((read.sha1_thumbprint().len(), read.sha256_thumbprint().len()), (27, 43));

        let elliptic = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        assert_eq!(Certificate::read(elliptic.cert.der()).unwrap().rsa_public_key(), None);
        let der = made.der().to_vec();
        for broken in [&der[..der.len() - 1], &[&der[..], b"\0"].concat(), b""] {
            assert!(Certificate::read(broken).is_none());
        }
    }
}
