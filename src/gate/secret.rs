//! Values that must not be seen. Redaction is by type, not by a switch that somebody can forget.

use std::fmt;

/// A value that is not printed or serialised by accident: reading it takes [`Secret::expose`], which
/// is there to be searched for.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one use it exists for.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Whether `other` is this secret, in a time that does not tell where they differ (CRY-01).
    #[must_use]
    pub fn matches(&self, other: impl AsRef<[u8]>) -> bool {
        let verdict =
            aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_ref(), other.as_ref());
        verdict.is_ok()
    }
}

/// Equal is what [`Secret::matches`]: so that a configuration can be compared with the one before.
impl<T: AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl<T: AsRef<[u8]>> Eq for Secret<T> {}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
