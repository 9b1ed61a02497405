//! What signs for portals: keys of `signing.keys`, and the secrets of portals that share one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::context::{Context, Located};
use super::file::{AssertionFile, PortalFile, SecretFile, secret};
use super::secrets::{self, KeyFileError, key_file, reason};
use super::section::Section;
use super::{Portal, Sessions, Store, tls};
use crate::gate::Secret;
use crate::signing_key::{SigningAlgorithm, SigningKey, SigningKeyError};

/// The longest file of keys, in bytes.
const LONGEST: u64 = 64 * 1024;
/// What makes keys, and where they are named.
const MAKE_SOME: &str = "`anteport keys generate --file FILE` makes some";

/// How the assertions of one portal are signed, or the requests to it.
#[derive(Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// By a key of `signing.keys`, or one that is made at start.
    Key(SigningAlgorithm),
    /// By a secret that the portal has too (HS256 or hmac-sha256), of 32 bytes or more.
    Secret(Secret<Vec<u8>>),
}

/// The keys that sign: the first of an algorithm signs, and all are published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningKeys(Vec<Source>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Fixed(Secret<String>),
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeysError {
    /// Their file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// What is in it cannot be.
    #[error("cannot use the keys of {name}")]
    Keys {
        /// Where they stand.
        name: String,
        /// Why.
        #[source]
        cause: SigningKeyError,
    },
    /// Portals need this.
    #[error("none of the keys signs {0}")]
    Missing(&'static str),
}

impl SigningKeys {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys as they are now; their files are read.
    ///
    /// # Errors
    /// What is the matter with the first that cannot be used.
    pub fn read(&self) -> Result<Vec<Arc<SigningKey>>, SigningKeysError> {
        let mut keys: Vec<Arc<SigningKey>> = Vec::new();
        for source in &self.0 {
            let (name, found) = source.read()?;
            for key in found {
                if keys.iter().any(|known| known.id() == key.id()) {
                    return Err(SigningKeysError::Keys { name, cause: SigningKeyError::Twice });
                }
                keys.push(Arc::new(key));
            }
        }
        Ok(keys)
    }
}

impl Source {
    fn read(&self) -> Result<(String, Vec<SigningKey>), SigningKeysError> {
        let (name, pem) = match self {
            Self::File(path) => (path.display().to_string(), key_file(path, LONGEST)?),
            Self::Fixed(pem) => ("the value".to_owned(), pem.expose().clone().into_bytes()),
        };
        match SigningKey::read_all(&pem) {
            Ok(keys) => Ok((name, keys)),
            Err(cause) => Err(SigningKeysError::Keys { name, cause }),
        }
    }
}

/// What an operator wrote at `signing`.
pub(super) struct SigningFile {
    keys: Vec<SecretFile>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> SigningFile {
    SigningFile { keys: section.sections("keys").iter().map(secret).collect() }
}

/// Resolves the section; `None` if something was reported. Every key can be used now.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &SigningFile,
    folder: &Path,
) -> Option<SigningKeys> {
    let mut sources = Some(SigningKeys::default());
    let mut known: Vec<String> = Vec::new();
    for file in &file.keys {
        // One that cannot be used does not keep the others from being reported.
        sources = sources.zip(source(context, file, folder, &mut known)).map(|(mut all, one)| {
            all.0.push(one);
            all
        });
    }
    sources
}

fn source(
    context: &Context<'_>,
    file: &SecretFile,
    folder: &Path,
    known: &mut Vec<String>,
) -> Option<Source> {
    secrets::check_source(context, file)?;
    let (source, spot) = if let Some(file) = &file.file {
        tls::check_permissions(context, folder, file)?;
        (Source::File(folder.join(&file.value)), &file.spot)
    } else if let Some(name) = &file.env {
        (Source::Fixed(secrets::from_environment(context, name)?), &name.spot)
    } else {
        let value = file.value.as_ref()?;
        secrets::warn_of_value(context, value);
        (Source::Fixed(value.value.clone()), &value.spot)
    };
    let message = match source.read() {
        Ok((_, keys)) => {
            let twin = keys.iter().find(|key| known.iter().any(|id| id == key.id()));
            if twin.is_none() {
                known.extend(keys.iter().map(|key| key.id().to_owned()));
                return Some(source);
            }
            "one of these keys is in the list already; remove it".to_owned()
        }
        Err(SigningKeysError::File(KeyFileError::Unreadable { cause, .. })) => {
            let advice = match cause.kind() {
                ErrorKind::NotFound => format!("; {MAKE_SOME}"),
                _ => String::new(),
            };
            format!("cannot read the keys: {}{advice}", reason(&cause))
        }
        Err(SigningKeysError::Keys { cause, .. }) => format!("{cause}; {MAKE_SOME}"),
        Err(error) => error.to_string(),
    };
    context.error(spot, message);
    None
}

/// How a portal's assertions are signed; `None` if something was reported.
pub(super) fn signed_by(
    context: &Context<'_>,
    algorithm: Option<&Located<Option<SigningAlgorithm>>>,
    secret: Option<&Option<SecretFile>>,
    folder: &Path,
) -> Option<SignedBy> {
    let (algorithm, secret) = (algorithm?, secret?);
    match (algorithm.value, secret) {
        (Some(algorithm), None) => Some(SignedBy::Key(algorithm)),
        (Some(found), Some(secret)) => {
            let message = format!(
                "{} is signed by a key of `signing`: remove this, or write `algorithm: HS256`",
                found.name()
            );
            context.error(&secret.spot, message);
            None
        }
        (None, Some(secret)) => {
            let what = "HS256 takes a secret of 32 bytes or more (RFC 7518, section 3.2)";
            shared_secret(context, secret, folder, what).map(SignedBy::Secret)
        }
        (None, None) => {
            let message = "HS256 needs a `secret` that the portal has too: \
                           `(umask 077; openssl rand -base64 32 > FILE)` makes one, and \
                           `secret: { file: FILE }` names it";
            context.error(&algorithm.spot, message);
            None
        }
    }
}

/// The secret that a portal shares, for what takes 32 bytes or more; `None` if it was reported.
pub(super) fn shared_secret(
    context: &Context<'_>,
    file: &SecretFile,
    folder: &Path,
    what: &str,
) -> Option<Secret<Vec<u8>>> {
    let text = secrets::password(context, folder, file)?;
    let secret = secret_in(&text);
    if secret.is_none() {
        let message = format!("{what}, in base64, as `openssl rand -base64 32` writes it");
        context.error(&file.spot, message);
    }
    secret
}

/// The secret that is written there: 32 bytes or more, in base64.
pub(crate) fn secret_in(text: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let bytes = STANDARD.decode(text.expose().trim()).ok();
    bytes.filter(|bytes| bytes.len() >= 32).map(Secret::new)
}

/// Who has a portal's secret can say to it who is asking, so no two portals have the same. What one
/// portal gets may all be signed by one: an assertion is never a signature base, which begins with
/// a quotation mark.
pub(super) fn secrets_are_of_one(context: &Context<'_>, files: &[PortalFile], portals: &[Portal]) {
    let mut known: Vec<(&Secret<Vec<u8>>, &Url)> = Vec::new();
    for (file, portal) in files.iter().zip(portals) {
        let identity = &portal.identity;
        let assertion = identity.assertion.as_ref().map(|assertion| &assertion.signed_by);
        let signature = identity.signature.as_ref().map(|signature| &signature.signed_by);
        let mut own = Vec::new();
        for (signed_by, written) in [assertion, signature].into_iter().zip(written_secrets(file)) {
            let Some(SignedBy::Secret(secret)) = signed_by else {
                continue;
            };
            let twin = known.iter().find(|(known, _)| known.expose() == secret.expose());
            if let (Some((_, of)), Some(written)) = (twin, written) {
                let message = format!(
                    "{of} has this secret too, and could sign for this portal: make one for each"
                );
                context.error(&written.spot, message);
            }
            own.push((secret, &portal.public_url));
        }
        known.extend(own);
    }
}

/// Of the assertion, and of the signature.
fn written_secrets(file: &PortalFile) -> [Option<&SecretFile>; 2] {
    let identity = file.identity.as_ref();
    let of_assertion = identity.and_then(|identity| match &identity.assertion {
        AssertionFile::On(on) => on.secret.as_ref()?.as_ref(),
        AssertionFile::Off | AssertionFile::Unreadable => None,
    });
    let signature = identity.and_then(|identity| identity.signature.on());
    [of_assertion, signature.and_then(|on| on.secret.as_ref()?.as_ref())]
}

/// What portals are signed for with is there, on all nodes.
pub(super) fn meet_portals(
    context: &Context<'_>,
    keys: &SigningKeys,
    portals: &[PortalFile],
    sessions: &Sessions,
) {
    // What cannot be read was reported.
    let found = keys.read().unwrap_or_default();
    let identities = portals.iter().filter_map(|portal| portal.identity.as_ref());
    let algorithms = identities.flat_map(|identity| {
        let of_assertion = match &identity.assertion {
            AssertionFile::On(on) => on.algorithm.as_ref(),
            AssertionFile::Off | AssertionFile::Unreadable => None,
        };
        let signature = identity.signature.on();
        [of_assertion, signature.and_then(|on| on.algorithm.as_ref())].into_iter().flatten()
    });
    let by_keys = algorithms.filter_map(|written| Some((&written.spot, written.value?)));
    let identities = portals.iter().filter_map(|portal| portal.identity.as_ref());
    let by_presets = identities.flat_map(|identity| identity.presets.algorithms());
    let mut by_keys = by_keys.chain(by_presets);
    if !keys.is_empty() {
        for (spot, algorithm) in by_keys {
            if !found.iter().any(|key| key.algorithm() == algorithm) {
                let name = algorithm.name();
                let message = format!(
                    "none of `signing.keys` signs {name}: `anteport keys generate --algorithm \
                     {name} --file FILE` makes some"
                );
                context.error(spot, message);
            }
        }
    } else if !matches!(sessions.store, Store::Memory { .. })
        && let Some((spot, _)) = by_keys.next()
    {
        let message = "every node makes a key of its own at its start, which portals know of that \
                       node alone: name the same `signing.keys` on all nodes";
        context.warn(spot, message);
    }
}
