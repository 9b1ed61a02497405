//! What just happened, as the emulated Microsoft and the portal saw it: the steps of a sign-in in
//! their order, for the portal's page that shows them. Bounded, in memory, and without secrets: a
//! code, a state or a challenge is shortened by who tells of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::gate::Timestamp;

/// A record that partners in one process share.
#[derive(Debug)]
pub struct Story {
    clock: Clock,
    steps: Mutex<VecDeque<Step>>,
}

/// Who saw a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrator {
    /// The visitor's browser was sent somewhere.
    Browser,
    /// The emulated Microsoft.
    Microsoft,
    /// The portal.
    Portal,
    /// The proxy, if it tells of itself.
    Proxy,
}

impl Narrator {
    /// Its name on the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "Browser",
            Self::Microsoft => "Microsoft (emulated)",
            Self::Portal => "Portal",
            Self::Proxy => "Anteport",
        }
    }

    /// Its name in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Microsoft => "microsoft",
            Self::Portal => "portal",
            Self::Proxy => "proxy",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Who saw it.
    pub narrator: Narrator,
    /// What it was, in a sentence.
    pub title: String,
    /// Its particulars.
    pub details: Vec<(String, String)>,
    /// Whether a sign-in starts here.
    pub opens: bool,
}

impl Story {
    /// How many steps are kept.
    pub const LONGEST: usize = 120;

    /// An empty story.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, steps: Mutex::default() })
    }

    /// Adds a step.
    pub fn tell(
        &self,
        narrator: Narrator,
        title: impl Into<String>,
        details: Vec<(String, String)>,
    ) {
        self.add(narrator, title.into(), details, false);
    }

    /// Adds the step with which a sign-in starts.
    pub fn open(
        &self,
        narrator: Narrator,
        title: impl Into<String>,
        details: Vec<(String, String)>,
    ) {
        self.add(narrator, title.into(), details, true);
    }

    fn add(&self, narrator: Narrator, title: String, details: Vec<(String, String)>, opens: bool) {
        let step = Step { at: self.clock.now(), narrator, title, details, opens };
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() == Self::LONGEST {
            steps.pop_front();
        }
        steps.push_back(step);
    }

    /// Everything that is kept.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.iter().cloned().collect()
    }

    /// The steps since the last sign-in started.
    #[must_use]
    pub fn latest_sign_in(&self) -> Vec<Step> {
        let mut steps = self.steps();
        let start = steps.iter().rposition(|step| step.opens).unwrap_or(0);
        steps.split_off(start)
    }
}

/// The first characters of something long or secret.
#[must_use]
pub fn shortened(value: &str) -> String {
    const SHOWN: usize = 10;
    let shown: String = value.chars().take(SHOWN).collect();
    match value.chars().count() {
        length if length > SHOWN => format!("{shown}… ({length} characters)"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_forgets_its_beginning() {
        let story = Story::new(Clock::at(Timestamp::from_unix_seconds(0)));
        story.open(Narrator::Microsoft, "first", vec![]);
        for _ in 0..Story::LONGEST {
            story.tell(Narrator::Portal, "more", vec![]);
        }
        assert_eq!(story.steps().len(), Story::LONGEST);
        assert!(story.steps().iter().all(|step| step.title == "more"));
    }

    #[test]
    fn the_latest_sign_in_starts_with_its_authorization_request() {
        let story = Story::new(Clock::at(Timestamp::from_unix_seconds(0)));
        for title in ["first", "second"] {
            story.open(Narrator::Microsoft, title, vec![]);
            story.tell(Narrator::Portal, "then", vec![]);
        }
        let titles: Vec<_> = story.latest_sign_in().into_iter().map(|step| step.title).collect();
        assert_eq!(titles, ["second", "then"]);
    }
}
