//! Time as a value. Deliberately not here: reading a clock, which `crate::clock` alone does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch. Everything in the gate is told the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, as in a JWT's `exp`; saturates far outside of any real
    /// date.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The beginning of a day in UTC, from 1970 to 9999; `None` if there is no such day.
    #[must_use]
    pub fn from_utc_date(year: i64, month: i64, day: i64) -> Option<Self> {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=days).contains(&day) || !(1970..=9999).contains(&year) {
            return None;
        }
        // Years that begin in March have their odd day last, and thirds of five months are alike.
        let (year, month) = match month {
            1 | 2 => (year - 1, month + 9),
            _ => (year, month - 3),
        };
        let days_before_year = 365 * year + year / 4 - year / 100 + year / 400;
        let since_epoch = days_before_year + (153 * month + 2) / 5 + day - 1 - 719_468;
        Some(Self::from_unix_seconds(since_epoch * 86_400))
    }

    /// From `2026-12-31T23:59:59Z` (RFC 3339), in UTC alone; parts of a second are left out.
    #[must_use]
    pub fn from_utc_date_time(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let time = match time.split_once('.') {
            Some((whole, part)) => number(part, part.len()).map(|_| whole)?,
            None => time,
        };
        let (year, rest) = date.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let (hour, rest) = time.split_once(':')?;
        let (minute, second) = rest.split_once(':')?;
        let midnight = Self::from_utc_date(number(year, 4)?, number(month, 2)?, number(day, 2)?)?;
        let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
        // 60 is a leap second.
        let is_time = hour < 24 && minute < 60 && second <= 60;
        let seconds = midnight.unix_seconds() + hour * 3600 + minute * 60 + second;
        is_time.then(|| Self::from_unix_seconds(seconds))
    }

    /// As [`Timestamp::from_utc_date_time`] reads it, to the second.
    #[must_use]
    pub fn to_utc_date_time(self) -> String {
        let (days, second) =
            (self.unix_seconds().div_euclid(86_400), self.unix_seconds().rem_euclid(86_400));
        // Eras of 400 years that begin in March, as above.
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = 400 * era + year + next;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: the NumericDate of RFC 7519.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `span` more; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This moment less `span`; saturates.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long `earlier` is ago; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// So many digits, and nothing else.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = (1..=18).contains(&digits)
        && text.len() == digits
        && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_it_is_read() {
        for day in 0..60_000 {
            let moment = Timestamp::from_unix_seconds(day * 86_400 + day);
            let text = moment.to_utc_date_time();
            assert_eq!(Timestamp::from_utc_date_time(&text), Some(moment), "{text}");
        }
        let moment = Timestamp::from_unix_millis(1_709_210_096_999);
        assert_eq!(moment.to_utc_date_time(), "2024-02-29T12:34:56Z");
        // Outside of any real date it is still something.
        assert!(!Timestamp::from_unix_seconds(i64::MIN).to_utc_date_time().is_empty());
        assert!(!Timestamp::from_unix_seconds(i64::MAX).to_utc_date_time().is_empty());
    }

    #[test]
    fn a_moment_is_read_from_its_date_and_time() {
        let read = |text: &str| Timestamp::from_utc_date_time(text).map(Timestamp::unix_seconds);
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2024-02-29T12:34:56Z"), Some(1_709_210_096));
        assert_eq!(read("2026-03-02T08:15:30.1234567Z"), Some(1_772_439_330));
        for other in [
            "",
            "2026-03-02",
            "2026-03-02T08:15:30",
            "2026-03-02T08:15:30+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-03-02T24:00:00Z",
            "2026-03-02T08:15Z",
            "2026-3-02T08:15:30Z",
            "2026-03-02T08:15:30.Z",
            "2026-03-02T08:15:+1Z",
            "20260-03-02T08:15:30Z",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
