//! What a checkout wants: its verdict, the reason, the actions due and when to look again.
//!
//! A plan is a value. Whoever carries it out commits it whole, together with the checkout it
//! was made from.

use super::ids::{AccountId, ActionKey, PaymentRef, Reference, ShopId};
use super::money::Money;
use super::time::Time;
use serde::{Deserialize, Serialize};

/// Where a checkout stands (CONTRACT section 6).
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
    /// All verdicts, in the order of the contract.
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

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, )+) => {
        /// Why the verdict is what it is: one list of stable words, documented in the README.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $( $(#[doc = $doc])+ #[serde(rename = $code)] $name, )+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[ $( Reason::$name, )+ ];

            /// The stable word.
            pub fn code(self) -> &'static str {
                match self { $( Reason::$name => $code, )+ }
            }

            /// What it means, in one sentence for people.
            pub fn meaning(self) -> &'static str {
                match self { $( Reason::$name => concat!($($doc),+), )+ }
            }
        }
    };
}

reasons! {
    /// The shop announced the order; nothing is paid yet.
    AwaitingPayment = "awaiting_payment",
    /// A payment is under way at the PSP.
    PaymentPending = "payment_pending",
    /// A payment is authorised and the order is alive; the shop will capture it.
    AwaitingCapture = "awaiting_capture",
    /// Money is here; the shop has not told us of the order yet.
    AwaitingOrder = "awaiting_order",
    /// The payment has not been read yet, so it is not known what it is.
    AwaitingRead = "awaiting_read",
    /// The first `unknown` was heard; the second is asked for after `second_look`.
    AwaitingSecondLook = "awaiting_second_look",
    /// Less than the order's amount is here; more parts may be on the way.
    AwaitingRest = "awaiting_rest",
    /// The shop is asked to confirm the order.
    ConfirmDue = "confirm_due",
    /// A confirm got no clear answer; the shop is asked how the order stands.
    ConfirmUnclear = "confirm_unclear",
    /// The shop said "not yet".
    ShopSaysNotYet = "shop_says_not_yet",
    /// The shop does not answer.
    ShopUnreachable = "shop_unreachable",
    /// The shop said that the order is cancelled; it is asked to give it up for good.
    OrderCancelled = "order_cancelled",
    /// The shop said twice that it knows no such order; it is asked to give it up for good.
    OrderUnknown = "order_unknown",
    /// An operator decided that the money goes back.
    OperatorRefund = "operator_refund",
    /// Only a part was paid and the policy gives it back.
    Underpaid = "underpaid",
    /// The payment names no order and the policy gives it back.
    Unreferenced = "unreferenced",
    /// The order was paid by another payment.
    Duplicate = "duplicate",
    /// More than the order's amount was paid.
    Overpaid = "overpaid",
    /// The refund waits for `refund_delay`, so that people or a late order can stop it.
    RefundDelayed = "refund_delayed",
    /// The payment and the order are read once more right before the money leaves.
    LastLook = "last_look",
    /// The refund is due or was sent.
    RefundDue = "refund_due",
    /// A refund got no clear answer; the PSP is asked whether it happened.
    RefundUnclear = "refund_unclear",
    /// The PSP accepted the refund and has not finished it.
    RefundPending = "refund_pending",
    /// The refund waits for the shop's balance at the PSP.
    RefundWaitsForBalance = "refund_waits_for_balance",
    /// The authorisation is being released.
    VoidDue = "void_due",
    /// The shop confirmed the order and the money matches.
    ConfirmedByShop = "confirmed_by_shop",
    /// Confirmed; a payment of it is disputed, which the shop answers at the PSP.
    ConfirmedDisputed = "confirmed_disputed",
    /// An operator settled it outside.
    OperatorSettled = "operator_settled",
    /// Everything that was captured was refunded.
    Refunded = "refunded",
    /// The payer's bank took the money back.
    ChargedBack = "charged_back",
    /// The authorisation was released; nothing had been captured.
    Voided = "voided",
    /// The payment failed, expired or was cancelled.
    PaymentFailed = "payment_failed",
    /// The order ended without any payment.
    NothingPaid = "nothing_paid",
    /// The payment belongs to an order and lives in that order's checkout.
    Moved = "moved",
    /// Carries no reference of this shop; the account serves others too.
    NotClaimed = "not_claimed",
    /// Older than the account's `since`.
    BeforeSince = "before_since",
    /// Test payment at a live account, or the other way round.
    WrongMode = "wrong_mode",
    /// Held: an operator said so.
    OperatorHold = "operator_hold",
    /// Held: the guard stopped automatic refunds (count, sum or share in an hour).
    GuardRefunds = "guard_refunds",
    /// Held: too many orders look unknown at once; the shop may answer `unknown` to everything.
    GuardUnknownRunaway = "guard_unknown_runaway",
    /// Held: the shop's epoch went backwards, so it may have been restored from a backup.
    GuardEpochWentBack = "guard_epoch_went_back",
    /// Held: the refund is above `auto_refund_limit`.
    AboveAutoRefundLimit = "above_auto_refund_limit",
    /// Held: the shop answered, but neither yes nor no, for `confirm_patience`.
    PatienceExhausted = "patience_exhausted",
    /// Held: the shop could not be reached for `outage_patience`.
    OutagePatienceExhausted = "outage_patience_exhausted",
    /// Held: money and order are in different currencies.
    CurrencyMismatch = "currency_mismatch",
    /// Held: the amounts differ by exactly 10, 100 or 1000.
    AmountOffByPowerOfTen = "amount_off_by_power_of_ten",
    /// Held: far less was paid than the order's amount.
    AmountSuspicious = "amount_suspicious",
    /// Held: less was paid than the order's amount.
    UnderpaidHeld = "underpaid_held",
    /// Held: more was paid than the order's amount, and the policy holds the excess.
    OverpaidHeld = "overpaid_held",
    /// Held: the payment names no order, and the policy holds it.
    UnreferencedHeld = "unreferenced_held",
    /// Held: the payment is disputed; a refund would pay twice.
    Disputed = "disputed",
    /// Held: a refund failed after it was accepted; the customer does not have the money.
    RefundFailed = "refund_failed",
    /// Held: the PSP declined the refund.
    RefundRefused = "refund_refused",
    /// Held: this means of payment cannot be refunded through the PSP.
    NotRefundable = "not_refundable",
    /// Held: the order is cancelled, but goods left.
    CancelledButFulfilled = "cancelled_but_fulfilled",
    /// Held: the shop confirmed the order and took it back later (cancelled, or unknown again).
    ConfirmWithdrawn = "confirm_withdrawn",
    /// Held: the shop confirmed an order whose money went back.
    ConfirmedAfterRefund = "confirmed_after_refund",
    /// Somebody refunded a payment of a confirmed order outside this daemon; held until the shop
    /// was told.
    RefundedAfterConfirm = "refunded_after_confirm",
    /// Held: part of the money was refunded outside this daemon before the order was confirmed.
    RefundedElsewhere = "refunded_elsewhere",
    /// Held: the payment is older than the order that it names.
    PaymentOlderThanOrder = "payment_older_than_order",
    /// Held: the account serves several shops and nothing says whose payment it is.
    OwnerAmbiguous = "owner_ambiguous",
    /// Held: the payment is counted for another order.
    PaymentClaimedTwice = "payment_claimed_twice",
    /// Held: the kind of payment is not a checkout payment.
    UnknownKind = "unknown_kind",
    /// Held: the authorisation lapses soon and nobody captured it.
    AuthorisationExpiring = "authorisation_expiring",
    /// Held: the PSP cannot be read for this payment.
    UnreadablePayment = "unreadable_payment",
    /// Held: amounts from the PSP do not add up.
    AmountsInconsistent = "amounts_inconsistent",
    /// Held: a promise would have been broken, so nothing was done.
    InvariantBreach = "invariant_breach",
}

