//! `keys`: those that sign what portals are told, made, exchanged and published. Of each algorithm
//! a file has the one that signs, the next one, and the one before: what signs was published long
//! before, and stays so while anything that it signed is valid (ENV-04).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{FAILED, complain, say};
use crate::clock::Clock;
use crate::config::{any_duration, key_file};
use crate::gate::{Secret, Timestamp};
use crate::signing_key::{SigningAlgorithm, SigningKey, SigningKeyError};
use crate::telemetry::causes;

/// More bytes than a file of keys has.
const LONGEST: u64 = 64 * 1024;
/// Portals may keep the published keys for five minutes. The next key has to be among them.
const KNOWN_AFTER: Duration = Duration::from_secs(10 * 60);

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a file of keys: the one that signs, and the next one
    #[command(after_help = "Example: anteport keys generate --file /etc/anteport/signing_keys.pem")]
    Generate {
        /// The file, which must not be there yet
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// How they sign; several algorithms may share a file
        #[arg(long, value_enum, default_value = "ES256")]
        algorithm: Vec<Algorithm>,
    },
    /// Sign with the next key from now on, and make another next one
    ///
    /// Running Anteports read the file again within five seconds. Run it on a schedule with
    /// `--older-than`, which does nothing before its time.
    #[command(after_help = "Examples:\n  anteport keys rotate --file signing_keys.pem\n  \
                            anteport keys rotate --file signing_keys.pem --older-than 30d")]
    Rotate {
        /// The file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Only if the file was last written so long ago, such as `30d`
        #[arg(long, value_name = "TIME")]
        older_than: Option<String>,
        /// Somebody else has seen the keys: make all anew, at once. What was signed is refused
        #[arg(long)]
        stolen: bool,
    },
    /// Print the public halves, as they are at /.auth/jwks.json
    #[command(after_help = "Example: anteport keys jwks --file /etc/anteport/signing_keys.pem")]
    Jwks {
        /// The file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// How keys sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Algorithm {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "RS256")]
    Rs256,
}

impl From<Algorithm> for SigningAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Es256,
            Algorithm::EdDsa => Self::EdDsa,
            Algorithm::Rs256 => Self::Rs256,
        }
    }
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error("{} is there already: `keys rotate` exchanges its keys", .0.display())]
    There(PathBuf),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    File(#[from] crate::config::KeyFileError),
    #[error("the keys of {} cannot be used", path.display())]
    Keys {
        path: PathBuf,
        #[source]
        cause: SigningKeyError,
    },
    #[error("no key could be made")]
    Made(#[source] SigningKeyError),
    #[error("`--older-than` is a time with its unit, such as `30d` or `12h`")]
    OlderThan,
    #[error(
        "the file was written {} s ago, and portals may not know its next key before {} s: wait, \
         or say `--stolen` if its keys are in other hands",
        .0.as_secs(),
        KNOWN_AFTER.as_secs()
    )]
    Early(Duration),
}

/// A key, and as it is written.
type Written = (SigningKey, Secret<String>);

/// Does it.
#[must_use]
pub(super) fn run(keys: Keys) -> ExitCode {
    let done = match keys {
        Keys::Generate { file, algorithm } => generate(&file, &algorithm),
        Keys::Rotate { file, older_than, stolen } => {
            rotate(&file, older_than.as_deref(), stolen, Clock::system().now())
        }
        Keys::Jwks { file } => read(&file).map(|keys| {
            let all: Vec<&Value> = keys.iter().map(|(key, _)| key.public()).collect();
            say(&json!({ "keys": all }).to_string());
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", causes(&error)));
            ExitCode::from(FAILED)
        }
    }
}

fn generate(path: &Path, algorithms: &[Algorithm]) -> Result<(), KeysError> {
    let mut keys = Vec::new();
    for algorithm in algorithms {
        keys.push(make((*algorithm).into())?);
        keys.push(make((*algorithm).into())?);
    }
    let failed = |cause: io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => KeysError::There(path.to_owned()),
        _ => KeysError::Write { path: path.to_owned(), cause },
    };
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    put(options.map_err(failed)?, &keys).map_err(failed)?;
    say(&format!("{} has {} keys; name it in `signing.keys`", path.display(), keys.len()));
    for (key, _) in &keys {
        say(&format!("  {} {}", key.algorithm().name(), key.id()));
    }
    Ok(())
}

