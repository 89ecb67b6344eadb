//! The store on PostgreSQL: several daemons, one database.
//!
//! Read committed, rows locked in a fixed order, a transaction that another one overtook tried
//! again. Knows the trait's verbs; the statements are in `sql`, the reading of rows in `rows`.

mod actions;
mod claim;
mod commit;
mod connect;
mod copy;
mod error;
mod guard;
mod inbox;
mod likeness;
mod prune;
mod sql;
mod views;
mod warm;
mod write;

use super::{
    Appended, Backlog, CheckoutFilter, CheckoutRow, ClaimRequest, Claimed, CommitUnit, Committed,
    Delivery, Found, JournalEntry, LeaseRequest, Leased, LoadedCheckout, Lookalike, NewDelivery,
    ParkedDelivery, QuarantineBounds, Quarantined, RefundJudge, Retention, ShopRow, Stamp, Store,
    StoreError, SweepMark, Tally, TallySums, VerdictCount, Wanted,
};
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use async_trait::async_trait;
use connect::Line;
pub use connect::PostgresOptions;
pub use copy::{PostgresExport, PostgresImport};
use error::Tries;
pub(super) use error::meaning;
use sqlx::migrate::Migrator;
use std::collections::BTreeMap;

/// The migrations this program knows; the build script watches the folder. Whoever migrates holds
/// a lock of ours, so the driver's own, which a pooler would lose, is not taken.
static MIGRATIONS: Migrator = Migrator {
    locking: false,
    ..sqlx::migrate!("migrations/postgres")
};

/// A store in a PostgreSQL database, which other daemons may use at the same time.
pub struct PostgresStore {
    line: Line,
}

impl PostgresStore {
    /// Connects to the database and brings its schema up to date. Refused when a newer program
    /// wrote it.
    pub async fn open(options: &PostgresOptions) -> Result<PostgresStore, StoreError> {
        let line = Line::connect(options, false).await?;
        line.migrate(&MIGRATIONS).await?;
        Ok(PostgresStore { line })
    }

    /// Connects for reading only; every writing verb answers `Unavailable`. The schema must be one
    /// that this program works on.
    pub async fn open_readonly(options: &PostgresOptions) -> Result<PostgresStore, StoreError> {
        let line = Line::connect(options, true).await?;
        line.check_schema(&MIGRATIONS).await?;
        Ok(PostgresStore { line })
    }

    /// Refuses a store with more in it than this program knows of, which it would not copy.
    pub async fn refuse_newer(&self) -> Result<(), StoreError> {
        self.line.refuse_newer(&MIGRATIONS).await
    }
}

/// One statement that reads.
macro_rules! read {
    ($store:ident, |$session:ident| $work:expr) => {{
        let mut session = $store.line.read().await?;
        let $session = &mut session;
        let worked = $work.await;
        Ok(session.end(worked).await?)
    }};
}

/// Several statements that read one moment.
macro_rules! look {
    ($store:ident, |$session:ident| $work:expr) => {{
        let mut session = $store.line.snapshot().await?;
        let $session = &mut session;
        let worked = $work.await;
        Ok(session.end(worked).await?)
    }};
}

/// A transaction that writes, tried again when another one overtook it.
macro_rules! write {
    ($store:ident, |$session:ident| $work:expr) => {{
        let mut tries = Tries::new();
        loop {
            let mut session = $store.line.begin().await?;
            let $session = &mut session;
            let worked = $work.await;
            match session.end(worked).await {
                Ok(value) => break Ok(value),
                Err(fault) => tries.after(fault)?,
            }
        }
    }};
}

#[async_trait]
impl Store for PostgresStore {
    fn writes_at_once(&self) -> bool {
        true
    }

    fn reads_at_once(&self) -> usize {
        let most = self.line.pool.options().get_max_connections();
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let digests = inbox::digests(batch);
        let mut session = self.line.write().await?;
        let appended = inbox::append(&mut session, batch, &digests).await;
        Ok(session.end(appended).await?)
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        read!(self, |session| inbox::pending(session, limit))
    }

    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        read!(self, |session| inbox::parked(session, limit))
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        write!(self, |session| inbox::quarantine(session, entry, bounds))
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        read!(self, |session| inbox::quarantined(session, limit))
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        read!(self, |session| inbox::quarantined_one(session, id))
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        write!(self, |session| inbox::requeue(session, id, delivery))
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        look!(self, |session| views::load(session, wanted))
    }

    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        write!(self, |session| commit::commit(session, units))
    }

    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError> {
        read!(self, |session| views::due(session, now, limit))
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        match claim::claim(&self.line, request).await? {
            Some(claimed) => Ok(claimed),
            None => Ok(Claimed {
                deliveries: self.pending(request.deliveries).await?,
                checkouts: self.due(request.now, request.checkouts).await?,
            }),
        }
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        read!(self, |session| views::next_due(session))
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        write!(self, |session| actions::lease(session, request))
    }

    async fn end_orphaned_leases(&self, _now: Time) -> Result<u64, StoreError> {
        // Who holds a lease may be another daemon that lives; a lease that ran out is found lost
        // by whoever leases next.
        Ok(0)
    }

    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        write!(self, |session| guard::admit(
            session,
            tally,
            since,
            is_first_attempt,
            judge
        ))
    }

    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError> {
        write!(self, |session| guard::set_brake(session, shop, brake))
    }

    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        read!(self, |session| guard::shop(session, shop))
    }

    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError> {
        read!(self, |session| guard::tallies(session, shop, since))
    }

    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError> {
        write!(self, |session| guard::first_start(session, account, now))
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        read!(self, |session| guard::sweep_marks(session))
    }

    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError> {
        write!(self, |session| guard::set_sweep_mark(session, mark))
    }

    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        look!(self, |session| views::checkouts(session, filter))
    }

    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError> {
        read!(self, |session| views::newest_order(
            session, shop, standing, before
        ))
    }

    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError> {
        read!(self, |session| likeness::since(session, since, limit))
    }

    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
        read!(self, |session| likeness::twins(session, checkouts))
    }

    async fn stamp(&self, home: &str, now: Time) -> Result<Stamp, StoreError> {
        write!(self, |session| guard::stamp(session, home, now))
    }

    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        read!(self, |session| views::journal(
            session, checkout, after, limit
        ))
    }

    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        look!(self, |session| views::audit_page(session, after, limit))
    }

    async fn audit_mark(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Option<CheckoutId>, StoreError> {
        read!(self, |session| views::audit_mark(session, after, limit))
    }

    async fn moved_since(
        &self,
        since: Time,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<CheckoutId>, StoreError> {
        read!(self, |session| views::moved_since(
            session, since, after, limit
        ))
    }

    async fn books(
        &self,
        ids: &[CheckoutId],
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        look!(self, |session| views::books(session, ids))
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        read!(self, |session| views::overview(session))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        look!(self, |session| views::backlog(session))
    }

    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError> {
        write!(self, |session| prune::step(session, now, retention))
    }

    async fn probe(&self, now: Time) -> Result<(), StoreError> {
        write!(self, |session| guard::probe(session, now))
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        // The server moves its log by itself.
        Ok(())
    }

    async fn close(&self) {
        self.line.close().await;
    }
}
