//! Why a request is decided as it is: the readings and rules that the decision goes by, for
//! `explain`. Deliberately not here: the decision, which is `decide`'s alone.

use super::asked::Asked;
use super::requirement::Requirement;
use super::route::{Access, Found, Policy, Route};
use super::rule::Rule;

/// What a decision goes by.
#[derive(Debug)]
pub struct Trace<'a> {
    /// The canonical path, which is judged and sent.
    pub path: &'a str,
    /// What deny rules compare.
    pub deny_key: &'a str,
    /// The password route that it could be.
    pub password_route: Option<&'a Rule>,
    /// The login page that it asks for.
    pub login_page: Option<&'a Rule>,
    /// The route that covers it, by its place.
    pub route: Option<(usize, &'a Route)>,
    /// What members need besides a sign-in, each with the place of the line that asks for it.
    pub requires: Vec<(usize, &'a Requirement)>,
}

impl Policy {
    /// What a decision about this request goes by.
    #[must_use]
    pub fn trace<'a>(&'a self, asked: &'a Asked<'_>) -> Trace<'a> {
        let rule = |rules: &'a [Rule], found| match found {
            Found::At(index) => rules.get(index),
            Found::Nothing | Found::NeedsForm => None,
        };
        let covering = match self.covering(asked) {
            Found::At(index) => self.routes.get(index).map(|route| (index, route)),
            Found::Nothing | Found::NeedsForm => None,
        };
        let mut requires = Vec::new();
        if let Some((first, Route { access: Access::SignedIn(_), .. })) = covering {
            self.requirements(first, asked, |index, requirement| {
                if !requirement.is_nothing() {
                    requires.push((index, requirement));
                }
            });
        }
        Trace {
            path: asked.path(),
            deny_key: asked.deny_key(),
            password_route: rule(&self.password_routes, self.password_route(asked)),
            login_page: rule(&self.login_pages, self.login_page(asked)),
            route: covering,
            requires,
        }
    }
}
