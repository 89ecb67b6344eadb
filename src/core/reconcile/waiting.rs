//! Waiting, always with a next look: nothing captured, only authorised, or no order yet.
//!
//! Decides when waiting ends, never that money leaves; that is `give_back`.

use super::confirm;
use super::draft::{Draft, Stand};
use super::give_back::{self, GiveBack};
use super::position::Position;
use super::{
    ASK_WHILE_HELD_EVERY, HOLD_BEFORE_LAPSE, ORDER_FOLLOWS_WITHIN, REVIVES_WITHIN,
    WATCH_PAYMENTS_FOR, forbidden, named, ruling,
};
use crate::core::checkout::Checkout;
use crate::core::fact::Outcome;
use crate::core::ids::PaymentRef;
use crate::core::money::{Money, MoneyError};
use crate::core::order::{OrderStatus, Via};
use crate::core::payment::{Ownership, Payment, PaymentStatus};
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::policy::Policy;
use crate::core::retry;
use crate::core::time::Time;

/// Questions asked before the second `unknown` may count. Fewer than the statements that are
/// kept, or the first `unknown` would be forgotten and the wait begin anew.
const LOOKS_BEFORE_READY_MAX: usize = 12;

/// Payments that are only named, or known but never described, must be read.
pub(super) fn read_what_is_unknown(draft: &mut Draft<'_>) {
    let checkout = draft.checkout;
    let claimed: Vec<(PaymentRef, Time)> = checkout
        .order
        .claims
        .iter()
        .filter(|claim| !checkout.payments.contains_key(claim))
        .filter(|claim| !checkout.refused_claims.contains(claim))
        .chain(unseen(checkout, draft.policy))
        .map(|claim| (claim.clone(), first_word_at(draft)))
        .collect();
    let nameless: Vec<(PaymentRef, Time)> = draft
        .our_payments()
        .filter(|(_, state)| state.status() == PaymentStatus::Unknown)
        .filter(|(payment, state)| !named::is_only_hearsay(draft, payment, state))
        .map(|(payment, state)| (payment.clone(), state.first_seen_at.unwrap_or_default()))
        .collect();
    for (payment, since) in claimed {
        if draft.now < since.plus(WATCH_PAYMENTS_FOR) && draft.can_read(&payment) {
            draft.watch(&payment, since);
        }
    }
    for (payment, since) in nameless {
        if draft.now < since.plus(WATCH_PAYMENTS_FOR) && draft.can_read(&payment) {
            match draft.was_read(&payment) {
                true => draft.watch(&payment, since),
                false => draft.fetch(&payment, since),
            }
        }
    }
}

/// Payments on accounts served here by which the shop says the order was paid, and which nobody has
/// shown yet.
fn unseen<'a>(checkout: &'a Checkout, policy: &'a Policy) -> impl Iterator<Item = &'a PaymentRef> {
    let latest = checkout.order.latest();
    let latest = latest.filter(|said| said.status == OrderStatus::Confirmed);
    let named = latest.into_iter().flat_map(|said| &said.paid_by);
    named.filter(|payment| {
        !checkout.payments.contains_key(payment) && !checkout.is_paid_elsewhere(payment, policy)
    })
}

