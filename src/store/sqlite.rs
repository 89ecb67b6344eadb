//! The store on embedded SQLite: one machine, one daemon, one file.
//!
//! Write-ahead log, synced at every commit, one writer and a few readers. Knows the trait's
//! verbs; the statements are in `sql`, the reading of rows in `rows`.

mod actions;
mod commit;
mod connect;
mod copy;
mod error;
mod guard;
mod inbox;
mod likeness;
mod pack;
mod packed;
mod prune;
mod sql;
mod views;

use super::failure::{check_version, from_migration};
use super::schema::{Standing, check, standing, tolerant};
use super::{
    Appended, Backlog, CheckoutFilter, CheckoutRow, CommitUnit, Committed, Delivery, Found,
    JournalEntry, LeaseRequest, Leased, LoadedCheckout, Lookalike, NewDelivery, ParkedDelivery,
    QuarantineBounds, Quarantined, RefundJudge, Retention, ShopRow, Stamp, Store, StoreError,
    SweepMark, Tally, TallySums, VerdictCount, Wanted,
};
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use async_trait::async_trait;
use connect::{Checkpointer, Writer, Writing};
pub use copy::{SqliteExport, SqliteImport};
pub(super) use error::meaning;
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqlitePool;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// The migrations this program knows; the build script watches the folder.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A store in one SQLite file.
pub struct SqliteStore {
    readers: SqlitePool,
    /// Absent when the file was opened for reading only.
    writing: Option<Write>,
}

struct Write {
    writer: Writer,
    checkpointer: Checkpointer,
    /// Held as long as we live.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, creating it (mode 0600) when it is missing, and brings its schema up to
    /// date. Refused while another daemon has it open, and when a newer program wrote it.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let lock = connect::lock(path).await?;
        connect::create(path)?;
        let writer = Writer::new(path);
        {
            let mut slot = writer.slot().await;
            let connection = slot.connection().await?;
            migrate(connection).await?;
            let last: Option<i64> = sqlx::query_scalar(sql::LAST_INBOX_ID)
                .fetch_one(connection)
                .await?;
            slot.start_inbox_after(last.unwrap_or(0));
        }
        Ok(SqliteStore {
            readers: connect::readers(path),
            writing: Some(Write {
                writer,
                checkpointer: Checkpointer::new(path),
                _lock: lock,
            }),
        })
    }

    /// Opens the file for reading only, also beside a daemon that has it open; every writing
    /// verb answers `Unavailable`. The schema must be one that this program works on.
    pub async fn open_readonly(path: &Path) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore {
            readers: connect::readers(path),
            writing: None,
        };
        let applied = sqlx::query_as(sql::APPLIED)
            .fetch_all(&store.readers)
            .await?;
        check(&applied, &MIGRATIONS)?;
        Ok(store)
    }

    /// Refuses a store with more in it than this program knows of, which it would not copy.
    pub async fn refuse_newer(&self) -> Result<(), StoreError> {
        let found: Option<i64> = sqlx::query_scalar(sql::SCHEMA_VERSION)
            .fetch_one(&self.readers)
            .await?;
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        check_version(found, known)
    }

    /// The schema of a file; none when it is missing or empty.
    pub async fn schema(path: &Path) -> Result<Option<i64>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let readers = connect::readers(path);
        let has_schema: Option<i64> = sqlx::query_scalar(sql::HAS_SCHEMA)
            .fetch_optional(&readers)
            .await?;
        let version = match has_schema {
            None => None,
            Some(_) => {
                let version = sqlx::query_scalar(sql::SCHEMA_VERSION);
                version.fetch_one(&readers).await?
            }
        };
        readers.close().await;
        Ok(version)
    }

    fn write(&self) -> Result<&Write, StoreError> {
        let missing = || StoreError::Unavailable("the store was opened read-only".to_owned());
        self.writing.as_ref().ok_or_else(missing)
    }

    async fn begin(&self) -> Result<Writing<'_>, StoreError> {
        self.write()?.writer.begin().await
    }

    /// Reads several statements of one moment.
    async fn snapshot(&self) -> Result<sqlx::Transaction<'_, sqlx::Sqlite>, StoreError> {
        Ok(self.readers.begin_with(sql::BEGIN_READING).await?)
    }
}

/// Brings the schema up to date; leaves a newer one that this program works on as it is.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let has_schema: Option<i64> = sqlx::query_scalar(sql::HAS_SCHEMA)
        .fetch_optional(&mut *connection)
        .await?;
    let applied = match has_schema {
        Some(_) => {
            sqlx::query_as(sql::APPLIED)
                .fetch_all(&mut *connection)
                .await?
        }
        None => Vec::new(),
    };
    let migrated = match standing(&applied, &MIGRATIONS)? {
        Standing::Known => MIGRATIONS.run(&mut *connection).await,
        Standing::Newer(_) => tolerant(&MIGRATIONS).run(&mut *connection).await,
    };
    migrated.map_err(from_migration)
}

