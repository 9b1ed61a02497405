//! Every key that an operator may write: what stands at it, whether it has to, and what holds
//! where it does not. `file.rs` reads by these tables, so they cannot promise what is not there.

mod break_glass;
mod mapping;
mod members;
pub(super) mod presets;
mod providers;
mod requires;
mod sessions;
mod shutdown;
mod signature;
mod tokens;
mod traces;
mod upstream;

use self::break_glass::{BREAK_GLASS, ROLLOUT};
use self::mapping::MAPPING;
pub(super) use self::mapping::TRANSFORM;
use self::members::MEMBERS;
use self::providers::PROVIDER;
use self::requires::REQUIRES;
use self::sessions::SESSIONS;
use self::shutdown::SHUTDOWN;
use self::signature::SIGNATURE;
use self::tokens::TOKENS;
use self::traces::TRACES;
use self::upstream::UPSTREAM;
use super::kind::{Change, Key, Kind, Need};
use super::profiles;
use super::verify::Description;

const fn required(name: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::Required;
    Key { name, need, kind, says, change: Change::Live }
}

const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Key {
    let need = Need::Optional;
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
const CONNECTIONS: Kind = Kind::Number(1, 1_000_000);
const PATH: Kind = Kind::Value("a path to a file");
const SINK: Kind =
    Kind::Value("`stderr`, `stdout` or the path of a file, such as `/var/log/anteport/access.log`");
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

const LISTEN: &[Key] = &[
    restart(required("address", ADDRESS, "IP address and port, such as `0.0.0.0:8443`")),
    optional(
        "tls",
        Kind::Section(TLS),
        "certificate and key; without them plain HTTP/1.1 is served, for TLS to end in front",
    ),
    default(
        "proxy_protocol",
        "false",
        YES_OR_NO,
        "whether every connection begins with a PROXY protocol header (1 or 2) and has to",
    ),
    optional(
        "trusted_proxies",
        Kind::List(&NETWORK),
        "networks of the proxies in front, which may say by `X-Forwarded-For` or the PROXY \
         protocol who the visitor is",
    ),
    default("max_connections", "10000", CONNECTIONS, "how many connections there may be in all"),
    default(
        "max_connections_per_address",
        "256",
        CONNECTIONS,
        "how many of them one address may have, `trusted_proxies` excepted",
    ),
];

const VERIFY: &[Key] = &[
    required(
        "peers",
        Kind::List(&NETWORK),
        "the servers that may ask; they are believed whatever they say of a request",
    ),
    optional(
        "description",
        word(Description::WORDS),
        "how those describe it that ask over HTTP: `x_forwarded` (Traefik, Caddy), `x_original` \
         (nginx, Apache, HAProxy) or `path` (Envoy)",
    ),
    optional(
        "grpc",
        Kind::Section(VERIFY_GRPC),
        "a listener of its own for those that ask over gRPC, by `envoy.service.auth.v3` (Envoy)",
    ),
];

const VERIFY_GRPC: &[Key] = &[
    restart(required("address", ADDRESS, "IP address and port, such as `127.0.0.1:9191`")),
    optional(
        "tls",
        Kind::Section(TLS),
        "certificate and key; without them HTTP/2 is spoken without TLS",
    ),
];

const TLS: &[Key] = &[
    required(
        "certificate",
        PATH,
        "the path of a PEM file with the certificate chain, the server's own first",
    ),
    required(
        "key",
        PATH,
        "the path of a PEM file with the private key, which others must not be able to read",
    ),
];

const ADMIN: &[Key] =
    &[restart(default("address", "127.0.0.1:9090", ADDRESS, "IP address and port"))];

const PORTAL: &[Key] = &[
    required(
        "public_url",
        Kind::Formed { what: "a URL such as `https://members.example.org`", pattern: URL_PATTERN },
        "the URL that visitors know, such as `https://members.example.org`",
    ),
    required(
        "upstream",
        Kind::Section(UPSTREAM),
        "where the portal listens, such as `{ url: \"http://127.0.0.1:3000\" }`",
    ),
    default(
        "mode",
        "azure_only",
        word(&["azure_only", "optional", "report_only", "off"]),
        "whether visitors have to sign in, may, or cannot",
    ),
    optional(
        "rollout",
        Kind::Section(ROLLOUT),
        "with `azure_only`, for whom it holds already: everybody else is as in `report_only`; \
         without it, it holds for everybody",
    ),
    optional(
        "break_glass",
        Kind::Section(BREAK_GLASS),
        "what opens the way to the portal's own sign-in when nobody can sign in with the provider; \
         without it nothing does",
    ),
    default(
        "auth_path",
        "/.auth",
        Kind::Formed { what: "a path such as `/.auth`", pattern: "^/" },
        "where our own pages are",
    ),
    defaults("sign_in", SIGN_IN, "with whom visitors sign in"),
    defaults(
        "local_login",
        LOCAL_LOGIN,
        "where the portal itself asks for passwords; `{}` says that it does not",
    ),
    defaults(
        "spelling",
        SPELLING,
        "what becomes of paths that are not in their canonical spelling",
    ),
    optional(
        "routes",
        Kind::List(&Kind::Section(ROUTE)),
        "who may go where; the first that covers a path decides, and what none covers is refused",
    ),
    optional(
        "members",
        Kind::Section(MEMBERS),
        "whom the portal knows, and what becomes of others; without it nobody is asked",
    ),
    defaults("identity", IDENTITY, "what the portal is told about a member"),
    defaults("logout", LOGOUT, "what signing out does"),
];

const SIGN_IN: &[Key] = &[
    optional(
        "providers",
        Kind::List(&Kind::Value("the name of a provider")),
        "names of providers, in the order of the page; the only one if there is one",
    ),
    default(
        "button_label",
        "Sign in with Corporate Account",
        Kind::Value("a text of 1 to 80 characters on one line"),
        "what the button says",
    ),
    optional(
        "resend_forms",
        Kind::Formed { what: "a size from `1KiB` to `1MiB`", pattern: SIZE_PATTERN },
        "how large a form may be that is kept for its member when it meets an expired session: the \
         page holds it, sealed, until they have signed in and send it again; without it none is kept",
    ),
    default(
        "test",
        "false",
        YES_OR_NO,
        "whether `/.auth/test` signs anybody in to show what would come of it, and makes no session",
    ),
];

const LOCAL_LOGIN: &[Key] = &[
    optional(
        "profile",
        Kind::List(&word(profiles::NAMES)),
        "the product that the portal is made with, whose doors are known",
    ),
    optional(
        "login_pages",
        Kind::List(&Kind::Short { keys: DOOR, key: "path" }),
        "the portal's login pages: asking for one becomes a sign-in",
    ),
    optional(
        "password_routes",
        Kind::List(&Kind::Section(DOOR)),
        "where the portal takes passwords: refused for everybody",
    ),
    optional(
        "portal_cookies",
        Kind::List(&VALUE_PATTERN),
        "the portal's own session cookies: dropped unless they were set during a session of ours",
    ),
    default(
        "form_limit",
        "1MiB",
        Kind::Formed { what: "a size from `1KiB` to `16MiB`", pattern: SIZE_PATTERN },
        "how much of a body is read for a rule that looks at a form; longer ones are refused there",
    ),
];

/// One of the portal's own doors.
const DOOR: &[Key] = &[
    optional("name", Kind::Value("a name of 1 to 64 of a-z, 0-9 and -"), "what the log calls it"),
    required("path", PATTERN, "a path such as `/login`"),
    optional(
        "covers",
        COVERS,
        "what else could be this path: `/login.json`, `/login/more`, `/en/login`, `/login-form`, \
         `/any/folder/login`",
    ),
    optional(
        "methods",
        Kind::List(&word(METHODS)),
        "the methods that are refused, all of them if none is named; HEAD goes with GET",
    ),
    optional("query", PAIRS, "parameters of the query that have to be there"),
    optional("form", PAIRS, "fields of the body or the query that have to be there"),
    optional("headers", PAIRS, "headers that have to be there"),
    optional("cookies", PAIRS, "cookies that have to be there"),
    optional(
        "unless",
        Kind::List(&Kind::Section(EXCEPTION)),
        "what lets a request through all the same, to the letter",
    ),
    JOURNEY,
];

const JOURNEY: Key = default(
    "journey",
    "sign_in",
    word(&["sign_in", "sign_up", "password_reset", "profile_edit"]),
    "what a GET of a login page becomes; every other than `sign_in` takes a provider that has it",
);

const EXCEPTION: &[Key] = &[
    optional("path", PATTERN, "a path such as `/login/help`"),
    optional("methods", Kind::List(&word(METHODS)), "one of these methods"),
    optional("query", PAIRS, "parameters of the query that have to be there"),
    optional("form", PAIRS, "fields of the body or the query that have to be there"),
    optional("headers", PAIRS, "headers that have to be there"),
    optional("cookies", PAIRS, "cookies that have to be there"),
];

const COVERS: Kind =
    Kind::List(&word(&["extensions", "path_info", "language_prefix", "suffixes", "anywhere"]));
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const VALUE_PATTERN: Kind = Kind::Value("a text, perhaps with `*` at one end");
const PAIRS: Kind = Kind::Named {
    name: "names, each with a value or a list of values, `*` for any",
    of: &Kind::List(&VALUE_PATTERN),
};

/// A profile: what is known of a product's doors.
pub(super) const PROFILE: &[Key] = &[
    required("product", Kind::Value("a name"), "the product's name"),
    required("proof", Kind::Value("a sentence"), "what it has been tried on"),
    required("sources", Kind::List(&Kind::Value("a URL")), "where the doors are documented"),
    optional("login_pages", Kind::List(&Kind::Short { keys: DOOR, key: "path" }), "login pages"),
    optional("password_routes", Kind::List(&Kind::Section(DOOR)), "password routes"),
    optional("portal_cookies", Kind::List(&VALUE_PATTERN), "session cookies"),
];

const SPELLING: &[Key] = &[
    default(
        "odd_segments",
        "reject",
        word(&["reject", "redirect"]),
        "what becomes of a GET with `//`, `/./` or `/../`: refused, or sent to the canonical path",
    ),
    default(
        "session_parameter",
        "reject",
        word(&["reject", "redirect"]),
        "what becomes of a GET with `;jsessionid=…`: refused, or sent to the path without it",
    ),
    optional(
        "allow",
        Kind::List(&Kind::Section(ALLOWANCE)),
        "odd spellings that the portal needs, below a path",
    ),
];

const ALLOWANCE: &[Key] = &[
    required("path", PATTERN, "where, such as `/wiki/**`"),
    required(
        "oddities",
        Kind::List(&word(&[
            "encoded_slash",
            "encoded_percent",
            "encoded_punctuation",
            "empty_segments",
            "parameters",
            "look_alikes",
            "windows_names",
        ])),
        "which of `encoded_slash`, `encoded_percent`, `encoded_punctuation`, `empty_segments`, \
         `parameters`, `look_alikes` and `windows_names` pass",
    ),
];

const ROUTE: &[Key] = &[
    required("path", PATTERN, "a path such as `/assets/**`"),
    optional(
        "covers",
        COVERS,
        "what else could be this path, on a line that asks for a sign-in: as for a password route",
    ),
    optional("query", PAIRS, "parameters of the query that have to be there for the line to count"),
    optional(
        "form",
        PAIRS,
        "fields of the body or the query that have to be there for it to count",
    ),
    required(
        "access",
        word(&["public", "signed_in"]),
        "`public` or `signed_in`; nothing is public because a line is missing",
    ),
    optional(
        "requires",
        Kind::Section(REQUIRES),
        "on a line that asks for a sign-in, what members need besides",
    ),
    default("websocket", "false", YES_OR_NO, "whether upgrades to WebSocket pass"),
    default(
        "response_trailers",
        "false",
        YES_OR_NO,
        "whether trailers of the portal's answers pass, as gRPC needs them",
    ),
    default(
        "local_credentials",
        "false",
        YES_OR_NO,
        "whether `Authorization` passes to the portal and `WWW-Authenticate` to the visitor",
    ),
    default("max_body", "none", SIZE, "the largest body of a request"),
    default(
        "identity",
        "all",
        Kind::List(&Kind::Value("`all`, `none`, `assertion` or the name of an identity header")),
        "what the portal is told there about a member: `all`, `none`, or a list of `assertion` and \
         names under `identity.headers`",
    ),
];

const IDENTITY: &[Key] = &[
    optional(
        "headers",
        Kind::Named {
            name: "header names, each with the claim that it carries",
            of: &Kind::Short { keys: MAPPING, key: "claim" },
        },
        "plain headers, each with the claim that it carries, or with a section that says how it is \
         made",
    ),
    Key {
        name: "assertion",
        need: Need::Defaults,
        kind: Kind::SectionOr { word: "none", keys: ASSERTION },
        says: "the signed assertion; `none` turns it off",
        change: Change::Live,
    },
    optional(
        "signature",
        Kind::SectionOr { word: "none", keys: SIGNATURE },
        "a signature over each request and its identity headers (RFC 9421); `none`, as without it",
    ),
    optional(
        "tokens",
        Kind::Section(TOKENS),
        "the provider's tokens that the portal gets; none unless they are named",
    ),
    presets::PRESET,
    presets::ONLY_WAY_IN,
    presets::ADDRESSES_ARE_THEIRS,
    presets::PRESET_CLAIMS,
    presets::EASY_AUTH,
    presets::OAUTH2_PROXY,
    presets::CLOUDFLARE_ACCESS,
    presets::GOOGLE_IAP,
    presets::AWS_ALB,
    presets::POMERIUM,
];

const ASSERTION: &[Key] = &[
    optional(
        "audience",
        Kind::Value("a text without spaces"),
        "whom it is for; the public URL unless another is named",
    ),
    default(
        "algorithm",
        "ES256",
        word(&["ES256", "EdDSA", "RS256", "HS256"]),
        "how it is signed: by a key of `signing`, or by a secret that the portal has too",
    ),
    optional(
        "secret",
        Kind::Section(SECRET),
        "with `algorithm: HS256`, the secret: 32 bytes or more in base64, for this portal alone",
    ),
    default("lifetime", "60s", DURATION, "how long it is valid, from 5s to 60s"),
];

const SIGNING: &[Key] = &[optional(
    "keys",
    Kind::List(&Kind::Section(SIGNING_KEYS)),
    "PEM with private keys, as `anteport keys generate` makes them: the first of an algorithm signs, and \
     the public halves of all are at `/.auth/jwks.json`; without any, a key is made at each start",
)];

/// Where signing keys come from: exactly one of these.
const SIGNING_KEYS: &[Key] = &[
    optional("file", PATH, "the path of a file that others cannot read, with keys in PEM"),
    optional(
        "env",
        Kind::Private("the name of an environment variable"),
        "the name of an environment variable that holds the same",
    ),
    optional(
        "value",
        Kind::Secret("the keys themselves"),
        "the keys themselves, which then everybody sees who can read this file",
    ),
];

const LOGOUT: &[Key] =
    &[default("federated", "true", YES_OR_NO, "whether the session at the provider ends too")];

const RELOAD: &[Key] = &[default(
    "watch",
    "true",
    YES_OR_NO,
    "whether a change of this file, or of a secret or certificate that it names, is enough; else \
     somebody has to ask for it",
)];

const LOGGING: &[Key] = &[
    restart(default(
        "format",
        "auto",
        word(&["auto", "pretty", "json"]),
        "the shape of a line; `auto` is `pretty` on a terminal, else `json`",
    )),
    default(
        "level",
        "info",
        word(&["error", "warn", "info", "debug", "trace"]),
        "the least severe level",
    ),
    default("access", "true", YES_OR_NO, "whether each request makes an access event"),
    restart(default("to", "stderr", SINK, "where lines go: `stderr`, `stdout` or a file")),
    restart(optional("access_to", SINK, "where access events go, if it is not there")),
    restart(optional("audit_to", SINK, "where audit events go, if it is not there")),
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
