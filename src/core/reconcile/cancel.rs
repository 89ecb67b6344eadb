//! Taking back a refund of ours that still waits at the PSP, because the order turned up.
//!
//! Only where the PSP can do that, only what this checkout itself asked for, and only when the
//! money would then pay the order. The refund counts until a read shows that it came to nothing;
//! when it is too late, everything is as it would be without this file.

use super::confirm::IN_FLIGHT_WAKE;
use super::draft::{Draft, Stand};
use super::position::{Position, RefundStand};
use super::refund;
use crate::core::checkout::Ask;
use crate::core::fact::RulingKind;
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef};
use crate::core::matching::{Match, match_money};
use crate::core::money::{Money, MoneyError};
use crate::core::plan::{Action, ActionKind, Reason, Verdict};
use crate::core::time::{Span, Time};

/// A PSP that accepted a cancellation must show it this soon; after that the refund counts as one
/// that goes its way.
const CANCEL_SHOWN_WITHIN: Span = Span::from_minutes(15);

/// A refund of ours that waits at the PSP.
struct Waiting {
    payment: PaymentRef,
    refund: ExternalRef,
    amount: Money,
    key: String,
}

/// Asks for as many waiting refunds to be cancelled as the living order needs; none when that
/// cannot help, or when it is too late.
pub(super) fn take_back(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
) -> Result<Option<Stand>, MoneyError> {
    let Some(alive_since) = order_is_alive(draft) else {
        return Ok(None);
    };
    let needed = needed(draft, money)?;
    if needed.is_empty() || needed.iter().any(|one| is_too_late(draft, one)) {
        return Ok(None);
    }
    refund::follow(draft, money);
    for one in needed {
        ask(draft, one, alive_since);
    }
    let stand = Stand::new(Verdict::Refunding, Reason::CancellingRefund);
    Ok(Some(stand))
}

/// Since when the shop says that there is an order, unless an operator wants the money back.
fn order_is_alive(draft: &Draft<'_>) -> Option<Time> {
    let checkout = draft.checkout;
    let said = checkout.order.latest()?;
    let told = checkout.ruling().map(|ruling| ruling.ruling);
    let is_needed =
        said.status.is_alive() && checkout.reference.is_some() && told != Some(RulingKind::Refund);
    is_needed.then_some(said.as_of)
}

/// The fewest waiting refunds without which the money would pay the order: those of payments that
/// the shop names first, then by age.
fn needed(draft: &Draft<'_>, money: &[Position<'_>]) -> Result<Vec<Waiting>, MoneyError> {
    let checkout = draft.checkout;
    let pays = |matched: &Match| !matched.kept.is_empty() && !matched.is_short;
    let mut waiting = waiting(draft, money);
    if waiting.is_empty() || pays(&match_money(checkout, money, draft.policy)?) {
        return Ok(Vec::new());
    }
    let named = checkout.order.latest().map(|said| &said.paid_by);
    let is_named = |one: &Waiting| named.is_some_and(|named| named.contains(&one.payment));
    waiting.sort_by_key(|one| !is_named(one));
    let mut lifted = money.to_vec();
    let mut chosen = Vec::new();
    for one in waiting {
        if let Some(position) = lifted.iter_mut().find(|it| it.payment == one.payment) {
            position.net = position.net.plus(one.amount)?;
        }
        chosen.push(one);
        let matched = match_money(checkout, &lifted, draft.policy)?;
        if pays(&matched) && matched.anomaly.is_none() {
            return Ok(chosen);
        }
    }
    Ok(Vec::new())
}

/// True when the PSP took our word that this refund of ours is not to be paid out.
pub(super) fn was_called_off(draft: &Draft<'_>, refund: &ActionKey) -> bool {
    let key = ActionKey::parse(&cancel_key(refund)).ok();
    let ask = key.and_then(|key| draft.ask(&key));
    ask.is_some_and(Ask::is_done)
}

fn cancel_key(refund: &ActionKey) -> String {
    format!("cancel-{refund}")
}

