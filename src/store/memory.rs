//! The store in memory: for simulation and tests, with the same laws as the durable ones.
//!
//! No clock and no chance: tokens and ids come from counters, every map is ordered. Copying the
//! whole store is one pointer until either copy changes.

mod checkouts;
mod inbox;
mod leases;
mod likeness;
mod state;
mod views;

use super::{
    Appended, Backlog, CheckoutFilter, CheckoutRow, CommitUnit, Committed, Delivery, Found,
    JournalEntry, LeaseRequest, Leased, LoadedCheckout, Lookalike, NewDelivery, ParkedDelivery,
    QuarantineBounds, Quarantined, RefundJudge, Retention, ShopRow, Stamp, Store, StoreError,
    SweepMark, Tally, TallyKind, TallySums, VerdictCount, Wanted,
};
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use async_trait::async_trait;
use state::State;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A store that lives as long as the process.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<Arc<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// A second store with the same content, as a crash at this moment would leave it.
    pub fn copy(&self) -> MemoryStore {
        let state = self.read(Arc::clone);
        MemoryStore {
            state: Mutex::new(state),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Arc<State>) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(Arc::make_mut(&mut state))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        Ok(self.change(|state| batch.iter().map(|one| state.append(one)).collect()))
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.read(|state| state.pending(limit)))
    }

    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        Ok(self.read(|state| state.parked(limit)))
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        self.change(|state| state.quarantine(entry, bounds));
        Ok(())
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        Ok(self.read(|state| state.quarantined(limit)))
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        Ok(self.read(|state| state.quarantine.get(&id).cloned()))
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        Ok(self.change(|state| {
            state.quarantine.remove(&id);
            state.append(delivery)
        }))
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        Ok(self.read(|state| state.load(wanted)))
    }

    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        self.change(|state| state.commit(units))
    }

    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError> {
        Ok(self.read(|state| state.due(now, limit)))
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.read(|state| state.next_due()))
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        Ok(self.change(|state| state.lease(request)))
    }

    async fn end_orphaned_leases(&self, now: Time) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.end_leases(now)))
    }

    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        Ok(self.change(|state| {
            let sums = state.tallies(&tally.shop, since);
            let judged = judge(&state.shop(&tally.shop), &sums);
            if judged.is_ok() && is_first_attempt {
                state.count(tally);
            }
            judged
        }))
    }

    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            state.shop_mut(shop).brake = brake;
            if brake.is_none() {
                state
                    .tallies
                    .retain(|(of, _, kind, _), _| of != shop || *kind == TallyKind::Unclaimed);
            }
        });
        Ok(())
    }

    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        Ok(self.read(|state| state.shop(shop)))
    }

    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError> {
        Ok(self.read(|state| state.tallies(shop, since)))
    }

    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError> {
        Ok(self.change(|state| *state.first_starts.entry(account.clone()).or_insert(now)))
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        Ok(self.read(|state| state.sweeps.values().cloned().collect()))
    }

    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError> {
        self.change(|state| state.set_sweep_mark(mark));
        Ok(())
    }

    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        Ok(self.read(|state| state.list(filter)))
    }

    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError> {
        Ok(self.read(|state| state.newest_order(shop, standing, before)))
    }

    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError> {
        Ok(self.read(|state| state.lookalikes(since, state::most(limit))))
    }

    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
        Ok(self.read(|state| state.twins(checkouts)))
    }

    async fn stamp(&self, home: &str, _now: Time) -> Result<Stamp, StoreError> {
        Ok(self.change(|state| state.stamp(home)))
    }

    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.read(|state| state.journal(checkout, after, limit)))
    }

    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        Ok(self.read(|state| state.audit_page(after, limit)))
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        Ok(self.read(|state| state.overview()))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(self.read(|state| state.backlog()))
    }

    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.prune(now, retention)))
    }

    async fn probe(&self, _now: Time) -> Result<(), StoreError> {
        Ok(())
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}
