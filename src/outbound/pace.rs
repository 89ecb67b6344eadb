//! How fast a destination may be called: a number of calls at once, a number per second, and a
//! pause when it asks for one.
//!
//! Pure over moments: no clock, no network, no destination. What has no room now stays due.

use crate::core::time::{Span, Time};

/// The longest pause that a destination's own word can impose on all calls to it; single
/// actions may be put off for longer.
pub const HOLD_MAX: Span = Span::from_minutes(5);

/// One call, in the millionths in which the bucket is counted, so that a rate per second is a
/// rate of whole millionths per microsecond.
const ONE: u64 = 1_000_000;

/// The limits of one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceLimits {
    /// Calls under way at once; at least 1.
    pub at_once_max: u32,
    /// Calls started per second, on average; at least 1.
    pub per_second: u32,
    /// Calls that may start together after a quiet time; at least 1.
    pub burst: u32,
}

impl PaceLimits {
    /// For a PSP: 25 per second is the lowest limit among the documented ones (Stripe's sandbox,
    /// and its live limit per endpoint).
    pub const PSP: PaceLimits = PaceLimits {
        at_once_max: 16,
        per_second: 25,
        burst: 25,
    };
    /// For a shop: a small shop runs a handful of PHP workers and must keep serving customers.
    pub const SHOP: PaceLimits = PaceLimits {
        at_once_max: 8,
        per_second: 50,
        burst: 50,
    };

    fn at_least_one(self) -> PaceLimits {
        PaceLimits {
            at_once_max: self.at_once_max.max(1),
            per_second: self.per_second.max(1),
            burst: self.burst.max(1),
        }
    }

    fn full(self) -> u64 {
        u64::from(self.burst).saturating_mul(ONE)
    }
}

/// The pace of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    limits: PaceLimits,
    under_way: u32,
    tokens: u64,
    filled_at: Time,
    held_until: Option<Time>,
}

impl Pace {
    /// Nothing under way, and a full burst to spend.
    pub fn new(limits: PaceLimits, now: Time) -> Pace {
        let limits = limits.at_least_one();
        Pace {
            limits,
            under_way: 0,
            tokens: limits.full(),
            filled_at: now,
            held_until: None,
        }
    }

    /// Other limits from now on; calls under way stay counted.
    pub fn set_limits(&mut self, limits: PaceLimits) {
        self.limits = limits.at_least_one();
        self.tokens = self.tokens.min(self.limits.full());
    }

    /// How many calls may start now.
    pub fn room(&mut self, now: Time) -> u32 {
        self.fill(now);
        if self.held_until.is_some() {
            return 0;
        }
        let free = self.limits.at_once_max.saturating_sub(self.under_way);
        let tokens = self.tokens.checked_div(ONE).unwrap_or(0);
        free.min(u32::try_from(tokens).unwrap_or(u32::MAX))
    }

    /// When there may be room again, should there be none now; none when only the end of a call
    /// under way can make room.
    pub fn opens_at(&mut self, now: Time) -> Option<Time> {
        self.fill(now);
        if self.under_way >= self.limits.at_once_max {
            return None;
        }
        let missing = ONE.saturating_sub(self.tokens);
        let rate = u64::from(self.limits.per_second);
        let micros = missing.div_ceil(rate);
        let filled = now.plus(Span::from_micros(micros));
        Some(self.held_until.map_or(filled, |held| held.max(filled)))
    }

    /// A call starts.
    pub fn start(&mut self, now: Time) {
        self.fill(now);
        self.under_way = self.under_way.saturating_add(1);
        self.tokens = self.tokens.saturating_sub(ONE);
    }

