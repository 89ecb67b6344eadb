//! The janitor: prunes what is past its retention and keeps the store's log short.
//!
//! Works in small bounded steps, so that nobody waits for it.

use super::{Next, STORE_PAUSE, Worker};
use crate::clock::Clock;
use crate::core::time::Span;
use crate::store::{Retention, Store};
use std::sync::Arc;
use std::time::Duration;

/// How often the store's log is written back.
pub const CHECKPOINT_EVERY: Duration = Duration::from_millis(400);
/// How often pruning starts over when there was nothing left.
pub const PRUNE_EVERY: Span = Span::from_minutes(10);
/// The pause between two steps of pruning.
const PRUNE_PAUSE: Duration = Duration::from_millis(100);

/// Writes the store's log back, apart from the path of the writers.
pub struct Checkpoint {
    /// The store.
    pub store: Arc<dyn Store>,
}

impl Worker for Checkpoint {
    async fn step(&mut self) -> Next {
        if let Err(error) = self.store.checkpoint().await {
            tracing::warn!(code = error.code(), %error, "the store's log could not be written back");
        }
        Next::Pause(CHECKPOINT_EVERY)
    }
}

/// Prunes.
pub struct Prune {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What is kept how long.
    pub retention: Retention,
    /// The time.
    pub clock: Clock,
}

impl Worker for Prune {
    async fn step(&mut self) -> Next {
        match self.store.prune(self.clock.now(), self.retention).await {
            Ok(0) => Next::Pause(super::duration(PRUNE_EVERY)),
            Ok(rows) => {
                tracing::info!(rows, "pruned what is past its retention");
                Next::Pause(PRUNE_PAUSE)
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "pruning failed; trying again");
                Next::Pause(STORE_PAUSE)
            }
        }
    }
}
