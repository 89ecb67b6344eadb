//! The one write path: load, observe, reconcile, check the promises, commit.
//!
//! Takes inputs in batches, groups them by the checkouts they touch, and commits each batch in
//! one transaction; what conflicts or cannot be read drops out of the batch alone. Knows no
//! socket and makes no call.

mod decoded;
mod desk;
pub mod input;
mod lesson;
mod units;
mod verdict;
mod workspace;

pub use desk::{EngineDesk, SweepWish};
pub use units::Outcome;

use crate::clock::Clock;
use crate::core::checkout::Checkout;
use crate::core::fact::BrakeCause;
use crate::core::ids::{CheckoutRef, ShopId};
use crate::core::plan::Reason;
use crate::core::policy::Policy;
use crate::core::time::Time;
use crate::roster::Roster;
use crate::store::{
    CommitUnit, Committed, Disposition, Sender, Store, StoreError, TallyKind, Wanted,
};
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use decoded::Decoded;
use input::Input;
use lesson::Taught;
use std::sync::Arc;
use units::{Breached, Group, Rulebook};
use verdict::Planner;
use workspace::Workspace;

/// Inputs in one transaction at most.
pub const BATCH_INPUTS_MAX: usize = 256;
/// Times a conflicting input is decided anew before it waits for the next batch.
pub const CONFLICT_ROUNDS_MAX: u32 = 8;

/// The engine.
#[derive(Clone)]
pub struct Engine {
    store: Arc<dyn Store>,
    roster: Arc<ArcSwap<Roster>>,
    clock: Clock,
    telemetry: Telemetry,
    decoded: Decoded,
    plan: Planner,
}

impl Engine {
    /// An engine over a store, for whoever the roster names at the time.
    pub fn new(
        store: Arc<dyn Store>,
        roster: Arc<ArcSwap<Roster>>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Engine {
        Engine {
            store,
            roster,
            clock,
            telemetry,
            decoded: Decoded::default(),
            plan: Checkout::reconcile,
        }
    }

    /// The same engine with plans that err, to see that none of them is committed.
    #[cfg(test)]
    fn planned_by(mut self, plan: Planner) -> Engine {
        self.plan = plan;
        self
    }

    /// The store it writes to.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Takes inputs in; one outcome each, in order. Everything that is `Done` is durable.
    pub async fn advance(&self, inputs: &[Input]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = inputs.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..inputs.len()).collect();
        for round in 0..CONFLICT_ROUNDS_MAX {
            if open.is_empty() {
                break;
            }
            // A batch that conflicts goes on one by one, so that a quarrel stays between those
            // who have it.
            let batches: Vec<Vec<usize>> = if round == 0 {
                vec![std::mem::take(&mut open)]
            } else {
                std::mem::take(&mut open)
                    .into_iter()
                    .map(|index| vec![index])
                    .collect()
            };
            for batch in batches {
                let chosen: Vec<&Input> = batch
                    .iter()
                    .filter_map(|index| inputs.get(*index))
                    .collect();
                let results = self.advance_apart(&chosen).await?;
                for (index, result) in batch.into_iter().zip(results) {
                    match (result, outcomes.get_mut(index)) {
                        (Some(outcome), Some(slot)) => *slot = Some(outcome),
                        (None, _) | (_, None) => open.push(index),
                    }
                }
            }
        }
        Ok(outcomes
            .into_iter()
            .map(|one| one.unwrap_or(Outcome::Postponed))
            .collect())
    }

    /// As `advance_once`, but a row that holds what it must not hold fails only those who need
    /// it: a batch is taken apart, and a single input is parked by name.
    async fn advance_apart(&self, inputs: &[&Input]) -> Result<Vec<Option<Outcome>>, StoreError> {
        let why = match self.advance_once(inputs).await {
            Err(error @ StoreError::Corrupt { .. }) => error.to_string(),
            result => return result,
        };
        let [input] = inputs else {
            return Ok(inputs.iter().map(|_| None).collect());
        };
        if let Input::Delivery(row) = input {
            let parked = Disposition::Parked { why: why.clone() };
            let deliveries = vec![(row.id, parked)];
            let unit = CommitUnit {
                deliveries,
                ..CommitUnit::default()
            };
            self.store.commit(&[unit]).await?;
        }
        Ok(vec![Some(Outcome::Parked { why })])
    }

