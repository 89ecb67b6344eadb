//! A webshop in a box: the receiving side of the shop protocol, with its own books of orders.
//!
//! A pure state machine: time is an argument, nothing is random. It confirms an order once, however
//! often it is asked, counts how often it told each customer "thank you for your order", and never
//! confirms an order for payments it has released. Knows no socket and nothing of the daemon.

mod protocol;
mod tender;

use super::fault::{Aim, Fault, Faults, Served, Symptom, Times, serve};
use super::outbox::{Answered, Delivery, DeliveryFault, Outbox, Sealed, Sealing, flip_digit};
use super::sign::StandardSecret;
use crate::core::money::Money;
use crate::core::time::Time;
use crate::wire::Request;
use protocol::Claim;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A payment as the protocol names it: the account's key and the PSP's id.
pub type Paid = (String, String);

/// The kinds of calls that faults tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopCall {
    /// `order.confirm`.
    Confirm,
    /// `order.lookup`.
    LookUp,
    /// `order.release`.
    Release,
    /// `payment.*`.
    Notice,
    /// Anything else.
    Other,
}

/// How an order stands in the shop's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Waiting for money.
    Pending,
    /// Paid and accepted.
    Confirmed,
    /// Given up.
    Cancelled,
}

impl Standing {
    /// The protocol's word.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Confirmed => "confirmed",
            Standing::Cancelled => "cancelled",
        }
    }
}

/// An order in the shop's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopOrder {
    /// What the customer owes.
    pub amount: Money,
    /// How it stands.
    pub standing: Standing,
    /// The payments it was confirmed with.
    pub paid_by: BTreeSet<Paid>,
    /// True when the goods left.
    pub is_fulfilled: bool,
    /// How often the customer was thanked for it by mail: once is right.
    pub mails: u32,
    /// Why it was cancelled or is not confirmed yet.
    pub reason: Option<String>,
    /// True when money for it may bring it back after a cancellation.
    pub is_revivable: bool,
    /// Confirms that will be answered with "not yet".
    pub not_yet: u32,
    /// When the shop gives it up if unpaid.
    pub expires_at: Option<Time>,
    /// When the order was made, where the shop says so.
    pub created_at: Option<Time>,
}

/// A notice the shop got for its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `payment.refunded` and the like.
    pub what: String,
    /// The order, where one was named.
    pub reference: Option<String>,
}

/// A call that the shop understood, for stories that look at the order of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What was asked.
    pub kind: ShopCall,
    /// The order.
    pub reference: Option<String>,
    /// The message's id.
    pub id: String,
    /// True when this message id had been heard before.
    pub is_repeated: bool,
}

/// The shop.
#[derive(Clone)]
pub struct SandboxShop {
    secret: StandardSecret,
    orders: BTreeMap<String, ShopOrder>,
    released: BTreeSet<(String, Paid)>,
    /// The number of the latest decision to give each order up.
    given_up: BTreeMap<String, u64>,
    /// Gift cards by order: what is taken of each, and what was given back to it.
    cards: BTreeMap<String, tender::GiftCard>,
    /// What of each order cannot be delivered, in minor units.
    shares: BTreeMap<String, i64>,
    /// The words by which it calls the customers of orders.
    customers: BTreeMap<String, String>,
    /// Old references of orders that were merged into others.
    renamed: BTreeMap<String, String>,
    /// Calls that wait in a proxy.
    queued: Vec<Request>,
    known_ids: BTreeSet<String>,
    heard: Vec<Heard>,
    notices: Vec<Notice>,
    refused_signatures: u64,
    faults: Faults<ShopCall, Fault>,
    outbox: Outbox,
    epoch: u64,
    events: u64,
    tolerance_minor: i64,
    knows_nothing: bool,
    is_careless: bool,
    is_heedless: bool,
}

