//! Settled orders that look like one purchase made twice: what is kept of each, and what is shown.
//!
//! Plain values. Nothing here moves money: a likeness is for people to look at.

use crate::core::ids::{CheckoutId, Reference, ShopId};
use crate::core::money::Money;
use crate::core::time::{Span, Time};

/// Orders that are alike count as one purchase made twice when they were paid within this long.
pub const ALIKE_WITHIN: Span = Span::from_minutes(30);

/// What a settled order of a named customer is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The shop.
    pub shop: ShopId,
    /// The customer's mark.
    pub mark: String,
    /// What the order costs.
    pub amount: Money,
    /// When its money was first seen taken.
    pub paid_at: Time,
}

impl Sighting {
    /// Same shop, customer and amount, paid at about the same time.
    pub fn is_like(&self, other: &Sighting) -> bool {
        let apart = self
            .paid_at
            .since(other.paid_at)
            .max(other.paid_at.since(self.paid_at));
        (&self.shop, &self.mark, self.amount) == (&other.shop, &other.mark, other.amount)
            && apart <= ALIKE_WITHIN
    }
}

/// A settled order that looks like another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// The order's checkout.
    pub checkout: CheckoutId,
    /// Its shop.
    pub shop: ShopId,
    /// Its reference.
    pub reference: Option<Reference>,
    /// The checkout of the other one.
    pub twin: CheckoutId,
    /// What each of them costs.
    pub amount: Money,
    /// When its money was first seen taken.
    pub paid_at: Time,
}
