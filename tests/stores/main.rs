//! Where sessions are kept, tried with real Redis servers that this program starts and stops on
//! loopback: `cargo test --test stores`. The suite is the same for every store; `nodes`,
//! `restarts` and `under_load` try the binary itself, mostly three processes that share one
//! store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

mod break_glass;
mod copies;
mod endings;
mod faults;
mod fleet;
mod load;
mod nodes;
mod patience;
mod proxy;
mod redis;
mod relay;
mod restarts;
mod revocation;
mod seen;
mod several;
mod streams;
mod suite;
mod under_load;
mod visitor;
#[path = "../proxy/world/mod.rs"]
#[expect(dead_code, reason = "the proxy's tests use the rest")]
mod world;
