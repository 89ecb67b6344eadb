//! What the shop's books know of money beside the PSP's: gift cards, sellers who cannot deliver,
//! and carts that were merged under another reference.
//!
//! Knows its own books alone.

use super::{SandboxShop, ShopOrder, Standing};
use crate::core::money::Money;
use crate::core::time::Time;
use serde_json::{Value, json};

/// A gift card used for one order, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GiftCard {
    /// Taken from it for the order.
    pub taken: i64,
    /// Given back to it.
    pub restored: i64,
    /// How often something was given back.
    pub times: u32,
}

impl SandboxShop {
    /// The customer pays so much of an order, placed or not, with a gift card.
    pub fn take_card(&mut self, reference: &str, minor: i64) {
        self.cards.entry(reference.to_owned()).or_default().taken = minor;
    }

    /// The gift card used for an order.
    pub fn card(&self, reference: &str) -> GiftCard {
        self.cards.get(reference).copied().unwrap_or_default()
    }

    pub(super) fn restore_card(&mut self, reference: &str) {
        if let Some(card) = self.cards.get_mut(reference)
            && card.taken > 0
        {
            card.restored = card.restored.saturating_add(card.taken);
            card.taken = 0;
            card.times = card.times.saturating_add(1);
        }
    }

    /// A seller cannot deliver: so much of the order, in all, must go back. The shop says so.
    pub fn drop_share(&mut self, reference: &str, minor: i64, now: Time) {
        self.shares.insert(reference.to_owned(), minor);
        self.tell("order.updated", reference, &[], now);
    }

    /// A guest's cart is merged at login: the order goes on under another reference, and answers
    /// for the old one.
    pub fn rename(&mut self, old: &str, new: &str) {
        if let Some(order) = self.orders.remove(old) {
            self.orders.insert(new.to_owned(), order);
            self.renamed.insert(old.to_owned(), new.to_owned());
        }
    }

    /// The reference that an order goes by now.
    pub fn current<'a>(&'a self, reference: &'a str) -> &'a str {
        self.renamed
            .get(reference)
            .map_or(reference, String::as_str)
    }

    /// What the PSP's payments must cover of an order, in minor units.
    pub fn owed(&self, reference: &str, order: &ShopOrder) -> i64 {
        let share = self.shares.get(reference).copied().unwrap_or(0);
        let whole = order.amount.minor();
        whole
            .saturating_sub(self.card(reference).taken)
            .saturating_sub(share)
    }

    /// From now on the shop says by this word who placed the order.
    pub fn name_customer(&mut self, reference: &str, word: &str) {
        self.customers.insert(reference.to_owned(), word.to_owned());
    }

    /// The fields in which an order says more than its amount.
    pub(super) fn terms(&self, reference: &str, order: &ShopOrder) -> Vec<(String, Value)> {
        let money = |minor: i64| json!(Money::new(minor, order.amount.currency()));
        let card = self.cards.get(reference);
        let card = card.map(|card| ("paid_otherwise".to_owned(), money(card.taken)));
        let share = self.shares.get(reference);
        let share = share.map(|share| ("give_back".to_owned(), money(*share)));
        let customer = self.customers.get(reference);
        let customer = customer.map(|word| ("customer".to_owned(), json!(word)));
        let is_cancelled = order.standing == Standing::Cancelled;
        let reason = order.reason.as_deref().unwrap_or("cancelled");
        let end = is_cancelled.then(|| {
            let fulfilled = ("fulfilled".to_owned(), json!(order.is_fulfilled));
            [fulfilled, ("reason".to_owned(), json!(reason))]
        });
        let terms = card.into_iter().chain(share).chain(customer);
        terms.chain(end.into_iter().flatten()).collect()
    }
}
