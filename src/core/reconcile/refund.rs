//! Refunds and voids themselves: sending them under their keys and following them to the end.
//!
//! Comes last: whoever calls `send` has gone through every step of `give_back`.

use super::ASK_WHILE_HELD_EVERY;
use super::cancel;
use super::confirm::{self, IN_FLIGHT_WAKE};
use super::draft::{Draft, Stand};
use super::forbidden;
use super::give_back::{self, GiveBack};
use super::position::{Position, RefundStand, subject};
use crate::core::checkout::Ask;
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::order::Via;
use crate::core::payment::RefundState;
use crate::core::plan::{Action, ActionKind, Reason, Verdict};
use crate::core::retry;
use crate::core::time::Time;

/// How refunds that are not finished stand.
pub(super) struct Following {
    pub(super) stand: Stand,
    /// False when the PSP accepted them all: what else there is to do need not wait for days.
    pub(super) blocks: bool,
}

/// Follows refunds that are not finished, whoever asked for them; none when there are none.
pub(super) fn follow(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Option<Following> {
    let mut reasons = Vec::new();
    for one in money {
        let mut ours_pending = false;
        for (key, ask, stand) in &one.refunds {
            match stand {
                RefundStand::InFlight => {
                    let sent = ask.last_sent_at.unwrap_or(draft.now);
                    draft.wake(
                        sent.plus(IN_FLIGHT_WAKE)
                            .max(draft.now.plus(IN_FLIGHT_WAKE)),
                    );
                    reasons.push(Reason::RefundDue);
                }
                RefundStand::Unclear { since } => {
                    reasons.push(resolve(draft, one, key, ask, *since));
                }
                RefundStand::Pending => {
                    ours_pending = true;
                    let since = ask.done_at.or(ask.last_sent_at);
                    let reason = watch_pending(draft, one, since);
                    let ends = since.map(|since| since.plus(draft.policy.refund_patience));
                    match ends {
                        Some(ends) if draft.now >= ends => reasons.push(Reason::RefundStuck),
                        Some(ends) => {
                            draft.wake(ends);
                            reasons.push(reason);
                        }
                        None => reasons.push(reason),
                    }
                }
                RefundStand::Free
                | RefundStand::Refused { .. }
                | RefundStand::Succeeded
                | RefundStand::Failed { .. } => {}
            }
        }
        if !ours_pending && one.has_pending_refund() {
            reasons.push(watch_pending(draft, one, one.state.first_seen_at));
        }
    }
    let is_accepted = |reason: &Reason| {
        let accepted = [
            Reason::RefundPending,
            Reason::RefundWaitsForBalance,
            Reason::RefundStuck,
        ];
        accepted.contains(reason)
    };
    let blocks = !reasons.iter().all(is_accepted);
    let braked = forbidden::braked(draft).filter(|reason| reasons.contains(reason));
    if let Some(reason) = braked {
        let stand = give_back::held_back(draft, reason);
        return Some(Following { stand, blocks });
    }
    let held = if reasons.contains(&Reason::UnreadablePayment) {
        Some(Reason::UnreadablePayment)
    } else if reasons.contains(&Reason::RefundStuck) && !blocks {
        Some(Reason::RefundStuck)
    } else {
        None
    };
    // Listed from the most to the least pressing, apart from the holds, which are last of all.
    let least = reasons.into_iter().min()?;
    let stand = match held {
        Some(reason) => Stand::held(reason),
        None => Stand::new(Verdict::Refunding, least),
    };
    Some(Following { stand, blocks })
}

/// Finds out what became of a refund that got no clear answer: by the PSP's list; where there
/// is none, by asking again under the same key for as long as the PSP surely remembers it.
fn resolve(
    draft: &mut Draft<'_>,
    one: &Position<'_>,
    key: &ActionKey,
    ask: &Ask,
    since: Time,
) -> Reason {
    let again_at = since.plus(retry::delay(1, key.as_str()));
    if draft.can_list_refunds(&one.payment) {
        draft.fetch(&one.payment, again_at);
        return Reason::RefundUnclear;
    }
    if ask.is_done() {
        draft.wake(draft.now.plus(ASK_WHILE_HELD_EVERY));
        return Reason::RefundPending;
    }
    let first = ask.first_sent_at.unwrap_or_default();
    let is_remembered = draft.now < first.plus(draft.key_lifetime(&one.payment));
    match ask.amount {
        Some(amount) if is_remembered && may_repeat(draft, one) => {
            // A repetition is a refund to the guard, too, since the first may never have arrived.
            if let Some(reason) = forbidden::braked(draft) {
                return reason;
            }
            let action = Action::Refund {
                payment: one.payment.clone(),
                amount,
                why: Reason::RefundUnclear,
            };
            draft.want(key.as_str(), action, again_at);
            Reason::RefundUnclear
        }
        Some(_) | None => Reason::UnreadablePayment,
    }
}

/// What let the refund leave still holds: the order is given up, nobody confirms or disputes, and
/// all that may have left is covered by what was captured.
fn may_repeat(draft: &Draft<'_>, one: &Position<'_>) -> bool {
    let confirmed = confirm::last_sent_at(draft);
    let is_released = draft.checkout.order.given_up_run().any(|said| {
        said.via == Via::Release && said.asked_at.is_some() && said.asked_at >= confirmed
    });
    let is_confirming = confirm::asks(draft).any(Ask::is_in_flight);
    let is_given_up =
        draft.checkout.reference.is_none() || (is_released && !confirm::was_ever_given(draft));
    let is_covered = one.net.minor() >= 0;
    is_given_up && !is_confirming && !one.is_disputed() && is_covered
}

fn watch_pending(draft: &mut Draft<'_>, one: &Position<'_>, since: Option<Time>) -> Reason {
    if draft.can_read(&one.payment) {
        draft.watch(&one.payment, since.unwrap_or_default());
    } else {
        draft.wake(draft.now.plus(ASK_WHILE_HELD_EVERY));
    }
    let mut pending = one.state.refunds.values().filter(|refund| {
        refund.state == RefundState::Pending
            && refund.waits_for_balance.as_ref().is_some_and(|it| it.value)
    });
    if pending.next().is_some() {
        Reason::RefundWaitsForBalance
    } else {
        Reason::RefundPending
    }
}

/// A refund that failed or was declined waits for an operator's later word.
pub(super) fn trouble<'a>(
    draft: &Draft<'_>,
    mut money: impl Iterator<Item = &'a Position<'a>>,
) -> Option<Reason> {
    let ruled_at = draft.checkout.ruling().map(|ruling| ruling.at);
    money.find_map(|one| {
        let was_read_since = |at: Time| {
            one.state.refunds_listed_at >= Some(at) || !draft.can_list_refunds(&one.payment)
        };
        let mut found = one.refunds.iter().filter(|_| one.net.is_positive());
        found.find_map(|(key, _, stand)| match stand {
            // Called off by ourselves, so nothing is wrong with giving the money back anew.
            RefundStand::Failed { .. } if cancel::was_called_off(draft, key) => None,
            RefundStand::Failed { at } if ruled_at <= Some(*at) => Some(Reason::RefundFailed),
            RefundStand::Refused { at } if ruled_at <= Some(*at) && was_read_since(*at) => {
                Some(if one.is_disputed() {
                    Reason::Disputed
                } else {
                    Reason::RefundRefused
                })
            }
            RefundStand::Failed { .. }
            | RefundStand::Refused { .. }
            | RefundStand::Free
            | RefundStand::InFlight
            | RefundStand::Unclear { .. }
            | RefundStand::Pending
            | RefundStand::Succeeded => None,
        })
    })
}

