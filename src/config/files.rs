//! The files that a configuration was read from, and whether they are others now. Files are looked
//! at rather than watched, so that links that come to lead elsewhere, as in a mounted ConfigMap,
//! count as any other change; what leads to a file is followed.
//!
//! Keys that seal and sign are not among them: those are looked at by themselves (`kept`). Nor are
//! files that are read anew each time that they are needed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files, each as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<Found>)>);

/// What tells a file from another one, and from itself after it was written: device, inode, size,
/// and when its content and its inode were changed last, in seconds and nanoseconds.
type Found = (u64, u64, u64, (i64, i64), (i64, i64));

impl Files {
    /// Adds one, as it is found now; to be called before it is read, so that what is written
    /// meanwhile is seen the next time.
    pub(super) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), found(path)));
    }

    /// The configuration itself, which is read before any other, by its whole path; none if it came
    /// from no file.
    #[must_use]
    pub fn configuration(&self) -> Option<PathBuf> {
        let (path, _) = self.0.first()?;
        Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
    }

    /// The same files, as they are found now.
    #[must_use]
    pub fn now(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), found(path))).collect())
    }
}

fn found(path: &Path) -> Option<Found> {
    let data = fs::metadata(path).ok()?;
    let (written, changed) = ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
    Some((data.dev(), data.ino(), data.size(), written, changed))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_leads_elsewhere_is_another_file() {
        let folder = std::env::temp_dir().join(format!("anteport-files-{}", std::process::id()));
        for part in ["one", "two"] {
            fs::create_dir_all(folder.join(part)).unwrap();
            fs::write(folder.join(part).join("config.yaml"), "listen: {}\n").unwrap();
        }
        // As a ConfigMap is mounted: the file is a link into a folder that is one.
        symlink("one", folder.join("..data")).unwrap();
        symlink("..data/config.yaml", folder.join("config.yaml")).unwrap();
        let mut files = Files::default();
        files.add(&folder.join("config.yaml"));
        files.add(&folder.join("missing"));
        assert_eq!(files.now(), files);
        symlink("two", folder.join("..next")).unwrap();
        fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
        let other = files.now();
        assert_ne!(other, files);
        fs::write(folder.join("missing"), "").unwrap();
        assert_ne!(files.now(), other);
        fs::remove_dir_all(&folder).unwrap();
    }
}
