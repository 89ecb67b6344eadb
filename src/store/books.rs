//! A checkout's journal as one value: of each entry its short columns as a JSON array, then its facts
//! and its decision.
//!
//! What proves a whole store reads every entry there is, and a driver takes longer over the columns
//! of a row than over their bytes. Knows no statements.

use super::rows::Reading;
use super::{JournalEntry, StoreError};
use crate::core::ids::CheckoutId;
use crate::core::time::Time;
use serde::Deserialize;

/// Position, moment, bytes of the facts, bytes of the decision, hash before, hash.
#[derive(Deserialize)]
struct Short(i64, i64, usize, usize, String, String);

/// The entries of a checkout, by their positions.
pub(super) fn entries(
    checkout: &CheckoutId,
    packed: &[u8],
) -> Result<Vec<JournalEntry>, StoreError> {
    let reading = Reading::of("journal", checkout);
    let mut rest = reading.parsed("facts", str::from_utf8(packed))?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Short>();
        let short = values.next().transpose();
        let begins = values.byte_offset();
        let Some(Short(seq, at, facts, decision, previous, hash)) = reading.parsed("seq", short)?
        else {
            break;
        };
        let facts_end = begins.saturating_add(facts);
        let end = facts_end.saturating_add(decision);
        let parts = rest.get(begins..facts_end).zip(rest.get(facts_end..end));
        let Some((facts, decision)) = parts else {
            return Err(reading.corrupt("facts", "another length"));
        };
        entries.push(JournalEntry {
            checkout: checkout.clone(),
            seq,
            at: Time::from_micros(at),
            facts: facts.to_owned(),
            decision: decision.to_owned(),
            previous,
            hash,
        });
        rest = rest.get(end..).unwrap_or_default();
    }
    entries.sort_by_key(|entry| entry.seq);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> CheckoutId {
        CheckoutId::parse("c1").unwrap()
    }

    fn packed(seq: i64, facts: &str, decision: &str) -> String {
        let (facts_bytes, decision_bytes) = (facts.len(), decision.len());
        format!(r#"[{seq},7,{facts_bytes},{decision_bytes},"p","h"]{facts}{decision}"#)
    }

    #[test]
    fn entries_come_back_by_their_positions_whatever_their_texts() {
        let texts = [("[\"Stra\u{df}e\"]", "{}"), ("", "[1]"), ("[2,3]", "")];
        let seqs = [3, 1, 2];
        let one = |(seq, (facts, decision)): (i64, (&str, &str))| packed(seq, facts, decision);
        let bytes: String = seqs.into_iter().zip(texts).map(one).collect();
        let found = entries(&id(), bytes.as_bytes()).unwrap();
        let read: Vec<_> = found
            .iter()
            .map(|entry| (entry.seq, entry.facts.as_str(), entry.decision.as_str()))
            .collect();
        let sorted = vec![
            (1, "", "[1]"),
            (2, "[2,3]", ""),
            (3, "[\"Stra\u{df}e\"]", "{}"),
        ];
        assert_eq!(read, sorted);
        let first = &found[0];
        assert_eq!(
            (first.at, &*first.previous, &*first.hash),
            (Time::from_micros(7), "p", "h")
        );
        assert!(found.iter().all(|entry| entry.checkout == id()));
        assert!(entries(&id(), &[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_such_a_value_is_corrupt_and_names_the_checkout() {
        let whole = packed(1, "[\"\u{e9}\"]", "{}");
        let mut shortened = whole.clone();
        shortened.pop();
        let astray = whole.replace("[1,7,6,2", "[1,7,3,5");
        let huge = whole.replace("[1,7,6,2", "[1,7,18446744073709551615,2");
        let broken = whole.replace("\"h\"", "");
        let not_text = vec![0xff];
        let texts = [shortened, astray, huge, broken].map(String::into_bytes);
        for bytes in texts.into_iter().chain([not_text]) {
            let error = entries(&id(), &bytes).unwrap_err().to_string();
            assert!(error.contains(" at c1: "), "{error}");
        }
    }
}
