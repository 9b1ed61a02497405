//! A portal's rules, as the gate judges by them. Those that cannot mean what they seem to are
//! warned of; those that contradict each other are refused (CFG-01).

use std::sync::Arc;

use http::Method;

use super::context::{Context, Located};
use super::doors::DoorFile;
use super::file::{LocalLoginFile, PortalFile, SpellingFile};
use super::idle;
use super::patterns::{is_below, meet};
use super::profiles::{self, Profile};
use super::rollout;
use crate::gate::identity::Told;
use crate::gate::login::Journey;
use crate::gate::{
    Access, Allowance, CanonicalPath, Conditions, Covers, Endpoint, Mode, Passes, PathPattern,
    Policy, PortalCookies, Route, Rule, Spelling, ValuePattern,
};

/// Everything that the gate judges by; `None` if something was reported.
pub(super) fn policy(
    context: &Context<'_>,
    file: &PortalFile,
    callbacks: Vec<(CanonicalPath, String)>,
    told: &[Told],
    elsewhere: Vec<(CanonicalPath, Endpoint)>,
) -> Option<Policy> {
    let local = file.local_login.as_ref();
    let paths = |doors: fn(&LocalLoginFile) -> &Vec<DoorFile>| {
        let doors = local.map_or(&[][..], |local| doors(local).as_slice());
        // What is a door only under conditions says nothing of its path.
        let doors = doors.iter().filter(|door| !door.is_conditional());
        doors.filter_map(|door| door.path.as_ref()).collect::<Vec<_>>()
    };
    let login_pages = paths(|local| &local.login_pages);
    let password_paths = paths(|local| &local.password_routes);
    let profiles = local.map(|local| profiles_of(context, local));
    let (own_pages, own_routes) = match local {
        Some(local) => (rules(&local.login_pages), rules(&local.password_routes)),
        None => (Some(Vec::new()), Some(Vec::new())),
    };
    if let Some(spelling) = &file.spelling {
        let doors: Vec<&Rule> = own_pages.iter().chain(&own_routes).flatten().collect();
        check_allowances(context, spelling, file.auth_path.as_ref(), &doors, profiles.as_deref());
    }
    let route_paths = file.routes.iter().flatten().filter_map(|route| route.path.as_ref());
    for door in local.iter().flat_map(|local| &local.password_routes) {
        if let Some(journey) = door.journey.as_ref().filter(|found| found.value != Journey::SignIn)
        {
            let message = "a password route is refused and leads nowhere; `journey` is for a login \
                           page";
            context.error(&journey.spot, message);
        }
    }
    if let Some(own) = &file.auth_path {
        let all = login_pages.iter().chain(&password_paths).copied().chain(route_paths);
        check_own(context, own, all);
    }
    let rollout = rollout::resolve(context, file);
    let resend_forms = file.sign_in.as_ref().and_then(|sign_in| sign_in.resend_forms.as_ref());
    if let (Some(size), Some(Mode::Optional | Mode::ReportOnly | Mode::Off)) =
        (resend_forms, file.mode)
    {
        let message = "no form is kept in this mode, where it passes without a session";
        context.warn(&size.spot, message);
    }
    if let Some(mode) = file.mode {
        warn_of_routes(context, file, mode, &login_pages, &password_paths);
        if mode == Mode::AzureOnly {
            warn_of_shut_pages(context, file, &login_pages);
        }
        idle::warn_of_doors(context, file);
        if mode == Mode::AzureOnly && !file.names_local_login {
            let message = "`local_login` is missing: where the portal itself asks for passwords \
                           stays open on public routes, and to members who are signed in; \
                           name the product in its `profile`, or `generic` where that is not known; \
                           `local_login: {}` says that there is no such place";
            context.warn(&file.spot, message);
        }
    }

    let mut doors = Doors { pages: own_pages?, routes: own_routes?, cookies: Vec::new() };
    doors.cookies.extend(local.iter().flat_map(|local| local.portal_cookies.clone()));
    for profile in profiles.into_iter().flatten() {
        doors.pages.extend(profile.login_pages);
        doors.routes.extend(profile.password_routes);
        doors.cookies.extend(profile.portal_cookies);
    }
    let url = &file.public_url.as_ref()?.value;
    let mode = file.mode?;
    Some(Policy {
        host: Arc::from(match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        }),
        secure: url.scheme() == "https",
        mode,
        rollout: rollout?,
        own: file.auth_path.clone()?,
        callbacks,
        elsewhere,
        spelling: spelling(file.spelling.as_ref()?)?,
        login_pages: doors.pages,
        password_routes: doors.routes,
        portal_cookies: PortalCookies::new(&doors.cookies),
        form_limit: file.local_login.as_ref().map_or(Some(0), |local| local.form_limit)?,
        resend_forms: resend_forms.filter(|_| mode == Mode::AzureOnly).map(|size| size.value),
        routes: match &file.routes {
            None => default_routes(mode),
            Some(routes) => routes
                .iter()
                .zip(told)
                .map(|(route, told)| {
                    Some(Route {
                        path: route.path.as_ref()?.value.clone(),
                        covers: route.covers,
                        conditions: route.conditions.clone(),
                        access: route.whom()?,
                        passes: Passes {
                            websocket: route.websocket?,
                            trailers: route.response_trailers?,
                            credentials: route.credentials?,
                            largest_body: route.max_body?,
                            told: *told,
                        },
                    })
                })
                .collect::<Option<_>>()?,
        },
    })
}

