//! What a shop adapter is: verify and read the shop's events, build our requests, read answers.
//!
//! Pure over bytes, like the PSP adapters, and knowing only the core. Only an explicit status in
//! the agreed shape is an answer.

pub mod generic;
pub mod signature;

use crate::core::ids::{ActionKey, PaymentRef, Reference};
use crate::core::money::Money;
use crate::core::order::OrderSnapshot;
use crate::core::plan::{Notice, PaidPart, Reason};
use crate::core::time::Time;
pub use crate::wire::{Failure, RawDelivery, Unreadable, Verification, is_usual_signature_field};
use crate::wire::{Reply, Request};

/// What one call asks of a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShopAsk {
    /// Mark the order paid.
    Confirm {
        /// The order.
        reference: Reference,
        /// The payments that pay it.
        payments: Vec<PaidPart>,
        /// Their sum.
        amount: Money,
        /// True if the order had expired or was cancelled.
        late: bool,
        /// The decision's number: a confirm below that of a handled release is stale.
        decision: u32,
    },
    /// Say how the order stands.
    LookUp {
        /// The order.
        reference: Reference,
    },
    /// Give the order up for these payments.
    Release {
        /// The order.
        reference: Reference,
        /// The payments about to be refunded.
        payments: Vec<PaidPart>,
        /// The decision's number.
        decision: u32,
        /// What other means cover, as far as the shop has said: it gives that back itself.
        paid_otherwise: Option<Money>,
    },
    /// Tell the customer.
    Notify {
        /// What about.
        notice: Notice,
        /// The order, where one is named.
        reference: Option<Reference>,
        /// Which payment.
        payment: PaymentRef,
        /// How much.
        amount: Money,
        /// Why.
        reason: Reason,
        /// When it happened.
        at: Time,
    },
}

/// How a call to a shop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShopAnswer {
    /// An explicit status.
    Said {
        /// What it says about the order.
        order: Box<OrderSnapshot>,
        /// The shop's growing number, if it gave one.
        epoch: Option<u64>,
    },
    /// A 2xx to a notice.
    Accepted,
    /// No usable answer, and what kind of none.
    Failed(Failure),
}

/// One shop, ready to verify, read, ask and understand.
pub trait Shop: Send + Sync + 'static {
    /// Checks an event over its raw bytes, in constant time, against every live secret.
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification;

    /// True for the header fields (names in lower case) that `verify` looks at: kept with a
    /// rejected event so that it can be verified again. Must not name fields that hold a
    /// reusable credential.
    fn is_signature_field(&self, name: &str) -> bool {
        is_usual_signature_field(name)
    }

    /// When a verified event was sent off, if it says so and says the same whenever it comes. Nothing
    /// is decided by it; events of one time are kept together.
    fn told_at(&self, _body: &[u8]) -> Option<Time> {
        None
    }

    /// Reads an event that was verified.
    fn read(&self, body: &[u8], received_at: Time) -> Result<OrderSnapshot, Unreadable>;

    /// True when this is the bearer token with which the shop may read its checkouts.
    fn admits_reader(&self, bearer: &str) -> bool;

    /// Builds the signed call. `id` is the action's own id, the same on every retry.
    fn request(&self, ask: &ShopAsk, id: &str, now: Time) -> Request;

    /// Reads the reply to a call that left at `asked_at`.
    fn answer(
        &self,
        ask: &ShopAsk,
        key: &ActionKey,
        asked_at: Time,
        now: Time,
        reply: &Reply,
    ) -> ShopAnswer;
}
