//! When credentials end, and when that is said: 30, 14 and 3 days before, and at the end, once
//! each. What is told the time here is told it by somebody who looks now and then.

use std::time::Duration;

use crate::gate::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What there is to say about an end; the later it is, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// A month is left.
    Month,
    /// Two weeks are.
    Fortnight,
    /// Three days are.
    Days,
    /// It is over.
    Ended,
}

impl Notice {
    const fn left(self) -> Duration {
        match self {
            Self::Month => Duration::from_secs(30 * DAY.as_secs()),
            Self::Fortnight => Duration::from_secs(14 * DAY.as_secs()),
            Self::Days => Duration::from_secs(3 * DAY.as_secs()),
            Self::Ended => Duration::ZERO,
        }
    }

    fn at(end: Timestamp, now: Timestamp) -> Option<Self> {
        let latest_first = [Self::Ended, Self::Days, Self::Fortnight, Self::Month];
        latest_first.into_iter().find(|notice| end <= now.after(notice.left()))
    }
}

/// The end of one credential, and what was said of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// What the configuration says, or the certificate.
    configured: Option<Timestamp>,
    /// What the provider says.
    learned: Option<Timestamp>,
    told: Option<(Timestamp, Notice)>,
}

impl End {
    pub(super) const fn new(configured: Option<Timestamp>) -> Self {
        Self { configured, learned: None, told: None }
    }

    /// Whichever comes first: a date that was declared can be a wish to change it early.
    pub(super) fn known(&self) -> Option<Timestamp> {
        self.configured.into_iter().chain(self.learned).min()
    }

    pub(super) const fn learn(&mut self, end: Option<Timestamp>) {
        self.learned = end;
    }

    /// What is to be said now and has not been.
    pub(super) fn news(&mut self, now: Timestamp) -> Option<Notice> {
        let end = self.known()?;
        let notice = Notice::at(end, now)?;
        let is_said = self.told.is_some_and(|(told, latest)| told == end && latest >= notice);
        self.told = Some((end, notice));
        (!is_said).then_some(notice)
    }
}

/// How far an end is away, in words.
pub(super) fn in_words(end: Timestamp, now: Timestamp) -> String {
    let days = |span: Duration| match span.as_secs() / DAY.as_secs() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    match end <= now {
        true => format!("expired {} ago", days(now.since(end))),
        false => format!("expires in {}", days(end.since(now))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn an_end_is_announced_thrice_and_then_said_to_be_there() {
        let mut end = End::new(Some(END));
        let mut said = Vec::new();
        // Every six hours, from forty days before to ten after.
        for quarter in 0..200 {
            let now = END.before(40 * DAY).after(quarter * DAY / 4);
            said.extend(end.news(now).map(|notice| (quarter / 4, notice)));
        }
        let expected =
            [(10, Notice::Month), (26, Notice::Fortnight), (37, Notice::Days), (40, Notice::Ended)];
        assert_eq!(said, expected);
    }

    #[test]
    fn who_starts_late_is_told_the_latest_alone() {
        let mut end = End::new(Some(END));
        assert_eq!(end.news(END.before(2 * DAY)), Some(Notice::Days));
        assert_eq!(end.news(END.before(DAY)), None);
        assert_eq!(End::new(Some(END)).news(END.before(31 * DAY)), None);
        assert_eq!(End::new(None).news(END), None);
    }

    #[test]
    fn another_end_is_another_story() {
        let mut end = End::new(None);
        end.learn(Some(END));
        assert_eq!(end.news(END.before(DAY)), Some(Notice::Days));
        end.learn(Some(END.after(365 * DAY)));
        assert_eq!(end.news(END.before(DAY)), None);
        end.learn(Some(END.after(10 * DAY)));
        assert_eq!(end.news(END), Some(Notice::Fortnight));
    }

    #[test]
    fn the_earlier_end_counts() {
        let mut end = End::new(Some(END));
        end.learn(Some(END.after(DAY)));
        assert_eq!(end.known(), Some(END));
        end.learn(Some(END.before(DAY)));
        assert_eq!(end.known(), Some(END.before(DAY)));
    }

    #[test]
    fn an_end_is_told_in_days() {
        let words = |end| in_words(end, END);
        assert_eq!(words(END.after(10 * DAY)), "expires in 10 days");
        assert_eq!(words(END.after(DAY)), "expires in 1 day");
        assert_eq!(words(END.after(DAY / 2)), "expires in less than a day");
        assert_eq!(words(END), "expired less than a day ago");
        assert_eq!(words(END.before(3 * DAY)), "expired 3 days ago");
    }
}
