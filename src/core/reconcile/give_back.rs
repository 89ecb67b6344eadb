//! The way back of money: evidence, release, delay, last look, and only then the refund.
//!
//! The order of the steps is promise 2. Each step asks for what it needs and stops there; a shop
//! that says `confirmed` at any of them takes the checkout out of this file.

use super::confirm::{self, IN_FLIGHT_WAKE};
use super::draft::{Draft, Stand, fingerprint};
use super::forbidden::forbidden;
use super::position::{Position, RefundStand};
use super::{ASK_WHILE_HELD_EVERY, LOOK_IS_FRESH_FOR, refund, ruling, waiting};
use crate::core::checkout::Ask;
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::matching::{Excess, Match};
use crate::core::means;
use crate::core::money::{Money, MoneyError};
use crate::core::order::{OrderStatus, Via};
use crate::core::payment::PaymentStatus;
use crate::core::plan::{Action, PaidPart, Reason, Verdict};
use crate::core::policy::Mode;
use crate::core::retry;
use crate::core::time::Time;

/// What goes back, why, and since when that is decided.
pub(super) struct GiveBack {
    pub(super) amounts: Vec<(PaymentRef, Money)>,
    pub(super) voids: Vec<PaymentRef>,
    pub(super) why: Reason,
    pub(super) since: Time,
    /// False when the order stands and only what is too much goes back.
    pub(super) gives_order_up: bool,
}

