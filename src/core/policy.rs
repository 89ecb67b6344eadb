//! The rules a shop chose (docs/configuration.md): how long to wait, what to give back by itself.
//!
//! Plain values, checked when the configuration was read.

use super::ids::AccountId;
use super::money::{Currency, Money};
use super::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the daemon may change outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Asks (fetch, lookup), decides and records; changes nothing outside.
    Observe,
    /// Also confirms.
    Confirm,
    /// Also releases, refunds and voids.
    Full,
}

impl Mode {
    /// The word in the configuration.
    pub fn code(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Confirm => "confirm",
            Mode::Full => "full",
        }
    }
}

/// What to do with money for an expired or cancelled order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePayment {
    /// Offer it to the shop first (a confirm with `late`).
    Offer,
    /// Give it back.
    Refund,
}

/// What to do with more than the order's amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overpayment {
    /// Confirm, and give the excess back.
    RefundExcess,
    /// Confirm, and hold the excess for an operator.
    Hold,
}

/// What to do with money that the shop gets no order for: hold it, or give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOrRefund {
    /// An operator decides.
    Hold,
    /// Give it back.
    Refund,
}

/// The guard's limits for one shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardLimits {
    /// Automatic refunds in an hour.
    pub max_refunds_per_hour: u32,
    /// Their sum in an hour; refunds in other currencies count against their own sum with the
    /// same figure in minor units of that currency's exponent.
    pub max_refund_sum_per_hour: Money,
    /// Their share of the last hour's captures, in millionths.
    pub max_refund_share_millionths: u32,
}

/// What a PSP account can do; it shapes the evidence a refund needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTraits {
    /// A single payment can be read.
    pub can_read: bool,
    /// Refunds of a payment can be listed.
    pub can_list_refunds: bool,
    /// A refund that the PSP has not begun to pay out can be cancelled there.
    pub cancels_refunds: bool,
    /// How long the PSP remembers an idempotency key at least.
    pub key_lifetime: Span,
}

/// One shop's policy, with the traits of the accounts that serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What the daemon may change outside.
    pub mode: Mode,
    /// Captured money without a known order waits this long for the order to appear.
    pub order_grace: Span,
    /// At least this long between the first 'no' of the shop and the release.
    pub second_look: Span,
    /// A decided refund waits this long.
    pub refund_delay: Span,
    /// Money taken by direct debit is not refunded before it is this old: the payer's bank may
    /// still pull it back by itself.
    pub reversal_wait: Span,
    /// An older payment is not refunded through the PSP: accounts and cards may be closed by then.
    pub refund_within: Span,
    /// A reachable shop that will not say yes or no gets this long.
    pub confirm_patience: Span,
    /// An unreachable shop gets this long.
    pub outage_patience: Span,
    /// A confirmed order is looked at once more after this long: the shop may have answered and
    /// then lost what it had written.
    pub confirm_check: Span,
    /// A refund that the PSP accepted and does not finish gets this long.
    pub refund_patience: Span,
    /// Money for an expired or cancelled order.
    pub late_payment: LatePayment,
    /// Money above the order's amount.
    pub overpayment: Overpayment,
    /// Money below the order's amount.
    pub underpayment: HoldOrRefund,
    /// A claimed payment that names no order.
    pub unreferenced: HoldOrRefund,
    /// Difference still taken as equal; counts only in its own currency.
    pub tolerance: Money,
    /// Before an `unknown` counts, the shop must find an order that it is known to have.
    pub canary: bool,
    /// Above it a refund is held for an operator; a refund in another currency counts as above.
    pub auto_refund_limit: Money,
    /// The guard's limits.
    pub guard: GuardLimits,
    /// The PSP accounts that serve this shop.
    pub accounts: BTreeMap<AccountId, AccountTraits>,
}

impl Default for Policy {
    /// The contract's defaults, with no accounts.
    fn default() -> Policy {
        let eur = |minor| Money::new(minor, Currency::EUR);
        Policy {
            mode: Mode::Observe,
            order_grace: Span::from_minutes(15),
            second_look: Span::from_minutes(2),
            refund_delay: Span::from_minutes(10),
            reversal_wait: Span::from_days(7),
            refund_within: Span::from_days(180),
            confirm_patience: Span::from_hours(24),
            outage_patience: Span::from_hours(72),
            confirm_check: Span::from_minutes(5),
            refund_patience: Span::from_days(14),
            late_payment: LatePayment::Offer,
            overpayment: Overpayment::RefundExcess,
            underpayment: HoldOrRefund::Hold,
            unreferenced: HoldOrRefund::Hold,
            tolerance: eur(0),
            canary: true,
            auto_refund_limit: eur(50_000),
            guard: GuardLimits {
                max_refunds_per_hour: 20,
                max_refund_sum_per_hour: eur(250_000),
                max_refund_share_millionths: 50_000,
            },
            accounts: BTreeMap::new(),
        }
    }
}