/// Wants the refunds and voids, each under the key of its decision.
pub(super) fn send(
    draft: &mut Draft<'_>,
    money: &[Position<'_>],
    give: &GiveBack,
    due: Time,
) -> Stand {
    let ruled_at = draft.checkout.ruling().map(|ruling| ruling.at);
    for (payment, amount) in &give.amounts {
        let position = money.iter().find(|one| one.payment == *payment);
        let key = position.and_then(|one| one.next_refund_key(*amount, ruled_at));
        let Some(key) = key else {
            return Stand::held(Reason::AmountsInconsistent);
        };
        let action = Action::Refund {
            payment: payment.clone(),
            amount: *amount,
            why: give.why,
        };
        draft.want(key.as_str(), action, due);
    }
    for payment in &give.voids {
        if !is_void_done(draft, payment) {
            let action = Action::Void {
                payment: payment.clone(),
                why: give.why,
            };
            draft.want(&void_key(payment), action, due);
        }
    }
    let reason = if give.amounts.is_empty() {
        Reason::VoidDue
    } else {
        Reason::RefundDue
    };
    Stand::new(Verdict::Refunding, reason)
}

/// Voids that need nothing more to be asked first: declined ones are held, and where all of them
/// are done or under way there is only the PSP's next word to wait for.
pub(super) fn follow_voids(draft: &mut Draft<'_>, give: &GiveBack) -> Option<Stand> {
    let ruled_at = draft.checkout.ruling().map(|ruling| ruling.at);
    let mut all_wait = !give.voids.is_empty();
    for payment in &give.voids {
        let Some(ask) = void_ask(draft, payment) else {
            all_wait = false;
            continue;
        };
        let state = draft.checkout.payments.get(payment);
        let refused_at = ask.refusal().and(ask.ended.as_ref()).map(|ended| ended.at);
        let was_read =
            state.is_some_and(|state| state.read_at >= refused_at) || !draft.can_read(payment);
        if refused_at.is_some() && ruled_at <= refused_at && was_read {
            return Some(Stand::held(Reason::RefundRefused));
        }
        if ask.is_in_flight() {
            draft.wake(draft.now.plus(IN_FLIGHT_WAKE));
        } else if ask.is_done() && draft.can_read(payment) {
            draft.watch(payment, ask.done_at.unwrap_or_default());
        } else if ask.is_done() {
            // Only the PSP's own word can tell; without it somebody has to look.
            let ends = ask.done_at.unwrap_or_default();
            let ends = ends.plus(draft.policy.refund_patience);
            if draft.now >= ends {
                return Some(Stand::held(Reason::RefundStuck));
            }
            draft.wake(ends);
        } else {
            all_wait = false;
        }
    }
    all_wait.then(|| Stand::new(Verdict::Refunding, Reason::VoidDue))
}

fn void_key(payment: &PaymentRef) -> String {
    format!("void-{}-1", subject(payment))
}

fn void_ask<'a>(draft: &Draft<'a>, payment: &PaymentRef) -> Option<&'a Ask> {
    let key = ActionKey::parse(&void_key(payment)).ok()?;
    draft.ask(&key)
}

/// True once a release of this authorisation was asked for.
pub(super) fn was_void_begun(draft: &Draft<'_>, payment: &PaymentRef) -> bool {
    void_ask(draft, payment).is_some()
}

fn is_void_done(draft: &Draft<'_>, payment: &PaymentRef) -> bool {
    void_ask(draft, payment).is_some_and(|ask| ask.is_done() && !ask.is_in_flight())
}

/// Every refund decision ever sent, with how it stands, for the notices.
pub(super) fn sent<'a>(
    draft: &Draft<'a>,
    money: &[Position<'a>],
) -> Vec<(PaymentRef, ActionKey, RefundStand, Time)> {
    let mut all = Vec::new();
    for one in money {
        for (key, ask, stand) in &one.refunds {
            if ask.kind == ActionKind::Refund && ask.sent > 0 {
                let at = ask.first_sent_at.unwrap_or(draft.now);
                all.push((one.payment.clone(), key.clone(), *stand, at));
            }
        }
    }
    all
}
