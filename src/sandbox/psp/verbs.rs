//! What happens at the PSP without the daemon: payers pay and fail to, staff refunds, banks take
//! money back.
//!
//! Each verb books what happened, and the dialect tells of it. Knows no PSP's words.

use super::SandboxPsp;
use super::ledger::{Ledger, NewRefund, Told};
use super::records::{ORDER_REFERENCE, PaymentStatus};
use crate::core::money::Money;
use crate::core::time::Time;
use std::collections::BTreeMap;

/// Why a story cannot go on like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The books know nothing of this id.
    #[error("the sandbox PSP has nothing with the id {0}")]
    NoSuch(String),
    /// It is not in a state for this.
    #[error("{id} is {status}, so this cannot happen to it")]
    WrongState {
        /// Which.
        id: String,
        /// How it stands.
        status: &'static str,
    },
}

/// What a payer can still pay.
const PAYABLE: [PaymentStatus; 2] = [PaymentStatus::Open, PaymentStatus::Processing];
/// What took money.
const PAID: [PaymentStatus; 1] = [PaymentStatus::Paid];

fn notes(reference: Option<&str>) -> BTreeMap<String, String> {
    let entry = reference.map(|text| (ORDER_REFERENCE.to_owned(), text.to_owned()));
    entry.into_iter().collect()
}

impl SandboxPsp {
    /// Books something, and lets the dialect tell of it.
    fn act<T>(&mut self, now: Time, act: impl FnOnce(&mut Ledger) -> T) -> T {
        let result = act(&mut self.ledger);
        self.tell(now);
        result
    }

    /// A payer has paid for this order (or for nothing named) with iDEAL; gives the payment's id.
    pub fn pay(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        let id = self.open(reference, amount, now);
        self.act(now, |ledger| ledger.take(&id, now));
        id
    }

    /// A payment is opened and waits for the payer; gives its id.
    pub fn open(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        self.open_with(notes(reference), amount, now)
    }

    /// As `open`, with notes of one's own on the payment.
    pub fn open_with(
        &mut self,
        notes: BTreeMap<String, String>,
        amount: Money,
        now: Time,
    ) -> String {
        self.act(now, |ledger| ledger.open(amount, notes, false, now))
    }

