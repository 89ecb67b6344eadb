//! Asking the shop to confirm, and reading back before asking again.
//!
//! A confirm that may have been applied is never repeated before the shop was asked how the
//! order stands. Ends in the shop's yes or no, or in a hold when patience runs out.

use super::draft::{Draft, Stand, fingerprint};
use super::position::Position;
use super::{ASK_WHILE_HELD_EVERY, LOOK_IS_FRESH_FOR, ruling, waiting};
use crate::core::checkout::{Ask, Ended};
use crate::core::fact::{Outcome, RulingKind};
use crate::core::ids::{ActionKey, Reference};
use crate::core::matching::Match;
use crate::core::money::MoneyError;
use crate::core::order::{OrderStatus, Statement, Via};
use crate::core::plan::{Action, ActionKind, PaidPart, Reason, Verdict};
use crate::core::policy::Mode;
use crate::core::retry;
use crate::core::time::{Span, Time};

/// An attempt without a recorded end is looked at again after this long at the latest; its
/// lease will have run out by then.
pub(super) const IN_FLIGHT_WAKE: Span = Span::from_minutes(1);

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
    // Only time in which the shop could be reached counts; but a shop that stumbles once a day
    // for ever is no better than one that is down.
    let reachable_from = patience_from.max(order.last_failure_at.unwrap_or(patience_from));
    let patience = draft.policy.confirm_patience;
    let longest = patience_from
        .plus(patience)
        .plus(draft.policy.outage_patience);
    let patience_ends = reachable_from.plus(patience).min(longest);
    let is_over = !order.is_shop_silent() && draft.now >= patience_ends;
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
        decision: draft.decision(&key),
    };
    let stand = match ActionKey::parse(&key).ok().and_then(|key| draft.ask(&key)) {
        None => {
            let stand = after_another(draft).unwrap_or_else(|| {
                draft.want(&key, action, arrived);
                Stand::new(Verdict::Confirming, Reason::ConfirmDue)
            });
            if is_over {
                Stand::held(Reason::PatienceExhausted)
            } else {
                stand
            }
        }
        Some(ask) if is_over => {
            again_slowly(draft, &key, ask, action);
            Stand::held(Reason::PatienceExhausted)
        }
        Some(ask) => again(draft, &key, ask, action),
    };
    if draft.policy.mode < Mode::Confirm {
        // Nobody asks the shop here, so it is looked at instead.
        draft.look_again(arrived);
    }
    Ok(stand)
}

/// Where another confirm of the order, of other payments or amounts, is on its way or may have had
/// its effect: its end first, or the shop would confirm twice.
fn after_another(draft: &mut Draft<'_>) -> Option<Stand> {
    let in_flight = asks(draft).filter(|ask| ask.is_in_flight());
    if let Some(sent) = in_flight.filter_map(|ask| ask.last_sent_at).max() {
        draft.wake(
            sent.plus(IN_FLIGHT_WAKE)
                .max(draft.now.plus(IN_FLIGHT_WAKE)),
        );
        return Some(Stand::new(Verdict::Confirming, Reason::ConfirmDue));
    }
    let unclear = asks(draft).filter(|ask| ask.is_unclear());
    let ended: Vec<&Ended> = unclear.filter_map(|ask| ask.ended.as_ref()).collect();
    let looks = ended.iter().filter_map(|ended| ended.looks).max();
    let ended = ended.iter().map(|ended| ended.at).max()?;
    if freshly_said(draft, ended, looks).is_some() {
        return None;
    }
    draft.look_up(ended.plus(retry::delay(1, "lookup")));
    Some(Stand::new(Verdict::Confirming, Reason::ConfirmUnclear))
}

/// The question stays while the checkout is held, once an hour, after a look of its own: the shop
/// may come to say yes, or have confirmed by itself meanwhile.
fn again_slowly(draft: &mut Draft<'_>, key: &str, ask: &Ask, action: Action) {
    let ended = ask.ended.as_ref();
    let looks = ended.and_then(|ended| ended.looks);
    let next = ended.map_or(draft.now, |ended| ended.at);
    let next = next.plus(ASK_WHILE_HELD_EVERY);
    match freshly_said(draft, next, looks) {
        Some(said) => draft.want(key, action, said.as_of),
        None => draft.look_up(next),
    }
}

/// Asks how the order stands while a confirm is in flight or got no clear answer.
pub(super) fn read_back(draft: &mut Draft<'_>) {
    let is_open = asks(draft).any(|ask| ask.is_in_flight() || ask.is_unclear());
    let sent = last_sent_at(draft).filter(|sent| draft.checkout.order.last_answer_at < Some(*sent));
    if let Some(sent) = sent.filter(|_| is_open) {
        draft.look_up(sent.plus(retry::delay(1, "lookup")));
    }
}

/// Looks at a confirmed order once more when its latest word is the answer to our own confirm.
pub(super) fn read_back_once(draft: &mut Draft<'_>) {
    let latest = draft.checkout.order.latest();
    let answered = latest.filter(|said| said.via == Via::Confirm);
    if let Some(said) = answered {
        draft.look_up(said.as_of.plus(draft.policy.confirm_check));
    }
}

