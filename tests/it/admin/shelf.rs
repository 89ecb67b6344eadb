//! A store that only serves fixed rows.
//!
//! Writing is none of the admin listener's business but the probe; a shelf can also be down.

use async_trait::async_trait;
use reconciled::core::fact::BrakeCause;
use reconciled::core::ids::{AccountId, ActionKey, CheckoutId, ShopId};
use reconciled::core::money::Money;
use reconciled::core::plan::Verdict;
use reconciled::core::time::Time;
use reconciled::store::*;
use std::collections::BTreeMap;

/// A store of fixed rows. Writing is none of the admin listener's business but the probe.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) rows: Vec<LoadedCheckout>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) parked: Vec<ParkedDelivery>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) marks: Vec<SweepMark>,
    pub(super) brake: Option<(BrakeCause, Time)>,
    pub(super) backlog: Backlog,
    pub(super) is_down: bool,
}

impl Shelf {
    fn up<T>(&self, value: T) -> Result<T, StoreError> {
        if self.is_down {
            Err(StoreError::Unavailable("disk full".to_owned()))
        } else {
            Ok(value)
        }
    }

    fn read_only<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::Unavailable(
            "this shelf is for reading".to_owned(),
        ))
    }

    pub(super) fn overview_of_rows(&self) -> Vec<VerdictCount> {
        let mut lines: BTreeMap<Verdict, VerdictCount> = BTreeMap::new();
        for row in self.rows.iter().map(|loaded| &loaded.row) {
            let line = lines.entry(row.verdict).or_insert_with(|| VerdictCount {
                shop: row.shop.clone(),
                verdict: row.verdict,
                count: 0,
                in_suspense: Vec::new(),
                oldest: Some(row.since),
            });
            line.count = line.count.saturating_add(1);
            line.oldest = line.oldest.min(Some(row.since));
            let Some(money) = row.in_suspense else {
                continue;
            };
            let sums = &mut line.in_suspense;
            let same = |sum: &&mut Money| sum.currency() == money.currency();
            match sums.iter_mut().find(same) {
                Some(sum) => *sum = sum.plus(money).unwrap(),
                None => sums.push(money),
            }
        }
        lines.into_values().collect()
    }
}

#[async_trait]
impl Store for Shelf {
    async fn append(&self, _: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        self.read_only()
    }
    async fn pending(&self, _: u32) -> Result<Vec<Delivery>, StoreError> {
        self.up(Vec::new())
    }
    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        self.up(self.parked.iter().take(most(limit)).cloned().collect())
    }
    async fn quarantine(&self, _: &Quarantined, _: QuarantineBounds) -> Result<(), StoreError> {
        self.read_only()
    }
    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        let rows = self.quarantined.iter().take(most(limit));
        self.up(rows.cloned().collect())
    }
    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        self.up(self
            .quarantined
            .iter()
            .find(|entry| entry.id == id)
            .cloned())
    }
    async fn requeue(&self, _: i64, _: &NewDelivery) -> Result<Appended, StoreError> {
        self.read_only()
    }
    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        let rows = self
            .rows
            .iter()
            .filter(|loaded| wanted.checkouts.contains(&loaded.row.id));
        self.up(Found {
            checkouts: rows
                .map(|loaded| (loaded.row.id.clone(), loaded.clone()))
                .collect(),
            ..Found::default()
        })
    }
    async fn commit(&self, _: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        self.read_only()
    }
    async fn due(&self, _: Time, _: u32) -> Result<Vec<CheckoutId>, StoreError> {
        self.up(Vec::new())
    }
    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        self.up(None)
    }
    async fn lease(&self, _: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        self.read_only()
    }
    async fn unlease(&self, _: &CheckoutId, _: &ActionKey, _: &str) -> Result<(), StoreError> {
        self.read_only()
    }
    async fn admit_refund(
        &self,
        _: &Tally,
        _: Time,
        _: bool,
        _: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        self.read_only()
    }
    async fn set_brake(&self, _: &ShopId, _: Option<(BrakeCause, Time)>) -> Result<(), StoreError> {
        self.read_only()
    }
    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        self.up(ShopRow {
            shop: shop.clone(),
            epoch: None,
            brake: self.brake,
        })
    }
    async fn tallies(&self, _: &ShopId, _: Time) -> Result<TallySums, StoreError> {
        self.up(TallySums::default())
    }
    async fn first_start(&self, _: &AccountId, now: Time) -> Result<Time, StoreError> {
        self.up(now)
    }
    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        self.up(self.marks.clone())
    }
    async fn set_sweep_mark(&self, _: &SweepMark) -> Result<(), StoreError> {
        self.read_only()
    }
    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        let mut rows: Vec<LoadedCheckout> = self
            .rows
            .iter()
            .filter(|loaded| {
                let row = &loaded.row;
                let position = (row.since, row.id.clone());
                filter.shop.as_ref().is_none_or(|shop| *shop == row.shop)
                    && (filter.verdicts.is_empty() || filter.verdicts.contains(&row.verdict))
                    && filter.since_before.is_none_or(|before| row.since < before)
                    && filter
                        .reference
                        .as_ref()
                        .is_none_or(|wanted| row.reference.as_ref() == Some(wanted))
                    && filter.after.as_ref().is_none_or(|after| position > *after)
            })
            .cloned()
            .collect();
        rows.sort_by_key(|loaded| (loaded.row.since, loaded.row.id.clone()));
        rows.truncate(most(filter.limit));
        self.up(rows)
    }
    async fn journal(
        &self,
        _: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let entries = self.journal.iter().filter(|entry| entry.seq > after);
        self.up(entries.take(most(limit)).cloned().collect())
    }
    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        self.up(self.overview_of_rows())
    }
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.up(self.backlog.clone())
    }
    async fn prune(&self, _: Time, _: Retention) -> Result<u64, StoreError> {
        self.read_only()
    }
    async fn probe(&self, _: Time) -> Result<(), StoreError> {
        self.up(())
    }
    async fn audit_page(
        &self,
        _: Option<&CheckoutId>,
        _: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        self.read_only()
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        self.read_only()
    }

    async fn end_orphaned_leases(&self, _: Time) -> Result<u64, StoreError> {
        self.read_only()
    }

    async fn close(&self) {}
}

fn most(limit: u32) -> usize {
    usize::try_from(limit).unwrap()
}
