//! A circuit breaker: stops calling a destination that keeps failing, and tries it again with
//! single calls at growing distances.
//!
//! Pure over moments and outcomes: no clock, no network, no destination. It never decides what
//! becomes of an action; what it does not let through now stays due.

use crate::core::time::{Span, Time};
use crate::wire::{CallError, Reply};

/// Failures in a row that open the breaker. One poisonous order that is retried among others
/// does not reach it; a destination that is down reaches it at once.
pub const FAILURES_MAX: u32 = 5;
/// The first pause.
pub const PAUSE_MIN: Span = Span::from_seconds(1);
/// The longest pause, and so the longest time a recovered destination goes unnoticed.
pub const PAUSE_MAX: Span = Span::from_seconds(60);
/// After this long a trial call that never reported back is given up. Longer than any call may
/// take.
pub const TRIAL_MAX: Span = Span::from_minutes(2);

/// The breaker of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls pass; so many have failed in a row.
    Closed { failures: u32 },
    /// Nothing passes until then; after it, one call. So many pauses came before this one.
    Open { until: Time, pauses: u32 },
    /// One call is trying whether the destination is back; it has until then.
    Trying { until: Time, pauses: u32 },
}

impl Default for State {
    fn default() -> State {
        State::Closed { failures: 0 }
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new() -> Breaker {
        Breaker::default()
    }

    /// How many calls may start now: any number, one, or none.
    pub fn room(&self, now: Time) -> u32 {
        match self.opens_at() {
            None => u32::MAX,
            Some(until) if is_over(until, now) => 1,
            Some(_) => 0,
        }
    }

    /// When the next call may start; none when any may start at once.
    pub fn opens_at(&self) -> Option<Time> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until, .. } | State::Trying { until, .. } => Some(until),
        }
    }

    /// A call starts. While the breaker is open, this is the trial.
    pub fn start(&mut self, now: Time) {
        match self.state {
            State::Closed { .. } => {}
            State::Open { pauses, .. } | State::Trying { pauses, .. } => {
                let until = now.plus(TRIAL_MAX);
                self.state = State::Trying { until, pauses };
            }
        }
    }

    /// A call ended: `is_alive` when the destination answered sensibly.
    pub fn record(&mut self, now: Time, is_alive: bool) {
        self.state = match self.state {
            _ if is_alive => State::default(),
            State::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if failures < FAILURES_MAX {
                    State::Closed { failures }
                } else {
                    paused(now, 0)
                }
            }
            // A call from before the pause; it says nothing new.
            State::Open { until, .. } if !is_over(until, now) => self.state,
            State::Open { pauses, .. } | State::Trying { pauses, .. } => paused(now, pauses),
        };
    }

    /// A call that started was not made after all: it says nothing, and the next may try.
    pub fn withdraw(&mut self, now: Time) {
        if let State::Trying { pauses, .. } = self.state {
            self.state = State::Open { until: now, pauses };
        }
    }
}

fn paused(now: Time, pauses: u32) -> State {
    let factor = 1_u64.checked_shl(pauses).unwrap_or(u64::MAX);
    let pause = Span::from_micros(PAUSE_MIN.micros().saturating_mul(factor)).min(PAUSE_MAX);
    State::Open {
        until: now.plus(pause),
        pauses: pauses.saturating_add(1),
    }
}

/// True after `until`, and also when it is further away than any pause: then the clock was set
/// back, and the pause must not grow by that.
fn is_over(until: Time, now: Time) -> bool {
    until <= now || until.since(now) > TRIAL_MAX
}

/// Whether a reply shows a destination that works. A refusal, even of our credentials or of our
/// pace, is a sign of life; a server error or silence is none.
pub fn is_alive(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|response| response.status < 500)
}