    /// The payer pays an open payment.
    pub fn succeed(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &PAYABLE)?;
        self.act(now, |ledger| ledger.take(id, now));
        Ok(())
    }

    /// The payer's attempt fails; the payment stays open for another.
    pub fn fail(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &PAYABLE)?;
        self.act(now, |ledger| ledger.fail(id, now));
        Ok(())
    }

    /// The bank is working on it.
    pub fn process(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &[PaymentStatus::Open])?;
        self.act(now, |ledger| ledger.start_processing(id));
        Ok(())
    }

    /// A payer has authorised a payment by card; nothing is captured. Gives the payment's id.
    pub fn authorise(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        self.act(now, |ledger| {
            let id = ledger.open(amount, notes(reference), true, now);
            ledger.hold(&id, now);
            id
        })
    }

    /// The shop captures all that is held.
    pub fn capture(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &[PaymentStatus::Authorised])?;
        let payment = self.ledger.records().payments.get(id);
        let held = payment.map_or(0, |payment| payment.held);
        self.act(now, |ledger| ledger.take_held(id, held, true, now));
        Ok(())
    }

    /// The shop captures a part of what is held; the rest stays held.
    pub fn capture_part(&mut self, id: &str, amount: i64, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &[PaymentStatus::Authorised])?;
        self.act(now, |ledger| ledger.take_held(id, amount, false, now));
        Ok(())
    }

    /// A payment that is already paid is taken once more.
    pub fn capture_again(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &PAID)?;
        self.act(now, |ledger| ledger.take(id, now));
        Ok(())
    }

    /// The payment lapses at the PSP.
    pub fn expire(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        let alive = [
            PaymentStatus::Open,
            PaymentStatus::Processing,
            PaymentStatus::Authorised,
        ];
        self.ledger.expect(id, &alive)?;
        self.act(now, |ledger| ledger.lapse(id, now));
        Ok(())
    }

    /// Staff calls a payment off in the dashboard, or releases what is held.
    pub fn staff_cancel(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        let alive = [PaymentStatus::Open, PaymentStatus::Authorised];
        self.ledger.expect(id, &alive)?;
        self.act(now, |ledger| ledger.call_off(id, None, now));
        Ok(())
    }

    /// A payment of the other mode is paid, as when a test webhook reaches a live account.
    pub fn test_mode_payment(
        &mut self,
        reference: Option<&str>,
        amount: Money,
        now: Time,
    ) -> String {
        let other = !self.ledger.setup().is_live;
        self.act(now, |ledger| {
            let id = ledger.open(amount, notes(reference), false, now);
            ledger.change(&id, |payment| payment.is_live = other);
            ledger.take(&id, now);
            id
        })
    }

    /// Staff refunds in the dashboard: an amount, or all that is left. Gives the refund's id.
    pub fn staff_refund(
        &mut self,
        id: &str,
        amount: Option<i64>,
        now: Time,
    ) -> Result<String, Impossible> {
        self.ledger.expect(id, &PAID)?;
        let charge = self.ledger.charge_to_refund(id);
        let charge =
            charge.map(|charge| (charge.id.clone(), self.ledger.left_of_charge(&charge.id)));
        let (charge, left) =
            charge
                .filter(|(_, left)| *left > 0)
                .ok_or_else(|| Impossible::WrongState {
                    id: id.to_owned(),
                    status: "refunded",
                })?;
        let refund = NewRefund {
            charge,
            amount: amount.unwrap_or(left).min(left),
            metadata: BTreeMap::new(),
            reason: Some("requested_by_customer".to_owned()),
            is_by_staff: true,
        };
        Ok(self.act(now, |ledger| ledger.refund(refund, now)))
    }

    /// Staff calls off a refund that has not left yet.
    pub fn cancel_refund(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.act(now, |ledger| ledger.cancel_refund(id))
    }

    /// The payer disputes the payment's latest charge; gives the dispute's id.
    pub fn dispute(&mut self, id: &str, now: Time) -> Result<String, Impossible> {
        self.ledger.expect(id, &PAID)?;
        self.act(now, |ledger| ledger.dispute(id, now))
    }

    /// The bank decides a dispute.
    pub fn close_dispute(&mut self, id: &str, is_won: bool, now: Time) -> Result<(), Impossible> {
        self.act(now, |ledger| ledger.close_dispute(id, is_won))
    }

    /// From now on refunds wait for the balance; once it is no longer low, they are done.
    pub fn set_balance_low(&mut self, is_low: bool, now: Time) {
        self.ledger.is_balance_low = is_low;
        if !is_low {
            self.finish_refunds(now);
        }
    }

    /// From now on refunds stay pending until `finish_refunds`.
    pub fn set_refunds_slow(&mut self, are_slow: bool) {
        self.ledger.are_refunds_slow = are_slow;
    }

    /// Every pending refund succeeds.
    pub fn finish_refunds(&mut self, now: Time) {
        self.act(now, Ledger::finish_refunds);
    }

    /// A refund that was accepted fails after all: the money is back in the shop's balance.
    pub fn fail_refund_later(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.act(now, |ledger| ledger.fail_refund(id))
    }

    /// A refund that was done comes back from the payer's bank.
    pub fn reverse_refund(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.act(now, |ledger| ledger.reverse_refund(id))
    }

    /// Tells once more, as a new event, that a payment was paid.
    pub fn tell_again(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.ledger.expect(id, &PAID)?;
        self.act(now, |ledger| ledger.note(Told::PaidAgain, id));
        Ok(())
    }

    /// Delivers an event once more, under its own id, as the dashboard's "resend" does.
    pub fn resend(&mut self, event: &str, now: Time) -> Result<(), Impossible> {
        let ledger = &mut self.ledger;
        let known = ledger.records.events.get(event);
        let known = known.ok_or_else(|| Impossible::NoSuch(event.to_owned()))?;
        ledger
            .outbox
            .push(event, &known.kind, None, &known.body, now);
        Ok(())
    }

    /// While a payment is hidden, lists lag: it and what belongs to it are found by id alone.
    pub fn set_hidden(&mut self, id: &str, is_hidden: bool) {
        if is_hidden {
            self.ledger.hidden.insert(id.to_owned());
        } else {
            self.ledger.hidden.remove(id);
        }
    }

    /// The shop's capture of this payment will arrive right before the next attempt to cancel it.
    pub fn let_capture_slip_in(&mut self, id: &str) {
        self.ledger.slips_in.insert(id.to_owned());
    }
}
