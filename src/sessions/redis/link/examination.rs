//! What `doctor` asks of a store: the connections as a start makes them, and what the server says
//! of itself. Nothing is written.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use tokio::time::timeout;

use super::{CONNECT_TIME, Link};
use crate::config;
use crate::telemetry::causes;

/// What a server says of itself; `None` where its user may not ask.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// Its version, with the name of what it is.
    pub(crate) version: Option<(&'static str, String)>,
    /// What becomes of what it was given when its memory is full, and whether it has a limit.
    pub(crate) eviction: Option<(String, bool)>,
}

/// Why a store cannot be used.
#[derive(Debug)]
pub(crate) enum StoreFault {
    /// Nobody answers.
    Unreachable(String),
    /// The name or the password is not the one.
    Password,
    /// The user may not do what is needed.
    NotPermitted(String),
    /// It has no client tracking, or no RESP3.
    Old,
    /// Something else.
    Other(String),
}

/// Connects as a start does, client tracking included, and asks the first node about itself.
///
/// # Errors
/// Why the store cannot be used.
pub(crate) async fn examine(settings: config::Redis) -> Result<Examined, StoreFault> {
    let link = Link::new(settings, |_| {});
    let connecting = timeout(2 * CONNECT_TIME, link.connect()).await;
    let slow = |_| StoreFault::Unreachable("it took too long to connect".to_owned());
    let wiring = connecting.map_err(slow)?.map_err(|error| fault(&error))?;
    let Some(node) = wiring.nodes.first() else {
        return Err(StoreFault::Unreachable("there is no node".to_owned()));
    };
    let mut connection = node.connection.clone();
    let mut info = async |section: &str| -> RedisResult<String> {
        cmd("INFO").arg(section).query_async(&mut connection).await
    };
    let (server, memory) = (info("server").await, info("memory").await);
    // Kept until here: what it was told by is gone with it.
    drop((wiring, Arc::clone(&link)));
    Ok(read(&server.unwrap_or_default(), &memory.unwrap_or_default()))
}

fn read(server: &str, memory: &str) -> Examined {
    let line = |text: &str, name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let value = lines.find(|(known, _)| *known == name).map(|(_, value)| value.trim());
        let is_plain =
            |value: &&str| value.len() <= 64 && value.bytes().all(|b| b.is_ascii_graphic());
        value.filter(is_plain).map(str::to_owned)
    };
    let valkey = line(server, "valkey_version").map(|version| ("Valkey", version));
    let redis = || line(server, "redis_version").map(|version| ("Redis", version));
    let eviction = line(memory, "maxmemory_policy").map(|policy| {
        let has_limit = line(memory, "maxmemory").is_some_and(|most| most != "0");
        (policy, has_limit)
    });
    Examined { version: valkey.or_else(redis), eviction }
}

/// None of it quotes what was sent.
fn fault(error: &RedisError) -> StoreFault {
    let said = error.code().unwrap_or_default();
    match error.kind() {
        ErrorKind::AuthenticationFailed => StoreFault::Password,
        _ if matches!(said, "WRONGPASS" | "NOAUTH") => StoreFault::Password,
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            StoreFault::NotPermitted("its user may not use what is needed".to_owned())
        }
        ErrorKind::RESP3NotSupported => StoreFault::Old,
        _ if error.detail().is_some_and(|detail| detail.contains("unknown")) => StoreFault::Old,
        ErrorKind::Io => StoreFault::Unreachable(causes(error)),
        // Its own text is somebody else's.
        _ => StoreFault::Other(match said {
            "" => "it does not do what it is asked".to_owned(),
            word => format!("it answers {word}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_read() {
        let server = "# Server\r\nredis_version:7.0.15\r\nos:Linux\r\n";
        let memory = "maxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n";
        let read_of = read(server, memory);
        assert_eq!(read_of.version, Some(("Redis", "7.0.15".to_owned())));
        assert_eq!(read_of.eviction, Some(("noeviction".to_owned(), false)));
        let valkey = read("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n", "");
        assert_eq!(valkey.version, Some(("Valkey", "8.1.0".to_owned())));
        assert_eq!(valkey.eviction, None);
        assert_eq!(read("", "").version, None);
    }
}
