//! The binary as a service manager and an operator have it: started, told, upgraded and stopped,
//! while visitors come and go.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod drain;
mod exit_codes;
mod manager;
mod members;
mod portal;
mod running;
mod sockets;
mod upgrade;

#[path = "../proxy/world/browser.rs"]
#[allow(dead_code, unreachable_pub)]
mod browser;