/// The order is confirmed by a payment that nobody has shown yet, and by none whose money is here:
/// that payment is read, and for as long nothing counts as a duplicate.
pub(super) fn named_unseen(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Option<Stand> {
    let latest = draft.checkout.order.latest()?;
    let has_word = latest.paid_by.iter().any(|payment| {
        let is_here = money.iter().any(|one| one.payment == *payment);
        is_here || draft.checkout.is_paid_elsewhere(payment, draft.policy)
    });
    let is_here = money.iter().any(|one| one.net.is_positive());
    if has_word || !is_here || unseen(draft.checkout, draft.policy).next().is_none() {
        return None;
    }
    let since = confirm::confirmed_so_since(draft).unwrap_or(latest.as_of);
    let arrived = money.iter().map(Position::money_at).fold(since, Time::max);
    let deadline = arrived.plus(draft.policy.order_grace);
    if draft.now >= deadline {
        return Some(Stand::held(Reason::PaidByUnseen));
    }
    draft.wake(deadline);
    Some(Stand::new(Verdict::Confirming, Reason::AwaitingRead))
}

/// Payments of which the PSP says two things are read: the answer decides. While it goes on
/// denying the money, it is asked on, more and more seldom.
pub(super) fn read_what_is_doubted(draft: &mut Draft<'_>) {
    let doubted: Vec<(PaymentRef, Option<Time>)> = draft
        .our_payments()
        .filter(|(payment, state)| {
            let is_open = state.doubted_since().is_some() || state.is_money_denied();
            is_open && draft.can_read(payment)
        })
        .map(|(payment, state)| (payment.clone(), state.doubted_since()))
        .collect();
    for (payment, since) in doubted {
        match since {
            Some(since) => draft.fetch(&payment, since),
            None => draft.watch(&payment, Time::default()),
        }
    }
}

/// True while a payment must be read before anybody is told that it is paid.
pub(super) fn awaits_read(draft: &Draft<'_>, one: &Position<'_>) -> bool {
    one.state.doubted_since().is_some() && draft.can_read(&one.payment)
}

/// An operator said `retry`: everyone who has not answered since is asked at once.
pub(super) fn ask_again_if_told(draft: &mut Draft<'_>) {
    let Some(told) = ruling::retry_at(draft.checkout) else {
        return;
    };
    if draft.checkout.order.last_answer_at < Some(told) {
        draft.look_up(told);
    }
    let unread: Vec<PaymentRef> = draft
        .our_payments()
        .filter(|(payment, state)| state.read_at < Some(told) && draft.can_read(payment))
        .map(|(payment, _)| payment.clone())
        .collect();
    for payment in unread {
        draft.fetch(&payment, told);
    }
}

/// When the shop first spoke of the order.
fn first_word_at(draft: &Draft<'_>) -> Time {
    draft.checkout.order.first_heard_at.unwrap_or_default()
}

/// No money anywhere: open while some may come, closed when none will.
pub(super) fn nothing_captured(draft: &mut Draft<'_>) -> Stand {
    let checkout = draft.checkout;
    let mut pending = false;
    let mut unread = false;
    let mut failed = false;
    let payments: Vec<_> = draft.our_payments().collect();
    for (payment, state) in payments {
        let seen = state.first_seen_at.unwrap_or_default();
        let is_watched = draft.now < seen.plus(WATCH_PAYMENTS_FOR);
        match state.status() {
            PaymentStatus::Pending if is_watched => {
                pending = true;
                if draft.can_read(payment) {
                    draft.watch(payment, seen);
                }
                draft.wake(seen.plus(WATCH_PAYMENTS_FOR));
            }
            PaymentStatus::Unknown if is_watched => {
                unread = true;
                draft.wake(seen.plus(WATCH_PAYMENTS_FOR));
            }
            PaymentStatus::Pending
            | PaymentStatus::Unknown
            | PaymentStatus::Failed
            | PaymentStatus::Captured
            | PaymentStatus::Authorised => failed = true,
        }
    }
    if pending {
        return Stand::new(Verdict::Open, Reason::PaymentPending);
    }
    if unread {
        return Stand::new(Verdict::Open, Reason::AwaitingRead);
    }
    if checkout.order.is_known() {
        return order_without_money(draft);
    }
    let voided = was_voided(draft);
    let asked_for_nothing = |state: &Payment| {
        let requested = state.requested.as_ref().map(|said| said.value);
        requested.is_some_and(Money::is_zero)
    };
    let mut ours = draft.our_payments().peekable();
    let is_check = ours.peek().is_some() && ours.all(|(_, state)| asked_for_nothing(state));
    let reason = match (failed, voided) {
        _ if is_check => Reason::CardCheck,
        (true, true) => Reason::Voided,
        (true, false) => Reason::PaymentFailed,
        (false, _) => Reason::NothingPaid,
    };
    Stand::new(Verdict::Closed, reason)
}

/// We released an authorisation, or may have.
fn was_voided(draft: &Draft<'_>) -> bool {
    let mut asks = draft.checkout.asks.values();
    asks.any(|ask| {
        let may_have = ask.is_done() || ask.is_in_flight() || ask.unclear_at.is_some();
        ask.kind == ActionKind::Void && may_have
    })
}

fn order_without_money(draft: &mut Draft<'_>) -> Stand {
    let order = &draft.checkout.order;
    match order.status() {
        Some(OrderStatus::Confirmed) if was_voided(draft) => {
            return Stand::held(Reason::ConfirmedAfterRefund);
        }
        Some(OrderStatus::Confirmed | OrderStatus::Cancelled | OrderStatus::Unknown) => {
            return Stand::new(Verdict::Closed, Reason::NothingPaid);
        }
        Some(OrderStatus::Pending) | None => {}
    }
    if !draft.checkout.refused_claims.is_empty() {
        // The first claim that was recorded counts; people find out whose payment it is.
        return Stand::held(Reason::PaymentClaimedTwice);
    }
    let expires = order.expires_at.as_ref().map(|stamped| stamped.value);
    let last_word = order
        .latest()
        .map(|said| said.as_of)
        .unwrap_or(first_word_at(draft));
    let ends = expires
        .map_or(last_word, |at| at.max(last_word))
        .plus(WATCH_PAYMENTS_FOR);
    if draft.now >= ends {
        return Stand::new(Verdict::Closed, Reason::NothingPaid);
    }
    draft.wake(ends);
    Stand::new(Verdict::Open, Reason::AwaitingPayment)
}

/// Money is held on the payer's means and not taken: the shop captures it, or it is released.
pub(super) fn authorised_only(draft: &mut Draft<'_>) -> Result<Stand, MoneyError> {
    if let Some(stand) = owner_ambiguous(draft) {
        return Ok(stand);
    }
    let order = &draft.checkout.order;
    let payments: Vec<_> = draft
        .our_payments()
        .filter(|(_, state)| state.status() == PaymentStatus::Authorised)
        .collect();
    let arrived = payments
        .iter()
        .filter_map(|(_, state)| state.first_money_at.or(state.first_seen_at))
        .max()
        .unwrap_or_default();
    match order.status() {
        Some(OrderStatus::Confirmed | OrderStatus::Pending) => {}
        None if order.is_known() => {}
        None => {
            ask_for_order(draft, arrived);
            return Ok(Stand::new(Verdict::Matching, Reason::AwaitingOrder));
        }
        Some(OrderStatus::Unknown) => {
            return when_unknown(draft, arrived, |draft, since| {
                give_back::void(draft, Reason::OrderUnknown, since)
            });
        }
        Some(OrderStatus::Cancelled) => {
            if order
                .latest()
                .is_some_and(|said| said.is_fulfilled == Some(true))
            {
                return Ok(Stand::held(Reason::CancelledButFulfilled));
            }
            return Ok(give_back::void(draft, Reason::OrderCancelled, arrived));
        }
    }
    let mut lapses_soon = false;
    for (payment, state) in payments {
        if draft.can_read(payment) {
            draft.watch(payment, state.first_money_at.unwrap_or(arrived));
        }
        if let Some(until) = state.authorised_until {
            let hold_at = until.minus(HOLD_BEFORE_LAPSE);
            lapses_soon = lapses_soon || draft.now >= hold_at;
            draft.wake(hold_at.max(draft.now.plus(ASK_WHILE_HELD_EVERY)));
        }
    }
    if lapses_soon {
        return Ok(Stand::held(Reason::AuthorisationExpiring));
    }
    Ok(Stand::new(Verdict::Open, Reason::AwaitingCapture))
}

/// Money is here and the shop has said nothing of the order yet: ask.
pub(super) fn for_first_word(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Stand {
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    ask_for_order(draft, arrived);
    if silent_too_long(draft, arrived) {
        return Stand::held(Reason::OutagePatienceExhausted);
    }
    let reason = if draft.checkout.order.is_shop_silent() {
        Reason::ShopUnreachable
    } else {
        Reason::AwaitingOrder
    };
    Stand::new(Verdict::Matching, reason)
}

fn ask_for_order(draft: &mut Draft<'_>, arrived: Time) {
    let earliest = held_pace(draft, arrived);
    draft.look_up(earliest);
}

/// Questions go on while held, but slower.
fn held_pace(draft: &Draft<'_>, arrived: Time) -> Time {
    match draft.checkout.order.last_failure_at {
        Some(failed) if silent_too_long(draft, arrived) => failed.plus(ASK_WHILE_HELD_EVERY),
        Some(_) | None => arrived,
    }
}

/// True when the shop could not be reached for `outage_patience`, counted from its last answer,
/// the money's arrival or an operator's last word.
pub(super) fn silent_too_long(draft: &Draft<'_>, arrived: Time) -> bool {
    let order = &draft.checkout.order;
    let from = [
        order.last_answer_at,
        ruling::patience_from(draft.checkout),
        Some(arrived),
    ];
    let from = from.into_iter().flatten().max().unwrap_or(arrived);
    order.is_shop_silent() && draft.now >= from.plus(draft.policy.outage_patience)
}

/// The shop says it knows no such order: two answers, `second_look` apart, after the grace.
pub(super) fn order_unknown(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
) -> Result<Stand, MoneyError> {
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    if kind_is_unknown(draft) {
        return Ok(held_asking(draft, arrived, Reason::UnknownKind));
    }
    when_unknown(draft, arrived, |draft, since| {
        let give = GiveBack::everything(money, Reason::OrderUnknown, since);
        give.and_then(|give| give_back::run(draft, money, give))
            .unwrap_or_else(|_| Stand::held(Reason::AmountsInconsistent))
    })
}

/// Held, while the shop is asked on, slowly: it may still come to know the order, or confirm it.
fn held_asking(draft: &mut Draft<'_>, arrived: Time, reason: Reason) -> Stand {
    let last = draft.checkout.order.last_answer_at;
    let next = last.map_or(arrived, |last| last.plus(ASK_WHILE_HELD_EVERY));
    draft.look_up(next);
    Stand::held(reason)
}

/// Money that may be another shop's: an order of the same number proves nothing here, and so does
/// a missing one.
pub(super) fn owner_ambiguous(draft: &mut Draft<'_>) -> Option<Stand> {
    let is_shared = has_ownership(draft, Ownership::Shared);
    if !is_shared || ruling::forces_confirm(draft.checkout) {
        return None;
    }
    let arrived = draft
        .our_payments()
        .filter_map(|(_, state)| state.first_money_at.or(state.first_seen_at))
        .max()
        .unwrap_or_default();
    Some(held_asking(draft, arrived, Reason::OwnerAmbiguous))
}

/// Money came after we had stopped expecting it: nobody planned for it any more, so a person looks
/// first, and what the policy says follows an operator's word.
pub(super) fn succeeded_late(draft: &Draft<'_>, money: &[Position<'_>]) -> bool {
    let ruled_at = draft.checkout.ruling().map(|ruling| ruling.at);
    money.iter().any(|one| {
        let unwatched = one
            .state
            .first_seen_at
            .map(|at| at.plus(WATCH_PAYMENTS_FOR));
        let buried = one.state.died_at.map(|at| at.plus(REVIVES_WITHIN));
        let mut given_up = [unwatched, buried].into_iter().flatten();
        let is_late = given_up.any(|at| one.money_at() >= at);
        is_late && one.net.is_positive() && ruled_at < Some(one.money_at())
    })
}

/// The shop's order is too young for this money: its number was used before, and the shop does not
/// name the payment for it.
pub(super) fn is_older_than_order<'a>(
    draft: &Draft<'_>,
    mut money: impl Iterator<Item = &'a Position<'a>>,
) -> bool {
    let order = &draft.checkout.order;
    let Some(made) = order.created_at.as_ref().map(|stamped| stamped.value) else {
        return false;
    };
    money.any(|one| {
        let is_older = one
            .state
            .created_at
            .is_some_and(|paid| paid.plus(ORDER_FOLLOWS_WITHIN) < made);
        is_older && !order.claims.contains(&one.payment)
    })
}

