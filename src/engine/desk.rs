//! The desk over the engine: rulings, released brakes and sweeps on demand.
//!
//! Hands operators' wishes to the loop that runs the engine and waits for their end; decides
//! nothing itself.

use super::input::{Input, Ruled};
use crate::clock::Clock;
use crate::core::fact::{Fact, Ruling};
use crate::core::ids::{AccountId, CheckoutId, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use crate::desk::{Desk, DeskError};
use crate::store::{CheckoutFilter, LoadedCheckout, Store, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Checkouts read in one step when a brake is released.
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
        let mut filter = CheckoutFilter {
            shop: Some(shop.clone()),
            verdicts: vec![Verdict::Held],
            limit: RELEASE_PAGE,
            ..CheckoutFilter::default()
        };
        let mut count = 0_u64;
        loop {
            let page = self
                .store
                .checkouts(&filter)
                .await
                .map_err(DeskError::Store)?;
            let Some(last) = page.last() else {
                return Ok(count);
            };
            filter.after = Some((last.row.since, last.row.id.clone()));
            for held in page.iter().filter(|one| is_braked(one.row.reason)) {
                let facts = vec![Fact::BrakeReleased { at }];
                let told = Input::Told {
                    checkout: held.row.id.clone(),
                    facts,
                };
                self.inputs.send(told).await.map_err(stopped)?;
                self.wake.notify_one();
                count = count.saturating_add(1);
            }
        }
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
}

fn is_braked(reason: Reason) -> bool {
    reason == Reason::GuardRefunds
        || reason == Reason::GuardUnknownRunaway
        || reason == Reason::GuardEpochWentBack
        || reason == Reason::GuardAmountScale
}
