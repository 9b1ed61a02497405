//! The decision core: values in, values out. No I/O, no clock, no randomness, no logging, and
//! nothing of the rest of this crate, so that it can be tried with a million inputs in a second.

mod answer;
mod asked;
mod claim_path;
mod claims;
mod clues;
pub mod cookies;
mod endpoint;
mod fold;
mod form;
mod glass;
pub mod identity;
mod json;
mod kept_form;
mod letters;
pub mod login;
mod oddities;
mod parameters;
mod path;
mod pattern;
mod portal_cookies;
mod refusal;
mod renewal;
mod requirement;
mod return_to;
mod rollout;
mod route;
mod rule;
mod secret;
mod session;
mod shadow;
mod standing;
mod target;
mod time;
mod tokens;
mod trace;
mod trail;

use std::fmt;
use std::time::Duration;

pub use asked::{Asked, Purpose, is_fetched_early, is_of_a_page, purpose};
pub use claim_path::{ClaimPath, ClaimPathError, OtherForm};
pub use claims::{
    AccountKind, EXTENSION, EXTENSIONS, Group, GroupsUnknown, Subject, TOKENS_AS_CLAIMS,
    VerifiedClaims,
};
pub use clues::Clue;
pub use endpoint::{Endpoint, PresetEndpoint};
pub use fold::is_one_word;
pub use form::Form;
use glass::Leads;
pub use glass::Opened;
pub use kept_form::{KeptForm, MemberMark, may_be_from_own_page};
pub use login::Challenge;
use login::{Demands, Journey, Prompt};
pub use oddities::{Oddities, Oddity};
pub use parameters::{Pair, ValuePattern};
pub use path::{CanonicalPath, PathError};
pub(crate) use pattern::includes;
pub use pattern::{PathPattern, PatternError};
pub use portal_cookies::PortalCookies;
pub use refusal::Refusal;
pub use renewal::{OtherMember, Renewal};
use requirement::Unmet;
pub use requirement::{Lack, Requirement, Right, Verdict, has_context};
pub use return_to::ReturnTo;
pub use rollout::Rollout;
pub use route::{Access, Allowance, Mode, Passes, Policy, Route, Spelling};
use route::{Asks, Found};
pub use rule::{Conditions, Covers, Exception, Rule};
pub use secret::Secret;
pub use session::{AtProvider, Lifetimes, Session, SessionId, Ticket};
pub use standing::{Glass, Lot, Standing};
pub use target::RawTarget;
pub use time::Timestamp;
pub use tokens::{PortalToken, PortalTokens, TokenKind};
pub use trace::Trace;
pub use trail::Trail;

/// What happens to a request.
pub enum Decision<'h> {
    /// It goes to the portal.
    Forward(Permit),
    /// The visitor signs in first.
    Login(Challenge),
    /// It is for an endpoint of ours.
    Own(Endpoint),
    /// The visitor is sent to the canonical spelling of what was asked for, a path and query on our
    /// own origin (PATH-07).
    Redirect(String),
    /// It goes nowhere.
    Refuse(Refusal),
    /// It needs a session, as [`Refusal::SignInRequired`] says, and is a form that whoever was
    /// signed in may send once more: its path and query.
    Keep(String),
    /// A rule looks at the form: decide again once the body has been read and is with what was
    /// asked ([`Asked::with_form`]).
    Inspect(Box<Asked<'h>>),
}

/// No query is shown (LOG-01).
impl fmt::Debug for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(permit) => f.debug_tuple("Forward").field(permit).finish(),
            Self::Login(challenge) => f.debug_tuple("Login").field(challenge).finish(),
            Self::Own(endpoint) => f.debug_tuple("Own").field(endpoint).finish(),
            Self::Redirect(_) => f.write_str("Redirect(…)"),
            Self::Refuse(refusal) => f.debug_tuple("Refuse").field(refusal).finish(),
            Self::Keep(_) => f.write_str("Keep(…)"),
            Self::Inspect(asked) => f.debug_tuple("Inspect").field(asked).finish(),
        }
    }
}

impl<'h> Decision<'h> {
    /// What was decided, or what was asked, if that depends on a form that has not been read.
    ///
    /// # Errors
    /// What was asked, for [`Asked::with_form`] and another decision.
    pub fn settled(self) -> Result<Decision<'static>, Box<Asked<'h>>> {
        Ok(match self {
            Self::Inspect(asked) => return Err(asked),
            Self::Forward(permit) => Decision::Forward(permit),
            Self::Login(challenge) => Decision::Login(challenge),
            Self::Own(endpoint) => Decision::Own(endpoint),
            Self::Redirect(target) => Decision::Redirect(target),
            Self::Refuse(refusal) => Decision::Refuse(refusal),
            Self::Keep(target) => Decision::Keep(target),
        })
    }
}

