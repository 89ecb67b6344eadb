//! What a checkout wants: its verdict, the reason, the actions due and when to look again.
//!
//! A plan is a value. Whoever carries it out commits it whole, together with the checkout it
//! was made from.

mod reason;

pub use reason::Reason;

use super::ids::{AccountId, ActionKey, ExternalRef, PaymentRef, Reference, ShopId};
use super::money::Money;
use super::time::Time;
use serde::{Deserialize, Serialize};

/// Where a checkout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing captured yet.
    Open,
    /// Captured; the order is not known yet.
    Matching,
    /// Captured and matched; the shop has not said yes yet.
    Confirming,
    /// The shop is being asked to give the order up.
    Releasing,
    /// A refund or void is decided or under way.
    Refunding,
    /// Order confirmed, money matches.
    Settled,
    /// Every cent went back.
    Returned,
    /// An operator must decide.
    Held,
    /// Failed, expired or cancelled; nothing was captured.
    Closed,
    /// Not ours.
    Foreign,
}

impl Verdict {
    /// All verdicts, in the order in which a checkout goes through them.
    pub const ALL: [Verdict; 10] = [
        Verdict::Open,
        Verdict::Matching,
        Verdict::Confirming,
        Verdict::Releasing,
        Verdict::Refunding,
        Verdict::Settled,
        Verdict::Returned,
        Verdict::Held,
        Verdict::Closed,
        Verdict::Foreign,
    ];

    /// The word on the wire and in the store.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::Open => "open",
            Verdict::Matching => "matching",
            Verdict::Confirming => "confirming",
            Verdict::Releasing => "releasing",
            Verdict::Refunding => "refunding",
            Verdict::Settled => "settled",
            Verdict::Returned => "returned",
            Verdict::Held => "held",
            Verdict::Closed => "closed",
            Verdict::Foreign => "foreign",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Verdict> {
        Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.code() == word)
    }

    /// True where a plan may want nothing and wake never.
    pub fn is_at_rest(self) -> bool {
        match self {
            Verdict::Settled | Verdict::Returned | Verdict::Closed | Verdict::Foreign => true,
            Verdict::Open
            | Verdict::Matching
            | Verdict::Confirming
            | Verdict::Releasing
            | Verdict::Refunding
            | Verdict::Held => false,
        }
    }
}

/// What a notice to the shop is about (docs/shop-protocol.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// `payment.refund_started`
    RefundStarted,
    /// `payment.refunded`
    Refunded,
    /// `payment.refund_failed`
    RefundFailed,
    /// `payment.held`
    Held,
}

impl Notice {
    /// The event type on the wire.
    pub fn event_type(self) -> &'static str {
        match self {
            Notice::RefundStarted => "payment.refund_started",
            Notice::Refunded => "payment.refunded",
            Notice::RefundFailed => "payment.refund_failed",
            Notice::Held => "payment.held",
        }
    }
}

/// The kinds of action, without what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Ask the shop to mark the order paid.
    Confirm,
    /// Ask the shop how the order stands.
    LookUp,
    /// Ask the shop to give the order up for these payments.
    Release,
    /// Read the payment at the PSP.
    Fetch,
    /// Give captured money back.
    Refund,
    /// Release an authorisation.
    Void,
    /// Cancel a refund of ours that still waits.
    CancelRefund,
    /// Tell the shop something; only a 2xx is needed.
    Notify,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [ActionKind; 8] = [
        ActionKind::Confirm,
        ActionKind::LookUp,
        ActionKind::Release,
        ActionKind::Fetch,
        ActionKind::Refund,
        ActionKind::Void,
        ActionKind::CancelRefund,
        ActionKind::Notify,
    ];

    /// The stable word.
    pub fn code(self) -> &'static str {
        match self {
            ActionKind::Confirm => "confirm",
            ActionKind::LookUp => "lookup",
            ActionKind::Release => "release",
            ActionKind::Fetch => "fetch",
            ActionKind::Refund => "refund",
            ActionKind::Void => "void",
            ActionKind::CancelRefund => "cancel_refund",
            ActionKind::Notify => "notify",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<ActionKind> {
        ActionKind::ALL.into_iter().find(|kind| kind.code() == word)
    }

    /// True for what moves money or an order, so that nothing may be decided without knowing of it.
    pub fn has_weight(self) -> bool {
        match self {
            ActionKind::Confirm
            | ActionKind::Release
            | ActionKind::Refund
            | ActionKind::Void
            | ActionKind::CancelRefund => true,
            ActionKind::LookUp | ActionKind::Fetch | ActionKind::Notify => false,
        }
    }

    /// True for actions after which money is on its way back, or an authorisation gone.
    pub fn gives_money_back(self) -> bool {
        match self {
            ActionKind::Refund | ActionKind::Void => true,
            ActionKind::Confirm
            | ActionKind::LookUp
            | ActionKind::Release
            | ActionKind::Fetch
            | ActionKind::CancelRefund
            | ActionKind::Notify => false,
        }
    }
}

