//! Where secrets are read from (CFG-04). No message here quotes one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::context::{Context, Located, Spot};
use super::file::SecretFile;
use super::interpolate::is_variable_name;
use super::value::is_guid;
use crate::gate::Secret;

/// The longest secret, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads a client secret; `None` if that was reported.
pub(super) fn client_secret(
    context: &Context<'_>,
    folder: &Path,
    source: &SecretFile,
) -> Option<Secret<String>> {
    let (secret, spot) = read(context, folder, source)?;
    if is_guid(secret.expose().trim()) {
        context.warn(
            spot,
            "this looks like the secret's ID; Azure shows its Value beside it, once, when it is made",
        );
    }
    Some(secret)
}

/// Reads a password; `None` if that was reported.
pub(super) fn password(
    context: &Context<'_>,
    folder: &Path,
    source: &SecretFile,
) -> Option<Secret<String>> {
    read(context, folder, source).map(|(secret, _)| secret)
}

fn read<'a>(
    context: &Context<'_>,
    folder: &Path,
    source: &'a SecretFile,
) -> Option<(Secret<String>, &'a Spot)> {
    check_source(context, source)?;
    let (secret, spot) = if let Some(file) = &source.file {
        (from_file(context, folder, file)?, &file.spot)
    } else if let Some(name) = &source.env {
        (from_environment(context, name)?, &name.spot)
    } else {
        let value = source.value.as_ref()?;
        warn_of_value(context, value);
        (value.value.clone(), &value.spot)
    };
    Some((checked(context, secret, spot)?, spot))
}

/// A secret comes from one place.
pub(super) fn check_source(context: &Context<'_>, source: &SecretFile) -> Option<()> {
    let message = match source.written.len() {
        1 => return Some(()),
        0 => "a secret needs one of `file`, `env` and `value`".to_owned(),
        _ => format!(
            "a secret comes from one place, and here are `{}`; keep one",
            source.written.join("` and `")
        ),
    };
    context.error(&source.spot, message);
    None
}

/// CFG-04.
pub(super) fn warn_of_value<T>(context: &Context<'_>, value: &Located<T>) {
    let message = "a secret in this file is seen by everybody who can read it; name a `file` or \
                   `env` instead";
    context.warn(&value.spot, message);
}

fn from_file(
    context: &Context<'_>,
    folder: &Path,
    file: &Located<PathBuf>,
) -> Option<Secret<String>> {
    let path = folder.join(&file.value);
    let fail = |reason: String| {
        let message = format!("cannot read the secret from {}: {reason}", file.shown);
        context.error(&file.spot, message);
        None
    };
    context.reads(&path);
    let bytes = match read_bounded(&path, LONGEST) {
        Ok(bytes) => bytes,
        Err(error) => return fail(reason(&error)),
    };
    let Ok(mut text) = String::from_utf8(bytes) else {
        return fail("it is not text (UTF-8)".to_owned());
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if permissions(&path).is_some_and(|mode| mode & 0o004 != 0) {
        let message = format!(
            "every user of this machine can read {}; `chmod o-rwx` keeps it to its owner and group",
            file.shown
        );
        context.warn(&file.spot, message);
    }
    Some(Secret::new(text))
}

pub(super) fn from_environment(
    context: &Context<'_>,
    name: &Located<String>,
) -> Option<Secret<String>> {
    if !is_variable_name(&name.value) {
        let message = "expected the name of an environment variable: letters, digits and `_`";
        context.error(&name.spot, message);
        return None;
    }
    let Some(secret) = (context.environment)(&name.value) else {
        // Somebody may have put the secret itself where its name belongs.
        let is_usual = !name.value.bytes().any(|byte| byte.is_ascii_lowercase());
        let message = match is_usual {
            true => format!("the environment variable `{}` is not set", name.value),
            false => "no environment variable of this name is set".to_owned(),
        };
        context.error(&name.spot, message);
        return None;
    };
    Some(Secret::new(secret))
}

fn checked(context: &Context<'_>, secret: Secret<String>, spot: &Spot) -> Option<Secret<String>> {
    let text = secret.expose();
    if text.trim().is_empty() {
        context.error(spot, "the secret is empty");
        return None;
    }
    if text.chars().any(char::is_control) {
        context.error(
            spot,
            "the secret has a line break or another control character in it, so more than the \
             secret was copied",
        );
        return None;
    }
    if text.trim() != text {
        context.warn(spot, "the secret begins or ends with a space, which is sent with it");
    }
    Some(secret)
}

/// Why the file of a key cannot be used, which may have been written anew since the configuration
/// was read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key from {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// Others can get at it.
    #[error(
        "{} has mode {mode:04o}: others than its owner and group can get at the key, or its group \
         can change it",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The content of a key's file of at most `longest` bytes, if others cannot get at it.
pub(crate) fn key_file(path: &Path, longest: u64) -> Result<Vec<u8>, KeyFileError> {
    let unreadable = |cause| KeyFileError::Unreadable { path: path.to_owned(), cause };
    let bytes = read_bounded(path, longest).map_err(unreadable)?;
    match permissions(path).unwrap_or_default() {
        mode if mode & 0o027 != 0 => Err(KeyFileError::Open { path: path.to_owned(), mode }),
        _ => Ok(bytes),
    }
}

/// The content of a file of at most `longest` bytes.
pub(crate) fn read_bounded(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe may wait for ever, and so may reading a device.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    read_at_most(File::open(path)?, longest)
}

/// The same of what is open already.
pub(crate) fn read_at_most(file: impl Read, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::other(format!("it is larger than {longest} bytes")));
    }
    Ok(bytes)
}

/// What the system says, without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// The permission bits of a file.
pub(super) fn permissions(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.permissions().mode() & 0o777)
}