/// May this request pass? A pure function of configuration, request, session and time.
#[must_use]
pub fn decide<'h>(
    policy: &Policy,
    asked: Asked<'h>,
    session: Option<&Session>,
    now: Timestamp,
) -> Decision<'h> {
    if asked.is_mended() {
        return Decision::Redirect(asked.into_target());
    }
    if let Some(endpoint) = asked.own_endpoint(policy) {
        return Decision::Own(endpoint);
    }
    let session = session.filter(|session| session.is_live(now) && session.is_for(&policy.host));
    let mode = policy.mode_for(&asked, session);
    match mode {
        Mode::Off => {
            let route = match policy.covering(&asked) {
                Found::At(index) => Some(index),
                Found::Nothing => None,
                Found::NeedsForm => return Decision::Inspect(Box::new(asked)),
            };
            let passes = route.and_then(|index| policy.routes.get(index));
            let passes = passes.map(|route| route.passes).unwrap_or_default();
            let (target, bearer) = (asked.into_target(), Bearer::Nobody);
            let (noted, opened) = (None, None);
            Decision::Forward(Permit { target, bearer, passes, route, mode, noted, opened })
        }
        Mode::Optional => forward(policy, mode, asked, session),
        Mode::ReportOnly if asked.may_tell_of_passwords() => Decision::Inspect(Box::new(asked)),
        Mode::ReportOnly => match policy.password_route(&asked) {
            Found::At(rule) => report(policy, asked, session, Some(rule)),
            Found::NeedsForm => Decision::Inspect(Box::new(asked)),
            Found::Nothing => report(policy, asked, session, None),
        },
        Mode::AzureOnly => guard(policy, asked, session, now),
    }
}

/// To the portal, if any route covers it.
fn forward<'h>(
    policy: &Policy,
    mode: Mode,
    asked: Asked<'h>,
    session: Option<&Session>,
) -> Decision<'h> {
    let (index, route) = match policy.covering(&asked) {
        Found::At(index) => (index, policy.routes.get(index)),
        Found::Nothing => (0, None),
        Found::NeedsForm => return Decision::Inspect(Box::new(asked)),
    };
    match route {
        Some(route) => Decision::Forward(Permit {
            target: asked.into_target(),
            bearer: Bearer::of(session),
            passes: route.passes,
            route: Some(index),
            mode,
            noted: None,
            opened: None,
        }),
        None => Decision::Refuse(Refusal::NoRoute),
    }
}

/// To the portal, with what `azure_only` would have refused it for and what it shows of passwords.
fn report<'h>(
    policy: &Policy,
    asked: Asked<'h>,
    session: Option<&Session>,
    rule: Option<usize>,
) -> Decision<'h> {
    let note = Note { rule, clues: asked.clues(), path: asked.path().to_owned() };
    let mut decision = forward(policy, Mode::ReportOnly, asked, session);
    if let Decision::Forward(permit) = &mut decision
        && (note.rule.is_some() || !note.clues.is_empty())
    {
        permit.noted = Some(Box::new(note));
    }
    decision
}

/// What was noted about a request in `report_only`.
#[derive(Clone, Debug)]
pub struct Note {
    /// The password route that `azure_only` would refuse it for, by its place in the policy.
    pub rule: Option<usize>,
    /// What showed that passwords are taken here.
    pub clues: Vec<Clue>,
    /// The canonical path.
    pub path: String,
}

fn guard<'h>(
    policy: &Policy,
    asked: Asked<'h>,
    session: Option<&Session>,
    now: Timestamp,
) -> Decision<'h> {
    let glass = asked.standing().glass.in_force(session);
    let session = match glass {
        Glass::Whole => session,
        Glass::Link | Glass::Network => match policy.leads(&asked) {
            Leads::Through { rule, is_needed } => {
                return through(policy, asked, Opened { by: glass, rule, is_needed });
            }
            Leads::NeedsForm => return Decision::Inspect(Box::new(asked)),
            Leads::Nowhere if glass == Glass::Link => return Decision::Refuse(Refusal::NoRoute),
            // A sign-in would not count while there is a pass.
            Leads::ToRight if glass == Glass::Link => {
                return Decision::Refuse(Refusal::BreakGlassClosed);
            }
            Leads::Nowhere | Leads::ToRight => None,
        },
    };
    // Nobody's form is read for nothing: whatever it says, a stranger gets no further where a
    // sign-in is asked for, and the route below says so.
    let reads_forms = || session.is_some() || !policy.asks_for_sign_in(&asked);
    match policy.password_route(&asked) {
        Found::At(rule) => return Decision::Refuse(Refusal::PasswordRoute { rule }),
        Found::NeedsForm if !reads_forms() => {}
        Found::NeedsForm => return Decision::Inspect(Box::new(asked)),
        Found::Nothing => {}
    }
    match policy.login_page(&asked) {
        Found::At(index) => {
            let journey = policy.login_pages.get(index).map(|page| page.journey);
            return match journey.unwrap_or(Journey::SignIn) {
                // Another sign-in would end here again; a page says so and leads on.
                Journey::SignIn | Journey::SignUp if session.is_some() => {
                    Decision::Own(Endpoint::SignedIn)
                }
                journey => go(&asked, Challenge::to(journey, ReturnTo::root())),
            };
        }
        Found::NeedsForm if !reads_forms() => {}
        Found::NeedsForm => return Decision::Inspect(Box::new(asked)),
        Found::Nothing => {}
    }
    let first = match policy.covering(&asked) {
        Found::At(index) => index,
        Found::Nothing => return Decision::Refuse(Refusal::NoRoute),
        Found::NeedsForm => return Decision::Inspect(Box::new(asked)),
    };
    let access = policy.routes.get(first).map(|route| &route.access);
    let session = match (access, session) {
        (None, _) => return Decision::Refuse(Refusal::NoRoute),
        (Some(Access::Public), session) => {
            return forward(policy, Mode::AzureOnly, asked, session);
        }
        (Some(Access::SignedIn(_)), Some(session)) => session,
        (Some(Access::SignedIn(_)), None) if kept_form::is_kept(policy, &asked) => {
            return Decision::Keep(asked.into_target());
        }
        (Some(Access::SignedIn(_)), None) => {
            let return_to = ReturnTo::parse(asked.target(), policy);
            return go(&asked, Challenge::sign_in(return_to.unwrap_or_else(ReturnTo::root)));
        }
    };
    match policy.unmet(first, &asked, session, now) {
        Asks::Nothing => forward(policy, Mode::AzureOnly, asked, Some(session)),
        Asks::For { route, unmet: Unmet::Lacks(lack) } => {
            Decision::Refuse(Refusal::Lacks { lack, route })
        }
        Asks::For { unmet: Unmet::SignIn { max_age, authentication_context }, .. } => {
            sign_in_again(policy, &asked, session, max_age, authentication_context)
        }
        Asks::NeedsForm => Decision::Inspect(Box::new(asked)),
    }
}

