//! Break-glass: what a request may do for which the way to the portal's own sign-in has been opened
//! on purpose. It goes on as nobody, past the portal's password doors, to whatever is for everybody
//! who is signed in: from there on the portal's own sign-in is what protects it. What asks for a
//! right stays shut, because nobody has one without a sign-in with the provider. Deliberately not
//! here: for whom the glass is broken (`server::break_glass`).

use super::asked::Asked;
use super::route::{Access, Found, Policy};
use super::standing::Glass;

/// What a broken glass has let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How it was broken.
    pub by: Glass,
    /// The password route that would have been refused, by its place in the policy.
    pub rule: Option<usize>,
    /// Whether the request would not have gone on as it does without it.
    pub is_needed: bool,
}

/// Where a broken glass leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// To the portal, past this password route.
    Through { rule: Option<usize>, is_needed: bool },
    /// To a line that asks for a right.
    ToRight,
    /// To what no line names.
    Nowhere,
    /// That depends on the body.
    NeedsForm,
}

impl Policy {
    /// Where a request is let whose visitor is nobody, past the password doors.
    pub(super) fn leads(&self, asked: &Asked<'_>) -> Leads {
        let rule = match self.password_route(asked) {
            Found::At(rule) => Some(rule),
            Found::Nothing => None,
            Found::NeedsForm => return Leads::NeedsForm,
        };
        let first = match self.covering(asked) {
            Found::At(first) => first,
            Found::Nothing => return Leads::Nowhere,
            Found::NeedsForm => return Leads::NeedsForm,
        };
        match self.routes.get(first).map(|route| &route.access) {
            None => Leads::Nowhere,
            Some(Access::Public) => {
                let is_needed = rule.is_some() || self.login_page(asked) != Found::Nothing;
                Leads::Through { rule, is_needed }
            }
            Some(Access::SignedIn(_)) => {
                let mut asks = false;
                let needs_form = self.requirements(first, asked, |_, requirement| {
                    asks |= !requirement.is_nothing();
                });
                match (needs_form, asks) {
                    (true, _) => Leads::NeedsForm,
                    (false, true) => Leads::ToRight,
                    (false, false) => Leads::Through { rule, is_needed: true },
                }
            }
        }
    }
}
