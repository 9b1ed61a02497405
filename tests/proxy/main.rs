//! End to end, in one process: the emulated Microsoft, a portal that records what it receives, the
//! proxy between them over real sockets, and browsers with cookies.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

mod break_glass;
mod circles;
mod crowd;
mod doors;
mod ended;
mod ended_http2;
mod errors;
mod faults;
mod forms_kept;
mod forward;
mod front;
mod glass_open;
mod groups;
mod headers;
mod http2;
mod http2_portals;
mod journeys;
mod kinds;
mod last_logins;
mod liar;
mod limits;
mod login;
mod mapping;
mod misbehaviours;
mod moving;
mod own;
mod pages;
mod portals;
mod presets;
#[path = "../relying_party/provider.rs"]
#[expect(dead_code, reason = "the relying party's tests use the rest")]
mod provider;
mod raw;
mod refresh;
mod refuse;
mod reload;
mod requests;
mod restart;
mod revocation;
mod rights;
mod rollout;
mod rules;
mod sign_out;
mod signatures;
mod signing;
mod streams;
mod telling;
mod ten_thousand;
mod test_login;
mod tls;
mod tokens;
mod traces;
mod upstreams;
mod verify;
mod verify_grpc;
mod websocket_portals;
mod websockets;
mod world;
