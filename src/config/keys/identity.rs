//! What an operator may write about what a portal is told, and about the keys that sign it.

use super::super::kind::{Change, Key, Kind, Need};
use super::mapping::MAPPING;
use super::presets;
use super::signature::SIGNATURE;
use super::tokens::TOKENS;
use super::{DURATION, PATH, SECRET, default, optional, word};

pub(super) const IDENTITY: &[Key] = &[
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

pub(super) const SIGNING: &[Key] = &[optional(
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