    /// A call ended.
    pub fn finish(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The destination asked for patience: no call starts for this long, at most `HOLD_MAX`.
    pub fn hold(&mut self, now: Time, wait: Span) {
        let until = now.plus(wait.min(HOLD_MAX));
        self.held_until = self.held_until.max(Some(until));
    }

    /// Brings the bucket up to `now`. A clock that was set back adds nothing and holds nothing
    /// up: the bucket goes on from the new time.
    fn fill(&mut self, now: Time) {
        let rate = u64::from(self.limits.per_second);
        let gained = now.since(self.filled_at).micros().saturating_mul(rate);
        self.tokens = self.tokens.saturating_add(gained).min(self.limits.full());
        self.filled_at = now;
        let is_held = |until: &Time| *until > now && until.since(now) <= HOLD_MAX;
        self.held_until = self.held_until.filter(is_held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_seconds(1_000_000).plus(Span::from_millis(ms))
    }

    fn pace(at_once_max: u32, per_second: u32, burst: u32) -> Pace {
        let limits = PaceLimits {
            at_once_max,
            per_second,
            burst,
        };
        Pace::new(limits, at(0))
    }

    #[test]
    fn no_more_calls_at_once_than_allowed() {
        let mut pace = pace(2, 1_000, 1_000);
        for expected in [2, 1, 0] {
            assert_eq!(pace.room(at(0)), expected);
            pace.start(at(0));
        }
        assert_eq!(pace.opens_at(at(0)), None);
        pace.finish();
        pace.finish();
        assert_eq!(pace.room(at(0)), 1);
        pace.finish();
        pace.finish();
        assert_eq!(pace.room(at(0)), 2, "an end too many makes no extra room");
    }

    #[test]
    fn the_bucket_lets_a_burst_pass_and_then_the_rate() {
        let mut pace = pace(100, 25, 5);
        let start = |pace: &mut Pace, ms| {
            let room = pace.room(at(ms));
            for _ in 0..room {
                pace.start(at(ms));
                pace.finish();
            }
            room
        };
        for (ms, expected) in [
            (0, 5),
            (0, 0),
            (39, 0),
            (40, 1),
            (79, 0),
            (80, 1),
            (200, 3),
            (60_000, 5),
            (60_000, 0),
        ] {
            assert_eq!(start(&mut pace, ms), expected, "at {ms}");
        }
        assert_eq!(pace.opens_at(at(60_010)), Some(at(60_040)));
    }

    #[test]
    fn over_an_hour_no_more_calls_start_than_rate_and_burst_allow() {
        let mut pace = pace(1_000, 7, 3);
        let mut started = 0_u32;
        for ms in (0..3_600_000).step_by(13) {
            for _ in 0..pace.room(at(ms)) {
                pace.start(at(ms));
                pace.finish();
                started = started.saturating_add(1);
            }
        }
        assert!(
            (7 * 3_600 - 7..=7 * 3_600 + 3).contains(&started),
            "{started}"
        );
    }

    #[test]
    fn a_destination_that_asks_for_patience_is_left_alone_within_bounds() {
        for (wait, free_at) in [
            (Span::from_seconds(2), 2_000),
            (Span::from_days(9), 300_000),
        ] {
            let mut pace = pace(4, 25, 25);
            pace.hold(at(0), wait);
            pace.hold(at(0), Span::from_millis(10));
            assert_eq!(pace.room(at(free_at - 1)), 0);
            assert_eq!(pace.opens_at(at(0)), Some(at(free_at)));
            assert_eq!(pace.room(at(free_at)), 4);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_neither_stops_nor_floods() {
        let mut pace = pace(100, 10, 1);
        pace.start(at(7_200_000));
        pace.hold(at(7_200_000), Span::from_minutes(1));
        assert_eq!(pace.room(at(0)), 0);
        assert_eq!(pace.room(at(100)), 1);
    }

    #[test]
    fn limits_of_zero_count_as_one_and_can_be_changed_while_running() {
        let mut pace = pace(0, 0, 0);
        assert_eq!(pace.room(at(0)), 1);
        pace.start(at(0));
        pace.set_limits(PaceLimits::PSP);
        assert_eq!(pace.room(at(40)), 1);
        assert_eq!(pace.room(at(400)), 10);
        assert_eq!(pace.room(at(9_000)), 15);
    }
}
