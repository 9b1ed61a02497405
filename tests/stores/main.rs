//! Where sessions are kept, tried with real Redis servers that this program starts and stops on loopback:
//! `cargo test --test stores`. The suite is the same for every store.

mod copies;
mod faults;
mod redis;
mod revocation;
mod several;
mod suite;
