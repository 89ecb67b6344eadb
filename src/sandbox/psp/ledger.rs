//! The sandbox PSP's books and what can be booked in them, the same for every PSP.
//!
//! Each act books a change and notes it; the dialect then tells of it in its PSP's way. Used by
//! the story's verbs and by a dialect's own endpoints alike. Knows no endpoint and no format.

mod refunds;

pub use refunds::NewRefund;

use super::kind::{Kind, Made, Thing};
use super::records::{Capture, Charge, Event, Payment, PaymentStatus, Records};
use super::{Impossible, PspSetup};
use crate::core::money::Money;
use crate::core::time::Time;
use crate::sandbox::outbox::Outbox;
use std::collections::{BTreeMap, BTreeSet};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// A payment was made and waits for its payer.
    Opened,
    /// The bank is working on a payment.
    Processing,
    /// An attempt failed.
    Failed,
    /// A payment is held on the payer's means.
    Authorised,
    /// A payment was taken at once.
    Paid,
    /// Nothing new: a payment that was paid is told of once more.
    PaidAgain,
    /// Some of what was held was taken, or all of it.
    Captured,
    /// A payment was called off, or released.
    Cancelled,
    /// A payment lapsed.
    Expired,
    /// A refund was made.
    RefundMade,
    /// A refund that was pending is done.
    RefundDone,
    /// A refund failed after it was accepted.
    RefundFailed,
    /// A refund was called off.
    RefundCancelled,
    /// A refund that was done came back.
    RefundReversed,
    /// A payer complained.
    Disputed,
    /// The shop keeps the disputed money.
    DisputeWon,
    /// The payer has the disputed money.
    DisputeLost,
}

/// A change that was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub told: Told,
    /// Of which capture (`Captured`), refund (`Refund…`), dispute (`Dispute…`) or payment (all
    /// others).
    pub id: String,
}

/// A message to be delivered.
#[derive(Clone, Debug)]
pub struct Note {
    /// The event's id, as `Ledger::new_id` or the dialect made it.
    pub id: String,
    /// The PSP's own word for it.
    pub kind: String,
    /// What it tells; none when it only says in other words what another message tells.
    pub told: Option<Told>,
    /// What it is about: any id that the books know.
    pub about: String,
    /// The message, unsigned.
    pub body: Vec<u8>,
}

/// The books.
#[derive(Clone)]
pub struct Ledger {
    pub(super) kind: &'static Kind,
    pub(super) setup: PspSetup,
    pub(super) records: Records,
    pub(super) outbox: Outbox,
    pub(super) changes: Vec<Change>,
    pub(super) is_balance_low: bool,
    pub(super) are_refunds_slow: bool,
    pub(super) hidden: BTreeSet<String>,
    pub(super) slips_in: BTreeSet<String>,
    made: u64,
}

impl Ledger {
    pub(super) fn new(kind: &'static Kind, setup: PspSetup) -> Ledger {
        Ledger {
            kind,
            setup,
            records: Records::default(),
            outbox: Outbox::default(),
            changes: Vec::new(),
            is_balance_low: false,
            are_refunds_slow: false,
            hidden: BTreeSet::new(),
            slips_in: BTreeSet::new(),
            made: 0,
        }
    }

    /// What is booked.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What the account is set up with.
    pub fn setup(&self) -> &PspSetup {
        &self.setup
    }

    /// A new id; `reference` is that of the payment it belongs to.
    pub fn new_id(&mut self, thing: Thing, reference: Option<&str>) -> String {
        self.made = self.made.saturating_add(1);
        (self.kind.id)(&Made {
            thing,
            number: self.made,
            reference,
        })
    }

    /// A payment of the account's own mode.
    pub fn payment(&self, id: &str) -> Option<&Payment> {
        let payment = self.records.payments.get(id);
        payment.filter(|payment| payment.is_live == self.setup.is_live)
    }

