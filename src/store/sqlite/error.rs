//! What a failing SQLite means for whoever asked: later, never like this, or broken.
//!
//! Knows result codes, not statements.

use crate::store::StoreError;
use crate::store::failure::corrupt;

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

fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i64>().ok().map(|code| code & PRIMARY)
}

/// Did the schema refuse a row?
pub(super) fn is_constraint(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(CONSTRAINT)
}

/// What a failing statement means.
pub(in crate::store) fn meaning(error: &sqlx::Error) -> StoreError {
    let text = error.to_string();
    match primary_code(error) {
        Some(CORRUPT | CONSTRAINT | MISMATCH | NOT_A_DATABASE) => corrupt(text),
        // Full (13), busy (5), locked (6), read-only (8), I/O (10), cannot open (14), and
        // whatever else may pass: nothing was written, and trying again is right.
        Some(_) | None => StoreError::Unavailable(text),
    }
}
