//! Money on its way back, and money taken back: refunds and disputes in the books.
//!
//! Knows no endpoint: whether a refund may be made at all is checked by whoever asks for it.

use super::{Ledger, Told};
use crate::core::time::Time;
use crate::sandbox::psp::Impossible;
use crate::sandbox::psp::kind::Thing;
use crate::sandbox::psp::records::{Dispute, DisputeStatus, Refund, RefundStatus};
use std::collections::BTreeMap;

/// A refund to be made.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// The charge to take it from; see `Ledger::charge_to_refund`.
    pub charge: String,
    /// How much.
    pub amount: i64,
    /// The maker's notes and references.
    pub metadata: BTreeMap<String, String>,
    /// Why.
    pub reason: Option<String>,
    /// Made in the dashboard, not through the API.
    pub is_by_staff: bool,
}

impl Ledger {
    /// Books a refund in the state that the account's balance allows; gives its id.
    pub fn refund(&mut self, new: NewRefund, now: Time) -> String {
        let payment = self.records.payment_of(&new.charge).unwrap_or_default();
        let reference = self.records.reference_of(&payment);
        let status = if self.is_balance_low {
            RefundStatus::Waiting
        } else if self.are_refunds_slow {
            RefundStatus::Pending
        } else {
            RefundStatus::Succeeded
        };
        let id = self.new_id(Thing::Refund, reference.as_deref());
        let refund = Refund {
            id: id.clone(),
            charge: new.charge,
            payment,
            created: now.seconds(),
            amount: new.amount,
            status,
            metadata: new.metadata,
            reason: new.reason,
            is_by_staff: new.is_by_staff,
        };
        self.records.refunds.insert(id.clone(), refund);
        self.note(Told::RefundMade, &id);
        id
    }

    /// Every refund that is pending or waits for the balance succeeds.
    pub fn finish_refunds(&mut self) {
        let refunds = self.records.refunds.values_mut();
        let mut finished = Vec::new();
        for refund in refunds {
            if matches!(refund.status, RefundStatus::Pending | RefundStatus::Waiting) {
                refund.status = RefundStatus::Succeeded;
                finished.push(refund.id.clone());
            }
        }
        for id in finished {
            self.note(Told::RefundDone, &id);
        }
    }

    /// Calls a refund off that has not left yet.
    pub fn cancel_refund(&mut self, id: &str) -> Result<(), Impossible> {
        let open = [RefundStatus::Pending, RefundStatus::Waiting];
        self.turn_refund(id, &open, RefundStatus::Cancelled)?;
        self.note(Told::RefundCancelled, id);
        Ok(())
    }

    /// A refund that was accepted fails after all.
    pub fn fail_refund(&mut self, id: &str) -> Result<(), Impossible> {
        let standing = [
            RefundStatus::Pending,
            RefundStatus::Waiting,
            RefundStatus::Succeeded,
        ];
        self.turn_refund(id, &standing, RefundStatus::Failed)?;
        self.note(Told::RefundFailed, id);
        Ok(())
    }

    /// A refund that was done comes back from the payer's bank.
    pub fn reverse_refund(&mut self, id: &str) -> Result<(), Impossible> {
        self.turn_refund(id, &[RefundStatus::Succeeded], RefundStatus::Reversed)?;
        self.note(Told::RefundReversed, id);
        Ok(())
    }

    fn turn_refund(
        &mut self,
        id: &str,
        from: &[RefundStatus],
        to: RefundStatus,
    ) -> Result<(), Impossible> {
        let refund = self.records.refunds.get_mut(id);
        let refund = refund.ok_or_else(|| Impossible::NoSuch(id.to_owned()))?;
        if !from.contains(&refund.status) {
            return Err(Impossible::WrongState {
                id: id.to_owned(),
                status: refund.status.word(),
            });
        }
        refund.status = to;
        Ok(())
    }

    /// The payer disputes the payment's latest charge; gives the dispute's id.
    pub fn dispute(&mut self, payment: &str, now: Time) -> Result<String, Impossible> {
        let no_charge = || Impossible::NoSuch(payment.to_owned());
        let latest = self.records.payments.get(payment);
        let charge = latest.and_then(|one| one.latest_charge.clone());
        let charge = charge.ok_or_else(no_charge)?;
        let reference = self.records.reference_of(payment);
        let id = self.new_id(Thing::Dispute, reference.as_deref());
        let disputed = self.records.charges.get_mut(&charge);
        let disputed = disputed.ok_or_else(no_charge)?;
        disputed.is_disputed = true;
        let dispute = Dispute {
            id: id.clone(),
            amount: disputed.captured,
            charge,
            payment: payment.to_owned(),
            created: now.seconds(),
            status: DisputeStatus::Open,
        };
        self.records.disputes.insert(id.clone(), dispute);
        self.note(Told::Disputed, &id);
        Ok(id)
    }

    /// The bank decides a dispute.
    pub fn close_dispute(&mut self, id: &str, is_won: bool) -> Result<(), Impossible> {
        let dispute = self.records.disputes.get_mut(id);
        let dispute = dispute.ok_or_else(|| Impossible::NoSuch(id.to_owned()))?;
        let (status, told) = if is_won {
            (DisputeStatus::Won, Told::DisputeWon)
        } else {
            (DisputeStatus::Lost, Told::DisputeLost)
        };
        dispute.status = status;
        self.note(told, id);
        Ok(())
    }
}
