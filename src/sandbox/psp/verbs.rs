//! What happens at the PSP without the daemon: payers pay and fail to, staff refunds, banks take
//! money back.
//!
//! Each verb books what happened and queues the webhooks that tell of it.

use super::SandboxPsp;
use super::records::{
    Charge, Dispute, DisputeStatus, Event, Intent, IntentStatus, Refund, RefundStatus,
};
use super::render::{self, Expand};
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use serde_json::Value;
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

impl SandboxPsp {
    /// A payer has paid for this order (or for nothing named) with iDEAL; gives the payment's id.
    pub fn pay(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        let id = self.open(reference, amount, now);
        self.take(&id, now);
        id
    }

    /// A payment is opened and waits for the payer; gives its id.
    pub fn open(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        let entry = reference.map(|text| ("order_reference".to_owned(), text.to_owned()));
        let metadata = entry.into_iter().collect();
        self.open_intent(amount.minor(), amount.currency(), metadata, now)
    }

    /// As `open`, with notes of one's own on the payment.
    pub fn open_with(
        &mut self,
        notes: BTreeMap<String, String>,
        amount: Money,
        now: Time,
    ) -> String {
        self.open_intent(amount.minor(), amount.currency(), notes, now)
    }

    /// The payer pays an open payment.
    pub fn succeed(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(
            id,
            &[
                IntentStatus::RequiresPaymentMethod,
                IntentStatus::Processing,
            ],
        )?;
        self.take(id, now);
        Ok(())
    }

    /// The payer's attempt fails; the payment stays open for another.
    pub fn fail(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(
            id,
            &[
                IntentStatus::RequiresPaymentMethod,
                IntentStatus::Processing,
            ],
        )?;
        let charge = self.attempt(id, 0, false, now);
        self.change(id, |intent| {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.failure = Some("generic_decline".to_owned());
        });
        self.tell_charge("charge.failed", &charge, now);
        self.tell_intent("payment_intent.payment_failed", id, now);
        Ok(())
    }

    /// The bank is working on it.
    pub fn process(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(id, &[IntentStatus::RequiresPaymentMethod])?;
        self.change(id, |intent| intent.status = IntentStatus::Processing);
        self.tell_intent("payment_intent.processing", id, now);
        Ok(())
    }

    /// A payer has authorised a payment by card; nothing is captured. Gives the payment's id.
    pub fn authorise(&mut self, reference: Option<&str>, amount: Money, now: Time) -> String {
        let id = self.open(reference, amount, now);
        let charge = self.attempt(&id, 0, true, now);
        self.change(&id, |intent| {
            intent.is_manual = true;
            intent.status = IntentStatus::RequiresCapture;
            intent.capturable = intent.amount;
            intent.method = "card".to_owned();
        });
        self.tell_charge("charge.succeeded", &charge, now);
        self.tell_intent("payment_intent.amount_capturable_updated", &id, now);
        id
    }

    /// The shop captures what was authorised.
    pub fn capture(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(id, &[IntentStatus::RequiresCapture])?;
        let capturable = self
            .records
            .intents
            .get(id)
            .map_or(0, |intent| intent.capturable);
        self.take_authorised(id, capturable, now);
        Ok(())
    }

    /// A payment that is already paid is taken once more.
    pub fn capture_again(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(id, &[IntentStatus::Succeeded])?;
        self.take(id, now);
        Ok(())
    }

    /// The payment lapses or is called off at the PSP.
    pub fn expire(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(
            id,
            &[
                IntentStatus::RequiresPaymentMethod,
                IntentStatus::RequiresCapture,
            ],
        )?;
        self.call_off(id, Some("abandoned".to_owned()), now);
        Ok(())
    }

    /// A payment of the other mode is paid, as when a test webhook reaches a live account.
    pub fn test_mode_payment(
        &mut self,
        reference: Option<&str>,
        amount: Money,
        now: Time,
    ) -> String {
        let id = self.open(reference, amount, now);
        let other = !self.setup.is_live;
        self.change(&id, |intent| intent.is_live = other);
        self.take(&id, now);
        id
    }