/// What the replies of an attempt say of their destination; none when no call was made for want
/// of time, which is our own fault and nobody else's.
pub fn sign_of_life(replies: &[&Reply]) -> Option<bool> {
    let was_made = |reply: &Reply| *reply != Err(CallError::NotSent(super::NO_TIME_LEFT));
    let mut made = replies.iter().filter(|reply| was_made(reply)).peekable();
    made.peek()?;
    Some(made.all(|reply| is_alive(reply)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Headers, Response};

    const ANY: u32 = u32::MAX;

    fn at(ms: u64) -> Time {
        Time::from_seconds(1_000_000).plus(Span::from_millis(ms))
    }

    #[derive(Clone, Copy, Debug)]
    enum Do {
        Start,
        Ok,
        Fail,
        See(u32),
    }
    use Do::{Fail, Ok, See, Start};

    fn play(title: &str, steps: &[(u64, Do)]) {
        let mut breaker = Breaker::new();
        for (n, (ms, step)) in steps.iter().enumerate() {
            match step {
                Start => breaker.start(at(*ms)),
                Ok => breaker.record(at(*ms), true),
                Fail => breaker.record(at(*ms), false),
                See(room) => assert_eq!(breaker.room(at(*ms)), *room, "{title}: step {n} at {ms}"),
            }
        }
    }

    /// What opens a fresh breaker at the moment 0.
    const DOWN: [(u64, Do); 5] = [(0, Fail), (0, Fail), (0, Fail), (0, Fail), (0, Fail)];

    fn play_when_down(title: &str, steps: &[(u64, Do)]) {
        play(title, &[&DOWN, steps].concat());
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row() {
        play("closed lets all pass", &[(0, See(ANY))]);
        play(
            "four failures leave it closed",
            &[(0, Fail), (0, Fail), (0, Fail), (0, Fail), (0, See(ANY))],
        );
        play_when_down(
            "the fifth opens it for a second",
            &[(0, See(0)), (999, See(0)), (1_000, See(1))],
        );
        let with_success: Vec<(u64, Do)> = [Fail, Fail, Fail, Fail, Ok, Fail, Fail, Fail, Fail]
            .map(|step| (0, step))
            .to_vec();
        play(
            "a success in between starts the count anew",
            &[with_success.as_slice(), &[(0, See(ANY))]].concat(),
        );
    }

    #[test]
    fn after_the_pause_one_call_tries() {
        play_when_down(
            "no second one beside it",
            &[
                (1_000, See(1)),
                (1_000, Start),
                (1_000, See(0)),
                (5_000, See(0)),
            ],
        );
        play_when_down(
            "success closes it",
            &[(1_000, Start), (1_100, Ok), (1_100, See(ANY))],
        );
        play_when_down(
            "failure doubles the pause",
            &[
                (1_000, Start),
                (1_100, Fail),
                (3_099, See(0)),
                (3_100, See(1)),
                (3_100, Start),
                (3_200, Fail),
                (7_199, See(0)),
                (7_200, See(1)),
            ],
        );
        play_when_down(
            "a failure after the pause is the trial's, even if its start was not told",
            &[(1_000, Fail), (2_999, See(0)), (3_000, See(1))],
        );
        play_when_down(
            "a trial that is never heard of again is given up",
            &[(1_000, Start), (120_999, See(0)), (121_000, See(1))],
        );
    }

    #[test]
    fn calls_from_before_the_pause_still_count_when_they_succeed() {
        play_when_down(
            "failures do not lengthen the pause",
            &[(500, Fail), (900, Fail), (1_000, See(1))],
        );
        play_when_down("a success ends it", &[(500, Ok), (500, See(ANY))]);
    }

    #[test]
    fn pauses_grow_from_one_second_to_one_minute_and_start_anew_after_a_success() {
        let mut breaker = Breaker::new();
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..FAILURES_MAX {
            breaker.record(now, false);
        }
        for _ in 0..80 {
            let until = breaker.opens_at().unwrap();
            pauses.push(until.since(now).seconds());
            now = until;
            breaker.start(now);
            breaker.record(now, false);
        }
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(pauses[8..].iter().all(|pause| *pause == 60));
        breaker.record(now, true);
        for _ in 0..FAILURES_MAX {
            breaker.record(now, false);
        }
        assert_eq!(breaker.opens_at(), Some(now.plus(PAUSE_MIN)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES_MAX {
            breaker.record(at(0), false);
        }
        assert_eq!(breaker.room(at(0).minus(Span::from_hours(1))), 1);
    }

    #[test]
    fn a_call_that_found_no_time_left_says_nothing_of_its_destination() {
        let none: Reply = Err(CallError::NotSent("no_time_left"));
        let refused: Reply = Err(CallError::NotSent("connection_refused"));
        let good = Reply::Ok(Response {
            status: 200,
            headers: Headers::new(),
            body: Vec::new(),
        });
        assert_eq!(sign_of_life(&[]), None);
        assert_eq!(sign_of_life(&[&none]), None);
        assert_eq!(sign_of_life(&[&good, &none]), Some(true));
        assert_eq!(sign_of_life(&[&refused, &none]), Some(false));
        assert_eq!(sign_of_life(&[&good, &refused]), Some(false));
    }

    #[test]
    fn any_answer_below_500_is_a_sign_of_life() {
        let answered = |status| {
            Reply::Ok(Response {
                status,
                headers: Headers::new(),
                body: Vec::new(),
            })
        };
        for status in [200, 301, 401, 404, 429] {
            assert!(is_alive(&answered(status)), "{status}");
        }
        for status in [500, 502, 503, 504, 599] {
            assert!(!is_alive(&answered(status)), "{status}");
        }
        assert!(!is_alive(&Err(CallError::NotSent("connection_refused"))));
        assert!(!is_alive(&Err(CallError::Unclear("timeout"))));
    }
}
