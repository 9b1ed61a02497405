//! Where sessions are kept and what seals them: what the keys of `sessions` mean for each other.

use std::io::ErrorKind;
use std::path::Path;

use super::redis;
use super::written::{SessionsFile, Where};
use super::{SealingKeyError, SealingKeys, Store};
use crate::config::context::{Context, Spot};
use crate::config::file::SecretFile;
use crate::config::secrets::{self, KeyFileError, reason};
use crate::config::{Sessions, tls};
use crate::gate::{Lifetimes, Secret};

/// What makes a key, and where it is named.
const MAKE_ONE: &str = "`(umask 077; openssl rand -base64 32 > session_key)` makes one, and \
                        `keys: [{ file: session_key }]` names it";

/// Resolves the section; `None` if something was reported.
pub(in crate::config) fn resolve(
    context: &Context<'_>,
    file: &SessionsFile,
    folder: &Path,
) -> Option<Sessions> {
    let lifetimes = lifetimes(context, file);
    let keys = keys(context, &file.keys, folder);
    let store = store(context, file, folder);
    Some(Sessions {
        store: store?,
        keys: keys?,
        lifetimes: lifetimes?,
        refresh_interval: file.refresh_interval?,
        capacity: file.capacity?,
    })
}

fn lifetimes(context: &Context<'_>, file: &SessionsFile) -> Option<Lifetimes> {
    let (idle, absolute) = (file.idle.as_ref()?, file.absolute.as_ref()?);
    if idle.value > absolute.value {
        let message = format!(
            "`idle_timeout` ({}) is longer than `absolute_timeout` ({}), which ends every session",
            idle.shown, absolute.shown
        );
        context.error(&idle.spot, message);
        return None;
    }
    Some(Lifetimes { idle: idle.value, absolute: absolute.value })
}

fn store(context: &Context<'_>, file: &SessionsFile, folder: &Path) -> Option<Store> {
    let redis = match &file.redis {
        Some(Some(file)) => redis::resolve(context, file, folder).map(Box::new).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let store = file.store.as_ref()?;
    let mut is_sound = true;
    let mut refuse = |spot: &Spot, message: &str| {
        context.error(spot, message);
        is_sound = false;
    };
    if let (Where::Cookie | Where::Redis, false) = (store.value, file.names_keys) {
        let message = format!(
            "{} needs `keys`, so that every node opens what another sealed, and nobody else can \
             read or forge it: {MAKE_ONE}",
            store.shown
        );
        refuse(&store.spot, &message);
    }
    match (store.value, &file.redis) {
        (Where::Memory, Some(Some(redis))) => refuse(
            &redis.spot,
            "with `store: memory` this does nothing: write `store: redis` or `store: cookie`, or remove \
             the section",
        ),
        (Where::Redis, Some(None)) => refuse(
            &store.spot,
            "`redis` is missing: where it is, such as `redis: { servers: [\"redis.internal:6379\"] }`",
        ),
        (Where::Cookie, Some(None)) => context.warn(
            &store.spot,
            "without `redis`, a copied cookie of somebody who signed out works on other nodes, and \
             on this one after a restart, until it expires",
        ),
        (_, Some(_) | None) => {}
    }
    if let Some(Some(snapshot)) = &file.snapshot {
        match store.value {
            Where::Cookie | Where::Redis => refuse(
                &snapshot.spot,
                "a snapshot is for `store: memory`; sessions outlive the process here anyway: \
                 remove it",
            ),
            Where::Memory if !file.names_keys => {
                let message = format!("sessions are in it, sealed, so it needs `keys`: {MAKE_ONE}");
                refuse(&snapshot.spot, &message);
            }
            Where::Memory => {
                if let Some(message) = unfit(&folder.join(&snapshot.value), file, folder) {
                    refuse(&snapshot.spot, message);
                }
            }
        }
    }
    let (redis, snapshot) = (redis?, file.snapshot.as_ref()?);
    if !is_sound {
        return None;
    }
    Some(match store.value {
        Where::Memory => {
            Store::Memory { snapshot: snapshot.as_ref().map(|file| folder.join(&file.value)) }
        }
        Where::Cookie => Store::Cookie { revocations: redis },
        Where::Redis => Store::Redis(redis?),
    })
}

/// Why a snapshot cannot be written there, as far as that is known before it is.
fn unfit(path: &Path, file: &SessionsFile, folder: &Path) -> Option<&'static str> {
    let keys = file.keys.iter().filter_map(|key| key.file.as_ref());
    let mut note = path.as_os_str().to_owned();
    note.push(".last");
    if keys.map(|key| folder.join(&key.value)).any(|key| key == path || key == note) {
        return Some("this is the file of a key, which would be written over; name another");
    }
    if path.is_dir() {
        return Some("this is a folder; name a file in it, such as `sessions`");
    }
    // Of a name alone the parent is empty, and that is this folder.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent.is_none_or(Path::is_dir) {
        true => None,
        false => Some("its folder is not there; make it, and let this program write in it alone"),
    }
}

/// The keys, each of which can be used now and is there once.
fn keys(context: &Context<'_>, files: &[SecretFile], folder: &Path) -> Option<SealingKeys> {
    let mut keys = Some(SealingKeys::default());
    let mut known: Vec<Secret<[u8; 32]>> = Vec::new();
    for file in files {
        // One that cannot be used does not keep the others from being reported.
        keys = keys.zip(key(context, file, folder, &mut known)).map(|(mut keys, one)| {
            keys.0.extend(one.0);
            keys
        });
    }
    keys
}

/// One key; `known` are those that were read so far.
fn key(
    context: &Context<'_>,
    file: &SecretFile,
    folder: &Path,
    known: &mut Vec<Secret<[u8; 32]>>,
) -> Option<SealingKeys> {
    secrets::check_source(context, file)?;
    let none = SealingKeys::default();
    let (key, spot, source) = if let Some(file) = &file.file {
        tls::check_permissions(context, folder, file)?;
        (Ok(none.and_file(&folder.join(&file.value))), &file.spot, &*file.shown)
    } else if let Some(name) = &file.env {
        let text = secrets::from_environment(context, name)?;
        let source = "the environment variable";
        (none.and_text(source, text.expose().trim_ascii()), &name.spot, source)
    } else {
        let value = file.value.as_ref()?;
        secrets::warn_of_value(context, value);
        let source = "the value";
        (none.and_text(source, value.value.expose().trim_ascii()), &value.spot, source)
    };
    let message = match key.and_then(|key| Ok((key.read()?, key))) {
        Ok((read, key)) => {
            let is_new =
                |key: &Secret<[u8; 32]>| !known.iter().any(|known| known.matches(key.expose()));
            if read.iter().all(is_new) {
                known.extend(read);
                return Some(key);
            }
            "this key is in the list already; remove it, or make another".to_owned()
        }
        Err(SealingKeyError::File(KeyFileError::Unreadable { cause, .. })) => {
            let advice = match cause.kind() {
                ErrorKind::NotFound => "; `(umask 077; openssl rand -base64 32 > FILE)` makes one",
                _ => "",
            };
            format!("cannot read the key from {source}: {}{advice}", reason(&cause))
        }
        Err(SealingKeyError::File(error @ KeyFileError::Open { .. })) => error.to_string(),
        Err(SealingKeyError::Form(_) | SealingKeyError::Twice) => {
            format!("{source} is not 32 bytes in base64, as `openssl rand -base64 32` writes them")
        }
    };
    context.error(spot, message);
    None
}
