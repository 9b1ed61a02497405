//! Certificates that the emulator makes for itself at each start: that of a signing key, and a
//! private authority with a server certificate for loopback. Worthless elsewhere (CFG-05): no key
//! is written anywhere. `rcgen` is here and in `signing_key/public.rs`, and nowhere else but in
//! the tests.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificate, in DER, with which a signing key is published.
pub(super) fn of_signing_key(key: &RsaKeyPair) -> Vec<u8> {
    let made = || -> Option<Vec<u8>> {
        let key: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().ok()?;
        let key = PrivatePkcs8KeyDer::from(key.as_ref());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_RSA_SHA256).ok()?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "sign-in emulator");
        Some(parameters.self_signed(&key).ok()?.der().to_vec())
    };
    made().expect("a key that was made here gets a certificate")
}

/// TLS for loopback, and the certificate of the authority behind it.
#[derive(Debug)]
pub struct LoopbackTls {
    /// What a client has to trust, in PEM.
    pub authority: String,
    pub(super) server: Arc<ServerConfig>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// It cannot be served.
    #[error("a certificate that was made here cannot be served")]
    Serve(#[from] rustls::Error),
}

impl LoopbackTls {
    /// Makes an authority, and a certificate of it for `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// The system lacks what that needs.
    pub fn new() -> Result<Self, CertificateError> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "sign-in emulator, one start");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut parameters = CertificateParams::new(names)?;
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &authority)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        Ok(Self { authority: authority.pem(), server: Arc::new(server) })
    }
}
