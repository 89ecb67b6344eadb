//! What the store holds before the listener is asked: rows made by hand, committed to the memory
//! store through its own interface.
//!
//! Versions and hashes are made up here so that every journal is whole; nothing is kept here.

use crate::support::failing_store::{FailingStore, at_once};
use reconciled::core::fact::BrakeCause;
use reconciled::core::plan::Decision;
use reconciled::core::time::Time;
use reconciled::store::*;
use std::collections::BTreeSet;

use super::rows::{chained, entry, shop};

/// What is to be in the store.
#[derive(Default)]
pub(super) struct Stock {
    pub(super) rows: Vec<LoadedCheckout>,
    /// Of the first row; its version becomes the last entry's.
    pub(super) journal: Vec<JournalEntry>,
    pub(super) parked: Vec<ParkedDelivery>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) brake: Option<(BrakeCause, Time)>,
    /// Every call fails.
    pub(super) is_down: bool,
}

impl Stock {
    /// The store that holds it.
    pub(super) fn into_store(mut self) -> FailingStore {
        let store = FailingStore::default();
        let mut told = std::mem::take(&mut self.journal);
        for loaded in self.rows {
            let journal = match told.is_empty() {
                false => chained(std::mem::take(&mut told)),
                true => quiet_journal(&loaded.row),
            };
            put_checkout(store.inner(), &loaded, journal);
        }
        for parked in &self.parked {
            put_parked(store.inner(), parked);
        }
        let bounds = QuarantineBounds {
            entries_max: 100,
            bytes_max: 1_000_000,
        };
        for entry in &self.quarantined {
            at_once(store.inner().quarantine(entry, bounds));
        }
        at_once(store.inner().set_brake(&shop(), self.brake));
        store.fail(self.is_down);
        store
    }
}

/// As many entries as the row has versions, each with the same decision and nothing learned.
fn quiet_journal(row: &CheckoutRow) -> Vec<JournalEntry> {
    let decision = Decision {
        verdict: row.verdict,
        reason: row.reason,
        actions: Vec::new(),
        withheld: Vec::new(),
        wake_at: row.wake_at,
        in_suspense: row.in_suspense.into_iter().collect(),
    };
    let quiet = |seq| JournalEntry {
        checkout: row.id.clone(),
        ..entry(seq, row.since, &[], &decision)
    };
    chained((1..=row.version).map(quiet).collect())
}

fn put_checkout(store: &dyn Store, loaded: &LoadedCheckout, journal: Vec<JournalEntry>) {
    let planned = loaded.actions.iter().map(|action| action.planned.clone());
    let actions: Vec<_> = planned.collect();
    for entry in journal {
        let commit = CheckoutCommit {
            row: CheckoutRow {
                version: entry.seq,
                head: entry.hash.clone(),
                ..loaded.row.clone()
            },
            entry,
            actions: actions.clone(),
            released: Vec::new(),
            under_way: BTreeSet::new(),
            payments: Vec::new(),
        };
        let unit = CommitUnit {
            checkouts: vec![commit],
            ..CommitUnit::default()
        };
        assert_eq!(at_once(store.commit(&[unit])), [Committed::Done]);
    }
}

fn put_parked(store: &dyn Store, parked: &ParkedDelivery) {
    let delivery = NewDelivery {
        sender: parked.sender.clone(),
        delivery_id: parked.delivery_id.clone(),
        received_at: parked.received_at,
        told_at: None,
        is_signed: true,
        body: Vec::new(),
    };
    assert_eq!(at_once(store.append(&[delivery])), [Appended::New]);
    let waiting = at_once(store.pending(1)).remove(0);
    let why = parked.why.clone();
    let unit = CommitUnit {
        deliveries: vec![(waiting.id, Disposition::Parked { why })],
        ..CommitUnit::default()
    };
    assert_eq!(at_once(store.commit(&[unit])), [Committed::Done]);
}