    /// True when lists show this payment and what belongs to it.
    pub fn is_listed(&self, payment: &str) -> bool {
        self.payment(payment).is_some() && !self.hidden.contains(payment)
    }

    /// What could still be refunded of a charge.
    pub fn left_of_charge(&self, charge: &str) -> i64 {
        let captured = self
            .records
            .charges
            .get(charge)
            .map_or(0, |one| one.captured);
        captured.saturating_sub(self.records.refunded(charge))
    }

    /// What could still be refunded of a payment.
    pub fn left_of(&self, payment: &str) -> i64 {
        let received = self.records.received(payment);
        received.saturating_sub(self.records.refunded_for(payment))
    }

    /// The charge of a payment that a refund is taken from: the newest that took money and has
    /// some left, else the newest that took money.
    pub fn charge_to_refund<'a>(&'a self, payment: &'a str) -> Option<&'a Charge> {
        let mut taken: Vec<&Charge> = self.records.charges_of(payment).collect();
        taken.retain(|charge| charge.captured > 0);
        taken.reverse();
        let with_left = taken.iter().find(|one| self.left_of_charge(&one.id) > 0);
        with_left.or_else(|| taken.first()).copied()
    }

    /// Books a message that tells of a change, and queues it for delivery.
    pub fn post(&mut self, note: Note, now: Time) {
        let payment = self.records.payment_of(&note.about).unwrap_or_default();
        let subject = self.records.subject_of(&note.about);
        let is_live = self.records.payments.get(&payment);
        let event = Event {
            id: note.id.clone(),
            created: now.seconds(),
            kind: note.kind.clone(),
            told: note.told,
            is_live: is_live.is_some_and(|payment| payment.is_live),
            payment,
            body: note.body,
        };
        self.outbox
            .push(&note.id, &note.kind, Some(&subject), &event.body, now);
        self.records.events.insert(note.id, event);
    }

    /// Opens a payment with these notes, waiting for its payer; gives its id.
    pub fn open(
        &mut self,
        amount: Money,
        metadata: BTreeMap<String, String>,
        is_manual: bool,
        now: Time,
    ) -> String {
        let reference = metadata.get(super::records::ORDER_REFERENCE).cloned();
        let id = self.new_id(Thing::Payment, reference.as_deref());
        let payment = Payment {
            id: id.clone(),
            created: now.seconds(),
            amount: amount.minor(),
            currency: amount.currency(),
            status: PaymentStatus::Open,
            is_manual,
            metadata,
            is_live: self.setup.is_live,
            held: 0,
            method: "ideal".to_owned(),
            capture_before: None,
            latest_charge: None,
            ended_at: None,
            end_reason: None,
            failure: None,
        };
        self.records.payments.insert(id.clone(), payment);
        self.note(Told::Opened, &id);
        id
    }

    /// The payer pays the whole amount at once.
    pub fn take(&mut self, id: &str, now: Time) {
        let amount = self.amount_of(id);
        let charge = self.attempt(id, true, now);
        self.book_capture(id, &charge, amount, now);
        self.change(id, |payment| {
            payment.status = PaymentStatus::Paid;
            payment.failure = None;
        });
        self.note(Told::Paid, id);
    }

    /// The payer's attempt fails; the payment stays open for another.
    pub fn fail(&mut self, id: &str, now: Time) {
        self.attempt(id, false, now);
        self.change(id, |payment| {
            payment.status = PaymentStatus::Open;
            payment.failure = Some("generic_decline".to_owned());
        });
        self.note(Told::Failed, id);
    }

    /// The bank is working on it.
    pub fn start_processing(&mut self, id: &str) {
        self.change(id, |payment| payment.status = PaymentStatus::Processing);
        self.note(Told::Processing, id);
    }

