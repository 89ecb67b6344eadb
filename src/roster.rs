//! Who is served: the configured shops and PSP accounts, ready to use.
//!
//! Built once from a checked configuration and replaced whole on reload. Knows no store and
//! makes no decision.

use crate::core::ids::{AccountId, ShopId};
use crate::core::policy::Policy;
use crate::core::time::Span;
use crate::outbound::pace::PaceLimits;
use crate::psp::Psp;
use crate::psp::rules::AccountRules;
use crate::shop::Shop;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A configured shop.
#[derive(Clone)]
pub struct ShopEntry {
    /// Its name for people.
    pub name: String,
    /// Its policy, with the traits of its accounts.
    pub policy: Arc<Policy>,
    /// Its adapter.
    pub adapter: Arc<dyn Shop>,
    /// How fast it may be called.
    pub pace: PaceLimits,
}

/// A configured PSP account.
#[derive(Clone)]
pub struct AccountEntry {
    /// The shop it serves.
    pub shop: ShopId,
    /// The common rules.
    pub rules: AccountRules,
    /// Its adapter.
    pub adapter: Arc<dyn Psp>,
    /// How fast its PSP may be called.
    pub pace: PaceLimits,
    /// How often it is swept.
    pub sweep_every: Span,
    /// How far back each sweep looks.
    pub sweep_window: Span,
}

/// What an operator's token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read and rule.
    Operator,
}

/// A token of the admin listener.
#[derive(Clone)]
pub struct AdminToken {
    /// Whose; stands in the journal beside rulings.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The secret itself.
    pub token: SecretString,
}

/// Everyone who is served, and who may watch.
#[derive(Clone, Default)]
pub struct Roster {
    /// Shops by key.
    pub shops: BTreeMap<ShopId, ShopEntry>,
    /// PSP accounts by key.
    pub accounts: BTreeMap<AccountId, AccountEntry>,
    /// Tokens of the admin listener.
    pub admin_tokens: Vec<AdminToken>,
}
