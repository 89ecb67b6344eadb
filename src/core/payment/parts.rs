//! Money that was taken in parts, where the PSP tells of each part and never of their sum.
//!
//! A part's amount does not change, so the sum of all parts that are known only grows.

use crate::core::ids::ExternalRef;
use crate::core::money::{Currency, Money};
use std::collections::BTreeMap;

/// What one snapshot says was taken: its own figure, and never less than its parts.
pub(super) fn taken(
    said: Option<Money>,
    parts: &BTreeMap<ExternalRef, Money>,
) -> BTreeMap<Currency, i64> {
    let said = said.filter(|money| money.is_positive());
    let mut taken: BTreeMap<Currency, i64> = said
        .map(|money| (money.currency(), money.minor()))
        .into_iter()
        .collect();
    count(&mut taken, parts);
    taken
}

/// Raises what was taken to the sum of the parts.
pub(super) fn count(taken: &mut BTreeMap<Currency, i64>, parts: &BTreeMap<ExternalRef, Money>) {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for part in parts.values().filter(|part| part.is_positive()) {
        let sum = sums.entry(part.currency()).or_insert(0);
        *sum = sum.saturating_add(part.minor());
    }
    for (currency, sum) in sums {
        let known = taken.entry(currency).or_insert(sum);
        *known = (*known).max(sum);
    }
}
