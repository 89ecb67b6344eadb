//! Where one payment's money is: what was taken, what went back, what may be on its way.
//!
//! Derived from the checkout alone. A refund of ours that may have been applied unseen counts
//! as gone until a whole list, read afterwards, shows otherwise.

use super::draft::fingerprint;
use crate::core::checkout::{Ask, Checkout};
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::money::{Money, MoneyError};
use crate::core::payment::{DisputeState, Payment, Progress, RefundState};
use crate::core::plan::{ActionKind, PaidPart};
use crate::core::time::Time;
use std::collections::BTreeSet;

/// Longest name of a payment within a key; leaves room for the kind and a number.
const SUBJECT_BYTES_MAX: usize = 48;

/// The state of one refund decision of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStand {
    /// Never sent, or certainly without effect: may be sent (again) under its key.
    Free,
    /// Under way, nobody has answered yet.
    InFlight,
    /// May have had its effect; the PSP's list must be read after this moment.
    Unclear {
        /// The latest unclear end.
        since: Time,
    },
    /// The PSP explicitly declined at this moment.
    Refused {
        /// When.
        at: Time,
    },
    /// Accepted by the PSP, not finished.
    Pending,
    /// Paid out.
    Succeeded,
    /// Accepted, and came to nothing at this moment.
    Failed {
        /// When we first saw it.
        at: Time,
    },
}

/// One payment's money.
#[derive(Clone, Debug)]
pub struct Position<'a> {
    /// Which payment.
    pub payment: PaymentRef,
    /// All that is known about it.
    pub state: &'a Payment,
    /// Taken from the payer.
    pub captured: Money,
    /// Back with the payer: succeeded refunds, or the PSP's greater sum less what is pending.
    pub returned: Money,
    /// Lost in disputes.
    pub charged_back: Money,
    /// Captured, less everything gone, going or possibly going.
    pub net: Money,
    /// Still held on the payer's means, to be captured as goods leave.
    pub capturable: Money,
    /// Our refund decisions for it, with how they stand.
    pub refunds: Vec<(ActionKey, &'a Ask, RefundStand)>,
}

impl<'a> Position<'a> {
    /// The position of a payment from which money was taken, in exactly one currency.
    pub fn new(
        checkout: &'a Checkout,
        payment: &PaymentRef,
        state: &'a Payment,
    ) -> Result<Position<'a>, MoneyError> {
        let captured = state.captured().ok_or(MoneyError::CurrencyMismatch)?;
        if has_amount_below_zero(state) {
            return Err(MoneyError::NotDecimal);
        }
        let refunds: Vec<(ActionKey, &Ask, RefundStand)> = checkout
            .asks
            .iter()
            .filter(|(_, ask)| {
                ask.kind == ActionKind::Refund && ask.payment.as_ref() == Some(payment)
            })
            .map(|(key, ask)| (key.clone(), ask, refund_stand(key, ask, state)))
            .collect();
        let shown = state.returned_or_returning()?;
        let pending = state.refunds_in(|refund| refund == RefundState::Pending)?;
        let charged_back = state.charged_back()?;
        let unseen = refunds
            .iter()
            .filter(|(_, _, stand)| may_be_applied_unseen(*stand))
            .map(|(_, ask, _)| ask.amount.unwrap_or(captured))
            .try_fold(Money::zero(captured.currency()), Money::plus)?;
        let net = captured.minus(shown)?.minus(unseen)?.minus(charged_back)?;
        let returned = shown.minus(pending)?;
        Ok(Position {
            payment: payment.clone(),
            state,
            captured,
            returned,
            charged_back,
            net,
            capturable: capturable(state, captured),
            refunds,
        })
    }

    /// When its money came in, for ordering payments by age.
    pub fn money_at(&self) -> Time {
        self.state
            .first_money_at
            .or(self.state.first_seen_at)
            .unwrap_or_default()
    }

    /// As of when its customer had agreed to pay it: nobody's webhook need have come by then.
    pub fn agreed_at(&self) -> Time {
        let told = self.state.money_as_of;
        told.map_or(self.money_at(), |told| told.min(self.money_at()))
    }

    /// What it brings in all once everything still held is captured.
    pub fn worth(&self) -> Result<Money, MoneyError> {
        self.net.plus(self.capturable)
    }

    /// Its part in a confirm.
    pub fn part(&self) -> PaidPart {
        self.part_of(self.net)
    }

    /// Its part in a confirm, of this amount.
    pub fn part_of(&self, amount: Money) -> PaidPart {
        PaidPart {
            payment: self.payment.clone(),
            amount,
            method: self
                .state
                .method
                .as_ref()
                .map(|stamped| stamped.value.clone()),
        }
    }

    /// True when a dispute forbids any refund.
    pub fn is_disputed(&self) -> bool {
        self.state.has_open_dispute()
            || self
                .state
                .disputes
                .values()
                .any(|dispute| dispute.state == DisputeState::Lost)
    }

    /// True when disputes and refunds together took, or may take, more than was captured: the
    /// payer is about to be paid twice.
    pub fn may_be_paid_back_twice(&self) -> Result<bool, MoneyError> {
        let not_won = self
            .state
            .disputes
            .values()
            .filter(|dispute| dispute.state != DisputeState::Won);
        let named = not_won
            .map(|dispute| dispute.amount)
            .try_fold(Money::zero(self.captured.currency()), Money::plus)?;
        let disputed = if named.is_zero() && self.state.has_open_dispute() {
            self.captured
        } else {
            named
        };
        let gone = self.captured.minus(self.net)?.minus(self.charged_back)?;
        Ok(disputed.is_positive()
            && gone.is_positive()
            && gone.plus(disputed)?.minor() > self.captured.minor())
    }

    /// True while the PSP shows a refund of this payment, whoever asked for it, that it accepted
    /// and has not finished.
    pub fn has_pending_refund(&self) -> bool {
        let mut refunds = self.state.refunds.values();
        refunds.any(|refund| refund.state == RefundState::Pending)
    }

    /// The key for the next refund of this amount: the standing one if this very decision was
    /// made and had no effect, else the first number that was never used for this payment. None
    /// while an earlier refund may still have its effect.
    pub fn next_refund_key(&self, amount: Money, ruled_at: Option<Time>) -> Option<ActionKey> {
        for (key, ask, stand) in &self.refunds {
            let is_standing = match stand {
                RefundStand::InFlight | RefundStand::Unclear { .. } => return None,
                RefundStand::Pending | RefundStand::Succeeded | RefundStand::Failed { .. } => false,
                RefundStand::Refused { at } => ruled_at <= Some(*at),
                RefundStand::Free => true,
            };
            if is_standing && ask.amount.is_none_or(|asked| asked == amount) {
                return Some(key.clone());
            }
        }
        let marks = self.state.refunds.values();
        let marks: BTreeSet<&ActionKey> = marks.filter_map(|one| one.mark.as_ref()).collect();
        let used = |key: &ActionKey| {
            marks.contains(key) || self.refunds.iter().any(|(known, _, _)| known == key)
        };
        // Each number that is taken is one of a mark or of an ask, so one more is always free.
        let most = marks.len().saturating_add(self.refunds.len());
        (1..=most.saturating_add(1))
            .filter_map(|number| refund_key(&self.payment, number))
            .find(|key| !used(key))
    }

    /// True when somebody other than this daemon gave money of this payment back.
    pub fn was_refunded_elsewhere(&self) -> Result<bool, MoneyError> {
        let ours = self
            .state
            .refunds
            .values()
            .filter(|refund| refund.mark.is_some() && refund.state != RefundState::Failed)
            .map(|refund| refund.amount)
            .try_fold(Money::zero(self.captured.currency()), Money::plus)?;
        Ok(self.state.returned_or_returning()? > ours)
    }
}

