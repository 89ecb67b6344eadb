//! Policy replay: the recorded history decided again under another policy, and the checkouts
//! whose outcome would differ.
//!
//! Reads the store page by page and touches nothing. An outcome is where a checkout stands in the
//! end (verdict and reason) and which money actions were ever wanted on the way: each confirm,
//! refund and void, by payment and amount, at a moment when it was due. What is replayed are the
//! facts as they were recorded: from the first difference on they are answers to what was really
//! asked, and the guard's hourly limits, which look at many checkouts at once, are not judged.

mod course;

pub use course::{Act, Outcome};

use crate::audit;
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::ids::{CheckoutId, Reference, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::plan::{Decision, Reason, Verdict};
use crate::core::policy::Policy;
use crate::core::time::{Span, Time};
use crate::store::{CheckoutRow, JournalEntry, Store, StoreError};
use course::Course;
use std::collections::{BTreeMap, VecDeque};

/// Checkouts held in memory at once, each with its whole journal.
const REPLAY_PAGE: u32 = 64;

/// The two sets of rules, by shop. A shop that is not named is only watched, as the daemon would.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// As configured.
    pub old: BTreeMap<ShopId, Policy>,
    /// As tried.
    pub new: BTreeMap<ShopId, Policy>,
}

impl Policies {
    /// True where a limit of the guard differs, which a replay cannot judge.
    pub fn differ_in_guard(&self) -> bool {
        let shops = self.old.iter();
        let both = shops.filter_map(|(shop, old)| Some((old, self.new.get(shop)?)));
        both.filter(|(old, new)| old.guard != new.guard).count() > 0
    }
}

/// A checkout whose outcome differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// Its shop.
    pub shop: ShopId,
    /// Its order's reference, if known.
    pub reference: Option<Reference>,
    /// Under the configured policy.
    pub old: Outcome,
    /// Under the other one.
    pub new: Outcome,
    /// The first moment at which the two part.
    pub parts_at: Time,
    /// True when both end alike and every money action that only one of them wanted stood ahead
    /// under the other: it would have come, later than the record goes on.
    pub is_only_later: bool,
    /// The money that the two treat differently, per currency: the greatest amount of a differing
    /// action for each payment; where only the end differs, what is in suspense under either.
    pub at_stake: Vec<Money>,
}

/// What a replay comes upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An outcome that differs.
    Differs(Box<Difference>),
    /// A journal that is not whole, so that nothing can be said.
    Unreadable {
        /// Which checkout.
        checkout: CheckoutId,
        /// What is wrong.
        why: String,
    },
}

/// What was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Checkouts decided again.
    pub checkouts: u64,
    /// Checkouts whose outcome differs.
    pub differ: u64,
    /// Those of them that differ only in when.
    pub differ_only_in_when: u64,
    /// Checkouts whose journal could not be replayed.
    pub unreadable: u64,
    /// Checkouts that the configured policy decides otherwise than was recorded: another policy
    /// or another version of the program was at work then.
    pub unlike_recorded: u64,
    /// The money at stake; sums past 64 bits are cut off there.
    pub at_stake: BTreeMap<Currency, i64>,
}

/// A replay under way.
pub struct Replay<'a> {
    store: &'a dyn Store,
    policies: &'a Policies,
    watched: Policy,
    since: Option<Time>,
    now: Time,
    after: Option<CheckoutId>,
    page: VecDeque<(CheckoutRow, Vec<JournalEntry>)>,
    /// What was seen so far.
    pub summary: Summary,
}

