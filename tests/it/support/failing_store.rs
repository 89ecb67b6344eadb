//! The memory store with a switch: can be told to fail, to stand still, or to choke on one
//! delivery, and tells how it was called.
//!
//! Every call is handed on to the real store unless the switch says otherwise; nothing is kept
//! or decided here.

use async_trait::async_trait;
use futures_util::FutureExt;
use reconciled::core::fact::BrakeCause;
use reconciled::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use reconciled::core::plan::{Reason, Verdict};
use reconciled::core::time::Time;
use reconciled::store::memory::MemoryStore;
use reconciled::store::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The store.
pub(crate) struct FailingStore {
    store: MemoryStore,
    gate: Semaphore,
    is_failing: AtomicBool,
    begun: AtomicUsize,
    batches: Mutex<Vec<usize>>,
    poison: Mutex<Option<String>>,
    changed: Notify,
}

impl Default for FailingStore {
    fn default() -> FailingStore {
        FailingStore {
            store: MemoryStore::new(),
            gate: Semaphore::new(1),
            is_failing: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            batches: Mutex::default(),
            poison: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

/// The outcome of a call to the memory store, which never waits.
pub(crate) fn at_once<T>(call: impl Future<Output = Result<T, StoreError>>) -> T {
    let outcome = call.now_or_never().expect("the memory store waited");
    outcome.expect("the memory store failed")
}

impl FailingStore {
    /// From now on every call fails, or none.
    pub(crate) fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::SeqCst);
    }

    /// A delivery of this id cannot be written.
    pub(crate) fn poison(&self, delivery_id: &str) {
        *self.poison.lock().unwrap() = Some(delivery_id.to_owned());
    }

    /// Appends stand still until the permit is dropped.
    pub(crate) async fn stand_still(&self) -> SemaphorePermit<'_> {
        self.gate.acquire().await.unwrap()
    }

    /// Appends that began.
    pub(crate) fn appends_begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Rows per append that went through.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    /// The real store, past the switch.
    pub(crate) fn inner(&self) -> &MemoryStore {
        &self.store
    }

    /// The deliveries that wait for the engine, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<NewDelivery> {
        let waiting = at_once(self.store.pending(u32::MAX)).into_iter();
        waiting.map(|delivery| delivery.delivery).collect()
    }

    /// The entries in quarantine, oldest first.
    pub(crate) fn entries(&self) -> Vec<Quarantined> {
        let mut entries = at_once(self.store.quarantined(u32::MAX));
        entries.reverse();
        entries
    }

    /// Waits until something is true of the store.
    pub(crate) async fn until(&self, is_true: impl Fn(&FailingStore) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_true(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(super::talk::AGES, waiting)
            .await
            .expect("what was waited for in the store did not happen");
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("disk full".to_owned()));
        }
        Ok(())
    }

    fn check_poison(&self, batch: &[NewDelivery]) -> Result<(), StoreError> {
        let poison = self.poison.lock().unwrap().clone();
        match poison {
            Some(id) if batch.iter().any(|one| one.delivery_id == id) => Err(StoreError::Corrupt {
                table: "inbox",
                column: "delivery_id",
                row: id,
                detail: "cannot be written".to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

#[async_trait]
impl Store for FailingStore {
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        let _permit = self.gate.acquire().await.unwrap();
        self.check()?;
        self.check_poison(batch)?;
        let appended = self.store.append(batch).await?;
        self.batches.lock().unwrap().push(batch.len());
        self.changed.notify_waiters();
        Ok(appended)
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.check()?;
        self.store.pending(limit).await
    }

    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        self.check()?;
        self.store.parked(limit).await
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        self.check()?;
        self.store.quarantine(entry, bounds).await?;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        self.check()?;
        self.store.quarantined(limit).await
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        self.check()?;
        self.store.quarantined_one(id).await
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        self.check()?;
        self.store.requeue(id, delivery).await
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        self.check()?;
        self.store.load(wanted).await
    }

    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        self.check()?;
        self.store.commit(units).await
    }

    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError> {
        self.check()?;
        self.store.due(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        self.check()?;
        self.store.next_due().await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        self.check()?;
        self.store.lease(request).await
    }

    async fn end_orphaned_leases(&self, now: Time) -> Result<u64, StoreError> {
        self.check()?;
        self.store.end_orphaned_leases(now).await
    }

    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        self.check()?;
        let store = &self.store;
        store
            .admit_refund(tally, since, is_first_attempt, judge)
            .await
    }

    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError> {
        self.check()?;
        self.store.set_brake(shop, brake).await
    }

    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        self.check()?;
        self.store.shop(shop).await
    }

    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError> {
        self.check()?;
        self.store.tallies(shop, since).await
    }

    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError> {
        self.check()?;
        self.store.first_start(account, now).await
    }

    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError> {
        self.check()?;
        self.store.lookalikes(since, limit).await
    }

    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
        self.check()?;
        self.store.twins(checkouts).await
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        self.check()?;
        self.store.sweep_marks().await
    }

    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError> {
        self.check()?;
        self.store.set_sweep_mark(mark).await
    }

    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        self.check()?;
        self.store.checkouts(filter).await
    }

    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError> {
        self.check()?;
        self.store.newest_order(shop, standing, before).await
    }

    async fn stamp(&self, home: &str, now: Time) -> Result<Stamp, StoreError> {
        self.check()?;
        self.store.stamp(home, now).await
    }

    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.check()?;
        self.store.journal(checkout, after, limit).await
    }

    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        self.check()?;
        self.store.audit_page(after, limit).await
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        self.check()?;
        self.store.overview().await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.check()?;
        self.store.backlog().await
    }

    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError> {
        self.check()?;
        self.store.prune(now, retention).await
    }

    async fn probe(&self, now: Time) -> Result<(), StoreError> {
        self.check()?;
        self.store.probe(now).await
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        self.check()?;
        self.store.checkpoint().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
