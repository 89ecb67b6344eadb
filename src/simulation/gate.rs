//! What may happen between a daemon and its store at each call: nothing, a pause in which others
//! go first, a failure before or after the effect, or the daemon's end.
//!
//! Belongs to one daemon, not to the store. Knows no row.

use super::hazard::{Hazard, Luck};
use super::tasks::StepAside;
use super::trace::Trace;
use crate::store::StoreError;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

/// How often others may go first at a call, in a thousand.
const ASIDE_PER_MILLE: u32 = 150;

/// What a call to the store meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    Nothing,
    Aside,
    Failure,
    End,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    changes: u64,
    is_away: bool,
    ends_after: Option<u64>,
    has_ended: bool,
}

/// One daemon's gate; clones share it.
#[derive(Clone)]
pub struct Gate {
    name: String,
    luck: Luck,
    trace: Trace,
    is_shared: bool,
    state: Arc<Mutex<State>>,
}

impl Gate {
    /// The gate of a daemon with this name; `is_shared` when others use the store as well.
    pub fn new(name: String, luck: Luck, trace: Trace, is_shared: bool) -> Gate {
        Gate {
            name,
            luck,
            trace,
            is_shared,
            state: Arc::default(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store goes away, or comes back.
    pub fn set_away(&self, is_away: bool) {
        self.with(|state| state.is_away = is_away);
    }

    /// The daemon dies so many places further on; each call to the store has two.
    pub fn end_after(&self, places: u64) {
        self.with(|state| state.ends_after = Some(places));
    }

    /// True once the daemon must be dropped.
    pub fn has_ended(&self) -> bool {
        self.with(|state| state.has_ended)
    }

    /// How often this daemon changed the store.
    pub fn changes(&self) -> u64 {
        self.with(|state| state.changes)
    }

    fn meets(&self, what: &str, place: &str) -> Meets {
        let (calls, is_away, ends) = self.with(|state| {
            state.calls = state.calls.saturating_add(1);
            let ends = match state.ends_after {
                Some(0) => true,
                Some(left) => {
                    state.ends_after = Some(left.saturating_sub(1));
                    false
                }
                None => false,
            };
            state.has_ended |= ends;
            (state.calls, state.is_away, ends)
        });
        if ends {
            self.trace
                .say(|| format!("{} dies {place} store.{what}", self.name));
            return Meets::End;
        }
        if is_away {
            return Meets::Failure;
        }
        let weight = self.luck.weight(Hazard::StoreFails).div_ceil(10);
        if weight == 0 && !self.is_shared {
            return Meets::Nothing;
        }
        let number = calls.to_string();
        let named = [self.name.as_str(), number.as_str()];
        if self.luck.strikes_at(Hazard::StoreFails, &named, weight) {
            self.trace
                .say(|| format!("{}: store.{what} fails {place} its effect", self.name));
            return Meets::Failure;
        }
        if self.is_shared && self.luck.chance(&named).hits(ASIDE_PER_MILLE) {
            return Meets::Aside;
        }
        Meets::Nothing
    }

    async fn pass(&self, what: &str, place: &str) -> Result<(), StoreError> {
        match self.meets(what, place) {
            Meets::Nothing => Ok(()),
            Meets::Aside => {
                StepAside::default().await;
                Ok(())
            }
            Meets::Failure => Err(StoreError::Unavailable("away".to_owned())),
            Meets::End => pending().await,
        }
    }

    /// A call that only reads.
    pub async fn read<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pass(what, "before").await?;
        call.await
    }

    /// A call that changes something: it may fail, and the daemon may die, on either side.
    pub async fn change<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pass(what, "before").await?;
        let result = call.await?;
        self.with(|state| state.changes = state.changes.saturating_add(1));
        self.pass(what, "after").await?;
        Ok(result)
    }
}
