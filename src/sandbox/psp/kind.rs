//! The table of PSPs that the sandbox can be: for each its word, its account, what it lacks, and
//! its dialect.
//!
//! Adding a PSP is one file beside `stripe.rs` and one line in `KINDS`. Knows no PSP's own words.

use super::dialect::Dialect;
use super::{PspSetup, adyen, mollie, multisafepay, paypal, stripe};
use std::fmt;
use std::path::Path;

/// The PSPs of this release.
pub const KINDS: &[&Kind] = &[
    &stripe::KIND,
    &mollie::KIND,
    &multisafepay::KIND,
    &paypal::KIND,
    &adyen::KIND,
];

/// Something that stories need of a PSP and that not every PSP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// One payment can be read by its id.
    Fetch,
    /// All payments of a window can be listed, so that a payment nobody told of is found.
    List,
    /// The refunds of a payment can be read back with their maker's mark.
    RefundList,
    /// Refunds are sent with a key under which a repetition is known.
    RefundKey,
    /// Deliveries are signed.
    Signature,
    /// The signature covers a moment, so that an old copy is told from a new delivery.
    SignedTime,
    /// Deliveries say what happened; without it they only name a payment to be read.
    Statement,
    /// Deliveries have ids by which a repetition is known.
    EventId,
    /// Money can be held first and taken or released later.
    Hold,
    /// A refund waits for the account's balance, and says so.
    BalanceWait,
    /// A refund that was accepted may fail, and is told of.
    RefundFailure,
    /// Disputes are told of, or can be read.
    Dispute,
    /// What says whether a payment is of live or test mode.
    Mode,
}

/// A thing that gets an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A payment.
    Payment,
    /// An attempt to take its money.
    Charge,
    /// Money taken at one moment.
    Capture,
    /// Money on its way back.
    Refund,
    /// A payer's complaint.
    Dispute,
    /// A message about any of them.
    Event,
}

/// What an id is made of.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// What it is for.
    pub thing: Thing,
    /// Counts up over everything that the account makes.
    pub number: u64,
    /// The order reference of the payment it belongs to.
    pub reference: Option<&'a str>,
}

/// What a daemon's configuration must know of the sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Everything before the API's paths: `http://127.0.0.1:…`.
    pub api_base: &'a str,
    /// A private directory; `Kind::files` are there.
    pub dir: &'a Path,
}

/// One PSP that the sandbox can be.
pub struct Kind {
    /// The configuration's word for it.
    pub word: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The account's key in the configuration.
    pub account: &'static str,
    /// The key that calls carry.
    pub api_key: &'static str,
    /// The secret that deliveries are signed with; of no use where they are not.
    pub webhook_secret: &'static str,
    /// How many deliveries tell of one payment that was paid.
    pub told_of_payment: usize,
    /// What it lacks, and why: what needs it cannot be played here.
    pub lacks: &'static [(Ability, &'static str)],
    /// Makes an id. Ids of charges, captures, refunds, disputes and events must sort in the order
    /// of their numbers.
    pub id: fn(&Made<'_>) -> String,
    /// A dialect that remembers nothing yet.
    pub dialect: fn() -> Box<dyn Dialect>,
    /// The account's own lines of the configuration, as keys and TOML values, beside `kind`,
    /// `shop` and what a story sets.
    pub config: fn(&PspSetup, &Place<'_>) -> Vec<(&'static str, String)>,
    /// Files that the configuration names, to be written into the directory: names and contents.
    pub files: fn() -> Vec<(&'static str, Vec<u8>)>,
}

impl Kind {
    /// The kind of this word.
    pub fn find(word: &str) -> Option<&'static Kind> {
        KINDS.iter().copied().find(|kind| kind.word == word)
    }

    /// Why it lacks this; none when it has it.
    pub fn why_not(&self, ability: Ability) -> Option<&'static str> {
        let found = self.lacks.iter().find(|(lacking, _)| *lacking == ability);
        found.map(|(_, why)| *why)
    }

    /// True when it has this.
    pub fn has(&self, ability: Ability) -> bool {
        self.why_not(ability).is_none()
    }

    /// An account of test mode, as a rig sets it up.
    pub fn setup(&self) -> PspSetup {
        PspSetup {
            api_key: self.api_key.to_owned(),
            webhook_secret: self.webhook_secret.to_owned(),
            is_live: false,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

/// A kind without files of its own.
pub(super) fn no_files() -> Vec<(&'static str, Vec<u8>)> {
    Vec::new()
}

/// A text as a TOML value.
pub(in crate::sandbox) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A secret as a TOML value.
pub(in crate::sandbox) fn value_of(secret: &str) -> String {
    format!("{{ value = {} }}", quoted(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_is_found_by_its_word_and_has_an_account_of_its_own() {
        let mut accounts = BTreeSet::new();
        for kind in KINDS {
            assert!(Kind::find(kind.word).is_some_and(|found| found.word == kind.word));
            assert!(accounts.insert(kind.account), "{kind:?}");
            assert!(kind.told_of_payment > 0, "{kind:?}");
        }
        assert!(Kind::find("barter").is_none());
    }

    #[test]
    fn what_a_kind_lacks_is_named_once_with_its_reason() {
        for kind in KINDS {
            let named: BTreeSet<Ability> = kind.lacks.iter().map(|(ability, _)| *ability).collect();
            assert_eq!(named.len(), kind.lacks.len(), "{kind:?}");
            assert!(kind.lacks.iter().all(|(_, why)| why.len() > 20), "{kind:?}");
        }
    }

    #[test]
    fn ids_sort_in_the_order_of_their_numbers() {
        let things = [
            Thing::Charge,
            Thing::Capture,
            Thing::Refund,
            Thing::Dispute,
            Thing::Event,
        ];
        for kind in KINDS {
            for thing in things {
                let id = |number| {
                    (kind.id)(&Made {
                        thing,
                        number,
                        reference: None,
                    })
                };
                for (earlier, later) in [(1, 2), (9, 10), (99, 100), (9_999, 10_000)] {
                    assert!(id(earlier) < id(later), "{kind:?} {thing:?}");
                }
            }
        }
    }
}
