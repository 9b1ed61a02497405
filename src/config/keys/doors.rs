//! What an operator, or a profile, may write about a portal's own doors.

use super::super::kind::{Key, Kind};
use super::super::profiles;
use super::{PATTERN, SIZE_PATTERN, default, optional, required, word};

pub(super) const LOCAL_LOGIN: &[Key] = &[
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

pub(super) const COVERS: Kind =
    Kind::List(&word(&["extensions", "path_info", "language_prefix", "suffixes", "anywhere"]));
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const VALUE_PATTERN: Kind = Kind::Value("a text, perhaps with `*` at one end");
pub(super) const PAIRS: Kind = Kind::Named {
    name: "names, each with a value or a list of values, `*` for any",
    of: &Kind::List(&VALUE_PATTERN),
};

/// A profile: what is known of a product's doors.
pub(in crate::config) const PROFILE: &[Key] = &[
    required("product", Kind::Value("a name"), "the product's name"),
    required("proof", Kind::Value("a sentence"), "what it has been tried on"),
    required("sources", Kind::List(&Kind::Value("a URL")), "where the doors are documented"),
    optional("login_pages", Kind::List(&Kind::Short { keys: DOOR, key: "path" }), "login pages"),
    optional("password_routes", Kind::List(&Kind::Section(DOOR)), "password routes"),
    optional("portal_cookies", Kind::List(&VALUE_PATTERN), "session cookies"),
];
