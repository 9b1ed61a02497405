//! What a portal's configuration says about a request: its routes, its login pages, its password
//! routes and its mode. Deliberately not here: how they combine, which is `decide`.

use std::sync::Arc;

use http::Method;

use super::asked::Asked;
use super::claims::VerifiedClaims;
use super::identity::Told;
use super::oddities::Oddities;
use super::path::CanonicalPath;
use super::pattern::PathPattern;
use super::portal_cookies::PortalCookies;
use super::requirement::{Requirement, Unmet};
use super::rollout::Rollout;
use super::rule::{Conditions, Covers, Holds, Rule, as_judged};
use super::session::Session;
use super::time::Timestamp;
use super::{Endpoint, Refusal};

/// What the gate does for a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only people who signed in with the provider get in; the portal's own password doors are
    /// shut.
    AzureOnly,
    /// Visitors pass as nobody, or signed in if they wish; password doors stay open.
    Optional,
    /// As `Optional`; what `AzureOnly` would refuse is noted, and so is where passwords come along.
    ReportOnly,
    /// Everything passes. Identity headers of visitors are removed all the same.
    Off,
}

impl Mode {
    /// As written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AzureOnly => "azure_only",
            Self::Optional => "optional",
            Self::ReportOnly => "report_only",
            Self::Off => "off",
        }
    }
}

/// Whom a route lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// People who signed in and have what is required besides.
    SignedIn(Requirement),
}

impl Access {
    /// For everybody who signed in.
    pub const SIGNED_IN: Self = Self::SignedIn(Requirement::NOTHING);

    /// Whether it asks for more than a sign-in.
    #[must_use]
    pub fn requires(&self) -> bool {
        matches!(self, Self::SignedIn(requirement) if !requirement.is_nothing())
    }

    /// Whether strangers may pass.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

/// Whether `path` is `prefix` or below it, in any spelling that could be taken for it.
pub(super) fn lies_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.as_bytes();
    let Some(head) = path.as_bytes().get(..prefix.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(prefix)
        && matches!(path.as_bytes().get(prefix.len()), None | Some(b'/'))
}

/// One line of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it covers.
    pub path: PathPattern,
    /// What else could be this path, on a route that asks for a sign-in; a public one covers what
    /// it names and nothing else.
    pub covers: Covers,
    /// What has to be there besides: in anything that a server could take for it on a route that
    /// asks for a sign-in, to the letter on a public one (PATH-12).
    pub conditions: Conditions,
    /// Whom it lets in.
    pub access: Access,
    /// What passes on it besides ordinary requests and answers.
    pub passes: Passes,
}

/// What passes on a route as its line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// Upgrades to WebSocket (HTTP-08).
    pub websocket: bool,
    /// Trailers of the portal's answers, as gRPC needs them (HDR-07).
    pub trailers: bool,
    /// `Authorization` to the portal and its `WWW-Authenticate` to the visitor, in every mode
    /// (PATH-15).
    pub credentials: bool,
    /// The most bytes that a request's body may have; `None` is without a limit (LIM-03).
    pub largest_body: Option<u64>,
    /// Which of the portal's identity headers go along.
    pub told: Told,
}

/// Everything that the gate knows about one portal.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The portal's host as visitors write it, with the port if it is not the scheme's own. A
    /// session is valid at one of these (HOST-02).
    pub host: Arc<str>,
    /// Whether visitors come by `https` (FWD-03: from configuration, never from a request).
    pub secure: bool,
    /// What the gate does.
    pub mode: Mode,
    /// Who is under `azure_only` already, where that is not everybody.
    pub rollout: Option<Rollout>,
    /// Where our own endpoints are, `/.auth` unless the operator moved them.
    pub own: CanonicalPath,
    /// Redirect URIs that are elsewhere, by the names of their providers.
    pub callbacks: Vec<(CanonicalPath, String)>,
    /// Endpoints of ours that other gates have outside of our prefix, where a preset is on.
    pub elsewhere: Vec<(CanonicalPath, Endpoint)>,
    /// Which odd spellings of paths are mended or allowed.
    pub spelling: Spelling,
    /// The portal's login pages: a GET becomes a sign-in.
    pub login_pages: Vec<Rule>,
    /// The portal's password entrances: refused for everybody in `azure_only`.
    pub password_routes: Vec<Rule>,
    /// The portal's own session cookies, by their names: dropped unless they were set during a
    /// session of ours (PATH-18).
    pub portal_cookies: PortalCookies,
    /// The most bytes of a body that are read for a rule that looks at forms.
    pub form_limit: usize,
    /// The most bytes of a form that is kept for its member when it meets an expired session;
    /// `None` keeps none.
    pub resend_forms: Option<usize>,
    /// Who may go where; the first that covers a path decides.
    pub routes: Vec<Route>,
}

