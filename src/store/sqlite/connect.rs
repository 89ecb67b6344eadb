//! Files, connections and transactions of the SQLite store.
//!
//! One connection writes, a few read, one moves the write-ahead log into the database. Knows no
//! table.

use super::error::is_constraint;
use super::sql;
use crate::store::StoreError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// Waiting for another connection's lock, at most. Ours never hold one for long; a backup may.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Cutting back a log that grew too long waits so long for readers, with the writer waiting too;
/// then it is left for the next time.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(100);
/// Connections that read at once: the engine, the dispatcher, a page or a sweep, an audit.
const READERS: u32 = 4;
/// Reading waits so long for a free connection.
const READER_PATIENCE: Duration = Duration::from_secs(5);
/// Looks at the lock file this often before another daemon is taken to hold it.
const LOCK_TRIES_MAX: u32 = 100;
/// Between two looks at the lock file.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Page cache of the writer, in KiB (negative by SQLite's convention). A commit that gave a page another
/// number looks through all of it: 8 MiB were measured to cost more than they spare.
const WRITER_CACHE_KIB: &str = "-4096";
/// The rest of the log is moved while the writer waits, once it has more pages than this (16 MiB):
/// only a log that was moved whole is begun anew. Its file keeps its length, because writing over
/// pages costs less than adding them.
const LOG_PAGES_MAX: i64 = 4096;
/// Beyond this length the writer waits for readers, too, and the file is cut back to it.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The same in pages.
const LOG_PAGES_PATIENT: i64 = 16_384;
/// Pages after which a commit moves the log itself: a net for a program that never calls
/// `checkpoint`, four times the length at which that one would have cut it back.
const LOG_PAGES_NET: &str = "65536";
/// The file's access bits: payments are nobody else's business.
const FILE_MODE: u32 = 0o600;

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // A statement keeps what it would need to undo itself; in a file that costs more than
        // the statement.
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

fn writing_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", LOG_PAGES_NET)
        .pragma("journal_size_limit", LOG_BYTES_MAX.to_string())
        .pragma("cache_size", WRITER_CACHE_KIB)
}

/// The pool of reading connections; they are opened when first used.
pub(super) fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READER_PATIENCE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options(path).read_only(true))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn open_private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| {
            StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
        })
}

/// Creates the database file, if it is missing, for our eyes only. SQLite gives its other files
/// the same access bits.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    open_private(path).map(drop)
}

/// Takes the lock beside the database, or refuses: two daemons on one file would each believe
/// that nobody else leases actions. The lock goes with the file handle, however we end; a process
/// that is just starting may have inherited the handle for a moment, hence the patience.
pub(super) async fn lock(path: &Path) -> Result<File, StoreError> {
    let path = beside(path, ".lock");
    let file = open_private(&path)?;
    for _ in 0..LOCK_TRIES_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Unavailable(format!(
                    "cannot lock {}: {error}",
                    path.display()
                )));
            }
        }
    }
    Err(StoreError::Unavailable(format!(
        "another reconciled is running on this database (it holds {})",
        path.display()
    )))
}

/// The one connection that writes, opened anew after any failure.
pub(super) struct Writer {
    slot: Mutex<Slot>,
}

pub(super) struct Slot {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// The greatest inbox id given out.
    last_inbox_id: i64,
    is_closed: bool,
}

impl Writer {
    pub(super) fn new(path: &Path) -> Writer {
        Writer {
            slot: Mutex::new(Slot {
                options: writing_options(path),
                connection: None,
                last_inbox_id: 0,
                is_closed: false,
            }),
        }
    }

    /// The connection outside any transaction, for start-up.
    pub(super) async fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().await
    }

    /// Waits for the writer's turn and begins a transaction with the write lock held.
    pub(super) async fn begin(&self) -> Result<Writing<'_>, StoreError> {
        let mut writing = self.turn().await;
        writing.begin().await?;
        Ok(writing)
    }

    /// Waits for the writer's turn; nothing has begun.
    pub(super) async fn turn(&self) -> Writing<'_> {
        Writing {
            slot: self.slot.lock().await,
            is_over: true,
        }
    }

    /// Closes the connection for good.
    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        slot.is_closed = true;
        if let Some(connection) = slot.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "store: the writing connection did not close cleanly");
        }
    }
}

impl Slot {
    /// The open connection.
    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if self.is_closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let open = match self.connection.take() {
            Some(open) => open,
            None => self.options.connect().await?,
        };
        Ok(self.connection.insert(open))
    }

    /// Inbox ids never go below this one again.
    pub(super) fn start_inbox_after(&mut self, id: i64) {
        self.last_inbox_id = self.last_inbox_id.max(id);
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&mut self, pages: Option<u32>, path: &Path) {
        let plain = writing_options(path);
        self.connection = None;
        self.options = match pages {
            Some(pages) => plain.pragma("max_page_count", pages.to_string()),
            None => plain,
        };
    }
}

/// The writer's turn, and in it a transaction that writes. Unless it ends well its connection is dropped, and SQLite rolls
/// back: after a full disk or a caller that went away nobody has to guess what state it is in.
pub(super) struct Writing<'a> {
    slot: MutexGuard<'a, Slot>,
    is_over: bool,
}

