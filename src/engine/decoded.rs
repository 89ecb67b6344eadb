//! Documents that were read or written lately, beside the checkouts that they say, so that a
//! document is not read again while it stays as it is.
//!
//! No memory of the truth: the store says which document is in force, and what it says follows
//! from its text alone.

use crate::core::checkout::Checkout;
use crate::core::ids::CheckoutId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents kept at most; a few kilobytes each.
const KEPT_MAX: usize = 512;

struct Kept {
    document: String,
    checkout: Arc<Checkout>,
}

/// The documents; clones share them.
#[derive(Clone, Default)]
pub(super) struct Decoded(Arc<Mutex<BTreeMap<CheckoutId, Kept>>>);

impl Decoded {
    /// What a stored document says.
    pub(super) fn read(
        &self,
        id: &CheckoutId,
        document: &str,
    ) -> Result<Arc<Checkout>, serde_json::Error> {
        if let Some(checkout) = self.same(id, document) {
            return Ok(checkout);
        }
        let checkout: Arc<Checkout> = Arc::new(serde_json::from_str(document)?);
        self.keep(id, document.to_owned(), checkout.clone());
        Ok(checkout)
    }

    fn same(&self, id: &CheckoutId, document: &str) -> Option<Arc<Checkout>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get(id).filter(|kept| kept.document == document);
        kept.map(|kept| kept.checkout.clone())
    }

    /// Keeps a document and the checkout that it was written from. The oldest checkout makes room:
    /// ids grow with time.
    pub(super) fn keep(&self, id: &CheckoutId, document: String, checkout: Arc<Checkout>) {
        debug_assert_eq!(
            serde_json::from_str(&document).ok().as_ref(),
            Some(&*checkout),
            "a document does not say what it was written from"
        );
        let kept = Kept { document, checkout };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = all.insert(id.clone(), kept);
        if replaced.is_none() && all.len() > KEPT_MAX {
            all.pop_first();
        }
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
    fn the_oldest_checkouts_make_room() {
        let decoded = Decoded::default();
        let most = u64::try_from(KEPT_MAX).unwrap();
        for number in 0..most + 3 {
            let checkout = checkout(number, None);
            let document = serde_json::to_string(&checkout).unwrap();
            decoded.keep(&checkout.id.clone(), document, Arc::new(checkout));
        }
        let all = decoded.0.lock().unwrap();
        assert_eq!(all.len(), KEPT_MAX);
        assert_eq!(*all.first_key_value().unwrap().0, checkout(3, None).id);
    }
}
