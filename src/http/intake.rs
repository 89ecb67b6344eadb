//! Group commit: whatever is queued goes into one durable transaction, then each is answered.
//!
//! Knows the store's `append` and nothing of what deliveries mean. The engine is woken by a
//! signal that carries nothing.

use super::counters::{IntakeCounters, Outcome, SenderKind};
use crate::pressure::Pressure;
use crate::store::{Appended, NewDelivery, Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Deliveries that may wait beside those being written. With a batch under way this stays below
/// the listener's connections, so that a store that stands still does not silence the listener.
const QUEUE_MAX: usize = 192;
/// Deliveries in one transaction.
const BATCH_ROWS_MAX: usize = 256;
/// Bytes of bodies in one transaction; a single longer one goes alone.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much intake takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Deliveries waiting.
    pub queue_max: usize,
    /// Deliveries per transaction.
    pub batch_rows_max: usize,
    /// Bytes of bodies per transaction.
    pub batch_bytes_max: usize,
}

impl Default for IntakeLimits {
    fn default() -> IntakeLimits {
        IntakeLimits {
            queue_max: QUEUE_MAX,
            batch_rows_max: BATCH_ROWS_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
        }
    }
}

/// Why a delivery was not made durable; its sender must come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too much is waiting.
    QueueFull,
    /// The store did not take it, or intake has ended.
    StoreUnavailable,
}

struct Waiting {
    delivery: NewDelivery,
    answer: oneshot::Sender<Result<Appended, NotTaken>>,
}

/// The way in; clones share one queue.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
    counters: Arc<IntakeCounters>,
}

/// The one task that writes.
pub struct IntakeWriter {
    queue: mpsc::Receiver<Waiting>,
    store: Arc<dyn Store>,
    wake: Arc<Notify>,
    limits: IntakeLimits,
    pressure: Pressure,
}

/// Makes the way in and the task that must run behind it. `wake` is notified after each
/// transaction that brought something new.
pub fn intake(
    store: Arc<dyn Store>,
    wake: Arc<Notify>,
    counters: Arc<IntakeCounters>,
    limits: IntakeLimits,
) -> (Intake, IntakeWriter) {
    let (sender, receiver) = mpsc::channel(limits.queue_max.max(1));
    let intake = Intake {
        queue: sender,
        counters,
    };
    let writer = IntakeWriter {
        queue: receiver,
        store,
        wake,
        limits,
        pressure: Pressure::default(),
    };
    (intake, writer)
}

impl Intake {
    /// How many deliveries wait to be written, and how many may; at the bound senders are told
    /// to come again.
    pub fn waiting(&self) -> (usize, usize) {
        let bound = self.queue.max_capacity();
        (bound.saturating_sub(self.queue.capacity()), bound)
    }

    /// Returns when the delivery is committed and synced, or was not taken. Dropping this while
    /// it waits does not take the delivery back.
    pub async fn submit(&self, delivery: NewDelivery) -> Result<Appended, NotTaken> {
        let kind = SenderKind::from(&delivery.sender);
        let taken = self.queued(delivery).await;
        let outcome = match taken {
            Ok(Appended::New) => Outcome::Accepted,
            Ok(Appended::Duplicate) => Outcome::Duplicate,
            Ok(Appended::Conflict) => Outcome::Conflict,
            Err(NotTaken::QueueFull) => Outcome::QueueFull,
            Err(NotTaken::StoreUnavailable) => Outcome::StoreUnavailable,
        };
        self.counters.count(kind, outcome);
        taken
    }

    async fn queued(&self, delivery: NewDelivery) -> Result<Appended, NotTaken> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Waiting { delivery, answer }) {
            Ok(()) => answered.await.unwrap_or(Err(NotTaken::StoreUnavailable)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NotTaken::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NotTaken::StoreUnavailable),
        }
    }
}

impl IntakeWriter {
    /// How hard this writer is pressed, for work that can wait.
    pub fn pressure(&self) -> Pressure {
        self.pressure.clone()
    }

    /// Writes until `stop`, then what is still queued. `stop` belongs after the listeners' end.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut waiting = VecDeque::new();
        let mut received = Vec::new();
        let mut is_closed = false;
        loop {
            if waiting.is_empty() {
                let rows_max = self.limits.batch_rows_max.max(1);
                let count = tokio::select! {
                    biased;
                    count = self.queue.recv_many(&mut received, rows_max) => count,
                    () = stop.cancelled(), if !is_closed => {
                        is_closed = true;
                        self.queue.close();
                        continue;
                    }
                };
                if count == 0 {
                    return;
                }
                waiting.extend(received.drain(..));
            }
            self.write(&mut waiting).await;
        }
    }

    /// Writes one batch off the front.
    async fn write(&self, waiting: &mut VecDeque<Waiting>) {
        let mut batch = Vec::with_capacity(waiting.len());
        let mut answers = Vec::with_capacity(waiting.len());
        let mut bytes: usize = 0;
        while let Some(next) = waiting.pop_front() {
            bytes = bytes.saturating_add(next.delivery.body.len());
            if bytes > self.limits.batch_bytes_max && !batch.is_empty() {
                waiting.push_front(next);
                break;
            }
            batch.push(next.delivery);
            answers.push(next.answer);
        }
        let outcomes = self.append(&batch).await;
        if let Some(last) = batch.last() {
            self.pressure.written(batch.len(), last.received_at);
        }
        if outcomes.iter().any(|outcome| is_news(*outcome)) {
            self.wake.notify_one();
        }
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A sender that has gone away comes again and is told `duplicate`.
            if answer.send(outcome).is_err() {
                tracing::debug!("the sender of a delivery did not wait for its answer");
            }
        }
    }

    async fn append(&self, batch: &[NewDelivery]) -> Vec<Result<Appended, NotTaken>> {
        match self.store.append(batch).await {
            Ok(appended) if appended.len() == batch.len() => appended.into_iter().map(Ok).collect(),
            Ok(appended) => {
                let (asked, answered) = (batch.len(), appended.len());
                tracing::error!(asked, answered, "the store answered for another batch");
                vec![Err(NotTaken::StoreUnavailable); batch.len()]
            }
            Err(StoreError::Corrupt { .. }) if batch.len() > 1 => self.append_each(batch).await,
            Err(error) => {
                let rows = batch.len();
                tracing::warn!(code = error.code(), %error, rows, "deliveries not stored");
                vec![Err(NotTaken::StoreUnavailable); batch.len()]
            }
        }
    }

    /// One row that cannot be written must not stop the others.
    async fn append_each(&self, batch: &[NewDelivery]) -> Vec<Result<Appended, NotTaken>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for delivery in batch {
            let alone = self.store.append(std::slice::from_ref(delivery)).await;
            outcomes.push(match alone {
                Ok(appended) => appended.first().copied().ok_or(NotTaken::StoreUnavailable),
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "one delivery not stored");
                    Err(NotTaken::StoreUnavailable)
                }
            });
        }
        outcomes
    }
}

fn is_news(outcome: Result<Appended, NotTaken>) -> bool {
    match outcome {
        Ok(Appended::New | Appended::Conflict) => true,
        Ok(Appended::Duplicate) | Err(_) => false,
    }
}
