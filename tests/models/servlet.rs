//! Servlet containers (Tomcat, Jetty) with Spring MVC and Struts in them.
//!
//! The site: Spring's `/login`, a servlet at `/auth/*`, container login (`j_security_check`), the
//! Struts action `login.action`, and a front servlet `/front?action=login`. For members:
//! `/reports/*` and the action `export.action`.

use super::forwarded::{Forwarded, Handlers, Model, decode, pairs, segments};
use super::nginx;

pub const BLOCKED: &[&str] = &["login", "auth", "j_security_check", "login.action", "action=login"];
pub const GUARDED: &[&str] = &["reports", "export.action"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// Parameters are looked for once more after decoding, as Spring's `UrlPathHelper` did.
    parameters_after: bool,
    /// `\` is a separator (`ALLOW_BACKSLASH`), as on Windows.
    backslash: bool,
    twice: bool,
    /// Spring before 5.3: `/login` also answers to `/login.*`.
    suffix_pattern: bool,
    /// Struts: action names without ending, `name!method`, and any namespace.
    loose_actions: bool,
    /// Jetty looks for `j_security_check` with anything after a slash.
    jetty: bool,
}

const TOMCAT: Options = Options {
    parameters_after: false,
    backslash: false,
    twice: false,
    suffix_pattern: false,
    loose_actions: false,
    jetty: false,
};

pub const MODELS: &[Model] = &[
    Model { name: "Tomcat", resolve: |f| resolve(f, TOMCAT) },
    Model {
        name: "Tomcat with Spring 5.2",
        resolve: |f| resolve(f, Options { suffix_pattern: true, parameters_after: true, ..TOMCAT }),
    },
    Model {
        name: "Tomcat on Windows",
        resolve: |f| resolve(f, Options { backslash: true, ..TOMCAT }),
    },
    Model {
        name: "Tomcat behind a decoding rewrite",
        resolve: |f| resolve(f, Options { twice: true, parameters_after: true, ..TOMCAT }),
    },
    Model {
        name: "Tomcat with Struts 2, loose",
        resolve: |f| resolve(f, Options { loose_actions: true, ..TOMCAT }),
    },
    Model {
        name: "Jetty",
        resolve: |f| resolve(f, Options { jetty: true, parameters_after: true, ..TOMCAT }),
    },
    Model {
        name: "nginx before Tomcat",
        resolve: |f| resolve(&f.at(nginx::with_uri(&f.target)), TOMCAT),
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    // Tomcat's `CoyoteAdapter`: parameters out of the raw path, then decode, then normalise.
    let mut path = decode(&without_parameters(forwarded.path()));
    if options.twice {
        path = decode(&path);
    }
    if options.parameters_after {
        path = without_parameters(&path);
    }
    if options.backslash {
        path = path.replace('\\', "/");
    }
    let segments = segments(&path);
    let at = |index: usize| segments.get(index).map_or("", String::as_str);
    let last = segments.last().map_or("", String::as_str);
    let mut handlers = Handlers::default();
    // Spring: the path, with a trailing slash too (`segments` has dropped it).
    let is_login = at(0) == "login" || (options.suffix_pattern && at(0).starts_with("login."));
    if segments.len() == 1 && is_login {
        handlers.add("login");
    }
    // Servlet specification, 12.2: `/auth/*` is `/auth` and all that is below.
    if at(0) == "auth" {
        handlers.add("auth");
    }
    // Tomcat's `FormAuthenticator` asks how the path ends; Jetty's takes `/…` after it as well.
    let position = segments.iter().position(|segment| segment == "j_security_check");
    if last == "j_security_check" || (options.jetty && position.is_some()) {
        handlers.add("j_security_check");
    }
    // A suffix mapping has no folder, and Struts falls back to the default namespace.
    for (action, handler) in [("login", "login.action"), ("export", "export.action")] {
        let name = last.strip_suffix(".action").or_else(|| last.strip_suffix(".do"));
        let name = name.or(options.loose_actions.then_some(last)).unwrap_or_default();
        let name =
            if options.loose_actions { name.split('!').next().unwrap_or_default() } else { name };
        if name == action {
            handlers.add(handler);
        }
    }
    if at(0) == "reports" {
        handlers.add("reports");
    }
    if at(0) == "front" {
        // `getParameter`: the query's values, then the form's.
        let mut all =
            pairs(forwarded.query(), &['&', ';']).into_iter().chain(forwarded.form(&['&']));
        if all.any(|(name, value)| name == "action" && value == "login") {
            handlers.add("action=login");
        }
    }
    handlers
}

/// `/a;x=1/b;y` without what follows the semicolons (RFC 3986, section 3.3, as servlets use it).
fn without_parameters(path: &str) -> String {
    let bare = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    bare.collect::<Vec<_>>().join("/")
}
