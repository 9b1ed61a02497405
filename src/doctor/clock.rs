//! This machine's clock against the provider's, by the `Date` of its answer. Tokens are only
//! believed within a leeway (OIDC-09), and assertions of ours last minutes.

use http::header::DATE;

use super::{Check, Finding};
use crate::gate::Timestamp;
use crate::outgoing::Looked;

/// Seconds from which on it is worth a look: the usual leeway.
const WORTH_A_LOOK: u64 = 60;
/// Seconds beyond which nobody can sign in: the most that `clock_skew` may allow.
const TOO_MUCH: u64 = 300;

/// What the answer's date says of our clock, which says `now`.
pub(super) fn compare(provider: &str, looked: &Looked, now: Timestamp) -> Finding {
    let written = looked.headers.get(DATE).and_then(|date| date.to_str().ok());
    let Some(there) = written.and_then(read) else {
        return Finding::skipped(Check::Clock, provider, "the provider's answer has no date");
    };
    let ahead = now.unix_seconds().saturating_sub(there.unix_seconds());
    let by = ahead.unsigned_abs();
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    let told = format!("this machine's clock is {by} s {which} the provider's");
    let fix = "let the system keep the time (chrony or systemd-timesyncd; `timedatectl` says how \
               it is)";
    match by {
        by if by <= WORTH_A_LOOK => {
            Finding::ok(Check::Clock, provider, "this machine's clock agrees with the provider's")
        }
        by if by <= TOO_MUCH => Finding::warning(Check::Clock, provider, told).fix(fix),
        _ => Finding::error(Check::Clock, provider, format!("{told}: tokens are refused")).fix(fix),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: the one form that is sent (RFC 9110, section 5.6.7).
fn read(date: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = date.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|known| *known == month)?.checked_add(1)?;
    let is_whole = zone == "GMT" && parts.next().is_none();
    let text = format!("{year}-{month:02}-{day}T{time}Z");
    is_whole.then(|| Timestamp::from_utc_date_time(&text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_its_one_form() {
        let read = |text| super::read(text).map(Timestamp::unix_seconds);
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(read("Thu, 29 Feb 2024 12:34:56 GMT"), Some(1_709_210_096));
        for other in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 2024 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT more",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_minute_is_nothing_and_five_are_too_much() {
        let status = |ours: i64| {
            let headers = [(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap())];
            let looked = Looked {
                status: http::StatusCode::OK,
                headers: headers.into_iter().collect(),
                body: bytes::Bytes::new(),
            };
            let now = Timestamp::from_unix_seconds(784_111_777 + ours);
            compare("corporate", &looked, now).status.name()
        };
        for (ours, expected) in [
            (0, "ok"),
            (60, "ok"),
            (-60, "ok"),
            (61, "warning"),
            (-300, "warning"),
            (301, "error"),
            (-301, "error"),
            (i64::from(i32::MAX), "error"),
        ] {
            assert_eq!(status(ours), expected, "{ours}");
        }
    }
}