impl SandboxShop {
    /// A shop without orders.
    pub fn new(secret: StandardSecret) -> SandboxShop {
        SandboxShop {
            secret,
            orders: BTreeMap::new(),
            released: BTreeSet::new(),
            given_up: BTreeMap::new(),
            cards: BTreeMap::new(),
            shares: BTreeMap::new(),
            customers: BTreeMap::new(),
            renamed: BTreeMap::new(),
            queued: Vec::new(),
            known_ids: BTreeSet::new(),
            heard: Vec::new(),
            notices: Vec::new(),
            refused_signatures: 0,
            faults: Faults::default(),
            outbox: Outbox::default(),
            epoch: 1_000,
            events: 0,
            tolerance_minor: 0,
            knows_nothing: false,
            is_careless: false,
            is_heedless: false,
        }
    }

    /// The secret that signs both directions.
    pub fn secret(&self) -> &StandardSecret {
        &self.secret
    }

    /// From now on another secret signs both directions.
    pub fn change_secret(&mut self, secret: StandardSecret) {
        self.secret = secret;
    }

    /// The books.
    pub fn orders(&self) -> &BTreeMap<String, ShopOrder> {
        &self.orders
    }

    /// One order.
    pub fn order(&self, reference: &str) -> Option<&ShopOrder> {
        self.orders.get(reference)
    }

    /// Every call that was understood, oldest first.
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// Every notice, oldest first.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Calls that were not signed as they should be.
    pub fn refused_signatures(&self) -> u64 {
        self.refused_signatures
    }

    /// True when the shop has given the order up for this payment.
    pub fn has_released(&self, reference: &str, payment: &Paid) -> bool {
        self.released
            .contains(&(reference.to_owned(), payment.clone()))
    }

    /// Lays a fault in the way of calls.
    pub fn lay(&mut self, aim: Aim<ShopCall>, times: Times, fault: Fault) {
        self.faults.lay(aim, times, fault);
    }

    /// Spoils deliveries of the shop's own events.
    pub fn spoil(&mut self, reference: Option<&str>, times: Times, fault: DeliveryFault) {
        self.outbox.spoil(reference, times, fault);
    }

