//! IIS with ASP.NET: Web Forms pages, MVC routes, and a page that is chosen by a parameter.
//!
//! The site: `login.aspx` (also as friendly URL `login`), the MVC action `account/login`, and
//! `default.aspx?page=login`. For members: `reports`.

use super::fold::best_fit_1252;
use super::forwarded::{
    Forwarded, Handlers, Model, decode_with_u, is_short_name_of, pairs, segments,
};

pub const BLOCKED: &[&str] = &["login.aspx", "account/login", "page=login"];
pub const GUARDED: &[&str] = &["reports"];

#[derive(Clone, Copy, Default)]
struct Options {
    /// A second decoding: `allowDoubleEscaping` and a rewrite that puts a decoded URL back.
    twice: bool,
    /// Old extensions and ANSI file calls go through the code page.
    ansi: bool,
    /// URL rewriting that believes a header (`X-Original-URL`, `X-Rewrite-URL`), as IIS's own
    /// module and several frameworks do.
    header: bool,
}

pub const MODELS: &[Model] = &[
    Model { name: "IIS", resolve: |f| resolve(f, Options::default()) },
    Model {
        name: "IIS decoding twice",
        resolve: |f| resolve(f, Options { twice: true, ..Options::default() }),
    },
    Model {
        name: "IIS with code page 1252",
        resolve: |f| resolve(f, Options { ansi: true, ..Options::default() }),
    },
    Model {
        name: "IIS rewritten by header",
        resolve: |f| resolve(f, Options { header: true, ..Options::default() }),
    },
];

fn resolve(forwarded: &Forwarded<'_>, options: Options) -> Handlers {
    let renamed = ["x-original-url", "x-rewrite-url", "x_original_url", "x-original-uri"];
    let renamed = renamed.iter().find_map(|name| forwarded.header(name));
    let target = renamed.filter(|_| options.header).unwrap_or(&forwarded.target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // HTTP.sys decodes UTF-8 and `%u`, turns backslashes and resolves dots before anybody else.
    let mut path = decode_with_u(path);
    if options.twice {
        path = decode_with_u(&path);
    }
    if options.ansi {
        path = best_fit_1252(&path);
    }
    let path = path.replace('\\', "/");
    let segments: Vec<String> = segments(&path)
        .iter()
        .filter(|segment| !is_cookieless(segment))
        .map(|segment| on_ntfs(segment))
        .filter(|segment| !segment.is_empty())
        .collect();
    let mut handlers = Handlers::default();
    let at = |index: usize| segments.get(index).map_or("", String::as_str);
    // A page takes what follows its name as path info; friendly URLs do without the ending.
    if ["login.aspx", "login"].contains(&at(0)) || is_short_name_of(at(0), "login.aspx") {
        handlers.add("login.aspx");
    }
    // The default route is `{controller}/{action}/{id}`; catch-alls take more.
    if at(0) == "account" && at(1) == "login" {
        handlers.add("account/login");
    }
    if at(0) == "reports" {
        handlers.add("reports");
    }
    if segments.is_empty() || ["default.aspx", "default"].contains(&at(0)) {
        // `Request["page"]` looks in the query, the form, and the cookies; names have no case, and
        // copies are joined with commas.
        let all = pairs(query, &['&'])
            .into_iter()
            .chain(forwarded.form(&['&']))
            .chain(forwarded.cookies());
        let mut pages =
            all.filter(|(name, _)| name.eq_ignore_ascii_case("page")).map(|(_, page)| page);
        if pages.any(|pages| pages.split(',').any(|page| page.trim().eq_ignore_ascii_case("login")))
        {
            handlers.add("page=login");
        }
    }
    handlers
}

/// Cookieless state is a segment such as `(S(x))` or `(A(x)F(y))`, which ASP.NET takes out before
/// it looks for a page (`CookielessHelper`).
fn is_cookieless(segment: &str) -> bool {
    let inner = segment.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| {
        let mut letters = inner.chars();
        letters.next().is_some_and(|kind| kind.is_ascii_alphabetic()) && letters.next() == Some('(')
    })
}

/// A file name as NTFS and Win32 take it: no stream, no dots or spaces at the end, no case.
fn on_ntfs(segment: &str) -> String {
    let name = segment.split(':').next().unwrap_or_default();
    name.trim_end_matches(['.', ' ', '\0']).to_ascii_lowercase()
}
