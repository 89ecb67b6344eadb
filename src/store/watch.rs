//! What is watched and shown: tallies and brakes, sweep marks, lists, counts and retention.
//!
//! Plain values; the limits they are held against are policy and live elsewhere.

use super::units::CheckoutRow;
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, Reference, ShopId};
use crate::core::money::Money;
use crate::core::plan::{ActionKind, Verdict};
use crate::core::time::{Span, Time};
use std::collections::BTreeMap;

/// What counts towards the guard's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TallyKind {
    /// A payment was first seen captured.
    Capture,
    /// A refund was leased for its first attempt.
    Refund,
    /// The shop answered a question about an order for the first time in this checkout.
    OrderAnswered,
    /// … and the answer was `unknown`.
    OrderUnknown,
    /// Money was taken by a payment that no rule claims. Shown, and held against no limit.
    Unclaimed,
}

impl TallyKind {
    /// All kinds.
    pub const ALL: [TallyKind; 5] = [
        TallyKind::Capture,
        TallyKind::Refund,
        TallyKind::OrderAnswered,
        TallyKind::OrderUnknown,
        TallyKind::Unclaimed,
    ];

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<TallyKind> {
        TallyKind::ALL.into_iter().find(|kind| kind.code() == word)
    }

    /// The word in the store.
    pub fn code(self) -> &'static str {
        match self {
            TallyKind::Capture => "capture",
            TallyKind::Refund => "refund",
            TallyKind::OrderAnswered => "order_answered",
            TallyKind::OrderUnknown => "order_unknown",
            TallyKind::Unclaimed => "unclaimed",
        }
    }
}

/// One thing counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// For which shop.
    pub shop: ShopId,
    /// When.
    pub at: Time,
    /// What.
    pub kind: TallyKind,
    /// Its amount, where it has one.
    pub amount: Option<Money>,
}

/// What one shop's tallies sum to over a window. Tallies are kept by the minute; a window takes
/// in the whole minute it begins in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallySums {
    /// Count per kind.
    pub counts: BTreeMap<TallyKind, u64>,
    /// Sums of refunds, one entry per currency.
    pub refunded: Vec<Money>,
    /// Sums that no rule claims, one entry per currency.
    pub unclaimed: Vec<Money>,
}

/// A sweep's mark: how far a listing was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepMark {
    /// The account.
    pub account: AccountId,
    /// Which listing.
    pub listing: u8,
    /// Everything before this was listed whole at least once.
    pub mark: Time,
    /// When the latest whole sweep ended.
    pub swept_at: Option<Time>,
    /// What stopped the latest sweep, if it was stopped.
    pub last_error: Option<String>,
}

/// What the store keeps about a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopRow {
    /// The shop.
    pub shop: ShopId,
    /// The greatest epoch heard.
    pub epoch: Option<u64>,
    /// The standing brake.
    pub brake: Option<(BrakeCause, Time)>,
}

/// One start of a daemon on a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which start of this store it is, from 1.
    pub generation: u64,
    /// Where the start before it was; none at the first.
    pub before: Option<String>,
}

/// Filter and order of a list of checkouts: those in trouble longest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutFilter {
    /// Of this shop.
    pub shop: Option<ShopId>,
    /// With one of these verdicts; empty for all.
    pub verdicts: Vec<Verdict>,
    /// Whose verdict stands since before this.
    pub since_before: Option<Time>,
    /// With this reference.
    pub reference: Option<Reference>,
    /// After this position: the last row's `(since, id)`.
    pub after: Option<(Time, CheckoutId)>,
    /// At most so many.
    pub limit: u32,
}

impl CheckoutFilter {
    /// True when the row belongs into the list, its limit aside.
    pub fn takes(&self, row: &CheckoutRow) -> bool {
        let position = |(since, id): &(Time, CheckoutId)| (row.since, &row.id) > (*since, id);
        self.shop.as_ref().is_none_or(|shop| *shop == row.shop)
            && (self.verdicts.is_empty() || self.verdicts.contains(&row.verdict))
            && self.since_before.is_none_or(|before| row.since < before)
            && (self.reference.is_none() || self.reference == row.reference)
            && self.after.as_ref().is_none_or(position)
    }
}

/// One line of the overview: checkouts of a shop by verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictCount {
    /// The shop.
    pub shop: ShopId,
    /// The verdict.
    pub verdict: Verdict,
    /// How many.
    pub count: u64,
    /// Their money in suspense, one entry per currency.
    pub in_suspense: Vec<Money>,
    /// Since when the oldest stands; nothing for verdicts at rest.
    pub oldest: Option<Time>,
}

/// Sizes and ages that on-call asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries waiting for the engine.
    pub deliveries_pending: u64,
    /// When the oldest of them arrived.
    pub oldest_delivery: Option<Time>,
    /// Deliveries parked.
    pub deliveries_parked: u64,
    /// Entries in quarantine.
    pub quarantined: u64,
    /// Actions wanted, per kind.
    pub actions: BTreeMap<ActionKind, u64>,
    /// Due time of the most overdue action.
    pub oldest_due: Option<Time>,
}

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bodies of deliveries that were dealt with (their ids stay until `checkouts`).
    pub bodies: Span,
    /// Checkouts at rest, with their journals, payments and delivery ids.
    pub checkouts: Span,
    /// Most rows touched by one pruning step.
    pub rows_max: u32,
}
