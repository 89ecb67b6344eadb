//! How hard the intake is pressed: two moments that its writer sets and background work looks at.
//!
//! Acknowledging comes first in a storm; what was acknowledged is durable and can wait a moment.
//! Knows neither of the two.

use crate::core::time::{Span, Time};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Deliveries in one transaction from which on the intake counts as pressed.
pub const PRESSED_ROWS_MIN: usize = 8;
/// How long one such transaction counts, from the arrival of its last delivery.
pub const PRESSED_FOR: Span = Span::from_millis(250);

/// The moments; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<Moments>);

#[derive(Debug)]
struct Moments {
    written: AtomicI64,
    pressed: AtomicI64,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments {
            written: AtomicI64::new(i64::MIN),
            pressed: AtomicI64::new(i64::MIN),
        }
    }
}

impl Pressure {
    /// A transaction with so many deliveries was written, of which the last arrived at this moment.
    pub fn written(&self, rows: usize, at: Time) {
        self.0.written.store(at.micros(), Ordering::Relaxed);
        if rows >= PRESSED_ROWS_MIN {
            self.0.pressed.store(at.micros(), Ordering::Relaxed);
        }
    }

    /// Did the intake write a moment ago, pressed or not?
    pub fn is_felt(&self, now: Time) -> bool {
        is_recent(&self.0.written, now)
    }

    /// Is the intake pressed?
    pub fn is_high(&self, now: Time) -> bool {
        is_recent(&self.0.pressed, now)
    }
}

fn is_recent(moment: &AtomicI64, now: Time) -> bool {
    let moment = Time::from_micros(moment.load(Ordering::Relaxed));
    now.since(moment) < PRESSED_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_transactions_press_for_a_moment_and_small_ones_never() {
        let (pressure, at) = (Pressure::default(), Time::from_seconds(1_000));
        assert!(!pressure.is_high(at) && !pressure.is_felt(at));
        pressure.written(PRESSED_ROWS_MIN - 1, at);
        assert!(!pressure.is_high(at) && pressure.is_felt(at));
        pressure.written(PRESSED_ROWS_MIN, at);
        assert!(pressure.is_high(at));
        assert!(!pressure.is_high(at.plus(PRESSED_FOR)));
        assert!(!pressure.is_felt(at.plus(PRESSED_FOR)));
    }
}
