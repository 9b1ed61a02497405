//! What the binary says, and where: the streams of its log in pipes that nobody reads and in files
//! that somebody moves; and that in none of them, nor in anything else that it tells operators, is
//! there a secret.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "../proxy/world/browser.rs"]
#[allow(dead_code, unreachable_pub, clippy::indexing_slicing)]
mod browser;
mod canaries;
mod files;
#[path = "../kit/folder.rs"]
mod folder;
mod kit;
#[path = "../kit/microsoft.rs"]
mod microsoft;
#[path = "../kit/open.rs"]
mod open;
#[path = "../kit/ports.rs"]
mod ports;
mod sinks;
