//! `PayPal-Request-Id`: the decision's key, with a number that grows only where PayPal demands it.
//!
//! The same id on every retry makes a repeated refund the first one again. But a refund declined
//! for lack of balance is remembered as declined, and wants a new id. An id is given up only after
//! that explicit answer to it, so no id that may have moved money is ever left for another. After
//! a restart counting begins anew: the first id brings the same refusal, then the second is used
//! again, itself idempotent. Knows no amounts.

use crate::core::ids::ActionKey;
use crate::core::time::Time;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys remembered; past it the one that waited longest is forgotten.
const KEYS_MAX: usize = 1_000;

struct Spent {
    ids: u32,
    asked_at: Time,
}

/// Which ids are used up.
#[derive(Default)]
pub(super) struct RequestIds(Mutex<BTreeMap<ActionKey, Spent>>);

impl RequestIds {
    fn spent_ids(&self) -> MutexGuard<'_, BTreeMap<ActionKey, Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id for this decision now.
    pub(super) fn of(&self, key: &ActionKey) -> String {
        match self.spent_ids().get(key) {
            None => key.as_str().to_owned(),
            Some(spent) => format!("{key}.{}", spent.ids),
        }
    }

    /// The exchange that began then was declined for lack of balance; said twice, it counts once.
    pub(super) fn spent(&self, key: &ActionKey, asked_at: Time) {
        let mut all = self.spent_ids();
        let spent = all.entry(key.clone()).or_insert(Spent {
            ids: 0,
            asked_at: Time::from_micros(i64::MIN),
        });
        if asked_at > spent.asked_at {
            spent.ids = spent.ids.saturating_add(1);
            spent.asked_at = asked_at;
        }
        if all.len() > KEYS_MAX {
            let oldest = all.iter().min_by_key(|(_, spent)| spent.asked_at);
            let oldest = oldest.map(|(key, _)| key.clone());
            all.retain(|key, _| Some(key) != oldest.as_ref());
        }
    }
}