    /// One attempt for all inputs together; none for those that met a conflict.
    async fn advance_once(&self, inputs: &[&Input]) -> Result<Vec<Option<Outcome>>, StoreError> {
        let now = self.clock.now();
        let roster = self.roster.load_full();
        let taught: Vec<Taught> = inputs
            .iter()
            .map(|input| lesson::read(input, &roster, now))
            .collect();
        let mut wanted = Wanted::default();
        for one in taught.iter().flat_map(|taught| &taught.lessons) {
            one.want(&mut wanted);
        }
        let mut workspace = Workspace::new(self.store.load(&wanted).await?, &self.decoded);
        let groups = units::group(inputs, &taught, &mut workspace, now);
        let mut outcomes: Vec<Option<Outcome>> = inputs.iter().map(|_| None).collect();
        let mut units = Vec::new();
        let mut members = Vec::new();
        for group in groups {
            let policy = |shop: &ShopId| policy_of(&roster, shop);
            let rulebook = Rulebook {
                policy: &policy,
                plan: self.plan,
            };
            match units::build(&group, inputs, &taught, &mut workspace, &rulebook, now) {
                units::Built::Unit(unit, group_outcomes, breaches) => {
                    units.push(*unit);
                    members.push((group, group_outcomes, breaches));
                }
                units::Built::Over(group_outcomes) => fill(&mut outcomes, &group, group_outcomes),
            }
        }
        if units.is_empty() {
            return Ok(outcomes);
        }
        self.brake_wrong_scales(&units, now).await?;
        let committed = self.store.commit(&units).await?;
        self.count(&units, &committed);
        self.hear(inputs, &roster);
        self.tell_lookalikes(&units, &committed).await;
        let members = members.into_iter().zip(units);
        for (((group, group_outcomes, breaches), unit), result) in members.zip(committed) {
            match result {
                Committed::Done => {
                    workspace.keep(&unit, &self.decoded);
                    let told = group.inputs.iter().filter_map(|index| inputs.get(*index));
                    self.count_captures(&unit, told_by(told.copied()));
                    breaches.iter().for_each(|breached| self.alert(breached));
                    fill(&mut outcomes, &group, group_outcomes);
                }
                Committed::Late => {
                    let late = group.inputs.iter().copied().filter(|index| {
                        let one = taught.get(*index);
                        one.is_some_and(|one| one.delivery.is_some())
                    });
                    for index in late {
                        if let Some(slot) = outcomes.get_mut(index) {
                            *slot = Some(Outcome::Done);
                        }
                    }
                }
                Committed::Conflict => {}
            }
        }
        Ok(outcomes)
    }
}

impl Engine {
    /// Says once of each pair of orders that they look like one purchase made twice; that is all
    /// that is done about it. The status page shows them too, so a store that cannot be read now
    /// costs no more than the line.
    async fn tell_lookalikes(&self, units: &[CommitUnit], committed: &[Committed]) {
        let done = units.iter().zip(committed);
        let done = done.filter(|(_, result)| **result == Committed::Done);
        let seen = done.flat_map(|(unit, _)| &unit.sightings);
        let seen: Vec<CheckoutRef> = seen
            .filter_map(|(one, sighting)| sighting.as_ref().map(|_| one.clone()))
            .collect();
        if seen.is_empty() {
            return;
        }
        let twins = self.store.twins(&seen).await.unwrap_or_default();
        for (id, twin) in &twins {
            let is_said = twins.get(twin) == Some(id) && twin < id;
            if !is_said {
                tracing::info!(checkout.id = %id, %twin,
                    "two settled orders look like one purchase made twice; both stand");
            }
        }
    }

