//! Which stage a checkout is in: the one place where the branches meet.
//!
//! Goes from what overrides everything (parked, not ours, an operator's word) to the ordinary
//! way (match, confirm, settle), and to giving back only where the shop's word leads there.

use super::confirm;
use super::draft::{Draft, Stand};
use super::give_back::{self, GiveBack};
use super::position::Position;
use super::{cancel, named, notices, refund, ruling, waiting};
use crate::core::fact::{Ruling, RulingKind};
use crate::core::ids::PaymentRef;
use crate::core::matching::{Match, match_money};
use crate::core::money::{Money, MoneyError};
use crate::core::order::OrderStatus;
use crate::core::payment::{Ownership, PaymentStatus};
use crate::core::plan::{PaidPart, Reason, Verdict};
use crate::core::policy::{HoldOrRefund, LatePayment, Overpayment};

/// Decides the stage and wants what it needs.
pub(super) fn decide(draft: &mut Draft<'_>) -> Stand {
    match decide_checked(draft) {
        Ok(stand) => stand,
        Err(MoneyError::CurrencyMismatch) => Stand::held(Reason::CurrencyMismatch),
        // Amounts below zero, or past the range.
        Err(MoneyError::Overflow | MoneyError::UnknownCurrency | MoneyError::NotDecimal) => {
            Stand::held(Reason::AmountsInconsistent)
        }
    }
}

fn decide_checked(draft: &mut Draft<'_>) -> Result<Stand, MoneyError> {
    let checkout = draft.checkout;
    let ruling = checkout.ruling();
    if let Some(parked) = &checkout.parked
        && ruling.is_none_or(|ruling| ruling.at <= parked.as_of)
    {
        return Ok(Stand::held(Reason::InvariantBreach));
    }
    if let Some(stand) = not_ours(draft) {
        return Ok(stand);
    }
    if let Some(stand) = named::unknown_at_psp(draft) {
        return Ok(stand);
    }
    waiting::read_what_is_unknown(draft);
    named::read_what_was_named(draft);
    waiting::read_what_is_doubted(draft);
    waiting::ask_again_if_told(draft);
    let mut money = Vec::new();
    let mut holds_authorisation = false;
    for (payment, state) in draft.our_payments() {
        match state.status() {
            PaymentStatus::Captured => money.push(Position::new(checkout, payment, state)?),
            PaymentStatus::Authorised => holds_authorisation = true,
            PaymentStatus::Unknown | PaymentStatus::Pending | PaymentStatus::Failed => {}
        }
    }
    if let Some(stand) = overruled(ruling, &money) {
        return Ok(stand);
    }
    match (money.is_empty(), holds_authorisation) {
        (true, false) => Ok(waiting::nothing_captured(draft)),
        (true, true) => waiting::authorised_only(draft),
        (false, _) => with_money(draft, &money),
    }
}

/// Every payment is somebody else's, or moved away, and there is no order here.
fn not_ours(draft: &Draft<'_>) -> Option<Stand> {
    let checkout = draft.checkout;
    if draft.our_payments().next().is_some() || checkout.order.is_known() {
        return None;
    }
    let ownership = checkout
        .own_payments()
        .filter_map(|(_, state)| state.ownership.as_ref())
        .map(|stamped| stamped.value)
        .max();
    let reason = match ownership {
        Some(Ownership::Unclaimed) => Reason::NotClaimed,
        Some(Ownership::BeforeSince) => Reason::BeforeSince,
        Some(Ownership::WrongMode) => Reason::WrongMode,
        Some(Ownership::Ours | Ownership::Shared | Ownership::UnknownKind) => return None,
        None if checkout.left.is_empty() => return None,
        None => return Some(Stand::new(Verdict::Closed, Reason::Moved)),
    };
    Some(Stand::new(Verdict::Foreign, reason))
}

