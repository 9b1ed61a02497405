//! What an operator may write about what is logged, and about when a change is put in force.

use super::super::kind::{Key, Kind};
use super::{YES_OR_NO, default, optional, restart, word};

const SINK: Kind =
    Kind::Value("`stderr`, `stdout` or the path of a file, such as `/var/log/anteport/access.log`");

pub(super) const RELOAD: &[Key] = &[default(
    "watch",
    "true",
    YES_OR_NO,
    "whether a change of this file, or of a secret or certificate that it names, is enough; else \
     somebody has to ask for it",
)];

pub(super) const LOGGING: &[Key] = &[
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