impl GiveBack {
    /// All money that is still here.
    pub(super) fn everything(
        money: &[Position<'_>],
        why: Reason,
        since: Time,
    ) -> Result<GiveBack, MoneyError> {
        let left = money.iter().filter(|one| one.net.is_positive());
        let amounts = left.map(|one| (one.payment.clone(), one.net)).collect();
        Ok(GiveBack {
            amounts,
            voids: Vec::new(),
            why,
            since,
            gives_order_up: true,
        })
    }

    /// Only what is too much.
    pub(super) fn excess(due: Vec<Excess>, since: Time) -> Result<GiveBack, MoneyError> {
        let why = due.first().map_or(Reason::Overpaid, |one| one.why);
        // One refund for each payment, whatever it is made of.
        let mut amounts: Vec<(PaymentRef, Money)> = Vec::new();
        for one in due {
            match amounts.iter_mut().find(|known| known.0 == one.payment) {
                Some(known) => known.1 = known.1.plus(one.amount)?,
                None => amounts.push((one.payment, one.amount)),
            }
        }
        Ok(GiveBack {
            amounts,
            voids: Vec::new(),
            why,
            since,
            gives_order_up: false,
        })
    }

    pub(super) fn payments(&self) -> impl Iterator<Item = &PaymentRef> {
        self.amounts
            .iter()
            .map(|(payment, _)| payment)
            .chain(&self.voids)
    }
}

/// When the shop's present run of `cancelled` began.
pub(super) fn since(draft: &Draft<'_>) -> Time {
    let statements = draft.checkout.order.statements.iter().rev();
    let run = statements.take_while(|said| said.status == OrderStatus::Cancelled);
    run.last().map_or(draft.now, |said| said.as_of)
}

/// Money that is on its way back, or all back, while the order is not confirmed.
pub(super) fn gone_or_going(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
) -> Result<Option<Stand>, MoneyError> {
    let following = refund::follow(draft, money);
    let has_more = money.iter().any(|one| one.net.is_positive());
    match following {
        Some(following) if following.blocks || !has_more => return Ok(Some(following.stand)),
        Some(_) | None if has_more => return Ok(None),
        Some(_) | None => {}
    }
    if confirm::asks(draft).any(|ask| ask.is_in_flight() || ask.is_unclear())
        && draft.checkout.order.last_answer_at < confirm::last_sent_at(draft)
    {
        let sent = confirm::last_sent_at(draft).unwrap_or(draft.now);
        draft.look_up(sent.plus(retry::delay(1, "lookup")));
        return Ok(Some(Stand::new(
            Verdict::Confirming,
            Reason::ConfirmUnclear,
        )));
    }
    if draft
        .our_payments()
        .any(|(_, state)| state.status() == PaymentStatus::Authorised)
    {
        return waiting::authorised_only(draft).map(Some);
    }
    let was_charged_back = money.iter().any(|one| one.charged_back.is_positive());
    let given = draft.checkout.asks.values();
    let given = given.filter(|ask| ask.kind.gives_money_back());
    let gone_at = given.filter_map(|ask| ask.done_at).max();
    confirm::read_back_after(draft, gone_at);
    let reason = if was_charged_back {
        Reason::ChargedBack
    } else {
        Reason::Refunded
    };
    Ok(Some(Stand::new(Verdict::Returned, reason)))
}

/// True when money that pays the confirmed order was given back by us, or is going, and what is
/// left does not pay it: the shop confirmed what we returned.
pub(super) fn gave_back_what_pays(
    draft: &Draft<'_>,
    money: &[Position<'_>],
    matched: &Match,
) -> bool {
    let gave = |stand: &RefundStand| match stand {
        RefundStand::InFlight
        | RefundStand::Unclear { .. }
        | RefundStand::Pending
        | RefundStand::Succeeded => true,
        RefundStand::Free | RefundStand::Refused { .. } | RefundStand::Failed { .. } => false,
    };
    let ours = money.iter().any(|one| {
        let gave_any = one.refunds.iter().any(|(_, _, stand)| gave(stand));
        gave_any && is_named(draft, &one.payment)
    });
    ours && (matched.kept.is_empty() || matched.is_short)
}

/// The shop counts this payment as having paid the order, or does not say.
fn is_named(draft: &Draft<'_>, payment: &PaymentRef) -> bool {
    let latest = draft.checkout.order.latest();
    latest.is_some_and(|said| said.paid_by.is_empty() || said.paid_by.contains(payment))
}

/// Finishes the release of authorisations that was begun before another payment paid the order:
/// left alone, they would block the payer's money, or be captured on top.
pub(super) fn void_left_over(draft: &mut Draft<'_>, matched: &Match) -> Option<Stand> {
    let named = draft.checkout.order.latest().map(|said| &said.paid_by);
    let is_named = |payment: &PaymentRef| named.is_some_and(|named| named.contains(payment));
    let voids: Vec<PaymentRef> = draft
        .our_payments()
        .filter(|(_, state)| state.status() == PaymentStatus::Authorised)
        .map(|(payment, _)| payment)
        .filter(|payment| refund::was_void_begun(draft, payment) && !is_named(payment))
        .cloned()
        .collect();
    let held_at = |payment: &PaymentRef| {
        let state = draft.checkout.payments.get(payment);
        state.and_then(|state| state.first_money_at)
    };
    let since = voids.iter().filter_map(held_at).max();
    if voids.is_empty() || matched.kept.is_empty() || matched.is_short {
        return None;
    }
    let give = GiveBack {
        amounts: Vec::new(),
        voids,
        why: Reason::Duplicate,
        since: confirm::confirmed_so_since(draft)
            .max(since)
            .unwrap_or(draft.now),
        gives_order_up: false,
    };
    let stand = run(draft, &[], give);
    Some(stand.unwrap_or_else(|_| Stand::held(Reason::AmountsInconsistent)))
}

/// Releases authorisations of an order that is given up.
pub(super) fn void(draft: &mut Draft<'_>, why: Reason, since: Time) -> Stand {
    let voids: Vec<PaymentRef> = draft
        .our_payments()
        .filter(|(_, state)| state.status() == PaymentStatus::Authorised)
        .map(|(payment, _)| payment.clone())
        .collect();
    let give = GiveBack {
        amounts: Vec::new(),
        voids,
        why,
        since,
        gives_order_up: true,
    };
    run(draft, &[], give).unwrap_or_else(|_| Stand::held(Reason::AmountsInconsistent))
}

/// The steps of promise 2, in order.
pub(super) fn run(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    give: GiveBack,
) -> Result<Stand, MoneyError> {
    if give.payments().next().is_none() {
        return Ok(Stand::new(Verdict::Returned, Reason::Refunded));
    }
    let is_unknown = draft.checkout.order.status() == Some(OrderStatus::Unknown);
    if give.gives_order_up
        && draft.checkout.reference.is_some()
        && confirm::was_ever_given(draft)
        && (is_unknown || !give.amounts.is_empty())
    {
        return Ok(confirm::withdrawn(draft));
    }
    if let Some(reason) = forbidden(draft, money, &give) {
        return Ok(held_back(draft, reason));
    }
    if let Some(stand) = confirm_not_ended(draft) {
        return Ok(stand);
    }
    if let Some(stand) = refund::follow_voids(draft, &give) {
        return Ok(stand);
    }
    let order = &draft.checkout.order;
    let asks_shop = draft.checkout.reference.is_some();
    if asks_shop && waiting::silent_too_long(draft, give.since) {
        let failed = order.last_failure_at.unwrap_or(give.since);
        draft.look_up(failed.plus(ASK_WHILE_HELD_EVERY));
        return Ok(Stand::held(Reason::OutagePatienceExhausted));
    }
    let mut base = give.since;
    if give.gives_order_up && asks_shop {
        match released_at(draft, money, &give) {
            Some(released) => base = base.max(released),
            None => return Ok(until_released(draft, money, &give)),
        }
    }
    let base = Some(base).max(order.last_failure_at).unwrap_or(base);
    let delayed = base.plus(draft.policy.refund_delay);
    // A confirm that was lost on its way must be stale before money leaves.
    let delayed = Some(delayed)
        .max(confirm::expired_at(draft))
        .unwrap_or(delayed);
    let due = reversal_ends(draft, money, &give).map_or(delayed, |ends| ends.max(delayed));
    if asks_shop && order.is_shop_silent() {
        // The delay counts from the last failure, so it must be known when the silence ends.
        draft.look_up(base);
    }
    if draft.now < due {
        last_look(draft, &give, due);
        let waits_for = if draft.now < delayed {
            draft.wake(delayed);
            Reason::RefundDelayed
        } else {
            Reason::ReversalPossible
        };
        return Ok(Stand::new(Verdict::Refunding, waits_for));
    }
    if draft.policy.mode < Mode::Full {
        // Nothing will leave, so there is no last look; but what people do by hand is seen.
        watch_by_hand(draft, &give, due);
        return Ok(refund::send(draft, money, &give, due));
    }
    if last_look(draft, &give, due) {
        return Ok(looking(draft, due));
    }
    Ok(refund::send(draft, money, &give, due))
}

/// Held; what is tried anew by itself wakes for it.
pub(super) fn held_back(draft: &mut Draft<'_>, reason: Reason) -> Stand {
    if let Some(brake) = &draft.checkout.brake
        && reason == Reason::GuardCanaryMissing
    {
        draft.wake(brake.as_of.plus(ASK_WHILE_HELD_EVERY));
    }
    Stand::held(reason)
}

/// The last look is under way; a PSP that cannot be read for as long as an outage may last is
/// somebody's business, and is asked on.
fn looking(draft: &mut Draft<'_>, due: Time) -> Stand {
    let from = ruling::patience_from(draft.checkout).max(Some(due));
    let ends = from.unwrap_or(due).plus(draft.policy.outage_patience);
    if draft.now >= ends && !draft.checkout.order.is_shop_silent() {
        return Stand::held(Reason::UnreadablePayment);
    }
    draft.wake(ends);
    Stand::new(Verdict::Refunding, Reason::LastLook)
}

/// When the payer's bank has had its time to pull the money back; none when it cannot, or when an
/// operator does not want to wait for it.
fn reversal_ends(draft: &Draft<'_>, money: &[Position<'_>], give: &GiveBack) -> Option<Time> {
    let pulled = money.iter().filter(|one| {
        let method = one.state.method.as_ref();
        let is_given = give
            .amounts
            .iter()
            .any(|(payment, _)| *payment == one.payment);
        is_given && method.is_some_and(|method| means::can_be_pulled_back(&method.value))
    });
    let latest = pulled.map(Position::money_at).max()?;
    let is_overridden = ruling::overrides(draft.checkout, "reversal_wait");
    (!is_overridden).then(|| latest.plus(draft.policy.reversal_wait))
}

/// A confirm that is in flight blocks any way back until its end is recorded.
fn confirm_not_ended(draft: &mut Draft<'_>) -> Option<Stand> {
    let sent = confirm::asks(draft)
        .filter(|ask| ask.is_in_flight())
        .filter_map(|ask| ask.last_sent_at);
    let sent = sent.max()?;
    draft.wake(
        sent.plus(IN_FLIGHT_WAKE)
            .max(draft.now.plus(IN_FLIGHT_WAKE)),
    );
    Some(Stand::new(Verdict::Confirming, Reason::ConfirmDue))
}

/// Looks at the order and the payments on the look-again schedule.
fn watch_by_hand(draft: &mut Draft<'_>, give: &GiveBack, since: Time) {
    draft.look_again(since);
    for payment in give.payments() {
        if draft.can_read(payment) {
            draft.watch(payment, since);
        }
    }
}

/// Asks for the release for as long as patience lasts; after that the checkout is held, and the
/// question stays.
fn until_released(draft: &mut Draft<'_>, money: &[Position<'_>], give: &GiveBack) -> Stand {
    let stand = ask_release(draft, money, give);
    if draft.policy.mode < Mode::Full {
        watch_by_hand(draft, give, give.since);
    }
    let from = ruling::patience_from(draft.checkout)
        .max(Some(give.since))
        .unwrap_or(give.since);
    let is_over = draft.now >= from.plus(draft.policy.confirm_patience);
    if is_over && !draft.checkout.order.is_shop_silent() {
        Stand::held(Reason::PatienceExhausted)
    } else {
        stand
    }
}

