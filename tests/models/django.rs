//! Django under WSGI.
//!
//! The site: `accounts/login/`, and `api/token` with format suffixes. For members: `reports/`.

use super::fold::simple_case;
use super::forwarded::{Forwarded, Handlers, Model, decode, is_language};
use super::nginx;

pub const BLOCKED: &[&str] = &["accounts/login", "api/token"];
pub const GUARDED: &[&str] = &["reports"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// Patterns with `(?i)`.
    no_case: bool,
    /// `i18n_patterns`.
    language: bool,
    /// A pattern without `$`, and one whose `$` stands before a last line break.
    open_end: bool,
    /// The WSGI server has decoded already, and something decodes again.
    twice: bool,
    /// Mounted below `/app` as well as at the root.
    script: bool,
}

const DJANGO: Options =
    Options { no_case: false, language: false, open_end: false, twice: false, script: false };

pub const MODELS: &[Model] = &[
    Model { name: "Django", resolve: |f| resolve(f, DJANGO) },
    Model {
        name: "Django, patterns without case",
        resolve: |f| resolve(f, Options { no_case: true, ..DJANGO }),
    },
    Model {
        name: "Django with languages",
        resolve: |f| resolve(f, Options { language: true, ..DJANGO }),
    },
    Model {
        name: "Django, open patterns",
        resolve: |f| resolve(f, Options { open_end: true, twice: true, ..DJANGO }),
    },
    Model {
        name: "Django below a script name",
        resolve: |f| resolve(f, Options { script: true, ..DJANGO }),
    },
    Model {
        name: "nginx before Django",
        resolve: |f| resolve(&f.at(nginx::with_uri(&f.target)), DJANGO),
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    // PEP 3333: PATH_INFO arrives decoded; Django reads it as UTF-8 and matches it as it is.
    let mut path = decode(forwarded.path());
    if options.twice {
        path = decode(&path);
    }
    let mut path = path.strip_prefix('/').unwrap_or(&path);
    if options.script {
        path = path.strip_prefix("app/").unwrap_or(path);
    }
    if options.language
        && let Some((head, rest)) = path.split_once('/')
        && is_language(head)
    {
        path = rest;
    }
    let folded = if options.no_case { simple_case(path) } else { path.to_owned() };
    let is = |route: &str| match folded.strip_prefix(route) {
        // `APPEND_SLASH` redirects the one without; a route with `/?` takes both.
        Some("" | "/" | "/\n" | "\n") => true,
        Some(rest) => options.open_end && rest.starts_with('/'),
        None => false,
    };
    let mut handlers = Handlers::default();
    if is("accounts/login") {
        handlers.add("accounts/login");
    }
    // REST framework's `format_suffix_patterns`: `\.(?P<format>[a-z0-9]+)/?$`.
    let format =
        folded.strip_prefix("api/token.").map(|format| format.trim_end_matches(['/', '\n']));
    let has_format = format.is_some_and(|format| {
        !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is("api/token") || has_format {
        handlers.add("api/token");
    }
    if is("reports") {
        handlers.add("reports");
    }
    handlers
}