    /// Staff refunds in the dashboard: an amount, or all that is left. Gives the refund's id.
    pub fn staff_refund(
        &mut self,
        id: &str,
        amount: Option<i64>,
        now: Time,
    ) -> Result<String, Impossible> {
        self.expect(id, &[IntentStatus::Succeeded])?;
        let charges: Vec<&Charge> = self.records.charges_of(id).collect();
        let left = |charge: &Charge| {
            charge
                .captured
                .saturating_sub(self.records.refunded(&charge.id))
        };
        let found = charges.iter().rev().find(|charge| left(charge) > 0);
        let charge = found.ok_or_else(|| Impossible::WrongState {
            id: id.to_owned(),
            status: "refunded",
        })?;
        let (charge, rest) = (charge.id.clone(), left(charge));
        let refund = Refund {
            id: self.records.new_id("re"),
            charge,
            intent: id.to_owned(),
            created: now.seconds(),
            amount: amount.unwrap_or(rest).min(rest),
            status: RefundStatus::Succeeded,
            metadata: BTreeMap::new(),
            reason: Some("requested_by_customer".to_owned()),
            pending_reason: None,
            failure_reason: None,
            is_by_staff: true,
        };
        Ok(self.book_refund(refund, now))
    }

    /// The payer disputes the payment's latest charge; gives the dispute's id.
    pub fn dispute(&mut self, id: &str, now: Time) -> Result<String, Impossible> {
        self.expect(id, &[IntentStatus::Succeeded])?;
        let no_charge = || Impossible::NoSuch(id.to_owned());
        let dispute_id = self.records.new_id("du");
        let latest = self
            .records
            .intents
            .get(id)
            .and_then(|i| i.latest_charge.clone());
        let charge = latest.ok_or_else(no_charge)?;
        let disputed = self
            .records
            .charges
            .get_mut(&charge)
            .ok_or_else(no_charge)?;
        disputed.is_disputed = true;
        let dispute = Dispute {
            id: dispute_id.clone(),
            charge,
            intent: id.to_owned(),
            created: now.seconds(),
            amount: disputed.captured,
            status: DisputeStatus::NeedsResponse,
        };
        self.records.disputes.insert(dispute_id.clone(), dispute);
        for kind in ["charge.dispute.created", "charge.dispute.funds_withdrawn"] {
            self.tell_dispute(kind, &dispute_id, now);
        }
        Ok(dispute_id)
    }

    /// The bank decides a dispute.
    pub fn close_dispute(&mut self, id: &str, is_won: bool, now: Time) -> Result<(), Impossible> {
        let dispute = self.records.disputes.get_mut(id);
        let dispute = dispute.ok_or_else(|| Impossible::NoSuch(id.to_owned()))?;
        dispute.status = if is_won {
            DisputeStatus::Won
        } else {
            DisputeStatus::Lost
        };
        if is_won {
            self.tell_dispute("charge.dispute.funds_reinstated", id, now);
        }
        self.tell_dispute("charge.dispute.closed", id, now);
        Ok(())
    }

    /// From now on refunds wait for the balance; once it is no longer low, they are done.
    pub fn set_balance_low(&mut self, is_low: bool, now: Time) {
        self.is_balance_low = is_low;
        if !is_low {
            self.finish_refunds(now);
        }
    }

    /// From now on refunds stay `pending` until `finish_refunds`.
    pub fn set_refunds_slow(&mut self, are_slow: bool) {
        self.are_refunds_slow = are_slow;
    }

    /// Every pending refund succeeds.
    pub fn finish_refunds(&mut self, now: Time) {
        let pending = self
            .records
            .refunds
            .values_mut()
            .filter(|refund| refund.status == RefundStatus::Pending);
        let mut finished = Vec::new();
        for refund in pending {
            refund.status = RefundStatus::Succeeded;
            refund.pending_reason = None;
            finished.push(refund.id.clone());
        }
        for id in finished {
            self.tell_refund("refund.updated", &id, now);
        }
    }

