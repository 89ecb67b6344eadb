//! How commits and pruning change the counts of checkouts by shop and verdict.
//!
//! Counts and sums only; a checkout leaves where it stood and enters where it stands.

use super::CheckoutRow;
use super::rows::{RawStanding, split};
use std::collections::BTreeMap;

/// Changes per shop, verdict and currency (empty for none): the count and the sum of minor units.
#[derive(Default)]
pub(super) struct StandingChanges {
    changes: BTreeMap<(String, String, String), (i64, i128)>,
}

/// One change as a store adds it: shop, verdict, currency, count, and the sum in two parts.
pub(super) type StandingChange = (String, String, String, i64, i64, i64);

impl StandingChanges {
    /// A checkout stands here from now on.
    pub(super) fn enter(&mut self, row: &CheckoutRow) {
        let currency = row.in_suspense.map(|money| money.currency());
        let key = (
            row.shop.to_string(),
            row.verdict.code().to_owned(),
            currency.map_or(String::new(), String::from),
        );
        let minor = row.in_suspense.map_or(0, |money| money.minor());
        self.change(key, 1, i128::from(minor));
    }

    /// A checkout stood here until now.
    pub(super) fn leave(&mut self, stood: &RawStanding) {
        let key = (
            stood.shop.clone(),
            stood.verdict.clone(),
            stood.suspense_currency.clone().unwrap_or_default(),
        );
        let minor = i128::from(stood.suspense_minor.unwrap_or(0));
        self.change(key, -1, minor.saturating_neg());
    }

    fn change(&mut self, key: (String, String, String), count: i64, sum: i128) {
        let known = self.changes.entry(key).or_default();
        known.0 = known.0.saturating_add(count);
        known.1 = known.1.saturating_add(sum);
    }

    /// The changes that change anything.
    pub(super) fn into_rows(self) -> Vec<StandingChange> {
        let changed = self.changes.into_iter().filter(|(_, by)| *by != (0, 0));
        changed
            .map(|((shop, verdict, currency), (count, sum))| {
                let (high, low) = split(sum);
                (shop, verdict, currency, count, high, low)
            })
            .collect()
    }
}
