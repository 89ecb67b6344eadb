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

/// Keeps of each value when it was first and last said, so that saying it again and again pushes
/// nothing out; of more than `most` values those that were said last.
pub fn keep_ends<T: Ord + Clone>(
    mine: &mut BTreeSet<Stamped<T>>,
    other: &BTreeSet<Stamped<T>>,
    most: usize,
) {
    let mut ends: BTreeMap<T, (Time, Time)> = BTreeMap::new();
    for said in mine.iter().chain(other) {
        let known = ends.entry(said.value.clone());
        let known = known.or_insert((said.as_of, said.as_of));
        *known = (known.0.min(said.as_of), known.1.max(said.as_of));
    }
    let mut by_last: Vec<(Time, T)> = ends
        .iter()
        .map(|(value, (_, last))| (*last, value.clone()))
        .collect();
    by_last.sort();
    let surplus = by_last.len().saturating_sub(most);
    for (_, value) in by_last.into_iter().take(surplus) {
        ends.remove(&value);
    }
    *mine = ends
        .into_iter()
        .flat_map(|(value, (first, last))| [(first, value.clone()), (last, value)])
        .map(|(as_of, value)| Stamped::new(as_of, value))
        .collect();
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
