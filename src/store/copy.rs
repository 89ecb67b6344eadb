//! A whole store as raw rows, read from one database and written into another.
//!
//! Knows which tables there are and that no row may be lost or changed; the statements are each
//! store's own. What rows mean is not looked at here. A store that is being copied into bears a
//! schema that no program knows, older ones included, until the copy was found to be equal.

use super::StoreError;
use super::rows::Reading;
use async_trait::async_trait;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use sqlx::{ColumnIndex, Decode, Row, Type};
use tokio::sync::mpsc;

/// Rows that are written at once, at most.
const BATCH_ROWS_MAX: usize = 2_000;
/// A batch is written once it has so many bytes, however few its rows.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches that were read and wait to be written.
const BATCHES_WAITING_MAX: usize = 2;
/// The schema of a store that is being copied into.
pub(super) const HALF_COPIED: i64 = 9_000_000_000_000_000_000;

/// The first table that has a row.
pub(super) const FIRST_ROWS: &str = "SELECT name FROM ( \
    SELECT 'inbox' AS name WHERE EXISTS (SELECT 1 FROM inbox) \
    UNION ALL SELECT 'bodies' WHERE EXISTS (SELECT 1 FROM bodies) \
    UNION ALL SELECT 'delivery_keys' WHERE EXISTS (SELECT 1 FROM delivery_keys) \
    UNION ALL SELECT 'quarantine' WHERE EXISTS (SELECT 1 FROM quarantine) \
    UNION ALL SELECT 'checkouts' WHERE EXISTS (SELECT 1 FROM checkouts) \
    UNION ALL SELECT 'payments' WHERE EXISTS (SELECT 1 FROM payments) \
    UNION ALL SELECT 'journal' WHERE EXISTS (SELECT 1 FROM journal) \
    UNION ALL SELECT 'actions' WHERE EXISTS (SELECT 1 FROM actions) \
    UNION ALL SELECT 'sightings' WHERE EXISTS (SELECT 1 FROM sightings) \
    UNION ALL SELECT 'standings' WHERE EXISTS (SELECT 1 FROM standings) \
    UNION ALL SELECT 'tallies' WHERE EXISTS (SELECT 1 FROM tallies) \
    UNION ALL SELECT 'shops' WHERE EXISTS (SELECT 1 FROM shops) \
    UNION ALL SELECT 'accounts' WHERE EXISTS (SELECT 1 FROM accounts) \
    UNION ALL SELECT 'sweeps' WHERE EXISTS (SELECT 1 FROM sweeps) \
    UNION ALL SELECT 'instance' WHERE EXISTS (SELECT 1 FROM instance)) AS t LIMIT 1";
/// Keys and bodies that belong to no delivery, and so would not come along.
pub(super) const STRAYS: &str = "SELECT (SELECT count(*) FROM delivery_keys) \
    + (SELECT count(*) FROM bodies) \
    - (SELECT count(*) FROM inbox i JOIN delivery_keys k ON k.key = i.key AND k.inbox = i.id) \
    - (SELECT count(*) FROM inbox i JOIN bodies b ON b.id = i.id)";
pub(super) const MARK: &str = "INSERT INTO _sqlx_migrations \
    (version, description, success, checksum, execution_time) VALUES ($1, 'copying', true, $2, 0)";
pub(super) const UNMARK: &str = "DELETE FROM _sqlx_migrations WHERE version = $1";
pub(super) const SELECT_MARK: &str = "SELECT version FROM _sqlx_migrations WHERE version = $1";

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No store is there.
    #[error("there is no store")]
    Missing,
    /// The target holds something already.
    #[error("the store is not empty: there are rows in {0}")]
    NotEmpty(String),
    /// Other programs of ours have it open.
    #[error("it is in use by {0} connections of reconciled: stop every daemon on it first")]
    InUse(i64),
    /// Somebody else copies into it.
    #[error("another copy into it is under way")]
    BeingCopied,
}

