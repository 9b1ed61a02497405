//! `keys`: those that sign what portals are told, made, exchanged and published. Of each algorithm
//! a file has the one that signs, the next one, and the one before: what signs was published long
//! before, and stays so while anything that it signed is valid (ENV-04).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{FAILED, complain, say};
use crate::clock::Clock;
use crate::config::{any_duration, key_file, secret_in};
use crate::gate::{Secret, Timestamp};
use crate::identity::secret_jwk;
use crate::signing_key::{SigningAlgorithm, SigningKey, SigningKeyError};
use crate::telemetry::causes;

/// More bytes than a file of keys has.
const LONGEST: u64 = 64 * 1024;
/// Portals may keep the published keys for five minutes. The next key has to be among them.
const KNOWN_AFTER: Duration = Duration::from_secs(10 * 60);
/// What begins the line before the first key that says when the file was written: the time that a
/// file system keeps is another with every copy. PEM has room for it (RFC 7468, section 2).
const WRITTEN: &str = "Written: ";

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
        /// Only if the keys were last exchanged so long ago, such as `30d`
        #[arg(long, value_name = "TIME")]
        older_than: Option<String>,
        /// Somebody else has seen the keys: make all anew, at once. What was signed is refused
        #[arg(long)]
        stolen: bool,
    },
    /// Print the public halves, as they are at /.auth/jwks.json
    #[command(
        group = ArgGroup::new("of").required(true),
        after_help = "Examples:\n  anteport keys jwks --file /etc/anteport/signing_keys.pem\n  \
                      (umask 077; anteport keys jwks --secret portal_secret > portal_keys.json)"
    )]
    Jwks {
        /// The file of keys
        #[arg(long, value_name = "FILE", group = "of")]
        file: Option<PathBuf>,
        /// The file of a portal's secret (HS256): prints it as the key set that this portal's verifier
        /// reads. It is as secret as the file
        #[arg(long, value_name = "FILE", group = "of")]
        secret: Option<PathBuf>,
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
    #[error("there is no {}: `keys generate` makes it", .0.display())]
    Missing(PathBuf),
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
        "the line `Written: …` before the keys of {} is no moment such as 2027-01-15T08:00:00Z, or is \
         there twice: set it right, or remove it and the time of the file counts",
        .0.display()
    )]
    Written(PathBuf),
    #[error(
        "the line `Written: …` before the keys says {0}, which this machine's clock says is yet to \
         come: set the clock right, or the line"
    )]
    WrittenAhead(String),
    #[error(
        "the file's own time is {0}, which this machine's clock says is yet to come: set the clock \
         right, or the time of the file with `touch`"
    )]
    FileAhead(String),
    #[error(
        "{} is no secret of 32 bytes or more in base64, as `openssl rand -base64 32` writes it",
        .0.display()
    )]
    Secret(PathBuf),
    #[error(
        "the file was written, or put where it is, {} s ago, and portals may not know its next key \
         before {} s: wait, or say `--stolen` if its keys are in other hands",
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
        Keys::Generate { file, algorithm } => generate(&file, &algorithm, Clock::system().now()),
        Keys::Rotate { file, older_than, stolen } => {
            rotate(&file, older_than.as_deref(), stolen, Clock::system().now())
        }
        Keys::Jwks { file, secret } => published(file.as_deref(), secret.as_deref()).map(|keys| {
            say(&json!({ "keys": keys }).to_string());
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

fn generate(path: &Path, algorithms: &[Algorithm], now: Timestamp) -> Result<(), KeysError> {
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
    put(options.map_err(failed)?, &keys, now).map_err(failed)?;
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
    let failed = |cause: io::Error| match cause.kind() {
        ErrorKind::NotFound => KeysError::Missing(path.to_owned()),
        _ => KeysError::Write { path: path.to_owned(), cause },
    };
    // A link stays one, and what it leads to is written.
    let file = fs::canonicalize(path).map_err(failed)?;
    // Of two who do this at once, the second waits, and then finds the file to be new.
    let one_at_a_time = File::open(&file).map_err(failed)?;
    one_at_a_time.lock().map_err(failed)?;
    let metadata = fs::metadata(&file).map_err(failed)?;
    let (keys, written) = read(&file)?;
    let Ages { keys: age, published } = match stolen {
        true => Ages { keys: Duration::MAX, published: Duration::MAX },
        false => Ages::of(written?, &metadata, now)?,
    };
    if let Some(least) = older_than.transpose()?
        && age < least
    {
        say(&format!("the keys are {} s old: nothing is to be done yet", age.as_secs()));
        return Ok(());
    }
    if published < KNOWN_AFTER {
        return Err(KeysError::Early(published));
    }
    let keys = rotated(keys, stolen)?;
    replace(&file, &metadata, &keys, now).map_err(failed)?;
    for (key, _) in &keys {
        say(&format!("{} {}", key.algorithm().name(), key.id()));
    }
    Ok(())
}

/// How long ago something became of the keys of a file.
struct Ages {
    /// Since they were made.
    keys: Duration,
    /// Since they could be published at the earliest: those of a copy or a restored backup are old,
    /// and nobody may have seen them before they were put there (ENV-04).
    published: Duration,
}

impl Ages {
    /// By what the file says and by its own time, which alone says it without a line of ours:
    /// somebody else wrote it.
    fn of(
        written: Option<Timestamp>,
        metadata: &fs::Metadata,
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let file = Timestamp::from_unix_seconds(metadata.mtime());
        // A schedule would wait for that moment, for years and in silence.
        let is_ahead = |at: Timestamp| at > now.after(KNOWN_AFTER);
        if let Some(written) = written.filter(|written| is_ahead(*written)) {
            return Err(KeysError::WrittenAhead(written.to_utc_date_time()));
        }
        if is_ahead(file) {
            return Err(KeysError::FileAhead(file.to_utc_date_time()));
        }
        let written = written.unwrap_or(file);
        Ok(Self { keys: now.since(written), published: now.since(written.max(file)) })
    }
}

/// Whoever reads the file finds all of the old keys or all of the new ones, and may read it as before.
fn replace(
    file: &Path,
    metadata: &fs::Metadata,
    keys: &[Written],
    now: Timestamp,
) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // Somebody was interrupted here.
    let _ = fs::remove_file(&new);
    let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let done = fchown(&out, Some(metadata.uid()), Some(metadata.gid()))
        .and_then(|()| out.set_permissions(metadata.permissions()))
        .and_then(|()| put(out, keys, now))
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

/// What a verifier reads: the public halves of the keys of a file, or a secret.
fn published(file: Option<&Path>, secret: Option<&Path>) -> Result<Vec<Value>, KeysError> {
    let mut all = Vec::new();
    if let Some(file) = file {
        all.extend(read(file)?.0.iter().map(|(key, _)| key.public().clone()));
    }
    if let Some(path) = secret {
        let no_secret = || KeysError::Secret(path.to_owned());
        let text = String::from_utf8(key_file(path, LONGEST)?).map_err(|_| no_secret())?;
        let secret = Secret::new(text);
        let secret = secret_in(&secret).ok_or_else(no_secret)?;
        all.push(secret_jwk(&secret).expose().clone());
    }
    Ok(all)
}

/// When a file says that it was written, which only whoever asks for its age has to believe.
type Said = Result<Option<Timestamp>, KeysError>;

/// The keys of a file, and when it says that it was written.
fn read(path: &Path) -> Result<(Vec<Written>, Said), KeysError> {
    let pem = key_file(path, LONGEST)?;
    let failed = |cause| KeysError::Keys { path: path.to_owned(), cause };
    let keys = SigningKey::read_each(&pem).map_err(failed)?;
    Ok((keys, written_at(&pem).ok_or_else(|| KeysError::Written(path.to_owned()))))
}

/// `None` if it is not said in a way that can be read.
fn written_at(pem: &[u8]) -> Option<Option<Timestamp>> {
    let lines = pem.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"-----"));
    let mut said = lines.filter_map(|line| line.strip_prefix(WRITTEN.as_bytes()));
    match (said.next(), said.next()) {
        (None, _) => Some(None),
        (Some(_), Some(_)) => None,
        (Some(said), None) => {
            let said = std::str::from_utf8(said).ok()?;
            Timestamp::from_utc_date_time(said.trim_end()).map(Some)
        }
    }
}

fn put(mut file: File, keys: &[Written], now: Timestamp) -> io::Result<()> {
    writeln!(file, "{WRITTEN}{}", now.to_utc_date_time())?;
    for (_, pem) in keys {
        file.write_all(pem.expose().as_bytes())?;
    }
    file.sync_all()
}
