//! Counts and sums as a database hands them over, and their reading into the store's values.
//!
//! Sums come in two parts, since a sum of 64-bit amounts may pass 64 bits. Knows columns and words,
//! no statements.

use super::rows::{Reading, joined, minute, pair, split};
use super::{Backlog, StoreError, Tally, TallyKind, TallySums, VerdictCount};
use crate::core::ids::ShopId;
use crate::core::money::{Currency, Money};
use crate::core::plan::{ActionKind, Verdict};
use crate::core::time::Time;
use std::collections::BTreeMap;

#[derive(sqlx::FromRow)]
pub(super) struct RawTally {
    kind: String,
    currency: String,
    count: i64,
    high: i64,
    low: i64,
}

/// A shop's tallies of a window, one row per kind and currency.
pub(super) fn summed(shop: &ShopId, rows: Vec<RawTally>) -> Result<TallySums, StoreError> {
    let mut sums = TallySums::default();
    for raw in rows {
        let reading = Reading::of("tallies", pair(shop, &raw.kind));
        let kind = reading.word("kind", &raw.kind, TallyKind::parse)?;
        let counted = reading.parsed("count", u64::try_from(raw.count))?;
        let count = sums.counts.entry(kind).or_insert(0);
        *count = count.saturating_add(counted);
        let of_this_kind = match kind {
            TallyKind::Refund => &mut sums.refunded,
            TallyKind::Unclaimed => &mut sums.unclaimed,
            TallyKind::Capture | TallyKind::OrderAnswered | TallyKind::OrderUnknown => continue,
        };
        if !raw.currency.is_empty() {
            let currency = reading.parsed("currency", Currency::parse(&raw.currency))?;
            of_this_kind.push(Money::new(joined(raw.high, raw.low), currency));
        }
    }
    sums.refunded.sort();
    sums.unclaimed.sort();
    Ok(sums)
}

/// One bucket as a store adds it: shop, minute, kind, currency, count, and the sum in two parts.
pub(super) type Bucket<'a> = (&'a ShopId, i64, &'static str, String, i64, i64, i64);

/// Tallies by the minute, in the order of the buckets' keys.
pub(super) fn bucketed<'a>(tallies: &[&'a Tally]) -> Vec<Bucket<'a>> {
    let mut buckets: BTreeMap<_, (i64, i128)> = BTreeMap::new();
    for tally in tallies {
        let currency = tally.amount.map(|money| money.currency());
        let currency = currency.map_or(String::new(), String::from);
        let key = (&tally.shop, minute(tally.at), tally.kind.code(), currency);
        let bucket = buckets.entry(key).or_default();
        let minor = tally.amount.map_or(0, |money| money.minor());
        bucket.0 = bucket.0.saturating_add(1);
        bucket.1 = bucket.1.saturating_add(i128::from(minor));
    }
    let rows = buckets.into_iter();
    rows.map(|((shop, minute, kind, currency), (count, sum))| {
        let (high, low) = split(sum);
        (shop, minute, kind, currency, count, high, low)
    })
    .collect()
}

#[derive(sqlx::FromRow)]
pub(super) struct RawCount {
    shop: String,
    verdict: String,
    currency: String,
    count: i64,
    high: i64,
    low: i64,
    oldest: Option<i64>,
}

/// The overview, from one row per shop, verdict and currency.
pub(super) fn overview(rows: Vec<RawCount>) -> Result<Vec<VerdictCount>, StoreError> {
    let mut counts: BTreeMap<(ShopId, Verdict), VerdictCount> = BTreeMap::new();
    for raw in rows {
        let reading = Reading::of("standings", pair(&raw.shop, &raw.verdict));
        let shop = reading.parsed("shop", ShopId::parse(&raw.shop))?;
        let verdict = reading.word("verdict", &raw.verdict, Verdict::parse)?;
        let here = counts
            .entry((shop.clone(), verdict))
            .or_insert(VerdictCount {
                shop,
                verdict,
                count: 0,
                in_suspense: Vec::new(),
                oldest: raw
                    .oldest
                    .filter(|_| !verdict.is_at_rest())
                    .map(Time::from_micros),
            });
        let count = reading.parsed("count", u64::try_from(raw.count))?;
        here.count = here.count.saturating_add(count);
        let minor = joined(raw.high, raw.low);
        if !raw.currency.is_empty() && minor != 0 {
            let currency = reading.parsed("currency", Currency::parse(&raw.currency))?;
            here.in_suspense.push(Money::new(minor, currency));
        }
    }
    Ok(counts.into_values().filter(|one| one.count > 0).collect())
}

#[derive(sqlx::FromRow)]
pub(super) struct RawBacklog {
    pending: i64,
    oldest_delivery: Option<i64>,
    parked: i64,
    quarantined: i64,
    oldest_due: Option<i64>,
}

fn counted(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// How many actions of a kind are wanted.
pub(super) fn action_count((kind, count): (String, i64)) -> Result<(ActionKind, u64), StoreError> {
    let reading = Reading::of("actions", &kind);
    let kind = reading.word("kind", &kind, ActionKind::parse)?;
    Ok((kind, counted(count)))
}

impl RawBacklog {
    pub(super) fn read(self, actions: Vec<(ActionKind, u64)>) -> Backlog {
        Backlog {
            deliveries_pending: counted(self.pending),
            oldest_delivery: self.oldest_delivery.map(Time::from_micros),
            deliveries_parked: counted(self.parked),
            quarantined: counted(self.quarantined),
            actions: actions.into_iter().collect(),
            oldest_due: self.oldest_due.map(Time::from_micros),
        }
    }
}
