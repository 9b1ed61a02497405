//! Spellings of paths that some portals need and that are refused unless the operator has allowed
//! them below a prefix (PATH-17).

/// A way to spell a path that servers read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// `%2F`.
    EncodedSlash,
    /// `%25`.
    EncodedPercent,
    /// `%3B`, `%3F`, `%23`.
    EncodedPunctuation,
    /// `//`.
    EmptySegments,
    /// `;name=value`.
    Parameters,
    /// Characters that could be taken for others (PATH-06).
    LookAlikes,
    /// What Windows servers read as something else (PATH-11).
    WindowsNames,
}

impl Oddity {
    /// All of them, with the names that operators know them by.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("encoded_slash", Self::EncodedSlash),
        ("encoded_percent", Self::EncodedPercent),
        ("encoded_punctuation", Self::EncodedPunctuation),
        ("empty_segments", Self::EmptySegments),
        ("parameters", Self::Parameters),
        ("look_alikes", Self::LookAlikes),
        ("windows_names", Self::WindowsNames),
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`Oddity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities(u8);

impl Oddities {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These.
    #[must_use]
    pub fn of(oddities: &[Oddity]) -> Self {
        Self(oddities.iter().fold(0, |set, oddity| set | oddity.bit()))
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, oddity: Oddity) -> bool {
        self.0 & oddity.bit() != 0
    }

    /// Whether there are any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of these are among those.
    #[must_use]
    pub const fn are_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    pub(super) const fn add(&mut self, oddity: Oddity) {
        self.0 |= oddity.bit();
    }
}