/// Own doors and those of the profiles.
struct Doors {
    pages: Vec<Rule>,
    routes: Vec<Rule>,
    cookies: Vec<ValuePattern>,
}

fn rules(doors: &[DoorFile]) -> Option<Vec<Rule>> {
    doors.iter().map(DoorFile::rule).collect()
}

fn profiles_of(context: &Context<'_>, local: &LocalLoginFile) -> Vec<Profile> {
    let found = local.profiles.iter().filter_map(|name| match profiles::find(&name.value) {
        Ok(profile) => Some(profile),
        Err(problem) => {
            context.error(&name.spot, format!("this profile cannot be used: {problem}"));
            None
        }
    });
    found.collect()
}

fn spelling(file: &SpellingFile) -> Option<Spelling> {
    let allowed = file.allowed.iter().map(|allowance| {
        let path = allowance.path.as_ref()?.value.clone();
        Some(Allowance { path, oddities: allowance.oddities? })
    });
    Some(Spelling {
        mends_segments: file.mends_segments?,
        mends_session_parameter: file.mends_session_parameter?,
        allowed: allowed.collect::<Option<_>>()?,
    })
}

/// PATH-17: where something is kept out, it has one spelling.
fn check_allowances(
    context: &Context<'_>,
    spelling: &SpellingFile,
    own: Option<&CanonicalPath>,
    doors: &[&Rule],
    profiles: Option<&[Profile]>,
) {
    let of_profiles = profiles.into_iter().flatten();
    let of_profiles =
        of_profiles.flat_map(|profile| profile.login_pages.iter().chain(&profile.password_routes));
    let doors: Vec<&Rule> = doors.iter().copied().chain(of_profiles).collect();
    for path in spelling.allowed.iter().filter_map(|allowance| allowance.path.as_ref()) {
        let written = path.value.as_str();
        if own.is_some_and(|own| meet(written, &format!("{own}/**"))) {
            let message = "our own pages are in here, and have one spelling; name a narrower path";
            context.error(&path.spot, message);
        }
        // A door that is everywhere has its conditions, which do not depend on the path.
        let met = doors
            .iter()
            .find(|door| door.path.as_str() != "/**" && meet(written, door.path.as_str()));
        if let Some(door) = met {
            let message = format!(
                "the password route or login page `{}` is in here, and an odd spelling could \
                 reach it; name a narrower path",
                door.path
            );
            context.error(&path.spot, message);
        }
    }
}