/// Through a broken glass: as nobody, and with a sign-in of the portal's own.
fn through<'h>(policy: &Policy, asked: Asked<'h>, opened: Opened) -> Decision<'h> {
    let mut decision = forward(policy, Mode::AzureOnly, asked, None);
    if let Decision::Forward(permit) = &mut decision {
        permit.passes.credentials = true;
        permit.opened = Some(opened);
    }
    decision
}

/// A page logs in, a background call is refused (OIDC-17).
fn go<'h>(asked: &Asked<'h>, challenge: Challenge) -> Decision<'h> {
    match asked.purpose() {
        Purpose::Page => Decision::Login(challenge),
        Purpose::Background => Decision::Refuse(Refusal::SignInRequired),
    }
}

/// The same member comes back with a sign-in that is younger or stronger; a background call is told
/// which (OIDC-17).
fn sign_in_again<'h>(
    policy: &Policy,
    asked: &Asked<'h>,
    session: &Session,
    max_age: Option<Duration>,
    authentication_context: Option<&str>,
) -> Decision<'h> {
    if asked.purpose() == Purpose::Background {
        return Decision::Refuse(match max_age {
            Some(_) => Refusal::SignInTooOld,
            None => Refusal::StepUpRequired,
        });
    }
    let hints = ["login_hint", "preferred_username"];
    let return_to = ReturnTo::parse(asked.target(), policy);
    let demands = Demands {
        prompt: max_age.map(|_| Prompt::Login),
        max_age,
        context: authentication_context.map(str::to_owned),
        login_hint: hints.iter().find_map(|name| session.claims().text(name)).map(str::to_owned),
        same_member: true,
        ..Demands::default()
    };
    let challenge = Challenge::sign_in(return_to.unwrap_or_else(ReturnTo::root));
    Decision::Login(Challenge { demands, ..challenge })
}

/// The only key to an upstream, and only [`decide`] makes one: that no request reaches a portal
/// undecided is a fact that the compiler checks.
pub struct Permit {
    target: String,
    bearer: Bearer,
    passes: Passes,
    route: Option<usize>,
    mode: Mode,
    noted: Option<Box<Note>>,
    opened: Option<Opened>,
}

/// The path alone (LOG-01).
impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        f.debug_struct("Permit")
            .field("path", &path)
            .field("bearer", &self.bearer)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// In whose name a permitted request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The member of the session that was judged.
    Member,
    /// Nobody: no identity header is sent.
    Nobody,
}

impl Bearer {
    const fn of(session: Option<&Session>) -> Self {
        match session {
            Some(_) => Self::Member,
            None => Self::Nobody,
        }
    }
}

impl Permit {
    /// The target that was judged, and is to be sent (GEN-01).
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// In whose name it goes.
    #[must_use]
    pub const fn bearer(&self) -> Bearer {
        self.bearer
    }

    /// What passes on its route besides an ordinary request and answer.
    #[must_use]
    pub const fn passes(&self) -> Passes {
        self.passes
    }

    /// The route that lets it pass, by its place in the policy.
    #[must_use]
    pub const fn route(&self) -> Option<usize> {
        self.route
    }

    /// The mode that it was judged in.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What a broken glass had to do with it.
    #[must_use]
    pub const fn opened(&self) -> Option<Opened> {
        self.opened
    }

    /// What was noted about it in `report_only`.
    #[must_use]
    pub fn noted(&self) -> Option<&Note> {
        self.noted.as_deref()
    }
}
