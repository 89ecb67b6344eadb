//! A store for the listener's tests: keeps deliveries in memory, can be made to fail or stand
//! still, and tells how it was called.
//!
//! Knows only what the listener may use of a store; anything else is a failed test.

use async_trait::async_trait;
use reconciled::core::fact::BrakeCause;
use reconciled::core::ids::{AccountId, ActionKey, CheckoutId, OrderRef, ShopId};
use reconciled::core::time::Time;
use reconciled::store::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Notify, Semaphore};

#[derive(Default)]
struct Kept {
    deliveries: Vec<NewDelivery>,
    batches: Vec<usize>,
    quarantined: Vec<Quarantined>,
    orders: BTreeMap<OrderRef, LoadedCheckout>,
}

/// The store.
pub(crate) struct Ledger {
    kept: Mutex<Kept>,
    gate: Semaphore,
    is_failing: AtomicBool,
    begun: AtomicUsize,
    poison: Mutex<Option<String>>,
    changed: Notify,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            kept: Mutex::default(),
            gate: Semaphore::new(1),
            is_failing: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            poison: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Ledger {
    /// From now on every call fails, or none.
    pub(crate) fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::SeqCst);
    }

    /// A delivery of this id cannot be written.
    pub(crate) fn poison(&self, delivery_id: &str) {
        *self.poison.lock().unwrap() = Some(delivery_id.to_owned());
    }

    /// Appends stand still until the permit is dropped.
    pub(crate) async fn stand_still(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.gate.acquire().await.unwrap()
    }

    /// Appends that began.
    pub(crate) fn appends_begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// The deliveries that are durable.
    pub(crate) fn deliveries(&self) -> Vec<NewDelivery> {
        self.kept.lock().unwrap().deliveries.clone()
    }

    /// Rows per append.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.kept.lock().unwrap().batches.clone()
    }

    /// The entries in quarantine.
    pub(crate) fn entries(&self) -> Vec<Quarantined> {
        self.kept.lock().unwrap().quarantined.clone()
    }

    /// Puts an entry into quarantine under the id it has.
    pub(crate) fn put_back(&self, entry: Quarantined) {
        self.kept.lock().unwrap().quarantined.push(entry);
    }

    /// Puts a checkout there to be looked up.
    pub(crate) fn put_order(&self, order: OrderRef, checkout: LoadedCheckout) {
        self.kept.lock().unwrap().orders.insert(order, checkout);
    }

    /// Waits until something is true of the store.
    pub(crate) async fn until(&self, is_true: impl Fn(&Ledger) -> bool) {
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
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
            .await
            .expect("what was waited for in the store did not happen");
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("disk full".to_owned()));
        }
        Ok(())
    }

    fn append_one(kept: &mut Kept, delivery: &NewDelivery) -> Appended {
        let known = kept.deliveries.iter().find(|known| {
            known.sender == delivery.sender && known.delivery_id == delivery.delivery_id
        });
        match known {
            None => {
                kept.deliveries.push(delivery.clone());
                Appended::New
            }
            Some(known) if known.body == delivery.body => Appended::Duplicate,
            Some(_) => Appended::Conflict,
        }
    }
}

const UNUSED: &str = "the listener has no business with this";

#[async_trait]
impl Store for Ledger {
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        let _permit = self.gate.acquire().await.unwrap();
        self.check()?;
        let poison = self.poison.lock().unwrap().clone();
        if let Some(poisoned) = batch
            .iter()
            .find(|delivery| Some(&delivery.delivery_id) == poison.as_ref())
        {
            return Err(StoreError::Corrupt {
                table: "inbox",
                column: "delivery_id",
                row: poisoned.delivery_id.clone(),
                detail: "cannot be written".to_owned(),
            });
        }
        let appended = {
            let mut kept = self.kept.lock().unwrap();
            kept.batches.push(batch.len());
            batch
                .iter()
                .map(|delivery| Ledger::append_one(&mut kept, delivery))
                .collect()
        };
        self.changed.notify_waiters();
        Ok(appended)
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        self.check()?;
        assert!(bounds.entries_max > 0 && bounds.bytes_max > 0);
        {
            let mut kept = self.kept.lock().unwrap();
            let last = kept.quarantined.iter().map(|known| known.id).max();
            let id = last.unwrap_or(0).saturating_add(1);
            kept.quarantined.push(Quarantined {
                id,
                ..entry.clone()
            });
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        self.check()?;
        Ok(self.entries().into_iter().find(|entry| entry.id == id))
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        self.check()?;
        let mut kept = self.kept.lock().unwrap();
        kept.quarantined.retain(|entry| entry.id != id);
        Ok(Ledger::append_one(&mut kept, delivery))
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        self.check()?;
        let kept = self.kept.lock().unwrap();
        let mut found = Found::default();
        for order in &wanted.orders {
            if let Some(checkout) = kept.orders.get(order) {
                let id = checkout.row.id.clone();
                found.orders.insert(order.clone(), id.clone());
                found.checkouts.insert(id, checkout.clone());
            }
        }
        Ok(found)
    }

    async fn pending(&self, _: u32) -> Result<Vec<Delivery>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn parked(&self, _: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn quarantined(&self, _: u32) -> Result<Vec<Quarantined>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn commit(&self, _: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn due(&self, _: Time, _: u32) -> Result<Vec<CheckoutId>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn lease(&self, _: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn unlease(&self, _: &CheckoutId, _: &ActionKey, _: &str) -> Result<(), StoreError> {
        panic!("{UNUSED}")
    }

    async fn admit_refund(
        &self,
        _: &Tally,
        _: Time,
        _: bool,
        _: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn set_brake(&self, _: &ShopId, _: Option<(BrakeCause, Time)>) -> Result<(), StoreError> {
        panic!("{UNUSED}")
    }

    async fn shop(&self, _: &ShopId) -> Result<ShopRow, StoreError> {
        panic!("{UNUSED}")
    }

    async fn tallies(&self, _: &ShopId, _: Time) -> Result<TallySums, StoreError> {
        panic!("{UNUSED}")
    }

    async fn first_start(&self, _: &AccountId, _: Time) -> Result<Time, StoreError> {
        panic!("{UNUSED}")
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn set_sweep_mark(&self, _: &SweepMark) -> Result<(), StoreError> {
        panic!("{UNUSED}")
    }

    async fn checkouts(&self, _: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn journal(
        &self,
        _: &CheckoutId,
        _: i64,
        _: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        panic!("{UNUSED}")
    }

    async fn prune(&self, _: Time, _: Retention) -> Result<u64, StoreError> {
        panic!("{UNUSED}")
    }

    async fn probe(&self, _: Time) -> Result<(), StoreError> {
        panic!("{UNUSED}")
    }

    async fn audit_page(
        &self,
        _: Option<&CheckoutId>,
        _: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        panic!("{UNUSED}")
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        panic!("{UNUSED}")
    }

    async fn end_orphaned_leases(&self, _: Time) -> Result<u64, StoreError> {
        panic!("{UNUSED}")
    }

    async fn close(&self) {
        panic!("{UNUSED}")
    }
}
