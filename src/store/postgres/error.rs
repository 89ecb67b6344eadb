//! What a failing PostgreSQL means for whoever asked: later, never like this, broken, or simply
//! once more because another transaction was faster.
//!
//! Knows SQLSTATE, not statements.

use crate::store::StoreError;
use crate::store::failure::corrupt;
use sqlx::postgres::PgDatabaseError;

/// `unique_violation`: another transaction wrote such a row first.
const UNIQUE_VIOLATION: &str = "23505";
/// `serialization_failure`.
const SERIALIZATION_FAILURE: &str = "40001";
/// `deadlock_detected`.
const DEADLOCK: &str = "40P01";
/// `lock_not_available`: another transaction held on for longer than `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// `undefined_table`, `undefined_column`, `undefined_function`, `invalid_schema_name`.
const UNKNOWN_SCHEMA: [&str; 4] = ["42P01", "42703", "42883", "3F000"];
/// `read_only_sql_transaction`, and `feature_not_supported`, which a standby says to a transaction
/// that is to write.
const TAKES_NO_WRITES: [&str; 2] = ["25006", "0A000"];
/// Classes of values and rows that the schema refuses, and of a damaged database: data exception,
/// integrity constraint violation, internal error.
const BROKEN_CLASSES: [&str; 3] = ["22", "23", "XX"];
/// A transaction is tried so often before whoever asked is told to come later.
const TRIES_MAX: u32 = 6;

/// Why a transaction did not come about.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another transaction was faster; nothing was written, and trying again sees what it did.
    /// Holds what it means when it happens every time.
    Overtaken(StoreError),
    /// Trying again at once is of no use.
    Final(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Final(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Fault {
        let code = error.as_database_error().and_then(|told| told.code());
        let is_overtaken = code.is_some_and(|code| {
            let overtaken = [
                UNIQUE_VIOLATION,
                SERIALIZATION_FAILURE,
                DEADLOCK,
                LOCK_NOT_AVAILABLE,
            ];
            overtaken.contains(&code.as_ref())
        });
        if is_overtaken {
            Fault::Overtaken(error.into())
        } else {
            Fault::Final(error.into())
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        match fault {
            Fault::Overtaken(error) | Fault::Final(error) => error,
        }
    }
}

/// How often a transaction may still be tried.
pub(super) struct Tries(u32);

impl Tries {
    pub(super) fn new() -> Tries {
        Tries(TRIES_MAX)
    }

    /// After a fault: once more, or the error to report.
    pub(super) fn after(&mut self, fault: Fault) -> Result<(), StoreError> {
        self.0 = self.0.saturating_sub(1);
        match fault {
            Fault::Overtaken(_) if self.0 > 0 => Ok(()),
            Fault::Overtaken(error) | Fault::Final(error) => Err(error),
        }
    }
}

/// What a statement that the server refused means. Connections lost or too many, a server that
/// stops, disks that are full, statements that took too long and whatever else may pass: nothing
/// was written, and trying again later is right.
pub(in crate::store) fn meaning(told: &PgDatabaseError) -> StoreError {
    let code = told.code();
    let text = format!("{} ({code})", told.message());
    if UNKNOWN_SCHEMA.contains(&code) {
        StoreError::Schema(text)
    } else if TAKES_NO_WRITES.contains(&code) {
        StoreError::Unavailable(format!(
            "the server takes no writes, as a standby does not: {text}"
        ))
    } else if BROKEN_CLASSES.iter().any(|class| code.starts_with(class)) {
        corrupt(text)
    } else {
        StoreError::Unavailable(text)
    }
}
