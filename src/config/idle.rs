//! Warnings of lines that come too late: a route, login page or password route of which an earlier
//! one leaves nothing, or none of the paths that it names.

use super::context::{Context, Located};
use super::doors::DoorFile;
use super::file::{PortalFile, RouteFile};
use crate::gate::{Passes, PathPattern, Route, Rule, includes};

/// Of `routes`.
pub(super) fn warn_of_routes(context: &Context<'_>, file: &PortalFile) {
    let mut earlier: Vec<(&Located<PathPattern>, Option<Route>)> = Vec::new();
    for written in file.routes.iter().flatten() {
        let Some(path) = &written.path else {
            continue;
        };
        let route = route(written, path);
        let idle = earlier.iter().find(|(_, earlier)| {
            let both = earlier.as_ref().zip(route.as_ref());
            both.is_some_and(|(earlier, route)| earlier.leaves_nothing_for(route))
        });
        let shadow = earlier
            .iter()
            .find(|(earlier, _)| includes(earlier.value.as_str(), path.value.as_str()));
        if let Some((before, _)) = idle {
            let message = format!(
                "{} comes before this route and takes every request that it could, so it decides \
                 nothing; put it first, or remove it",
                before.shown
            );
            context.warn(&path.spot, message);
        } else if let Some((before, _)) = shadow {
            let message = format!(
                "{} comes before this route and covers every path that it names; put it first if \
                 it is to decide about them",
                before.shown
            );
            context.warn(&path.spot, message);
        }
        if written.conditions.is_empty() {
            earlier.push((path, route));
        }
    }
}

/// The line as the gate judges by it; `None` if something was reported.
fn route(written: &RouteFile, path: &Located<PathPattern>) -> Option<Route> {
    Some(Route {
        path: path.value.clone(),
        covers: written.covers,
        conditions: written.conditions.clone(),
        access: written.whom()?,
        passes: Passes::default(),
    })
}

/// Of the operator's own login pages and password routes.
pub(super) fn warn_of_doors(context: &Context<'_>, file: &PortalFile) {
    let Some(local) = &file.local_login else {
        return;
    };
    for doors in [&local.login_pages, &local.password_routes] {
        let mut earlier: Vec<(&Located<PathPattern>, Rule)> = Vec::new();
        for (path, rule) in
            doors.iter().filter_map(|door| door.path.as_ref().zip(DoorFile::rule(door)))
        {
            let idle = earlier.iter().find(|(_, earlier)| earlier.leaves_nothing_for(&rule));
            if let Some((before, _)) = idle {
                let message = format!(
                    "{} comes before this and takes every request that it could, so it decides \
                     nothing; remove it, or make the earlier one narrower",
                    before.shown
                );
                context.warn(&path.spot, message);
            }
            earlier.push((path, rule));
        }
    }
}
