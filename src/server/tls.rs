//! TLS towards visitors: 1.2 and 1.3 by rustls with aws-lc-rs, HTTP/2 and HTTP/1.1 by ALPN, no
//! early data (HTTP-11, CRY-03).

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

/// The name of HTTP/2 in ALPN (RFC 9113, section 3.2).
pub(super) const H2: &[u8] = b"h2";

/// An acceptor that shows this certificate.
///
/// # Errors
/// When the library refuses its own protocol versions, which is a fault of the build.
pub(super) fn acceptor(certified: &Arc<CertifiedKey>) -> Result<TlsAcceptor, rustls::Error> {
    speaking(vec![H2.to_vec(), b"http/1.1".to_vec()], certified)
}

/// The same for whoever speaks HTTP/2 alone.
///
/// # Errors
/// As [`acceptor`].
pub(super) fn acceptor_of_http2(
    certified: &Arc<CertifiedKey>,
) -> Result<TlsAcceptor, rustls::Error> {
    speaking(vec![H2.to_vec()], certified)
}

fn speaking(
    protocols: Vec<Vec<u8>>,
    certified: &Arc<CertifiedKey>,
) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let resolver: Arc<dyn ResolvesServerCert> =
        Arc::new(SingleCertAndKey::from(Arc::clone(certified)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = protocols;
    config.max_early_data_size = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
