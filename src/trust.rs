//! Whom we believe over TLS when we are the one who calls: an identity provider, a portal. The
//! other side's certificate is always verified; nothing here can turn that off.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

/// HTTP/1.1 by ALPN.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
/// HTTP/2 by ALPN.
pub(crate) const HTTP2: &[u8] = b"h2";

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// No certificate to trust.
    #[error("no certificate authority could be loaded from this system")]
    NoRoots,
    /// A certificate or key that TLS does not take.
    #[error("TLS cannot be set up")]
    Unusable(#[source] rustls::Error),
}

/// Trusts these certificates, or those of the system; shows ours, if there is one.
pub(crate) async fn client_config(
    trusted: Option<Vec<CertificateDer<'static>>>,
    own: Option<Arc<CertifiedKey>>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, TrustError> {
    let roots = match trusted {
        Some(trusted) => roots(trusted),
        // It reads files, which must not hold up the other visitors of this worker.
        None => {
            let load = || roots(rustls_native_certs::load_native_certs().certs);
            tokio::task::spawn_blocking(load).await.map_err(|_| TrustError::NoRoots)?
        }
    };
    // Named, never the process default, which somebody else could have set (CRY-01).
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Unusable)?
        .with_root_certificates(roots?);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(TrustError::NoRoots);
    }
    Ok(roots)
}
