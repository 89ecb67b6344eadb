//! The reasons: one list of stable words with their meanings.
//!
//! A list and nothing more: which reason stands where is decided in `reconcile`. The README's
//! reference repeats it.

use serde::{Deserialize, Serialize};

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
    /// The shop cannot deliver a part of the order, whose share goes back.
    PartNotDelivered = "part_not_delivered",
    /// The refund waits for `refund_delay`, so that people or a late order can stop it.
    RefundDelayed = "refund_delayed",
    /// The refund waits for `reversal_wait`: the payer's bank can still pull this money back by itself.
    ReversalPossible = "reversal_possible",
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
    /// The order turned up while a refund of ours still waits; the PSP is asked to cancel it.
    CancellingRefund = "cancelling_refund",
    /// The authorisation is being released.
    VoidDue = "void_due",
    /// The shop confirmed the order and the money matches.
    ConfirmedByShop = "confirmed_by_shop",
    /// Confirmed; a payment of it is disputed, which the shop answers at the PSP.
    ConfirmedDisputed = "confirmed_disputed",
    /// Confirmed at the amount agreed at the time of payment; the shop has raised it since, and the
    /// rest is its own to ask for.
    ConfirmedBalanceDue = "confirmed_balance_due",
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
    /// A card check: the payment asked for no money.
    CardCheck = "card_check",
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
    /// Somebody named a payment without proving anything, and the PSP knows no such payment.
    UnknownAtPsp = "unknown_at_psp",
    /// Held: an operator said so.
    OperatorHold = "operator_hold",
    /// Held: the guard stopped automatic refunds (count, sum or share in an hour).
    GuardRefunds = "guard_refunds",
    /// Held: too many orders look unknown at once; the shop may answer `unknown` to everything.
    GuardUnknownRunaway = "guard_unknown_runaway",
    /// Held: the shop's epoch went backwards, so it may have been restored from a backup.
    GuardEpochWentBack = "guard_epoch_went_back",
    /// Held: an amount of this shop was off by exactly 10, 100 or 1000; until it is known why, no
    /// refund leaves.
    GuardAmountScale = "guard_amount_scale",
    /// Held: the shop calls an order unknown that it had confirmed, so its `unknown` proves nothing.
    GuardCanaryLost = "guard_canary_lost",
    /// Held: the shop has not shown yet that it finds any order, so its `unknown` proves nothing; tried again every hour.
    GuardCanaryMissing = "guard_canary_missing",
    /// Held: the store was started elsewhere before, so another daemon may be at work on the same money.
    GuardStoreMoved = "guard_store_moved",
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
    /// Held: far less was paid than the order's amount, or the shop confirmed by a part of it and
    /// more came that does not fit into the rest.
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
    /// Held: the PSP accepted the refund and has not finished it for `refund_patience`.
    RefundStuck = "refund_stuck",
    /// Held: the PSP declined the refund.
    RefundRefused = "refund_refused",
    /// Held: this payment cannot be refunded through the PSP, by its means or by its age.
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
    /// The payer's bank took money of a confirmed order back; held until the shop was told.
    ChargedBackAfterConfirm = "charged_back_after_confirm",
    /// Held: the payment succeeded long after it had been given up; `resume` lets it go on as the policy says.
    LateSuccess = "late_success",
    /// Held: part of the money was refunded outside this daemon before the order was confirmed.
    RefundedElsewhere = "refunded_elsewhere",
    /// Held: the payment is older than the order that it names.
    PaymentOlderThanOrder = "payment_older_than_order",
    /// Held: the account serves several shops and nothing says whose payment it is.
    OwnerAmbiguous = "owner_ambiguous",
    /// Held: the payment is counted for another order.
    PaymentClaimedTwice = "payment_claimed_twice",
    /// Held: the shop confirmed the order by a payment of an account served here that nobody has shown.
    PaidByUnseen = "paid_by_unseen",
    /// Held: the kind of payment is not a checkout payment.
    UnknownKind = "unknown_kind",
    /// Held: the authorisation lapses soon and nobody captured it.
    AuthorisationExpiring = "authorisation_expiring",
    /// Held: the PSP cannot be read for this payment.
    UnreadablePayment = "unreadable_payment",
    /// Held: the PSP said that money was taken, and shows none now.
    MoneyDenied = "money_denied",
    /// Held: amounts from the PSP do not add up.
    AmountsInconsistent = "amounts_inconsistent",
    /// Held: a promise would have been broken, so nothing was done.
    InvariantBreach = "invariant_breach",
}