/// One refund of a payment is taken back, never a second one: an order that died again after that
/// is not to be believed twice.
fn was_taken_back(draft: &Draft<'_>, payment: &PaymentRef, refund: &ActionKey) -> bool {
    let this = cancel_key(refund);
    draft.checkout.asks.iter().any(|(key, ask)| {
        let is_of_payment = ask.payment.as_ref() == Some(payment);
        ask.kind == ActionKind::CancelRefund && is_of_payment && key.as_str() != this
    })
}

/// Refunds of ours that the PSP shows as waiting and would still cancel, oldest money first.
fn waiting(draft: &Draft<'_>, money: &[Position<'_>]) -> Vec<Waiting> {
    let mut sorted: Vec<&Position<'_>> = money
        .iter()
        .filter(|one| cancels_refunds(draft, &one.payment))
        .collect();
    sorted.sort_by_key(|one| (one.money_at(), one.payment.clone()));
    let mut waiting = Vec::new();
    for one in sorted {
        for (key, _, stand) in &one.refunds {
            if was_taken_back(draft, &one.payment, key) {
                continue;
            }
            let shown = one.state.refunds.iter();
            let shown = shown.filter(|(_, refund)| refund.mark.as_ref() == Some(key));
            let cancellable = shown.filter(|(_, refund)| {
                let told = refund.may_be_cancelled.as_ref();
                *stand == RefundStand::Pending && told.is_none_or(|told| told.value)
            });
            waiting.extend(cancellable.map(|(id, refund)| Waiting {
                payment: one.payment.clone(),
                refund: id.clone(),
                amount: refund.amount,
                key: cancel_key(key),
            }));
        }
    }
    waiting
}

fn cancels_refunds(draft: &Draft<'_>, payment: &PaymentRef) -> bool {
    let account = draft.policy.accounts.get(&payment.account);
    account.is_some_and(|account| account.cancels_refunds && account.can_read)
}

/// The PSP declined and a read since shows the refund all the same, or it accepted and nothing
/// came of it.
fn is_too_late(draft: &Draft<'_>, one: &Waiting) -> bool {
    let key = ActionKey::parse(&one.key).ok();
    let Some(ask) = key.and_then(|key| draft.ask(&key)) else {
        return false;
    };
    let listed_at = draft.checkout.payments.get(&one.payment);
    let listed_at = listed_at.and_then(|state| state.refunds_listed_at);
    let declined_at = ask.refusal().and(ask.ended.as_ref()).map(|ended| ended.at);
    let is_declined = declined_at.is_some_and(|at| listed_at > Some(at));
    let is_overdue = ask.done_at.is_some_and(|at| {
        let due = at.plus(CANCEL_SHOWN_WITHIN);
        draft.now >= due && listed_at >= Some(at)
    });
    is_declined || is_overdue
}

/// Asks for the cancellation; once the PSP has answered, only the payment is read.
fn ask(draft: &mut Draft<'_>, one: Waiting, alive_since: Time) {
    let known = ActionKey::parse(&one.key).ok();
    let known = known.and_then(|key| draft.ask(&key));
    let answered = known.filter(|ask| ask.refusal().is_some() || ask.is_done());
    let Some(ended) = answered.and_then(|ask| ask.ended.as_ref()) else {
        if let Some(sent) = known.filter(|ask| ask.is_in_flight()) {
            let sent = sent.last_sent_at.unwrap_or(draft.now);
            draft.wake(
                sent.plus(IN_FLIGHT_WAKE)
                    .max(draft.now.plus(IN_FLIGHT_WAKE)),
            );
        }
        let action = Action::CancelRefund {
            payment: one.payment,
            refund: one.refund,
            amount: one.amount,
            why: Reason::CancellingRefund,
        };
        draft.want(&one.key, action, alive_since);
        return;
    };
    if known.is_some_and(|ask| ask.is_done()) {
        draft.watch(&one.payment, ended.at);
        draft.wake(ended.at.plus(CANCEL_SHOWN_WITHIN).max(draft.now));
    } else {
        draft.fetch(&one.payment, ended.at);
    }
}