    /// Takes all faults away.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.outbox.heal();
    }

    /// How often a fault has struck a call or a delivery about this order.
    pub fn strikes_about(&self, reference: &str) -> usize {
        let calls = self.faults.strikes_about(reference);
        calls.saturating_add(self.outbox.strikes_about(reference))
    }

    /// A customer places an order, and the shop announces it.
    pub fn place(&mut self, reference: &str, amount: Money, now: Time) {
        self.place_quietly(reference, amount);
        self.tell("order.pending", reference, &[], now);
    }

    /// As `place`, naming the payments that were started for it.
    pub fn place_with(&mut self, reference: &str, amount: Money, payments: &[Paid], now: Time) {
        self.place_quietly(reference, amount);
        self.tell("order.pending", reference, payments, now);
    }

    /// A customer places an order, and the shop tells nobody.
    pub fn place_quietly(&mut self, reference: &str, amount: Money) {
        self.epoch = self.epoch.saturating_add(1);
        let order = ShopOrder {
            amount,
            standing: Standing::Pending,
            paid_by: BTreeSet::new(),
            is_fulfilled: false,
            mails: 0,
            reason: None,
            is_revivable: false,
            not_yet: 0,
            expires_at: None,
            created_at: None,
        };
        self.orders.insert(reference.to_owned(), order);
    }

    /// The shop or its staff cancels an order, and says so.
    pub fn cancel(&mut self, reference: &str, reason: &str, now: Time) {
        self.change(reference, |order| {
            order.standing = Standing::Cancelled;
            order.reason = Some(reason.to_owned());
        });
        self.tell("order.cancelled", reference, &[], now);
    }

    /// The shop cancels an order and tells nobody: the daemon hears of it when it asks.
    pub fn cancel_quietly(&mut self, reference: &str, reason: &str) {
        self.change(reference, |order| {
            order.standing = Standing::Cancelled;
            order.reason = Some(reason.to_owned());
        });
    }

    /// The shop confirms an order by itself, and says so.
    pub fn confirm_itself(&mut self, reference: &str, payments: &[Paid], now: Time) {
        self.change(reference, |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.extend(payments.iter().cloned());
            order.mails = order.mails.saturating_add(1);
        });
        self.tell("order.confirmed", reference, &[], now);
    }

    /// Staff changes what an order costs, and the shop says so.
    pub fn reprice(&mut self, reference: &str, amount: Money, now: Time) {
        self.change(reference, |order| order.amount = amount);
        self.tell("order.updated", reference, &[], now);
    }

    /// Changes an order in the books without a word to anyone.
    pub fn change(&mut self, reference: &str, change: impl FnOnce(&mut ShopOrder)) {
        if let Some(order) = self.orders.get_mut(reference) {
            change(order);
        }
    }

    /// The goods of every confirmed order leave.
    pub fn ship_confirmed(&mut self) {
        let confirmed = |order: &&mut ShopOrder| order.standing == Standing::Confirmed;
        for order in self.orders.values_mut().filter(confirmed) {
            order.is_fulfilled = true;
        }
    }

    /// A shop that has an order at all is `unknown` to no question; after this it knows none.
    pub fn set_knows_nothing(&mut self, knows_nothing: bool) {
        self.knows_nothing = knows_nothing;
    }

    /// A careless shop mails the customer again on every repeated confirm.
    pub fn set_careless(&mut self, is_careless: bool) {
        self.is_careless = is_careless;
    }

    /// A heedless shop looks neither at a confirm's expiry nor at its number, and keeps no promise
    /// that it made to a release.
    pub fn set_heedless(&mut self, is_heedless: bool) {
        self.is_heedless = is_heedless;
    }

    /// What the proxy kept reaches the shop now; how many calls that were.
    pub fn let_through(&mut self, now: Time) -> usize {
        let queued = std::mem::take(&mut self.queued);
        for request in &queued {
            self.handle(request, now);
        }
        queued.len()
    }

    /// What the shop still takes as the full amount, in minor units below it.
    pub fn set_tolerance(&mut self, minor: i64) {
        self.tolerance_minor = minor;
    }

    /// A copy of the books, as a backup has them.
    pub fn backup(&self) -> (BTreeMap<String, ShopOrder>, u64) {
        (self.orders.clone(), self.epoch)
    }

    /// The books become those of the backup; the epoch goes back with them.
    pub fn restore(&mut self, backup: (BTreeMap<String, ShopOrder>, u64)) {
        (self.orders, self.epoch) = backup;
        self.known_ids.clear();
        self.released.clear();
    }

    /// The shop's own events that are due, signed for now.
    pub fn take_deliveries(&mut self, now: Time) -> Vec<Delivery> {
        let secret = &self.secret;
        let nobodys = StandardSecret::from_key(b"a key that nobody shares");
        let seal = |id: &str, body: &[u8], sealing: Sealing| {
            let secret = if sealing.is_secret_wrong {
                &nobodys
            } else {
                secret
            };
            Sealed::json(secret.headers(id, sealing.at, body), body)
        };
        let corrupt = |sealed: &mut Sealed| flip_digit(&mut sealed.body);
        self.outbox.take(now, seal, corrupt)
    }

    /// Notes how a delivery ended; without a 2xx it is tried again later.
    pub fn delivered(&mut self, delivery: Delivery, status: Option<u16>, now: Time) {
        let is_taken = status.is_some_and(|code| (200..300).contains(&code));
        self.outbox.answered(delivery, status, is_taken, now);
    }

    /// How past deliveries ended, oldest first.
    pub fn deliveries(&self) -> &[Answered] {
        self.outbox.answers()
    }

    /// True when no delivery waits.
    pub fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Answers a call, under the faults that were laid.
    pub fn serve(&mut self, request: &Request, now: Time) -> Served {
        let (kind, reference) = protocol::nature(&request.body);
        let fault = self.faults.strike(kind, reference.as_deref());
        if fault.as_ref().map(|fault| &fault.symptom) == Some(&Symptom::Queue) {
            self.queued.push(request.clone());
        }
        serve(fault.as_ref(), || self.handle(request, now))
    }

    /// Books an `order.confirm`: the order as the money finds it.
    fn book_confirm(&mut self, claim: &Claim) {
        let (reference, payments) = (&claim.reference, &claim.payments);
        let tolerance = self.tolerance_minor;
        let is_stale = claim.is_expired || Some(&claim.decision) < self.given_up.get(reference);
        let is_released = payments
            .iter()
            .any(|paid| self.has_released(reference, paid));
        let Some(order) = self.orders.get_mut(reference) else {
            return;
        };
        if (is_released || is_stale) && !self.is_heedless {
            return;
        }
        match order.standing {
            Standing::Confirmed => {
                // Only a careless shop thanks its customer again.
                if self.is_careless && payments.iter().all(|paid| order.paid_by.contains(paid)) {
                    order.mails = order.mails.saturating_add(1);
                }
                return;
            }
            Standing::Cancelled if !order.is_revivable || order.is_fulfilled => return,
            Standing::Cancelled | Standing::Pending => {}
        }
        if order.not_yet > 0 {
            order.not_yet = order.not_yet.saturating_sub(1);
            order.reason = Some("in review".to_owned());
            return;
        }
        let covered = self.cards.get(reference).map_or(0, |card| card.taken);
        let least = order.amount.minor().saturating_sub(tolerance);
        let least = least.saturating_sub(covered);
        let is_enough = claim.amount.is_some_and(|paid| {
            paid.currency() == order.amount.currency() && paid.minor() >= least
        });
        if !is_enough {
            order.reason = Some("not fully paid".to_owned());
            return;
        }
        order.standing = Standing::Confirmed;
        order.paid_by.extend(payments.iter().cloned());
        order.mails = order.mails.saturating_add(1);
        order.reason = None;
    }

    /// Books an `order.release`: an order that is not confirmed is given up.
    fn book_release(&mut self, claim: &Claim) {
        let reference = &claim.reference;
        let number = self.given_up.entry(reference.clone()).or_default();
        *number = claim.decision.max(*number);
        let order = self.orders.get_mut(reference);
        match order.as_ref().map(|order| order.standing) {
            // Confirmed by these very payments: the answer will say so, and nothing is given up.
            Some(Standing::Confirmed) => {
                let paid_by = order.map(|order| order.paid_by.clone()).unwrap_or_default();
                let others = claim
                    .payments
                    .iter()
                    .filter(|paid| !paid_by.contains(*paid));
                let released = others.map(|paid| (reference.clone(), paid.clone()));
                self.released.extend(released.collect::<Vec<_>>());
                return;
            }
            Some(Standing::Pending | Standing::Cancelled) | None => {}
        }
        if let Some(order) = order {
            order.standing = Standing::Cancelled;
        }
        self.restore_card(reference);
        let released = claim
            .payments
            .iter()
            .map(|paid| (reference.clone(), paid.clone()));
        self.released.extend(released);
    }

    /// Queues an event about an order as it stands.
    fn tell(&mut self, what: &str, reference: &str, payments: &[Paid], now: Time) {
        let Some(order) = self.orders.get(reference) else {
            return;
        };
        let stamp = protocol::rfc3339(now);
        let mut about = json!({"reference": reference, "amount": order.amount, "locale": "nl-NL"});
        if let Some(fields) = about.as_object_mut() {
            let expires_at = order.expires_at.map(protocol::rfc3339);
            fields.extend(expires_at.map(|at| ("expires_at".to_owned(), json!(at))));
            let paid_by: Vec<Paid> = order.paid_by.iter().cloned().collect();
            fields.extend(self.terms(reference, order));
            for (name, list) in [("payments", payments), ("paid_by", paid_by.as_slice())] {
                if !list.is_empty() {
                    fields.insert(name.to_owned(), protocol::named(list));
                }
            }
        }
        let body = json!({"type": what, "timestamp": stamp, "data": about}).to_string();
        self.events = self.events.saturating_add(1);
        let id = format!("msg_sandbox{:010}", self.events);
        self.outbox
            .push(&id, what, Some(reference), body.as_bytes(), now);
    }
}

#[cfg(test)]
mod tests;
