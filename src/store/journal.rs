//! The journal's chain: how an entry is hashed, made and checked.
//!
//! Shared by whoever writes entries and whoever proves them. Knows nothing of what facts and
//! decisions say; they are texts here.

use super::{CheckoutRow, JournalEntry};
use crate::core::ids::CheckoutId;
use crate::core::time::Time;
use sha2::{Digest, Sha256};

/// The hash of an entry, hex: SHA-256 over the hash before it, the checkout, the position, the
/// moment, the facts and the decision, each led by its length in eight bytes, so that no two
/// different entries are the same bytes.
pub fn hash(
    previous: &str,
    checkout: &CheckoutId,
    seq: i64,
    at: Time,
    facts: &str,
    decision: &str,
) -> String {
    let mut digest = Sha256::new();
    for part in [
        previous.as_bytes(),
        checkout.as_str().as_bytes(),
        &seq.to_be_bytes(),
        &at.micros().to_be_bytes(),
        facts.as_bytes(),
        decision.as_bytes(),
    ] {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

impl JournalEntry {
    /// The entry that follows `previous` (the checkout's head; empty for the first).
    pub fn chained(
        previous: &str,
        checkout: &CheckoutId,
        seq: i64,
        at: Time,
        facts: String,
        decision: String,
    ) -> JournalEntry {
        JournalEntry {
            hash: hash(previous, checkout, seq, at, &facts, &decision),
            previous: previous.to_owned(),
            checkout: checkout.clone(),
            seq,
            at,
            facts,
            decision,
        }
    }
}

/// Where a checkout's chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainBreak {
    /// The position of the first entry that does not fit.
    pub seq: i64,
    /// A stable word: `entry_missing`, `entry_elsewhere`, `previous_differs`, `hash_differs`,
    /// `head_differs`.
    pub what: &'static str,
}

/// Checks a checkout's whole journal: every position from 1 to the version, each chained to the
/// one before, the last one being the row's head.
pub fn verify(row: &CheckoutRow, entries: &[JournalEntry]) -> Result<(), ChainBreak> {
    let mut previous = "";
    let mut seq = 0_i64;
    for entry in entries {
        seq = seq.saturating_add(1);
        let found = hash(
            &entry.previous,
            &entry.checkout,
            entry.seq,
            entry.at,
            &entry.facts,
            &entry.decision,
        );
        let what = if entry.seq != seq {
            "entry_missing"
        } else if entry.checkout != row.id {
            "entry_elsewhere"
        } else if entry.previous != previous {
            "previous_differs"
        } else if entry.hash != found {
            "hash_differs"
        } else {
            previous = &entry.hash;
            continue;
        };
        return Err(ChainBreak { seq, what });
    }
    if seq != row.version {
        let seq = seq.saturating_add(1);
        let what = "entry_missing";
        return Err(ChainBreak { seq, what });
    }
    if row.head != previous {
        let what = "head_differs";
        return Err(ChainBreak { seq, what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::ShopId;
    use crate::core::plan::{Reason, Verdict};

    fn chain(length: i64) -> (CheckoutRow, Vec<JournalEntry>) {
        let id = CheckoutId::parse("c1").unwrap();
        let mut entries: Vec<JournalEntry> = Vec::new();
        for seq in 1..=length {
            let head = entries.last().map_or("", |entry| &entry.hash).to_owned();
            let (at, facts) = (Time::from_seconds(seq), format!("[{seq}]"));
            entries.push(JournalEntry::chained(
                &head,
                &id,
                seq,
                at,
                facts,
                "{}".into(),
            ));
        }
        let row = CheckoutRow {
            id,
            shop: ShopId::parse("klompen").unwrap(),
            reference: None,
            verdict: Verdict::Open,
            reason: Reason::AwaitingPayment,
            since: Time::from_seconds(1),
            created_at: Time::from_seconds(1),
            in_suspense: None,
            wake_at: None,
            version: length,
            head: entries.last().map_or("", |entry| &entry.hash).to_owned(),
            document: "{}".to_owned(),
        };
        (row, entries)
    }

    #[test]
    fn the_hash_is_pinned_so_that_old_journals_stay_provable() {
        let (row, _) = chain(2);
        assert_eq!(
            row.head,
            "41432a1383bd8905ce89a977df0cf336fb9918c79bf0b6582a26929b4066145d"
        );
    }

    #[test]
    fn a_whole_chain_verifies() {
        let (row, entries) = chain(5);
        assert_eq!(verify(&row, &entries), Ok(()));
    }

    #[test]
    fn every_single_change_to_an_entry_is_found() {
        let (row, whole) = chain(3);
        type Change = (&'static str, fn(&mut JournalEntry));
        let changes: [Change; 6] = [
            ("hash_differs", |entry| entry.facts.push(' ')),
            ("hash_differs", |entry| entry.decision.push(' ')),
            ("hash_differs", |entry| entry.at = Time::from_seconds(77)),
            ("hash_differs", |entry| entry.hash.insert(0, '0')),
            ("previous_differs", |entry| entry.previous.push('0')),
            ("entry_missing", |entry| entry.seq += 1),
        ];
        for (what, change) in changes {
            let mut entries = whole.clone();
            change(&mut entries[1]);
            assert_eq!(verify(&row, &entries), Err(ChainBreak { seq: 2, what }));
        }
    }

    #[test]
    fn a_lost_entry_is_found_at_either_end_and_in_the_middle() {
        let (row, whole) = chain(3);
        for lost in 0..3 {
            let mut entries = whole.clone();
            entries.remove(lost);
            assert!(verify(&row, &entries).is_err(), "entry {lost} lost unseen");
        }
        let (mut row, entries) = chain(2);
        row.head = "00".to_owned();
        let what = "head_differs";
        assert_eq!(verify(&row, &entries), Err(ChainBreak { seq: 2, what }));
    }

    #[test]
    fn bytes_cannot_move_from_one_field_to_the_next() {
        let id = CheckoutId::parse("c1").unwrap();
        let at = Time::from_seconds(1);
        assert_ne!(
            hash("", &id, 1, at, "ab", "c"),
            hash("", &id, 1, at, "a", "bc")
        );
    }
}