/// Looks at the order once more after its money is gone, when a confirm of it was ever lost: it
/// may have been queued on its way and arrive late, whatever its expiry says.
pub(super) fn read_back_after(draft: &mut Draft<'_>, gone_at: Option<Time>) {
    let Some(gone_at) = gone_at else { return };
    let may_arrive = asks(draft).any(|ask| ask.unclear_at.is_some());
    let look_at = gone_at.plus(draft.policy.confirm_check);
    let was_asked_since = draft
        .checkout
        .order
        .statements
        .iter()
        .any(|said| said.asked_at >= Some(look_at));
    if may_arrive && !was_asked_since && draft.now < look_at.plus(draft.policy.outage_patience) {
        draft.look_up(look_at);
    }
}

/// When the latest confirm that was never clearly answered is surely no longer acted on.
pub(super) fn expired_at(draft: &Draft<'_>) -> Option<Time> {
    let unclear = asks(draft).filter(|ask| ask.unclear_at.is_some());
    let sent = unclear.filter_map(|ask| ask.last_sent_at).max()?;
    Some(sent.plus(super::CONFIRM_EXPIRES_AFTER))
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
    if ask.is_unclear() && freshly_said(draft, ended.at, ended.looks).is_none() {
        draft.look_up(ended.at.plus(retry::delay(1, key)));
        return Stand::new(Verdict::Confirming, Reason::ConfirmUnclear);
    }
    if order.is_shop_silent() {
        // What certainly had no effect is simply repeated; all else may have been done since.
        match ended.outcome {
            Outcome::NotSent { .. } | Outcome::Throttled { .. } | Outcome::Unauthorized { .. } => {
                draft.want(key, action, ended.at);
            }
            Outcome::Unclear { .. }
            | Outcome::Postponed { .. }
            | Outcome::Malformed { .. }
            | Outcome::Refused { .. }
            | Outcome::Done => {
                draft.look_up(ended.at.plus(retry::delay(ended.attempt, key)));
            }
        }
        return Stand::new(Verdict::Confirming, Reason::ShopUnreachable);
    }
    if ask.is_unclear() {
        let answered = order.latest().map_or(ended.at, |said| said.as_of);
        draft.want(key, action, answered);
        return Stand::new(Verdict::Confirming, Reason::ConfirmDue);
    }
    let asked_patience = order
        .latest()
        .and_then(|said| said.retry_after)
        .unwrap_or(Span::ZERO);
    let pace = retry::delay(ended.attempt, key).max(asked_patience);
    let next = ended.at.plus(pace);
    // The shop may have confirmed by itself since; one that cannot tell a repeat would do it twice.
    match freshly_said(draft, next, ended.looks) {
        Some(said) => draft.want(key, action, said.as_of),
        None => draft.look_up(next),
    }
    Stand::new(Verdict::Confirming, Reason::ShopSaysNotYet)
}

/// The shop's latest word, if it answers a question that left after this moment and not long ago:
/// an order that was looked at before an outage or a dispute may have been confirmed since. One of
/// the first `looks` looks left before the confirm's end was recorded, however late by its clock.
fn freshly_said<'a>(
    draft: &mut Draft<'a>,
    moment: Time,
    looks: Option<u32>,
) -> Option<&'a Statement> {
    let latest = draft.checkout.order.latest();
    let said = latest.filter(|_| was_answered_after(latest, moment))?;
    if said.look.is_some_and(|look| Some(look) <= looks) {
        return None;
    }
    let stale_at = said.asked_at?.plus(LOOK_IS_FRESH_FOR);
    if draft.now >= stale_at {
        return None;
    }
    draft.wake(stale_at);
    Some(said)
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

/// When the shop began to confirm the order by the very payments that it names now.
pub(super) fn confirmed_so_since(draft: &Draft<'_>) -> Option<Time> {
    let order = &draft.checkout.order;
    let latest = order.latest()?;
    let statements = order.statements.iter().rev();
    statements
        .take_while(|said| said.status == OrderStatus::Confirmed && said.paid_by == latest.paid_by)
        .last()
        .map(|said| said.as_of)
}

/// The shop said yes once, and no operator has said since that the money goes back all the same.
pub(super) fn was_ever_given(draft: &Draft<'_>) -> bool {
    let told = draft.checkout.ruling();
    let is_ruled = told.is_some_and(|ruling| ruling.ruling == RulingKind::Refund);
    draft.checkout.order.last_confirmed_at.is_some() && !is_ruled
}

/// The shop said yes once and says no now. It is looked at again all the same: the yes may have
/// been the later word, stamped by a clock that is slow.
pub(super) fn withdrawn(draft: &mut Draft<'_>) -> Stand {
    let order = &draft.checkout.order;
    let since = order.last_answer_at.or(order.first_heard_at);
    draft.look_again(since.unwrap_or_default());
    Stand::held(Reason::ConfirmWithdrawn)
}

/// The shop answered a confirm, sent after it had last said `confirmed`, with `unknown`.
pub(super) fn was_unknown_to_confirm(draft: &Draft<'_>) -> bool {
    let order = &draft.checkout.order;
    order.statements.iter().any(|said| {
        said.via == Via::Confirm
            && said.status == OrderStatus::Unknown
            && said.asked_at > order.last_confirmed_at
    })
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
