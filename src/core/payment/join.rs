//! How two pieces of knowledge about a payment, a refund or a dispute become one.
//!
//! Commutative, associative and idempotent, field by field. Knows no source and no clock.

use super::{Dispute, Payment, Refund, parts};
use crate::core::lattice::{Join, join_maps, keep_max, keep_min};

impl Join for Refund {
    fn join(&mut self, other: &Refund) {
        // A refund's amount does not change; should a source say otherwise, the greater one
        // counts, because it leaves less to pay out.
        self.amount = self.amount.max(other.amount);
        self.state = self.state.max(other.state);
        keep_max(&mut self.mark, &other.mark);
        keep_max(&mut self.waits_for_balance, &other.waits_for_balance);
        keep_max(&mut self.may_be_cancelled, &other.may_be_cancelled);
        keep_min(&mut self.failed_at, &other.failed_at);
    }
}

impl Join for Dispute {
    fn join(&mut self, other: &Dispute) {
        self.amount = self.amount.max(other.amount);
        self.state = self.state.max(other.state);
    }
}

impl Join for Payment {
    fn join(&mut self, other: &Payment) {
        keep_min(&mut self.first_seen_at, &other.first_seen_at);
        keep_min(&mut self.first_money_at, &other.first_money_at);
        keep_min(&mut self.money_as_of, &other.money_as_of);
        keep_max(&mut self.read_at, &other.read_at);
        keep_max(&mut self.named_at, &other.named_at);
        keep_max(&mut self.vouched_at, &other.vouched_at);
        keep_max(&mut self.shows_money, &other.shows_money);
        keep_max(&mut self.ownership, &other.ownership);
        keep_max(&mut self.reference, &other.reference);
        keep_min(&mut self.created_at, &other.created_at);
        keep_max(&mut self.method, &other.method);
        keep_max(&mut self.progress, &other.progress);
        keep_min(&mut self.died_at, &other.died_at);
        keep_max(&mut self.requested, &other.requested);
        keep_max(&mut self.authorised, &other.authorised);
        keep_max(&mut self.authorised_until, &other.authorised_until);
        for (currency, minor) in &other.captured {
            let known = self.captured.entry(*currency).or_insert(*minor);
            *known = (*known).max(*minor);
        }
        parts::join(&mut self.captures, &other.captures);
        parts::count(&mut self.captured, &self.captures);
        keep_max(&mut self.refunded, &other.refunded);
        join_maps(&mut self.refunds, &other.refunds);
        keep_max(&mut self.refunds_listed_at, &other.refunds_listed_at);
        join_maps(&mut self.disputes, &other.disputes);
        keep_max(&mut self.is_disputed, &other.is_disputed);
        keep_max(&mut self.is_refundable, &other.is_refundable);
    }
}