fn default_routes(mode: Mode) -> Vec<Route> {
    let access = match mode {
        Mode::AzureOnly => Access::SIGNED_IN,
        Mode::Optional | Mode::ReportOnly | Mode::Off => Access::Public,
    };
    let everything = "/**".parse().ok();
    everything
        .map(|path| Route {
            path,
            covers: Covers::default(),
            conditions: Conditions::default(),
            access,
            passes: Passes::default(),
        })
        .into_iter()
        .collect()
}

/// PATH-17: below `auth_path` there is nothing but our own pages.
fn check_own<'a>(
    context: &Context<'_>,
    own: &CanonicalPath,
    patterns: impl Iterator<Item = &'a Located<PathPattern>>,
) {
    for pattern in patterns {
        if is_below(pattern.value.as_str(), own.as_str()) {
            let message = format!(
                "the portal gets nothing at or below `{own}`, where our own pages are \
                 (`auth_path`); a rule for it does nothing"
            );
            context.error(&pattern.spot, message);
        }
    }
}

fn warn_of_routes(
    context: &Context<'_>,
    file: &PortalFile,
    mode: Mode,
    login_pages: &[&Located<PathPattern>],
    password_paths: &[&Located<PathPattern>],
) {
    idle::warn_of_routes(context, file);
    for route in file.routes.iter().flatten() {
        let Some(access) = &route.access else {
            continue;
        };
        if access.value == Access::Public && route.covers != Covers::default() {
            let message = "a public line covers what it names and nothing else: `covers` is for \
                           lines that ask for a sign-in";
            context.error(&access.spot, message);
        }
        if let (Access::Public, Some(requires)) = (&access.value, &route.requires) {
            let message = "a public line lets everybody in: `requires` is for lines that ask for a \
                           sign-in, with `access: signed_in`";
            context.error(&requires.spot, message);
        }
        match (&access.value, mode) {
            (Access::SignedIn(_), Mode::Optional | Mode::ReportOnly | Mode::Off) => {
                let message = format!(
                    "`signed_in` has no effect in mode `{}`, in which everybody passes",
                    mode.name()
                );
                context.warn(&access.spot, message);
            }
            (Access::Public, Mode::AzureOnly) => {
                if let Some(path) = &route.path {
                    warn_of_public(context, path, login_pages, password_paths);
                }
            }
            (Access::SignedIn(_), Mode::AzureOnly)
            | (Access::Public, Mode::Optional | Mode::ReportOnly | Mode::Off) => {}
        }
    }
}

/// What is refused does not become a sign-in: password routes go first.
fn warn_of_shut_pages(
    context: &Context<'_>,
    file: &PortalFile,
    login_pages: &[&Located<PathPattern>],
) {
    let routes = file.local_login.iter();
    for route in routes.flat_map(|local| &local.password_routes) {
        if route.is_conditional() {
            continue;
        }
        let refuses_get =
            route.methods.as_ref().is_none_or(|methods| methods.contains(&Method::GET));
        let Some(path) = route.path.as_ref().filter(|_| refuses_get) else {
            continue;
        };
        let page = login_pages.iter().find(|page| meet(path.value.as_str(), page.value.as_str()));
        if let Some(page) = page {
            let message = format!(
                "this refuses GET as well, so the login page {} is refused instead of becoming a \
                 sign-in; `methods: [POST]` refuses what is sent from it",
                page.shown
            );
            context.warn(&path.spot, message);
        }
    }
}

fn warn_of_public(
    context: &Context<'_>,
    path: &Located<PathPattern>,
    login_pages: &[&Located<PathPattern>],
    password_paths: &[&Located<PathPattern>],
) {
    let met = |doors: &[&Located<PathPattern>]| {
        doors
            .iter()
            .find(|door| meet(path.value.as_str(), door.value.as_str()))
            .map(|door| door.shown.clone())
    };
    if let Some(door) = met(password_paths) {
        let message = format!(
            "this public route meets the password route {door}, which stays refused all the same"
        );
        context.warn(&path.spot, message);
    } else if let Some(page) = met(login_pages) {
        let message = format!(
            "this public route meets the login page {page}, which stays a sign-in all the same"
        );
        context.warn(&path.spot, message);
    }
}
