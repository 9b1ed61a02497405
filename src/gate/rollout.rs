//! The progressive switch: who is under `azure_only` already, while everybody else is as in
//! `report_only`. Deliberately not here: how a visitor comes to a lot (`server`).

use super::asked::Asked;
use super::requirement::{Lack, Right};
use super::route::{Mode, Policy};
use super::session::Session;

/// Who is under `azure_only` already: whoever any of it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// So many in a hundred of all visitors.
    pub percent: u8,
    /// Members of these groups, once they are signed in.
    pub groups: Option<Right>,
}

impl Rollout {
    /// Whether a visitor's share of the switch is asked for at all.
    #[must_use]
    pub const fn draws_lots(&self) -> bool {
        self.percent > 0 && self.percent < 100
    }

    /// What it says, for the operator.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.groups {
            Some(groups) => format!("{} % of visitors, and {}", self.percent, groups.in_words()),
            None => format!("{} % of visitors", self.percent),
        }
    }

    fn includes(&self, asked: &Asked<'_>, session: Option<&Session>) -> bool {
        let is_of_group = |session: &Session| {
            let lack = self.groups.as_ref().map(|groups| groups.lack(session.claims()));
            // Whose groups nobody knows may be in one (AZ-05).
            matches!(lack, Some(None | Some(Lack::Groups(_))))
        };
        asked.standing().lot.is_within(self.percent) || session.is_some_and(is_of_group)
    }
}

impl Policy {
    /// In which mode a request is judged: the portal's, or `report_only` for whoever a progressive
    /// switch has not come to yet.
    #[must_use]
    pub fn mode_for(&self, asked: &Asked<'_>, session: Option<&Session>) -> Mode {
        match &self.rollout {
            Some(rollout) if self.mode == Mode::AzureOnly && !rollout.includes(asked, session) => {
                Mode::ReportOnly
            }
            Some(_) | None => self.mode,
        }
    }
}
