//! How hard the intake is pressed: one figure that its writer sets and background work looks at.
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

/// The figure; clones share it.
#[derive(Clone, Debug)]
pub struct Pressure(Arc<AtomicI64>);

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl Pressure {
    /// A transaction with so many deliveries was written, of which the last arrived at this moment.
    pub fn written(&self, rows: usize, at: Time) {
        if rows >= PRESSED_ROWS_MIN {
            self.0.store(at.micros(), Ordering::Relaxed);
        }
    }

    /// Is the intake pressed?
    pub fn is_high(&self, now: Time) -> bool {
        let pressed = Time::from_micros(self.0.load(Ordering::Relaxed));
        now.since(pressed) < PRESSED_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_transactions_press_for_a_moment_and_small_ones_never() {
        let (pressure, at) = (Pressure::default(), Time::from_seconds(1_000));
        assert!(!pressure.is_high(at));
        pressure.written(PRESSED_ROWS_MIN - 1, at);
        assert!(!pressure.is_high(at));
        pressure.written(PRESSED_ROWS_MIN, at);
        assert!(pressure.is_high(at));
        assert!(!pressure.is_high(at.plus(PRESSED_FOR)));
    }
}