/// What is copied at once, in an order that never names what is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The inbox, each delivery with its body and its key.
    Deliveries,
    /// The quarantine.
    Quarantine,
    /// Checkouts.
    Checkouts,
    /// The homes of payments.
    Payments,
    /// The journal.
    Journal,
    /// Wanted actions with their attempts and leases.
    Actions,
    /// What looks alike.
    Sightings,
    /// Counts by verdict.
    Standings,
    /// What the guard counts.
    Tallies,
    /// Epochs and brakes.
    Shops,
    /// First starts.
    Accounts,
    /// Sweep marks.
    Sweeps,
    /// Where the store was last started.
    Instance,
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Text,
    /// Bytes; or text that may hold anything, which is bytes where text cannot hold NUL.
    Bytes,
}

impl Table {
    /// All tables, in the order of copying.
    pub const ALL: [Table; 13] = [
        Table::Deliveries,
        Table::Quarantine,
        Table::Checkouts,
        Table::Payments,
        Table::Journal,
        Table::Actions,
        Table::Sightings,
        Table::Standings,
        Table::Tallies,
        Table::Shops,
        Table::Accounts,
        Table::Sweeps,
        Table::Instance,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Table::Deliveries => "inbox",
            Table::Quarantine => "quarantine",
            Table::Checkouts => "checkouts",
            Table::Payments => "payments",
            Table::Journal => "journal",
            Table::Actions => "actions",
            Table::Sightings => "sightings",
            Table::Standings => "standings",
            Table::Tallies => "tallies",
            Table::Shops => "shops",
            Table::Accounts => "accounts",
            Table::Sweeps => "sweeps",
            Table::Instance => "instance",
        }
    }

    fn columns(self) -> &'static [Kind] {
        use Kind::{Bytes as B, Integer as I, Text as T};
        match self {
            Table::Deliveries => &[I, T, B, B, I, I, T, B, B, B],
            Table::Quarantine => &[I, I, T, I, B, B, B],
            Table::Checkouts => &[T, T, T, T, T, I, I, I, I, T, I, I, T, B],
            Table::Payments => &[T, T, T, T],
            Table::Journal => &[T, I, T, I, B, B, T, T],
            Table::Actions => &[T, T, I, T, T, T, T, I, T, I, I, I, T, T, I],
            Table::Sightings => &[T, T, T, T, I, I, T],
            Table::Standings => &[T, T, T, I, I, I],
            Table::Tallies => &[T, I, T, T, I, I, I],
            Table::Shops => &[T, T, T, I],
            Table::Accounts => &[T, I],
            Table::Sweeps => &[T, I, I, I, B],
            Table::Instance => &[I, T, I, I],
        }
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// An integer, or nothing.
    Integer(Option<i64>),
    /// A text, or nothing.
    Text(Option<String>),
    /// Bytes, or nothing.
    Bytes(Option<Vec<u8>>),
}

impl Cell {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Cell::Integer(_) => None,
            Cell::Text(text) => text.as_deref().map(str::as_bytes),
            Cell::Bytes(bytes) => bytes.as_deref(),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Cell::Integer(value) => value.is_none(),
            Cell::Text(text) => text.is_none(),
            Cell::Bytes(bytes) => bytes.is_none(),
        }
    }
}

/// One row: its table's columns in their order.
pub type RawRow = Vec<Cell>;

/// Reads a row as a database hands it over.
pub(super) fn cells<'r, R>(row: &'r R, table: Table) -> Result<RawRow, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let kinds = table.columns().iter().enumerate();
    let read = kinds.map(|(nr, kind)| {
        Ok(match kind {
            Kind::Integer => Cell::Integer(row.try_get(nr)?),
            Kind::Text => Cell::Text(row.try_get(nr)?),
            Kind::Bytes => Cell::Bytes(row.try_get(nr)?),
        })
    });
    read.collect()
}

/// A store that is read out, all of one moment.
#[async_trait]
pub trait Export: Send {
    /// Every row of a table in the order of its key. Whoever no longer receives has had enough.
    async fn rows(
        &mut self,
        table: Table,
        batches: mpsc::Sender<Vec<RawRow>>,
    ) -> Result<(), StoreError>;

    /// How many rows there are that no reading of tables comes by.
    async fn strays(&mut self) -> Result<i64, StoreError>;
}