impl<'a> Replay<'a> {
    /// A replay up to `now`; with `since`, of checkouts about which something was recorded from
    /// then on, the policies in force from then on.
    pub fn new(
        store: &'a dyn Store,
        policies: &'a Policies,
        since: Option<Time>,
        now: Time,
    ) -> Replay<'a> {
        Replay {
            store,
            policies,
            watched: Policy::default(),
            since,
            now,
            after: None,
            page: VecDeque::new(),
            summary: Summary::default(),
        }
    }

    /// The next finding, in the order of the checkouts' ids; none at the end.
    ///
    /// # Errors
    /// What the store says when it cannot be read.
    pub async fn next(&mut self) -> Result<Option<Found>, StoreError> {
        loop {
            while let Some((row, entries)) = self.page.pop_front() {
                if let Some(found) = self.judge(&row, &entries) {
                    return Ok(Some(found));
                }
            }
            let page = self.store.audit_page(self.after.as_ref(), REPLAY_PAGE);
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                return Ok(None);
            };
            self.after = Some(last.id.clone());
            self.page = page.into();
        }
    }

    fn judge(&mut self, row: &CheckoutRow, entries: &[JournalEntry]) -> Option<Found> {
        let last = entries.last().map(|entry| entry.at);
        if self.since.is_some_and(|since| last < Some(since)) {
            return None;
        }
        self.summary.checkouts = self.summary.checkouts.saturating_add(1);
        let recorded = match read(row, entries) {
            Ok(recorded) => recorded,
            Err(why) => {
                self.summary.unreadable = self.summary.unreadable.saturating_add(1);
                let checkout = row.id.clone();
                return Some(Found::Unreadable { checkout, why });
            }
        };
        let policy = |of: &'a BTreeMap<ShopId, Policy>| of.get(&row.shop);
        let old = policy(&self.policies.old).unwrap_or(&self.watched);
        let new = policy(&self.policies.new).unwrap_or(&self.watched);
        let (old, new, checkout) = self.relive(row, &recorded, (old, new));
        if old.is_unlike_recorded {
            self.summary.unlike_recorded = self.summary.unlike_recorded.saturating_add(1);
        }
        let difference = course::compare(row, &old, &new, &checkout)?;
        self.count(&difference);
        Some(Found::Differs(Box::new(difference)))
    }

    /// Both courses through the record, and what is known in the end.
    fn relive<'p>(
        &self,
        row: &CheckoutRow,
        recorded: &[Recorded],
        (old, new): (&'p Policy, &'p Policy),
    ) -> (Course<'p>, Course<'p>, Checkout) {
        let mut checkout = Checkout::new(row.id.clone(), row.shop.clone(), row.reference.clone());
        let (mut old, mut new) = (Course::new(old), Course::new(new));
        let begins = self.since.unwrap_or(Time::from_micros(i64::MIN));
        let past_the_end = self.now.plus(Span::from_micros(1));
        for (index, moment) in recorded.iter().enumerate() {
            for fact in &moment.facts {
                checkout.observe(fact);
            }
            let next = recorded.get(index.saturating_add(1));
            let until = next.map_or(past_the_end, |next| next.at);
            if next.is_some() && until <= begins {
                continue;
            }
            let from = moment.at.max(begins);
            old.live(&checkout, from, until);
            new.live(&checkout, from, until);
            if moment.at >= begins {
                old.hold_against(&checkout, moment.at, moment.decided);
            }
        }
        let end = recorded
            .last()
            .map_or(self.now, |last| last.at.max(self.now));
        old.end(&checkout, end);
        new.end(&checkout, end);
        (old, new, checkout)
    }

    fn count(&mut self, difference: &Difference) {
        let summary = &mut self.summary;
        summary.differ = summary.differ.saturating_add(1);
        if difference.is_only_later {
            summary.differ_only_in_when = summary.differ_only_in_when.saturating_add(1);
        }
        for money in &difference.at_stake {
            let sum = summary.at_stake.entry(money.currency()).or_insert(0);
            *sum = sum.saturating_add(money.minor());
        }
    }
}

/// One entry of a journal, read.
struct Recorded {
    at: Time,
    facts: Vec<Fact>,
    decided: (Verdict, Reason),
}

/// The journal of a checkout whose chain is whole.
fn read(row: &CheckoutRow, entries: &[JournalEntry]) -> Result<Vec<Recorded>, String> {
    audit::chain_is_whole(row, entries)?;
    let read = |entry: &JournalEntry| {
        let decision: Decision = serde_json::from_str(&entry.decision)
            .map_err(|error| format!("entry {}: decision: {error}", entry.seq))?;
        Ok(Recorded {
            at: entry.at,
            facts: audit::facts_of(entry)?,
            decided: (decision.verdict, decision.reason),
        })
    };
    entries.iter().map(read).collect()
}

#[cfg(test)]
mod tests;
