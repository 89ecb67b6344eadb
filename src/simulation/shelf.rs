//! One daemon's way to the store that all daemons of a run share: every call passes its gate.
//!
//! Keeps and decides nothing itself; writes into the trace what a commit decided.

use super::gate::Gate;
use super::trace::Trace;
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use crate::store::memory::MemoryStore;
use crate::store::{
    Appended, Backlog, CheckoutFilter, CheckoutRow, CommitUnit, Committed, Delivery, Found,
    JournalEntry, LeaseRequest, Leased, LoadedCheckout, Lookalike, NewDelivery, ParkedDelivery,
    QuarantineBounds, Quarantined, RefundJudge, Retention, ShopRow, Stamp, Store, StoreError,
    SweepMark, Tally, TallySums, VerdictCount, Wanted,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The ids of deliveries that are on disk; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<BTreeSet<String>>>);

impl Kept {
    /// Is it on disk?
    pub fn has(&self, delivery: &str) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.contains(delivery)
    }

    fn add(&self, batch: &[NewDelivery]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batch.iter().map(|one| one.delivery_id.clone()));
    }
}

/// The store behind a gate.
pub struct Shelf {
    /// What is behind it.
    pub store: Arc<MemoryStore>,
    /// The gate.
    pub gate: Gate,
    /// Where commits are told.
    pub trace: Trace,
    /// What was appended.
    pub kept: Kept,
}

impl Shelf {
    fn tell(&self, units: &[CommitUnit], results: &[Committed]) {
        for (unit, result) in units.iter().zip(results) {
            let end = match result {
                Committed::Done => "",
                Committed::Conflict => " (conflict)",
                Committed::Late => " (late)",
            };
            for one in &unit.checkouts {
                self.trace.say(|| {
                    let named = one.row.reference.as_ref();
                    let named = named.map_or_else(|| one.row.id.to_string(), ToString::to_string);
                    let wants: Vec<String> = one
                        .actions
                        .iter()
                        .map(|planned| {
                            format!("{} due {}", planned.key, self.trace.moment(planned.due))
                        })
                        .collect();
                    format!(
                        "  {named} v{}: {} {} [{}]{end}",
                        one.row.version,
                        one.row.verdict.code(),
                        one.row.reason.code(),
                        wants.join(", ")
                    )
                });
            }
        }
    }
}

#[async_trait]
impl Store for Shelf {
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        let call = async {
            let appended = self.store.append(batch).await?;
            self.kept.add(batch);
            Ok(appended)
        };
        self.gate.change("append", call).await
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.gate.read("pending", self.store.pending(limit)).await
    }

    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        self.gate.read("parked", self.store.parked(limit)).await
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        let call = self.store.quarantine(entry, bounds);
        self.gate.change("quarantine", call).await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        let call = self.store.quarantined(limit);
        self.gate.read("quarantined", call).await
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        let call = self.store.quarantined_one(id);
        self.gate.read("quarantined_one", call).await
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        let call = self.store.requeue(id, delivery);
        self.gate.change("requeue", call).await
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        self.gate.read("load", self.store.load(wanted)).await
    }

    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        let call = async {
            let results = self.store.commit(units).await?;
            self.tell(units, &results);
            Ok(results)
        };
        self.gate.change("commit", call).await
    }

    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError> {
        self.gate.read("due", self.store.due(now, limit)).await
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        self.gate.read("next_due", self.store.next_due()).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        let leased = self.gate.read("lease", self.store.lease(request)).await?;
        if leased.is_empty() {
            return Ok(leased);
        }
        let done = async { Ok(leased) };
        self.gate.change("leased", done).await
    }

    async fn end_orphaned_leases(&self, now: Time) -> Result<u64, StoreError> {
        let call = self.store.end_orphaned_leases(now);
        self.gate.change("end_orphaned_leases", call).await
    }

    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        let call = self
            .store
            .admit_refund(tally, since, is_first_attempt, judge);
        self.gate.change("admit_refund", call).await
    }

    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError> {
        let call = self.store.set_brake(shop, brake);
        self.gate.change("set_brake", call).await
    }

    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        self.gate.read("shop", self.store.shop(shop)).await
    }

    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError> {
        let call = self.store.newest_order(shop, standing, before);
        self.gate.read("newest_order", call).await
    }

    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError> {
        let call = self.store.lookalikes(since, limit);
        self.gate.read("lookalikes", call).await
    }

    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
        let call = self.store.twins(checkouts);
        self.gate.read("twins", call).await
    }

    async fn stamp(&self, home: &str, now: Time) -> Result<Stamp, StoreError> {
        self.gate.change("stamp", self.store.stamp(home, now)).await
    }

    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError> {
        let call = self.store.tallies(shop, since);
        self.gate.read("tallies", call).await
    }

    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError> {
        let call = self.store.first_start(account, now);
        self.gate.change("first_start", call).await
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        let call = self.store.sweep_marks();
        self.gate.read("sweep_marks", call).await
    }

    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError> {
        let call = self.store.set_sweep_mark(mark);
        self.gate.change("set_sweep_mark", call).await
    }

    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        let call = self.store.checkouts(filter);
        self.gate.read("checkouts", call).await
    }

    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let call = self.store.journal(checkout, after, limit);
        self.gate.read("journal", call).await
    }

    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        let call = self.store.audit_page(after, limit);
        self.gate.read("audit_page", call).await
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        self.gate.read("overview", self.store.overview()).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.gate.read("backlog", self.store.backlog()).await
    }

    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError> {
        let call = self.store.prune(now, retention);
        self.gate.read("prune", call).await
    }

    async fn probe(&self, now: Time) -> Result<(), StoreError> {
        self.gate.read("probe", self.store.probe(now)).await
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        self.gate.read("checkpoint", self.store.checkpoint()).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