impl Policy {
    /// Whether a path is one of ours, or could be taken for one.
    pub(super) fn is_own(&self, path: &str) -> bool {
        let callbacks = self.callbacks.iter().map(|(callback, _)| callback);
        let elsewhere = self.elsewhere.iter().map(|(own, _)| own);
        let mut all = callbacks.chain(elsewhere).chain([&self.own]);
        all.any(|own| lies_under(path, own.as_str()))
    }

    /// The endpoint of ours at a path, or [`Endpoint::Unknown`] where a sloppy reader could see
    /// one.
    pub(super) fn endpoint(&self, path: &str) -> Option<Endpoint> {
        if !self.is_own(path) {
            return None;
        }
        if let Some((_, endpoint)) = self.elsewhere.iter().find(|(own, _)| own.as_str() == path) {
            return Some(endpoint.clone());
        }
        let callback = self.callbacks.iter().find(|(callback, _)| callback.as_str() == path);
        Some(match (callback, path.strip_prefix(self.own.as_str())) {
            (Some((_, provider)), _) => Endpoint::Callback(provider.clone()),
            (None, Some(rest)) => Endpoint::named(rest),
            (None, None) => Endpoint::Unknown,
        })
    }
}

/// What becomes of spellings that are not canonical.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// Whether a GET with empty or dot segments is sent to the canonical path instead of being
    /// refused (PATH-07).
    pub mends_segments: bool,
    /// Whether a GET with the session parameter of servlet containers is sent to the path without
    /// it (PATH-08).
    pub mends_session_parameter: bool,
    /// What passes as it is, below some prefixes (PATH-17).
    pub allowed: Vec<Allowance>,
}

/// Odd spellings that a portal needs, below a prefix.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Where.
    pub path: PathPattern,
    /// Which.
    pub oddities: Oddities,
}

impl Spelling {
    /// Whether a path with these oddities passes.
    pub(super) fn allows(&self, path: &str, oddities: Oddities) -> bool {
        let here = self.allowed.iter().filter(|allowance| allowance.path.is_exactly(path));
        let allowed = here.fold(Oddities::NONE, |all, allowance| all.and(allowance.oddities));
        oddities.are_within(allowed)
    }
}

/// What a request asks of a member who has not got it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks<'p> {
    /// Nothing.
    Nothing,
    /// This, by a line of `routes`.
    For { route: usize, unmet: Unmet<'p> },
    /// That depends on the body.
    NeedsForm,
}

impl Route {
    /// Whether a request could be for this line, whatever its spelling.
    fn could_be_meant(&self, asked: &Asked<'_>) -> Holds {
        match self.covers.could_be(&self.path, asked.deny_key()) {
            true => self.conditions.could_hold(asked),
            false => Holds::No,
        }
    }

    /// Whether it is, to the letter.
    fn is_meant(&self, asked: &Asked<'_>) -> Holds {
        match self.path.is_exactly(asked.path()) {
            true => self.conditions.holds(asked),
            false => Holds::No,
        }
    }
}

/// Which of some rules or routes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The one at this place.
    At(usize),
    /// None.
    Nothing,
    /// That depends on the body.
    NeedsForm,
}

fn first(rules: &[Rule], asked: &Asked<'_>) -> Found {
    let mut found = Found::Nothing;
    for (index, rule) in rules.iter().enumerate() {
        match rule.holds(asked) {
            Holds::Yes => return Found::At(index),
            Holds::NeedsForm => found = Found::NeedsForm,
            Holds::No => {}
        }
    }
    found
}

impl Policy {
    /// The first route that covers a request. Nothing covers what no line names (GEN-04); a public
    /// route covers exact text only, one that asks for a sign-in whatever could be taken for it.
    pub(super) fn covering(&self, asked: &Asked<'_>) -> Found {
        for (index, route) in self.routes.iter().enumerate() {
            let holds = match route.access {
                Access::Public => route.is_meant(asked),
                Access::SignedIn(_) => route.could_be_meant(asked),
            };
            match holds {
                Holds::Yes => return Found::At(index),
                Holds::NeedsForm => return Found::NeedsForm,
                Holds::No => {}
            }
        }
        Found::Nothing
    }

