//! What `doctor` asks of a store: the connections as a start makes them, what the server says of
//! itself, and whether it keeps what it is given: one key of our own that is deleted again, and that
//! ends by itself where nobody comes to delete it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use tokio::time::timeout;

use super::{CONNECT_TIME, Link, Wiring, slots};
use crate::config;
use crate::telemetry::causes;

/// What a server says of itself, `None` where its user may not ask, and what it does.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Its version, with the name of what it is.
    pub(crate) version: Option<(&'static str, String)>,
    /// What becomes of what it was given when its memory is full, and whether it has a limit.
    pub(crate) eviction: Option<(String, bool)>,
    /// What came of giving it something.
    pub(crate) kept: Result<RoundTrip, NotKept>,
}

/// How long it took to write something, to read it, and to delete it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    pub(crate) write: Duration,
    pub(crate) read: Duration,
    pub(crate) delete: Duration,
}

/// Why a store does not keep what it is given.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// Its memory is full.
    Full,
    /// It is a replica, which takes nothing.
    Replica,
    /// Its user may not write, read or delete below the prefix.
    NotPermitted,
    /// Something else was read than what was written.
    Other,
    /// There was no answer in time, or another fault.
    Fault(String),
}

/// How long what is written stays if it is not deleted, in milliseconds.
const STAYS: u32 = 30_000;

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
    let (prefix, limit) = (settings.prefix.clone(), settings.timeout);
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
    let kept = timeout(3 * limit, round_trip(&wiring, &prefix)).await;
    let slow = |_| Err(NotKept::Fault(format!("no answer within {limit:?}")));
    let kept = kept.unwrap_or_else(slow);
    // Kept until here: what it was told by is gone with it.
    drop((wiring, Arc::clone(&link)));
    let (version, eviction) = read(&server.unwrap_or_default(), &memory.unwrap_or_default());
    Ok(Examined { version, eviction, kept })
}

/// Writes a key that nobody else has, reads it and deletes it.
async fn round_trip(wiring: &Wiring, prefix: &str) -> Result<RoundTrip, NotKept> {
    let mut bytes = [0; 16];
    let no_random = |_| NotKept::Fault("the system gave no random bytes".to_owned());
    aws_lc_rs::rand::fill(&mut bytes).map_err(no_random)?;
    let value = u128::from_be_bytes(bytes).to_string();
    let key = format!("{prefix}doctor:{{{value}}}");
    let node = wiring.of(slots::slot(&key));
    let node = node.ok_or_else(|| NotKept::Fault("no node has the slot of a key".to_owned()))?;
    let mut connection = node.connection.clone();
    let mut told = |error: RedisError| not_kept(&error);
    let begun = Instant::now();
    let mut set = cmd("SET");
    set.arg(&key).arg(&value).arg("PX").arg(STAYS);
    let () = set.query_async(&mut connection).await.map_err(&mut told)?;
    let write = begun.elapsed();
    let begun = Instant::now();
    let found: Result<Option<String>, _> = cmd("GET").arg(&key).query_async(&mut connection).await;
    let read = begun.elapsed();
    let begun = Instant::now();
    let deleted: Result<u64, _> = cmd("DEL").arg(&key).query_async(&mut connection).await;
    let delete = begun.elapsed();
    let (found, deleted) = (found.map_err(&mut told)?, deleted.map_err(&mut told)?);
    match found == Some(value) && deleted == 1 {
        true => Ok(RoundTrip { write, read, delete }),
        false => Err(NotKept::Other),
    }
}

fn not_kept(error: &RedisError) -> NotKept {
    match (error.kind(), error.code().unwrap_or_default()) {
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => NotKept::NotPermitted,
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => NotKept::Replica,
        (_, "OOM") => NotKept::Full,
        // Its own text is somebody else's.
        (_, "") => NotKept::Fault(causes(error)),
        (_, word) => NotKept::Fault(format!("it answers {word}")),
    }
}

/// The version, and what becomes of what it was given when its memory is full.
type OfItself = (Option<(&'static str, String)>, Option<(String, bool)>);

fn read(server: &str, memory: &str) -> OfItself {
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
    (valkey.or_else(redis), eviction)
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
        assert_eq!(read_of.0, Some(("Redis", "7.0.15".to_owned())));
        assert_eq!(read_of.1, Some(("noeviction".to_owned(), false)));
        let valkey = read("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n", "");
        assert_eq!(valkey.0, Some(("Valkey", "8.1.0".to_owned())));
        assert_eq!(valkey.1, None);
        assert_eq!(read("", "").0, None);
    }
}
