//! Rails, and what Rack does before it.
//!
//! The site: `POST /users/sign_in`, `PUT /account/password` (beside an innocent `POST`), and
//! `POST /session` whose parameter `step=password` signs in. For members: `GET /reports`.

use super::forwarded::{Forwarded, Handlers, Model, decode, is_language, pairs};
use super::nginx;

pub const BLOCKED: &[&str] = &["users/sign_in", "PUT account/password", "step=password"];
pub const GUARDED: &[&str] = &["reports"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// `scope "(:locale)"`.
    locale: bool,
    /// Rack 1 and 2 separate a query at `;` too, and older ones override by query.
    old_rack: bool,
}

pub const MODELS: &[Model] = &[
    Model { name: "Rails", resolve: |f| resolve(f, Options::default()) },
    Model {
        name: "Rails with locales",
        resolve: |f| resolve(f, Options { locale: true, ..Options::default() }),
    },
    Model {
        name: "Rails on old Rack",
        resolve: |f| resolve(f, Options { old_rack: true, ..Options::default() }),
    },
    Model {
        name: "nginx before Rails",
        resolve: |f| resolve(&f.at(nginx::with_uri(&f.target)), Options::default()),
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    let separators: &[char] = if options.old_rack { &['&', ';'] } else { &['&'] };
    let form = forwarded.form(separators);
    let query = pairs(forwarded.query(), separators);
    let method = method(forwarded, &form, &query, options);
    // Journey squeezes slashes and drops the last one, and leaves case and dots alone.
    let path = decode(forwarded.path());
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let segments = match segments.split_first() {
        Some((head, rest)) if options.locale && is_language(head) => rest,
        _ => &segments[..],
    };
    let path = without_format(segments);
    let mut handlers = Handlers::default();
    match (method.as_str(), path.as_str()) {
        // A form's route names its method, but `match via: :all` is as common in old sites.
        (_, "users/sign_in") => handlers.add("users/sign_in"),
        ("PUT" | "PATCH", "account/password") => handlers.add("PUT account/password"),
        (_, "session") => {
            // Nested and repeated names: the last wins in Rack, arrays keep all.
            let mut steps = query.iter().chain(&form).filter(|(name, _)| bare(name) == "step");
            if steps.any(|(_, value)| value == "password") {
                handlers.add("step=password");
            }
        }
        (_, "reports") => handlers.add("reports"),
        _ => {}
    }
    handlers
}

/// `Rack::MethodOverride`: only a POST, by the form's `_method` or by a header.
fn method(
    forwarded: &Forwarded<'_>,
    form: &[(String, String)],
    query: &[(String, String)],
    options: Options,
) -> String {
    if forwarded.method != "POST" {
        return forwarded.method.to_string();
    }
    let field = form.iter().chain(query.iter().filter(|_| options.old_rack));
    let field =
        field.filter(|(name, _)| name == "_method").map(|(_, value)| value.as_str()).next_back();
    let header = forwarded
        .header("x-http-method-override")
        .or_else(|| forwarded.header("x_http_method_override"));
    field.or(header).unwrap_or("POST").to_ascii_uppercase()
}

fn bare(name: &str) -> &str {
    name.split('[').next().unwrap_or_default()
}

/// `(.:format)` after the last segment.
fn without_format(segments: &[&str]) -> String {
    let path = segments.join("/");
    match path.rsplit_once('.') {
        Some((bare, format)) if !format.is_empty() && !format.contains('/') => bare.to_owned(),
        _ => path,
    }
}
