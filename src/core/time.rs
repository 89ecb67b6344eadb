//! Moments and spans as plain numbers: Unix microseconds in UTC, and microseconds of length.
//!
//! There is no clock here: `now` is always an argument. Arithmetic saturates, since a moment
//! at the edge of time is a deadline that never comes, not a reason to stop.

use serde::{Deserialize, Serialize};

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(i64);

/// A length of time in microseconds, never negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(u64);

impl Time {
    /// The moment so many microseconds after the Unix epoch.
    pub fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// The moment so many whole seconds after the Unix epoch.
    pub fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment a span later.
    pub fn plus(self, span: Span) -> Time {
        Time(self.0.saturating_add_unsigned(span.0))
    }

    /// The moment a span earlier.
    pub fn minus(self, span: Span) -> Time {
        Time(self.0.saturating_sub_unsigned(span.0))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Time) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// So many microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(micros)
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(millis.saturating_mul(1_000))
    }

    /// So many seconds.
    pub const fn from_seconds(seconds: u64) -> Span {
        Span(seconds.saturating_mul(1_000_000))
    }

    /// So many minutes.
    pub const fn from_minutes(minutes: u64) -> Span {
        Span::from_seconds(minutes.saturating_mul(60))
    }

    /// So many hours.
    pub const fn from_hours(hours: u64) -> Span {
        Span::from_minutes(hours.saturating_mul(60))
    }

    /// So many days of 24 hours.
    pub const fn from_days(days: u64) -> Span {
        Span::from_hours(days.saturating_mul(24))
    }

    /// Microseconds.
    pub fn micros(self) -> u64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub fn seconds(self) -> u64 {
        self.0.checked_div(1_000_000).unwrap_or(0)
    }

    /// Both lengths together.
    pub fn plus(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let last = Time::from_micros(i64::MAX);
        assert_eq!(last.plus(Span::from_days(1)), last);
        assert_eq!(
            Time::from_micros(i64::MIN)
                .minus(Span::from_days(1))
                .micros(),
            i64::MIN
        );
        assert_eq!(
            Time::from_seconds(5).since(Time::from_seconds(9)),
            Span::ZERO
        );
        assert_eq!(
            Time::from_seconds(9).since(Time::from_seconds(5)),
            Span::from_seconds(4)
        );
        assert_eq!(Time::from_micros(-1).seconds(), -1);
    }
}
