//! The closing of a day: once a UTC day has closed, its statement goes to the log.
//!
//! One line per shop and currency, and one per checkout that does not add up. Reads the store and
//! changes nothing. Nobody waits for it: after each few checkouts it rests, so that a day with a million
//! payments takes its time and nobody else's.

use super::{Next, STORE_PAUSE, Worker, duration};
use crate::audit::day::Day;
use crate::audit::statement::{DayStatement, Line, Making};
use crate::clock::Clock;
use crate::core::time::{Span, Time};
use crate::pressure::Pressure;
use crate::store::Store;
use std::sync::Arc;

/// After each look it rests this many times as long as the look took.
const REST_SHARE: u64 = 3;
/// The same while the intake writes.
const REST_SHARE_BESIDE_INTAKE: u64 = 15;
/// The longest rest: a clock that was set ahead during a look says nothing about the look.
const REST_MAX: Span = Span::from_seconds(5);

/// Says each day's statement once after the day has closed, and the last one at the start.
pub struct Closing {
    /// The store.
    store: Arc<dyn Store>,
    /// The time.
    clock: Clock,
    /// Whether the intake writes.
    pressure: Pressure,
    /// The last day that was said.
    said: Option<Day>,
    /// The day that is being made.
    making: Option<Making>,
}

impl Closing {
    /// A worker that has said nothing yet.
    pub fn new(store: Arc<dyn Store>, clock: Clock, pressure: Pressure) -> Closing {
        Closing {
            store,
            clock,
            pressure,
            said: None,
            making: None,
        }
    }
}

impl Worker for Closing {
    async fn step(&mut self) -> Next {
        let now = self.clock.now();
        let last = Day::last_closed(now);
        // The first day that was not said; a clock that jumped far ahead is followed day by day.
        let day = match self.said {
            Some(said) if said >= last => return Next::Rest(Some(last.next().closes())),
            Some(said) => said.next(),
            None => last,
        };
        let mut making = self.making.take().unwrap_or_else(|| Making::new(day));
        let day = making.day();
        match making.step(self.store.as_ref(), None).await {
            Ok(true) => {
                self.making = Some(making);
                let ended = self.clock.now();
                Next::Pause(duration(rest(ended.since(now), &self.pressure, ended)))
            }
            Ok(false) => {
                say(&making.ended(self.clock.now()));
                self.said = Some(day);
                Next::Again
            }
            Err(error) => {
                self.making = Some(making);
                tracing::warn!(
                    code = error.code(), %error, %day, "the day's statement could not be made; trying again"
                );
                Next::Pause(STORE_PAUSE)
            }
        }
    }
}

/// How long to rest after a look that took so long.
fn rest(took: Span, pressure: &Pressure, now: Time) -> Span {
    let share = match pressure.is_felt(now) {
        true => REST_SHARE_BESIDE_INTAKE,
        false => REST_SHARE,
    };
    Span::from_micros(took.micros().saturating_mul(share)).min(REST_MAX)
}

fn say(made: &DayStatement) {
    for line in &made.statements {
        say_line(made.day, line);
    }
    for one in &made.differences {
        tracing::error!(
            day = %made.day, checkout.id = %one.checkout, shop = %one.shop, why = one.why,
            "the books do not add up"
        );
    }
}

fn say_line(day: Day, line: &Line) {
    tracing::info!(
        %day,
        shop = %line.shop,
        currency = %line.currency,
        opening_suspense = line.opening_suspense.value(),
        captured = line.captured.value(),
        settled = line.settled.value(),
        refunded = line.refunded.value(),
        charged_back = line.charged_back.value(),
        unexplained = line.unexplained.value(),
        closing_suspense = line.closing_suspense.value(),
        foreign = line.foreign.value(),
        "the day has closed"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::sample::{captured, eur, minute, policy, seen, write};
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_day_is_said_once_after_it_has_closed_however_far_the_clock_jumps() {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || written.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let store = Arc::new(MemoryStore::new());
        let paid = [(
            minute(5),
            vec![seen(captured("pi_1", eur(5_995), minute(5)))],
        )];
        write(&store, "c1", None, &paid, &policy()).await;
        let first = Day::of(minute(0));
        let clock = Clock::manual(first.closes());
        let mut closing = Closing::new(store, clock.clone(), Pressure::default());
        let until_it_rests = async |closing: &mut Closing| loop {
            if let Next::Rest(until) = closing.step().await {
                return until;
            }
        };
        let rested = until_it_rests(&mut closing).await;
        assert_eq!(rested, Some(first.next().closes()));
        let said = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            said().matches("the day has closed").count(),
            1,
            "{}",
            said()
        );
        assert!(said().contains(&format!("day={first}")), "{}", said());
        assert!(said().contains("captured=\"59.95\""), "{}", said());
        // Two days later both days that closed meanwhile are said, each once.
        clock.set(first.next().closes().plus(Span::from_hours(24)));
        until_it_rests(&mut closing).await;
        assert_eq!(
            said().matches("the day has closed").count(),
            3,
            "{}",
            said()
        );
        assert!(!said().contains("ERROR"), "{}", said());
    }

    #[tokio::test]
    async fn a_large_day_is_made_in_many_looks_with_rests_between() {
        let store = Arc::new(MemoryStore::new());
        for number in 0..200 {
            let payment = captured(&format!("pi_{number}"), eur(5_995), minute(5));
            let paid = [(minute(5), vec![seen(payment)])];
            write(&store, &format!("c{number:03}"), None, &paid, &policy()).await;
        }
        let clock = Clock::manual(Day::of(minute(0)).closes());
        let mut closing = Closing::new(store, clock.clone(), Pressure::default());
        let mut rests = 0;
        loop {
            match closing.step().await {
                Next::Pause(_) => rests += 1,
                Next::Again => {}
                Next::Rest(_) => break,
            }
        }
        assert_eq!(rests, 4, "of 64 checkouts each");
    }

    #[test]
    fn it_rests_longer_than_it_works_and_the_longer_while_the_intake_writes() {
        let now = Time::from_seconds(1_000);
        let pressure = Pressure::default();
        let took = Span::from_millis(10);
        assert_eq!(rest(took, &pressure, now), Span::from_millis(30));
        pressure.written(1, now);
        assert_eq!(rest(took, &pressure, now), Span::from_millis(150));
        // The machine slept, or its clock was set, in the middle of a look.
        assert_eq!(rest(Span::from_hours(8), &pressure, now), REST_MAX);
    }
}
