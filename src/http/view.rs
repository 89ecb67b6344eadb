//! A checkout as everyone sees it: made from the stored row, its standing
//! actions and its document.
//!
//! Needs no policy and makes no decision: what it shows was decided when the row was written.

use super::words::rfc3339;
use crate::core::checkout::Checkout;
use crate::core::money::Money;
use crate::core::order::Order;
use crate::core::payment::{Payment, PaymentStatus, RefundState};
use crate::core::time::Time;
use crate::store::{ActionRow, CheckoutRow, LoadedCheckout, StoreError};
use serde::{Deserialize, Serialize};

/// The word of a next step that is only a look, with no action standing.
pub const LOOK_AGAIN: &str = "look_again";

/// A checkout as shown everywhere. Field names are the contract's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutView {
    /// Ours.
    pub id: String,
    /// The shop's key.
    pub shop: String,
    /// The order's reference, if known.
    pub reference: Option<String>,
    /// Where it stands.
    pub verdict: String,
    /// Why, as a stable word.
    pub reason: String,
    /// What the shop said; none before it said anything.
    pub order: Option<OrderView>,
    /// The payments that live here.
    pub payments: Vec<PaymentView>,
    /// Captured money that is neither settled nor back; none when there is none.
    pub in_suspense: Option<Money>,
    /// Since when the verdict stands, RFC 3339.
    pub since: String,
    /// May the customer be asked to pay again?
    pub safe_to_retry: bool,
    /// What happens next if nobody does anything; none when nothing does.
    pub next_step: Option<NextStep>,
    /// Grows with every change; the number that `If-Match` on a ruling names.
    pub version: i64,
    /// True when the stored document cannot be read, so that order and payments are missing
    /// here, or when one of its actions cannot be; left out otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
    /// Another settled checkout of the same customer and amount, paid within half an hour of this
    /// one; left out when there is none. For people: nothing is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
}

/// What a shop said about an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// How it stands; none while only announced.
    pub status: Option<String>,
    /// What is owed.
    pub amount: Option<Money>,
    /// When the shop gives it up if unpaid, RFC 3339.
    pub expires_at: Option<String>,
}

/// One payment of a checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// The PSP account's key.
    pub account: String,
    /// The PSP's own id.
    pub id: String,
    /// `unknown`, `pending`, `authorised`, `captured` or `failed`.
    pub status: String,
    /// The means of payment in the PSP's words.
    pub method: Option<String>,
    /// Taken so far, before refunds; none when amounts are not known or do not add up.
    pub captured: Option<Money>,
    /// Gone back for good, by the PSP's word.
    pub refunded: Option<Money>,
    /// Accepted by the PSP and on its way back.
    pub refund_pending: Option<Money>,
    /// True while a dispute is open.
    pub disputed: bool,
}

/// What happens next if nobody does anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// The kind of action, or `look_again`.
    pub action: String,
    /// When, RFC 3339.
    pub at: String,
    /// Which attempt it is; the first is 1. None for a mere look.
    pub attempt: Option<u32>,
    /// How the attempt before ended, as a stable word.
    pub last_error: Option<String>,
}

/// The next step with its time still a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The kind of action, or `look_again`.
    pub action: &'static str,
    /// When.
    pub at: Time,
    /// Which attempt it is.
    pub attempt: Option<u32>,
    /// How the attempt before ended.
    pub last_error: Option<String>,
    /// True while the attempt is out and unanswered.
    pub is_under_way: bool,
}

/// Reads the document of a row.
///
/// # Errors
/// `Corrupt` when the document is not a checkout.
pub fn document(row: &CheckoutRow) -> Result<Checkout, StoreError> {
    serde_json::from_str(&row.document).map_err(|error| StoreError::Corrupt {
        table: "checkouts",
        column: "document",
        row: row.id.to_string(),
        detail: error.to_string(),
    })
}

/// Shows a stored checkout.
///
/// # Errors
/// `Corrupt` when its document is not a checkout; `Unavailable` with an action that cannot be read,
/// which may have moved money that the document does not know of.
pub fn checkout(loaded: &LoadedCheckout) -> Result<CheckoutView, StoreError> {
    if let Some(why) = loaded.unreadable.first() {
        return Err(StoreError::Unavailable(why.clone()));
    }
    let known = document(&loaded.row)?;
    Ok(view_of(loaded, &known))
}

/// Shows a stored checkout for operators: one whose document or action cannot be read is shown as
/// far as it goes and marked, so that it hides no other.
pub fn even_damaged(loaded: &LoadedCheckout) -> CheckoutView {
    let (known, damage) = document_or_bare(loaded);
    let damaged = damage.is_some();
    let shown = view_of(loaded, &known);
    CheckoutView {
        safe_to_retry: shown.safe_to_retry && !damaged,
        damaged,
        ..shown
    }
}

/// What of a checkout cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage<'a> {
    /// Its document.
    Document,
    /// One of its actions, and why.
    Action(&'a str),
}

