//! A Redis or Valkey: where it is, how it is spoken with, and what its keys mean for each other.

use std::path::Path;

use super::written::{Mode, RedisFile, RedisTlsFile, SentinelFile};
use super::{Redis, RedisMode, RedisTls};
use crate::config::context::{Context, Located};
use crate::config::file::SecretFile;
use crate::config::{ServerAddress, secrets, tls};
use crate::gate::Secret;

/// Resolves the section; `None` if something was reported.
pub(super) fn resolve(context: &Context<'_>, file: &RedisFile, folder: &Path) -> Option<Redis> {
    let servers = file.servers.as_ref().and_then(|written| servers(context, file, written));
    let mode = mode(context, file, folder);
    let tls = match &file.tls {
        Some(Some(file)) => self::tls(context, file, folder).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let password = password(context, file, folder);
    let database = database(context, file);
    if let (Some(Some(username)), Some(None)) = (&file.username, &file.password) {
        let message = "without `password` nobody is signed in to Redis, so this does nothing: add \
                       one, or remove it";
        context.error(&username.spot, message);
        return None;
    }
    Some(Redis {
        mode: mode?,
        servers: servers?,
        tls: tls?,
        username: file.username.as_ref()?.as_ref().map(|name| name.value.clone()),
        password: password?,
        database: database?,
        prefix: file.prefix.clone()?,
        timeout: file.timeout?,
        grace: file.grace?,
    })
}

/// Each once, and one alone where one is asked.
fn servers(
    context: &Context<'_>,
    file: &RedisFile,
    written: &[Located<ServerAddress>],
) -> Option<Vec<ServerAddress>> {
    let mut servers: Vec<ServerAddress> = Vec::new();
    let mut is_sound = true;
    for server in written {
        let is_same = |known: &ServerAddress| {
            known.port == server.value.port && known.host.eq_ignore_ascii_case(&server.value.host)
        };
        if servers.iter().any(is_same) {
            context.error(&server.spot, "this server is in the list already");
            is_sound = false;
        } else if file.mode == Some(Mode::Single) && !servers.is_empty() {
            let message = "with `mode: single` there is one server; Sentinels or the nodes of a \
                           Cluster are several, with `mode: sentinel` or `mode: cluster`";
            context.error(&server.spot, message);
            is_sound = false;
        }
        servers.push(server.value.clone());
    }
    let distant = written.iter().find(|server| !is_this_machine(&server.value));
    if let (Some(None), Some(distant)) = (&file.tls, distant) {
        let password = match file.password {
            Some(None) => "",
            _ => "read the password, ",
        };
        context.warn(
            &distant.spot,
            format!(
                "without `tls`, whoever is on the way to Redis can {password}see when which \
                 session is used, by the hash of its id, and end sessions or undo their end; who \
                 the members are is sealed"
            ),
        );
    }
    is_sound.then_some(servers)
}

fn is_this_machine(server: &ServerAddress) -> bool {
    match server.host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => server.host.eq_ignore_ascii_case("localhost"),
    }
}

fn mode(context: &Context<'_>, file: &RedisFile, folder: &Path) -> Option<RedisMode> {
    let mode = file.mode?;
    if mode == Mode::Sentinel {
        let sentinel = match &file.sentinel {
            Some(Some(sentinel)) => sentinel_user(context, sentinel, folder),
            Some(None) => Some((None, None)),
            None => None,
        };
        let Some(master) = file.master.as_ref()? else {
            let message = "`master` is missing: what Sentinels call the primary, as in \
                           `sentinel monitor NAME …`";
            context.error(&file.spot, message);
            return None;
        };
        let (username, password) = sentinel?;
        return Some(RedisMode::Sentinel { master: master.value.clone(), username, password });
    }
    let spots = [
        file.master.as_ref()?.as_ref().map(|master| &master.spot),
        file.sentinel.as_ref()?.as_ref().map(|sentinel| &sentinel.spot),
    ];
    for spot in spots.into_iter().flatten() {
        context.error(spot, "this is for `mode: sentinel` alone; write that, or remove it");
    }
    match (mode, spots) {
        (Mode::Cluster, [None, None]) => Some(RedisMode::Cluster),
        (_, [None, None]) => Some(RedisMode::Single),
        (_, _) => None,
    }
}

/// The Sentinels' own user and password.
fn sentinel_user(
    context: &Context<'_>,
    file: &SentinelFile,
    folder: &Path,
) -> Option<(Option<String>, Option<Secret<String>>)> {
    let password = secrets::password(context, folder, file.password.as_ref()?)?;
    let username = file.username.as_ref()?.as_ref().map(|name| name.value.clone());
    Some((username, Some(password)))
}

/// Outside `None` if something was reported.
fn password(
    context: &Context<'_>,
    file: &RedisFile,
    folder: &Path,
) -> Option<Option<Secret<String>>> {
    let read = |source: &SecretFile| secrets::password(context, folder, source);
    match file.password.as_ref()? {
        Some(source) => read(source).map(Some),
        None => Some(None),
    }
}

fn database(context: &Context<'_>, file: &RedisFile) -> Option<i64> {
    let database = file.database.as_ref()?;
    if file.mode == Some(Mode::Cluster) && database.value != 0 {
        context.error(&database.spot, "a Cluster has database 0 alone; remove it");
        return None;
    }
    Some(database.value)
}

fn tls(context: &Context<'_>, file: &RedisTlsFile, folder: &Path) -> Option<RedisTls> {
    let ca = match &file.ca {
        Some(Some(files)) => tls::trusted_pem(context, folder, files).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let certificate = match &file.names {
        ((true, _), (true, _)) => tls::certified_pem(context, folder, &file.own).map(Some),
        ((false, _), (false, _)) => Some(None),
        ((true, one), (false, _)) | ((false, _), (true, one)) => {
            let message = "`certificate` and `key` go together: name both, or none";
            context.error(one, message);
            None
        }
    };
    Some(RedisTls { ca: ca?, certificate: certificate? })
}
