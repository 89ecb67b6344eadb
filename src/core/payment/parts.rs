//! Money that was taken in parts, where the PSP tells of each part and never of their sum.
//!
//! A part's amount does not change; should a source say otherwise, the greatest counts, in each
//! currency apart, so that the sums only grow.

use crate::core::ids::ExternalRef;
use crate::core::money::{Currency, Money};
use std::collections::BTreeMap;

/// Parts by the PSP's ids: the most ever said of each, per currency.
pub(super) type Parts = BTreeMap<ExternalRef, BTreeMap<Currency, i64>>;

/// The parts that one snapshot tells of.
pub(super) fn told(parts: &BTreeMap<ExternalRef, Money>) -> Parts {
    let taken = parts.iter().filter(|(_, part)| part.is_positive());
    taken
        .map(|(id, part)| {
            let said = BTreeMap::from([(part.currency(), part.minor())]);
            (id.clone(), said)
        })
        .collect()
}

/// What one snapshot says was taken: its own figure, and never less than its parts.
pub(super) fn taken(said: Option<Money>, parts: &Parts) -> BTreeMap<Currency, i64> {
    let said = said.filter(|money| money.is_positive());
    let mut taken: BTreeMap<Currency, i64> = said
        .map(|money| (money.currency(), money.minor()))
        .into_iter()
        .collect();
    count(&mut taken, parts);
    taken
}

/// Takes in the parts that others know.
pub(super) fn join(mine: &mut Parts, other: &Parts) {
    for (id, said) in other {
        let known = mine.entry(id.clone()).or_default();
        for (currency, minor) in said {
            let most = known.entry(*currency).or_insert(*minor);
            *most = (*most).max(*minor);
        }
    }
}

/// Raises what was taken to the sum of the parts.
pub(super) fn count(taken: &mut BTreeMap<Currency, i64>, parts: &Parts) {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for (currency, minor) in parts.values().flatten() {
        let sum = sums.entry(*currency).or_insert(0);
        *sum = sum.saturating_add(*minor);
    }
    for (currency, sum) in sums {
        let known = taken.entry(currency).or_insert(sum);
        *known = (*known).max(sum);
    }
}
