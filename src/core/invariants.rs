//! The promises as checks on one checkout and the plan made from it.
//!
//! Run before every commit, in tests and in production. Written apart from `reconcile` and in
//! other words on purpose: it looks at what a plan would do, not at why it was made.

use super::checkout::{Ask, Checkout};
use super::fact::RulingKind;
use super::ids::{ActionKey, ExternalRef, PaymentRef};
use super::money::{Money, MoneyError};
use super::order::{OrderStatus, Via};
use super::payment::{Payment, RefundState};
use super::plan::{Action, ActionKind, Plan, Planned, Verdict};
use super::policy::{Mode, Policy};
use super::time::Time;

/// A promise that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// A stable word.
    pub promise: &'static str,
    /// For people.
    pub detail: String,
}

/// Checks a plan against the promises (ARCHITECTURE.md).
pub fn check(checkout: &Checkout, plan: &Plan, now: Time, policy: &Policy) -> Result<(), Breach> {
    has_next_step(plan)?;
    keeps_to_mode(plan, policy)?;
    each_action_once(plan)?;
    for planned in &plan.actions {
        match &planned.action {
            Action::Refund {
                payment, amount, ..
            } => {
                refund_fits(checkout, payment, *amount, planned)?;
                nobody_confirms(checkout, plan, payment)?;
                order_is_given_up_or_paid_otherwise(checkout, plan, payment, policy)?;
                was_read_before(checkout, payment, policy)?;
            }
            Action::Void { payment, .. } => nobody_confirms(checkout, plan, payment)?,
            Action::CancelRefund {
                payment, refund, ..
            } => takes_back_our_own(checkout, plan, payment, refund)?,
            Action::Confirm {
                payments, amount, ..
            } => {
                confirm_has_money(checkout, payments.iter().map(|part| &part.payment))?;
                positive(*amount, "confirm")?;
            }
            Action::LookUp { .. }
            | Action::Release { .. }
            | Action::Fetch { .. }
            | Action::Notify { .. } => {}
        }
    }
    rests_only_without_loose_money(plan, now)
}

fn breach(promise: &'static str, detail: String) -> Result<(), Breach> {
    Err(Breach { promise, detail })
}

fn has_next_step(plan: &Plan) -> Result<(), Breach> {
    let may_sleep = plan.verdict.is_at_rest() || plan.verdict == Verdict::Held;
    if plan.actions.is_empty() && plan.wake_at.is_none() && !may_sleep {
        return breach(
            "next_step",
            format!("{} has no next step", plan.verdict.code()),
        );
    }
    Ok(())
}

fn keeps_to_mode(plan: &Plan, policy: &Policy) -> Result<(), Breach> {
    let changes_too_much = |kind: ActionKind| match kind {
        ActionKind::Fetch | ActionKind::LookUp => false,
        ActionKind::Confirm => policy.mode < Mode::Confirm,
        ActionKind::Release
        | ActionKind::Refund
        | ActionKind::Void
        | ActionKind::CancelRefund
        | ActionKind::Notify => policy.mode < Mode::Full,
    };
    match plan
        .actions
        .iter()
        .find(|planned| changes_too_much(planned.action.kind()))
    {
        Some(planned) => breach(
            "mode",
            format!("{} in mode {}", planned.key, policy.mode.code()),
        ),
        None => Ok(()),
    }
}

fn each_action_once(plan: &Plan) -> Result<(), Breach> {
    let mut keys: Vec<_> = plan.actions.iter().map(|planned| &planned.key).collect();
    keys.sort();
    match keys.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => breach("each_action_once", format!("{pair:?}")),
        None => Ok(()),
    }
}

fn positive(amount: Money, what: &str) -> Result<(), Breach> {
    if amount.is_positive() {
        Ok(())
    } else {
        breach("positive_amount", format!("{what} of {amount}"))
    }
}

/// Promise 3: refunds never exceed what was captured, whoever made them.
fn refund_fits(
    checkout: &Checkout,
    payment: &PaymentRef,
    amount: Money,
    planned: &Planned,
) -> Result<(), Breach> {
    positive(amount, "refund")?;
    let Some(state) = checkout.payments.get(payment) else {
        return breach(
            "known_payment",
            format!("{payment} is not of this checkout"),
        );
    };
    match refunds_with(checkout, payment, state, amount, planned) {
        Ok((sum, captured)) if sum <= captured => Ok(()),
        Ok((sum, captured)) => breach(
            "never_more_than_captured",
            format!("{payment}: {sum} of {captured}"),
        ),
        Err(error) => breach("amounts", format!("{payment}: {error}")),
    }
}