    /// The payer's card holds the whole amount; nothing is taken.
    pub fn hold(&mut self, id: &str, now: Time) {
        self.attempt(id, true, now);
        self.change(id, |payment| {
            payment.is_manual = true;
            payment.status = PaymentStatus::Authorised;
            payment.held = payment.amount;
            payment.method = "card".to_owned();
        });
        self.note(Told::Authorised, id);
    }

    /// Takes some of what is held; `is_last` lets go of the rest. Gives the capture's id; none
    /// when the payment was never held.
    pub fn take_held(&mut self, id: &str, amount: i64, is_last: bool, now: Time) -> Option<String> {
        let charge = self.records.payments.get(id)?.latest_charge.clone()?;
        let capture = self.book_capture(id, &charge, amount, now);
        self.change(id, |payment| {
            payment.held = payment.held.saturating_sub(amount).max(0);
            if is_last || payment.held == 0 {
                payment.status = PaymentStatus::Paid;
                payment.held = 0;
            }
        });
        self.note(Told::Captured, &capture);
        Some(capture)
    }

    /// Calls a payment off, or releases what is held. What was taken of it before stays taken.
    pub fn call_off(&mut self, id: &str, reason: Option<String>, now: Time) {
        self.end(id, PaymentStatus::Cancelled, reason, now);
        self.note(Told::Cancelled, id);
    }

    /// The payment lapses.
    pub fn lapse(&mut self, id: &str, now: Time) {
        self.end(id, PaymentStatus::Expired, None, now);
        self.note(Told::Expired, id);
    }

    /// If the shop's own capture was to slip in before the next attempt to release this payment,
    /// it does so now.
    pub fn let_slip_in(&mut self, id: &str, now: Time) {
        if self.slips_in.remove(id) {
            let held = self.records.payments.get(id).map_or(0, |one| one.held);
            self.take_held(id, held, true, now);
        }
    }

    /// Refuses what cannot happen to a payment that is not in one of these states.
    pub(super) fn expect(&self, id: &str, states: &[PaymentStatus]) -> Result<(), Impossible> {
        let payment = self.records.payments.get(id);
        let status = payment
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

    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Payment)) {
        if let Some(payment) = self.records.payments.get_mut(id) {
            change(payment);
        }
    }

    pub(super) fn note(&mut self, told: Told, id: &str) {
        self.changes.push(Change {
            told,
            id: id.to_owned(),
        });
    }

    fn amount_of(&self, id: &str) -> i64 {
        self.records.payments.get(id).map_or(0, |one| one.amount)
    }

    fn end(&mut self, id: &str, status: PaymentStatus, reason: Option<String>, now: Time) {
        self.change(id, |payment| {
            payment.status = status;
            payment.held = 0;
            payment.ended_at = Some(now.seconds());
            payment.end_reason = reason;
        });
    }

    /// Books an attempt to take the payment's amount; gives the charge's id.
    fn attempt(&mut self, id: &str, is_paid: bool, now: Time) -> String {
        let reference = self.records.reference_of(id);
        let charge = Charge {
            id: self.new_id(Thing::Charge, reference.as_deref()),
            payment: id.to_owned(),
            created: now.seconds(),
            amount: self.amount_of(id),
            captured: 0,
            is_paid,
            is_disputed: false,
        };
        let made = charge.id.clone();
        self.records.charges.insert(made.clone(), charge);
        self.change(id, |payment| payment.latest_charge = Some(made.clone()));
        made
    }

    fn book_capture(&mut self, payment: &str, charge: &str, amount: i64, now: Time) -> String {
        let reference = self.records.reference_of(payment);
        let capture = Capture {
            id: self.new_id(Thing::Capture, reference.as_deref()),
            payment: payment.to_owned(),
            charge: charge.to_owned(),
            created: now.seconds(),
            amount,
        };
        if let Some(charge) = self.records.charges.get_mut(charge) {
            charge.captured = charge.captured.saturating_add(amount);
        }
        let made = capture.id.clone();
        self.records.captures.insert(made.clone(), capture);
        made
    }
}
