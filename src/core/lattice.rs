//! The few ways in which two pieces of knowledge become one.
//!
//! Each is commutative, associative and idempotent, so a checkout is the same whatever the
//! order of the facts and however often each of them arrives.

use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Knowledge that can be merged: the least upper bound of two states.
pub trait Join {
    /// Takes in everything the other state knows.
    fn join(&mut self, other: &Self);
}

/// A view that can go both ways, with its source's clock: later wins, ties by the greater value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// The source's clock.
    pub as_of: Time,
    /// What the source said.
    pub value: T,
}

impl<T> Stamped<T> {
    /// What a source said at a moment.
    pub fn new(as_of: Time, value: T) -> Stamped<T> {
        Stamped { as_of, value }
    }
}

/// Keeps the greater; for stamped views that is the later one.
pub fn keep_max<T: Ord + Clone>(mine: &mut Option<T>, other: &Option<T>) {
    if *other > *mine {
        mine.clone_from(other);
    }
}

/// Keeps the lesser; "never" gives way to any moment.
pub fn keep_min<T: Ord + Clone>(mine: &mut Option<T>, other: &Option<T>) {
    match (&mine, other) {
        (Some(a), Some(b)) if b < a => mine.clone_from(other),
        (None, Some(_)) => mine.clone_from(other),
        (Some(_), Some(_)) | (_, None) => {}
    }
}

/// Keeps the greatest `most` of both sets.
pub fn keep_last<T: Ord + Clone>(mine: &mut BTreeSet<T>, other: &BTreeSet<T>, most: usize) {
    mine.extend(other.iter().cloned());
    while mine.len() > most {
        mine.pop_first();
    }
}

/// Joins key by key.
pub fn join_maps<K: Ord + Clone, V: Join + Clone>(
    mine: &mut BTreeMap<K, V>,
    other: &BTreeMap<K, V>,
) {
    for (key, value) in other {
        match mine.get_mut(key) {
            Some(known) => known.join(value),
            None => {
                mine.insert(key.clone(), value.clone());
            }
        }
    }
}
