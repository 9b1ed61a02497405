//! Anteport (draft).
pub mod clock;
pub mod config;
pub mod gate;
pub mod relying_party;
