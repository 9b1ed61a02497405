//! A WordPress, alone and as a network of sites in folders.
//!
//! The site: `wp-login.php`, `xmlrpc.php`, the REST route `jwt-auth/v1/token`, and the page
//! `my-account` of a shop, which takes passwords. For members: the page `reports`.

use super::fold::collation;
use super::forwarded::{Forwarded, Handlers, Model, decode, pairs, plus, segments};
use super::nginx;

pub const BLOCKED: &[&str] = &["wp-login.php", "xmlrpc.php", "rest token", "my-account"];
pub const GUARDED: &[&str] = &["reports"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// Sites in folders: `/site/wp-login.php` is the file at the root (the rewrite rules that the
    /// network's setup page prints).
    network: bool,
    no_case: bool,
    /// The language plugins' folder before everything.
    language: bool,
}

const SINGLE: Options = Options { network: false, no_case: false, language: false };

pub const MODELS: &[Model] = &[
    Model { name: "WordPress", resolve: |f| resolve(f, SINGLE) },
    Model {
        name: "WordPress network",
        resolve: |f| resolve(f, Options { network: true, ..SINGLE }),
    },
    Model {
        name: "WordPress with languages",
        resolve: |f| resolve(f, Options { language: true, ..SINGLE }),
    },
    Model {
        name: "WordPress, disk without case",
        resolve: |f| resolve(f, Options { no_case: true, ..SINGLE }),
    },
    Model {
        name: "nginx before WordPress",
        resolve: |f| resolve(&f.at(nginx::with_uri(&f.target)), SINGLE),
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    let path = decode(forwarded.path());
    let mut segments = segments(path.split('\0').next().unwrap_or_default());
    if options.no_case {
        segments.iter_mut().for_each(|segment| segment.make_ascii_lowercase());
    }
    let mut handlers = Handlers::default();
    let skipped = usize::from(options.network);
    for (file, handler) in [("wp-login.php", "wp-login.php"), ("xmlrpc.php", "xmlrpc.php")] {
        if segments.iter().take(1 + skipped).any(|segment| segment == file) {
            handlers.add(handler);
            return handlers;
        }
    }
    if segments.first().is_some_and(|segment| segment == "assets") {
        return handlers;
    }
    // `WP::parse_request`: index.php and what follows, or the path; compared raw and decoded once
    // more, and public query variables from the query and from the form.
    let front = segments.iter().position(|segment| segment == "index.php");
    let page = front.map_or(&segments[..], |at| segments.get(at + 1..).unwrap_or_default());
    let mut pages = vec![page.to_vec()];
    if options.language || options.network {
        pages.push(page.get(1..).unwrap_or_default().to_vec());
    }
    for page in &pages {
        let once_more: Vec<String> = page.iter().map(|segment| plus(segment)).collect();
        for page in [page, &once_more] {
            if page.first().is_some_and(|segment| segment == "wp-json") {
                rest(&page[1..].join("/"), &mut handlers);
            }
            // A page's slug goes through `sanitize_title`: no accents, no case; the database's
            // collation would forgive the rest. A number after it is the page of a long text, and
            // endpoints of the shop follow its page.
            named(page.first().map_or("", String::as_str), &mut handlers);
        }
    }
    let variables = pairs(forwarded.query(), &['&']).into_iter().chain(forwarded.form(&['&']));
    for (name, value) in variables {
        match variable(&name).as_str() {
            "rest_route" => rest(&value, &mut handlers),
            "pagename" | "name" => named(&value, &mut handlers),
            "page_id" | "p" if value.trim() == "7" => handlers.add("my-account"),
            _ => {}
        }
    }
    handlers
}

/// REST routes are patterns with the `i` flag.
fn rest(route: &str, handlers: &mut Handlers) {
    let route = route.trim_matches(['/', ' ']).to_ascii_lowercase();
    if route == "jwt-auth/v1/token" {
        handlers.add("rest token");
    }
}

fn named(slug: &str, handlers: &mut Handlers) {
    let slug = collation(slug.trim_matches(['/', ' ']));
    // `sanitize_title_with_dashes`: spaces and dots become dashes, other signs disappear.
    let slug: String = slug
        .chars()
        .map(|letter| if " ./\u{2013}\u{2014}".contains(letter) { '-' } else { letter })
        .filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter))
        .collect();
    match slug.trim_matches('-') {
        "my-account" => handlers.add("my-account"),
        "reports" => handlers.add("reports"),
        _ => {}
    }
}

/// As in `php`: the names of variables.
fn variable(name: &str) -> String {
    let name = name.trim_start_matches(' ').split(['\0', '[']).next().unwrap_or_default();
    name.replace(['.', ' '], "_")
}
