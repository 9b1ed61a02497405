//! The calls that we make to a provider, how they end, and who is told of it.

use std::sync::Arc;
use std::time::Duration;

/// Told of every call to the provider: what it was, how it ended, how long it took.
pub type Observe = Arc<dyn Fn(Call, Outcome, Duration) + Send + Sync>;

/// The calls that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// For the metadata.
    Discovery,
    /// For the signing keys.
    Keys,
    /// For tokens.
    Token,
    /// For the groups of somebody.
    Graph,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Discovery, Self::Keys, Self::Token, Self::Graph];

    /// Its name in a metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::Token => "token",
            Self::Graph => "graph",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With what we asked for.
    Ok,
    /// With an answer that is a refusal, or of no use.
    Refused,
    /// Without an answer, or with one that says «not now».
    Unreachable,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Unreachable];

    /// Its name in a metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}
