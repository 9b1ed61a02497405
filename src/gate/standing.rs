//! What is known of a visitor besides the request and the session: whether the glass is broken for
//! them, and in which part of a progressive switch they are. Deliberately not here: how that is
//! found out (`server`), and what comes of it (`glass`, `rollout`).

use super::Session;

/// What is known of a visitor. By default the glass is whole, and the lot is the first to come
/// under `azure_only`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the glass is broken for them.
    pub glass: Glass,
    /// Their place in a progressive switch.
    pub lot: Lot,
}

/// Whether the way to the portal's own sign-in has been opened on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glass {
    /// It has not.
    #[default]
    Whole,
    /// By a link that whoever runs this made: the browser has a pass.
    Link,
    /// By the address that the visitor is at, which the configuration lists.
    Network,
}

impl Glass {
    /// As in metrics and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "none",
            Self::Link => "link",
            Self::Network => "network",
        }
    }

    /// What is in force for a visitor with this session. A pass was opened by hand, and whoever has
    /// one goes as nobody. An address is nobody's deed: a member who is signed in there is a member
    /// as everywhere else.
    pub(super) const fn in_force(self, session: Option<&Session>) -> Self {
        match (self, session) {
            (Self::Network, Some(_)) => Self::Whole,
            (glass, _) => glass,
        }
    }
}

/// One of a hundred lots. It is no secret and no boundary: whoever wants another one takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lot(u8);

impl Lot {
    /// How many there are.
    pub const ALL: u8 = 100;

    /// The lot that a number comes to.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        // Less than a hundred fits.
        Self((number % Self::ALL as u64) as u8)
    }

    /// As a cookie has it, in its one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lot = text.parse().ok().filter(|lot| *lot < Self::ALL).map(Self)?;
        (lot.to_string() == text).then_some(lot)
    }

    /// Whether it is among the first of so many in a hundred.
    #[must_use]
    pub const fn is_within(self, percent: u8) -> bool {
        self.0 < percent
    }
}

impl std::fmt::Display for Lot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
