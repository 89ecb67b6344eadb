//! A PSP in a box: one set of books and verbs for stories, spoken in the dialect of a chosen PSP.
//!
//! A pure state machine: time is an argument, nothing is random, deliveries are handed out to
//! whoever carries them. `ledger` keeps the books, `verbs` are what happens by itself, `kind` is
//! the table of PSPs, and each dialect is a file beside them. Knows no socket.

pub mod adyen;
pub mod dialect;
mod form;
pub mod keys;
pub mod kind;
pub mod ledger;
mod means;
pub mod mollie;
pub mod multisafepay;
pub mod paypal;
mod records;
pub mod stripe;
mod verbs;

pub use dialect::{Dialect, Nature, PspCall};
pub use kind::{Ability, KINDS, Kind};
pub use ledger::Told;
pub use records::{
    Capture, Charge, Dispute, DisputeStatus, Event, ORDER_REFERENCE, Payment, PaymentStatus,
    Records, Refund, RefundStatus,
};
pub use verbs::Impossible;

use super::fault::{Aim, Fault, Faults, Served, Times, serve};
use super::outbox::{Answered, Delivery, DeliveryFault};
use crate::core::time::Time;
use crate::wire::{Request, Response};
use dialect::Letter;
use ledger::Ledger;

/// What the account is set up with.
#[derive(Clone)]
pub struct PspSetup {
    /// The key that calls must carry.
    pub api_key: String,
    /// The secret that deliveries are signed with.
    pub webhook_secret: String,
    /// The mode of the key: what it may see.
    pub is_live: bool,
}

/// The PSP.
pub struct SandboxPsp {
    ledger: Ledger,
    dialect: Box<dyn Dialect>,
    faults: Faults<PspCall, Fault>,
    asked: Vec<(PspCall, Option<String>)>,
    carried: Vec<(PspCall, Option<String>, String)>,
}

impl Clone for SandboxPsp {
    fn clone(&self) -> SandboxPsp {
        SandboxPsp {
            ledger: self.ledger.clone(),
            dialect: self.dialect.copied(),
            faults: self.faults.clone(),
            asked: self.asked.clone(),
            carried: self.carried.clone(),
        }
    }
}

impl SandboxPsp {
    /// An account at Stripe with empty books.
    pub fn new(setup: PspSetup) -> SandboxPsp {
        SandboxPsp::at(&stripe::KIND, setup)
    }

    /// An account at this PSP with empty books.
    pub fn at(kind: &'static Kind, setup: PspSetup) -> SandboxPsp {
        SandboxPsp {
            ledger: Ledger::new(kind, setup),
            dialect: (kind.dialect)(),
            faults: Faults::default(),
            asked: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// Which PSP it is.
    pub fn kind(&self) -> &'static Kind {
        self.ledger.kind
    }

    /// The books.
    pub fn records(&self) -> &Records {
        self.ledger.records()
    }

    /// What the account is set up with.
    pub fn setup(&self) -> &PspSetup {
        self.ledger.setup()
    }

    /// The report file of all that is booked, where the PSP has one.
    pub fn report(&self) -> Option<String> {
        self.dialect.report(&self.ledger)
    }

    /// From now on the account answers to this key alone.
    pub fn change_api_key(&mut self, api_key: &str) {
        api_key.clone_into(&mut self.ledger.setup.api_key);
    }

    /// From now on deliveries are signed with this secret alone.
    pub fn change_webhook_secret(&mut self, secret: &str) {
        secret.clone_into(&mut self.ledger.setup.webhook_secret);
    }

    /// Days go by: no idempotency key is remembered any more.
    pub fn forget_keys(&mut self) {
        self.dialect.forget_keys();
    }

    /// Lays a fault in the way of calls.
    pub fn lay(&mut self, aim: Aim<PspCall>, times: Times, fault: Fault) {
        self.faults.lay(aim, times, fault);
    }

    /// Spoils deliveries (about one order, if one is named).
    pub fn spoil(&mut self, reference: Option<&str>, times: Times, fault: DeliveryFault) {
        self.ledger.outbox.spoil(reference, times, fault);
    }

    /// Takes all faults away.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.ledger.outbox.heal();
    }

    /// How often a fault has struck a call or a delivery about this order.
    pub fn strikes_about(&self, reference: &str) -> usize {
        let calls = self.faults.strikes_about(reference);
        calls.saturating_add(self.ledger.outbox.strikes_about(reference))
    }

    /// Every call that reached the account, oldest first, with the order it was about.
    pub fn calls(&self) -> &[(PspCall, Option<String>)] {
        &self.asked
    }

    /// The idempotency key of every call that carried one, oldest first, with the call and the
    /// order it was about; calls that a fault kept from having an effect count, too.
    pub fn carried_keys(&self) -> &[(PspCall, Option<String>, String)] {
        &self.carried
    }

    /// The deliveries that are due, signed for now.
    pub fn take_deliveries(&mut self, now: Time) -> Vec<Delivery> {
        let Ledger { outbox, setup, .. } = &mut self.ledger;
        let dialect = &self.dialect;
        outbox.take(
            now,
            |id, body, sealing| dialect.seal(setup, Letter { id, body }, sealing),
            |sealed| dialect.corrupt(sealed),
        )
    }

    /// Notes how a delivery ended; what the PSP does not take for an acknowledgement is tried
    /// again later.
    pub fn delivered(&mut self, delivery: Delivery, answer: Option<&Response>, now: Time) {
        let is_taken = answer.is_some_and(|answer| self.dialect.is_acknowledged(answer));
        let status = answer.map(|answer| answer.status);
        self.ledger.outbox.answered(delivery, status, is_taken, now);
    }

    /// How past deliveries ended, oldest first.
    pub fn deliveries(&self) -> &[Answered] {
        self.ledger.outbox.answers()
    }

    /// True when no delivery waits.
    pub fn is_quiet(&self) -> bool {
        self.ledger.outbox.is_empty()
    }

    /// Answers a call, under the faults that were laid.
    pub fn serve(&mut self, request: &Request, now: Time) -> Served {
        let Nature { call, about, key } = self.dialect.nature(&self.ledger, request);
        self.asked.push((call, about.clone()));
        let fault = self.faults.strike(call, about.as_deref());
        if let Some(key) = &key {
            self.carried.push((call, about, key.clone()));
        }
        let served = serve(fault.as_ref(), || self.handle(request, now));
        if let (Some(fault), Some(key)) = (fault, key) {
            self.dialect
                .struck(&key, &fault, served.reply.as_ref(), now);
        }
        served
    }

    /// Answers a call as the API would, faults aside.
    pub fn handle(&mut self, request: &Request, now: Time) -> Response {
        let reply = self.dialect.answer(&mut self.ledger, request, now);
        self.tell(now);
        reply
    }

    /// Lets the dialect tell of what was booked.
    fn tell(&mut self, now: Time) {
        for change in std::mem::take(&mut self.ledger.changes) {
            self.dialect.tell(&mut self.ledger, &change, now);
        }
    }
}
