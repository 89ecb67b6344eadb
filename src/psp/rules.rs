//! What makes a payment ours: the account's rules, the same for every PSP.
//!
//! Decided from the configuration before any matching (promise 9). Knows no PSP's field names;
//! adapters find the raw reference by their own paths and bring it here.

use crate::core::ids::{AccountId, Reference, ShopId};
use crate::core::payment::{Ownership, PaymentSnapshot};
use crate::core::time::Time;
use regex::Regex;

/// Which payments of an account are ours (`claims`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Only payments that carry a reference of this shop.
    Referenced,
    /// The account serves nothing but this shop.
    All,
}

/// The common rules of one PSP account.
#[derive(Clone, Debug)]
pub struct AccountRules {
    /// The account's key.
    pub account: AccountId,
    /// The shop it serves.
    pub shop: ShopId,
    /// Where the reference is found, first hit wins; dotted paths in the PSP's own object.
    pub reference_paths: Vec<String>,
    /// Only a reference of this shape is one of this shop's.
    pub reference_pattern: Option<Regex>,
    /// Which payments are ours.
    pub claims: Claims,
    /// Older payments are recorded and never acted on; none until the account's first start is
    /// recorded.
    pub since: Option<Time>,
    /// The mode served: live or test.
    pub live: bool,
    /// True when another configured account has the same credentials and no pattern tells the
    /// shops apart.
    pub is_shared: bool,
}

impl AccountRules {
    /// The candidate texts' first usable reference: right characters, right shape.
    pub fn reference<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<Reference> {
        candidates.into_iter().find_map(|text| {
            let fits = self
                .reference_pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text));
            Reference::parse(text).ok().filter(|_| fits)
        })
    }

    /// Judges a snapshot that shows the payment itself (its reference, age and mode), and writes
    /// the judgement into it.
    pub fn judge(&self, snapshot: &mut PaymentSnapshot, is_live: bool, is_known_kind: bool) {
        let is_old = match (self.since, snapshot.created_at) {
            (Some(since), Some(created)) => created < since,
            (None, _) | (_, None) => false,
        };
        snapshot.ownership = Some(if is_live != self.live {
            Ownership::WrongMode
        } else if is_old {
            Ownership::BeforeSince
        } else if snapshot.reference.is_none() && self.claims == Claims::Referenced {
            Ownership::Unclaimed
        } else if !is_known_kind {
            Ownership::UnknownKind
        } else if self.is_shared {
            Ownership::Shared
        } else {
            Ownership::Ours
        });
    }
}
