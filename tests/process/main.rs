//! The binary as a service manager and an operator have it: started, told, upgraded and stopped,
//! while visitors come and go.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "../kit/ask.rs"]
mod ask;
#[path = "../proxy/world/browser.rs"]
#[allow(dead_code, unreachable_pub)]
mod browser;
mod drain;
mod exit_codes;
#[path = "../kit/folder.rs"]
mod folder;
mod manager;
mod members;
#[path = "../kit/microsoft.rs"]
mod microsoft;
#[path = "../kit/open.rs"]
mod open;
mod portal;
#[path = "../kit/ports.rs"]
mod ports;
mod running;
mod sockets;
mod upgrade;
