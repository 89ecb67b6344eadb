//! What a dispatcher asks about one destination: how many calls may start now. Breaker and pace
//! together.
//!
//! Pure over moments and replies: no clock, no network, no destination.

use super::breaker::{self, Breaker};
use super::pace::{Pace, PaceLimits};
use crate::core::time::{Span, Time};
use crate::wire::Reply;

/// The gate of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    breaker: Breaker,
    pace: Pace,
}

impl Gate {
    /// An open gate.
    pub fn new(limits: PaceLimits, now: Time) -> Gate {
        Gate {
            breaker: Breaker::new(),
            pace: Pace::new(limits, now),
        }
    }

    /// Other limits from now on, after a reload.
    pub fn set_limits(&mut self, limits: PaceLimits) {
        self.pace.set_limits(limits);
    }

    /// How many calls may start now.
    pub fn room(&mut self, now: Time) -> u32 {
        self.breaker.room(now).min(self.pace.room(now))
    }

    /// When there may be room again, should there be none now; none when only the end of a call
    /// under way can make room.
    pub fn opens_at(&mut self, now: Time) -> Option<Time> {
        let paced = self.pace.opens_at(now)?;
        Some(self.breaker.opens_at().map_or(paced, |at| at.max(paced)))
    }

    /// A call starts.
    pub fn start(&mut self, now: Time) {
        self.breaker.start(now);
        self.pace.start(now);
    }

    /// A call ended; `is_alive` when the destination answered sensibly.
    pub fn record(&mut self, now: Time, is_alive: bool) {
        self.breaker.record(now, is_alive);
        self.pace.finish();
    }

    /// A call that started was not made after all: it gives its place back and says nothing of
    /// the destination.
    pub fn withdraw(&mut self, now: Time) {
        self.breaker.withdraw(now);
        self.pace.finish();
    }

    /// A call ended with this reply.
    pub fn record_reply(&mut self, now: Time, reply: &Reply) {
        self.record(now, breaker::is_alive(reply));
    }

    /// True while calls are held back because the destination fails.
    pub fn is_broken(&self) -> bool {
        self.breaker.opens_at().is_some()
    }

    /// The destination asked for patience with all calls.
    pub fn hold(&mut self, now: Time, wait: Span) {
        self.pace.hold(now, wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Span;
    use crate::wire::CallError;

    #[test]
    fn a_withdrawn_call_neither_closes_a_broken_gate_nor_keeps_its_place() {
        let now = Time::from_seconds(1_000_000);
        let mut gate = Gate::new(PaceLimits::SHOP, now);
        for _ in 0..crate::outbound::breaker::FAILURES_MAX {
            gate.start(now);
            gate.record(now, false);
        }
        assert!(gate.is_broken());
        let later = now.plus(Span::from_minutes(1));
        assert_eq!(gate.room(later), 1);
        gate.start(later);
        assert_eq!(gate.room(later), 0, "one call tries");
        gate.withdraw(later);
        assert!(gate.is_broken());
        assert_eq!(gate.room(later), 1, "the next one may try");
    }

    #[test]
    fn the_narrower_of_breaker_and_pace_decides() {
        let now = Time::from_seconds(1_000_000);
        let later = |ms| now.plus(Span::from_millis(ms));
        let mut gate = Gate::new(PaceLimits::SHOP, now);
        assert_eq!((gate.room(now), gate.is_broken()), (8, false));
        for _ in 0..5 {
            gate.start(now);
            gate.record_reply(now, &Err(CallError::Unclear("timeout")));
        }
        assert_eq!((gate.room(now), gate.is_broken()), (0, true));
        assert_eq!(gate.opens_at(now), Some(later(1_000)));
        assert_eq!(gate.room(later(1_000)), 1);
        gate.start(later(1_000));
        assert_eq!(gate.room(later(1_500)), 0);
        gate.record(later(1_500), true);
        assert_eq!((gate.room(later(1_500)), gate.is_broken()), (8, false));
        gate.hold(later(1_500), Span::from_seconds(3));
        assert_eq!(gate.room(later(1_600)), 0);
        assert_eq!(gate.opens_at(later(1_600)), Some(later(4_500)));
        assert_eq!(gate.room(later(4_500)), 8);
    }

    #[test]
    fn when_all_places_are_taken_only_the_end_of_a_call_makes_room() {
        let now = Time::from_seconds(1_000_000);
        let mut gate = Gate::new(PaceLimits::SHOP, now);
        for _ in 0..8 {
            gate.start(now);
        }
        assert_eq!((gate.room(now), gate.opens_at(now)), (0, None));
        gate.set_limits(PaceLimits::PSP);
        assert_eq!(gate.room(now), 8);
        gate.record(now, true);
        assert_eq!(gate.room(now), 9);
    }
}
