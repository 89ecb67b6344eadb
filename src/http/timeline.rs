//! A checkout's journal as a story: what was learned, what was decided and why, what was sent
//! and answered, and what happens next if nobody does anything.
//!
//! Reads journal entries and makes sentences; knows no store, and decides nothing. The hash
//! and sequence number of each entry stand beside its sentences, so that a printed timeline
//! can be held against the chain.

pub(in crate::http) mod sentences;

use super::view::{self, CheckoutView, Damage, LOOK_AGAIN, Next};
use super::words::{due, printable, rfc3339, sums};
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::ids::ActionKey;
use crate::core::money::Money;
use crate::core::plan::{ActionKind, Decision, Planned, Verdict};
use crate::core::time::Time;
use crate::store::{JournalEntry, LoadedCheckout, StoreError};
use serde::Serialize;
use std::collections::BTreeSet;

/// One checkout with its timeline.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The checkout as shown everywhere.
    #[serde(flatten)]
    pub checkout: CheckoutView,
    /// What the reason means, in one sentence.
    pub meaning: &'static str,
    /// What happens if nobody does anything, in one sentence.
    pub next: String,
    /// What the journal tells, oldest first.
    pub timeline: Vec<Chapter>,
    /// Where the rest begins, for `?after=`; none when the timeline is whole.
    pub timeline_next: Option<i64>,
}

/// One journal entry in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chapter {
    /// The checkout's version after it.
    pub seq: i64,
    /// When, RFC 3339.
    pub at: String,
    /// What was learned, sent and answered.
    pub learned: Vec<String>,
    /// What was decided.
    pub decided: Decided,
    /// Hash of this entry, hex.
    pub hash: String,
    /// Hash of the entry before, hex; empty for the first.
    pub previous: String,
}

/// A decision, for machines and in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Where it stood afterwards.
    pub verdict: &'static str,
    /// Why, as a stable word.
    pub reason: &'static str,
    /// Verdict, what changed and why, in one sentence.
    pub because: String,
    /// Money neither settled nor back afterwards, one entry per currency.
    pub in_suspense: Vec<Money>,
    /// What was newly wanted or no longer wanted, in sentences.
    pub wanted: Vec<String>,
    /// What would have been done, had the shop's mode permitted it, in sentences.
    pub withheld: Vec<String>,
}

/// Makes the story of a checkout. `entries` is what was read of its journal, oldest first;
/// `rest` is where the remainder begins.
///
/// # Errors
/// `Corrupt` when facts or a decision cannot be read.
pub fn story(
    loaded: &LoadedCheckout,
    entries: &[JournalEntry],
    rest: Option<i64>,
    now: Time,
) -> Result<Story, StoreError> {
    let (known, damage) = view::document_or_bare(loaded);
    Ok(Story {
        checkout: view::even_damaged(loaded),
        meaning: damage.map_or(loaded.row.reason.meaning().trim(), Damage::meaning),
        next: what_next(loaded, &known, now),
        timeline: chapters(entries)?,
        timeline_next: rest,
    })
}

fn chapters(entries: &[JournalEntry]) -> Result<Vec<Chapter>, StoreError> {
    let mut before: Option<Decision> = None;
    let mut told = Vec::with_capacity(entries.len());
    for entry in entries {
        let facts: Vec<Fact> = read(&entry.facts, entry, "facts")?;
        let decision: Decision = read(&entry.decision, entry, "decision")?;
        told.push(Chapter {
            seq: entry.seq,
            at: rfc3339(entry.at),
            learned: facts.iter().map(sentences::fact).collect(),
            decided: decided(before.as_ref(), &decision),
            hash: entry.hash.clone(),
            previous: entry.previous.clone(),
        });
        before = Some(decision);
    }
    Ok(told)
}

fn read<T: serde::de::DeserializeOwned>(
    text: &str,
    entry: &JournalEntry,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        table: "journal",
        column,
        row: format!("{}/{}", entry.checkout, entry.seq),
        detail: error.to_string(),
    })
}

