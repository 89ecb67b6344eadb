//! The operator's desk: what people may ask of the engine, as a trait.
//!
//! The admin listener holds this and nothing more of the engine.

use crate::core::fact::Ruling;
use crate::core::ids::{CheckoutId, ShopId};
use crate::core::plan::RulingRefused;
use crate::store::{LoadedCheckout, StoreError};
use async_trait::async_trait;

/// Why the desk did not do it.
#[derive(Debug)]
pub enum DeskError {
    /// No such checkout, or no such shop.
    NotFound,
    /// The checkout has moved since the version named in `If-Match`.
    Moved {
        /// Its version now.
        version: i64,
    },
    /// A guard refused the ruling.
    Refused(RulingRefused),
    /// The store did not take it.
    Store(StoreError),
}

/// What came of a report, or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Payments that it names.
    pub payments: u64,
    /// Of these, how many were not known before.
    pub new: u64,
}

/// What people may ask of the engine.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// Records a ruling and decides anew; answers the checkout as it stands after it.
    async fn rule(
        &self,
        checkout: &CheckoutId,
        ruling: Ruling,
        if_version: Option<i64>,
    ) -> Result<LoadedCheckout, DeskError>;

    /// Releases a shop's brake and lets its held refunds go on under the policy.
    async fn release_brake(&self, shop: &ShopId, by: &str, note: &str) -> Result<u64, DeskError>;

    /// Asks the shop again about every order of it that settled at or after `since`; their number.
    /// What the shop no longer knows is offered to it again and then held by name.
    async fn recheck(
        &self,
        shop: &ShopId,
        since: crate::core::time::Time,
        by: &str,
        note: &str,
    ) -> Result<u64, DeskError>;

    /// Starts a sweep of one account, or of all; the number of accounts that will be swept.
    async fn sweep(
        &self,
        account: Option<&crate::core::ids::AccountId>,
        since: Option<crate::core::time::Time>,
    ) -> Result<u64, DeskError>;

    /// Takes in what a report of this account says, and waits until it is durable; how many
    /// payments it names and how many of them were not known.
    async fn import(
        &self,
        account: &crate::core::ids::AccountId,
        payments: Vec<crate::core::payment::PaymentSnapshot>,
    ) -> Result<Imported, DeskError>;
}