/// What a notice to the shop is about (CONTRACT section 4).
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
    /// Tell the shop something; only a 2xx is needed.
    Notify,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [ActionKind; 7] = [
        ActionKind::Confirm,
        ActionKind::LookUp,
        ActionKind::Release,
        ActionKind::Fetch,
        ActionKind::Refund,
        ActionKind::Void,
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
            ActionKind::Notify => "notify",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<ActionKind> {
        ActionKind::ALL.into_iter().find(|kind| kind.code() == word)
    }

    /// True for actions after which money is on its way back, or an authorisation gone.
    pub fn gives_money_back(self) -> bool {
        match self {
            ActionKind::Refund | ActionKind::Void => true,
            ActionKind::Confirm
            | ActionKind::LookUp
            | ActionKind::Release
            | ActionKind::Fetch
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
            Action::Notify { .. } => ActionKind::Notify,
        }
    }

    /// The payment it is about, where it is about one.
    pub fn payment(&self) -> Option<&PaymentRef> {
        match self {
            Action::Fetch { payment }
            | Action::Refund { payment, .. }
            | Action::Void { payment, .. }
            | Action::Notify { payment, .. } => Some(payment),
            Action::Confirm { .. } | Action::LookUp { .. } | Action::Release { .. } => None,
        }
    }

    /// The money it moves or claims, where it does.
    pub fn amount(&self) -> Option<Money> {
        match self {
            Action::Confirm { amount, .. }
            | Action::Refund { amount, .. }
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
            | Action::Void { payment, .. } => Destination::Psp(payment.account.clone()),
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