/// Runs one statement with its bound values and reads every row.
async fn read_all<R, T>(
    connection: &mut SqliteConnection,
    query: sqlx::query::QueryAs<'_, sqlx::Sqlite, R, sqlx::sqlite::SqliteArguments>,
    read: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError>
where
    R: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
{
    let raw = query.fetch_all(connection).await?;
    raw.into_iter().map(read).collect()
}

#[async_trait]
impl Store for SqliteStore {
    fn reads_at_once(&self) -> usize {
        let most = self.readers.options().get_max_connections();
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let digests = inbox::digests(batch);
        let packed = inbox::pack(batch, &digests);
        let mut writing = self.write()?.writer.turn().await;
        if inbox::append_unknown(&mut writing, batch, packed).await? {
            return Ok(vec![Appended::New; batch.len()]);
        }
        writing.begin().await?;
        let appended = inbox::append(&mut writing, batch, &digests).await;
        writing.end(appended).await
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        inbox::pending(&mut *self.readers.acquire().await?, limit).await
    }

    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError> {
        inbox::parked(&mut *self.readers.acquire().await?, limit).await
    }

    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let put = inbox::quarantine(writing.connection().await?, entry, bounds).await;
        writing.end(put).await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        inbox::quarantined(&mut *self.readers.acquire().await?, limit).await
    }

    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        inbox::quarantined_one(&mut *self.readers.acquire().await?, id).await
    }

    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError> {
        let mut writing = self.begin().await?;
        let moved = inbox::requeue(&mut writing, id, delivery).await;
        writing.end(moved).await
    }

    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError> {
        views::load(&mut *self.snapshot().await?, wanted).await
    }

    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let mut writing = self.begin().await?;
        let committed = commit::commit(writing.connection().await?, units).await;
        writing.end(committed).await
    }

    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError> {
        views::due(&mut *self.readers.acquire().await?, now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        views::next_due(&mut *self.readers.acquire().await?).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        let mut writing = self.begin().await?;
        let leased = actions::lease(writing.connection().await?, request).await;
        writing.end(leased).await
    }

    async fn end_orphaned_leases(&self, now: Time) -> Result<u64, StoreError> {
        let mut writing = self.begin().await?;
        let ended = actions::end_all(writing.connection().await?, now).await;
        writing.end(ended).await
    }

    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError> {
        let mut writing = self.begin().await?;
        let connection = writing.connection().await?;
        let judged = guard::admit(connection, tally, since, is_first_attempt, judge).await;
        writing.end(judged).await
    }

    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let set = guard::set_brake(writing.connection().await?, shop, brake).await;
        writing.end(set).await
    }

    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        guard::shop(&mut *self.readers.acquire().await?, shop).await
    }

    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError> {
        guard::tallies(&mut *self.readers.acquire().await?, shop, since).await
    }

    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError> {
        let mut writing = self.begin().await?;
        let first = guard::first_start(writing.connection().await?, account, now).await;
        writing.end(first).await
    }

    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError> {
        guard::sweep_marks(&mut *self.readers.acquire().await?).await
    }

    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let set = guard::set_sweep_mark(writing.connection().await?, mark).await;
        writing.end(set).await
    }

    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError> {
        views::checkouts(&mut *self.snapshot().await?, filter).await
    }

    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError> {
        views::newest_order(&mut *self.readers.acquire().await?, shop, standing, before).await
    }

    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError> {
        likeness::since(&mut *self.readers.acquire().await?, since, limit).await
    }

    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
        likeness::twins(&mut *self.readers.acquire().await?, checkouts).await
    }

    async fn stamp(&self, home: &str, now: Time) -> Result<Stamp, StoreError> {
        let mut writing = self.begin().await?;
        let stamped = guard::stamp(writing.connection().await?, home, now).await;
        writing.end(stamped).await
    }

    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        views::journal(&mut *self.readers.acquire().await?, checkout, after, limit).await
    }

    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        views::audit_page(&mut *self.snapshot().await?, after, limit).await
    }

    async fn audit_mark(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Option<CheckoutId>, StoreError> {
        views::audit_mark(&mut *self.readers.acquire().await?, after, limit).await
    }

    async fn moved_since(
        &self,
        since: Time,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<CheckoutId>, StoreError> {
        let mut reader = self.readers.acquire().await?;
        views::moved_since(&mut reader, since, after, limit).await
    }

    async fn books(
        &self,
        ids: &[CheckoutId],
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        views::books(&mut *self.snapshot().await?, ids).await
    }

    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError> {
        views::overview(&mut *self.readers.acquire().await?).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        views::backlog(&mut *self.snapshot().await?).await
    }

    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError> {
        let mut writing = self.begin().await?;
        let pruned = prune::step(writing.connection().await?, now, retention).await;
        writing.end(pruned).await
    }

    async fn probe(&self, now: Time) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let probed = guard::probe(writing.connection().await?, now).await;
        writing.end(probed).await
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        let write = self.write()?;
        write.checkpointer.run(&write.writer).await
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(write) = &self.writing {
            write.checkpointer.close().await;
            write.writer.close().await;
        }
    }
}
