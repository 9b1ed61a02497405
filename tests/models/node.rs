//! Node with Express, and the routers that decode or fold by themselves.
//!
//! The site: `/login`, `/api/auth/:action` with `login`, and `/rpc?action=login`. For members:
//! `/reports`.

use super::fold::{compatibility_case, simple_case};
use super::forwarded::{Forwarded, Handlers, Model, decode, pairs};
use super::nginx;

pub const BLOCKED: &[&str] = &["login", "auth login", "action=login"];
pub const GUARDED: &[&str] = &["reports"];

#[derive(Clone, Copy)]
enum Case {
    /// The router's `i` flag: ASCII.
    Ascii,
    /// A middleware that compares with `toUpperCase()`.
    Upper,
    /// One that normalises first.
    Compatible,
}

pub const MODELS: &[Model] = &[
    Model { name: "Express", resolve: |f| resolve(f, Case::Ascii, false) },
    Model { name: "Express with toUpperCase", resolve: |f| resolve(f, Case::Upper, false) },
    Model { name: "Node with normalize", resolve: |f| resolve(f, Case::Compatible, true) },
    Model {
        name: "nginx before Express",
        resolve: |f| resolve(&f.at(nginx::with_uri(&f.target)), Case::Ascii, false),
    },
];

fn resolve(forwarded: &Forwarded<'_>, case: Case, tidy: bool) -> Handlers {
    // `decodeURIComponent` per parameter; routers such as find-my-way decode the whole path.
    let path = decode(forwarded.path());
    let path = match case {
        Case::Ascii => path.to_ascii_lowercase(),
        Case::Upper => simple_case(&path.to_uppercase()),
        Case::Compatible => compatibility_case(&path),
    };
    // Not strict: one slash more at the end. `tidy` is `ignoreDuplicateSlashes` and the like.
    let path = path.strip_suffix('/').unwrap_or(&path);
    let segments: Vec<&str> =
        path.split('/').skip(1).filter(|segment| !tidy || !segment.is_empty()).collect();
    let mut handlers = Handlers::default();
    match segments[..] {
        ["login"] => handlers.add("login"),
        ["api", "auth", "login"] => handlers.add("auth login"),
        ["reports"] => handlers.add("reports"),
        ["rpc"] => {
            // `qs`: repeated names make an array, as do `[]` and `[0]`.
            let query = pairs(forwarded.query(), &['&']);
            let form = forwarded.form(&['&']);
            let is_action = |name: &str| name.split('[').next() == Some("action");
            let mut all = query.iter().chain(&form);
            if all.any(|(name, value)| is_action(name) && value == "login") {
                handlers.add("action=login");
            }
        }
        _ => {}
    }
    handlers
}
