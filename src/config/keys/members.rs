//! What an operator may write at `members` of a portal.

use super::super::kind::{Key, Kind};
use super::{DURATION, PATH, SECRET, URL_PATTERN, default, optional, required, word};

const REGISTRATION: Kind = word(&["open", "existing_only", "invite"]);
const MESSAGE: Kind = Kind::Value("a text of 1 to 200 characters on one line");
const DEADLINE: &str = "for all that is asked at one sign-in, tries and pauses included; 500ms to \
                        30s";
const CA: Key = optional(
    "ca",
    Kind::List(&PATH),
    "PEM files with the certificates to trust instead of the system's",
);

pub(super) const MEMBERS: &[Key] = &[
    default(
        "unknown",
        "allow",
        word(&["allow", "deny", "provision"]),
        "what becomes of somebody whom the directory does not know: let in, refused, or created",
    ),
    default(
        "registration",
        "open",
        REGISTRATION,
        "with `unknown: provision`, who may be created: anybody whom some route lets in, nobody, or \
         who is invited",
    ),
    optional("registration_message", MESSAGE, "what those are told who are not created"),
    optional(
        "providers",
        Kind::Named {
            name: "names of providers of this portal",
            of: &Kind::Section(MEMBERS_OF_PROVIDER),
        },
        "the same for those who come by one provider",
    ),
    default(
        "link_by_email",
        "off",
        word(&["off", "unique_unlinked"]),
        "whether an account of the directory that nobody has signed in to becomes a member's by \
         their verified address, if it is the only one with that",
    ),
    optional(
        "directory",
        Kind::Section(DIRECTORY),
        "who knows the members: a `webhook` of yours, or a server that speaks `scim`",
    ),
    optional(
        "first_login",
        ATTRIBUTES,
        "what is told of a member who is created or linked, by attribute, each from a claim",
    ),
    optional(
        "every_login",
        ATTRIBUTES,
        "what is told at every sign-in, by attribute, each from a claim",
    ),
    default(
        "remember_logins",
        "400d",
        DURATION,
        "how long first and last sign-in of a member are remembered after the last; 1d to 3650d",
    ),
];

const MEMBERS_OF_PROVIDER: &[Key] = &[
    required("registration", REGISTRATION, "who may be created: `open`, `existing_only`, `invite`"),
    optional("registration_message", MESSAGE, "what those are told who are not created"),
];

const ATTRIBUTES: Kind = Kind::Named {
    name: "attributes, each with the claim that it is from",
    of: &Kind::Value("the name of a claim, such as `email`"),
};

/// Exactly one of these.
const DIRECTORY: &[Key] = &[
    optional("webhook", Kind::Section(WEBHOOK), "an address of yours that is asked, signed"),
    optional("scim", Kind::Section(SCIM), "a server that speaks SCIM 2.0"),
];

const WEBHOOK: &[Key] = &[
    required(
        "url",
        Kind::Formed {
            what: "a URL such as `https://members.example.org/hooks/sign-in`",
            pattern: URL_PATTERN,
        },
        "where it is, such as `https://members.example.org/hooks/sign-in`",
    ),
    required(
        "secret",
        Kind::Section(SECRET),
        "what every request is signed with: `whsec_` and 24 to 64 bytes in base64, as Standard \
         Webhooks has it",
    ),
    default("deadline", "5s", DURATION, DEADLINE),
    CA,
];

const SCIM: &[Key] = &[
    required(
        "url",
        Kind::Formed {
            what: "a URL such as `https://directory.example.org/scim/v2`",
            pattern: URL_PATTERN,
        },
        "its base, without `/Users`, such as `https://directory.example.org/scim/v2`",
    ),
    required("token", Kind::Section(SECRET), "the bearer token: `{ file: … }` or `{ env: … }`"),
    default("deadline", "5s", DURATION, DEADLINE),
    CA,
];