/// A store that is written into, and that nobody may use before the end.
#[async_trait]
pub trait Import: Send {
    /// Refuses a store that is not empty; from here on no program starts on it.
    async fn begin(&mut self) -> Result<(), CopyError>;

    /// Gives a row what this database wants otherwise.
    fn admit(&mut self, table: Table, row: &mut [Cell]);

    /// Writes rows in one transaction.
    async fn write(&mut self, table: Table, rows: Vec<RawRow>) -> Result<(), StoreError>;

    /// The store as it stands, for reading it again.
    async fn written(&self) -> Result<Box<dyn Export>, StoreError>;

    /// The last step: from here on the store is one like any other.
    async fn finish(&mut self) -> Result<(), StoreError>;
}

/// Sends rows on in batches.
pub(super) async fn forward(
    rows: impl Stream<Item = Result<RawRow, StoreError>> + Unpin,
    batches: mpsc::Sender<Vec<RawRow>>,
) -> Result<(), StoreError> {
    let mut rows = rows;
    let (mut batch, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next().await {
        let row = row?;
        let lengths = row.iter().filter_map(Cell::bytes).map(<[u8]>::len);
        bytes = lengths.fold(bytes, usize::saturating_add);
        batch.push(row);
        if batch.len() >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
            bytes = 0;
            if batches.send(std::mem::take(&mut batch)).await.is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() && batches.send(batch).await.is_err() {
        tracing::debug!("nobody waits for the last rows");
    }
    Ok(())
}

/// What a table holds: how many rows, and a digest of all of them in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The table.
    pub table: Table,
    /// Its rows.
    pub rows: u64,
    /// The digest, hex.
    pub digest: String,
}

struct Counted {
    rows: u64,
    digest: Sha256,
}

impl Counted {
    fn new() -> Counted {
        let digest = Sha256::new();
        Counted { rows: 0, digest }
    }

    fn add(&mut self, row: &[Cell]) {
        self.rows = self.rows.saturating_add(1);
        for cell in row {
            self.digest.update([u8::from(cell.is_null())]);
            if let Cell::Integer(Some(value)) = cell {
                self.digest.update(value.to_be_bytes());
            }
            if let Some(bytes) = cell.bytes() {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.digest.update(length.to_be_bytes());
                self.digest.update(bytes);
            }
        }
    }

    fn of(self, table: Table) -> Content {
        Content {
            table,
            rows: self.rows,
            digest: hex::encode(self.digest.finalize()),
        }
    }
}

/// Copies every row; what was written, table by table.
pub async fn transfer(
    from: &mut dyn Export,
    to: &mut dyn Import,
) -> Result<Vec<Content>, StoreError> {
    let strays = from.strays().await?;
    if strays != 0 {
        let why = format_args!("{strays} keys and bodies belong to no delivery");
        return Err(Reading::of("inbox", "-").corrupt("id", why));
    }
    let mut contents = Vec::new();
    for table in Table::ALL {
        let (sender, mut batches) = mpsc::channel::<Vec<RawRow>>(BATCHES_WAITING_MAX);
        let writing = async {
            let mut counted = Counted::new();
            while let Some(mut rows) = batches.recv().await {
                for row in &mut rows {
                    to.admit(table, row);
                    counted.add(row);
                }
                to.write(table, rows).await?;
            }
            Ok(counted)
        };
        let ((), counted) = tokio::try_join!(from.rows(table, sender), writing)?;
        contents.push(counted.of(table));
    }
    Ok(contents)
}

/// What a store holds, table by table.
pub async fn contents(of: &mut dyn Export) -> Result<Vec<Content>, StoreError> {
    let mut contents = Vec::new();
    for table in Table::ALL {
        let (sender, mut batches) = mpsc::channel::<Vec<RawRow>>(BATCHES_WAITING_MAX);
        let counting = async {
            let mut counted = Counted::new();
            while let Some(rows) = batches.recv().await {
                rows.iter().for_each(|row| counted.add(row));
            }
            Ok(counted)
        };
        let ((), counted) = tokio::try_join!(of.rows(table, sender), counting)?;
        contents.push(counted.of(table));
    }
    Ok(contents)
}
