//! The files of a snapshot: written whole or not at all, and taken away before they are believed.
//!
//! | name | what |
//! | --- | --- |
//! | `PATH` | the snapshot, between two processes |
//! | `PATH.last` | the note of which one may be read |
//! | `PATH.lock` | nothing: who has locked it is alone in taking a snapshot away or leaving one |
//! | `PATH.….new` | one of them that is being written |
//! | `PATH.….taken` | a snapshot that is being read |
//!
//! All are made with mode 0600. Deliberately not here: what stands in them.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Unfit;

/// What a process that was killed has left behind goes after so many seconds: nobody writes or
/// reads for so long.
const FORGOTTEN: i64 = 600;

/// Where a snapshot is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
}

/// A file of ours that is not in its place yet. It goes with this value.
pub(super) struct New {
    pub(super) file: File,
    path: PathBuf,
}

/// A snapshot that nobody else has any more. It goes with this value.
pub(super) struct Taken {
    pub(super) file: File,
    path: PathBuf,
}

impl Drop for New {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// For another process to be done with the snapshot.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it is.
const LOOK: Duration = Duration::from_millis(20);

fn lock_within(file: &File, patience: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::WouldBlock) => return Err(ErrorKind::TimedOut.into()),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the note is.
    pub(super) fn note(&self) -> PathBuf {
        self.beside("last")
    }

    /// Keeps other processes out until this file is dropped, however the process ends. It waits for
    /// one that is at it, which may be writing what is to be read here, and not for ever: that one
    /// may hang.
    pub(super) fn lock(&self) -> io::Result<File> {
        let path = self.beside("lock");
        // To read and write, so that opening it waits for nobody, whatever lies there.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                tracing::info!(%path, "another process is at the snapshot: waiting for it");
                lock_within(&file, PATIENCE)?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(file)
    }

    /// A file to write into, which nobody else can read from its beginning on.
    pub(super) fn begin(&self) -> io::Result<New> {
        let path = self.beside(&format!("{}.new", random_name()?));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(New { file, path })
    }

    /// Puts a file where it belongs, in the place of any other, so that it is there after a loss of
    /// power too.
    pub(super) fn put(&self, new: &New, to: &Path) -> io::Result<()> {
        new.file.sync_all()?;
        fs::rename(&new.path, to)?;
        self.sync_folder()
    }

    /// Takes the snapshot away, for whoever comes first; `None` if there is none.
    pub(super) fn take(&self) -> Result<Option<Taken>, Unfit> {
        // A link is not followed: it may lead to what is not ours.
        let there = match fs::symlink_metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unfit::Unreadable(error)),
        };
        if !there.is_file() {
            return Err(Unfit::NoFile);
        }
        // Whose we are is what a file says that we have just made.
        let ours = self.begin()?.file.metadata()?;
        if there.uid() != ours.uid() {
            return Err(Unfit::Owner);
        }
        if there.mode() & 0o007 != 0 {
            return Err(Unfit::Open { mode: there.mode() & 0o777 });
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unfit::Unreadable(error)),
        };
        let path = self.beside(&format!("{}.taken", random_name()?));
        match fs::rename(&self.path, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unfit::Unreadable(error)),
        }
        let taken = Taken { file, path };
        self.sync_folder()?;
        let is_same = |other: &Metadata| (other.dev(), other.ino()) == (there.dev(), there.ino());
        let (opened, moved) = (taken.file.metadata()?, fs::symlink_metadata(&taken.path)?);
        match is_same(&opened) && is_same(&moved) {
            true => Ok(Some(taken)),
            false => Err(Unfit::NoFile),
        }
    }

    /// Removes what a process has left behind that was killed while it wrote or read.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let now = self.begin()?.file.metadata()?.ctime();
        let mut begins = self.path.file_name().unwrap_or_default().to_owned();
        begins.push(".");
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            let name = entry.file_name();
            let rest = name.as_encoded_bytes().strip_prefix(begins.as_encoded_bytes());
            let is_ours =
                rest.and_then(|rest| rest.split_at_checked(NAME)).is_some_and(|(random, kind)| {
                    random.iter().all(u8::is_ascii_hexdigit) && matches!(kind, b".new" | b".taken")
                });
            if is_ours && entry.metadata()?.ctime().saturating_add(FORGOTTEN) < now {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(".");
        path.push(ending);
        path.into()
    }

    fn folder(&self) -> &Path {
        // Of a name alone the parent is empty, and that is this folder.
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }
}

/// How long a [`random_name`] is.
const NAME: usize = 16;

fn random_name() -> io::Result<String> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{:0NAME$x}", u64::from_le_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_hangs_at_the_snapshot_is_not_waited_for_for_ever() {
        let path = std::env::temp_dir().join(format!("anteport-place-{}", std::process::id()));
        let place = Place::new(&path);
        let held = place.lock().unwrap();
        let other = File::open(place.beside("lock")).unwrap();
        let late = lock_within(&other, Duration::ZERO).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        drop(held);
        lock_within(&other, Duration::ZERO).unwrap();
        fs::remove_file(place.beside("lock")).unwrap();
    }
}
