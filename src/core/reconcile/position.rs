//! Where one payment's money is: what was taken, what went back, what may be on its way.
//!
//! Derived from the checkout alone. A refund of ours that may have been applied unseen counts
//! as gone until a whole list, read afterwards, shows otherwise.

use crate::core::checkout::{Ask, Checkout};
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::payment::{DisputeState, Payment, RefundState};
use crate::core::plan::{ActionKind, PaidPart};
use crate::core::time::Time;

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
    /// Our refund decisions for it, with how they stand.
    pub refunds: Vec<(ActionKey, &'a Ask, RefundStand)>,
}

impl<'a> Position<'a> {
    /// The position of a payment that holds money in exactly one currency.
    pub fn new(
        checkout: &'a Checkout,
        payment: &PaymentRef,
        state: &'a Payment,
    ) -> Result<Position<'a>, MoneyError> {
        let captured = match state.captured() {
            Some(captured) => captured,
            None if state.captured.is_empty() => Money::zero(currency_of(state)),
            None => return Err(MoneyError::CurrencyMismatch),
        };
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
            .filter_map(|(_, ask, _)| ask.amount)
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

    /// Its part in a confirm.
    pub fn part(&self) -> PaidPart {
        PaidPart {
            payment: self.payment.clone(),
            amount: self.net,
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

    /// Our refund that is not finished either way.
    pub fn open_refund(&self) -> Option<&(ActionKey, &'a Ask, RefundStand)> {
        self.refunds.iter().find(|(_, _, stand)| match stand {
            RefundStand::InFlight | RefundStand::Unclear { .. } | RefundStand::Pending => true,
            RefundStand::Free
            | RefundStand::Refused { .. }
            | RefundStand::Succeeded
            | RefundStand::Failed { .. } => false,
        })
    }

    /// The key for the next refund of this amount: the standing one if this very decision was
    /// made and not carried out, else one more than all that were.
    pub fn next_refund_key(&self, amount: Money, ruled_at: Option<Time>) -> Option<ActionKey> {
        let is_standing = |ask: &Ask, stand: &RefundStand| match stand {
            RefundStand::Pending | RefundStand::Succeeded | RefundStand::Failed { .. } => false,
            RefundStand::Refused { at } => ruled_at <= Some(*at),
            RefundStand::Free => ask.amount.is_none_or(|asked| asked == amount),
            RefundStand::InFlight | RefundStand::Unclear { .. } => true,
        };
        let standing = self
            .refunds
            .iter()
            .find(|(_, ask, stand)| is_standing(ask, stand));
        if let Some((key, _, _)) = standing {
            return Some(key.clone());
        }
        let number = self.refunds.len().saturating_add(1);
        ActionKey::parse(&format!("refund-{}-{number}", self.payment.id)).ok()
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

fn currency_of(state: &Payment) -> Currency {
    let known = state.authorised.as_ref().or(state.requested.as_ref());
    known.map_or(Currency::EUR, |stamped| stamped.value.currency())
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
