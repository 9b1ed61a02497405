//! Certificates and keys, from PEM files to what rustls takes. A key fits its certificate, and is
//! not readable by others (CRY-02).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use url::Url;

use super::context::{Context, Located, Spot};
use super::file::TlsFile;
use super::secrets::{permissions, read_bounded, reason};
use super::value::bare_host;
use crate::gate::Secret;

/// The largest PEM file; all the roots that browsers know are a quarter of it.
const LARGEST: u64 = 1024 * 1024;

/// A chain and its key as they stand in their files.
type Pem = (Vec<u8>, Secret<Vec<u8>>);
/// The certificates of a file, and its text.
type Chain = (Vec<CertificateDer<'static>>, Vec<u8>);

/// Loads the listener's certificate chain and key; `None` if something was reported.
pub(super) fn certified_key(
    context: &Context<'_>,
    folder: &Path,
    tls: &TlsFile,
) -> Option<Arc<CertifiedKey>> {
    certified(context, folder, tls).map(|(certified, _)| certified)
}

/// The same for a library that reads them itself: what it is given fits together.
pub(super) fn certified_pem(context: &Context<'_>, folder: &Path, tls: &TlsFile) -> Option<Pem> {
    certified(context, folder, tls).map(|(_, pem)| pem)
}

fn certified(
    context: &Context<'_>,
    folder: &Path,
    tls: &TlsFile,
) -> Option<(Arc<CertifiedKey>, Pem)> {
    let chain = tls.certificate.as_ref().and_then(|file| chain(context, folder, file));
    let key = tls.key.as_ref().and_then(|file| key(context, folder, file));
    let ((chain, chain_pem), (key, key_pem), file) = (chain?, key?, tls.key.as_ref()?);
    match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
        Ok(certified) => Some((Arc::new(certified), (chain_pem, key_pem))),
        Err(error) => {
            let message = match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "the key does not belong to the first certificate of the chain".to_owned()
                }
                // It names neither, so it is known to be one of them and not which.
                error => format!("certificate and key cannot be used: {error}"),
            };
            context.error(&file.spot, message);
            None
        }
    }
}

/// Warns of portals whose host the certificate is not for.
pub(super) fn check_hosts<'a>(
    context: &Context<'_>,
    certified: &CertifiedKey,
    portals: impl Iterator<Item = &'a Located<Url>>,
) {
    for url in portals {
        if !is_for_host(certified, &url.value) {
            let message = "the certificate of `listen.tls` is not for this host, so browsers will \
                           refuse it";
            context.warn(&url.spot, message);
        }
    }
}

/// Whether a certificate is for the host of this URL. The key was compared with it, so it can be
/// read.
pub(crate) fn is_for_host(certified: &CertifiedKey, url: &Url) -> bool {
    let certificate = certified.end_entity_cert().and_then(ParsedCertificate::try_from);
    let name = ServerName::try_from(bare_host(url));
    certificate.is_ok_and(|certificate| {
        name.is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    })
}

/// The certificates that a server may show instead of one from the system's authorities.
pub(super) fn trusted(
    context: &Context<'_>,
    folder: &Path,
    files: &[Located<PathBuf>],
) -> Option<Vec<CertificateDer<'static>>> {
    let read = trusted_files(context, folder, files)?;
    Some(read.into_iter().flat_map(|(certificates, _)| certificates).collect())
}

/// The same for a library that reads them itself.
pub(super) fn trusted_pem(
    context: &Context<'_>,
    folder: &Path,
    files: &[Located<PathBuf>],
) -> Option<Vec<u8>> {
    let read = trusted_files(context, folder, files)?;
    let pem: Vec<_> = read.into_iter().map(|(_, pem)| pem).collect();
    // The last line of a file may have no end.
    Some(pem.join(&b'\n'))
}