/// A payment's part in a confirm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidPart {
    /// Which payment.
    pub payment: PaymentRef,
    /// What it brings: captured less what went back.
    pub amount: Money,
    /// The means of payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// Something we want done outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// `order.confirm` at the shop.
    Confirm {
        /// The order.
        reference: Reference,
        /// The payments that pay it.
        payments: Vec<PaidPart>,
        /// Their sum.
        amount: Money,
        /// True if the order had expired or was cancelled.
        late: bool,
        /// The decision's number among those about this order; a later decision has a greater one.
        #[serde(default)]
        decision: u32,
    },
    /// `order.lookup` at the shop.
    LookUp {
        /// The order.
        reference: Reference,
    },
    /// `order.release` at the shop.
    Release {
        /// The order.
        reference: Reference,
        /// The payments about to be refunded.
        payments: Vec<PaidPart>,
        /// The decision's number among those about this order; a later decision has a greater one.
        #[serde(default)]
        decision: u32,
        /// What other means cover by the shop's latest word: the shop gives it back itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paid_otherwise: Option<Money>,
    },
    /// Read one payment, with its refunds and disputes, at the PSP.
    Fetch {
        /// Which payment.
        payment: PaymentRef,
    },
    /// Give money back through the PSP.
    Refund {
        /// Which payment.
        payment: PaymentRef,
        /// How much; always above zero and always written.
        amount: Money,
        /// Why.
        why: Reason,
    },
    /// Release an authorisation at the PSP.
    Void {
        /// Which payment.
        payment: PaymentRef,
        /// Why.
        why: Reason,
    },
    /// Cancel a refund at the PSP.
    CancelRefund {
        /// Of which payment.
        payment: PaymentRef,
        /// The PSP's own id of the refund.
        refund: ExternalRef,
        /// How much stays then.
        amount: Money,
        /// Why.
        why: Reason,
    },
    /// Tell the shop.
    Notify {
        /// What about.
        notice: Notice,
        /// The order, where one is named.
        reference: Option<Reference>,
        /// Which payment.
        payment: PaymentRef,
        /// How much.
        amount: Money,
        /// Why.
        reason: Reason,
        /// When it happened.
        at: Time,
    },
}

/// Who carries an action out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at", content = "key")]
pub enum Destination {
    /// A shop.
    Shop(ShopId),
    /// A PSP account.
    Psp(AccountId),
}

impl Action {
    /// The kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Action::Confirm { .. } => ActionKind::Confirm,
            Action::LookUp { .. } => ActionKind::LookUp,
            Action::Release { .. } => ActionKind::Release,
            Action::Fetch { .. } => ActionKind::Fetch,
            Action::Refund { .. } => ActionKind::Refund,
            Action::Void { .. } => ActionKind::Void,
            Action::CancelRefund { .. } => ActionKind::CancelRefund,
            Action::Notify { .. } => ActionKind::Notify,
        }
    }

    /// The payment it is about, where it is about one.
    pub fn payment(&self) -> Option<&PaymentRef> {
        match self {
            Action::Fetch { payment }
            | Action::Refund { payment, .. }
            | Action::Void { payment, .. }
            | Action::CancelRefund { payment, .. }
            | Action::Notify { payment, .. } => Some(payment),
            Action::Confirm { .. } | Action::LookUp { .. } | Action::Release { .. } => None,
        }
    }

    /// The money it moves or claims, where it does.
    pub fn amount(&self) -> Option<Money> {
        match self {
            Action::Confirm { amount, .. }
            | Action::Refund { amount, .. }
            | Action::CancelRefund { amount, .. }
            | Action::Notify { amount, .. } => Some(*amount),
            Action::LookUp { .. }
            | Action::Release { .. }
            | Action::Fetch { .. }
            | Action::Void { .. } => None,
        }
    }

    /// Where it is carried out, for a checkout of this shop.
    pub fn destination(&self, shop: &ShopId) -> Destination {
        match self {
            Action::Fetch { payment }
            | Action::Refund { payment, .. }
            | Action::Void { payment, .. }
            | Action::CancelRefund { payment, .. } => Destination::Psp(payment.account.clone()),
            Action::Confirm { .. }
            | Action::LookUp { .. }
            | Action::Release { .. }
            | Action::Notify { .. } => Destination::Shop(shop.clone()),
        }
    }
}

/// An action with its key and due time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The decision's name; the same on every retry, restart and instance.
    pub key: ActionKey,
    /// What to do.
    pub action: Action,
    /// Not before this.
    pub due: Time,
    /// Attempts that the checkout knows have been sent under this key.
    pub attempts: u32,
}

/// What a checkout wants at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it stands.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Wanted actions, each once.
    pub actions: Vec<Planned>,
    /// Actions that the shop's mode does not permit; shown, never carried out.
    pub withheld: Vec<Planned>,
    /// When to look again if nothing happens; actions have their own due times.
    pub wake_at: Option<Time>,
    /// Captured money that is neither settled nor back, one entry per currency, none zero.
    pub in_suspense: Vec<Money>,
    /// May the customer be asked to pay again?
    pub safe_to_retry: bool,
}

/// Why a ruling was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulingRefused {
    /// Which guard: a policy key that `overrides` may name, or a stable word that nothing
    /// overrides.
    pub guard: &'static str,
    /// For people.
    pub detail: String,
    /// True when naming `guard` in `overrides` would let it pass.
    pub may_override: bool,
}

/// A plan as the journal keeps it: what was decided, for people and for replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Where it stands.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Wanted actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Planned>,
    /// Actions that the mode does not permit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Planned>,
    /// When to look again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Time>,
    /// Money neither settled nor back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_suspense: Vec<Money>,
}
