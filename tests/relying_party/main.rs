//! The relying party, held to the rules of its identity provider's protocol: tokens and keys
//! without a network, calls against a scripted provider.
#![expect(unreachable_pub, reason = "a test program")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by them")]

mod calls;
mod credentials;
mod graph;
mod keys;
mod kinds;
#[path = "../kit/lines.rs"]
mod lines;
#[expect(dead_code, reason = "the proxy's tests use the rest")]
mod provider;
mod refresh;
mod tokens;
mod world;