/// A payment of ours is no checkout payment.
pub(super) fn kind_is_unknown(draft: &Draft<'_>) -> bool {
    has_ownership(draft, Ownership::UnknownKind)
}

fn has_ownership(draft: &Draft<'_>, ownership: Ownership) -> bool {
    draft.our_payments().any(|(_, state)| {
        let known = state.ownership.as_ref();
        known.is_some_and(|stamped| stamped.value == ownership)
    })
}

/// Runs `then` once `unknown` was heard twice, `second_look` apart, after the grace ended; all
/// clocks stand still while the shop does not answer.
fn when_unknown<'a>(
    draft: &mut Draft<'a>,
    arrived: Time,
    then: impl FnOnce(&mut Draft<'a>, Time) -> Stand,
) -> Result<Stand, MoneyError> {
    let order = &draft.checkout.order;
    let Some((first, last)) = order.unknown_run() else {
        ask_for_order(draft, arrived);
        return Ok(Stand::new(Verdict::Matching, Reason::AwaitingOrder));
    };
    let clock_from = Some(arrived).max(order.last_failure_at).unwrap_or(arrived);
    let grace_ends = clock_from.plus(draft.policy.order_grace);
    let second_at = first.max(arrived).plus(draft.policy.second_look);
    let ready_at = grace_ends.max(second_at);
    if last >= ready_at && !order.is_shop_silent() {
        return Ok(then(draft, ready_at));
    }
    let lookups = order.statements.iter();
    let lookups = lookups.filter(|said| said.via == Via::LookUp).count();
    let due = if lookups < LOOKS_BEFORE_READY_MAX {
        let lookups = u32::try_from(lookups).unwrap_or(u32::MAX);
        let paced = last.plus(retry::recheck(lookups, "lookup"));
        ready_at.min(paced)
    } else {
        ready_at
    };
    if silent_too_long(draft, arrived) {
        let failed = order.last_failure_at.unwrap_or(arrived);
        draft.look_up(failed.plus(ASK_WHILE_HELD_EVERY));
        return Ok(Stand::held(Reason::OutagePatienceExhausted));
    }
    draft.look_up(due);
    if let Some(reason) = kept_back(draft) {
        return Ok(give_back::held_back(draft, reason));
    }
    let reason = if order.is_shop_silent() {
        Reason::ShopUnreachable
    } else if last < grace_ends {
        Reason::AwaitingOrder
    } else {
        Reason::AwaitingSecondLook
    };
    Ok(Stand::new(Verdict::Matching, reason))
}

/// Why our own guard kept the latest question back: the shop is not silent then, it was not asked.
fn kept_back(draft: &Draft<'_>) -> Option<Reason> {
    let failed = draft.checkout.order.last_failure_at;
    let mut ends = draft.checkout.asks.values().filter_map(|ask| {
        let ended = ask.ended.as_ref()?;
        (Some(ended.at) == failed).then_some(&ended.outcome)
    });
    let ours = |outcome: &Outcome| matches!(outcome, Outcome::NotSent { code } if code == "braked");
    ends.any(ours).then(|| forbidden::braked(draft)).flatten()
}
