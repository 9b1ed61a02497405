//! What an operator may write about one portal, as a whole.

use super::super::kind::{Key, Kind};
use super::break_glass::{BREAK_GLASS, ROLLOUT};
use super::doors::LOCAL_LOGIN;
use super::identity::IDENTITY;
use super::members::MEMBERS;
use super::route::ROUTE;
use super::upstream::UPSTREAM;
use super::{
    LABEL, PATTERN, SIZE_PATTERN, URL_PATTERN, YES_OR_NO, default, defaults, optional, required,
    word,
};

pub(super) const PORTAL: &[Key] = &[
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
    defaults("pages", PAGES, "what our own pages call the portal, their colour, and where help is"),
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
    default("button_label", "Sign in with Corporate Account", LABEL, "what the button says"),
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

const PAGES: &[Key] = &[
    optional(
        "name",
        LABEL,
        "what members call the portal, such as `Harbour Members`; without it the host stands there",
    ),
    optional(
        "colour",
        Kind::Formed {
            what: "a colour such as `#24508f`, in quotes",
            pattern: "^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$",
        },
        "the colour of buttons, links and focus marks, in quotes; where it could not be read, a \
         shade of it",
    ),
    optional(
        "help",
        Kind::Formed {
            what: "an `https` URL or a `mailto` one, such as `mailto:help@example.org`",
            pattern: "^(https://|mailto:)",
        },
        "where members find help, on pages that say why something was refused",
    ),
    optional(
        "help_label",
        LABEL,
        "what that link says, such as `the club's office`; without it, where it leads",
    ),
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

const LOGOUT: &[Key] =
    &[default("federated", "true", YES_OR_NO, "whether the session at the provider ends too")];
