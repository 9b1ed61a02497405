//! Where sessions are kept, tried with real Redis servers that this program starts and stops on loopback:
//! `cargo test --test stores`. The suite is the same for every store.

mod copies;
mod faults;
mod redis;
mod revocation;
mod seen;
mod several;
mod suite;
#[path = "../proxy/world/mod.rs"]
#[expect(dead_code, reason = "the proxy's tests use the rest")]
mod world;