    /// A refund that was accepted fails after all: the money is back in the shop's balance.
    pub fn fail_refund_later(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        let refund = self.records.refunds.get_mut(id);
        let refund = refund.ok_or_else(|| Impossible::NoSuch(id.to_owned()))?;
        refund.status = RefundStatus::Failed;
        refund.pending_reason = None;
        refund.failure_reason = Some("expired_or_canceled_card".to_owned());
        self.tell_refund("refund.failed", id, now);
        self.tell_refund("refund.updated", id, now);
        Ok(())
    }

    /// Tells once more, as a new event, that a payment was paid.
    pub fn tell_again(&mut self, id: &str, now: Time) -> Result<(), Impossible> {
        self.expect(id, &[IntentStatus::Succeeded])?;
        self.tell_intent("payment_intent.succeeded", id, now);
        Ok(())
    }

    /// Delivers an event once more, under its own id, as the dashboard's "resend" does.
    pub fn resend(&mut self, event: &str, now: Time) -> Result<(), Impossible> {
        let known = self.records.events.get(event);
        let known = known.ok_or_else(|| Impossible::NoSuch(event.to_owned()))?;
        let (kind, body) = (known.kind.clone(), known.json.to_string());
        self.outbox.push(event, &kind, None, body.as_bytes(), now);
        Ok(())
    }

    /// While a payment is hidden, lists lag: it and what belongs to it are found by id alone.
    pub fn set_hidden(&mut self, id: &str, is_hidden: bool) {
        if is_hidden {
            self.hidden.insert(id.to_owned());
        } else {
            self.hidden.remove(id);
        }
    }

    /// The shop's capture of this payment will arrive right before the next attempt to cancel it.
    pub fn let_capture_slip_in(&mut self, id: &str) {
        self.slips_in.insert(id.to_owned());
    }

    fn expect(&self, id: &str, states: &[IntentStatus]) -> Result<(), Impossible> {
        let intent = self.records.intents.get(id);
        let status = intent
            .ok_or_else(|| Impossible::NoSuch(id.to_owned()))?
            .status;
        if states.contains(&status) {
            return Ok(());
        }
        Err(Impossible::WrongState {
            id: id.to_owned(),
            status: status.word(),
        })
    }

