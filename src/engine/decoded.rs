//! Documents that were read or written lately, beside the checkouts that they say, so that a
//! document is not read again while it stays as it is.
//!
//! No memory of the truth: the store says which document is in force, and what it says follows
//! from its text alone.

use crate::core::checkout::Checkout;
use crate::core::ids::CheckoutId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Documents kept at most; a few kilobytes each.
const KEPT_MAX: usize = 512;

struct Kept {
    document: String,
    checkout: Arc<Checkout>,
    /// Its place in `by_use`.
    used: u64,
}

#[derive(Default)]
struct Shelf {
    by_id: BTreeMap<CheckoutId, Kept>,
    /// Who was used longest ago comes first.
    by_use: BTreeMap<u64, CheckoutId>,
    uses: u64,
}

/// The documents; clones share them.
#[derive(Clone, Default)]
pub(super) struct Decoded(Arc<Mutex<Shelf>>);

impl Shelf {
    /// A document as it stands here, which counts as a use of it.
    fn same(&mut self, id: &CheckoutId, document: &str) -> Option<Arc<Checkout>> {
        let kept = self.by_id.get_mut(id)?;
        if kept.document != document {
            return None;
        }
        let uses = self.uses.saturating_add(1);
        if let Some(id) = self.by_use.remove(&kept.used) {
            self.by_use.insert(uses, id);
        }
        (self.uses, kept.used) = (uses, uses);
        Some(kept.checkout.clone())
    }

    fn keep(&mut self, id: &CheckoutId, document: String, checkout: Arc<Checkout>) {
        let used = self.uses.saturating_add(1);
        let kept = Kept {
            document,
            checkout,
            used,
        };
        self.uses = used;
        if let Some(replaced) = self.by_id.insert(id.clone(), kept) {
            self.by_use.remove(&replaced.used);
        }
        self.by_use.insert(used, id.clone());
        if self.by_id.len() > KEPT_MAX
            && let Some((_, longest)) = self.by_use.pop_first()
        {
            self.by_id.remove(&longest);
        }
    }
}

impl Decoded {
    /// What a stored document says.
    pub(super) fn read(
        &self,
        id: &CheckoutId,
        document: &str,
    ) -> Result<Arc<Checkout>, serde_json::Error> {
        if let Some(checkout) = self.shelf().same(id, document) {
            return Ok(checkout);
        }
        let checkout: Arc<Checkout> = Arc::new(serde_json::from_str(document)?);
        self.keep(id, document.to_owned(), checkout.clone());
        Ok(checkout)
    }

    /// Keeps a document and the checkout that it was written from. The one that was used longest
    /// ago makes room.
    pub(super) fn keep(&self, id: &CheckoutId, document: String, checkout: Arc<Checkout>) {
        debug_assert_eq!(
            serde_json::from_str(&document).ok().as_ref(),
            Some(&*checkout),
            "a document does not say what it was written from"
        );
        self.shelf().keep(id, document, checkout);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{Reference, ShopId};

    fn checkout(number: u64, reference: Option<&str>) -> Checkout {
        let reference = reference.map(|text| Reference::parse(text).unwrap());
        let id = CheckoutId::made(number, &[0; 10]);
        Checkout::new(id, ShopId::parse("klompen").unwrap(), reference)
    }

    #[test]
    fn another_document_is_read_anew_and_a_broken_one_is_not_hidden() {
        let decoded = Decoded::default();
        let (one, other) = (checkout(1, None), checkout(1, Some("A-7")));
        let id = one.id.clone();
        for checkout in [&one, &one, &other, &one] {
            let document = serde_json::to_string(checkout).unwrap();
            assert_eq!(*decoded.read(&id, &document).unwrap(), *checkout);
        }
        assert!(decoded.read(&id, "{}").is_err());
    }

    #[test]
    fn what_was_used_longest_ago_makes_room_whatever_its_age() {
        let decoded = Decoded::default();
        let most = u64::try_from(KEPT_MAX).unwrap();
        let keep = |number| {
            let checkout = checkout(number, None);
            let document = serde_json::to_string(&checkout).unwrap();
            decoded.keep(&checkout.id.clone(), document.clone(), Arc::new(checkout));
            document
        };
        let oldest = keep(0);
        for number in 1..most {
            keep(number);
        }
        let id = checkout(0, None).id;
        decoded.read(&id, &oldest).unwrap();
        for number in most..most + 3 {
            keep(number);
        }
        let shelf = decoded.0.lock().unwrap();
        assert_eq!(
            (shelf.by_id.len(), shelf.by_use.len()),
            (KEPT_MAX, KEPT_MAX)
        );
        let is_kept = |number| shelf.by_id.contains_key(&checkout(number, None).id);
        let found: Vec<bool> = [0, 1, 2, 3, 4, most + 2].map(is_kept).to_vec();
        assert_eq!(found, [true, false, false, false, true, true]);
    }
}
