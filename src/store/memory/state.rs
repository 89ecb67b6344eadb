//! What the memory store holds, and its smallest steps.
//!
//! Ordered maps only, so that the same calls give the same state.

use super::likeness::KeptSighting;
use crate::core::ids::{AccountId, ActionKey, CheckoutId, OrderRef, PaymentRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use crate::store::digest::Key;
use crate::store::rows::{minute, saturated};
use crate::store::{
    ActionRow, CheckoutRow, Disposition, JournalEntry, NewDelivery, Quarantined, ShopRow, Stamp,
    SweepMark, Tally, TallyKind, TallySums,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A delivery and what became of it; the body goes before the rest.
#[derive(Clone, Debug)]
pub(super) struct KeptDelivery {
    pub(super) delivery: Arc<NewDelivery>,
    pub(super) has_body: bool,
    pub(super) key: Key,
    /// Nothing while it waits.
    pub(super) disposition: Option<Disposition>,
}

/// A checkout and the moment of its latest commit.
#[derive(Clone, Debug)]
pub(super) struct KeptCheckout {
    pub(super) row: Arc<CheckoutRow>,
    pub(super) changed_at: Time,
}

/// Which minute, kind and currency of a shop a tally is kept under.
pub(super) type Bucket = (ShopId, i64, TallyKind, Option<Currency>);

/// Everything.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) inbox: BTreeMap<i64, KeptDelivery>,
    pub(super) pending: BTreeSet<i64>,
    pub(super) last_inbox_id: i64,
    pub(super) delivered: BTreeMap<Key, (Key, i64)>,
    pub(super) quarantine: BTreeMap<i64, Quarantined>,
    pub(super) last_quarantine_id: i64,
    pub(super) checkouts: BTreeMap<CheckoutId, KeptCheckout>,
    pub(super) orders: BTreeMap<OrderRef, CheckoutId>,
    pub(super) payments: BTreeMap<PaymentRef, CheckoutId>,
    pub(super) journal: BTreeMap<CheckoutId, BTreeMap<i64, Arc<JournalEntry>>>,
    /// Only of checkouts that have any.
    pub(super) actions: BTreeMap<CheckoutId, BTreeMap<ActionKey, ActionRow>>,
    pub(super) sightings: BTreeMap<CheckoutId, KeptSighting>,
    pub(super) last_token: u64,
    pub(super) tallies: BTreeMap<Bucket, (u64, i128)>,
    pub(super) shops: BTreeMap<ShopId, ShopRow>,
    pub(super) first_starts: BTreeMap<AccountId, Time>,
    pub(super) sweeps: BTreeMap<(AccountId, u8), SweepMark>,
    pub(super) stamp: Option<(String, u64)>,
}

/// The limit of a list as a length.
pub(super) fn most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl State {
    pub(super) fn shop(&self, shop: &ShopId) -> ShopRow {
        self.shops.get(shop).cloned().unwrap_or(ShopRow {
            shop: shop.clone(),
            epoch: None,
            brake: None,
        })
    }

    pub(super) fn shop_mut(&mut self, shop: &ShopId) -> &mut ShopRow {
        self.shops.entry(shop.clone()).or_insert(ShopRow {
            shop: shop.clone(),
            epoch: None,
            brake: None,
        })
    }

    pub(super) fn count(&mut self, tally: &Tally) {
        let currency = tally.amount.map(Money::currency);
        let bucket = (tally.shop.clone(), minute(tally.at), tally.kind, currency);
        let (count, sum) = self.tallies.entry(bucket).or_default();
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(i128::from(tally.amount.map_or(0, Money::minor)));
    }

    pub(super) fn tallies(&self, shop: &ShopId, since: Time) -> TallySums {
        let mut sums = TallySums::default();
        let mut refunded: BTreeMap<Currency, i128> = BTreeMap::new();
        let mut unclaimed: BTreeMap<Currency, i128> = BTreeMap::new();
        for ((whose, at, kind, currency), (count, sum)) in &self.tallies {
            if whose != shop || *at < minute(since) {
                continue;
            }
            let known = sums.counts.entry(*kind).or_insert(0);
            *known = known.saturating_add(*count);
            let sums = match kind {
                TallyKind::Refund => &mut refunded,
                TallyKind::Unclaimed => &mut unclaimed,
                TallyKind::Capture | TallyKind::OrderAnswered | TallyKind::OrderUnknown => continue,
            };
            if let Some(currency) = currency {
                let known = sums.entry(*currency).or_insert(0);
                *known = known.saturating_add(*sum);
            }
        }
        let money = |(currency, sum)| Money::new(saturated(sum), currency);
        sums.refunded = refunded.into_iter().map(money).collect();
        sums.unclaimed = unclaimed.into_iter().map(money).collect();
        sums
    }

    pub(super) fn stamp(&mut self, home: &str) -> Stamp {
        let (before, count) = self.stamp.take().unzip();
        let generation = count.unwrap_or(0).saturating_add(1);
        self.stamp = Some((home.to_owned(), generation));
        Stamp { generation, before }
    }

    pub(super) fn set_sweep_mark(&mut self, mark: &SweepMark) {
        let key = (mark.account.clone(), mark.listing);
        let known = self.sweeps.entry(key).or_insert_with(|| mark.clone());
        known.mark = known.mark.max(mark.mark);
        known.swept_at = mark.swept_at.or(known.swept_at);
        known.last_error.clone_from(&mark.last_error);
    }

    /// All standing actions.
    pub(super) fn standing(&self) -> impl Iterator<Item = &ActionRow> {
        self.actions.values().flat_map(BTreeMap::values)
    }
}
