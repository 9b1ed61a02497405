//! Anteport (draft).
pub mod clock;
pub mod config;
pub mod gate;
pub mod identity;
pub mod sessions;
pub mod upstream;
