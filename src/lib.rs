//! Anteport is an authentication reverse proxy. It stands in front of a members portal that nobody
//! can change, lets in only people who signed in with Microsoft Entra ID, keeps the portal's own
//! password doors shut, and tells the portal who is asking in headers that it can verify.
//!
//! The program turns *a request from somebody* into *one from a known person, or none at all*, and
//! the folders follow that:
//!
//! | module | what it is |
//! |---|---|
//! | [`gate`] | the decision core: values in, values out, no I/O, no clock |
//! | [`config`] | what an operator wrote, resolved into what the program runs on |
//! | [`server`] | connections in; `server/request.rs` is the way of a request: read it first |
//! | [`relying_party`] | what we are to the identity provider |
//! | [`sessions`] | who is signed in |
//! | [`identity`] | what the portal is told |
//! | [`members`] | whom the portal knows: found, created or linked by webhook or SCIM |
//! | [`upstream`] | where allowed requests go |
//! | `http1` | HTTP/1.1 on both sides, from bytes to values |
//! | [`pages`] | what a visitor sees of us |
//! | [`catalogue`] | what a provider's error codes mean, for members and operators |
//! | [`telemetry`] | metrics, logs, traces, and the admin listener |
//! | [`supervisor`] | who starts us, watches us and takes our place |
//! | [`cli`] | one file a verb |
//! | [`demo`] | an emulated Microsoft and a small legacy portal |
//! | [`doctor`] | the configuration and the world around it, looked at before members do |
//! | `kept` | keys that stand in files, in force as these say |
//! | `signing_key` | what signs, read from PEM or made, and its public half |
//! | `outgoing` | the HTTP client of our own calls |
//! | `strict_json` | JSON that can be read in one way only |
//! | `trust` | whom we believe over TLS when we are the one who calls |
//! | `certificate` | what a certificate says of itself |
//! | `address` | which address of somebody is verified, by what kind of provider says it |
//! | [`clock`] | the one place that reads the wall clock |
//! | [`colour`] | a colour, and whether it can be read on another |
//!
//! Dependencies point one way. Everybody may use `gate` and `catalogue`, which use none of ours;
//! `relying_party`, `sessions`, `identity`, `members` and `upstream` do not know each other;
//! `server` brings them together, and `doctor` asks each by itself. `http1` is for those two that speak it, `server` and `upstream`.
//! A crate that might one day be replaced has one home: `openidconnect` in `relying_party`, `moka`
//! in `sessions/marks.rs`, `hashbrown` in `sessions/table`, `redis` in `sessions/redis`, `postcard`
//! in `gate/session/record.rs`, `listenfd` in `supervisor/handed.rs`, `x509-parser` in `certificate.rs`, the YAML reader in
//! `config/yaml.rs`, `prometheus` in `telemetry/metrics`.
//!
//! # What holds
//!
//! - A request reaches a portal only with a [`gate::Permit`], and only [`gate::decide`] makes one.
//! - What was judged is what is sent: the upstream's request line is written from the permit.
//! - [`gate::VerifiedClaims`] are made in one place, after every check of an ID token.
//! - A failing part denies. "Could not find out" is a 503, and neither lets in nor signs out.
//! - Identity never sticks to a connection: each request is judged alone.
//!
//! # How it runs
//!
//! One current-thread runtime a core, each with its own `SO_REUSEPORT` listener and its own pool
//! of connections to the portals. A pooled connection belongs to one request while in use and is
//! driven by that request's own task, so that no task and no channel lies between the visitor's
//! socket and the portal's. What workers share (sessions, signing keys, metrics) is read by all
//! and written by few. Everything that is not a visitor's request, such as refreshing keys, the
//! connections to Redis and serving metrics, runs beside them on the main thread, and what takes
//! its time, such as forgetting a million sessions, on one of its own.

mod address;
pub mod catalogue;
mod certificate;
pub mod cli;
pub mod clock;
pub mod colour;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod gate;
mod http1;
pub mod identity;
pub mod kept;
pub mod members;
mod outgoing;
pub mod pages;
pub mod relying_party;
pub mod server;
pub mod sessions;
pub mod signing_key;
mod strict_json;
pub mod supervisor;
pub mod telemetry;
mod trust;
pub mod upstream;
