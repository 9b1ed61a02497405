//! The public half of a key in the forms that other gates publish: PEM, and a certificate. Each is
//! the same on every node, because it follows from the key alone.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SerialNumber};

use super::{Pair, SigningKey};

impl SigningKey {
    /// A `SubjectPublicKeyInfo` in PEM (RFC 7468, section 13).
    #[must_use]
    pub fn public_pem(&self) -> Option<String> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::P256(pair) => pair.public_key().as_der().ok()?,
            Pair::Ed25519(pair) => Ed25519KeyPair::public_key(pair).as_der().ok()?,
            Pair::Rsa(pair) => pair.public_key().as_der().ok()?,
        };
        Some(pem("PUBLIC KEY", der.as_ref()))
    }

    /// A certificate that an RSA key signs for itself, in PEM: for verifiers that take no bare key.
    /// It proves nothing. It is made once.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        let made = self.certificate.get_or_init(|| {
            let key = Rsa { key: self, public: self.rsa()?.public_key().as_ref() };
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name = DistinguishedName::new();
            parameters.distinguished_name.push(DnType::CommonName, "anteport");
            // A number from the key, so that all nodes make the same certificate. Its first bit is
            // not set, and some bit is (RFC 5280, section 4.1.2.2).
            let mut serial = digest(&SHA256, self.id.as_bytes()).as_ref().get(..16)?.to_vec();
            if let Some(first) = serial.first_mut() {
                *first = (*first & 0x7f) | 0x40;
            }
            parameters.serial_number = Some(SerialNumber::from(serial));
            let certificate = parameters.self_signed(&key).ok()?;
            Some(pem("CERTIFICATE", certificate.der()))
        });
        made.as_deref()
    }

    fn rsa(&self) -> Option<&aws_lc_rs::rsa::KeyPair> {
        match &self.pair {
            Pair::Rsa(pair) => Some(pair),
            Pair::P256(_) | Pair::Ed25519(_) => None,
        }
    }
}

/// As the maker of certificates wants to see an RSA key.
struct Rsa<'k> {
    key: &'k SigningKey,
    public: &'k [u8],
}

impl PublicKeyData for Rsa<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Rsa<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// RFC 7468, section 2.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