impl Damage<'_> {
    /// What it means, in one sentence.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Damage::Document => "Its stored document cannot be read, so nothing is done about it.",
            Damage::Action(_) => {
                "One of its stored actions cannot be read, so nothing is done about it."
            }
        }
    }
}

/// The document of a row, an empty one in place of one that cannot be read, and what cannot be.
pub(super) fn document_or_bare(loaded: &LoadedCheckout) -> (Checkout, Option<Damage<'_>>) {
    let row = &loaded.row;
    match document(row) {
        Ok(known) => {
            let action = loaded.unreadable.first();
            (known, action.map(|why| Damage::Action(why)))
        }
        Err(_) => {
            let bare = Checkout::new(row.id.clone(), row.shop.clone(), row.reference.clone());
            (bare, Some(Damage::Document))
        }
    }
}

/// Shows a stored checkout whose document was read before.
pub fn view_of(loaded: &LoadedCheckout, known: &Checkout) -> CheckoutView {
    let row = &loaded.row;
    CheckoutView {
        id: row.id.to_string(),
        shop: row.shop.to_string(),
        reference: row.reference.as_ref().map(ToString::to_string),
        verdict: row.verdict.code().to_owned(),
        reason: row.reason.code().to_owned(),
        order: order(&known.order),
        payments: known
            .own_payments()
            .map(|(name, state)| payment(name.account.as_str(), name.id.as_str(), state))
            .collect(),
        in_suspense: row.in_suspense.filter(|money| !money.is_zero()),
        since: rfc3339(row.since),
        safe_to_retry: known.safe_to_retry(),
        next_step: next(loaded, known).map(|next| NextStep {
            action: next.action.to_owned(),
            at: rfc3339(next.at),
            attempt: next.attempt,
            last_error: next.last_error,
        }),
        version: row.version,
        damaged: false,
        looks_like: None,
    }
}

fn order(order: &Order) -> Option<OrderView> {
    if order.latest().is_none() && !order.is_known() {
        return None;
    }
    Some(OrderView {
        status: order.status().as_ref().map(word),
        amount: order.amount(),
        expires_at: order.expires_at.map(|said| rfc3339(said.value)),
    })
}

fn payment(account: &str, id: &str, state: &Payment) -> PaymentView {
    let (captured, refunded, refund_pending) = amounts(state);
    PaymentView {
        account: account.to_owned(),
        id: id.to_owned(),
        status: word(&state.status()),
        method: state.method.as_ref().map(|said| said.value.clone()),
        captured,
        refunded,
        refund_pending,
        disputed: state.has_open_dispute(),
    }
}

/// Captured, gone back for good, and on its way back.
fn amounts(state: &Payment) -> (Option<Money>, Option<Money>, Option<Money>) {
    if state.status() != PaymentStatus::Captured {
        let asked = state.requested.as_ref().map(|said| said.value);
        let zero = asked.map(|money| Money::zero(money.currency()));
        return (zero, zero, zero);
    }
    let pending = state
        .refunds_in(|refund| refund == RefundState::Pending)
        .ok();
    let all = state.returned_or_returning().ok();
    let done = all
        .zip(pending)
        .and_then(|(all, pending)| all.minus(pending).ok());
    let captured = state.captured();
    (
        captured,
        done.filter(|_| captured.is_some()),
        pending.filter(|_| captured.is_some()),
    )
}

/// The stable word of one of the core's enums, as serde writes it.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

/// What happens next if nobody does anything: the earliest standing action or the wake-up,
/// an action first when both are due together.
pub fn next(loaded: &LoadedCheckout, known: &Checkout) -> Option<Next> {
    let action = loaded
        .actions
        .iter()
        .min_by_key(|row| (row.planned.due, row.planned.action.kind()));
    match (action, loaded.row.wake_at) {
        (Some(row), Some(wake)) if wake < row.planned.due => Some(look_again(wake)),
        (Some(row), _) => Some(attempt_of(row, known)),
        (None, Some(wake)) => Some(look_again(wake)),
        (None, None) => None,
    }
}

fn look_again(at: Time) -> Next {
    Next {
        action: LOOK_AGAIN,
        at,
        attempt: None,
        last_error: None,
        is_under_way: false,
    }
}

fn attempt_of(row: &ActionRow, known: &Checkout) -> Next {
    let ended = known
        .asks
        .get(&row.planned.key)
        .and_then(|ask| ask.ended.as_ref());
    let is_under_way = row.lease.is_some();
    Next {
        action: row.planned.action.kind().code(),
        at: row.planned.due,
        attempt: Some(if is_under_way {
            row.attempts
        } else {
            row.attempts.saturating_add(1)
        }),
        last_error: ended.and_then(|ended| ended.outcome.code().map(ToOwned::to_owned)),
        is_under_way,
    }
}

/// Since when money of this checkout is with us: the earliest moment at which we knew that a
/// payment that lives here had been taken.
pub fn money_since(known: &Checkout) -> Option<Time> {
    known
        .own_payments()
        .filter(|(_, payment)| payment.status() == PaymentStatus::Captured)
        .filter_map(|(_, payment)| payment.first_money_at)
        .min()
}