fn rotate(
    path: &Path,
    older_than: Option<&str>,
    stolen: bool,
    now: Timestamp,
) -> Result<(), KeysError> {
    let older_than = older_than.map(|text| any_duration(text).ok_or(KeysError::OlderThan));
    let failed = |cause| KeysError::Write { path: path.to_owned(), cause };
    // A link stays one, and what it leads to is written.
    let file = fs::canonicalize(path).map_err(failed)?;
    // Of two who do this at once, the second waits, and then finds the file to be new.
    let one_at_a_time = File::open(&file).map_err(failed)?;
    one_at_a_time.lock().map_err(failed)?;
    let metadata = fs::metadata(&file).map_err(failed)?;
    let age = now.since(Timestamp::from_unix_seconds(metadata.mtime()));
    if let Some(least) = older_than.transpose()?
        && age < least
        && !stolen
    {
        say(&format!("the keys are {} s old: nothing is to be done yet", age.as_secs()));
        return Ok(());
    }
    if age < KNOWN_AFTER && !stolen {
        return Err(KeysError::Early(age));
    }
    let keys = rotated(read(&file)?, stolen)?;
    replace(&file, &metadata, &keys).map_err(failed)?;
    for (key, _) in &keys {
        say(&format!("{} {}", key.algorithm().name(), key.id()));
    }
    Ok(())
}

/// Whoever reads the file finds all of the old keys or all of the new ones, and may read it as before.
fn replace(file: &Path, metadata: &fs::Metadata, keys: &[Written]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // Somebody was interrupted here.
    let _ = fs::remove_file(&new);
    let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let done = fchown(&out, Some(metadata.uid()), Some(metadata.gid()))
        .and_then(|()| out.set_permissions(metadata.permissions()))
        .and_then(|()| put(out, keys))
        .and_then(|()| fs::rename(&new, file));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// Of each algorithm: the next one, a new one, and the one that signed until now.
fn rotated(keys: Vec<Written>, stolen: bool) -> Result<Vec<Written>, KeysError> {
    let mut all = Vec::new();
    for algorithm in SigningAlgorithm::ALL {
        let mut of_it = Vec::new();
        let mut known = keys.iter().filter(|(key, _)| key.algorithm() == algorithm);
        let (signs, next) = (known.next(), known.next());
        let Some(signs) = signs else {
            continue;
        };
        match (stolen, next) {
            (true, _) => of_it.extend([make(algorithm)?, make(algorithm)?]),
            // It has to be known before it signs.
            (false, None) => of_it.extend([again(signs)?, make(algorithm)?]),
            (false, Some(next)) => of_it.extend([again(next)?, make(algorithm)?, again(signs)?]),
        }
        all.append(&mut of_it);
    }
    Ok(all)
}

fn again((_, pem): &Written) -> Result<Written, KeysError> {
    let mut keys = SigningKey::read_each(pem.expose().as_bytes()).map_err(KeysError::Made)?;
    keys.pop().ok_or(KeysError::Made(SigningKeyError::None))
}

fn make(algorithm: SigningAlgorithm) -> Result<Written, KeysError> {
    SigningKey::generate(algorithm).map_err(KeysError::Made)
}

fn read(path: &Path) -> Result<Vec<Written>, KeysError> {
    let pem = key_file(path, LONGEST)?;
    let failed = |cause| KeysError::Keys { path: path.to_owned(), cause };
    SigningKey::read_each(&pem).map_err(failed)
}

fn put(mut file: File, keys: &[Written]) -> io::Result<()> {
    for (_, pem) in keys {
        file.write_all(pem.expose().as_bytes())?;
    }
    file.sync_all()
}
