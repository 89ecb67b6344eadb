//! Checkouts with their standing actions, put together from what two statements gave.
//!
//! An action that cannot be read hides neither its checkout nor any other.

use super::leases::Taken;
use super::{CheckoutRow, LoadedCheckout};
use crate::core::ids::CheckoutId;
use std::collections::BTreeMap;

/// Each checkout with its actions, by key. An action names its checkout, readable or not.
pub(super) fn with_actions(
    found: Vec<CheckoutRow>,
    actions: Vec<(String, Taken)>,
) -> BTreeMap<CheckoutId, LoadedCheckout> {
    let bare = |row: CheckoutRow| {
        let loaded = LoadedCheckout {
            row,
            actions: Vec::new(),
            unreadable: Vec::new(),
        };
        (loaded.row.id.clone(), loaded)
    };
    let mut loaded: BTreeMap<CheckoutId, LoadedCheckout> = found.into_iter().map(bare).collect();
    for (checkout, action) in actions {
        let Some(checkout) = CheckoutId::parse(&checkout)
            .ok()
            .and_then(|id| loaded.get_mut(&id))
        else {
            continue;
        };
        match action {
            Ok(row) => checkout.actions.push(row),
            Err(error) => checkout.unreadable.push(error.to_string()),
        }
    }
    for checkout in loaded.values_mut() {
        checkout
            .actions
            .sort_by(|one, other| one.key.cmp(&other.key));
        checkout.unreadable.sort();
    }
    loaded
}
