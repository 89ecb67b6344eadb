//! Money that a payer's bank disputes, or took back.
//!
//! Knows what the PSP showed; what follows from it is decided elsewhere.

use super::{DisputeState, Payment};
use crate::core::money::{Currency, Money, MoneyError};

impl Payment {
    /// True while any dispute is open, or the PSP says so without naming one.
    pub fn has_open_dispute(&self) -> bool {
        let named_open = self
            .disputes
            .values()
            .any(|dispute| dispute.state == DisputeState::Open);
        let bare = self
            .is_disputed
            .as_ref()
            .is_some_and(|stamped| stamped.value);
        named_open || (bare && self.disputes.is_empty())
    }

    /// Taken back through disputes that were lost.
    pub fn charged_back(&self) -> Result<Money, MoneyError> {
        let currency = match self.captured() {
            Some(money) => money.currency(),
            None => return Ok(Money::zero(Currency::EUR)),
        };
        let lost = self
            .disputes
            .values()
            .filter(|dispute| dispute.state == DisputeState::Lost);
        lost.map(|dispute| dispute.amount)
            .try_fold(Money::zero(currency), Money::plus)
    }
}
