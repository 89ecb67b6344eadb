//! What reaches the engine: deliveries, due wake-ups, reports of calls, sweeps and rulings.
//!
//! Plain values. Whoever makes them has decided nothing.

use crate::core::fact::{Fact, Ruling};
use crate::core::ids::{AccountId, ActionKey, CheckoutId, CheckoutRef, ExternalRef, ShopId};
use crate::core::payment::PaymentSnapshot;
use crate::desk::DeskError;
use crate::store::{Delivery, LoadedCheckout, StoreError};
use tokio::sync::oneshot;

/// One thing for the engine to take in.
#[derive(Debug)]
pub enum Input {
    /// A delivery from the inbox.
    Delivery(Delivery),
    /// A checkout whose wake-up is due.
    Due(CheckoutRef),
    /// How a call ended.
    Report(Report),
    /// What a sweep listed.
    Swept(Swept),
    /// An operator's ruling.
    Ruled(Ruled),
    /// Facts about one checkout from inside the house (a brake released).
    Told {
        /// Which checkout.
        checkout: CheckoutRef,
        /// What it learns.
        facts: Vec<Fact>,
    },
}

/// How one attempt of an action ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The checkout that wanted it.
    pub checkout: CheckoutId,
    /// Its shop.
    pub shop: ShopId,
    /// The action.
    pub key: ActionKey,
    /// The lease under which it was carried out.
    pub token: String,
    /// The end of the attempt, and whatever the answer said.
    pub facts: Vec<Fact>,
    /// The shop's growing number, if it gave one.
    pub epoch: Option<u64>,
}

impl Report {
    /// By what its checkout is found in one place.
    pub fn named(&self) -> CheckoutRef {
        CheckoutRef {
            shop: self.shop.clone(),
            id: self.checkout.clone(),
        }
    }
}

/// What one page of a sweep showed.
#[derive(Debug)]
pub struct Swept {
    /// The account.
    pub account: AccountId,
    /// Statements.
    pub payments: Vec<PaymentSnapshot>,
    /// Payments to fetch.
    pub hints: Vec<ExternalRef>,
    /// Answered once everything is durable.
    pub done: oneshot::Sender<Result<(), StoreError>>,
}

/// An operator's ruling and where its answer goes.
#[derive(Debug)]
pub struct Ruled {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// What was decided.
    pub ruling: Ruling,
    /// The version the operator saw.
    pub if_version: Option<i64>,
    /// Answered once it is durable or refused.
    pub done: oneshot::Sender<Result<LoadedCheckout, DeskError>>,
}
