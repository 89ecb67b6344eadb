//! Mollie's ids: which kind of thing one names, and which may stand in a path of ours.
//!
//! `tr_7UhSN1zuXS` is a payment, `re_…` a refund, `chb_…` a chargeback. Everything else is of no
//! use here. Strict on purpose: an id may come from anybody.

use crate::core::ids::ExternalRef;

/// Longest part behind the prefix, in bytes; Mollie's own have 10 to 26.
const TAIL_BYTES_MAX: usize = 64;
/// The prefixes of a classic delivery: of these things Mollie says that they changed.
const CLASSIC: [&str; 8] = ["tr", "ord", "sub", "pl", "re", "cap", "cpt", "chb"];

/// The prefix of a text of the right shape.
fn prefix(id: &str) -> Option<&str> {
    let (prefix, tail) = id.split_once('_')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_tail = (1..=TAIL_BYTES_MAX).contains(&tail.len()) && tail.bytes().all(fits);
    is_tail.then_some(prefix)
}

/// The prefix of an id that a classic delivery may name.
pub(super) fn classic_prefix(id: &str) -> Option<&str> {
    prefix(id).filter(|prefix| CLASSIC.contains(prefix))
}

/// True for a payment's id.
pub(super) fn is_payment(id: &str) -> bool {
    prefix(id) == Some("tr")
}

/// A payment's id, or nothing.
pub(super) fn payment(id: &str) -> Option<ExternalRef> {
    ExternalRef::parse(id).ok().filter(|_| is_payment(id))
}

/// True for a refund's id.
pub(super) fn is_refund(id: &str) -> bool {
    prefix(id) == Some("re")
}

/// True for the id of something that a list begins a page with.
pub(super) fn is_listed(id: &str) -> bool {
    prefix(id).is_some_and(|prefix| ["tr", "re", "chb"].contains(&prefix))
}

/// True for the id of a next-gen event.
pub(super) fn is_event(id: &str) -> bool {
    prefix(id) == Some("event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_and_plain_letters_are_an_id() {
        for id in [
            "tr_7UhSN1zuXS",
            "tr_a",
            "tr_7_x",
            &format!("tr_{}", "x".repeat(64)),
        ] {
            assert!(payment(id).is_some(), "{id}");
        }
        let long = format!("tr_{}", "x".repeat(65));
        for id in [
            "",
            "tr",
            "tr_",
            "TR_1",
            "xtr_1",
            " tr_1",
            "tr_1 ",
            "tr_1\n",
            "tr_1\0",
            "tr_1/2",
            "tr_../1",
            "tr_1?a",
            "tr_1#",
            "tr_1%2f",
            "tr_1&",
            "tr_é",
            "tr_1.json",
            "re_1",
            &long,
        ] {
            assert!(payment(id).is_none(), "{id:?}");
        }
    }

    #[test]
    fn a_classic_delivery_names_one_of_eight_kinds() {
        for prefix in CLASSIC {
            assert_eq!(classic_prefix(&format!("{prefix}_1")), Some(prefix));
        }
        for id in ["event_1", "pfl_1", "tr-1", "tr_1&x=y", "_1", "1"] {
            assert_eq!(classic_prefix(id), None, "{id}");
        }
    }
}
