//! Commits in memory, and what is let go of.
//!
//! Which units may happen is judged by `admission`, as for the durable stores.

use super::state::{KeptCheckout, State};
use crate::core::ids::{ActionKey, CheckoutId};
use crate::core::time::Time;
use crate::store::admission::{Held, Known, judge, order};
use crate::store::rows::minute;
use crate::store::{
    ActionRow, CheckoutCommit, CommitUnit, Committed, Disposition, Retention, StoreError,
    TALLIES_KEPT,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl State {
    pub(super) fn commit(&mut self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        let results = judge(units, self.known(units))?;
        for (unit, result) in units.iter().zip(&results) {
            match result {
                Committed::Done => self.apply(unit),
                Committed::Conflict | Committed::Late => {}
            }
        }
        Ok(results)
    }

    fn known(&self, units: &[CommitUnit]) -> Known {
        let mut known = Known::default();
        for unit in units {
            for commit in &unit.checkouts {
                let id = &commit.row.id;
                if let Some(kept) = self.checkouts.get(id) {
                    let held = Held {
                        version: kept.row.version,
                        head: kept.row.head.clone(),
                        under_way: self.under_way(id),
                    };
                    known.checkouts.insert(id.clone(), held);
                }
                if let Some(order) = order(commit)
                    && let Some(home) = self.orders.get(&order)
                {
                    known.orders.insert(order, home.clone());
                }
                for payment in &commit.payments {
                    if let Some(home) = self.payments.get(payment) {
                        known.payments.insert(payment.clone(), home.clone());
                    }
                }
            }
            let named = unit.deliveries.iter().map(|(id, _)| *id);
            let waiting = named.filter(|id| self.pending.contains(id));
            known.pending.extend(waiting);
        }
        known
    }

    fn under_way(&self, id: &CheckoutId) -> BTreeSet<ActionKey> {
        let actions = self.actions.get(id).into_iter().flatten();
        let leased = actions.filter(|(_, kept)| kept.lease.is_some());
        let weighty = leased.filter(|(_, kept)| kept.planned.action.kind().has_weight());
        weighty.map(|(key, _)| key.clone()).collect()
    }

    fn apply(&mut self, unit: &CommitUnit) {
        for commit in &unit.checkouts {
            self.apply_checkout(commit);
        }
        self.see(&unit.sightings);
        for (id, disposition) in &unit.deliveries {
            self.pending.remove(id);
            if let Some(kept) = self.inbox.get_mut(id) {
                kept.disposition = Some(disposition.clone());
            }
        }
        for tally in &unit.tallies {
            self.count(tally);
        }
        for (shop, epoch) in &unit.epochs {
            let row = self.shop_mut(shop);
            row.epoch = row.epoch.max(Some(*epoch));
        }
    }

    fn apply_checkout(&mut self, commit: &CheckoutCommit) {
        let id = &commit.row.id;
        if let Some(order) = order(commit) {
            self.orders.insert(order, id.clone());
        }
        for payment in &commit.payments {
            self.payments.insert(payment.clone(), id.clone());
        }
        let journal = self.journal.entry(id.clone()).or_default();
        journal.insert(commit.entry.seq, Arc::new(commit.entry.clone()));
        let kept = KeptCheckout {
            row: Arc::new(commit.row.clone()),
            changed_at: commit.entry.at,
        };
        self.checkouts.insert(id.clone(), kept);
        let mut actions = self.actions.remove(id).unwrap_or_default();
        sync_actions(&mut actions, commit);
        if !actions.is_empty() {
            self.actions.insert(id.clone(), actions);
        }
    }

    /// One step. The first kind that has something to let go of uses it up.
    pub(super) fn prune(&mut self, now: Time, retention: Retention) -> u64 {
        let most = usize::try_from(retention.rows_max).unwrap_or(usize::MAX);
        let before = now.minus(retention.checkouts);
        let mut pruned = self.prune_bodies(now.minus(retention.bodies), most);
        if pruned == 0 {
            pruned = self.prune_deliveries(before, most);
        }
        if pruned == 0 {
            pruned = self.prune_checkouts(before, most);
        }
        if pruned == 0 {
            pruned = self.prune_tallies(minute(now.minus(TALLIES_KEPT)), most);
        }
        u64::try_from(pruned).unwrap_or(u64::MAX)
    }

    fn prune_bodies(&mut self, before: Time, most: usize) -> usize {
        let old = self.inbox.range_mut(..before.micros());
        let dealt_with = old.filter(|(_, kept)| {
            let is_done = match kept.disposition {
                Some(Disposition::Taken | Disposition::Ignored) => true,
                Some(Disposition::Parked { .. }) | None => false,
            };
            is_done && kept.has_body
        });
        let mut pruned = 0_usize;
        for (_, kept) in dealt_with.take(most) {
            Arc::make_mut(&mut kept.delivery).body = Vec::new();
            kept.has_body = false;
            pruned = pruned.saturating_add(1);
        }
        pruned
    }

    fn prune_deliveries(&mut self, before: Time, most: usize) -> usize {
        let old = self.inbox.range(..before.micros());
        let dealt_with = old.filter(|(_, kept)| kept.disposition.is_some());
        let ids: Vec<i64> = dealt_with.map(|(id, _)| *id).take(most).collect();
        for id in &ids {
            if let Some(kept) = self.inbox.remove(id) {
                self.delivered.remove(&kept.key);
            }
        }
        ids.len()
    }

    fn prune_checkouts(&mut self, before: Time, most: usize) -> usize {
        let is_past = |id: &CheckoutId, kept: &KeptCheckout| {
            let mut actions = self.actions.get(id).into_iter().flat_map(BTreeMap::values);
            kept.row.verdict.is_at_rest()
                && kept.row.wake_at.is_none()
                && kept.changed_at < before
                && actions.all(|action| action.lease.is_none())
        };
        let past = self.checkouts.iter().filter(|(id, kept)| is_past(id, kept));
        let ids: Vec<CheckoutId> = past.map(|(id, _)| id.clone()).take(most).collect();
        self.unsee(ids.iter());
        for id in &ids {
            self.checkouts.remove(id);
            self.journal.remove(id);
            self.actions.remove(id);
            self.orders.retain(|_, home| home != id);
            self.payments.retain(|_, home| home != id);
        }
        ids.len()
    }

    fn prune_tallies(&mut self, before: i64, most: usize) -> usize {
        let old = self.tallies.keys().filter(|(_, at, _, _)| *at < before);
        let keys: Vec<_> = old.take(most).cloned().collect();
        for key in &keys {
            self.tallies.remove(key);
        }
        keys.len()
    }
}

fn sync_actions(actions: &mut BTreeMap<ActionKey, ActionRow>, commit: &CheckoutCommit) {
    for (key, token) in &commit.released {
        if let Some(kept) = actions.get_mut(key)
            && kept
                .lease
                .as_ref()
                .is_some_and(|lease| lease.token == *token)
        {
            kept.lease = None;
        }
    }
    actions.retain(|key, kept| kept.lease.is_some() || commit.wants(key));
    for planned in &commit.actions {
        let kept = actions.entry(planned.key.clone()).or_insert(ActionRow {
            checkout: commit.row.id.clone(),
            shop: commit.row.shop.clone(),
            key: planned.key.clone(),
            planned: planned.clone(),
            attempts: planned.attempts,
            last_sent_at: None,
            lease: None,
        });
        if kept.lease.is_none() {
            kept.planned = planned.clone();
            kept.shop = commit.row.shop.clone();
            kept.attempts = kept.attempts.max(planned.attempts);
        }
    }
}
