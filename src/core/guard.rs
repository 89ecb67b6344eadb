//! The guard: when refunds come too fast, they stop.
//!
//! Pure arithmetic over the last hour's counts of one shop. It knows no checkout; whoever lets
//! a refund leave asks it in the same transaction that counts the refund.

use super::fact::BrakeCause;
use super::money::Money;
use super::policy::GuardLimits;

/// How far back the guard looks, in minutes.
pub const WINDOW_MINUTES: u64 = 60;
/// Captures in the window below which their share says nothing.
pub const SHARE_CAPTURES_MIN: u64 = 20;
/// Answers about distinct orders in the window below which their share of `unknown` says nothing.
pub const UNKNOWN_ANSWERS_MIN: u64 = 10;
/// Share of `unknown` among the shop's answers above which refunds stop, in millionths.
pub const UNKNOWN_SHARE_MILLIONTHS: u64 = 500_000;

/// One shop's last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastHour {
    /// Payments first seen captured.
    pub captures: u64,
    /// Refunds that left.
    pub refunds: u64,
    /// Their sums, one entry per currency.
    pub refunded: Vec<Money>,
    /// Orders about which the shop was asked because money waited for them.
    pub orders_answered: u64,
    /// … of which it said `unknown`.
    pub orders_unknown: u64,
}

/// May one more refund of this amount leave? The cause when it may not. Limits named in
/// `overridden` do not count.
pub fn judge(
    limits: &GuardLimits,
    hour: &LastHour,
    amount: Money,
    overridden: impl Fn(&str) -> bool,
) -> Result<(), BrakeCause> {
    let causes = [
        (BrakeCause::UnknownRunaway, is_unknown_runaway(hour)),
        (
            BrakeCause::RefundCount,
            hour.refunds >= u64::from(limits.max_refunds_per_hour),
        ),
        (BrakeCause::RefundSum, is_sum_past(limits, hour, amount)),
        (BrakeCause::RefundShare, is_share_past(limits, hour)),
    ];
    let standing = causes
        .into_iter()
        .find(|(cause, found)| *found && !overridden(cause.code()));
    standing.map_or(Ok(()), |(cause, _)| Err(cause))
}

/// True when too many of the shop's answers were `unknown` for another of them to count.
pub fn is_unknown_runaway(hour: &LastHour) -> bool {
    let unknown = hour.orders_unknown.saturating_mul(1_000_000);
    let bound = hour
        .orders_answered
        .saturating_mul(UNKNOWN_SHARE_MILLIONTHS);
    hour.orders_answered >= UNKNOWN_ANSWERS_MIN && unknown > bound
}

/// The limit's figure counts in minor units for every currency by itself: nothing converts.
fn is_sum_past(limits: &GuardLimits, hour: &LastHour, amount: Money) -> bool {
    let same = hour
        .refunded
        .iter()
        .find(|sum| sum.currency() == amount.currency());
    let before = same.copied().unwrap_or(Money::zero(amount.currency()));
    match before.plus(amount) {
        Ok(sum) => sum.minor() > limits.max_refund_sum_per_hour.minor(),
        Err(_) => true,
    }
}

fn is_share_past(limits: &GuardLimits, hour: &LastHour) -> bool {
    let after = hour.refunds.saturating_add(1).saturating_mul(1_000_000);
    let bound = hour
        .captures
        .saturating_mul(u64::from(limits.max_refund_share_millionths));
    hour.captures >= SHARE_CAPTURES_MIN && after > bound
}

#[cfg(test)]
mod tests {
    use super::super::money::Currency;
    use super::super::policy::Policy;
    use super::*;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::EUR)
    }

    fn judged(hour: &LastHour, amount: Money) -> Result<(), BrakeCause> {
        judge(&Policy::default().guard, hour, amount, |_| false)
    }

    #[test]
    fn the_twentieth_refund_of_the_hour_leaves_and_the_next_does_not() {
        let hour = LastHour {
            refunds: 19,
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Ok(()));
        let hour = LastHour {
            refunds: 20,
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Err(BrakeCause::RefundCount));
    }

    #[test]
    fn the_sum_counts_the_refund_that_is_about_to_leave() {
        let hour = LastHour {
            refunds: 2,
            refunded: vec![eur(249_999)],
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Ok(()));
        assert_eq!(judged(&hour, eur(2)), Err(BrakeCause::RefundSum));
        let overflow = LastHour {
            refunded: vec![eur(i64::MAX)],
            ..LastHour::default()
        };
        assert_eq!(judged(&overflow, eur(1)), Err(BrakeCause::RefundSum));
    }

    #[test]
    fn the_share_counts_from_twenty_captures() {
        let hour = LastHour {
            captures: 19,
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Ok(()));
        let hour = LastHour {
            captures: 20,
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Ok(()), "1 of 20 is exactly 5 %");
        let hour = LastHour {
            captures: 20,
            refunds: 1,
            ..LastHour::default()
        };
        assert_eq!(judged(&hour, eur(1)), Err(BrakeCause::RefundShare));
    }

    #[test]
    fn a_shop_that_calls_most_orders_unknown_stops_refunds() {
        let half = LastHour {
            orders_answered: 10,
            orders_unknown: 5,
            ..LastHour::default()
        };
        assert_eq!(judged(&half, eur(1)), Ok(()));
        let most = LastHour {
            orders_answered: 10,
            orders_unknown: 6,
            ..LastHour::default()
        };
        assert_eq!(judged(&most, eur(1)), Err(BrakeCause::UnknownRunaway));
        let few = LastHour {
            orders_answered: 9,
            orders_unknown: 9,
            ..LastHour::default()
        };
        assert_eq!(judged(&few, eur(1)), Ok(()));
    }

    #[test]
    fn an_override_lifts_only_the_limit_it_names() {
        let hour = LastHour {
            refunds: 20,
            refunded: vec![eur(250_000)],
            ..LastHour::default()
        };
        let limits = Policy::default().guard;
        let count = judge(&limits, &hour, eur(1), |key| key == "max_refunds_per_hour");
        assert_eq!(count, Err(BrakeCause::RefundSum));
        let both = judge(&limits, &hour, eur(1), |key| key.starts_with("max_refund"));
        assert_eq!(both, Ok(()));
    }
}
