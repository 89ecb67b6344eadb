//! Facts: everything a checkout can learn, in the past tense.
//!
//! Facts come late, twice and reordered; each is joined into the checkout, and the journal
//! keeps them, so that folding the journal gives the stored state exactly.

use super::ids::{ActionKey, CheckoutId, PaymentRef};
use super::money::Money;
use super::order::OrderSnapshot;
use super::payment::{Payment, PaymentSnapshot};
use super::plan::ActionKind;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Something learned about one checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum Fact {
    /// A PSP said something about a payment.
    PaymentSeen(Box<PaymentSnapshot>),
    /// The shop said something about the order.
    OrderSeen(Box<OrderSnapshot>),
    /// A payment that had a checkout of its own turned out to belong to this order.
    PaymentArrived {
        /// Which payment.
        payment: PaymentRef,
        /// All that was known about it.
        state: Box<Payment>,
    },
    /// A payment left for the checkout of the order it belongs to.
    PaymentLeft {
        /// Which payment.
        payment: PaymentRef,
        /// Where it went.
        to: CheckoutId,
    },
    /// The order names a payment that is already counted for another order.
    ClaimRefused {
        /// Which payment.
        payment: PaymentRef,
    },
    /// One of our calls left, or is about to leave.
    AskSent {
        /// The decision's key.
        key: ActionKey,
        /// What was asked.
        kind: ActionKind,
        /// First attempt is 1.
        attempt: u32,
        /// When it left.
        at: Time,
        /// The payment it is about, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment: Option<PaymentRef>,
        /// The money it moves or claims, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// One of our calls came to an end, or its lease ran out.
    AskAnswered {
        /// The decision's key.
        key: ActionKey,
        /// What was asked.
        kind: ActionKind,
        /// Which attempt.
        attempt: u32,
        /// When it had left.
        sent_at: Time,
        /// When it ended.
        at: Time,
        /// How it ended.
        outcome: Outcome,
        /// Looks at the order that had left when this was recorded; noted for confirms alone. A
        /// later look left after this end, whatever the clocks of two daemons say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        looks: Option<u32>,
    },
    /// An operator decided something.
    RulingMade(Ruling),
    /// The guard did not let a refund leave.
    RefundBraked {
        /// When.
        at: Time,
        /// Which limit or finding.
        cause: BrakeCause,
    },
    /// An operator released the shop's brake.
    BrakeReleased {
        /// When.
        at: Time,
    },
    /// The checkout was set aside because a promise would have been broken or a fact could not
    /// be taken.
    Parked {
        /// When.
        at: Time,
        /// What would have gone wrong; a stable word, then detail for people.
        why: String,
    },
}

/// How one attempt of an action ended, named for the next act. Ordered: a definite answer
/// outranks an unclear one for the same attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It may or may not have had its effect: read back before anything else.
    Unclear {
        /// A stable word: `timeout`, `status_502`, `lost` …
        code: String,
    },
    /// It certainly had no effect: connection refused, name not found.
    NotSent {
        /// A stable word.
        code: String,
    },
    /// The other side asked for patience.
    Throttled {
        /// Not before this.
        until: Time,
    },
    /// The other side declines it for now: what looks like a repetition is refused for a while.
    /// It may mean that it was done already, so read back, and ask again when the block is over.
    Postponed {
        /// The other side's own stable word.
        code: String,
        /// Not before this.
        until: Time,
    },
    /// The other side did not accept our credentials. Says nothing about the subject.
    Unauthorized {
        /// A stable word.
        code: String,
    },
    /// An answer that is not an answer: HTML, an unknown word, too large.
    Malformed {
        /// A stable word.
        code: String,
    },
    /// The other side explicitly declined.
    Refused {
        /// The other side's own stable word (`charge_already_refunded`).
        code: String,
    },
    /// Done, or answered; what was said stands in facts of its own.
    Done,
}

impl Outcome {
    /// A stable word for logs, metrics and `last_error`; nothing for `Done`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Outcome::Unclear { code }
            | Outcome::NotSent { code }
            | Outcome::Unauthorized { code }
            | Outcome::Malformed { code }
            | Outcome::Refused { code }
            | Outcome::Postponed { code, .. } => Some(code),
            Outcome::Throttled { .. } => Some("throttled"),
            Outcome::Done => None,
        }
    }

    /// True when the attempt may have had its effect although we were not told. A proxy that
    /// lost its backend's answer may ask for patience too, so that is no proof either.
    pub fn is_unclear(&self) -> bool {
        match self {
            Outcome::Unclear { .. }
            | Outcome::Malformed { .. }
            | Outcome::Throttled { .. }
            | Outcome::Postponed { .. } => true,
            Outcome::NotSent { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::Refused { .. }
            | Outcome::Done => false,
        }
    }
}

/// What the guard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrakeCause {
    /// More refunds in an hour than `max_refunds_per_hour`.
    RefundCount,
    /// More money in an hour than `max_refund_sum_per_hour`.
    RefundSum,
    /// A greater share of the last hour's captures than `max_refund_share`.
    RefundShare,
    /// Too many of the shop's answers in the last hour were `unknown`.
    UnknownRunaway,
    /// The shop's epoch went backwards: it was restored from a backup.
    EpochWentBack,
    /// An amount was off by exactly 10, 100 or 1000: a bug that will hit every payment.
    AmountScale,
    /// The shop calls an order unknown that it had confirmed.
    CanaryLost,
    /// No order is known yet by which the shop could show that it finds any; stands for one
    /// checkout and is tried anew by itself.
    CanaryMissing,
    /// The store was started somewhere else before: it was moved, or copied.
    StoreMoved,
}

impl BrakeCause {
    /// All causes.
    pub const ALL: [BrakeCause; 9] = [
        BrakeCause::RefundCount,
        BrakeCause::RefundSum,
        BrakeCause::RefundShare,
        BrakeCause::UnknownRunaway,
        BrakeCause::EpochWentBack,
        BrakeCause::AmountScale,
        BrakeCause::CanaryLost,
        BrakeCause::CanaryMissing,
        BrakeCause::StoreMoved,
    ];

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<BrakeCause> {
        BrakeCause::ALL
            .into_iter()
            .find(|cause| cause.code() == word)
    }

    /// A stable word; for limits, the policy key an operator may override.
    pub fn code(self) -> &'static str {
        match self {
            BrakeCause::RefundCount => "max_refunds_per_hour",
            BrakeCause::RefundSum => "max_refund_sum_per_hour",
            BrakeCause::RefundShare => "max_refund_share",
            BrakeCause::UnknownRunaway => "unknown_runaway",
            BrakeCause::EpochWentBack => "shop_epoch_went_back",
            BrakeCause::AmountScale => "amount_off_by_power_of_ten",
            BrakeCause::CanaryLost => "canary_lost",
            BrakeCause::CanaryMissing => "canary_missing",
            BrakeCause::StoreMoved => "store_moved",
        }
    }
}

/// What an operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulingKind {
    /// Ask everyone again now.
    Retry,
    /// Confirm the order with the money that is there.
    Confirm,
    /// Give the money back.
    Refund,
    /// Do nothing until told otherwise.
    Hold,
    /// Go on as the policy says; patience starts anew.
    Resume,
    /// Settled outside; count it as done.
    Settle,
}

/// An operator's decision, recorded with the token's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ruling {
    /// When. First, so that later rulings are greater.
    pub at: Time,
    /// What.
    pub ruling: RulingKind,
    /// The name of the token that made it.
    pub by: String,
    /// Why, for people.
    pub note: String,
    /// Policy keys that do not bind this ruling.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overrides: BTreeSet<String>,
}
