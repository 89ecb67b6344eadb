//! What operators' rulings mean, and which of them the guards refuse.
//!
//! A ruling is a fact like any other; it changes what follows, never what is known. It stands
//! under the same guards as the daemon's own decisions, save those it names in `overrides`.

use super::position::Position;
use crate::core::checkout::Checkout;
use crate::core::fact::{Ruling, RulingKind};
use crate::core::money::Money;
use crate::core::order::OrderStatus;
use crate::core::payment::PaymentStatus;
use crate::core::plan::RulingRefused;
use crate::core::policy::{Mode, Policy};
use crate::core::time::Time;

/// The policy keys that `overrides` may name.
pub const OVERRIDABLE: [&str; 12] = [
    "auto_refund_limit",
    "max_refunds_per_hour",
    "max_refund_sum_per_hour",
    "max_refund_share",
    "unknown_runaway",
    "shop_epoch_went_back",
    "amount_off_by_power_of_ten",
    "canary_lost",
    "canary_missing",
    "store_moved",
    "reversal_wait",
    "refund_within",
];

/// An operator wants the order confirmed whatever the amounts say.
pub(super) fn forces_confirm(checkout: &Checkout) -> bool {
    checkout
        .ruling()
        .is_some_and(|ruling| ruling.ruling == RulingKind::Confirm)
}

/// Patience counts anew from an operator's last word.
pub(super) fn patience_from(checkout: &Checkout) -> Option<Time> {
    checkout.ruling().map(|ruling| ruling.at)
}

/// When an operator last said that this checkout may go on.
pub(super) fn resumed_at(checkout: &Checkout) -> Option<Time> {
    let resumes = checkout
        .rulings
        .iter()
        .filter(|ruling| ruling.ruling == RulingKind::Resume);
    resumes.map(|ruling| ruling.at).max()
}

/// When an operator last said that money of this checkout may go back: by releasing the shop's
/// brake, or by resuming this checkout.
pub fn vouched_at(checkout: &Checkout) -> Option<Time> {
    checkout.brake_released_at.max(resumed_at(checkout))
}

/// True when the latest ruling names this key in its overrides.
pub fn overrides(checkout: &Checkout, key: &str) -> bool {
    checkout
        .ruling()
        .is_some_and(|ruling| ruling.overrides.contains(key))
}

/// When everyone must be asked again because an operator said so.
pub(super) fn retry_at(checkout: &Checkout) -> Option<Time> {
    let ruling = checkout.ruling()?;
    (ruling.ruling == RulingKind::Retry).then_some(ruling.at)
}

impl Checkout {
    /// May this ruling be made now? The refusal names the guard.
    pub fn admit(&self, ruling: &Ruling, policy: &Policy) -> Result<(), RulingRefused> {
        if let Some(unknown) = ruling
            .overrides
            .iter()
            .find(|key| !OVERRIDABLE.contains(&key.as_str()))
        {
            let accepted = OVERRIDABLE.join(", ");
            let detail = format!("`{unknown}` cannot be overridden; accepted: {accepted}");
            return refuse("unknown_override", &detail, false);
        }
        match ruling.ruling {
            RulingKind::Retry | RulingKind::Hold | RulingKind::Resume | RulingKind::Settle => {
                Ok(())
            }
            RulingKind::Confirm => self.admit_confirm(policy),
            RulingKind::Refund => self.admit_refund(ruling, policy),
        }
    }

    fn admit_confirm(&self, policy: &Policy) -> Result<(), RulingRefused> {
        let captured = self
            .own_payments()
            .any(|(_, state)| state.status() == PaymentStatus::Captured);
        if self.reference.is_none() {
            return refuse("no_order", "no order is known to confirm", false);
        }
        if !captured {
            return refuse(
                "nothing_captured",
                "no money was captured for this order",
                false,
            );
        }
        if policy.mode < Mode::Confirm {
            return refuse("mode", "the shop's mode does not permit confirming", false);
        }
        let begun = self.asks.values().any(|ask| {
            let applied = ask.is_in_flight() || ask.is_unclear() || ask.is_done();
            ask.kind.gives_money_back() && applied
        });
        if begun {
            return refuse(
                "refund_begun",
                "money of this order is on its way back",
                false,
            );
        }
        Ok(())
    }

    fn admit_refund(&self, ruling: &Ruling, policy: &Policy) -> Result<(), RulingRefused> {
        if policy.mode < Mode::Full {
            return refuse("mode", "the shop's mode does not permit refunds", false);
        }
        if self.order.status() == Some(OrderStatus::Confirmed) {
            let detail = "the shop confirmed this order; it must cancel it first";
            return refuse("order_confirmed", detail, false);
        }
        let mut sum: Option<Money> = None;
        for (payment, state) in self.own_payments() {
            if state.status() != PaymentStatus::Captured {
                continue;
            }
            let position = Position::new(self, payment, state);
            let Ok(position) = position else {
                return refuse("amounts_inconsistent", "the amounts do not add up", false);
            };
            if position.is_disputed() {
                return refuse(
                    "disputed",
                    "a payment is disputed; a refund would pay twice",
                    false,
                );
            }
            let Ok(total) = sum.map_or(Ok(position.net), |sum| sum.plus(position.net)) else {
                return refuse(
                    "currency_mismatch",
                    "payments in different currencies",
                    false,
                );
            };
            sum = Some(total);
        }
        let Some(sum) = sum.filter(|sum| sum.is_positive()) else {
            return refuse("nothing_to_refund", "no captured money is left", false);
        };
        let limit = policy.auto_refund_limit;
        let is_above = sum.currency() != limit.currency() || sum > limit;
        if is_above && !ruling.overrides.contains("auto_refund_limit") {
            let detail = format!("{sum} is above auto_refund_limit ({limit})");
            return refuse("auto_refund_limit", &detail, true);
        }
        Ok(())
    }
}

fn refuse(guard: &'static str, detail: &str, may_override: bool) -> Result<(), RulingRefused> {
    Err(RulingRefused {
        guard,
        detail: detail.to_owned(),
        may_override,
    })
}
