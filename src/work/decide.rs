//! The loop that runs the engine: reports, rulings, deliveries and due wake-ups in batches. Where the
//! store takes several writers at once there are two, one for what is told and one for what is stored.
//!
//! Keeps what the store could not take and tries again; tells the dispatcher when something was
//! committed. Decides nothing.

use super::portion::{Intake, Portion};
use super::{Next, Pulse, STORE_PAUSE, Worker};
use crate::clock::Clock;
use crate::core::ids::CheckoutId;
use crate::core::time::{Span, Time};
use crate::desk::DeskError;
use crate::engine::input::{Input, Ruled, Swept};
use crate::engine::{BATCH_INPUTS_MAX, Engine, Outcome};
use crate::pressure::Pressure;
use crate::store::{ClaimRequest, StoreError, Wanted};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// A checkout that could not be read or written is left alone this long.
const SET_ASIDE_FOR: Span = Span::from_minutes(5);
/// While the intake is pressed it gets this many times the time that a batch took, from all workers
/// together.
const INTAKE_SHARE: u64 = 9;
/// The longest that the engine yields to a pressed intake in a row.
const YIELD_MAX: Span = Span::from_seconds(1);
/// How often a yielding worker looks whether the press is over.
const YIELD_PAUSE: Duration = Duration::from_millis(2);
/// Due wake-ups taken into one batch.
const DUE_MAX: u32 = 64;
/// How long other daemons on the store leave to this one what it took into a batch. A batch takes a
/// fraction of it; should one take longer, it is decided twice and committed once.
const CLAIM_FOR: Span = Span::from_seconds(5);

/// What a worker takes in.
pub enum Takes {
    /// What comes through a channel, and then what waits in the store.
    All(mpsc::Receiver<Input>),
    /// What comes through a channel: reports, rulings, sweeps.
    Told(mpsc::Receiver<Input>),
    /// What waits in the store: deliveries and due wake-ups.
    Stored,
}

/// The worker.
pub struct Decide {
    engine: Engine,
    holder: String,
    takes: Takes,
    dispatch: Pulse,
    clock: Clock,
    pressure: Pressure,
    yields_until: Time,
    portion: Portion,
    carried: Vec<Input>,
    set_aside: BTreeMap<CheckoutId, Time>,
}

impl Takes {
    /// The next thing told, if there is one.
    fn told(&mut self) -> Option<Input> {
        match self {
            // Whether nobody is left who could tell more does not matter.
            Takes::All(inputs) | Takes::Told(inputs) => inputs.try_recv().ok(),
            Takes::Stored => None,
        }
    }

    fn what_is_stored(&self) -> bool {
        match self {
            Takes::All(_) | Takes::Stored => true,
            Takes::Told(_) => false,
        }
    }

    /// How many workers share the work.
    fn workers(&self) -> u64 {
        match self {
            Takes::All(_) => 1,
            Takes::Told(_) | Takes::Stored => 2,
        }
    }

    /// Two workers hold no more than one does.
    fn inputs_max(&self) -> usize {
        match self {
            Takes::All(_) => BATCH_INPUTS_MAX,
            Takes::Told(_) | Takes::Stored => BATCH_INPUTS_MAX / 2,
        }
    }

    /// How long a worker yields to a pressed intake after a batch: two of them take no more of its time
    /// than one.
    fn yields_for(&self, took: Span) -> Span {
        let share = INTAKE_SHARE.saturating_mul(self.workers());
        Span::from_micros(took.micros().saturating_mul(share)).min(YIELD_MAX)
    }
}

impl Decide {
    /// A worker that claims what it finds in the store as `holder`.
    pub fn new(
        engine: Engine,
        holder: String,
        takes: Takes,
        dispatch: Pulse,
        clock: Clock,
        pressure: Pressure,
    ) -> Decide {
        Decide {
            engine,
            holder,
            takes,
            dispatch,
            clock,
            pressure,
            yields_until: Time::default(),
            portion: Portion::default(),
            carried: Vec::new(),
            set_aside: BTreeMap::new(),
        }
    }

