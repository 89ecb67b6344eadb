//! Asking the shop to confirm, and reading back before asking again.
//!
//! A confirm that may have been applied is never repeated before the shop was asked how the
//! order stands. Ends in the shop's yes or no, or in a hold when patience runs out.

use super::ASK_WHILE_HELD_EVERY;
use super::draft::{Draft, Stand};
use super::position::Position;
use super::{ruling, waiting};
use crate::core::checkout::Ask;
use crate::core::ids::{ActionKey, Reference};
use crate::core::matching::Match;
use crate::core::money::MoneyError;
use crate::core::order::{OrderStatus, Statement, Via};
use crate::core::plan::{Action, ActionKind, PaidPart, Reason, Verdict};
use crate::core::retry;
use crate::core::time::{Span, Time};

/// An attempt without a recorded end is looked at again after this long at the latest; its
/// lease will have run out by then.
pub(super) const IN_FLIGHT_WAKE: Span = Span::from_minutes(2);

/// Wants the confirm of what was matched, or what must come before it.
pub(super) fn run(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> Result<Stand, MoneyError> {
    let checkout = draft.checkout;
    let (Some(reference), Some(amount)) = (checkout.reference.clone(), matched.kept_sum()?) else {
        return Ok(Stand::held(Reason::PaymentClaimedTwice));
    };
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    let order = &checkout.order;
    if waiting::silent_too_long(draft, arrived) {
        let failed = order.last_failure_at.unwrap_or(arrived);
        draft.look_up(failed.plus(ASK_WHILE_HELD_EVERY));
        return Ok(Stand::held(Reason::OutagePatienceExhausted));
    }
    let patience_from = ruling::patience_from(checkout)
        .max(Some(arrived))
        .unwrap_or(arrived);
    let patience_ends = patience_from.plus(draft.policy.confirm_patience);
    if !order.is_shop_silent() && draft.now >= patience_ends {
        let last = order.last_answer_at.unwrap_or(arrived);
        draft.look_up(last.plus(ASK_WHILE_HELD_EVERY));
        return Ok(Stand::held(Reason::PatienceExhausted));
    }
    draft.wake(patience_ends.max(draft.now.plus(ASK_WHILE_HELD_EVERY)));
    let expired = order
        .expires_at
        .as_ref()
        .is_some_and(|expires| expires.value < arrived);
    let late = expired || order.status() == Some(OrderStatus::Cancelled);
    let key = confirm_key(&reference, &matched.kept);
    let action = Action::Confirm {
        reference,
        payments: matched.kept.clone(),
        amount,
        late,
    };
    let stand = match ActionKey::parse(&key).ok().and_then(|key| draft.ask(&key)) {
        None => {
            draft.want(&key, action, arrived);
            Stand::new(Verdict::Confirming, Reason::ConfirmDue)
        }
        Some(ask) => again(draft, &key, ask, action),
    };
    Ok(stand)
}

/// What follows on earlier attempts of this confirm.
fn again(draft: &mut Draft<'_>, key: &str, ask: &Ask, action: Action) -> Stand {
    let order = &draft.checkout.order;
    let Some(ended) = ask.ended.as_ref().filter(|_| !ask.is_in_flight()) else {
        let sent = ask.last_sent_at.unwrap_or(draft.now);
        draft.want(key, action, sent);
        draft.wake(
            sent.plus(IN_FLIGHT_WAKE)
                .max(draft.now.plus(IN_FLIGHT_WAKE)),
        );
        return Stand::new(Verdict::Confirming, Reason::ConfirmDue);
    };
    if ask.is_unclear() && !was_answered_after(order.latest(), ended.at) {
        draft.look_up(ended.at.plus(retry::delay(1, key)));
        return Stand::new(Verdict::Confirming, Reason::ConfirmUnclear);
    }
    if order.is_shop_silent() {
        draft.want(key, action, ended.at);
        return Stand::new(Verdict::Confirming, Reason::ShopUnreachable);
    }
    if ask.is_unclear() {
        draft.want(key, action, draft.now);
        return Stand::new(Verdict::Confirming, Reason::ConfirmDue);
    }
    let asked_patience = order
        .latest()
        .and_then(|said| said.retry_after)
        .unwrap_or(Span::ZERO);
    let pace = retry::delay(ended.attempt, key).max(asked_patience);
    draft.want(key, action, ended.at.plus(pace));
    Stand::new(Verdict::Confirming, Reason::ShopSaysNotYet)
}

/// True when the shop's latest word answers a question that left after this moment.
fn was_answered_after(latest: Option<&Statement>, moment: Time) -> bool {
    latest
        .and_then(|said| said.asked_at)
        .is_some_and(|asked| asked >= moment)
}

/// The key of one decision: these payments, with these amounts, pay this order.
fn confirm_key(reference: &Reference, kept: &[PaidPart]) -> String {
    let mut named = reference.as_str().to_owned();
    for part in kept {
        named.push_str(&format!("|{}={}", part.payment, part.amount));
    }
    format!("confirm-{}", fingerprint(&named))
}

/// A short stable name for a text: 64 bits of FNV-1a, in hex.
pub(super) fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// All confirms ever asked for.
pub(super) fn asks<'a>(draft: &Draft<'a>) -> impl Iterator<Item = &'a Ask> {
    draft
        .checkout
        .asks
        .values()
        .filter(|ask| ask.kind == ActionKind::Confirm)
}

/// When the latest confirm left.
pub(super) fn last_sent_at(draft: &Draft<'_>) -> Option<Time> {
    asks(draft).filter_map(|ask| ask.last_sent_at).max()
}

/// When the shop's present unbroken run of `confirmed` began.
pub(super) fn confirmed_since(draft: &Draft<'_>) -> Option<Time> {
    let statements = draft.checkout.order.statements.iter().rev();
    statements
        .take_while(|said| said.status == OrderStatus::Confirmed)
        .last()
        .map(|said| said.as_of)
}

/// The shop confirmed before this money came and does not say by what: it must be asked to
/// confirm with this payment, so that its answer can name the one that counts.
pub(super) fn must_still_name(draft: &Draft<'_>, money: &[Position<'_>]) -> bool {
    let order = &draft.checkout.order;
    let names_none = order.latest().is_some_and(|said| said.paid_by.is_empty());
    let arrived = money
        .iter()
        .map(Position::money_at)
        .min()
        .unwrap_or_default();
    let was_before = confirmed_since(draft).is_some_and(|since| since < arrived);
    let was_named = order
        .statements
        .iter()
        .any(|said| said.via == Via::Confirm && said.status == OrderStatus::Confirmed);
    names_none && was_before && !was_named
}

/// The shop said `cancelled` to a confirm or release that left after all this money was here.
pub(super) fn was_finally_declined(draft: &Draft<'_>, money: &[Position<'_>]) -> bool {
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    draft.checkout.order.statements.iter().any(|said| {
        let is_final = said.via == Via::Confirm || said.via == Via::Release;
        let was_asked_since = said.asked_at.is_some_and(|asked| asked >= arrived);
        said.status == OrderStatus::Cancelled && is_final && was_asked_since
    })
}
