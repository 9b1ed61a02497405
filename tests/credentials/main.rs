//! Client credentials end to end: every kind of them, one that expires while everybody signs in,
//! and what an operator is told. The world is that of `tests/proxy`; here its log is read as well,
//! so one test runs at a time.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests, and a world that is not used whole"
)]

mod emulator;
mod ends;
mod kinds;
mod load;
mod log;
mod material;
mod refresh;
mod tokens;
#[path = "../proxy/world/mod.rs"]
mod world;