/// Everything gone, going, possibly going and about to go, beside what was captured.
fn refunds_with(
    checkout: &Checkout,
    payment: &PaymentRef,
    state: &Payment,
    amount: Money,
    planned: &Planned,
) -> Result<(Money, Money), MoneyError> {
    let captured = state.captured().ok_or(MoneyError::CurrencyMismatch)?;
    let mut sum = state
        .returned_or_returning()?
        .plus(amount)?
        .plus(state.charged_back()?)?;
    for (key, ask) in &checkout.asks {
        let same = ask.kind == ActionKind::Refund && ask.payment.as_ref() == Some(payment);
        if same && *key != planned.key && may_be_applied_unseen(key, ask, state) {
            sum = sum.plus(ask.amount.unwrap_or(captured))?;
        }
    }
    Ok((sum, captured))
}

/// A refund of ours that may have had its effect and that no list read since has shown.
fn may_be_applied_unseen(key: &ActionKey, ask: &Ask, state: &Payment) -> bool {
    let ended_open = ask.unclear_at.max(ask.done_at);
    let listed_since = state.refunds_listed_at > ended_open;
    let may_be_applied = ask.is_in_flight() || (ended_open.is_some() && !listed_since);
    may_be_applied && state.refund_marked(key).is_none()
}

/// What a payment keeps once everything possibly going and everything in this plan is gone.
fn left_after(
    checkout: &Checkout,
    plan: &Plan,
    payment: &PaymentRef,
    state: &Payment,
) -> Result<Money, MoneyError> {
    let captured = state.captured().ok_or(MoneyError::CurrencyMismatch)?;
    let mut left = captured
        .minus(state.returned_or_returning()?)?
        .minus(state.charged_back()?)?;
    for planned in &plan.actions {
        if let Action::Refund {
            payment: given,
            amount,
            ..
        } = &planned.action
            && given == payment
        {
            left = left.minus(*amount)?;
        }
    }
    for (key, ask) in &checkout.asks {
        let same = ask.kind == ActionKind::Refund && ask.payment.as_ref() == Some(payment);
        let is_planned = plan.actions.iter().any(|planned| planned.key == *key);
        if same && !is_planned && may_be_applied_unseen(key, ask, state) {
            left = left.minus(ask.amount.unwrap_or(captured))?;
        }
    }
    Ok(left)
}

fn confirms_in(plan: &Plan, payment: &PaymentRef) -> bool {
    plan.actions.iter().any(|planned| match &planned.action {
        Action::Confirm { payments, .. } => payments.iter().any(|part| part.payment == *payment),
        Action::LookUp { .. }
        | Action::Release { .. }
        | Action::Fetch { .. }
        | Action::Refund { .. }
        | Action::Void { .. }
        | Action::CancelRefund { .. }
        | Action::Notify { .. } => false,
    })
}

/// Promise 2(c), and never both in one plan.
fn nobody_confirms(checkout: &Checkout, plan: &Plan, payment: &PaymentRef) -> Result<(), Breach> {
    let planned = confirms_in(plan, payment);
    let confirms = checkout
        .asks
        .values()
        .filter(|ask| ask.kind == ActionKind::Confirm);
    let in_flight = confirms.filter(|ask| ask.is_in_flight()).count() > 0;
    let stands = checkout.order.status() == Some(OrderStatus::Confirmed);
    if planned || (in_flight && !stands) {
        return breach("never_both", format!("{payment} is being confirmed"));
    }
    Ok(())
}

