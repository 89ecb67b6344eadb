//! The store on PostgreSQL: several daemons, one database.
//!
//! Read committed, rows locked in a fixed order, a transaction that another one overtook tried
//! again. Knows the trait's verbs; the statements are in `sql`, the reading of rows in `rows`.

mod connect;
mod error;
mod sql;

use super::StoreError;
use connect::Line;
pub use connect::PostgresOptions;
pub(super) use error::meaning;
use sqlx::migrate::Migrator;

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

    /// Connects for reading only; every writing verb answers `Unavailable`. The schema must be the
    /// one this program knows.
    pub async fn open_readonly(options: &PostgresOptions) -> Result<PostgresStore, StoreError> {
        let line = Line::connect(options, true).await?;
        line.check_schema(&MIGRATIONS).await?;
        Ok(PostgresStore { line })
    }

    /// Closes all connections once they are free.
    pub async fn close(&self) {
        self.line.close().await;
    }
}
