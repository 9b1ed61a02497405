//! What an operator wrote about sessions, key by key.

use std::path::PathBuf;
use std::time::Duration;

use super::value::{database, prefix, server, word};
use crate::config::ServerAddress;
use crate::config::context::{Located, Spot};
use crate::config::file::{SecretFile, TlsFile, bare, secret};
use crate::config::section::Section;
use crate::config::value;

/// What an operator wrote about sessions. What is `None` was left out or has been reported.
pub(in crate::config) struct SessionsFile {
    pub(super) store: Option<Located<Where>>,
    /// Those that can be read.
    pub(super) keys: Vec<SecretFile>,
    /// Whether the key is there.
    pub(super) names_keys: bool,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) snapshot: Option<Option<Located<PathBuf>>>,
    /// The same.
    pub(super) redis: Option<Option<RedisFile>>,
    pub(super) idle: Option<Located<Duration>>,
    pub(super) absolute: Option<Located<Duration>>,
    pub(super) refresh_interval: Option<Duration>,
    pub(super) capacity: Option<u64>,
}

/// The word at `store`.
#[derive(Clone, Copy)]
pub(super) enum Where {
    Memory,
    Cookie,
    Redis,
}

/// What an operator wrote about a Redis. Of an `Option` in an `Option`, the outer is `None` if it
/// was reported, the inner if the key is not there.
pub(super) struct RedisFile {
    pub(super) spot: Spot,
    pub(super) mode: Option<Mode>,
    pub(super) servers: Option<Vec<Located<ServerAddress>>>,
    pub(super) master: Option<Option<Located<String>>>,
    pub(super) tls: Option<Option<RedisTlsFile>>,
    pub(super) username: Option<Option<Located<String>>>,
    pub(super) password: Option<Option<SecretFile>>,
    pub(super) sentinel: Option<Option<SentinelFile>>,
    pub(super) database: Option<Located<i64>>,
    pub(super) prefix: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Option<Duration>,
}

/// The word at `mode`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Single,
    Sentinel,
    Cluster,
}

pub(super) struct RedisTlsFile {
    pub(super) ca: Option<Option<Vec<Located<PathBuf>>>>,
    pub(super) own: TlsFile,
    /// Whether `certificate` and `key` are there, each with its place.
    pub(super) names: ((bool, Spot), (bool, Spot)),
}

pub(super) struct SentinelFile {
    pub(super) spot: Spot,
    pub(super) username: Option<Option<Located<String>>>,
    pub(super) password: Option<SecretFile>,
}

/// Reads the section.
pub(in crate::config) fn read(section: &Section<'_>) -> SessionsFile {
    SessionsFile {
        store: section.value("store", |word| {
            Ok(match word {
                "cookie" => Where::Cookie,
                "redis" => Where::Redis,
                _ => Where::Memory,
            })
        }),
        keys: section.sections("keys").iter().map(secret).collect(),
        names_keys: section.has("keys"),
        snapshot: section.if_there("snapshot", |key| section.value(key, value::path)),
        redis: section.if_there("redis", |key| section.section(key).map(|section| redis(&section))),
        idle: section.value("idle_timeout", value::duration("1s", "365d")),
        absolute: section.value("absolute_timeout", value::duration("1s", "365d")),
        refresh_interval: bare(section.value("refresh_interval", value::duration("1m", "30d"))),
        capacity: bare(section.value("capacity", value::capacity)),
    }
}

fn redis(section: &Section<'_>) -> RedisFile {
    RedisFile {
        spot: section.spot().clone(),
        mode: bare(section.value("mode", |word| {
            Ok(match word {
                "sentinel" => Mode::Sentinel,
                "cluster" => Mode::Cluster,
                _ => Mode::Single,
            })
        })),
        servers: section.values("servers", server),
        master: section.if_there("master", |key| section.value(key, word)),
        tls: section.if_there("tls", |key| section.section(key).map(|section| tls(&section))),
        username: section.if_there("username", |key| section.value(key, word)),
        password: section
            .if_there("password", |key| section.section(key).map(|section| secret(&section))),
        sentinel: section.if_there("sentinel", |key| {
            section.section(key).map(|section| SentinelFile {
                spot: section.spot().clone(),
                username: section.if_there("username", |key| section.value(key, word)),
                password: section.section("password").map(|section| secret(&section)),
            })
        }),
        database: section.value("database", database),
        prefix: bare(section.value("prefix", prefix)),
        timeout: bare(section.value("timeout", value::duration("5ms", "5s"))),
        grace: bare(section.value("grace", value::duration("0s", "10m"))),
    }
}

fn tls(section: &Section<'_>) -> RedisTlsFile {
    let named = |key| (section.has(key), section.spot_of(key));
    RedisTlsFile {
        ca: section.if_there("ca", |key| section.values(key, value::path)),
        own: TlsFile {
            certificate: section.value("certificate", value::path),
            key: section.value("key", value::path),
        },
        names: (named("certificate"), named("key")),
    }
}
