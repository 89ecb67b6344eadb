//! Refunds and voids themselves: sending them under their keys and following them to the end.
//!
//! Comes last: whoever calls `send` has gone through every step of `give_back`.

use super::confirm::IN_FLIGHT_WAKE;
use super::draft::{Draft, Stand};
use super::give_back::GiveBack;
use super::position::{Position, RefundStand};
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::plan::{Action, ActionKind, Reason, Verdict};
use crate::core::retry;
use crate::core::time::Time;

/// Follows refunds that were sent and are not finished; none when there are none.
pub(super) fn follow(draft: &mut Draft<'_>, money: &[Position<'_>]) -> Option<Stand> {
    let mut reason = None;
    for one in money {
        let Some((key, ask, stand)) = one.open_refund() else {
            continue;
        };
        let found = match stand {
            RefundStand::InFlight => {
                let sent = ask.last_sent_at.unwrap_or(draft.now);
                draft.wake(
                    sent.plus(IN_FLIGHT_WAKE)
                        .max(draft.now.plus(IN_FLIGHT_WAKE)),
                );
                Reason::RefundDue
            }
            RefundStand::Unclear { since } => {
                draft.fetch(&one.payment, since.plus(retry::delay(1, key.as_str())));
                Reason::RefundUnclear
            }
            RefundStand::Pending => {
                let refund = one.state.refund_marked(key);
                let waits = refund.and_then(|refund| refund.waits_for_balance.as_ref());
                draft.watch(
                    &one.payment,
                    ask.done_at.or(ask.last_sent_at).unwrap_or(draft.now),
                );
                match waits {
                    Some(stamped) if stamped.value => Reason::RefundWaitsForBalance,
                    Some(_) | None => Reason::RefundPending,
                }
            }
            RefundStand::Free
            | RefundStand::Refused { .. }
            | RefundStand::Succeeded
            | RefundStand::Failed { .. } => continue,
        };
        reason = Some(reason.map_or(found, |known: Reason| known.min(found)));
    }
    reason.map(|reason| Stand::new(Verdict::Refunding, reason))
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
        if let Some(stand) = send_void(draft, payment, give.why, due) {
            return stand;
        }
    }
    let reason = if give.amounts.is_empty() {
        Reason::VoidDue
    } else {
        Reason::RefundDue
    };
    Stand::new(Verdict::Refunding, reason)
}

/// Wants a void, or holds when the PSP declined it and a read afterwards still shows the
/// authorisation.
fn send_void(draft: &mut Draft<'_>, payment: &PaymentRef, why: Reason, due: Time) -> Option<Stand> {
    let key = format!("void-{}-1", payment.id);
    let ask = ActionKey::parse(&key).ok().and_then(|key| draft.ask(&key));
    let ruled_at = draft.checkout.ruling().map(|ruling| ruling.at);
    if let Some(ask) = ask {
        if ask.is_in_flight() {
            let sent = ask.last_sent_at.unwrap_or(draft.now);
            draft.wake(
                sent.plus(IN_FLIGHT_WAKE)
                    .max(draft.now.plus(IN_FLIGHT_WAKE)),
            );
        }
        let refused_at = ask.refusal().and(ask.ended.as_ref()).map(|ended| ended.at);
        if refused_at.is_some() && ruled_at <= refused_at {
            return Some(Stand::held(Reason::RefundRefused));
        }
        if ask.is_done() {
            draft.watch(payment, ask.done_at.unwrap_or(due));
            return None;
        }
    }
    draft.want(
        &key,
        Action::Void {
            payment: payment.clone(),
            why,
        },
        due,
    );
    None
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
