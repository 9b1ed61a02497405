//! Why a member's identity cannot be told to a portal.

use http::HeaderName;

use super::{LARGEST, LARGEST_TOKEN, SigningError};

/// Why a member's identity cannot be told to the portal. It refuses the login: nothing is cut
/// short or sent raw (HDR-09).
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A claim that is no text, number, truth value or list of them.
    #[error("claim `{claim}` has a form that header `{header}` cannot carry")]
    Form {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// A claim without which nobody signs in.
    #[error("claim `{claim}` is not there, and header `{header}` requires it")]
    Missing {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// What is to be done to a claim does not apply to what it says.
    #[error("`{transform}` of header `{header}` does not apply to what claim `{claim}` says")]
    Transform {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// The step, as it is written.
        transform: String,
    },
    /// A value for which the operator has no word, where there has to be one.
    #[error("claim `{claim}` has a value that `map` of header `{header}` does not admit")]
    Unmapped {
        /// The claim's path.
        claim: String,
        /// The header's name.
        header: HeaderName,
    },
    /// A value that no header carries, which cannot come up: it is ASCII.
    #[error("header `{header}` cannot carry what it was made of")]
    Unencoded {
        /// The header's name.
        header: HeaderName,
    },
    /// A value that the header of a preset cannot carry in the way of the gate that it is of.
    #[error("header `{header}` of a preset cannot be sent: claim `{claim}` {why}")]
    Preset {
        /// The claim's name.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// What is the matter with it.
        why: &'static str,
    },
    /// An address that the portal would take for verified, and that nobody is known to have
    /// verified (AZ-02).
    #[error(
        "header `{header}` of a preset means a verified address, and {why} verified claim `{claim}`"
    )]
    Unverified {
        /// The claim's name.
        claim: String,
        /// The header's name.
        header: HeaderName,
        /// What is known of it.
        why: &'static str,
    },
    /// The provider left the groups out because there are too many (AZ-05).
    #[error("the provider did not send the groups, because there are too many of them")]
    GroupOverage,
    /// They were to be asked for, and could not be (AZ-05).
    #[error("the groups could not be asked for")]
    GroupsUnresolved,
    /// More than [`LARGEST`] bytes in all (HDR-10).
    #[error("the identity headers have {size} bytes; {LARGEST} are what old servers accept")]
    TooLarge {
        /// Bytes of all names and values.
        size: usize,
    },
    /// A token of the provider's of more than [`LARGEST_TOKEN`] bytes.
    #[error("the provider's {kind} has {size} bytes; header `{header}` takes {LARGEST_TOKEN}")]
    TokenTooLarge {
        /// Which token.
        kind: &'static str,
        /// The header's name.
        header: HeaderName,
        /// Its bytes.
        size: usize,
    },
    /// A token of the provider's that no header carries as it is.
    #[error("the provider's {kind} has characters that header `{header}` cannot carry")]
    TokenForm {
        /// Which token.
        kind: &'static str,
        /// The header's name.
        header: HeaderName,
    },
    /// No assertion could be made.
    #[error("the assertion could not be made")]
    Assertion(#[from] SigningError),
    /// The request could not be signed.
    #[error("the message signature could not be made")]
    Signature(#[source] SigningError),
}

impl IdentityError {
    /// Whether no sign-in mends it, whoever comes: nothing can be signed.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Assertion(_) | Self::Signature(_))
    }

    /// Whether it is what the session's claims say, and stays so with them. What could not be found
    /// out or made is none of that (GEN-03).
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::GroupsUnresolved | Self::Assertion(_) | Self::Signature(_) => false,
            Self::Form { .. }
            | Self::Unencoded { .. }
            | Self::Missing { .. }
            | Self::Transform { .. }
            | Self::Unmapped { .. }
            | Self::Preset { .. }
            | Self::Unverified { .. }
            | Self::GroupOverage
            | Self::TooLarge { .. }
            | Self::TokenTooLarge { .. }
            | Self::TokenForm { .. } => true,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } | Self::Unencoded { .. } => "identity-claim-form",
            Self::Missing { .. } => "identity-claim-missing",
            Self::Transform { .. } => "identity-claim-transform",
            Self::Unmapped { .. } => "identity-claim-unmapped",
            Self::Preset { .. } => "identity-preset-value",
            Self::Unverified { .. } => "identity-email-unverified",
            Self::GroupOverage => "identity-group-overage",
            Self::GroupsUnresolved => "identity-groups-unresolved",
            Self::TooLarge { .. } => "identity-too-large",
            Self::TokenTooLarge { .. } => "identity-token-too-large",
            Self::TokenForm { .. } => "identity-token-form",
            Self::Assertion(_) => "identity-assertion",
            Self::Signature(_) => "identity-signature",
        }
    }
}