fn trusted_files(
    context: &Context<'_>,
    folder: &Path,
    files: &[Located<PathBuf>],
) -> Option<Vec<Chain>> {
    let mut all = Some(Vec::new());
    for file in files {
        let read = chain(context, folder, file).filter(|(certificates, _)| {
            let mut roots = RootCertStore::empty();
            let refused =
                certificates.iter().find_map(|certificate| roots.add(certificate.clone()).err());
            if let Some(error) = &refused {
                let message = format!("{} has a certificate to distrust: {error}", file.shown);
                context.error(&file.spot, message);
            }
            refused.is_none()
        });
        all = all.zip(read).map(|(mut all, read)| {
            all.push(read);
            all
        });
    }
    all
}

pub(super) fn certificates(
    context: &Context<'_>,
    folder: &Path,
    file: &Located<PathBuf>,
) -> Option<Vec<CertificateDer<'static>>> {
    chain(context, folder, file).map(|(certificates, _)| certificates)
}

fn chain(context: &Context<'_>, folder: &Path, file: &Located<PathBuf>) -> Option<Chain> {
    let pem = pem_file(context, folder, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let message = match read {
        Ok(certificates) if !certificates.is_empty() => return Some((certificates, pem)),
        Ok(_) => format!("there is no certificate in {} (PEM)", file.shown),
        Err(error) => format!("{} is not a PEM file: {}", file.shown, named(&error)),
    };
    context.error(&file.spot, message);
    None
}

pub(super) fn private_key(
    context: &Context<'_>,
    folder: &Path,
    file: &Located<PathBuf>,
) -> Option<PrivateKeyDer<'static>> {
    key(context, folder, file).map(|(key, _)| key)
}

fn key(
    context: &Context<'_>,
    folder: &Path,
    file: &Located<PathBuf>,
) -> Option<(PrivateKeyDer<'static>, Secret<Vec<u8>>)> {
    check_permissions(context, folder, file)?;
    let pem = Secret::new(pem_file(context, folder, file)?);
    let key = key_of_pem(context, &file.spot, &file.shown, pem.expose())?;
    Some((key, pem))
}

/// The same from a variable of the environment, whose text this is.
pub(super) fn private_key_of(
    context: &Context<'_>,
    name: &Located<String>,
    pem: &Secret<String>,
) -> Option<PrivateKeyDer<'static>> {
    key_of_pem(context, &name.spot, "the environment variable", pem.expose().as_bytes())
}

fn key_of_pem(
    context: &Context<'_>,
    spot: &Spot,
    source: &str,
    pem: &[u8],
) -> Option<PrivateKeyDer<'static>> {
    let message = match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => return Some(key),
        Err(pem::Error::NoItemsFound) => {
            format!("there is no unencrypted private key in {source} (PEM)")
        }
        Err(error) => format!("{source} is not a PEM file: {}", named(&error)),
    };
    context.error(spot, message);
    None
}

/// CRY-02. The group may read: that is how Kubernetes hands a key to a process that is not root.
pub(super) fn check_permissions(
    context: &Context<'_>,
    folder: &Path,
    file: &Located<PathBuf>,
) -> Option<()> {
    let Some(mode) = permissions(&folder.join(&file.value)) else {
        return Some(()); // Reading it says why.
    };
    if mode & 0o027 != 0 {
        let message = format!(
            "{} has mode {mode:04o}: others than its owner and group can get at the key, or its \
             group can change it; `chmod 0640` or `0600` (Kubernetes: `defaultMode: 0440`)",
            file.shown
        );
        context.error(&file.spot, message);
        return None;
    }
    if mode & 0o040 != 0 {
        let message = format!(
            "the group of {} can read the key (mode {mode:04o}); see that only this program is \
             in it",
            file.shown
        );
        context.warn(&file.spot, message);
    }
    Some(())
}

fn pem_file(context: &Context<'_>, folder: &Path, file: &Located<PathBuf>) -> Option<Vec<u8>> {
    let path = folder.join(&file.value);
    context.reads(&path);
    match read_bounded(&path, LARGEST) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {}", file.shown, reason(&error));
            context.error(&file.spot, message);
            None
        }
    }
}

/// Without the text of the file, which some of these errors carry.
const fn named(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins with a malformed line",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        pem::Error::NoItemsFound => "it has no section that is wanted here",
        _ => "it cannot be read",
    }
}
