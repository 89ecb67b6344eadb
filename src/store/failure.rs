//! What a failing database means for whoever asked, whichever database it is.
//!
//! Tells the drivers apart; what their codes mean is each store's own.

use super::copy::HALF_COPIED;
use super::{StoreError, postgres, sqlite};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// The database hands over what no store of ours wrote.
pub(super) fn corrupt(detail: String) -> StoreError {
    StoreError::Corrupt {
        table: "database",
        column: "file",
        row: "-".to_owned(),
        detail,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
            return corrupt(error.to_string());
        }
        let told = error.as_database_error();
        match told.and_then(|told| told.try_downcast_ref::<PgDatabaseError>()) {
            Some(told) => postgres::meaning(told),
            None => sqlite::meaning(&error),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the driver's enum may grow; whatever else it says is about the schema"
)]
/// A schema that this program cannot work on, or a database that fails while it is looked at.
pub(super) fn from_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(HALF_COPIED) => half_copied(),
        MigrateError::VersionMissing(version) => newer(version),
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "migration {version} is not the one that this program knows under that number"
        )),
        other => StoreError::Schema(other.to_string()),
    }
}

/// A migration that is not for programs of this age.
pub(super) fn newer(version: i64) -> StoreError {
    StoreError::Schema(format!(
        "the database has migration {version}, which this program does not know and is not made \
         to work with: it was written by a newer version"
    ))
}

/// What is there may be a part of a store.
pub(super) fn half_copied() -> StoreError {
    StoreError::Schema(
        "a copy into this store was begun and has not ended well: run `reconciled copy` again"
            .to_owned(),
    )
}

/// Refuses a schema that is not the newest one this program knows, whoever may work on it.
pub(super) fn check_version(found: Option<i64>, known: Option<i64>) -> Result<(), StoreError> {
    if found == known {
        return Ok(());
    }
    if found == Some(HALF_COPIED) {
        return Err(half_copied());
    }
    Err(StoreError::Schema(format!(
        "the database has schema {}, this program needs {}",
        found.unwrap_or(0),
        known.unwrap_or(0)
    )))
}
