//! The sealing keys, kept as their files say. What that means for any keys is in `kept`.

use std::sync::Arc;

use super::Seal;
use crate::config::{SealingKeyError, SealingKeys};
use crate::gate::{Secret, Timestamp};
use crate::kept::{Kept, Keys};
use crate::telemetry::causes;

/// The sealing keys and what they were read from.
pub type KeptKeys = Kept<Sealing>;

/// What seals, and where its keys stand.
pub struct Sealing {
    sources: SealingKeys,
    seal: Arc<Seal>,
}

impl Kept<Sealing> {
    /// The keys as they are now; without any that stand somewhere, one is made.
    ///
    /// # Errors
    /// When one cannot be used or made.
    pub fn read(sources: &SealingKeys, now: Timestamp) -> Result<Self, KeptKeysError> {
        let made = || Seal::new_key().map(|key| vec![key]).map_err(|_| KeptKeysError::Random);
        let keys = if sources.is_empty() { made()? } else { sources.read()? };
        let seal = Arc::new(Seal::new(&keys).map_err(|_| KeptKeysError::Random)?);
        Ok(Self::new(Sealing { sources: sources.clone(), seal }, keys, now))
    }

    /// Whether these are their places.
    #[must_use]
    pub fn is_of(&self, sources: &SealingKeys) -> bool {
        self.keys().sources == *sources
    }

    /// The keys that stand at other places. They seal nothing before [`KeptKeys::come_into_force`].
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn next(&self, sources: &SealingKeys, now: Timestamp) -> Result<Self, KeptKeysError> {
        let keys = sources.read()?;
        Seal::new(&keys).map_err(|_| KeptKeysError::Random)?;
        let seal = Arc::clone(self.seal());
        Ok(Self::new(Sealing { sources: sources.clone(), seal }, keys, now))
    }

    /// From now on these are what seals.
    ///
    /// # Errors
    /// When one cannot; those before still do then.
    pub fn come_into_force(&self) -> Result<(), String> {
        self.put_in_force()
    }

    /// What seals with them.
    #[must_use]
    pub const fn seal(&self) -> &Arc<Seal> {
        &self.keys().seal
    }
}

impl Keys for Sealing {
    type Key = Secret<[u8; 32]>;

    fn read(&self) -> Result<Vec<Self::Key>, String> {
        self.sources.read().map_err(|error| causes(&error))
    }

    fn is_fixed(&self) -> bool {
        self.sources.is_empty()
    }

    fn is_same(one: &Self::Key, other: &Self::Key) -> bool {
        one.matches(other.expose())
    }