/// Promise 2(a) and (b): the shop gave the order up after the last confirm, or it confirmed the
/// order and money that pays it stays; or the money names no order at all.
fn order_is_given_up_or_paid_otherwise(
    checkout: &Checkout,
    plan: &Plan,
    payment: &PaymentRef,
    policy: &Policy,
) -> Result<(), Breach> {
    if checkout.reference.is_none() {
        return Ok(());
    }
    let order = &checkout.order;
    let Some(latest) = order.latest() else {
        return breach(
            "evidence",
            "the shop has said nothing of this order".to_owned(),
        );
    };
    if latest.status == OrderStatus::Confirmed {
        let names_a_stranger = latest
            .paid_by
            .iter()
            .any(|named| !policy.accounts.contains_key(&named.account));
        let stays = checkout.own_payments().any(|(one, state)| {
            let left = left_after(checkout, plan, one, state);
            left.is_ok_and(Money::is_positive)
        });
        if names_a_stranger || stays {
            return Ok(());
        }
        return breach("order_stands", format!("{payment} pays a confirmed order"));
    }
    let told_to = checkout
        .ruling()
        .filter(|ruling| ruling.ruling == RulingKind::Refund);
    if order.last_confirmed_at.is_some() && told_to.is_none() {
        return breach(
            "never_both",
            format!("the shop once confirmed the order that {payment} pays"),
        );
    }
    let confirms = checkout
        .asks
        .values()
        .filter(|ask| ask.kind == ActionKind::Confirm);
    let last_confirm = confirms.filter_map(|ask| ask.last_sent_at).max();
    let given_up = order.statements.iter().any(|said| {
        let is_no = said.status == OrderStatus::Cancelled || said.status == OrderStatus::Unknown;
        let is_latest_word = Some(said.as_of) > order.last_alive_at;
        let is_asked_since = said.via == Via::Release && said.asked_at >= last_confirm;
        is_no && is_latest_word && is_asked_since
    });
    let still_no = latest.status == OrderStatus::Cancelled || latest.status == OrderStatus::Unknown;
    if given_up && still_no {
        Ok(())
    } else {
        breach(
            "released",
            "the shop has not given the order up since the last confirm".to_owned(),
        )
    }
}

/// Promise 2(d) and 4: the money was seen, undisputed, by a read of ours.
fn was_read_before(
    checkout: &Checkout,
    payment: &PaymentRef,
    policy: &Policy,
) -> Result<(), Breach> {
    let Some(state) = checkout.payments.get(payment) else {
        return Ok(());
    };
    if state.has_open_dispute() {
        return breach("undisputed", format!("{payment} is disputed"));
    }
    let account = policy.accounts.get(&payment.account);
    let was_read = match account {
        Some(account) if !account.can_read => true,
        Some(account) if !account.can_list_refunds => state.read_at.is_some(),
        Some(_) | None => state.refunds_listed_at.is_some(),
    };
    if !was_read {
        return breach(
            "read_before_refund",
            format!("{payment} was never read whole"),
        );
    }
    Ok(())
}

/// A refund is taken back only when we asked for it ourselves, it still waits, nothing else goes
/// back with it, and the shop has an order that wants the money.
fn takes_back_our_own(
    checkout: &Checkout,
    plan: &Plan,
    payment: &PaymentRef,
    refund: &ExternalRef,
) -> Result<(), Breach> {
    let state = checkout.payments.get(payment);
    let shown = state.and_then(|state| state.refunds.get(refund));
    let is_ours = shown.is_some_and(|shown| {
        let mark = shown.mark.as_ref();
        let ask = mark.and_then(|mark| checkout.asks.get(mark));
        ask.is_some_and(|ask| ask.kind == ActionKind::Refund && shown.state == RefundState::Pending)
    });
    let also_gives = plan.actions.iter().any(|planned| {
        planned.action.kind().gives_money_back() && planned.action.payment() == Some(payment)
    });
    let also_confirms = confirms_in(plan, payment);
    let has_order = checkout.order.status().is_some_and(OrderStatus::is_alive);
    if is_ours && has_order && !also_gives && !also_confirms {
        return Ok(());
    }
    breach(
        "takes_back_its_own",
        format!("{refund} of {payment} must go its way"),
    )
}

fn confirm_has_money<'a>(
    checkout: &Checkout,
    payments: impl Iterator<Item = &'a PaymentRef>,
) -> Result<(), Breach> {
    for payment in payments {
        let captured = checkout
            .payments
            .get(payment)
            .is_some_and(|state| !state.captured.is_empty());
        if !captured {
            return breach(
                "confirm_has_money",
                format!("{payment} holds no captured money"),
            );
        }
    }
    Ok(())
}

/// Promise 1: what is at rest leaves no money in suspense.
fn rests_only_without_loose_money(plan: &Plan, now: Time) -> Result<(), Breach> {
    if plan.verdict.is_at_rest() && !plan.in_suspense.is_empty() {
        let sum: Vec<String> = plan.in_suspense.iter().map(Money::to_string).collect();
        let detail = format!(
            "{} at {} with {}",
            plan.verdict.code(),
            now.micros(),
            sum.join(", ")
        );
        return breach("no_loose_money", detail);
    }
    Ok(())
}
