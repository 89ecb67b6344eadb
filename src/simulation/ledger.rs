//! What an observer outside noted: who asked whom what and what was heard, and what people did.
//!
//! Written by the world as it happens and read by the judge. Holds nothing of the daemon's own
//! state, only what crossed the wire and what stands in the sandboxes' books.

use super::act::Expects;
use super::network::Slot;
use crate::core::time::{Span, Time};
use crate::sandbox::shop::ShopCall;
use std::collections::{BTreeMap, BTreeSet};

/// What was heard is in the daemon's store so soon that its next call knows it.
const STORED_WITHIN: Span = Span::from_seconds(2);

/// What people and banks did to a customer that no daemon can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Staff refunded at the PSP.
    StaffRefunded,
    /// The payer disputed.
    Disputed,
    /// An accepted refund failed.
    RefundFailed,
    /// The shop took back what it had confirmed.
    CancelledAfterConfirm,
    /// The shop confirmed by itself.
    ConfirmedItself,
    /// The shop confirmed by itself what it had released or cancelled.
    BrokeItsWord,
    /// Staff changed the order's amount.
    Repriced,
    /// The shop forgot what it knew of this order.
    Restored,
    /// An operator ruled.
    Ruled,
    /// An operator settled it outside.
    Settled,
    /// An operator had it confirmed whatever the amounts.
    ConfirmForced,
    /// An operator had the money sent back.
    RefundOrdered,
    /// An operator had money sent back although it was older than all that the daemon still knows.
    ForgottenRefunded,
    /// Asked to release an order, by an operator's word or where no canary is kept, the shop did
    /// not know what it had confirmed.
    Disowned,
    /// The shop said `unknown` of an order that it had confirmed, for a while.
    Denied,
    /// Money of one payment was taken twice; a PSP gives such money back only in parts.
    TakenTwice,
    /// The shop was asked to confirm by a call that arrived after its caller had given up.
    LateConfirm,
}

/// An answer of the shop about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// When it was asked, as it arrived.
    pub at: Time,
    /// What was asked.
    pub via: ShopCall,
    /// The word.
    pub status: String,
    /// The payments that were named in the question.
    pub named: Vec<String>,
    /// When the answer reached its caller unchanged; none when it never did.
    pub heard_at: Option<Time>,
}

/// A confirm that left.
#[derive(Clone)]
pub struct Confirm {
    /// When.
    pub sent_at: Time,
    /// Where its answer goes.
    pub slot: Slot,
}

/// A refund that left, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// When its first request left.
    pub at: Time,
    /// How much.
    pub minor: i64,
    /// True when the payment named no order then, and no order that was told of named it.
    pub is_of_stranger: bool,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable word.
    pub rule: &'static str,
    /// The customer or thing it is about.
    pub about: String,
    /// For people.
    pub detail: String,
    /// When it was found.
    pub at: Time,
}

/// The notes of one run.
#[derive(Default)]
pub struct Ledger {
    /// What the shop said, by order.
    pub said: BTreeMap<String, Vec<Said>>,
    /// Reads of a payment at the PSP that were heard: when they were asked, as they arrived.
    pub reads: BTreeMap<String, Vec<Time>>,
    /// Confirms that left, by order.
    pub confirms: BTreeMap<String, Vec<Confirm>>,
    /// Refunds that left, by key.
    pub leaving: BTreeMap<String, Leaving>,
    /// The keys under which refunds were booked.
    pub booked: BTreeSet<String>,
    /// What was done to whom.
    pub touches: BTreeMap<String, BTreeSet<Touch>>,
    /// Every amount an order ever cost.
    pub amounts: BTreeMap<String, Vec<i64>>,
    /// When an order was cancelled in the shop's books.
    pub cancelled: BTreeMap<String, Time>,
    /// When money was first taken by a payment.
    pub taken: BTreeMap<String, Time>,
    /// Whose payment it is: the reference on it, or that of the order that names it.
    pub owners: BTreeMap<String, String>,
    /// How customers' stories may end.
    pub expects: BTreeMap<String, Expects>,
    /// The greatest epoch of the shop that was heard, from when on.
    pub epochs: Vec<(Time, u64)>,
    /// When a smaller one was heard, until an operator lets refunds go on.
    pub epoch_back_at: Option<Time>,
    /// Payments of the books that name no order, and that no order names that was told of.
    pub strangers: BTreeSet<String>,
    /// Payments that an order names, until its event is acknowledged.
    pub claims: BTreeMap<String, Vec<String>>,
    /// Broken promises, the first first.
    pub failures: Vec<Failure>,
}

