//! A PostgreSQL store read out and written anew as raw rows, each over a connection of its own.
//!
//! Knows who may be in the way and how a copy begins and ends; what is copied is said in
//! `store::copy`. Needs the server itself: a pooler would lose the locks.

mod sql;

use super::connect::{PostgresOptions, alone};
use super::sql::{BEGIN_SNAPSHOT, BEGIN_WRITING, LOCK_SCHEMA};
use crate::store::StoreError;
use crate::store::copy::{
    Cell, CopyError, Export, FIRST_ROWS, HALF_COPIED, Import, MARK, RawRow, SELECT_MARK, STRAYS,
    Table, UNMARK, cells, forward,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::sync::mpsc;

/// Looks this often whether everybody else is gone: a server takes a moment to notice.
const OTHERS_TRIES_MAX: u32 = 20;
/// Between two such looks.
const OTHERS_PAUSE: Duration = Duration::from_millis(100);

/// A PostgreSQL store being read out.
pub struct PostgresExport {
    /// Inside a transaction that sees one moment, and that goes with the connection.
    connection: PgConnection,
}

impl PostgresExport {
    /// Reads a store that nobody may write meanwhile; refused while daemons are connected.
    pub async fn of_source(options: &PostgresOptions) -> Result<PostgresExport, CopyError> {
        let mut connection = alone(options).await?;
        refuse_others(&mut connection).await?;
        run(&mut connection, sql::WAIT_BRIEFLY).await?;
        run(&mut connection, BEGIN_SNAPSHOT).await?;
        if let Err(error) = run(&mut connection, sql::LOCK_SOURCE).await {
            // A database without our tables is no store.
            return Err(match error {
                StoreError::Schema(_) => CopyError::Missing,
                StoreError::Unavailable(_) | StoreError::Corrupt { .. } => error.into(),
            });
        }
        Ok(PostgresExport { connection })
    }

    async fn of_target(options: &PostgresOptions) -> Result<PostgresExport, StoreError> {
        let mut connection = alone(options).await?;
        run(&mut connection, BEGIN_SNAPSHOT).await?;
        Ok(PostgresExport { connection })
    }
}

async fn run(connection: &mut PgConnection, statement: &'static str) -> Result<(), StoreError> {
    sqlx::query(statement).execute(connection).await?;
    Ok(())
}

async fn refuse_others(connection: &mut PgConnection) -> Result<(), CopyError> {
    let mut others = 0;
    for _ in 0..OTHERS_TRIES_MAX {
        let counted = sqlx::query_scalar(sql::COUNT_OTHERS).fetch_one(&mut *connection);
        others = counted.await.map_err(StoreError::from)?;
        if others == 0 {
            return Ok(());
        }
        tokio::time::sleep(OTHERS_PAUSE).await;
    }
    Err(CopyError::InUse(others))
}

#[async_trait]
impl Export for PostgresExport {
    async fn rows(
        &mut self,
        table: Table,
        batches: mpsc::Sender<Vec<RawRow>>,
    ) -> Result<(), StoreError> {
        let (select, _) = sql::of(table);
        let found = sqlx::query(select).fetch(&mut self.connection);
        forward(found.map(|row| cells(&row?, table)), batches).await
    }

    async fn strays(&mut self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(STRAYS);
        Ok(query.fetch_one(&mut self.connection).await?)
    }
}

/// A PostgreSQL store being written anew.
pub struct PostgresImport {
    options: PostgresOptions,
    /// Holds the lock that keeps other copies away.
    connection: PgConnection,
}

impl PostgresImport {
    /// Connects, and empties what an earlier copy left behind. The schema is made by opening the
    /// store after this.
    pub async fn connect(options: &PostgresOptions) -> Result<PostgresImport, CopyError> {
        let mut connection = alone(options).await?;
        let locked = sqlx::query_scalar(sql::TRY_LOCK).fetch_one(&mut connection);
        let is_ours: bool = locked.await.map_err(StoreError::from)?;
        if !is_ours {
            return Err(CopyError::BeingCopied);
        }
        refuse_others(&mut connection).await?;
        run(&mut connection, sql::WAIT_BRIEFLY).await?;
        clear_half_copy(&mut connection).await?;
        let options = options.clone();
        Ok(PostgresImport {
            options,
            connection,
        })
    }
}

async fn clear_half_copy(connection: &mut PgConnection) -> Result<(), StoreError> {
    let has_schema = sqlx::query_scalar(sql::HAS_SCHEMA);
    if !has_schema.fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin_with(BEGIN_WRITING).await?;
    let mark = sqlx::query(SELECT_MARK).bind(HALF_COPIED);
    if mark.fetch_optional(&mut *transaction).await?.is_some() {
        run(&mut transaction, sql::CLEAR).await?;
        let unmark = sqlx::query(UNMARK).bind(HALF_COPIED);
        unmark.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// One column of many rows, as the driver takes it.
enum Column {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// Rows turned into columns. All rows of a table have the same columns.
fn columns(rows: Vec<RawRow>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (nr, row) in rows.into_iter().enumerate() {
        if nr == 0 {
            columns.extend(row.iter().map(|cell| match cell {
                Cell::Integer(_) => Column::Integers(Vec::new()),
                Cell::Text(_) => Column::Texts(Vec::new()),
                Cell::Bytes(_) => Column::Bytes(Vec::new()),
            }));
        }
        for (cell, column) in row.into_iter().zip(&mut columns) {
            match (cell, column) {
                (Cell::Integer(value), Column::Integers(values)) => values.push(value),
                (Cell::Text(value), Column::Texts(values)) => values.push(value),
                (Cell::Bytes(value), Column::Bytes(values)) => values.push(value),
                (Cell::Integer(_) | Cell::Text(_) | Cell::Bytes(_), _) => {}
            }
        }
    }
    columns
}

#[async_trait]
impl Import for PostgresImport {
    async fn begin(&mut self) -> Result<(), CopyError> {
        let begun = self.connection.begin_with(BEGIN_WRITING).await;
        let mut transaction = begun.map_err(StoreError::from)?;
        run(&mut transaction, LOCK_SCHEMA).await?;
        let first = sqlx::query_scalar(FIRST_ROWS).fetch_optional(&mut *transaction);
        if let Some(table) = first.await.map_err(StoreError::from)? {
            return Err(CopyError::NotEmpty(table));
        }
        let mark = sqlx::query(MARK).bind(HALF_COPIED).bind(Vec::<u8>::new());
        let marked = mark.execute(&mut *transaction).await;
        marked.map_err(StoreError::from)?;
        Ok(transaction.commit().await.map_err(StoreError::from)?)
    }

    fn admit(&mut self, _table: Table, _row: &mut [Cell]) {
        // This database takes every row as it is.
    }

    async fn write(&mut self, table: Table, rows: Vec<RawRow>) -> Result<(), StoreError> {
        let (_, insert) = sql::of(table);
        let mut query = sqlx::query(insert);
        for column in columns(rows) {
            query = match column {
                Column::Integers(values) => query.bind(values),
                Column::Texts(values) => query.bind(values),
                Column::Bytes(values) => query.bind(values),
            };
        }
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn written(&self) -> Result<Box<dyn Export>, StoreError> {
        Ok(Box::new(PostgresExport::of_target(&self.options).await?))
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin_with(BEGIN_WRITING).await?;
        run(&mut transaction, sql::ADVANCE_INBOX).await?;
        run(&mut transaction, sql::ADVANCE_QUARANTINE).await?;
        let unmark = sqlx::query(UNMARK).bind(HALF_COPIED);
        unmark.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