/// What of an authorisation is still open beside what was captured of it: goods that leave in
/// several shipments are captured in several steps.
fn capturable(state: &Payment, captured: Money) -> Money {
    let is_open = state.died_at.is_none()
        && state.progress.as_ref().map(|said| said.value) == Some(Progress::Authorised);
    let held = state.authorised.as_ref().map(|said| said.value);
    let held = held.filter(|held| is_open && held.currency() == captured.currency());
    held.filter(|held| held.is_positive())
        .unwrap_or(Money::zero(captured.currency()))
}

/// Refunds and disputes are amounts that went the other way; below zero they mean nothing.
fn has_amount_below_zero(state: &Payment) -> bool {
    let refunds = state.refunds.values().map(|refund| refund.amount);
    let disputes = state.disputes.values().map(|dispute| dispute.amount);
    let sum = state.refunded.as_ref().map(|stamped| stamped.value);
    refunds
        .chain(disputes)
        .chain(sum)
        .any(|amount| amount.minor() < 0)
}

fn refund_key(payment: &PaymentRef, number: usize) -> Option<ActionKey> {
    ActionKey::parse(&format!("refund-{}-{number}", subject(payment))).ok()
}

/// A payment's part of a key. Two accounts may use the same id, so the account is named too;
/// short enough for the shortest idempotency keys, 64 characters.
pub(super) fn subject(payment: &PaymentRef) -> String {
    let plain = format!("{}.{}", payment.account, payment.id);
    if plain.len() <= SUBJECT_BYTES_MAX {
        plain
    } else {
        fingerprint(&plain)
    }
}

fn may_be_applied_unseen(stand: RefundStand) -> bool {
    match stand {
        RefundStand::InFlight | RefundStand::Unclear { .. } => true,
        RefundStand::Free
        | RefundStand::Refused { .. }
        | RefundStand::Pending
        | RefundStand::Succeeded
        | RefundStand::Failed { .. } => false,
    }
}

fn refund_stand(key: &ActionKey, ask: &Ask, state: &Payment) -> RefundStand {
    if let Some(refund) = state.refund_marked(key) {
        return match refund.state {
            RefundState::Pending => RefundStand::Pending,
            RefundState::Succeeded => RefundStand::Succeeded,
            RefundState::Failed => RefundStand::Failed {
                at: refund.failed_at.unwrap_or_default(),
            },
        };
    }
    if ask.is_in_flight() {
        return RefundStand::InFlight;
    }
    let unread = |since: &Time| {
        state
            .refunds_listed_at
            .is_none_or(|listed| listed <= *since)
    };
    if let Some(since) = ask.unclear_at.max(ask.done_at).filter(unread) {
        return RefundStand::Unclear { since };
    }
    match (ask.refusal(), ask.ended.as_ref()) {
        (Some(_), Some(ended)) => RefundStand::Refused { at: ended.at },
        (_, _) => RefundStand::Free,
    }
}
