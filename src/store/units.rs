//! Checkouts, their journal and actions as stored, and the units in which they change.
//!
//! Plain values; why a checkout changes is decided elsewhere.

use super::watch::Tally;
use super::{Delivery, Disposition, Sighting};
use crate::core::ids::{
    ActionKey, CheckoutId, CheckoutRef, OrderRef, PaymentRef, Reference, ShopId,
};
use crate::core::money::Money;
use crate::core::plan::{Destination, Planned, Reason, Verdict};
use crate::core::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// One checkout as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRow {
    /// Ours.
    pub id: CheckoutId,
    /// The shop.
    pub shop: ShopId,
    /// The order's reference, if known.
    pub reference: Option<Reference>,
    /// Where it stands.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Since when the verdict stands.
    pub since: Time,
    /// When it was made.
    pub created_at: Time,
    /// Captured money that is neither settled nor back; the first currency's.
    pub in_suspense: Option<Money>,
    /// When to look again.
    pub wake_at: Option<Time>,
    /// Grows by one with every commit; starts at 1.
    pub version: i64,
    /// Hash of the latest journal entry, hex.
    pub head: String,
    /// The state, as JSON.
    pub document: String,
}

impl CheckoutRow {
    /// By what it is found in one place.
    pub fn named(&self) -> CheckoutRef {
        CheckoutRef {
            shop: self.shop.clone(),
            id: self.id.clone(),
        }
    }
}

/// A checkout with its standing actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCheckout {
    /// The row.
    pub row: CheckoutRow,
    /// Its actions.
    pub actions: Vec<ActionRow>,
    /// Actions of it that cannot be read: which, and why. While there is one, nobody knows what was
    /// asked for it, so nothing may be decided about it.
    pub unreadable: Vec<String>,
}

/// One wanted action as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// The checkout that wants it.
    pub checkout: CheckoutId,
    /// The shop of that checkout.
    pub shop: ShopId,
    /// The decision's key, unique within the checkout.
    pub key: ActionKey,
    /// What to do.
    pub planned: Planned,
    /// Attempts leased so far.
    pub attempts: u32,
    /// When the latest attempt was leased (those given back unused do not count).
    pub last_sent_at: Option<Time>,
    /// The standing lease.
    pub lease: Option<Lease>,
}

impl ActionRow {
    /// By what its checkout is found in one place.
    pub fn named(&self) -> CheckoutRef {
        CheckoutRef {
            shop: self.shop.clone(),
            id: self.checkout.clone(),
        }
    }
}

/// The right to carry out one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; unique per lease.
    pub token: String,
    /// Until when.
    pub until: Time,
}

/// What to load for a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By shop and our id.
    pub checkouts: Vec<CheckoutRef>,
    /// By our id alone, whatever the shop: a store that is spread is asked in all its parts.
    pub ids: Vec<CheckoutId>,
    /// By order.
    pub orders: Vec<OrderRef>,
    /// By payment.
    pub payments: Vec<PaymentRef>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The checkouts, by our id.
    pub checkouts: BTreeMap<CheckoutId, LoadedCheckout>,
    /// Which of them has the order.
    pub orders: BTreeMap<OrderRef, CheckoutId>,
    /// Which of them has the payment.
    pub payments: BTreeMap<PaymentRef, CheckoutId>,
}

/// One entry of a checkout's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// The checkout's version after it; the first is 1.
    pub seq: i64,
    /// When.
    pub at: Time,
    /// The facts learned, as a JSON array.
    pub facts: String,
    /// The decision: verdict, reason, actions, wake-up, as JSON.
    pub decision: String,
    /// Hash of the entry before, hex; empty for the first.
    pub previous: String,
    /// SHA-256 over `previous`, checkout, seq, at, facts and decision, hex.
    pub hash: String,
}

/// One checkout's part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutCommit {
    /// The new row; `version` is the new version.
    pub row: CheckoutRow,
    /// The journal entry with `seq == row.version`.
    pub entry: JournalEntry,
    /// The whole set of wanted actions: new ones are added, known ones get the new due time and
    /// content unless leased, others are removed unless leased.
    pub actions: Vec<Planned>,
    /// Leases that end with this commit: the action, and the token that must still hold it. A
    /// lease that is held by another token by now is left alone.
    pub released: Vec<(ActionKey, String)>,
    /// The standing leases of actions with weight (a confirm, a release, a refund, a void, a refund's
    /// cancellation) that this was decided with. When one more stands by now, it conflicts.
    pub under_way: BTreeSet<ActionKey>,
    /// Payments that from now on live here.
    pub payments: Vec<PaymentRef>,
}

impl CheckoutCommit {
    /// True for an action that is wanted from now on.
    pub(super) fn wants(&self, key: &ActionKey) -> bool {
        self.actions.iter().any(|planned| planned.key == *key)
    }
}

/// A unit of change: all of it or none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitUnit {
    /// Checkouts that change together.
    pub checkouts: Vec<CheckoutCommit>,
    /// Deliveries that are dealt with by this change.
    pub deliveries: Vec<(i64, Disposition)>,
    /// What counts.
    pub tallies: Vec<Tally>,
    /// Greatest epoch heard from a shop.
    pub epochs: Vec<(ShopId, u64)>,
    /// Checkouts of this unit that came to be recognised otherwise than before, or not at all.
    pub sightings: Vec<(CheckoutRef, Option<Sighting>)>,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Durable.
    Done,
    /// A checkout had moved, or was made meanwhile, or something with weight left meanwhile, or a
    /// payment lives elsewhere by now, or one of its deliveries was dealt with: nothing of this unit
    /// happened; load and decide again.
    Conflict,
    /// All its deliveries were dealt with by somebody else: nothing of this unit happened, and of
    /// the deliveries nothing is left to do.
    Late,
}

/// Asks for work to decide.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Now.
    pub now: Time,
    /// Until when the others leave it to us.
    pub until: Time,
    /// Who asks.
    pub holder: String,
    /// Deliveries at most.
    pub deliveries: u32,
    /// Checkouts at most.
    pub checkouts: u32,
}

/// Work to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Deliveries that wait, oldest first.
    pub deliveries: Vec<Delivery>,
    /// Checkouts whose wake-up is due, longest overdue first.
    pub checkouts: Vec<CheckoutRef>,
}

/// Which actions may be leased now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Due by now.
    pub now: Time,
    /// The lease runs until then.
    pub until: Time,
    /// Prefix of the tokens to give out; the store appends something unique.
    pub holder: String,
    /// At most so many.
    pub limit: u32,
    /// At most so many per destination; a destination with zero or without an entry gets none.
    pub room: BTreeMap<Destination, u32>,
    /// False keeps refunds and voids back (own downtime not yet swept, brake, draining).
    pub with_refunds: bool,
}

/// What the dispatcher got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// Carry out this attempt (`attempts` counts it already).
    Attempt(ActionRow),
    /// The lease of the latest attempt ran out with no answer recorded: report that attempt as
    /// unclear under the given token; do not send.
    Lost(ActionRow),
    /// What is stored of an action cannot be read; where and why. It is leased like the others, so that
    /// it stands in nobody's way, and found again when its lease has run out: do not send.
    Unreadable(String),
}