/// When the shop explicitly gave the order up: asked after the last confirm left and after all
/// this money was here, and nothing but `cancelled` or `unknown` said since.
fn released_at(draft: &Draft<'_>, money: &[Position<'_>], give: &GiveBack) -> Option<Time> {
    let not_before = not_before(draft, money, give);
    let mut given_up = draft.checkout.order.given_up_run();
    given_up
        .find(|said| {
            said.via == Via::Release && said.asked_at.is_some_and(|asked| asked >= not_before)
        })
        .map(|said| said.as_of)
}

fn not_before(draft: &Draft<'_>, money: &[Position<'_>], give: &GiveBack) -> Time {
    let arrived = money
        .iter()
        .map(Position::money_at)
        .max()
        .unwrap_or_default();
    let authorised = give
        .voids
        .iter()
        .filter_map(|payment| draft.checkout.payments.get(payment));
    let held = authorised
        .filter_map(|state| state.first_money_at)
        .max()
        .unwrap_or_default();
    let confirmed = confirm::last_sent_at(draft).unwrap_or_default();
    arrived.max(held).max(confirmed)
}

/// Wants the release. Its key names the payments and the confirms sent before it, so that a
/// confirm in between makes it a new question.
fn ask_release(draft: &mut Draft<'_>, money: &[Position<'_>], give: &GiveBack) -> Stand {
    let Some(reference) = draft.checkout.reference.clone() else {
        return Stand::held(Reason::UnreferencedHeld);
    };
    let confirms: u64 = confirm::asks(draft).map(|ask| u64::from(ask.sent)).sum();
    let mut named = format!("{confirms}");
    for payment in give.payments() {
        named.push_str(&format!("|{payment}"));
    }
    let key = format!("release-{}", fingerprint(&named));
    let paid = money
        .iter()
        .filter(|one| give.payments().any(|payment| *payment == one.payment));
    let held = give
        .voids
        .iter()
        .filter_map(|payment| authorised_part(draft, payment));
    let payments = paid.map(Position::part).chain(held).collect();
    let ask = ActionKey::parse(&key).ok().and_then(|key| draft.ask(&key));
    let earliest = match ask.filter(|ask| ask.is_done()) {
        // Answered, but with neither `cancelled` nor `unknown`: ask again at a walking pace.
        Some(ask) => ask.ended.as_ref().map_or(give.since, |ended| {
            ended.at.plus(retry::recheck(ended.attempt, &key))
        }),
        None => give.since,
    };
    draft.want(
        &key,
        Action::Release {
            reference,
            payments,
            decision: draft.decision(&key),
            paid_otherwise: draft.checkout.order.covered(),
        },
        earliest,
    );
    Stand::new(Verdict::Releasing, give.why)
}

