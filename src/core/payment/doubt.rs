//! When a PSP says two things of one payment: paid first, and not paid later.
//!
//! Knows what was said and when. That a read of ours decides is said here; what follows from its
//! answer is decided elsewhere.

use super::{Payment, Progress};
use crate::core::time::Time;

impl Payment {
    /// Since when it is in doubt whether the money that was taken is still there: the PSP said
    /// later that the payment is not paid, and no read of ours since then spoke of its money. A
    /// failure that comes late may belong to an earlier attempt, or be the truth.
    pub fn doubted_since(&self) -> Option<Time> {
        let since = self.contradicted_at()?;
        let is_read = self.shows_money.as_ref().map(|read| read.as_of) >= Some(since);
        (!is_read).then_some(since)
    }

    /// True when a read of ours confirmed what the PSP said later: there is no money.
    pub fn is_money_denied(&self) -> bool {
        let read = self.shows_money.as_ref();
        let is_denied = read.is_some_and(|read| !read.value);
        is_denied && self.contradicted_at().is_some() && self.doubted_since().is_none()
    }

    /// When the PSP said "not paid" of a payment of which it had said that money was taken.
    fn contradicted_at(&self) -> Option<Time> {
        if self.captured.is_empty() {
            return None;
        }
        let unpaid = self.progress.as_ref().filter(|said| match said.value {
            Progress::Waiting | Progress::InFlight | Progress::Dead => true,
            Progress::Authorised | Progress::Taken => false,
        });
        let said_at = unpaid.map(|said| said.as_of).max(self.died_at)?;
        // What was read before the money came contradicts nothing.
        Some(said_at).max(self.first_money_at)
    }
}
