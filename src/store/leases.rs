//! What a lease brings, in the order in which it is carried out.
//!
//! Shared by the databases, whose updates give rows in an order of their own.

use super::{ActionRow, Leased, StoreError};

/// An action that was leased, or why what is stored of it cannot be read.
pub(super) type Taken = Result<ActionRow, StoreError>;

/// Longest overdue first; what cannot be read comes last and holds up nobody.
pub(super) fn in_order(taken: Vec<Taken>, leased: impl Fn(ActionRow) -> Leased) -> Vec<Leased> {
    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    for one in taken {
        match one {
            Ok(row) => readable.push(row),
            Err(error) => unreadable.push(Leased::Unreadable(error.to_string())),
        }
    }
    let order = |row: &ActionRow| (row.planned.due, row.checkout.clone(), row.key.clone());
    readable.sort_by_cached_key(order);
    let readable = readable.into_iter().map(leased);
    readable.chain(unreadable).collect()
}
