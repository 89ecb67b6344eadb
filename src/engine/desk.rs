//! The desk over the engine: rulings, released brakes, sweeps on demand and imported reports.
//!
//! Hands operators' wishes to the loop that runs the engine and waits for their end; decides
//! nothing itself.

use super::input::{Input, Ruled, Swept};
use crate::clock::Clock;
use crate::core::fact::{Fact, Ruling, RulingKind};
use crate::core::ids::{AccountId, CheckoutId, PaymentRef, ShopId};
use crate::core::payment::PaymentSnapshot;
use crate::core::plan::{Reason, Verdict};
use crate::core::time::{Span, Time};
use crate::desk::{Desk, DeskError, Imported};
use crate::store::{CheckoutFilter, LoadedCheckout, Store, StoreError, Wanted};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Checkouts read in one step when a brake is released or orders are asked about again.
const RELEASE_PAGE: u32 = 200;

/// A sweep asked for by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepWish {
    /// One account, or all.
    pub account: Option<AccountId>,
    /// From this moment on instead of the usual window.
    pub since: Option<Time>,
}

/// The desk of a running engine.
#[derive(Clone)]
pub struct EngineDesk {
    /// The store, for reading.
    pub store: Arc<dyn Store>,
    /// Where inputs go.
    pub inputs: mpsc::Sender<Input>,
    /// Where wishes for sweeps go.
    pub sweeps: mpsc::Sender<SweepWish>,
    /// The accounts there are, at the time of asking.
    pub accounts: Arc<dyn Fn() -> Vec<AccountId> + Send + Sync>,
    /// The time.
    pub clock: Clock,
    /// Wakes the loop that takes inputs.
    pub wake: Arc<Notify>,
}

fn stopped<T>(_: T) -> DeskError {
    DeskError::Store(StoreError::Unavailable("the engine is stopping".to_owned()))
}

impl EngineDesk {
    /// Tells one fact to every checkout of a list, page by page, that fits; their number.
    async fn tell_each(
        &self,
        mut filter: CheckoutFilter,
        fits: impl Fn(&LoadedCheckout) -> bool + Send,
        fact: &Fact,
    ) -> Result<u64, DeskError> {
        let mut count = 0_u64;
        loop {
            let page = self.store.checkouts(&filter).await;
            let page = page.map_err(DeskError::Store)?;
            let Some(last) = page.last() else {
                return Ok(count);
            };
            filter.after = Some((last.row.since, last.row.id.clone()));
            for one in page.iter().filter(|one| fits(one)) {
                let told = Input::Told {
                    checkout: one.row.named(),
                    facts: vec![fact.clone()],
                };
                self.inputs.send(told).await.map_err(stopped)?;
                self.wake.notify_one();
                count = count.saturating_add(1);
            }
        }
    }
}

#[async_trait]
impl Desk for EngineDesk {
    async fn rule(
        &self,
        checkout: &CheckoutId,
        ruling: Ruling,
        if_version: Option<i64>,
    ) -> Result<LoadedCheckout, DeskError> {
        let (done, answer) = oneshot::channel();
        let ruled = Ruled {
            checkout: checkout.clone(),
            ruling,
            if_version,
            done,
        };
        self.inputs
            .send(Input::Ruled(ruled))
            .await
            .map_err(stopped)?;
        answer.await.map_err(stopped)?
    }

    async fn release_brake(&self, shop: &ShopId, by: &str, note: &str) -> Result<u64, DeskError> {
        self.store
            .set_brake(shop, None)
            .await
            .map_err(DeskError::Store)?;
        let at = self.clock.now();
        tracing::warn!(shop = %shop, by, note, "an operator released the shop's brake");
        let filter = CheckoutFilter {
            shop: Some(shop.clone()),
            verdicts: vec![Verdict::Held],
            limit: RELEASE_PAGE,
            ..CheckoutFilter::default()
        };
        let released = Fact::BrakeReleased { at };
        self.tell_each(filter, |one| is_braked(one.row.reason), &released)
            .await
    }

    async fn recheck(
        &self,
        shop: &ShopId,
        since: Time,
        by: &str,
        note: &str,
    ) -> Result<u64, DeskError> {
        let at = self.clock.now();
        tracing::warn!(shop = %shop, by, note, "an operator has settled orders asked about again");
        // Rows that settle meanwhile stand behind `at` and are not walked into.
        let filter = CheckoutFilter {
            shop: Some(shop.clone()),
            verdicts: vec![Verdict::Settled],
            since_before: Some(at),
            after: Some((
                since.minus(Span::from_micros(1)),
                CheckoutId::made(u64::MAX, &[u8::MAX; 10]),
            )),
            limit: RELEASE_PAGE,
            ..CheckoutFilter::default()
        };
        let ruling = Ruling {
            at,
            ruling: RulingKind::Retry,
            by: by.to_owned(),
            note: note.to_owned(),
            overrides: std::collections::BTreeSet::new(),
        };
        let asks = |one: &LoadedCheckout| one.row.reference.is_some();
        self.tell_each(filter, asks, &Fact::RulingMade(ruling))
            .await
    }

    async fn sweep(
        &self,
        account: Option<&AccountId>,
        since: Option<Time>,
    ) -> Result<u64, DeskError> {
        let known = (self.accounts)();
        if account.is_some_and(|account| !known.contains(account)) {
            return Err(DeskError::NotFound);
        }
        let count = if account.is_some() { 1 } else { known.len() };
        let wish = SweepWish {
            account: account.cloned(),
            since,
        };
        self.sweeps.send(wish).await.map_err(stopped)?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    async fn import(
        &self,
        account: &AccountId,
        payments: Vec<PaymentSnapshot>,
    ) -> Result<Imported, DeskError> {
        let named: BTreeSet<PaymentRef> = payments.iter().map(|one| one.payment.clone()).collect();
        if named.is_empty() {
            return Ok(Imported::default());
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let wanted = Wanted {
            payments: named.iter().cloned().collect(),
            ..Wanted::default()
        };
        let found = self.store.load(&wanted).await.map_err(DeskError::Store)?;
        let (done, answer) = oneshot::channel();
        let swept = Swept {
            account: account.clone(),
            payments,
            hints: Vec::new(),
            done,
        };
        self.inputs
            .send(Input::Swept(swept))
            .await
            .map_err(stopped)?;
        self.wake.notify_one();
        answer.await.map_err(stopped)?.map_err(DeskError::Store)?;
        let is_new = |payment: &&PaymentRef| !found.payments.contains_key(*payment);
        Ok(Imported {
            payments: count(named.len()),
            new: count(named.iter().filter(is_new).count()),
        })
    }
}

fn is_braked(reason: Reason) -> bool {
    [
        Reason::GuardRefunds,
        Reason::GuardUnknownRunaway,
        Reason::GuardEpochWentBack,
        Reason::GuardAmountScale,
        Reason::GuardCanaryLost,
        Reason::GuardCanaryMissing,
        Reason::GuardStoreMoved,
    ]
    .contains(&reason)
}