fn decided(before: Option<&Decision>, decision: &Decision) -> Decided {
    let verdict = decision.verdict.code();
    let meaning = decision.reason.meaning().trim();
    let because = match before {
        None => format!("Stands at {verdict}: {meaning}"),
        Some(old) if old.verdict == decision.verdict && old.reason == decision.reason => {
            format!("Still {verdict}: {meaning}")
        }
        Some(old) if old.verdict == decision.verdict => format!("Stays {verdict}: {meaning}"),
        Some(old) => format!("From {} to {verdict}: {meaning}", old.verdict.code()),
    };
    let no_actions: &[Planned] = &[];
    let old = before.map_or(no_actions, |old| &old.actions);
    let new_keys = keys(&decision.actions);
    let old_keys = keys(old);
    let added = decision.actions.iter().filter_map(|planned| {
        let is_new = !old_keys.contains(&planned.key);
        is_new.then(|| format!("Wants to {}.", sentences::intent(planned)))
    });
    let dropped = old.iter().filter_map(|planned| {
        let is_gone = !new_keys.contains(&planned.key);
        is_gone.then(|| {
            let what = sentences::deed(&planned.action);
            format!("No longer wants to {what}.")
        })
    });
    Decided {
        verdict,
        reason: decision.reason.code(),
        because,
        in_suspense: decision.in_suspense.clone(),
        wanted: added.chain(dropped).collect(),
        withheld: decision
            .withheld
            .iter()
            .map(|planned| {
                let what = sentences::deed(&planned.action);
                format!("Would {what}, but the shop's mode does not permit it.")
            })
            .collect(),
    }
}

fn keys(actions: &[Planned]) -> BTreeSet<&ActionKey> {
    actions.iter().map(|planned| &planned.key).collect()
}

/// What happens if nobody does anything, in one sentence.
pub(super) fn what_next(loaded: &LoadedCheckout, known: &Checkout, now: Time) -> String {
    match view::next(loaded, known) {
        Some(next) => next_sentence(&next, now),
        None if loaded.row.verdict == Verdict::Held => {
            "Nothing happens until an operator decides.".to_owned()
        }
        None if loaded.row.verdict.is_at_rest() => "Nothing; it is at rest.".to_owned(),
        None => "Nothing is planned, although it is not at rest.".to_owned(),
    }
}

/// The next step in one sentence: `Confirm in 40 s (attempt 4, the last one ended: timeout).`
pub(super) fn next_sentence(next: &Next, now: Time) -> String {
    if next.action == LOOK_AGAIN {
        return format!("Look again {}.", due(next.at, now));
    }
    let name = ActionKind::parse(next.action).map_or(next.action, sentences::kind_name);
    let attempt = next.attempt.unwrap_or(1);
    let last = match &next.last_error {
        Some(code) => format!(", the last one ended: {}", printable(code)),
        None => String::new(),
    };
    if next.is_under_way {
        format!("{name} is under way (attempt {attempt}{last}).")
    } else {
        format!("{name} {} (attempt {attempt}{last}).", due(next.at, now))
    }
}

/// The whole story as plain text for a terminal.
pub fn text(story: &Story) -> String {
    let view = &story.checkout;
    let mut lines = vec![
        format!(
            "{}  {}, order {}",
            view.id,
            view.shop,
            view.reference.as_deref().unwrap_or("not known")
        ),
        format!("{} since {}: {}", view.verdict, view.since, story.meaning),
    ];
    if let Some(money) = view.in_suspense {
        lines.push(format!("In suspense: {money}"));
    }
    for payment in &view.payments {
        let amount = |money: Option<Money>| money.map_or("?".to_owned(), |money| money.to_string());
        lines.push(format!(
            "Payment {}/{}: {}, captured {}, refunded {}",
            payment.account,
            payment.id,
            payment.status,
            amount(payment.captured),
            amount(payment.refunded),
        ));
    }
    lines.push(format!("If nobody does anything: {}", story.next));
    for chapter in &story.timeline {
        lines.push(String::new());
        lines.push(format!("#{} {}", chapter.seq, chapter.at));
        lines.extend(chapter.learned.iter().map(|line| format!("  {line}")));
        lines.push(format!("  => {}", chapter.decided.because));
        let decided = &chapter.decided;
        lines.extend(decided.wanted.iter().map(|line| format!("     {line}")));
        lines.extend(decided.withheld.iter().map(|line| format!("     {line}")));
        if !decided.in_suspense.is_empty() {
            lines.push(format!("     In suspense: {}.", sums(&decided.in_suspense)));
        }
        lines.push(format!("     hash {}", chapter.hash));
    }
    if let Some(rest) = story.timeline_next {
        lines.push(String::new());
        lines.push(format!("More follows: ask again with after={rest}."));
    }
    lines.push(String::new());
    lines.join("\n")
}