impl Ledger {
    /// Notes what was done to a customer.
    pub fn touch(&mut self, customer: &str, touch: Touch) {
        let touches = self.touches.entry(customer.to_owned()).or_default();
        touches.insert(touch);
    }

    /// Was any of this done to the customer?
    pub fn was_touched(&self, customer: &str, by: &[Touch]) -> bool {
        let touches = self.touches.get(customer);
        touches.is_some_and(|touches| by.iter().any(|touch| touches.contains(touch)))
    }

    /// An answer to a call that left then says this epoch. It went back when a greater one had been
    /// heard before the call left; an answer that others overtook says nothing of the kind.
    pub fn hears_epoch(&mut self, epoch: Option<u64>, sent_at: Time, now: Time) {
        let Some(epoch) = epoch else { return };
        let mut earlier = self.epochs.iter().rev();
        let known = earlier.find(|(heard_at, _)| heard_at.plus(STORED_WITHIN) <= sent_at);
        if known.is_some_and(|(_, greatest)| epoch < *greatest) {
            self.epoch_back_at.get_or_insert(now);
        }
        if self
            .epochs
            .last()
            .is_none_or(|(_, greatest)| epoch > *greatest)
        {
            self.epochs.push((now, epoch));
        }
    }

    /// An event about this order was acknowledged: what it names is the daemon's to know, and what
    /// was done to the payments that it names was done to its customer.
    pub fn told_of(&mut self, reference: &str) {
        for payment in self.claims.remove(reference).unwrap_or_default() {
            self.belongs(payment, reference);
        }
    }

    /// The daemon asks for something with payments that this order names: it was told of it, if only
    /// by a delivery that was replayed.
    pub fn told_that<'a>(&mut self, reference: &str, payments: impl Iterator<Item = &'a str>) {
        for payment in payments {
            let claims = self.claims.get_mut(reference);
            let claimed = claims.and_then(|claims| {
                let at = claims.iter().position(|one| one == payment)?;
                Some(claims.remove(at))
            });
            if let Some(payment) = claimed {
                self.belongs(payment, reference);
            }
        }
    }

    fn belongs(&mut self, payment: String, reference: &str) {
        self.strangers.remove(&payment);
        let touches = self.touches.remove(&payment).unwrap_or_default();
        let known = self.touches.entry(reference.to_owned()).or_default();
        known.extend(touches);
        self.owners.insert(payment, reference.to_owned());
    }

    /// Notes a broken promise.
    pub fn fail(&mut self, at: Time, rule: &'static str, about: &str, detail: String) {
        self.failures.push(Failure {
            rule,
            about: about.to_owned(),
            detail,
            at,
        });
    }

    /// Whose payment this is; the payment's own id when nobody is known.
    pub fn owner(&self, payment: &str) -> String {
        let owner = self.owners.get(payment);
        owner.cloned().unwrap_or_else(|| payment.to_owned())
    }

    /// The answers about an order that were heard, by when they were asked.
    pub fn heard<'a>(&'a self, reference: &str) -> impl Iterator<Item = &'a Said> {
        let said = self.said.get(reference).into_iter().flatten();
        said.filter(|one| one.heard_at.is_some())
    }

    /// The least that an order ever cost; none when there never was one.
    pub fn least_amount(&self, reference: &str) -> Option<i64> {
        self.amounts.get(reference)?.iter().min().copied()
    }
}