/// An operator's word that stands above everything that is known.
fn overruled(ruling: Option<&Ruling>, money: &[Position<'_>]) -> Option<Stand> {
    let ruling = ruling?;
    match ruling.ruling {
        RulingKind::Hold => Some(Stand::held(Reason::OperatorHold)),
        RulingKind::Settle => {
            let has_newer = money.iter().any(|one| one.money_at() > ruling.at);
            (!has_newer).then(|| Stand::new(Verdict::Settled, Reason::OperatorSettled))
        }
        RulingKind::Refund | RulingKind::Confirm | RulingKind::Retry | RulingKind::Resume => None,
    }
}

fn is_confirmed(draft: &Draft<'_>) -> bool {
    draft.checkout.order.status() == Some(OrderStatus::Confirmed)
}

/// The ordinary way of captured money, and an operator's word that it goes back.
fn with_money(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    let checkout = draft.checkout;
    for one in money {
        if one.may_be_paid_back_twice()? {
            refund::follow(draft, money);
            return Ok(Stand::held(Reason::Disputed));
        }
    }
    if let Some(stand) = cancel::take_back(draft, money)? {
        return Ok(stand);
    }
    if money.iter().any(|one| one.state.is_money_denied()) {
        refund::follow(draft, money);
        confirm::read_back(draft);
        return Ok(Stand::held(Reason::MoneyDenied));
    }
    if is_confirmed(draft) && checkout.reference.is_some() {
        let matched = match_money(checkout, money, draft.policy)?;
        return confirmed(draft, money, matched);
    }
    if let Some(stand) = give_back::gone_or_going(draft, money)? {
        return Ok(stand);
    }
    let is_alive = checkout.order.status().is_some_and(OrderStatus::is_alive);
    if !is_alive && let Some(reason) = refund::trouble(draft, money.iter()) {
        return Ok(Stand::held(reason));
    }
    if waiting::succeeded_late(draft, money) {
        return Ok(Stand::held(Reason::LateSuccess));
    }
    if let Some(ruling) = checkout.ruling()
        && ruling.ruling == RulingKind::Refund
    {
        let give = GiveBack::everything(money, Reason::OperatorRefund, ruling.at)?;
        return give_back::run(draft, money, give);
    }
    if checkout.reference.is_none() {
        return without_reference(draft, money);
    }
    if let Some(stand) = waiting::owner_ambiguous(draft) {
        return Ok(stand);
    }
    by_the_shops_word(draft, money)
}

/// What the shop last said leads to a confirm, to the way back, or to another question.
fn by_the_shops_word(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    let checkout = draft.checkout;
    let latest = checkout.order.latest();
    let is_forced = ruling::forces_confirm(checkout);
    let was_confirmed = checkout.order.last_confirmed_at.is_some();
    match latest.map(|said| said.status) {
        Some(OrderStatus::Cancelled) => {
            if latest.is_some_and(|said| said.is_fulfilled == Some(true)) {
                return Ok(Stand::held(Reason::CancelledButFulfilled));
            }
            if was_confirmed && !is_forced {
                return Ok(confirm::withdrawn(draft));
            }
            let offer = draft.policy.late_payment == LatePayment::Offer
                && !confirm::was_finally_declined(draft, money);
            if offer || is_forced {
                return confirm_matched(draft, money);
            }
            let since = give_back::since(draft);
            let give = GiveBack::everything(money, Reason::OrderCancelled, since)?;
            give_back::run(draft, money, give)
        }
        Some(OrderStatus::Unknown) if !is_forced && was_confirmed => {
            if confirm::was_unknown_to_confirm(draft) {
                return Ok(confirm::withdrawn(draft));
            }
            confirm_matched(draft, money)
        }
        Some(OrderStatus::Unknown) if !is_forced => waiting::order_unknown(draft, money),
        Some(OrderStatus::Pending | OrderStatus::Unknown | OrderStatus::Confirmed) => {
            confirm_matched(draft, money)
        }
        None if checkout.order.is_known() => confirm_matched(draft, money),
        None => Ok(waiting::for_first_word(draft, money)),
    }
}

/// Money that names no order.
fn without_reference(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    if waiting::kind_is_unknown(draft) {
        return Ok(Stand::held(Reason::UnknownKind));
    }
    let claims = &draft.checkout.refused_claims;
    if money.iter().any(|one| claims.contains(&one.payment)) {
        return Ok(Stand::held(Reason::PaymentClaimedTwice));
    }
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    let grace_ends = arrived.plus(draft.policy.order_grace);
    if draft.now < grace_ends {
        draft.wake(grace_ends);
        return Ok(Stand::new(Verdict::Matching, Reason::AwaitingOrder));
    }
    match draft.policy.unreferenced {
        HoldOrRefund::Hold => Ok(Stand::held(Reason::UnreferencedHeld)),
        HoldOrRefund::Refund => {
            let give = GiveBack::everything(money, Reason::Unreferenced, grace_ends)?;
            give_back::run(draft, money, give)
        }
    }
}

/// The order is alive: see whether the money fits, then ask the shop to confirm.
fn confirm_matched(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    let matched = match_money(draft.checkout, money, draft.policy)?;
    if ruling::forces_confirm(draft.checkout) {
        return confirm::run(draft, money, &matched);
    }
    let is_kept = |one: &Position<'_>| matched.kept.iter().any(|part| part.payment == one.payment);
    let mut kept = money.iter().filter(|one| is_kept(one));
    if kept.any(|one| one.state.has_open_dispute()) {
        confirm::read_back(draft);
        return Ok(Stand::held(Reason::Disputed));
    }
    if let Some(reason) = matched.anomaly {
        return Ok(Stand::held(reason));
    }
    let mut kept = money.iter().filter(|one| is_kept(one));
    if kept.any(|one| waiting::awaits_read(draft, one)) {
        confirm::read_back(draft);
        return Ok(Stand::new(Verdict::Confirming, Reason::AwaitingRead));
    }
    if matched.kept.is_empty() {
        return Ok(Stand::held(Reason::PaymentClaimedTwice));
    }
    if waiting::is_older_than_order(draft, money.iter().filter(|one| is_kept(one))) {
        confirm::read_back(draft);
        return Ok(Stand::held(Reason::PaymentOlderThanOrder));
    }
    let touched = money
        .iter()
        .map(Position::was_refunded_elsewhere)
        .collect::<Result<Vec<_>, _>>()?;
    if matched.is_short {
        return short(draft, money, touched.contains(&true));
    }
    confirm::run(draft, money, &matched)
}

/// Less money than the order's amount: wait for the rest, then as the policy says.
fn short(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    was_refunded_elsewhere: bool,
) -> Result<Stand, MoneyError> {
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    let base = Some(arrived)
        .max(draft.checkout.order.last_failure_at)
        .unwrap_or(arrived);
    let deadline = base.plus(draft.policy.order_grace);
    if draft.now < deadline && !was_refunded_elsewhere {
        draft.wake(deadline);
        return Ok(Stand::new(Verdict::Confirming, Reason::AwaitingRest));
    }
    match draft.policy.underpayment {
        HoldOrRefund::Hold if was_refunded_elsewhere => Ok(Stand::held(Reason::RefundedElsewhere)),
        HoldOrRefund::Hold => Ok(Stand::held(Reason::UnderpaidHeld)),
        HoldOrRefund::Refund => {
            let give = GiveBack::everything(money, Reason::Underpaid, deadline)?;
            give_back::run(draft, money, give)
        }
    }
}

/// The shop confirmed: what pays the order is settled, only the excess goes back.
fn confirmed(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: Match,
) -> Result<Stand, MoneyError> {
    if let Some(stand) = waiting::named_unseen(draft, money) {
        refund::follow(draft, money);
        return Ok(stand);
    }
    if confirm::must_still_name(draft, money) {
        return confirm::run(draft, money, &matched);
    }
    let following = refund::follow(draft, money);
    let mut stand = match following {
        _ if give_back::gave_back_what_pays(draft, money, &matched) => {
            Stand::held(Reason::ConfirmedAfterRefund)
        }
        Some(following) if following.blocks => following.stand,
        following => {
            let going = match excess(draft, money, &matched)? {
                Some(stand) => Some(stand),
                None => give_back::void_left_over(draft, &matched),
            };
            match going.or(following.map(|following| following.stand)) {
                Some(stand) => stand,
                None => settled_stand(draft, money, &matched)?,
            }
        }
    };
    // What is still to be captured settles nothing yet.
    let here = |part: &PaidPart| {
        let one = money.iter().find(|one| one.payment == part.payment);
        one.map_or(part.amount, |one| one.net.min(part.amount))
    };
    stand.settled = matched.kept.iter().map(here).collect();
    Ok(stand)
}

/// The way back of what is too much, if anything is.
fn excess(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> Result<Option<Stand>, MoneyError> {
    let is_disputed = |payment: &PaymentRef| {
        money
            .iter()
            .any(|one| one.payment == *payment && one.is_disputed())
    };
    // A chargeback already takes a disputed duplicate back; refunding it would pay twice.
    let (disputed, due): (Vec<_>, Vec<_>) = matched
        .excess
        .iter()
        .cloned()
        .partition(|one| is_disputed(&one.payment));
    let keeps = match draft.policy.overpayment {
        Overpayment::Hold => Some(Reason::OverpaidHeld),
        Overpayment::RefundExcess => matched.anomaly,
    };
    let (kept_back, due): (Vec<_>, Vec<_>) = due
        .into_iter()
        .partition(|one| one.why == Reason::Overpaid && keeps.is_some());
    if due.is_empty() {
        let kept_back = keeps.filter(|_| !kept_back.is_empty());
        let waits = kept_back.or((!disputed.is_empty()).then_some(Reason::Disputed));
        return Ok(waits.map(Stand::held));
    }
    let since = confirm::confirmed_so_since(draft).unwrap_or(draft.now);
    let share_named_at = draft.checkout.order.share_named_at();
    let since = share_named_at.max(Some(since)).unwrap_or(since);
    let since = money
        .iter()
        .map(Position::money_at)
        .fold(since, |latest, at| latest.max(at));
    let give = GiveBack::excess(due, since)?;
    give_back::run(draft, money, give).map(Some)
}

fn settled_stand(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> Result<Stand, MoneyError> {
    if matched.kept.is_empty() && is_paid_by_strangers(draft) {
        return Ok(Stand::new(Verdict::Returned, Reason::Duplicate));
    }
    let mut touched = Vec::new();
    for one in money {
        if one.was_refunded_elsewhere()? {
            touched.push(one);
        }
    }
    let reversed = || money.iter().filter(|one| one.charged_back.is_positive());
    let is_reversed = reversed().next().is_some();
    let mut shop_was_told = true;
    for one in touched.iter() {
        shop_was_told = notices::refunded_elsewhere(draft, one) && shop_was_told;
    }
    for one in reversed() {
        shop_was_told = notices::charged_back(draft, one) && shop_was_told;
    }
    let reason = if is_reversed {
        Reason::ChargedBackAfterConfirm
    } else {
        Reason::RefundedAfterConfirm
    };
    if !shop_was_told {
        return Ok(Stand::held(reason));
    }
    let reason = if is_reversed {
        reason
    } else if money.iter().any(Position::is_disputed) {
        Reason::ConfirmedDisputed
    } else if touched.is_empty() && has_balance_due(draft, money)? {
        Reason::ConfirmedBalanceDue
    } else if touched.is_empty() {
        Reason::ConfirmedByShop
    } else {
        Reason::RefundedAfterConfirm
    };
    confirm::read_back_once(draft);
    Ok(Stand::new(Verdict::Settled, reason))
}

/// The shop raised the order after it was paid, and the money that is here does not cover it.
fn has_balance_due(draft: &Draft<'_>, money: &[Position<'_>]) -> Result<bool, MoneyError> {
    let order = &draft.checkout.order;
    let first_at = money.iter().map(Position::agreed_at).min();
    let agreed = order.amount_at(first_at.unwrap_or_default());
    let (Some(agreed), Some(now)) = (agreed, order.amount()) else {
        return Ok(false);
    };
    if now.currency() != agreed.currency() || now <= agreed {
        return Ok(false);
    }
    let mut paid = order.covered().unwrap_or(Money::zero(now.currency()));
    for one in money {
        paid = paid.plus(one.worth()?)?;
    }
    Ok(paid < now)
}

/// The shop says that the order was paid, and by none of the payments known here.
fn is_paid_by_strangers(draft: &Draft<'_>) -> bool {
    let payments = &draft.checkout.payments;
    draft.checkout.order.latest().is_some_and(|said| {
        let mut named = said.paid_by.iter();
        !said.paid_by.is_empty() && !named.any(|payment| payments.contains_key(payment))
    })
}
