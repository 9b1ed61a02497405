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

/// The place of a step in a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A sign-in starts here.
    Opens,
    /// Somebody is signed in from here on.
    Completes,
    /// Anywhere else.
    Within,
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
    /// Its place in a sign-in.
    pub place: Place,
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
        self.add(narrator, title.into(), details, Place::Within);
    }

    /// Adds the step with which a sign-in starts.
    pub fn open(
        &self,
        narrator: Narrator,
        title: impl Into<String>,
        details: Vec<(String, String)>,
    ) {
        self.add(narrator, title.into(), details, Place::Opens);
    }

    /// Adds the step with which a sign-in has succeeded.
    pub fn complete(
        &self,
        narrator: Narrator,
        title: impl Into<String>,
        details: Vec<(String, String)>,
    ) {
        self.add(narrator, title.into(), details, Place::Completes);
    }

    fn add(&self, narrator: Narrator, title: String, details: Vec<(String, String)>, place: Place) {
        let step = Step { at: self.clock.now(), narrator, title, details, place };
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

    /// The steps since the start of the last sign-in that succeeded; of the last one at all, if
    /// none did. An attempt that somebody gave up does not hide what came before.
    #[must_use]
    pub fn latest_sign_in(&self) -> Vec<Step> {
        let mut steps = self.steps();
        let end =
            steps.iter().rposition(|step| step.place == Place::Completes).unwrap_or(steps.len());
        let start =
            steps.iter().take(end).rposition(|step| step.place == Place::Opens).unwrap_or(0);
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
    fn the_latest_sign_in_is_the_last_one_that_succeeded() {
        let story = Story::new(Clock::at(Timestamp::from_unix_seconds(0)));
        let titles = || -> Vec<String> {
            let steps = story.latest_sign_in().into_iter();
            steps.map(|step| step.title).collect()
        };
        story.open(Narrator::Microsoft, "first", vec![]);
        story.open(Narrator::Microsoft, "second", vec![]);
        assert_eq!(titles(), ["second"]);
        story.complete(Narrator::Microsoft, "done", vec![]);
        story.open(Narrator::Microsoft, "third", vec![]);
        assert_eq!(titles(), ["second", "done", "third"]);
    }
}
