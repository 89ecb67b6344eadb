//! How much goes into one batch of the engine: as many as there are when nobody waits, and what takes
//! a moment while the intake writes, which waits as long as the batch takes.
//!
//! Learns from the last batch what an input takes. Knows no store and no clock.

use crate::core::time::Span;
use crate::engine::BATCH_INPUTS_MAX;

/// A batch is to take no longer while the intake is pressed.
const PRESSED_BATCH: Span = Span::from_millis(8);
/// The same while the intake writes and is not pressed.
const SHARED_BATCH: Span = Span::from_millis(16);
/// Inputs in a batch, however long they take: what a batch costs by itself must not be all that
/// it costs.
const BATCH_INPUTS_MIN: usize = 16;

/// What the intake does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    Resting,
    Writing,
    Pressed,
}

/// What an input took lately.
#[derive(Debug, Default)]
pub(super) struct Portion {
    each: Span,
}

impl Portion {
    /// How many inputs the next batch may have.
    pub(super) fn next(&self, intake: Intake) -> usize {
        let may_take = match intake {
            Intake::Resting => return BATCH_INPUTS_MAX,
            Intake::Writing => SHARED_BATCH,
            Intake::Pressed => PRESSED_BATCH,
        };
        let fitting = may_take.micros().checked_div(self.each.micros());
        let fitting = fitting.and_then(|fitting| usize::try_from(fitting).ok());
        fitting
            .unwrap_or(BATCH_INPUTS_MAX)
            .clamp(BATCH_INPUTS_MIN, BATCH_INPUTS_MAX)
    }

    /// A batch of so many inputs took so long.
    pub(super) fn took(&mut self, inputs: usize, span: Span) {
        let inputs = u64::try_from(inputs).unwrap_or(u64::MAX);
        if let Some(each) = span.micros().checked_div(inputs) {
            self.each = Span::from_micros(each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_long_as_whoever_waits_for_it_can_bear() {
        let mut portion = Portion::default();
        assert_eq!(portion.next(Intake::Pressed), BATCH_INPUTS_MAX);
        portion.took(100, Span::from_millis(20));
        let each = Span::from_millis(20).micros() / 100;
        let fitting = |span: Span| usize::try_from(span.micros() / each).unwrap();
        assert_eq!(portion.next(Intake::Pressed), fitting(PRESSED_BATCH));
        assert_eq!(portion.next(Intake::Writing), fitting(SHARED_BATCH));
        assert_eq!(portion.next(Intake::Resting), BATCH_INPUTS_MAX);
    }

    #[test]
    fn a_batch_is_never_so_small_that_it_is_all_overhead() {
        let mut portion = Portion::default();
        portion.took(1, Span::from_seconds(1));
        assert_eq!(portion.next(Intake::Pressed), BATCH_INPUTS_MIN);
        portion.took(0, Span::from_seconds(1));
        assert_eq!(portion.next(Intake::Writing), BATCH_INPUTS_MIN);
    }
}