    /// Deliveries of PSPs show that their webhooks reach us, whatever they say.
    fn hear(&self, inputs: &[&Input], roster: &Roster) {
        for input in inputs {
            if let Input::Delivery(row) = input
                && let Sender::Psp(account) = &row.delivery.sender
                && let Some(entry) = roster.accounts.get(account)
            {
                self.telemetry.heard(&entry.shop);
            }
        }
    }

    /// Says that a checkout was set aside; nothing of its plan was done.
    fn alert(&self, breached: &Breached) {
        self.telemetry.breached(&breached.shop, breached.promise);
        tracing::error!(
            checkout.id = %breached.checkout, shop = %breached.shop, promise = breached.promise,
            why = breached.why, "held: a promise would have been broken; nothing was done"
        );
    }

    fn count_captures(&self, unit: &CommitUnit, learned_by: &'static str) {
        let captures = unit.tallies.iter();
        for tally in captures.filter(|one| one.kind == TallyKind::Capture) {
            self.telemetry.captured(&tally.shop, learned_by);
        }
    }

    /// An amount that is off by a power of ten is a bug of ours or of the shop's, and the next
    /// payments have it too: the shop's refunds stop before the first such hold is committed.
    async fn brake_wrong_scales(&self, units: &[CommitUnit], now: Time) -> Result<(), StoreError> {
        let rows = units.iter().flat_map(|unit| &unit.checkouts);
        let fresh = rows
            .map(|one| &one.row)
            .filter(|row| row.reason == Reason::AmountOffByPowerOfTen && row.since == now);
        for row in fresh {
            if self.store.shop(&row.shop).await?.brake.is_none() {
                let cause = BrakeCause::AmountScale;
                tracing::error!(shop = %row.shop, checkout.id = %row.id, cause = cause.code(),
                    "the guard stopped this shop's refunds");
                self.store.set_brake(&row.shop, Some((cause, now))).await?;
            }
        }
        Ok(())
    }

    fn count(&self, units: &[CommitUnit], committed: &[Committed]) {
        let mut done = 0_u32;
        let mut conflicts = 0_u32;
        for (unit, result) in units.iter().zip(committed) {
            match result {
                Committed::Conflict | Committed::Late => conflicts = conflicts.saturating_add(1),
                Committed::Done => {
                    done = done.saturating_add(1);
                    for one in &unit.checkouts {
                        self.telemetry
                            .decided(&one.row.shop, one.row.verdict, one.row.reason);
                    }
                }
            }
        }
        self.telemetry.batch_committed(done, conflicts);
    }
}

/// Who told of a payment in a group of inputs: a PSP's own word before a sweep, and a sweep before
/// an answer, since most answers and all words of a shop say nothing of payments.
fn told_by<'i>(members: impl Iterator<Item = &'i Input>) -> &'static str {
    let mut told_by = "read";
    for input in members {
        match input {
            Input::Delivery(row) => match &row.delivery.sender {
                Sender::Psp(_) => return "delivery",
                Sender::Shop(_) => {}
            },
            Input::Swept(_) => told_by = "sweep",
            Input::Report(_) | Input::Due(_) | Input::Ruled(_) | Input::Told { .. } => {}
        }
    }
    told_by
}

fn fill(outcomes: &mut [Option<Outcome>], group: &Group, results: Vec<Outcome>) {
    for (index, outcome) in group.inputs.iter().zip(results) {
        if let Some(slot) = outcomes.get_mut(*index) {
            *slot = Some(outcome);
        }
    }
}

/// A shop that is no longer configured is only watched.
fn policy_of(roster: &Roster, shop: &ShopId) -> Arc<Policy> {
    roster
        .shops
        .get(shop)
        .map_or_else(|| Arc::new(Policy::default()), |entry| entry.policy.clone())
}

#[cfg(test)]
mod tests;
