//! Reading checkouts in memory: for the engine, for people, and for the books.
//!
//! Counts everything anew at every call; what the durable stores keep must agree with it.

use super::state::{KeptCheckout, State, most};
use crate::core::ids::{CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use crate::store::rows::saturated;
use crate::store::{
    Backlog, CheckoutFilter, CheckoutRow, Disposition, Found, JournalEntry, LoadedCheckout,
    VerdictCount, Wanted, turns,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

impl State {
    fn loaded(&self, id: &CheckoutId) -> Option<LoadedCheckout> {
        let kept = self.checkouts.get(id)?;
        let actions = self.actions.get(id).into_iter().flat_map(BTreeMap::values);
        Some(LoadedCheckout {
            row: CheckoutRow::clone(&kept.row),
            actions: actions.cloned().collect(),
            unreadable: Vec::new(),
        })
    }

    pub(super) fn load(&self, wanted: &Wanted) -> Found {
        let mut found = Found::default();
        let mut ids: BTreeSet<CheckoutId> = wanted.ids.iter().cloned().collect();
        ids.extend(wanted.checkouts.iter().map(|one| one.id.clone()));
        for order in &wanted.orders {
            if let Some(home) = self.orders.get(order) {
                found.orders.insert(order.clone(), home.clone());
                ids.insert(home.clone());
            }
        }
        for payment in &wanted.payments {
            if let Some(home) = self.payments.get(payment) {
                found.payments.insert(payment.clone(), home.clone());
                ids.insert(home.clone());
            }
        }
        let load = |id: CheckoutId| self.loaded(&id).map(|loaded| (id, loaded));
        found.checkouts = ids.into_iter().filter_map(load).collect();
        found
    }

    pub(super) fn due(&self, now: Time, limit: u32) -> Vec<CheckoutRef> {
        let wakes = self.checkouts.values().filter_map(|kept| {
            let wake_at = kept.row.wake_at.filter(|at| *at <= now)?;
            Some(((wake_at, &kept.row.id), &kept.row.shop))
        });
        let due = turns::take(wakes, |_| u32::MAX, most(limit)).into_iter();
        let named = due.filter_map(|(_, id)| Some(self.checkouts.get(id)?.row.named()));
        named.collect()
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let wakes = self.checkouts.values().filter_map(|kept| kept.row.wake_at);
        let acts = self.standing().map(|action| match &action.lease {
            Some(lease) => lease.until,
            None => action.planned.due,
        });
        wakes.chain(acts).min()
    }

    pub(super) fn list(&self, filter: &CheckoutFilter) -> Vec<LoadedCheckout> {
        let rows = self.checkouts.values().map(|kept| &kept.row);
        let mut taken: Vec<_> = rows
            .filter(|row| filter.takes(row))
            .map(|row| (row.since, &row.id))
            .collect();
        taken.sort();
        let page = taken.into_iter().take(most(filter.limit));
        page.filter_map(|(_, id)| self.loaded(id)).collect()
    }

    pub(super) fn newest_order(
        &self,
        shop: &ShopId,
        (verdict, reason): (Verdict, Reason),
        before: Time,
    ) -> Option<(Time, Reference)> {
        let rows = self.checkouts.values().map(|kept| &kept.row);
        let fits = rows.filter(|row| {
            let stands_so = row.verdict == verdict && row.reason == reason;
            row.shop == *shop && stands_so && row.since <= before && row.reference.is_some()
        });
        let newest = fits.max_by_key(|row| (row.since, row.id.clone()))?;
        newest.reference.clone().map(|one| (newest.since, one))
    }

    pub(super) fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Vec<JournalEntry> {
        let entries = self.journal.get(checkout).into_iter();
        let later =
            entries.flat_map(|entries| entries.range((Bound::Excluded(after), Bound::Unbounded)));
        let page = later.take(most(limit));
        page.map(|(_, entry)| JournalEntry::clone(entry)).collect()
    }

    pub(super) fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Vec<(CheckoutRow, Vec<JournalEntry>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self
            .checkouts
            .range::<CheckoutId, _>((from, Bound::Unbounded));
        let page = rows.take(most(limit));
        page.map(|(id, kept)| {
            let journal = self.journal(id, 0, u32::MAX);
            (CheckoutRow::clone(&kept.row), journal)
        })
        .collect()
    }

    pub(super) fn overview(&self) -> Vec<VerdictCount> {
        let mut groups: BTreeMap<(ShopId, Verdict), Vec<&KeptCheckout>> = BTreeMap::new();
        for kept in self.checkouts.values() {
            let key = (kept.row.shop.clone(), kept.row.verdict);
            groups.entry(key).or_default().push(kept);
        }
        let line = |((shop, verdict), group): ((ShopId, Verdict), Vec<&KeptCheckout>)| {
            let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
            for money in group.iter().filter_map(|kept| kept.row.in_suspense) {
                let sum = sums.entry(money.currency()).or_insert(0);
                *sum = sum.saturating_add(i128::from(money.minor()));
            }
            let oldest = group.iter().map(|kept| kept.row.since).min();
            VerdictCount {
                shop,
                verdict,
                count: u64::try_from(group.len()).unwrap_or(u64::MAX),
                in_suspense: sums
                    .into_iter()
                    .filter(|(_, sum)| *sum != 0)
                    .map(|(currency, sum)| Money::new(saturated(sum), currency))
                    .collect(),
                oldest: oldest.filter(|_| !verdict.is_at_rest()),
            }
        };
        groups.into_iter().map(line).collect()
    }

    pub(super) fn backlog(&self) -> Backlog {
        let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let is_parked = |disposition: &Disposition| match disposition {
            Disposition::Parked { .. } => true,
            Disposition::Taken | Disposition::Ignored => false,
        };
        let dispositions = self
            .inbox
            .values()
            .filter_map(|kept| kept.disposition.as_ref());
        let oldest = self.pending.first().and_then(|id| self.inbox.get(id));
        let mut backlog = Backlog {
            deliveries_pending: length(self.pending.len()),
            oldest_delivery: oldest.map(|kept| kept.delivery.received_at),
            deliveries_parked: length(dispositions.filter(|one| is_parked(one)).count()),
            quarantined: length(self.quarantine.len()),
            ..Backlog::default()
        };
        for action in self.standing() {
            let kind = action.planned.action.kind();
            let count = backlog.actions.entry(kind).or_insert(0);
            *count = count.saturating_add(1);
            if action.lease.is_none() {
                let due = Some(action.planned.due);
                backlog.oldest_due = match backlog.oldest_due {
                    Some(known) => Some(known).min(due),
                    None => due,
                };
            }
        }
        backlog
    }
}