    async fn gather(&mut self, inputs_max: usize) -> Result<Vec<Input>, StoreError> {
        let mut batch = std::mem::take(&mut self.carried);
        while batch.len() < inputs_max {
            match self.takes.told() {
                // A ruling is judged alone, against the checkout as it stands.
                Some(Input::Ruled(ruled)) if !batch.is_empty() => {
                    self.carried.push(Input::Ruled(ruled));
                    return Ok(batch);
                }
                Some(Input::Ruled(ruled)) => return Ok(vec![Input::Ruled(ruled)]),
                Some(input) => batch.push(input),
                None => break,
            }
        }
        let is_ruled = batch.iter().any(|input| matches!(input, Input::Ruled(_)));
        if is_ruled || !self.takes.what_is_stored() {
            return Ok(batch);
        }
        match self.look_up(inputs_max.saturating_sub(batch.len())).await {
            Ok(found) => {
                batch.extend(found);
                Ok(batch)
            }
            Err(error) => {
                self.carried = batch;
                Err(error)
            }
        }
    }

    fn intake(&self, now: Time) -> Intake {
        if self.pressure.is_high(now) {
            Intake::Pressed
        } else if self.pressure.is_felt(now) {
            Intake::Writing
        } else {
            Intake::Resting
        }
    }

    async fn look_up(&mut self, room: usize) -> Result<Vec<Input>, StoreError> {
        let store = self.engine.store().clone();
        let now = self.clock.now();
        self.set_aside.retain(|_, until| *until > now);
        let aside = u32::try_from(self.set_aside.len()).unwrap_or(u32::MAX);
        let request = ClaimRequest {
            now,
            until: now.plus(CLAIM_FOR),
            holder: self.holder.clone(),
            deliveries: u32::try_from(room).unwrap_or(u32::MAX),
            checkouts: DUE_MAX.saturating_add(aside),
        };
        let claimed = store.claim(&request).await?;
        let due = claimed.checkouts.into_iter();
        let due = due.filter(|one| !self.set_aside.contains_key(&one.id));
        let deliveries = claimed.deliveries.into_iter().map(Input::Delivery);
        Ok(deliveries.chain(due.map(Input::Due)).collect())
    }

    async fn settle(&mut self, inputs: Vec<Input>, outcomes: Vec<Outcome>) {
        for (input, outcome) in inputs.into_iter().zip(outcomes) {
            self.tell(&input, &outcome);
            match input {
                Input::Ruled(ruled) => self.answer(ruled, outcome).await,
                Input::Swept(swept) => answer_sweep(swept, &outcome),
                Input::Due(due) => match outcome {
                    Outcome::Parked { .. } => {
                        let until = self.clock.now().plus(SET_ASIDE_FOR);
                        self.set_aside.insert(due.id, until);
                    }
                    Outcome::Done
                    | Outcome::Breached { .. }
                    | Outcome::NotFound
                    | Outcome::Moved { .. }
                    | Outcome::Refused(_)
                    | Outcome::Postponed => {}
                },
                // What came through the channel is not in the store: it waits here.
                Input::Report(_) | Input::Told { .. } if matches!(outcome, Outcome::Postponed) => {
                    self.carried.push(input);
                }
                Input::Delivery(_) | Input::Report(_) | Input::Told { .. } => {}
            }
        }
    }

    fn tell(&self, input: &Input, outcome: &Outcome) {
        match outcome {
            Outcome::Parked { why } => {
                let what = match input {
                    Input::Delivery(row) => {
                        format!(
                            "delivery {} of {}",
                            row.delivery.delivery_id,
                            row.delivery.sender.code()
                        )
                    }
                    Input::Due(one) | Input::Told { checkout: one, .. } => {
                        format!("checkout {}", one.id)
                    }
                    Input::Report(report) => format!("report on {}", report.checkout),
                    Input::Swept(swept) => format!("sweep of {}", swept.account),
                    Input::Ruled(ruled) => format!("ruling on {}", ruled.checkout),
                };
                tracing::warn!(
                    what,
                    why,
                    "parked: it cannot be taken and is kept for an operator"
                );
            }
            // The engine has said what was breached, once for each checkout.
            Outcome::Done
            | Outcome::Breached { .. }
            | Outcome::NotFound
            | Outcome::Moved { .. }
            | Outcome::Refused(_)
            | Outcome::Postponed => {}
        }
    }