    pub(super) fn open_intent(
        &mut self,
        amount: i64,
        currency: Currency,
        metadata: BTreeMap<String, String>,
        now: Time,
    ) -> String {
        let intent = Intent {
            id: self.records.new_id("pi"),
            created: now.seconds(),
            amount,
            currency,
            status: IntentStatus::RequiresPaymentMethod,
            is_manual: false,
            metadata,
            is_live: self.setup.is_live,
            capturable: 0,
            method: "ideal".to_owned(),
            latest_charge: None,
            canceled_at: None,
            cancellation_reason: None,
            failure: None,
        };
        let id = intent.id.clone();
        self.records.intents.insert(id.clone(), intent);
        id
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Intent)) {
        if let Some(intent) = self.records.intents.get_mut(id) {
            change(intent);
        }
    }

    /// Books an attempt to take the payment's amount; gives the charge's id.
    fn attempt(&mut self, id: &str, captured: i64, is_paid: bool, now: Time) -> String {
        let charge = Charge {
            id: self.records.new_id("ch"),
            intent: id.to_owned(),
            created: now.seconds(),
            amount: self
                .records
                .intents
                .get(id)
                .map_or(0, |intent| intent.amount),
            captured,
            is_paid,
            is_disputed: false,
        };
        let charge_id = charge.id.clone();
        self.records.charges.insert(charge_id.clone(), charge);
        self.change(id, |intent| intent.latest_charge = Some(charge_id.clone()));
        charge_id
    }

    /// Takes the whole amount at once.
    fn take(&mut self, id: &str, now: Time) {
        let amount = self
            .records
            .intents
            .get(id)
            .map_or(0, |intent| intent.amount);
        let charge = self.attempt(id, amount, true, now);
        self.change(id, |intent| {
            intent.status = IntentStatus::Succeeded;
            intent.failure = None;
        });
        self.tell_charge("charge.succeeded", &charge, now);
        self.tell_intent("payment_intent.succeeded", id, now);
    }

    pub(super) fn take_authorised(&mut self, id: &str, amount: i64, now: Time) {
        let latest = self
            .records
            .intents
            .get(id)
            .and_then(|i| i.latest_charge.clone());
        let Some(charge) = latest else { return };
        if let Some(charge) = self.records.charges.get_mut(&charge) {
            charge.captured = amount;
        }
        self.change(id, |intent| {
            intent.status = IntentStatus::Succeeded;
            intent.capturable = 0;
        });
        self.tell_charge("charge.captured", &charge, now);
        self.tell_intent("payment_intent.succeeded", id, now);
    }

    pub(super) fn call_off(&mut self, id: &str, reason: Option<String>, now: Time) {
        self.change(id, |intent| {
            intent.status = IntentStatus::Canceled;
            intent.capturable = 0;
            intent.canceled_at = Some(now.seconds());
            intent.cancellation_reason = reason;
        });
        self.tell_intent("payment_intent.canceled", id, now);
    }

    /// Books a refund in the state that the account's balance allows; gives its id.
    pub(super) fn book_refund(&mut self, mut refund: Refund, now: Time) -> String {
        if self.is_balance_low {
            refund.status = RefundStatus::Pending;
            refund.pending_reason = Some("insufficient_funds");
        } else if self.are_refunds_slow {
            refund.status = RefundStatus::Pending;
            refund.pending_reason = Some("processing");
        }
        let (id, charge) = (refund.id.clone(), refund.charge.clone());
        self.records.refunds.insert(id.clone(), refund);
        self.tell_refund("refund.created", &id, now);
        self.tell_charge("charge.refunded", &charge, now);
        id
    }

    pub(super) fn tell_intent(&mut self, kind: &str, id: &str, now: Time) {
        let intent = self.records.intents.get(id);
        let shown = intent.map(|intent| self.records.show_intent(intent, &Expand::default()));
        self.tell(kind, id, shown, now);
    }

    pub(super) fn tell_charge(&mut self, kind: &str, id: &str, now: Time) {
        let charge = self.records.charges.get(id);
        let shown = charge.map(|charge| self.records.show_charge(charge, &Expand::default()));
        self.tell(kind, id, shown, now);
    }

    fn tell_refund(&mut self, kind: &str, id: &str, now: Time) {
        let refund = self.records.refunds.get(id);
        let shown = refund.map(|refund| self.records.show_refund(refund, &Expand::default()));
        self.tell(kind, id, shown, now);
    }

    fn tell_dispute(&mut self, kind: &str, id: &str, now: Time) {
        let dispute = self.records.disputes.get(id);
        let shown = dispute.map(|dispute| self.records.show_dispute(dispute, &Expand::default()));
        self.tell(kind, id, shown, now);
    }

    /// Books an event and queues its webhook.
    fn tell(&mut self, kind: &str, about: &str, shown: Option<Value>, now: Time) {
        let Some(object) = shown else { return };
        let intent = self.records.intent_of(about).unwrap_or_default();
        let subject = self
            .records
            .reference_of(&intent)
            .unwrap_or_else(|| intent.clone());
        let is_live = self.records.intents.get(&intent).is_some_and(|i| i.is_live);
        let id = self.records.new_id("evt");
        let event = render::event(id.clone(), kind, now.seconds(), is_live, object);
        let event = Event { intent, ..event };
        let body = event.json.to_string();
        self.records.events.insert(id.clone(), event);
        self.outbox
            .push(&id, kind, Some(&subject), body.as_bytes(), now);
    }
}
