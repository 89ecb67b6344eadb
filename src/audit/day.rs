//! A UTC day of the books: when it begins, when it ends, and when it counts as closed.
//!
//! Knows the calendar and nothing of what is booked.

use crate::core::time::{Span, Time};
use serde::{Serialize, Serializer};
use std::fmt;

/// How long after midnight a day counts as closed: what was decided before midnight may be
/// committed a little after it.
const CLOSING_GRACE: Span = Span::from_minutes(1);
const SECONDS_PER_DAY: i64 = 86_400;

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of a moment.
    pub fn of(at: Time) -> Day {
        Day(at.seconds().div_euclid(SECONDS_PER_DAY))
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        let is_whole = text.len() == "YYYY-MM-DD".len();
        let date: jiff::civil::Date = text.parse().ok().filter(|_| is_whole)?;
        let first = jiff::civil::Date::constant(1970, 1, 1);
        let days = first.until(date).ok()?.get_days();
        Some(Day(i64::from(days)))
    }

    /// The last day that has closed.
    pub fn last_closed(now: Time) -> Day {
        let today = Day::of(now.minus(CLOSING_GRACE));
        Day(today.0.saturating_sub(1))
    }

    /// True once nothing more can be booked on it.
    pub fn is_closed(self, now: Time) -> bool {
        self <= Day::last_closed(now)
    }

    /// Its first moment.
    pub fn begins(self) -> Time {
        Time::from_seconds(self.0.saturating_mul(SECONDS_PER_DAY))
    }

    /// The first moment after it.
    pub fn ends(self) -> Time {
        Day(self.0.saturating_add(1)).begins()
    }

    /// When it counts as closed.
    pub fn closes(self) -> Time {
        self.ends().plus(CLOSING_GRACE)
    }

    /// The day after it.
    pub fn next(self) -> Day {
        Day(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = jiff::Timestamp::from_second(self.begins().seconds());
        let begins = begins.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{}", begins.strftime("%F"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back_and_nonsense_does_not() {
        for text in ["1970-01-01", "2026-11-20", "2024-02-29", "1969-12-31"] {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.to_string(), text);
            assert_eq!(Day::of(day.begins()), day);
            assert_eq!(Day::of(day.ends()), day.next());
        }
        for text in [
            "",
            "2026-11-31",
            "2026-1-2",
            "20261120",
            "2026-11-20T00",
            "yesterday",
            "2026-11-20Z",
        ] {
            assert_eq!(Day::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_day_closes_a_minute_after_midnight() {
        let day = Day::parse("2026-11-20").unwrap();
        let second = Span::from_seconds(1);
        assert_eq!(day.closes().since(day.ends()), CLOSING_GRACE);
        assert!(!day.is_closed(day.closes().minus(second)));
        assert!(day.is_closed(day.closes()));
        assert_eq!(Day::last_closed(day.closes()), day);
        assert_eq!(Day::last_closed(day.closes().minus(second)).next(), day);
    }
}
