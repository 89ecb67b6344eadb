//! Many rows in two parameters: JSON for the short values, one blob for the long ones.
//!
//! A statement per row costs more in the driver than in SQLite; a JSON text of every value
//! would have to escape documents and cannot carry bytes. Knows no table.

use crate::store::StoreError;
use serde::Serialize;

/// Long values end to end. Positions count from 1, as `substr` does.
pub(super) struct Arena {
    bytes: Vec<u8>,
}

/// Where a value lies in its arena: its first byte, counted from 1, and how many bytes. In a row
/// it is an array of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place(usize, usize);

impl Place {
    /// Its first byte.
    pub(super) fn begins(self) -> usize {
        self.0
    }
}

impl Arena {
    /// An arena with room for so many bytes. It begins with a byte that belongs to nobody,
    /// because `substr` of an empty blob is NULL and not the empty value.
    pub(super) fn with_capacity(bytes: usize) -> Arena {
        let mut arena = Vec::with_capacity(bytes.saturating_add(1));
        arena.push(0);
        Arena { bytes: arena }
    }

    /// Takes a value in.
    pub(super) fn put(&mut self, value: &[u8]) -> Place {
        let at = self.bytes.len().saturating_add(1);
        self.bytes.extend_from_slice(value);
        Place(at, value.len())
    }

    /// The blob to bind.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Rows as the JSON array to bind.
pub(super) fn rows<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows)
        .map_err(|error| StoreError::Unavailable(format!("rows cannot be written: {error}")))
}