    fn put(&self, keys: &[Self::Key]) -> Result<(), String> {
        self.seal.replace(keys).map_err(|_| "a key cannot be used".to_owned())
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeptKeysError {
    /// One cannot be used.
    #[error("a key of `sessions.keys` cannot be used")]
    Key(#[from] SealingKeyError),
    /// None could be made.
    #[error("the system's random generator failed")]
    Random,
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::kept::KeyLook;
    use crate::sessions::Purpose;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("anteport-keys-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        }

        fn key(&self, name: &str, byte: u8) -> PathBuf {
            self.write(name, &(STANDARD.encode([byte; 32]) + "\n"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kept(files: &[&Path]) -> KeptKeys {
        let sources = files.iter().fold(SealingKeys::default(), |all, file| all.and_file(file));
        KeptKeys::read(&sources, NOON).unwrap()
    }

    fn opens(keys: &KeptKeys, sealed: &[u8]) -> bool {
        keys.seal().open_bytes(Purpose::Session, b"k", sealed.to_vec()).is_ok()
    }

    fn sealed(keys: &KeptKeys) -> Vec<u8> {
        keys.seal().seal_bytes(Purpose::Session, b"k", b"value").unwrap()
    }

    #[test]
    fn cry_02_what_is_written_anew_is_in_force() {
        let folder = Folder::new("anew");
        let (first, second) = (folder.key("first", 1), folder.key("second", 2));
        let keys = kept(&[&first, &second]);
        let old = sealed(&keys);
        assert_eq!(keys.look(NOON), KeyLook::Nothing);
        folder.key("second", 3);
        assert_eq!(keys.look(NOON), KeyLook::Changed(2));
        assert!(opens(&keys, &old));
        // They change places; in between both say the same, and what was read before holds.
        folder.key("first", 3);
        assert!(matches!(keys.look(NOON), KeyLook::Faulty(cause) if cause.contains("the same")));
        assert_eq!(keys.look(NOON), KeyLook::Nothing, "it is said once");
        assert!(opens(&keys, &old));
        folder.key("second", 1);
        assert_eq!(keys.look(NOON), KeyLook::Changed(2), "their order counts");
        let new = sealed(&keys);
        assert!(opens(&keys, &old) && new[1..5] != old[1..5], "the other one seals now");
        folder.key("second", 4);
        assert_eq!(keys.look(NOON), KeyLook::Changed(2));
        assert!(opens(&keys, &new) && !opens(&keys, &old), "a key that was taken away");
    }

    #[test]
    fn cry_02_keys_that_cannot_be_used_change_nothing() {
        let folder = Folder::new("broken");
        let (first, second) = (folder.key("first", 1), folder.key("second", 2));
        let keys = kept(&[&first, &second]);
        let old = sealed(&keys);
        let later = NOON.after(Duration::from_secs(5));
        for broken in ["", "not base64", "AAAA", "canary-canary-canary", &"A".repeat(5000)] {
            // The first is right and new, and yet none of it counts.
            folder.key("first", 9);
            folder.write("second", broken);
            let KeyLook::Faulty(cause) = keys.look(later) else {
                panic!("{broken}");
            };
            assert!(cause.contains("second") && !cause.contains("canary"), "{cause}");
            assert_eq!(keys.look(later), KeyLook::Nothing);
            assert!(opens(&keys, &old) && opens(&keys, &sealed(&keys)));
            let state = keys.state();
            assert_eq!((state.count, state.read, state.fault), (2, NOON, Some((cause, later))));
            folder.key("first", 1);
            folder.key("second", 2);
            assert_eq!(keys.look(NOON), KeyLook::Mended(2));
            assert_eq!(keys.state().fault, None);
        }
        fs::remove_file(&second).unwrap();
        assert!(matches!(keys.look(NOON), KeyLook::Faulty(_)));
        folder.key("second", 3);
        fs::set_permissions(&second, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(keys.look(NOON), KeyLook::Faulty(why) if why.contains("0644")));
        assert!(opens(&keys, &old));
        fs::set_permissions(&second, Permissions::from_mode(0o440)).unwrap();
        assert_eq!(keys.look(NOON), KeyLook::Changed(2));
    }

    #[test]
    fn cry_02_links_that_lead_elsewhere_count() {
        let folder = Folder::new("links");
        for (name, byte) in [("one", 1), ("two", 2)] {
            fs::create_dir_all(folder.0.join(name)).unwrap();
            folder.key(&format!("{name}/key"), byte);
        }
        // As Kubernetes mounts a Secret: the link to the folder is exchanged.
        let data = folder.0.join("..data");
        symlink("one", &data).unwrap();
        symlink("..data/key", folder.0.join("key")).unwrap();
        let keys = kept(&[&folder.0.join("key")]);
        let old = sealed(&keys);
        symlink("two", folder.0.join("..new")).unwrap();
        fs::rename(folder.0.join("..new"), &data).unwrap();
        assert_eq!(keys.look(NOON), KeyLook::Changed(1));
        assert!(!opens(&keys, &old));
    }

    #[test]
    fn cry_02_keys_change_while_many_seal_and_open() {
        let folder = Folder::new("many");
        let (first, second) = (folder.key("first", 1), folder.key("second", 2));
        let keys = kept(&[&first, &second]);
        std::thread::scope(|scope| {
            let busy: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| (0..20_000).all(|_| opens(&keys, &sealed(&keys)))))
                .collect();
            for _ in 0..50 {
                // Both there all the time, now the one first and now the other.
                for (one, other) in [(2, 1), (1, 2)] {
                    folder.write("first", "");
                    folder.key("second", other);
                    keys.look(NOON);
                    folder.key("first", one);
                    keys.look(NOON);
                }
            }
            assert!(busy.into_iter().all(|one| one.join().unwrap()));
        });
    }

    #[test]
    fn without_keys_one_is_made_and_stays() {
        let keys = KeptKeys::read(&SealingKeys::default(), NOON).unwrap();
        let old = sealed(&keys);
        assert_eq!(keys.look(NOON), KeyLook::Nothing);
        assert!(opens(&keys, &old));
        assert_eq!(keys.state().count, 1);
        assert!(!format!("{keys:?}").contains('['));
    }
}
