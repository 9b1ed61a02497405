//! Apache with PHP, on Linux and on Windows, and nginx before PHP-FPM.
//!
//! The site: `login.php`, and a front controller `index.php` with the page `login`, chosen by the
//! parameter `route`, by path info or by a rewritten path. For members: the page `reports`.

use super::fold::collation;
use super::forwarded::{
    Forwarded, Handlers, Model, decode, is_language, is_short_name_of, pairs, segments,
};
use super::nginx;

pub const BLOCKED: &[&str] = &["login.php", "front login"];
pub const GUARDED: &[&str] = &["front reports"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// A file system without case (macOS, a share).
    no_case: bool,
    windows: bool,
    /// `MultiViews`: `login` finds `login.php`.
    views: bool,
    /// Everything that is no file goes to `index.php`.
    rewrite: bool,
    /// Pages are looked up in a database whose collation knows neither case nor accents.
    database: bool,
    /// The first segment may be a language.
    language: bool,
    /// `request_order` with cookies in it, `;` separates, arrays are accepted.
    loose_request: bool,
    /// A second decoding, by a rewrite rule without `B`.
    twice: bool,
}

const APACHE: Options = Options {
    no_case: false,
    windows: false,
    views: false,
    rewrite: false,
    database: false,
    language: false,
    loose_request: false,
    twice: false,
};

pub const MODELS: &[Model] = &[
    Model { name: "Apache", resolve: |f| resolve(f, APACHE) },
    Model {
        name: "Apache with MultiViews",
        resolve: |f| resolve(f, Options { views: true, no_case: true, ..APACHE }),
    },
    Model {
        name: "Apache on Windows",
        resolve: |f| resolve(f, Options { windows: true, no_case: true, rewrite: true, ..APACHE }),
    },
    Model {
        name: "Apache, front controller",
        resolve: |f| resolve(f, Options { rewrite: true, language: true, twice: true, ..APACHE }),
    },
    Model {
        name: "Apache, pages in MySQL",
        resolve: |f| {
            resolve(f, Options { rewrite: true, database: true, loose_request: true, ..APACHE })
        },
    },
    Model {
        name: "nginx before PHP-FPM",
        resolve: |f| {
            resolve(
                &f.at(nginx::with_uri(&f.target)),
                Options { rewrite: true, no_case: true, ..APACHE },
            )
        },
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    // Apache decodes once, and merges slashes and dots before it looks for a file.
    let mut path = decode(forwarded.path());
    if options.twice {
        path = decode(&path);
    }
    let path = path.split('\0').next().unwrap_or_default();
    let path = if options.windows { path.replace('\\', "/") } else { path.to_owned() };
    let segments: Vec<String> =
        segments(&path).iter().map(|segment| on_disk(segment, options)).collect();
    let mut handlers = Handlers::default();
    let first = segments.first().map_or("", String::as_str);
    let is_file = |file: &str| {
        let bare = file.strip_suffix(".php").unwrap_or(file);
        first == file
            || (options.views && (first == bare || first.starts_with(&format!("{file}."))))
            || (options.windows && is_short_name_of(first, file))
    };
    // `AcceptPathInfo` is on for PHP: what follows the file's name is handed over.
    if is_file("login.php") {
        handlers.add("login.php");
        return handlers;
    }
    let is_front = segments.is_empty() || is_file("index.php");
    let page = if is_file("index.php") { segments.get(1..) } else { Some(&segments[..]) };
    let mut pages = vec![page.unwrap_or_default().join("/")];
    if !is_front && !options.rewrite || first == "assets" {
        return handlers;
    }
    pages.extend(requested(forwarded, options));
    for page in pages {
        let page = if options.database { collation(&page) } else { page };
        let page = page.trim_matches(['/', ' ']);
        let bare = match page.split_once('/') {
            Some((head, rest)) if options.language && is_language(head) => rest,
            _ => page,
        };
        match bare {
            "login" => handlers.add("front login"),
            "reports" => handlers.add("front reports"),
            _ => {}
        }
    }
    handlers
}

/// The values of `$_REQUEST['route']`: the query, then the form, in loose settings cookies too.
fn requested(forwarded: &Forwarded<'_>, options: Options) -> Vec<String> {
    let separators: &[char] = if options.loose_request { &['&', ';'] } else { &['&'] };
    let mut all = pairs(forwarded.query(), separators);
    all.extend(forwarded.form(&['&']));
    if options.loose_request {
        all.extend(forwarded.cookies());
    }
    let named = all.into_iter().filter_map(|(name, value)| {
        let (key, is_array) = variable(&name);
        (key == "route" && (options.loose_request || !is_array)).then_some(value)
    });
    // The last one wins; where an array is wanted, any.
    let values: Vec<String> = named.collect();
    if options.loose_request { values } else { values.last().cloned().into_iter().collect() }
}

/// How PHP makes a variable's name (`php_register_variable_ex`): spaces before it go, it ends at
/// NUL, dots and spaces become `_`, and a bracket begins an array.
fn variable(name: &str) -> (String, bool) {
    let name = name.trim_start_matches(' ').split('\0').next().unwrap_or_default();
    let (key, is_array) = match name.find('[') {
        Some(at) if at > 0 && name.contains(']') => (&name[..at], true),
        _ => (name, false),
    };
    (key.replace(['.', ' ', '['], "_"), is_array)
}

fn on_disk(segment: &str, options: Options) -> String {
    let name = if options.windows {
        let name = segment.split(':').next().unwrap_or_default();
        name.trim_end_matches(['.', ' '])
    } else {
        segment
    };
    if options.no_case { name.to_ascii_lowercase() } else { name.to_owned() }
}
