//! What a portal is told on each route: all of its identity headers, none, or some of them. Never
//! more than `identity` has, so that a route can only take away.

use http::HeaderName;

use super::context::{Context, Located};
use super::file::{AssertionFile, PortalFile};
use super::wording::{did_you_mean, nearest};
use crate::gate::Mode;
use crate::gate::identity::{ASSERTION, Told};

/// What the routes of a portal send.
pub(super) struct ToldBy {
    /// Those that do not send all of it have one of these.
    pub(super) parts: Vec<Vec<HeaderName>>,
    /// By the place of the route.
    pub(super) routes: Vec<Told>,
}

/// Resolves `identity` of each route; `None` if something was reported. `others` are headers besides
/// those that are mapped: of presets and of tokens.
pub(super) fn resolve(context: &Context<'_>, file: &PortalFile, others: &[&str]) -> Option<ToldBy> {
    let mut parts: Vec<Vec<HeaderName>> = Vec::new();
    let mut routes = Some(Vec::new());
    for route in file.routes.iter().flatten() {
        let names =
            route.identity.as_ref().and_then(|written| part(context, file, others, written));
        let told = names.map(|names| match names {
            None => Told::All,
            Some(names) => {
                let known = parts.iter().position(|part| *part == names);
                let place = known.unwrap_or_else(|| {
                    parts.push(names);
                    parts.len() - 1
                });
                // A file is not large enough for more of them.
                u16::try_from(place).map_or(Told::Part(u16::MAX), Told::Part)
            }
        });
        routes = routes.zip(told).map(|(mut routes, told)| {
            routes.push(told);
            routes
        });
    }
    Some(ToldBy { parts, routes: routes? })
}

/// The names that go along, sorted; inside `None` if all do.
fn part(
    context: &Context<'_>,
    file: &PortalFile,
    others: &[&str],
    written: &[Located<String>],
) -> Option<Option<Vec<HeaderName>>> {
    let mut names = Vec::new();
    for one in written {
        if file.mode == Some(Mode::Off) && one.value != "all" {
            context.warn(&one.spot, "in mode `off` the portal is told nothing anyhow");
        }
        match one.value.as_str() {
            "all" | "none" if written.len() > 1 => {
                let message = format!("{} stands alone", one.shown);
                context.error(&one.spot, message);
                return None;
            }
            "all" => return Some(None),
            "none" => {}
            "assertion" => names.push(assertion(context, file, one)?),
            _ => names.push(header(context, file, others, one)?),
        }
    }
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(Some(names))
}

fn assertion(
    context: &Context<'_>,
    file: &PortalFile,
    written: &Located<String>,
) -> Option<HeaderName> {
    match &file.identity.as_ref()?.assertion {
        AssertionFile::On(_) => Some(HeaderName::from_static(ASSERTION)),
        AssertionFile::Unreadable => None,
        AssertionFile::Off => {
            let message = "this portal gets no assertion: `identity.assertion` is `none`";
            context.error(&written.spot, message);
            None
        }
    }
}

fn header(
    context: &Context<'_>,
    file: &PortalFile,
    others: &[&str],
    written: &Located<String>,
) -> Option<HeaderName> {
    let headers = &file.identity.as_ref()?.headers;
    let mapped = || headers.iter().map(|(name, _)| &*name.value).chain(others.iter().copied());
    if mapped().any(|name| name.eq_ignore_ascii_case(&written.value)) {
        // What is no header's name was reported where it is mapped.
        return written.value.parse().ok();
    }
    let message = if written.is_private {
        "the environment gives what is not under `identity.headers`".to_owned()
    } else {
        let meant = nearest(&written.value, mapped().chain(["all", "none", "assertion"]));
        format!(
            "there is no {} under `identity.headers` of this portal, and a route tells it nothing \
             more{}",
            written.shown,
            did_you_mean(meant)
        )
    };
    context.error(&written.spot, message);
    None
}
