//! How many unsigned deliveries an account is given: anybody can send them, and each may cost
//! calls to the PSP.
//!
//! A share of what the account may be called, so that a flood of made-up names leaves room for
//! the calls that matter. Pure over moments; knows no PSP and no delivery.

use crate::core::ids::AccountId;
use crate::core::time::{Span, Time};
use crate::outbound::pace::PaceLimits;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Unsigned deliveries per call that the account may get, in tenths: a name that nobody vouches
/// for costs at most two reads, so four tenths leave a fifth of the calls for everything else.
const TENTHS_OF_PACE: u64 = 4;
/// Deliveries that may come together after a quiet time.
const UNSIGNED_AT_ONCE_MAX: u64 = 200;

/// The budget of every account; made anew at each start.
#[derive(Debug, Default)]
pub struct UnsignedBudget(Mutex<BTreeMap<AccountId, Time>>);

impl UnsignedBudget {
    /// True when one more is taken now.
    pub(super) fn takes(&self, account: &AccountId, pace: PaceLimits, now: Time) -> bool {
        let mut reserved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = reserved.entry(account.clone()).or_insert(now);
        let rate = u64::from(pace.per_second.max(1)).saturating_mul(TENTHS_OF_PACE);
        let each = 10_000_000_u64.checked_div(rate).unwrap_or(1);
        let horizon = now.plus(Span::from_micros(each.saturating_mul(UNSIGNED_AT_ONCE_MAX)));
        // A clock that was set back must not keep the door shut for longer than the pace asks.
        let from = (*until).clamp(now, horizon);
        let next = from.plus(Span::from_micros(each));
        let fits = next <= horizon;
        *until = if fits { next } else { from };
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &UnsignedBudget, account: &str, now: Time, tries: u64) -> u64 {
        let account = AccountId::parse(account).unwrap();
        let takes = |_: &u64| budget.takes(&account, PaceLimits::PSP, now);
        u64::try_from((0..tries).filter(takes).count()).unwrap()
    }

    #[test]
    fn a_burst_is_taken_and_then_four_tenths_of_the_accounts_pace() {
        let budget = UnsignedBudget::default();
        let start = Time::from_seconds(1_000);
        assert_eq!(taken(&budget, "a", start, 500), UNSIGNED_AT_ONCE_MAX);
        assert_eq!(taken(&budget, "b", start, 10), 10, "another account");
        let later = start.plus(Span::from_seconds(3));
        assert_eq!(taken(&budget, "a", later, 500), 30);
        let long = later.plus(Span::from_hours(1));
        assert_eq!(taken(&budget, "a", long, 500), UNSIGNED_AT_ONCE_MAX);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_shut_the_door_for_long() {
        let budget = UnsignedBudget::default();
        let start = Time::from_seconds(1_000_000);
        assert_eq!(taken(&budget, "a", start, 500), UNSIGNED_AT_ONCE_MAX);
        let back = start.minus(Span::from_days(3));
        assert_eq!(taken(&budget, "a", back, 1), 0);
        let soon = back.plus(Span::from_seconds(1));
        assert_eq!(taken(&budget, "a", soon, 500), 10);
    }
}
