//! What an operator may write at `sessions`.

use super::super::kind::{Key, Kind};
use super::{DURATION, PATH, SECRET, default, optional, required, restart, word};

pub(super) const SESSIONS: &[Key] = &[
    restart(default(
        "store",
        "memory",
        word(&["memory", "cookie", "redis"]),
        "where they are kept: in this process, sealed in the visitor's browser, or sealed in Redis",
    )),
    optional(
        "keys",
        Kind::List(&Kind::Section(SEALING_KEY)),
        "what seals all that leaves this process: the first seals, and all open",
    ),
    restart(optional(
        "snapshot",
        PATH,
        "with `store: memory`, the path of a file that sessions wait in, sealed, while the process \
         is restarted",
    )),
    restart(optional(
        "redis",
        Kind::Section(REDIS),
        "the Redis or Valkey of `store: redis`, or where `store: cookie` lists what has ended",
    )),
    restart(default(
        "idle_timeout",
        "30m",
        DURATION,
        "ends a session that nobody used for so long",
    )),
    restart(default("absolute_timeout", "12h", DURATION, "ends every session, however busy")),
    default(
        "refresh_interval",
        "15m",
        DURATION,
        "how often the provider is asked again about a member, if there is a refresh token \
         (`offline_access`): by then a lost role or a disabled account counts",
    ),
    restart(default(
        "capacity",
        "1000000",
        Kind::Number(1, 100_000_000),
        "how many this process keeps; beyond, the least recently used goes",
    )),
];

/// Where a sealing key comes from: exactly one of these.
const SEALING_KEY: &[Key] = &[
    optional(
        "file",
        PATH,
        "the path of a file that others cannot read, with what `openssl rand -base64 32` writes",
    ),
    optional(
        "env",
        Kind::Private("the name of an environment variable"),
        "the name of an environment variable that holds the same",
    ),
    optional(
        "value",
        Kind::Secret("the key itself"),
        "the key itself, which then everybody sees who can read this file",
    ),
];

const SERVER: Kind = Kind::Formed {
    what: "a host and a port, such as `redis.internal:6379`, `10.0.0.5:6379` or \
           `[2001:db8::5]:6379`",
    pattern: ":[0-9]+$",
};
const USERNAME: Kind = Kind::Value("a name of 1 to 128 characters of ASCII without blanks");

const REDIS: &[Key] = &[
    default(
        "mode",
        "single",
        word(&["single", "sentinel", "cluster"]),
        "what stands at `servers`: one server, Sentinels, or nodes of a Cluster",
    ),
    required(
        "servers",
        Kind::List(&SERVER),
        "host and port, such as `[\"redis.internal:6379\"]`; of Sentinels or a Cluster, those to \
         ask first",
    ),
    optional(
        "master",
        Kind::Value("a name of 1 to 128 characters of ASCII without blanks"),
        "with `mode: sentinel`, what Sentinels call the primary",
    ),
    optional("tls", Kind::Section(REDIS_TLS), "TLS; `{}` trusts what the system trusts"),
    optional("username", USERNAME, "the ACL user; Redis's own `default` unless one is named"),
    optional("password", Kind::Section(SECRET), "its password: `{ file: … }` or `{ env: … }`"),
    optional("sentinel", Kind::Section(SENTINEL), "the Sentinels' own user and password"),
    default(
        "database",
        "0",
        Kind::Number(0, 15),
        "the number of the database; a Cluster has 0 alone",
    ),
    default(
        "prefix",
        "anteport:",
        Kind::Value(
            "1 to 64 visible characters of ASCII, none of them `{`, `}`, `[`, `]`, `*`, `?` or `\\`",
        ),
        "what all names in Redis begin with",
    ),
    default("timeout", "80ms", DURATION, "for an answer, from beginning to end; 5ms to 5s"),
    default(
        "grace",
        "30s",
        DURATION,
        "for how long members go on whose session is known here while Redis does not answer, at \
         most 10m",
    ),
];

const REDIS_TLS: &[Key] = &[
    optional(
        "ca",
        Kind::List(&PATH),
        "PEM files with the certificates to trust instead of the system's",
    ),
    optional(
        "certificate",
        PATH,
        "the path of a PEM file with the chain of our own certificate, if Redis asks for one",
    ),
    optional(
        "key",
        PATH,
        "the path of a PEM file with its private key, which others must not be able to read",
    ),
];

const SENTINEL: &[Key] = &[
    optional("username", USERNAME, "their ACL user; `default` unless one is named"),
    required("password", Kind::Section(SECRET), "its password: `{ file: … }` or `{ env: … }`"),
];
