//! What keeps money from leaving whatever the evidence: disputes, means that cannot be refunded, a
//! refund in trouble, the shop's brake, and the limit of a single refund.
//!
//! Says a reason or nothing; when and whether money goes back is `give_back`.

use super::ASK_WHILE_HELD_EVERY;
use super::draft::Draft;
use super::give_back::GiveBack;
use super::position::Position;
use super::{refund, ruling};
use crate::core::fact::BrakeCause;
use crate::core::money::Money;
use crate::core::plan::Reason;

/// What keeps money from leaving whatever the evidence.
pub(super) fn forbidden(
    draft: &Draft<'_>,
    money: &[Position<'_>],
    give: &GiveBack,
) -> Option<Reason> {
    let given = money
        .iter()
        .filter(|one| give.payments().any(|payment| *payment == one.payment));
    let mut given = given.peekable();
    if given.clone().any(Position::is_disputed) {
        return Some(Reason::Disputed);
    }
    let refusable = |one: &Position<'_>| {
        one.state
            .is_refundable
            .as_ref()
            .is_some_and(|stamped| !stamped.value)
    };
    let is_overridden = ruling::overrides(draft.checkout, "refund_within");
    let too_old = |one: &Position<'_>| {
        let made_at = one.state.created_at.unwrap_or(one.money_at());
        !is_overridden && draft.now >= made_at.plus(draft.policy.refund_within)
    };
    let is_given = |one: &Position<'_>| give.amounts.iter().any(|(id, _)| *id == one.payment);
    if given.any(|one| refusable(one) || (is_given(one) && too_old(one))) {
        return Some(Reason::NotRefundable);
    }
    let given = money
        .iter()
        .filter(|one| give.payments().any(|payment| *payment == one.payment));
    if let Some(reason) = refund::trouble(draft, given).or_else(|| braked(draft)) {
        return Some(reason);
    }
    is_above_limit(draft, give).then_some(Reason::AboveAutoRefundLimit)
}

/// The brake that stands, unless an operator released it later or overrides its cause.
pub(super) fn braked(draft: &Draft<'_>) -> Option<Reason> {
    let brake = draft.checkout.brake.as_ref()?;
    let released = ruling::vouched_at(draft.checkout);
    if released >= Some(brake.as_of) || ruling::overrides(draft.checkout, brake.value.code()) {
        return None;
    }
    let is_tried_anew = draft.now >= brake.as_of.plus(ASK_WHILE_HELD_EVERY);
    if brake.value == BrakeCause::CanaryMissing && is_tried_anew {
        return None;
    }
    Some(match brake.value {
        BrakeCause::RefundCount | BrakeCause::RefundSum | BrakeCause::RefundShare => {
            Reason::GuardRefunds
        }
        BrakeCause::UnknownRunaway => Reason::GuardUnknownRunaway,
        BrakeCause::EpochWentBack => Reason::GuardEpochWentBack,
        BrakeCause::AmountScale => Reason::GuardAmountScale,
        BrakeCause::CanaryLost => Reason::GuardCanaryLost,
        BrakeCause::CanaryMissing => Reason::GuardCanaryMissing,
        BrakeCause::StoreMoved => Reason::GuardStoreMoved,
    })
}

fn is_above_limit(draft: &Draft<'_>, give: &GiveBack) -> bool {
    let limit = draft.policy.auto_refund_limit;
    let sum = give
        .amounts
        .iter()
        .map(|(_, amount)| *amount)
        .try_fold(Money::zero(limit.currency()), Money::plus);
    let is_above = sum.map_or(true, |sum| sum > limit);
    is_above && !give.amounts.is_empty() && !ruling::overrides(draft.checkout, "auto_refund_limit")
}
