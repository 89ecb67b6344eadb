//! A checkout in one line, for lists on a page or in a terminal.
//!
//! The same facts as the contract's view, in words: how long, how much, why, and what is next.

use super::timeline;
use super::view::{self, Damage};
use super::words::{length, printable, rfc3339};
use crate::core::money::Money;
use crate::core::time::Time;
use crate::store::LoadedCheckout;
use serde::Serialize;

/// One checkout in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Our id.
    pub id: String,
    /// Where its timeline is.
    pub link: String,
    /// The shop's key.
    pub shop: String,
    /// The order's reference, if known.
    pub reference: Option<String>,
    /// Where it stands.
    pub verdict: &'static str,
    /// Why, as a stable word.
    pub reason: &'static str,
    /// Why, in one sentence.
    pub meaning: &'static str,
    /// Captured money that is neither settled nor back.
    pub in_suspense: Option<Money>,
    /// Since when its money is with us, else since when the verdict stands; RFC 3339.
    pub since: String,
    /// The same as a length of time, for people.
    pub age: String,
    /// What happens next if nobody does anything, in one sentence.
    pub next: String,
}

impl Line {
    /// The line of a stored checkout, damaged or not.
    pub fn of(loaded: &LoadedCheckout, now: Time) -> Line {
        let (known, damage) = view::document_or_bare(loaded);
        let row = &loaded.row;
        let in_suspense = row.in_suspense.filter(|money| !money.is_zero());
        let since = match in_suspense {
            Some(_) => view::money_since(&known).unwrap_or(row.since),
            None => row.since,
        };
        Line {
            id: row.id.to_string(),
            link: link(row.id.as_str()),
            shop: row.shop.to_string(),
            reference: row.reference.as_ref().map(|name| printable(name.as_str())),
            verdict: row.verdict.code(),
            reason: row.reason.code(),
            meaning: damage.map_or(row.reason.meaning().trim(), Damage::meaning),
            in_suspense,
            since: rfc3339(since),
            age: length(now.since(since)),
            next: timeline::what_next(loaded, &known, now),
        }
    }

    /// The order's reference, or what stands in its place.
    pub fn order(&self) -> &str {
        self.reference.as_deref().unwrap_or("(no order)")
    }

    /// The money in suspense in words.
    pub fn money(&self) -> String {
        self.in_suspense
            .map_or_else(|| "–".to_owned(), |money| money.to_string())
    }

    /// Two lines of plain text: the facts, then reason, next step and where to look.
    pub fn text(&self) -> String {
        format!(
            "{:>8}  {} {}  {}  {}\n          {} {}\n          {}",
            self.age,
            self.shop,
            self.order(),
            self.verdict,
            self.money(),
            self.meaning,
            self.next,
            self.link,
        )
    }
}

/// Where a checkout's timeline is. Ids are made of characters that need no escaping.
pub fn link(id: &str) -> String {
    format!("/api/v1/checkouts/{id}")
}
