//! What a failing SQLite means for whoever asked: later, never like this, or broken.
//!
//! Knows result codes, not statements.

use crate::store::StoreError;
use sqlx::migrate::MigrateError;

/// `SQLITE_CORRUPT`: a page does not hold what it must.
const CORRUPT: i64 = 11;
/// `SQLITE_CONSTRAINT`: a row that the schema refuses.
const CONSTRAINT: i64 = 19;
/// `SQLITE_MISMATCH`: a value of another type than the column's.
const MISMATCH: i64 = 20;
/// `SQLITE_NOTADB`: the file is not a database.
const NOT_A_DATABASE: i64 = 26;
/// The primary code lies in the low byte of an extended one.
const PRIMARY: i64 = 0xff;

fn corrupt(detail: String) -> StoreError {
    StoreError::Corrupt {
        table: "database",
        column: "file",
        row: "-".to_owned(),
        detail,
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i64>().ok().map(|code| code & PRIMARY)
}

/// Did the schema refuse a row?
pub(super) fn is_constraint(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(CONSTRAINT)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let text = error.to_string();
        if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
            return corrupt(text);
        }
        match primary_code(&error) {
            Some(CORRUPT | CONSTRAINT | MISMATCH | NOT_A_DATABASE) => corrupt(text),
            // Full (13), busy (5), locked (6), read-only (8), I/O (10), cannot open (14), and
            // whatever else may pass: nothing was written, and trying again is right.
            Some(_) | None => StoreError::Unavailable(text),
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
        MigrateError::VersionMissing(version) => StoreError::Schema(format!(
            "the database has migration {version}, which this program does not know: it was \
             written by a newer version"
        )),
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "migration {version} is not the one that this program knows under that number"
        )),
        other => StoreError::Schema(other.to_string()),
    }
}