    async fn answer(&self, ruled: Ruled, outcome: Outcome) {
        let result = match outcome {
            Outcome::Done | Outcome::Breached { .. } => self.loaded(&ruled.checkout).await,
            Outcome::NotFound => Err(DeskError::NotFound),
            Outcome::Moved { version } => Err(DeskError::Moved { version }),
            Outcome::Refused(refused) => Err(DeskError::Refused(refused)),
            Outcome::Parked { why } => Err(DeskError::Store(StoreError::Unavailable(why))),
            Outcome::Postponed => Err(DeskError::Store(StoreError::Unavailable(
                "too many conflicts".to_owned(),
            ))),
        };
        if ruled.done.send(result).is_err() {
            tracing::debug!(checkout.id = %ruled.checkout, "nobody waits for the ruling's answer");
        }
    }

    async fn loaded(&self, id: &CheckoutId) -> Result<crate::store::LoadedCheckout, DeskError> {
        let wanted = Wanted {
            ids: vec![id.clone()],
            ..Wanted::default()
        };
        let mut found = self
            .engine
            .store()
            .load(&wanted)
            .await
            .map_err(DeskError::Store)?;
        found.checkouts.remove(id).ok_or(DeskError::NotFound)
    }
}

fn answer_sweep(swept: Swept, outcome: &Outcome) {
    let result = match outcome {
        Outcome::Done | Outcome::Breached { .. } => Ok(()),
        Outcome::Parked { why } => Err(StoreError::Unavailable(why.clone())),
        Outcome::NotFound | Outcome::Moved { .. } | Outcome::Refused(_) | Outcome::Postponed => {
            Err(StoreError::Unavailable("not taken".to_owned()))
        }
    };
    if swept.done.send(result).is_err() {
        tracing::debug!(account = %swept.account, "the sweep no longer waits");
    }
}

impl Worker for Decide {
    fn finishes(&self) -> bool {
        true
    }

    async fn step(&mut self) -> Next {
        let begun = self.clock.now();
        if begun < self.yields_until && self.pressure.is_high(begun) {
            return Next::Pause(YIELD_PAUSE);
        }
        let inputs_max = self.portion.next(self.intake(begun));
        let inputs_max = inputs_max.min(self.takes.inputs_max());
        let inputs = match self.gather(inputs_max).await {
            Ok(inputs) => inputs,
            Err(error) => return paused(&error),
        };
        let count = inputs.len();
        if inputs.is_empty() && !self.takes.what_is_stored() {
            return Next::Rest(None);
        }
        if inputs.is_empty() {
            return match self.engine.store().next_due().await {
                // What was due before this look and was not taken waits for something else.
                Ok(at) => Next::Rest(at.filter(|at| *at > begun)),
                Err(error) => paused(&error),
            };
        }
        match self.engine.advance(&inputs).await {
            Ok(outcomes) => {
                self.settle(inputs, outcomes).await;
                self.dispatch.give();
                let ended = self.clock.now();
                let took = ended.since(begun);
                self.portion.took(count, took);
                self.yields_until = ended.plus(self.takes.yields_for(took));
                Next::Again
            }
            Err(error) => {
                // Deliveries and wake-ups are found again in the store.
                self.carried.extend(
                    inputs
                        .into_iter()
                        .filter(|input| !matches!(input, Input::Delivery(_) | Input::Due(_))),
                );
                paused(&error)
            }
        }
    }
}

fn paused(error: &StoreError) -> Next {
    tracing::warn!(code = error.code(), %error, "the store did not take it; trying again");
    Next::Pause(STORE_PAUSE)
}

#[cfg(test)]
mod tests;
