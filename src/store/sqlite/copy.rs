//! An SQLite store read out and written anew as raw rows.
//!
//! Knows how a copy begins and ends in a file; what is copied is said in `store::copy`. Deliveries
//! have the time of their arrival as their number here, by which they are pruned, so one that comes
//! with a smaller number gets a new one.

mod sql;

use super::connect::{self, LATEST_ARRIVAL, Writer};
use super::pack::{Arena, rows};
use super::{SqliteStore, sql as common};
use crate::store::copy::{
    Cell, CopyError, Export, FIRST_ROWS, HALF_COPIED, Import, MARK, RawRow, SELECT_MARK, STRAYS,
    Table, UNMARK, cells, forward,
};
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::Value;
use sqlx::{Sqlite, Transaction};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

impl SqliteStore {
    /// Opens a store for reading only, and keeps every daemon from it as long as the file handle
    /// is held.
    pub async fn open_source(path: &Path) -> Result<(SqliteStore, File), CopyError> {
        if !path.is_file() {
            return Err(CopyError::Missing);
        }
        let lock = connect::lock(path).await?;
        Ok((SqliteStore::open_readonly(path).await?, lock))
    }

    /// Opens a store to copy into, after emptying what an earlier copy left behind.
    pub async fn open_target(path: &Path) -> Result<SqliteStore, StoreError> {
        if path.is_file() {
            let lock = connect::lock(path).await?;
            clear_half_copy(path).await?;
            drop(lock);
        }
        SqliteStore::open(path).await
    }
}

async fn clear_half_copy(path: &Path) -> Result<(), StoreError> {
    let writer = Writer::new(path);
    let mut writing = writer.begin().await?;
    let cleared = async {
        let connection = writing.connection().await?;
        let has_schema = sqlx::query_scalar(sql::HAS_SCHEMA);
        let tables: i64 = has_schema.fetch_one(&mut *connection).await?;
        if tables == 0 {
            return Ok(());
        }
        let mark = sqlx::query(SELECT_MARK).bind(HALF_COPIED);
        if mark.fetch_optional(&mut *connection).await?.is_some() {
            sqlx::query(sql::CLEAR).execute(&mut *connection).await?;
            let unmark = sqlx::query(UNMARK).bind(HALF_COPIED);
            unmark.execute(connection).await?;
        }
        Ok(())
    };
    let cleared = cleared.await;
    writing.end(cleared).await?;
    writer.close().await;
    Ok(())
}

/// An SQLite store being read out.
pub struct SqliteExport {
    transaction: Transaction<'static, Sqlite>,
}

impl SqliteExport {
    /// Reads a store as it stands.
    pub async fn of(store: &SqliteStore) -> Result<SqliteExport, StoreError> {
        let transaction = store.readers.begin_with(common::BEGIN_READING).await?;
        Ok(SqliteExport { transaction })
    }
}

#[async_trait]
impl Export for SqliteExport {
    async fn rows(
        &mut self,
        table: Table,
        batches: mpsc::Sender<Vec<RawRow>>,
    ) -> Result<(), StoreError> {
        let (select, _) = sql::of(table);
        let found = sqlx::query(select).fetch(&mut *self.transaction);
        forward(found.map(|row| cells(&row?, table)), batches).await
    }

    async fn strays(&mut self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(STRAYS);
        Ok(query.fetch_one(&mut *self.transaction).await?)
    }
}

/// An SQLite store being written anew.
pub struct SqliteImport {
    store: Arc<SqliteStore>,
    last_inbox_id: i64,
}

impl SqliteImport {
    /// Writes into a store that is open.
    pub fn into(store: Arc<SqliteStore>) -> SqliteImport {
        SqliteImport {
            store,
            last_inbox_id: 0,
        }
    }
}

/// A row as `$1` holds it; its bytes go into the arena.
fn packed(row: &[Cell], arena: &mut Arena) -> Value {
    let cells = row.iter().map(|cell| match cell {
        Cell::Integer(value) => Value::from(*value),
        Cell::Text(text) => Value::from(text.as_deref()),
        Cell::Bytes(bytes) => serde_json::json!(bytes.as_deref().map(|bytes| arena.put(bytes))),
    });
    Value::Array(cells.collect())
}

#[async_trait]
impl Import for SqliteImport {
    async fn begin(&mut self) -> Result<(), CopyError> {
        let mut writing = self.store.begin().await?;
        let connection = writing.connection().await?;
        let first = sqlx::query_scalar(FIRST_ROWS).fetch_optional(&mut *connection);
        if let Some(table) = first.await.map_err(StoreError::from)? {
            return Err(CopyError::NotEmpty(table));
        }
        let mark = sqlx::query(MARK).bind(HALF_COPIED).bind(Vec::<u8>::new());
        let marked = mark.execute(connection).await;
        let marked = marked.map(|_| ()).map_err(StoreError::from);
        Ok(writing.end(marked).await?)
    }

    fn admit(&mut self, table: Table, row: &mut [Cell]) {
        if table != Table::Deliveries {
            return;
        }
        let received_at = match row.get(4) {
            Some(Cell::Integer(Some(received_at))) => (*received_at).min(LATEST_ARRIVAL),
            Some(_) | None => 0,
        };
        if let Some(Cell::Integer(Some(id))) = row.first_mut() {
            let next = self.last_inbox_id.saturating_add(1);
            *id = (*id).max(received_at).max(next);
            self.last_inbox_id = *id;
        }
    }

    async fn write(&mut self, table: Table, batch: Vec<RawRow>) -> Result<(), StoreError> {
        let mut arena = Arena::with_capacity(0);
        let short: Vec<Value> = batch.iter().map(|row| packed(row, &mut arena)).collect();
        drop(batch);
        let (short, long) = (rows(&short)?, arena.into_bytes());
        let (_, inserts) = sql::of(table);
        let mut writing = self.store.begin().await?;
        let written = async {
            for insert in inserts {
                let query = sqlx::query(*insert).bind(&short).bind(&long);
                query.execute(writing.connection().await?).await?;
            }
            Ok(())
        };
        let written = written.await;
        writing.end(written).await?;
        self.store.checkpoint().await
    }

    async fn written(&self) -> Result<Box<dyn Export>, StoreError> {
        Ok(Box::new(SqliteExport::of(&self.store).await?))
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        let mut writing = self.store.begin().await?;
        let unmark = sqlx::query(UNMARK).bind(HALF_COPIED);
        let unmarked = unmark.execute(writing.connection().await?).await;
        let unmarked = unmarked.map(|_| ()).map_err(StoreError::from);
        writing.end(unmarked).await
    }
}