impl Writing<'_> {
    /// Begins a transaction with the write lock held.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.is_over = false;
        let begun = sqlx::query(sql::BEGIN_WRITING);
        begun.execute(self.connection().await?).await?;
        Ok(())
    }

    /// Runs a whole transaction in one go to the database's thread, from its beginning to its
    /// commit. False when the schema refused a row: then nothing was written.
    pub(super) async fn run_whole(
        &mut self,
        transaction: sqlx::query::Query<'_, sqlx::Sqlite, SqliteArguments>,
    ) -> Result<bool, StoreError> {
        self.is_over = false;
        let done = transaction.execute(self.connection().await?).await;
        let is_refused = match done {
            Ok(_) => false,
            Err(error) if is_constraint(&error) => true,
            Err(error) => return Err(error.into()),
        };
        if is_refused {
            let back = sqlx::query(sql::ROLLBACK);
            back.execute(self.connection().await?).await?;
        }
        self.is_over = true;
        Ok(!is_refused)
    }

    /// The connection, inside the transaction.
    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.slot.connection().await
    }

    /// The next inbox id: the moment of arrival, or one more than the last.
    pub(super) fn next_inbox_id(&mut self, received_at: i64) -> i64 {
        let next = self.slot.last_inbox_id.saturating_add(1);
        self.slot.last_inbox_id = received_at.clamp(next, next.max(LATEST_ARRIVAL));
        self.slot.last_inbox_id
    }

    /// Commits if the work went well.
    pub(super) async fn end<T>(mut self, worked: Result<T, StoreError>) -> Result<T, StoreError> {
        let value = worked?;
        sqlx::query(sql::COMMIT)
            .execute(self.connection().await?)
            .await?;
        self.is_over = true;
        Ok(value)
    }
}

/// No delivery arrives later than this (half of all time): a clock gone mad must leave ids for
/// those that come after.
pub(super) const LATEST_ARRIVAL: i64 = i64::MAX / 2;

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.slot.connection = None;
        }
    }
}

/// The connection that moves the log into the database.
pub(super) struct Checkpointer {
    path: PathBuf,
    connection: Mutex<Option<SqliteConnection>>,
}

impl Checkpointer {
    pub(super) fn new(path: &Path) -> Checkpointer {
        Checkpointer {
            path: path.to_owned(),
            connection: Mutex::new(None),
        }
    }

    /// Moves what can be moved beside readers and writer; a log that has grown long is moved whole
    /// while the writer waits, so that it is begun anew.
    pub(super) async fn run(&self, writer: &Writer) -> Result<(), StoreError> {
        let mut held = self.connection.lock().await;
        let mut open = match held.take() {
            Some(open) => open,
            None => {
                let options = writing_options(&self.path).busy_timeout(CHECKPOINT_PATIENCE);
                options.connect().await?
            }
        };
        let pages = log_pages(&mut open, sql::CHECKPOINT_PASSIVE).await?;
        if pages > LOG_PAGES_MAX {
            // Much was written meanwhile. After a second look only what is written during that is left.
            log_pages(&mut open, sql::CHECKPOINT_PASSIVE).await?;
            let waiting = writer.slot().await;
            let rest = if pages > LOG_PAGES_PATIENT {
                sql::CHECKPOINT_RESTART
            } else {
                sql::CHECKPOINT_PASSIVE
            };
            log_pages(&mut open, rest).await?;
            drop(waiting);
        }
        *held = Some(open);
        Ok(())
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "store: the checkpointing connection did not close cleanly");
        }
    }
}

/// Moves pages; how many the log has had since it was begun.
async fn log_pages(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<i64, StoreError> {
    let (_, pages, _): (i64, i64, i64) = sqlx::query_as(statement).fetch_one(connection).await?;
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use crate::core::ids::ShopId;
    use crate::core::time::Time;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Appended, NewDelivery, Sender, Store, StoreError};

    fn large(id: u32) -> NewDelivery {
        NewDelivery {
            sender: Sender::Shop(ShopId::parse("klompen").unwrap()),
            delivery_id: id.to_string(),
            received_at: Time::from_seconds(1_790_000_000),
            told_at: None,
            is_signed: true,
            body: vec![7; 20_000],
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_unavailable_and_the_store_works_again_when_space_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let writer = &store.write().unwrap().writer;
        writer.slot().await.limit_pages(Some(100), &path);
        let mut kept = 0;
        let full = loop {
            match store.append(&[large(kept)]).await {
                Ok(appended) => assert_eq!(appended, [Appended::New]),
                Err(error) => break error,
            }
            kept += 1;
            assert!(kept < 1_000, "the disk never got full");
        };
        assert!(kept > 3, "full from the start");
        assert!(
            matches!(&full, StoreError::Unavailable(text) if text.contains("full")),
            "{full}"
        );
        for _ in 0..3 {
            let still = store.append(&[large(kept)]).await.unwrap_err();
            assert_eq!(still.code(), "store_unavailable");
            assert!(
                store.probe(Time::from_seconds(0)).await.is_err(),
                "ready, but full"
            );
        }
        assert_eq!(
            store.pending(1_000).await.unwrap().len(),
            usize::try_from(kept).unwrap()
        );

        writer.slot().await.limit_pages(None, &path);
        assert_eq!(store.append(&[large(kept)]).await.unwrap(), [Appended::New]);
        assert_eq!(
            store.append(&[large(0)]).await.unwrap(),
            [Appended::Duplicate]
        );
        let whole: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&store.readers)
            .await
            .unwrap();
        assert_eq!(whole, "ok");
    }
}