fn authorised_part(draft: &Draft<'_>, payment: &PaymentRef) -> Option<PaidPart> {
    let state = draft.checkout.payments.get(payment)?;
    let method = state.method.as_ref().map(|stamped| stamped.value.clone());
    Some(PaidPart {
        payment: payment.clone(),
        amount: state.authorised()?,
        method,
    })
}

/// Wants whatever of the last look is missing: the order asked about and each payment read, both
/// after `due`, after the latest attempt to give back, and not too long ago. True if anything is.
fn last_look(draft: &mut Draft<'_>, give: &GiveBack, due: Time) -> bool {
    let fresh_from = draft.now.minus(LOOK_IS_FRESH_FOR);
    let is_fresh = |asked: Option<Time>, not_before: Time| {
        asked.is_some_and(|asked| asked >= not_before && asked > fresh_from)
    };
    let mut is_missing = false;
    let asked = draft.checkout.order.latest().and_then(|said| said.asked_at);
    if draft.checkout.reference.is_some() && !is_fresh(asked, due) {
        draft.look_up(due);
        is_missing = true;
    }
    let payments: Vec<PaymentRef> = give.payments().cloned().collect();
    for payment in payments {
        let state = draft.checkout.payments.get(&payment);
        let tried = tried_at(draft, &payment).unwrap_or(due).max(due);
        let read = state.and_then(|state| match give.voids.contains(&payment) {
            false if draft.can_list_refunds(&payment) => state.refunds_listed_at,
            true | false => state.read_at,
        });
        if draft.can_read(&payment) && !is_fresh(read, tried) {
            draft.fetch(&payment, tried);
            is_missing = true;
        }
    }
    is_missing
}

/// When the latest attempt to give this payment back ended.
fn tried_at(draft: &Draft<'_>, payment: &PaymentRef) -> Option<Time> {
    let ours = |ask: &&Ask| ask.kind.gives_money_back() && ask.payment.as_ref() == Some(payment);
    let asks = draft.checkout.asks.values().filter(ours);
    asks.filter_map(|ask| ask.ended.as_ref())
        .map(|ended| ended.at)
        .max()
}
