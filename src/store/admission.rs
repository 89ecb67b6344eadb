//! Which units of a commit may happen, judged against what a store holds at that moment.
//!
//! One rule for every store. Reads values only; whoever calls it holds the write lock, so that
//! what was judged is what is written.

use super::{CheckoutCommit, CommitUnit, Committed, StoreError};
use crate::core::ids::{ActionKey, CheckoutId, OrderRef, PaymentRef};
use std::collections::{BTreeMap, BTreeSet};

/// A checkout as the store holds it now, as far as admission asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its version.
    pub(super) version: i64,
    /// Its journal's head.
    pub(super) head: String,
    /// The actions with weight that are leased.
    pub(super) under_way: BTreeSet<ActionKey>,
}

/// What the store holds of everything that the units name.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The checkouts that exist.
    pub(super) checkouts: BTreeMap<CheckoutId, Held>,
    /// Where the named orders live.
    pub(super) orders: BTreeMap<OrderRef, CheckoutId>,
    /// Where the named payments live.
    pub(super) payments: BTreeMap<PaymentRef, CheckoutId>,
    /// Which of the named deliveries wait.
    pub(super) pending: BTreeSet<i64>,
}

/// One result per unit, in order. A unit that touches what an earlier one of the batch changed
/// was decided on an outdated state and conflicts. An entry that does not continue its
/// checkout's journal is an error of the caller and refuses the whole commit.
pub(super) fn judge(units: &[CommitUnit], mut known: Known) -> Result<Vec<Committed>, StoreError> {
    let mut touched = BTreeSet::new();
    let mut results = Vec::with_capacity(units.len());
    for unit in units {
        check_shape(unit)?;
        if is_late(unit, &known) {
            results.push(Committed::Late);
        } else if admits(unit, &known, &touched)? {
            take(unit, &mut known, &mut touched);
            results.push(Committed::Done);
        } else {
            results.push(Committed::Conflict);
        }
    }
    Ok(results)
}

/// Two daemons may have read the same deliveries, and one is too late.
fn is_late(unit: &CommitUnit, known: &Known) -> bool {
    let mut deliveries = unit.deliveries.iter();
    !unit.deliveries.is_empty() && !deliveries.any(|(id, _)| known.pending.contains(id))
}

fn admits(
    unit: &CommitUnit,
    known: &Known,
    touched: &BTreeSet<CheckoutId>,
) -> Result<bool, StoreError> {
    let mut own = BTreeSet::new();
    for commit in &unit.checkouts {
        let row = &commit.row;
        let held = known.checkouts.get(&row.id);
        let follows = held.map_or(0, |held| held.version).checked_add(1) == Some(row.version);
        let is_informed = held.is_none_or(|held| held.under_way.is_subset(&commit.under_way));
        if !follows || !is_informed || touched.contains(&row.id) {
            return Ok(false);
        }
        own.insert(&row.id);
        if commit.entry.previous != held.map_or("", |held| &held.head) {
            return Err(broken(commit, "previous", "does not continue the journal"));
        }
    }
    let orders_fit = unit.checkouts.iter().all(|commit| {
        let home = order(commit).and_then(|order| known.orders.get(&order));
        home.is_none_or(|home| *home == commit.row.id)
    });
    let payments_fit = unit.checkouts.iter().all(|commit| {
        let mut homes = commit.payments.iter().map(|one| known.payments.get(one));
        homes.all(|home| home.is_none_or(|home| own.contains(home)))
    });
    let mut deliveries = unit.deliveries.iter();
    let deliveries_wait = deliveries.all(|(id, _)| known.pending.contains(id));
    Ok(orders_fit && payments_fit && deliveries_wait)
}

fn take(unit: &CommitUnit, known: &mut Known, touched: &mut BTreeSet<CheckoutId>) {
    for commit in &unit.checkouts {
        touched.insert(commit.row.id.clone());
        if let Some(order) = order(commit) {
            known.orders.insert(order, commit.row.id.clone());
        }
        for payment in &commit.payments {
            known
                .payments
                .insert(payment.clone(), commit.row.id.clone());
        }
    }
    for (id, _) in &unit.deliveries {
        known.pending.remove(id);
    }
}

/// The order that a commit's row names.
pub(super) fn order(commit: &CheckoutCommit) -> Option<OrderRef> {
    commit.row.reference.clone().map(|reference| OrderRef {
        shop: commit.row.shop.clone(),
        reference,
    })
}

/// What no state of the store could make right: entries that are not their row's own, and one
/// thing named twice in a unit.
fn check_shape(unit: &CommitUnit) -> Result<(), StoreError> {
    let (mut checkouts, mut orders) = (BTreeSet::new(), BTreeSet::new());
    let (mut payments, mut deliveries) = (BTreeSet::new(), BTreeSet::new());
    for commit in &unit.checkouts {
        let (row, entry) = (&commit.row, &commit.entry);
        if entry.checkout != row.id {
            return Err(broken(commit, "checkout", "is another checkout's"));
        }
        if entry.seq != row.version {
            return Err(broken(commit, "seq", "is not the row's version"));
        }
        if entry.hash != row.head {
            return Err(broken(commit, "hash", "is not the row's head"));
        }
        if !checkouts.insert(&row.id) {
            return Err(broken(commit, "checkout", "comes twice in one unit"));
        }
        if order(commit).is_some_and(|order| !orders.insert(order)) {
            return Err(broken(commit, "checkout", "shares its order in one unit"));
        }
        if !commit.payments.iter().all(|one| payments.insert(one)) {
            return Err(broken(commit, "checkout", "shares a payment in one unit"));
        }
    }
    match unit
        .deliveries
        .iter()
        .find(|(id, _)| !deliveries.insert(id))
    {
        Some((id, _)) => Err(StoreError::Corrupt {
            table: "inbox",
            column: "id",
            row: id.to_string(),
            detail: "comes twice in one unit; nothing was written".to_owned(),
        }),
        None => Ok(()),
    }
}

fn broken(commit: &CheckoutCommit, column: &'static str, detail: &str) -> StoreError {
    StoreError::Corrupt {
        table: "journal",
        column,
        row: format!("{}/{}", commit.row.id, commit.entry.seq),
        detail: format!("the entry to be written {detail}; nothing was written"),
    }
}
