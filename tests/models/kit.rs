//! How servers that people put behind us resolve a request to a handler, and what holds the gate to
//! account with that. One tree of modules for two programs: `tests/models` and `tests/fuzz`.

pub mod asp;
pub mod bodies;
pub mod django;
pub mod fold;
pub mod forwarded;
pub mod mapping;
pub mod mutate;
pub mod nginx;
pub mod node;
pub mod php;
pub mod portals;
pub mod rails;
pub mod readers;
pub mod servlet;
pub mod sign_in;
pub mod wordpress;
