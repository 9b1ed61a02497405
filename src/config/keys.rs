//! Every key that an operator may write: what stands at it, whether it has to, and what holds
//! where it does not. `file.rs` reads by these tables, so they cannot promise what is not there.

mod break_glass;
mod doors;
mod identity;
mod listen;
mod logging;
mod mapping;
mod members;
mod portal;
pub(super) mod presets;
mod providers;
mod requires;
mod route;
mod sessions;
mod shutdown;
mod signature;
mod tokens;
mod traces;
mod upstream;

pub(super) use self::doors::PROFILE;
use self::identity::SIGNING;
use self::listen::{ADMIN, LISTEN, VERIFY};
use self::logging::{LOGGING, RELOAD};
pub(super) use self::mapping::TRANSFORM;
use self::portal::PORTAL;
use self::providers::PROVIDER;
use self::sessions::SESSIONS;
use self::shutdown::SHUTDOWN;
use self::traces::TRACES;
use super::kind::{Change, Key, Kind, Need};

const fn required(name: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::Required;
    Key { name, need, kind, says, change: Change::Live }
}

const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::Optional;
    Key { name, need, kind, says, change: Change::Live }
}

/// One of several of which exactly one has to be there, as `which` says.
const fn one_of(name: &'static str, which: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::OneOf(which);
    Key { name, need, kind, says, change: Change::Live }
}

const fn default(name: &'static str, default: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::Default(default);
    Key { name, need, kind, says, change: Change::Live }
}

const fn defaults(name: &'static str, keys: &'static [Key], says: &'static str) -> Key {
    let (need, kind) = (Need::Defaults, Kind::Section(keys));
    Key { name, need, kind, says, change: Change::Live }
}

/// One that the running program cannot change.
const fn restart(key: Key) -> Key {
    Key { change: Change::Restart, ..key }
}

const fn word(words: &'static [&'static str]) -> Kind {
    Kind::Word(words)
}

const ADDRESS: Kind = Kind::Formed {
    what: "an IP address and port, such as `0.0.0.0:8443`",
    pattern: "^[0-9A-Fa-f.:%\\[\\]]+:[0-9]+$",
};
const NETWORK: Kind = Kind::Value("a network such as `10.0.0.0/8`, or an address");
const LABEL: Kind = Kind::Value("a text of 1 to 80 characters on one line");
const PATH: Kind = Kind::Value("a path to a file");
const PATTERN: Kind =
    Kind::Formed { what: "a path such as `/login` or `/assets/**`", pattern: "^/" };
const DURATION: Kind = Kind::Formed {
    what: "a duration with its unit, such as `500ms`, `60s`, `30m`, `12h` or `7d`",
    pattern: "^[0-9]+(ms|s|m|h|d)$",
};
const SIZE: Kind = Kind::Formed {
    what: "a size such as `64KiB`, `10MiB` or `2GiB`, or `none`",
    pattern: "^([0-9]+(B|KiB|MiB|GiB)|none)$",
};
/// What every size has that is not `none`.
const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB)$";
/// What every URL has.
const URL_PATTERN: &str = "^https?://";
const GUID: Kind = Kind::Formed { what: "the GUID of a tenant", pattern: GUID_PATTERN };
const GUID_PATTERN: &str = "^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$";
const YES_OR_NO: Kind = word(&["true", "false"]);

/// Where a secret comes from: exactly one of these.
const SECRET: &[Key] = &[
    optional(
        "file",
        PATH,
        "the path of a file with nothing else in it; one line break at its end is left out",
    ),
    optional(
        "env",
        Kind::Private("the name of an environment variable"),
        "the name of an environment variable",
    ),
    optional(
        "value",
        Kind::Secret("the secret itself"),
        "the secret itself, which then everybody sees who can read this file",
    ),
];

/// The top of the file.
pub(super) const FILE: &[Key] = &[
    required(
        "listen",
        Kind::Section(LISTEN),
        "where visitors connect, such as `{ address: \"0.0.0.0:8443\" }`",
    ),
    defaults("admin", ADMIN, "where health and metrics are served, apart from visitors"),
    optional(
        "providers",
        Kind::Named { name: "providers, each under a name of your choice", of: &PROVIDER },
        "the identity providers, by a name that is in the path of the redirect URI",
    ),
    required(
        "portals",
        Kind::List(&Kind::Section(PORTAL)),
        "the portals to stand in front of, at least one",
    ),
    defaults("sessions", SESSIONS, "how sessions are kept"),
    defaults("signing", SIGNING, "the keys that sign what portals are told"),
    optional(
        "verify",
        Kind::Section(VERIFY),
        "forward-auth: another server has the visitors' connections, and asks here about each \
         request",
    ),
    defaults("logging", LOGGING, "what is logged, and how"),
    defaults("reload", RELOAD, "when another configuration is put in force while we run"),
    defaults("shutdown", SHUTDOWN, "how long the parts of a stop take"),
    optional(
        "traces",
        Kind::Section(TRACES),
        "where spans of requests and of what is asked for them go; without it there are none",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keys: &[Key], into: &mut Vec<&'static str>) {
        for key in keys {
            into.push(key.name);
            below(&key.kind, into);
        }
    }

    fn below(kind: &Kind, into: &mut Vec<&'static str>) {
        match kind {
            Kind::Section(keys) | Kind::Short { keys, .. } | Kind::SectionOr { keys, .. } => {
                names(keys, into);
            }
            Kind::Variants { of, .. } => of.iter().for_each(|(_, keys)| names(keys, into)),
            Kind::List(of) | Kind::Named { of, .. } => below(of, into),
            Kind::Value(_) | Kind::Formed { .. } | Kind::Number(..) => {}
            Kind::Private(_) | Kind::Secret(_) | Kind::Word(_) => {}
        }
    }

    #[test]
    fn the_example_names_every_key() {
        let example = include_str!("../../config.example.yaml");
        let mut all = Vec::new();
        names(FILE, &mut all);
        assert!(all.len() > 40, "the walk found only {all:?}");
        for name in all {
            assert!(
                example.contains(&format!("{name}:")),
                "config.example.yaml does not show `{name}`"
            );
        }
    }
}
