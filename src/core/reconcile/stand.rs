//! Which stage a checkout is in: the one place where the branches meet.
//!
//! Goes from what overrides everything (parked, not ours, an operator's word) to the ordinary
//! way (match, confirm, settle), and to giving back only where the shop's word leads there.

use super::confirm;
use super::draft::{Draft, Stand};
use super::give_back::{self, GiveBack};
use super::position::Position;
use super::ruling;
use super::waiting;
use crate::core::fact::{Ruling, RulingKind};
use crate::core::ids::PaymentRef;
use crate::core::matching::{Match, match_money};
use crate::core::money::{Money, MoneyError};
use crate::core::order::OrderStatus;
use crate::core::payment::{Ownership, PaymentStatus};
use crate::core::plan::{Reason, Verdict};
use crate::core::policy::{HoldOrRefund, LatePayment, Overpayment};

/// Decides the stage and wants what it needs.
pub(super) fn decide(draft: &mut Draft<'_>) -> Stand {
    match decide_checked(draft) {
        Ok(stand) => stand,
        Err(MoneyError::CurrencyMismatch) => Stand::held(Reason::CurrencyMismatch),
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
    waiting::read_what_is_unknown(draft);
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
    if let Some(stand) = overruled(draft, ruling, &money)? {
        return Ok(stand);
    }
    if money.is_empty() && !holds_authorisation {
        return Ok(waiting::nothing_captured(draft));
    }
    if let Some(stand) = refund_trouble(ruling, &money) {
        return Ok(stand);
    }
    if money.is_empty() {
        return waiting::authorised_only(draft);
    }
    with_money(draft, &money)
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

/// An operator's word that stands above the ordinary way.
fn overruled(
    draft: &mut Draft<'_>,
    ruling: Option<&Ruling>,
    money: &[Position<'_>],
) -> Result<Option<Stand>, MoneyError> {
    let Some(ruling) = ruling else {
        return Ok(None);
    };
    Ok(match ruling.ruling {
        RulingKind::Hold => Some(Stand::held(Reason::OperatorHold)),
        RulingKind::Settle => {
            let has_newer = money.iter().any(|one| one.money_at() > ruling.at);
            (!has_newer).then(|| Stand::new(Verdict::Settled, Reason::OperatorSettled))
        }
        RulingKind::Refund if !money.is_empty() && !is_confirmed(draft) => {
            let give = GiveBack::everything(money, Reason::OperatorRefund, ruling.at)?;
            Some(give_back::run(draft, money, give)?)
        }
        RulingKind::Refund | RulingKind::Confirm | RulingKind::Retry | RulingKind::Resume => None,
    })
}

fn is_confirmed(draft: &Draft<'_>) -> bool {
    draft.checkout.order.status() == Some(OrderStatus::Confirmed)
}

/// A refund that failed or was declined waits for an operator's later word.
fn refund_trouble(ruling: Option<&Ruling>, money: &[Position<'_>]) -> Option<Stand> {
    use super::position::RefundStand;
    let ruled_at = ruling.map(|ruling| ruling.at);
    let stands = money
        .iter()
        .flat_map(|one| one.refunds.iter().map(move |entry| (one, entry.2)));
    for (one, stand) in stands {
        match stand {
            RefundStand::Failed { at } if ruled_at <= Some(at) => {
                return Some(Stand::held(Reason::RefundFailed));
            }
            RefundStand::Refused { at }
                if ruled_at <= Some(at)
                    && one.net.is_positive()
                    && one.state.refunds_listed_at > Some(at) =>
            {
                let reason = if one.is_disputed() {
                    Reason::Disputed
                } else {
                    Reason::RefundRefused
                };
                return Some(Stand::held(reason));
            }
            RefundStand::Failed { .. }
            | RefundStand::Refused { .. }
            | RefundStand::Free
            | RefundStand::InFlight
            | RefundStand::Unclear { .. }
            | RefundStand::Pending
            | RefundStand::Succeeded => {}
        }
    }
    None
}

/// The ordinary way of captured money.
fn with_money(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    let checkout = draft.checkout;
    let policy = draft.policy;
    if !is_confirmed(draft)
        && let Some(stand) = give_back::gone_or_going(draft, money)?
    {
        return Ok(stand);
    }
    if checkout.reference.is_none() {
        return without_reference(draft, money);
    }
    let matched = match_money(&checkout.order, money, policy)?;
    let latest = checkout.order.latest();
    match latest.map(|said| said.status) {
        Some(OrderStatus::Confirmed) => confirmed(draft, money, matched),
        Some(OrderStatus::Cancelled) => {
            if latest.is_some_and(|said| said.is_fulfilled == Some(true)) {
                return Ok(Stand::held(Reason::CancelledButFulfilled));
            }
            let offer = policy.late_payment == LatePayment::Offer
                && !confirm::was_finally_declined(draft, money);
            if offer || ruling::forces_confirm(checkout) {
                return confirm_matched(draft, money, matched);
            }
            let give =
                GiveBack::everything(money, Reason::OrderCancelled, give_back::since(draft))?;
            give_back::run(draft, money, give)
        }
        Some(OrderStatus::Unknown) if !ruling::forces_confirm(checkout) => {
            waiting::order_unknown(draft, money)
        }
        Some(OrderStatus::Pending | OrderStatus::Unknown) => confirm_matched(draft, money, matched),
        None if checkout.order.is_known() => confirm_matched(draft, money, matched),
        None => Ok(waiting::for_first_word(draft, money)),
    }
}

/// Money that names no order.
fn without_reference(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Result<Stand, MoneyError> {
    let kind_unknown = draft.our_payments().any(|(_, state)| {
        state
            .ownership
            .as_ref()
            .is_some_and(|one| one.value == Ownership::UnknownKind)
    });
    if kind_unknown {
        return Ok(Stand::held(Reason::UnknownKind));
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
fn confirm_matched(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: Match,
) -> Result<Stand, MoneyError> {
    if ruling::forces_confirm(draft.checkout) {
        return confirm::run(draft, money, &matched);
    }
    if let Some(reason) = matched.anomaly {
        return Ok(Stand::held(reason));
    }
    if matched.kept.is_empty() {
        return Ok(Stand::held(Reason::PaymentClaimedTwice));
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
    if confirm::must_still_name(draft, money) {
        return confirm::run(draft, money, &matched);
    }
    let settled: Vec<Money> = matched.kept.iter().map(|part| part.amount).collect();
    let mut stand = match excess(draft, money, &matched)? {
        Some(stand) => stand,
        None => settled_stand(draft, money, &matched)?,
    };
    stand.settled = settled;
    Ok(stand)
}

/// The way back of what is too much, if anything is.
fn excess(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> Result<Option<Stand>, MoneyError> {
    if let Some(stand) = give_back::excess_going(draft, money)? {
        return Ok(Some(stand));
    }
    let holds = draft.policy.overpayment == Overpayment::Hold;
    let is_disputed = |payment: &PaymentRef| {
        money
            .iter()
            .any(|one| one.payment == *payment && one.is_disputed())
    };
    // A chargeback already takes a disputed duplicate back; refunding it would pay twice.
    let due: Vec<_> = matched
        .excess
        .iter()
        .filter(|one| !is_disputed(&one.payment))
        .cloned()
        .collect();
    let Some(first) = due.first() else {
        return Ok(None);
    };
    if first.why == Reason::Overpaid && holds {
        return Ok(Some(Stand::held(Reason::OverpaidHeld)));
    }
    let since = confirm::confirmed_since(draft).unwrap_or(draft.now);
    let since = money
        .iter()
        .map(Position::money_at)
        .fold(since, |latest, at| latest.max(at));
    let give = GiveBack::excess(due, since);
    give_back::run(draft, money, give).map(Some)
}

fn settled_stand(
    draft: &Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> Result<Stand, MoneyError> {
    let kept_refunded = |one: &&Position<'_>| {
        one.refunds.iter().any(|(_, ask, stand)| {
            use super::position::RefundStand;
            let gave = *stand == RefundStand::Succeeded || *stand == RefundStand::Pending;
            let whole = ask.amount.is_some_and(|amount| amount == one.captured);
            gave && whole
        })
    };
    if matched.kept.is_empty() && money.iter().any(|one| kept_refunded(&one)) {
        return Ok(confirmed_without_money(draft));
    }
    let mut touched = false;
    for one in money {
        touched = touched || one.was_refunded_elsewhere()?;
    }
    let disputed = money.iter().any(Position::is_disputed);
    let reason = if disputed {
        Reason::ConfirmedDisputed
    } else if touched {
        Reason::RefundedAfterConfirm
    } else {
        Reason::ConfirmedByShop
    };
    Ok(Stand::new(Verdict::Settled, reason))
}

/// The shop confirmed an order whose only money we gave back: unless it names other payments,
/// it must be told not to ship.
fn confirmed_without_money(draft: &Draft<'_>) -> Stand {
    let latest = draft.checkout.order.latest();
    let ours_named = latest.is_some_and(|said| {
        said.paid_by.is_empty()
            || said
                .paid_by
                .iter()
                .any(|payment| draft.checkout.payments.contains_key(payment))
    });
    if ours_named {
        Stand::held(Reason::ConfirmedAfterRefund)
    } else {
        Stand::new(Verdict::Returned, Reason::Duplicate)
    }
}
