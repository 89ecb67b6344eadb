//! The closing of a day: once a UTC day has closed, its statement goes to the log.
//!
//! One line per shop and currency, and one per checkout that does not add up. Reads the store and
//! changes nothing.

use super::{Next, STORE_PAUSE, Worker};
use crate::audit::day::Day;
use crate::audit::statement::{self, DayStatement, Line};
use crate::clock::Clock;
use crate::store::Store;
use std::sync::Arc;

/// Says each day's statement once after the day has closed, and the last one at the start.
pub struct Closing {
    /// The store.
    store: Arc<dyn Store>,
    /// The time.
    clock: Clock,
    /// The last day that was said.
    said: Option<Day>,
}

impl Closing {
    /// A worker that has said nothing yet.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Closing {
        Closing {
            store,
            clock,
            said: None,
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
        match statement::of_day(self.store.as_ref(), day, None, now).await {
            Ok(made) => {
                say(&made);
                self.said = Some(day);
                Next::Again
            }
            Err(error) => {
                tracing::warn!(
                    code = error.code(), %error, %day, "the day's statement could not be made; trying again"
                );
                Next::Pause(STORE_PAUSE)
            }
        }
    }
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
    use crate::core::time::Span;
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
        let mut closing = Closing::new(store, clock.clone());
        assert_eq!(closing.step().await, Next::Again);
        assert_eq!(
            closing.step().await,
            Next::Rest(Some(first.next().closes()))
        );
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
        let mut steps = 0;
        while closing.step().await == Next::Again {
            steps += 1;
        }
        assert_eq!(steps, 2);
        assert_eq!(
            said().matches("the day has closed").count(),
            3,
            "{}",
            said()
        );
        assert!(!said().contains("ERROR"), "{}", said());
    }
}