    /// Whether the route that covers a request asks for a sign-in, whatever its body says.
    pub(super) fn asks_for_sign_in(&self, asked: &Asked<'_>) -> bool {
        match self.covering(asked) {
            Found::At(index) => {
                self.routes.get(index).is_some_and(|route| !route.access.is_public())
            }
            Found::Nothing | Found::NeedsForm => false,
        }
    }

    /// What a member has not that is asked of a request which the line at `first` covers.
    pub(super) fn unmet(
        &self,
        first: usize,
        asked: &Asked<'_>,
        session: &Session,
        now: Timestamp,
    ) -> Asks<'_> {
        let mut found: Option<(usize, Unmet<'_>)> = None;
        let needs_form = self.requirements(first, asked, |index, requirement| {
            match (requirement.unmet(session, now), &found) {
                // A right that is missing is missing, whatever another sign-in could mend.
                (Some(unmet @ Unmet::Lacks(_)), None | Some((_, Unmet::SignIn { .. })))
                | (Some(unmet), None) => found = Some((index, unmet)),
                (Some(_), Some(_)) | (None, _) => {}
            }
        });
        match (needs_form, found) {
            (true, _) => Asks::NeedsForm,
            (false, Some((route, unmet))) => Asks::For { route, unmet },
            (false, None) => Asks::Nothing,
        }
    }

    /// Visits what is asked of a request which the line at `first` covers: by that line, and by
    /// every later one that could be meant as well, down to the first that names the request to the
    /// letter. So a line that asks for less covers what it names and nothing else, as a public one
    /// does, and one that asks for more whatever could be taken for it (PATH-09). Says whether it
    /// depends on a body that has not been read.
    pub(super) fn requirements<'p>(
        &'p self,
        first: usize,
        asked: &Asked<'_>,
        mut visit: impl FnMut(usize, &'p Requirement),
    ) -> bool {
        // Where nothing more is asked for, no form is read to find that out.
        let Some(last) = self.routes.iter().rposition(|route| route.access.requires()) else {
            return false;
        };
        for (index, route) in self.routes.iter().enumerate().take(last + 1).skip(first) {
            if let Access::SignedIn(requirement) = &route.access {
                match route.could_be_meant(asked) {
                    Holds::Yes => visit(index, requirement),
                    Holds::NeedsForm => return true,
                    Holds::No => continue,
                }
            }
            if index == last {
                break;
            }
            match route.is_meant(asked) {
                Holds::Yes => break,
                Holds::NeedsForm => return true,
                Holds::No => {}
            }
        }
        false
    }

    /// Whether somebody with these claims could get anywhere where a sign-in is asked for, before
    /// the portal's directory of members has said anything; also where no route asks for one.
    #[must_use]
    pub fn could_let_in(&self, claims: &VerifiedClaims) -> bool {
        let mut asked_for = self.routes.iter().filter_map(|route| match &route.access {
            Access::SignedIn(requirement) => Some(requirement),
            Access::Public => None,
        });
        let asks_nowhere = asked_for.clone().next().is_none();
        asks_nowhere || asked_for.any(|requirement| requirement.could_be_met(claims))
    }

    /// What the operator has to say to whoever is refused so.
    #[must_use]
    pub fn hint(&self, refusal: Refusal) -> Option<&str> {
        let Refusal::Lacks { route, .. } = refusal else {
            return None;
        };
        match &self.routes.get(route)?.access {
            Access::SignedIn(requirement) => requirement.hint.as_deref(),
            Access::Public => None,
        }
    }

    /// Which password entrance the portal could take this request for.
    pub(super) fn password_route(&self, asked: &Asked<'_>) -> Found {
        first(&self.password_routes, asked)
    }

    /// Which login page this asks for.
    pub(super) fn login_page(&self, asked: &Asked<'_>) -> Found {
        match as_judged(asked.method()) == Method::GET {
            true => first(&self.login_pages, asked),
            false => Found::Nothing,
        }
    }

    /// Whether a `Host` names this portal: its host in any case, with the scheme's own port or
    /// without it (RFC 9110, section 4.2.3).
    #[must_use]
    pub fn is_at(&self, host: &str) -> bool {
        if self.host.eq_ignore_ascii_case(host) {
            return true;
        }
        let own_port = if self.secure { ":443" } else { ":80" };
        // A host with a port of its own has no other.
        let has_port = self.host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        let bare = host.strip_suffix(own_port).filter(|_| !has_port);
        bare.is_some_and(|bare| self.host.eq_ignore_ascii_case(bare))
    }
}
