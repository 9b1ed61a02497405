//! Where sessions are kept, and the keys that seal what leaves this process: what the program runs
//! on. What an operator writes of it is in `written.rs`, and what that means in `resolve.rs`.

mod redis;
mod resolve;
mod value;
mod written;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ServerAddress;
use super::secrets::{KeyFileError, key_file};
use crate::gate::Secret;

pub(super) use self::resolve::resolve;
pub(super) use self::written::{SessionsFile, read as read_section};

/// Where sessions are kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Store {
    /// In this process.
    Memory {
        /// The file that a planned restart is bridged by.
        snapshot: Option<PathBuf>,
    },
    /// In the visitor's own browser, sealed.
    Cookie {
        /// Where all nodes find what has been ended before its time.
        revocations: Option<Box<Redis>>,
    },
    /// In Redis or Valkey, sealed.
    Redis(Box<Redis>),
}

/// A Redis or Valkey, and how it is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// What stands at the addresses.
    pub mode: RedisMode,
    /// At least one; of a Sentinel or a Cluster, those to ask first.
    pub servers: Vec<ServerAddress>,
    /// `None` is without TLS.
    pub tls: Option<RedisTls>,
    /// The ACL user; `None` is Redis's own `default`.
    pub username: Option<String>,
    /// The password of the user.
    pub password: Option<Secret<String>>,
    /// The number of the database; 0 in a Cluster.
    pub database: i64,
    /// What all names there begin with.
    pub prefix: String,
    /// For an answer, from beginning to end.
    pub timeout: Duration,
    /// For how long after it was lost members go on whose session is known here.
    pub grace: Duration,
}

/// What stands at the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Sentinels, which know who is the primary.
    Sentinel {
        /// What they call it.
        master: String,
        /// The Sentinels' own ACL user.
        username: Option<String>,
        /// And its password.
        password: Option<Secret<String>>,
    },
    /// A Cluster.
    Cluster,
}

/// TLS towards Redis. That its certificate is verified cannot be turned off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// Certificates to trust instead of the system's, in PEM.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and key, in PEM, which fit each other.
    pub certificate: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

/// The keys that seal; the first seals, and all open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealingKeys(Vec<Source>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Fixed(Secret<[u8; 32]>),
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It is not 32 bytes in base64.
    #[error("{0} is not 32 bytes in base64, as `openssl rand -base64 32` writes them")]
    Form(String),
    /// Another has the same bytes.
    #[error("two of the keys are the same")]
    Twice,
}

impl SealingKeys {
    /// Adds a key that stands in a file, which may be written anew.
    #[must_use]
    pub fn and_file(mut self, path: &Path) -> Self {
        self.0.push(Source::File(path.to_owned()));
        self
    }

    /// Adds a key, as it is written.
    ///
    /// # Errors
    /// If it has another form. `name` says in the message which it is.
    pub fn and_text(mut self, name: &str, text: &str) -> Result<Self, SealingKeyError> {
        self.0.push(Source::Fixed(read(name, text)?));
        Ok(self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys as they are now; their files are read.
    ///
    /// # Errors
    /// What is the matter with the first that cannot be used.
    pub fn read(&self) -> Result<Vec<Secret<[u8; 32]>>, SealingKeyError> {
        let mut keys: Vec<Secret<[u8; 32]>> = Vec::new();
        for source in &self.0 {
            let key = match source {
                Source::Fixed(key) => key.clone(),
                Source::File(path) => {
                    let bytes = key_file(path, 1024)?;
                    let name = path.display().to_string();
                    let text = String::from_utf8(bytes);
                    read(&name, text.unwrap_or_default().trim_ascii())?
                }
            };
            if keys.iter().any(|known| known.matches(key.expose())) {
                return Err(SealingKeyError::Twice);
            }
            keys.push(key);
        }
        Ok(keys)
    }
}

fn read(name: &str, text: &str) -> Result<Secret<[u8; 32]>, SealingKeyError> {
    let bytes = STANDARD.decode(text).ok();
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.map(Secret::new).ok_or_else(|| SealingKeyError::Form(name.to_owned()))
}
