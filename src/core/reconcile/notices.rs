//! What the shop is told about its customer's money: refund started, done, failed, or held.
//!
//! Each notice is wanted until the shop took it or stopped listening; none decides anything.

use super::NOTICE_ATTEMPTS_MAX;
use super::draft::{Draft, Stand};
use super::position::{self, Position, RefundStand};
use super::refund;
use crate::core::checkout::Ask;
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::money::Money;
use crate::core::payment::PaymentStatus;
use crate::core::plan::{Action, Notice, Reason, Verdict};
use crate::core::time::Time;

/// Wants the notices that this checkout owes the shop.
pub(super) fn plan(draft: &mut Draft<'_>, stand: &Stand) {
    let money: Vec<Position<'_>> = draft
        .our_payments()
        .filter(|(_, state)| state.status() == PaymentStatus::Captured)
        .filter_map(|(payment, state)| Position::new(draft.checkout, payment, state).ok())
        .collect();
    for (payment, key, refund_stand, at) in refund::sent(draft, &money) {
        let amount = draft.ask(&key).and_then(|ask| ask.amount);
        let Some(amount) = amount else { continue };
        let notices: &[Notice] = match refund_stand {
            RefundStand::Pending => &[Notice::RefundStarted],
            RefundStand::Succeeded => &[Notice::RefundStarted, Notice::Refunded],
            RefundStand::Failed { .. } => &[Notice::RefundStarted, Notice::RefundFailed],
            RefundStand::Free
            | RefundStand::InFlight
            | RefundStand::Unclear { .. }
            | RefundStand::Refused { .. } => &[],
        };
        for notice in notices {
            let told = Told {
                notice: *notice,
                subject: key.as_str(),
                payment: &payment,
                amount,
                at,
            };
            tell(draft, &told, stand.reason);
        }
    }
    let tells_by_itself = [
        Reason::RefundedAfterConfirm,
        Reason::ChargedBackAfterConfirm,
    ];
    if stand.verdict == Verdict::Held && !tells_by_itself.contains(&stand.reason) {
        for one in money.iter().filter(|one| concerns(stand.reason, one)) {
            let subject = format!(
                "{}-{}",
                stand.reason.code(),
                position::subject(&one.payment)
            );
            let at = one.money_at();
            let told = Told {
                notice: Notice::Held,
                subject: &subject,
                payment: &one.payment,
                amount: if one.net.is_positive() && stand.reason != Reason::ConfirmedAfterRefund {
                    one.net
                } else {
                    one.captured
                },
                at,
            };
            tell(draft, &told, stand.reason);
        }
    }
}

/// The hold is about this payment: its money is still here, or went back and is missing now.
fn concerns(reason: Reason, one: &Position<'_>) -> bool {
    let is_gone_and_missing = reason == Reason::ConfirmedAfterRefund;
    let may_go_twice = reason == Reason::Disputed && one.is_disputed();
    one.net.is_positive() || is_gone_and_missing || may_go_twice
}

/// Tells the shop that somebody gave money of its confirmed order back. True once it knows.
pub(super) fn refunded_elsewhere(draft: &mut Draft<'_>, one: &Position<'_>) -> bool {
    gone(draft, one, Reason::RefundedAfterConfirm, one.returned)
}

/// Tells the shop that the payer's bank took money of its confirmed order back. True once it knows.
pub(super) fn charged_back(draft: &mut Draft<'_>, one: &Position<'_>) -> bool {
    gone(
        draft,
        one,
        Reason::ChargedBackAfterConfirm,
        one.charged_back,
    )
}

/// Tells the shop of money of a confirmed order that is no longer there.
fn gone(draft: &mut Draft<'_>, one: &Position<'_>, reason: Reason, amount: Money) -> bool {
    let returned = amount.minor();
    let subject = format!(
        "{}-{}-{returned}",
        reason.code(),
        position::subject(&one.payment)
    );
    let told = Told {
        notice: Notice::Held,
        subject: &subject,
        payment: &one.payment,
        amount,
        at: one
            .state
            .read_at
            .max(one.state.first_seen_at)
            .unwrap_or_default(),
    };
    tell(draft, &told, reason);
    let key = ActionKey::parse(&told.key()).ok();
    let ask = key.and_then(|key| draft.ask(&key));
    ask.is_some_and(Ask::is_done)
}

/// One thing to tell, and what makes it that thing and no other.
struct Told<'a> {
    notice: Notice,
    subject: &'a str,
    payment: &'a PaymentRef,
    amount: Money,
    at: Time,
}

impl Told<'_> {
    fn key(&self) -> String {
        format!("{}-{}", self.notice.event_type(), self.subject)
    }
}

fn tell(draft: &mut Draft<'_>, told: &Told<'_>, reason: Reason) {
    let key = told.key();
    let ask = ActionKey::parse(&key).ok().and_then(|key| draft.ask(&key));
    if ask.is_some_and(|ask| ask.is_done() || ask.failures() >= NOTICE_ATTEMPTS_MAX) {
        return;
    }
    let action = Action::Notify {
        notice: told.notice,
        reference: draft.checkout.reference.clone(),
        payment: told.payment.clone(),
        amount: told.amount,
        reason,
        at: told.at,
    };
    draft.want(&key, action, told.at);
}
