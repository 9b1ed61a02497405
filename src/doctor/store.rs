//! Where sessions are kept.

use std::path::Path;

use super::{Case, Check, Finding};
use crate::config::{Redis, Store};
use crate::sessions::{NotKept, RoundTrip, StoreFault, can_be_left, examine};

/// The first versions that have client tracking by RESP3.
const OLDEST: u32 = 6;

/// Looks at the store of the configuration.
pub(super) async fn look(case: &Case) -> Vec<Finding> {
    match &case.config.sessions.store {
        Store::Memory { snapshot: Some(path) } => vec![snapshot(path)],
        Store::Memory { snapshot: None } => {
            let told = "sessions are in this process alone, and end with it";
            vec![Finding::ok(Check::Store, "sessions", told)]
        }
        Store::Cookie { revocations: None } => {
            let told = "sessions are in their browsers, and nothing is shared";
            vec![Finding::ok(Check::Store, "sessions", told)]
        }
        Store::Cookie { revocations: Some(redis) } => of_redis(redis).await,
        Store::Redis(redis) => of_redis(redis).await,
    }
}

fn snapshot(path: &Path) -> Finding {
    let (check, subject) = (Check::Snapshot, path.display().to_string());
    match can_be_left(path) {
        Ok(()) => Finding::ok(check, &subject, "it can be written there"),
        Err(error) => {
            let told = format!("nothing can be written there: {error}");
            let fix = "make its folder, and let the user that Anteport runs as write to it \
                       (`StateDirectory=` of a unit does both): without it a restart signs \
                       everybody out";
            Finding::error(check, &subject, told).fix(fix)
        }
    }
}

async fn of_redis(redis: &Redis) -> Vec<Finding> {
    let servers: Vec<String> = redis.servers.iter().map(ToString::to_string).collect();
    let subject = servers.join(", ");
    let examined = match examine(redis.clone()).await {
        Ok(examined) => examined,
        Err(fault) => return vec![unusable(&subject, &fault)],
    };
    let told = "it can be connected to, and tells what changes (client tracking)";
    let mut findings = vec![Finding::ok(Check::Store, &subject, told)];
    findings.push(keeps(&subject, redis, &examined.kept));
    findings.push(match &examined.version {
        None => {
            let told = "its user may not ask (`INFO`), which Anteport does not need otherwise";
            Finding::skipped(Check::StoreVersion, &subject, told)
        }
        Some((name, version)) => {
            let number = version.split('.').next().and_then(|number| number.parse::<u32>().ok());
            match number.is_some_and(|number| number >= OLDEST) {
                true => Finding::ok(Check::StoreVersion, &subject, format!("{name} {version}")),
                false => Finding::error(Check::StoreVersion, &subject, format!("{name} {version}"))
                    .fix("take Redis 6 or later, or Valkey"),
            }
        }
    });
    findings.push(match &examined.eviction {
        None => {
            let told = "its user may not ask (`INFO`); it should be `maxmemory-policy noeviction`";
            Finding::skipped(Check::StoreEviction, &subject, told)
        }
        Some((policy, has_limit)) if policy == "noeviction" || !has_limit => {
            let told = "it throws out nothing when its memory is full";
            Finding::ok(Check::StoreEviction, &subject, told)
        }
        Some((policy, _)) => {
            let told = format!("when its memory is full it throws out sessions (`{policy}`)");
            let fix = "set `maxmemory-policy noeviction`";
            Finding::warning(Check::StoreEviction, &subject, told).fix(fix)
        }
    });
    findings
}

fn keeps(subject: &str, redis: &Redis, kept: &Result<RoundTrip, NotKept>) -> Finding {
    let check = Check::StoreKeeps;
    let (told, fix) = match kept {
        Ok(RoundTrip { write, read, delete }) => {
            let [wrote, was_read, deleted] =
                [write, read, delete].map(|time| format!("{:.1} ms", time.as_secs_f64() * 1000.0));
            let told = format!("written in {wrote}, read in {was_read}, deleted in {deleted}");
            if *write.max(read).max(delete) < redis.timeout / 4 {
                return Finding::ok(check, subject, told);
            }
            let told = format!("{told}, of {:?} that `timeout` allows", redis.timeout);
            let fix = "a sign-in, and the first request of a member on each node, wait for it: bring \
                       it nearer, or make `sessions.redis.timeout` longer than its worst moments";
            return Finding::warning(check, subject, told).fix(fix);
        }
        Err(NotKept::Full) => (
            "it takes nothing, for its memory is full".to_owned(),
            "give it more (`maxmemory`), or see what else is in it: nobody new can sign in",
        ),
        Err(NotKept::Replica) => (
            "it is a replica, which takes nothing".to_owned(),
            "name the primary, or the Sentinels that know it, in `sessions.redis`",
        ),
        Err(NotKept::NotPermitted) => (
            "its user may not write, read or delete what begins with `prefix`".to_owned(),
            "give its user the commands and the keys of docs/sessions.md (`ACL SETUSER`)",
        ),
        Err(NotKept::Other) => (
            "something else was read there than what was written".to_owned(),
            "see that one server answers at this address, and not several in turn",
        ),
        Err(NotKept::Fault(why)) => (
            format!("nothing could be written there, read and deleted: {why}"),
            "see what its own log says",
        ),
    };
    Finding::error(check, subject, told).fix(fix)
}

fn unusable(subject: &str, fault: &StoreFault) -> Finding {
    let (told, fix) = match fault {
        StoreFault::Unreachable(why) => (
            format!("it cannot be reached: {why}"),
            "start it, or correct `sessions.redis`: until then nobody can sign in",
        ),
        StoreFault::Password => (
            "it refuses the password".to_owned(),
            "compare `sessions.redis.username` and `password` with its `requirepass` or ACL",
        ),
        StoreFault::NotPermitted(why) => {
            (why.clone(), "give its user the commands of docs/sessions.md (`ACL SETUSER`)")
        }
        StoreFault::Old => {
            ("it has no client tracking by RESP3".to_owned(), "take Redis 6 or later, or Valkey")
        }
        StoreFault::Other(why) => (why.clone(), "see what its own log says"),
    };
    Finding::error(Check::Store, subject, told).fix(fix)
}
