//! Who plays in the demo: order numbers and amounts, chosen by the seed, and what must have
//! become of each customer at the end.
//!
//! Knows the sandboxes' books and nothing of the daemon.

use crate::core::money::Money;
use crate::sandbox::books::{Customer, Judgement};
use crate::sandbox::rig::eur;

/// An order that may or may not exist, and its price.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) reference: String,
    pub(super) amount: Money,
}

impl Cast {
    /// The player of this number; the same seed casts the same.
    pub(super) fn new(seed: u64, number: usize) -> Cast {
        let number = u64::try_from(number).unwrap_or_default();
        let first = mixed(seed).checked_rem(8_000_000).unwrap_or(0);
        let reference = 1_000_000_u64.saturating_add(first).saturating_add(number);
        let cents = mixed(seed ^ mixed(number)).checked_rem(20_000).unwrap_or(0);
        let cents = i64::try_from(cents).unwrap_or(0).saturating_add(500);
        Cast {
            reference: reference.to_string(),
            amount: eur(cents),
        }
    }
}

/// SplitMix64's output function: spreads small seeds over all bits.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What must have become of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// One order, paid once, confirmed once, nothing given back.
    Confirmed,
    /// Confirmed once; all money but the price went back, in one refund.
    ConfirmedExcessBack,
    /// No order, and all money went back in one refund.
    AllBack,
    /// Neither money nor order.
    Untouched,
}

impl Fate {
    /// The verdict that the daemon must have come to.
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Fate::Confirmed | Fate::ConfirmedExcessBack => "settled",
            Fate::AllBack => "returned",
            Fate::Untouched => "open",
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Fate::Confirmed => "charged once, confirmed and mailed once, nothing refunded",
            Fate::ConfirmedExcessBack => {
                "confirmed and mailed once, the second payment refunded once"
            }
            Fate::AllBack => "no confirmed order, all money refunded in one refund",
            Fate::Untouched => "not charged, not confirmed",
        }
    }

    /// True when the books say so.
    pub(super) fn holds(self, customer: &Customer) -> bool {
        let counts = (customer.payments, customer.refunds, customer.mails);
        let wanted = match self {
            Fate::Confirmed => customer.is_confirmed && counts == (1, 0, 1),
            Fate::ConfirmedExcessBack => customer.is_confirmed && counts == (2, 1, 1),
            Fate::AllBack => !customer.is_confirmed && counts == (1, 1, 0),
            Fate::Untouched => !customer.is_confirmed && counts == (0, 0, 0),
        };
        wanted && customer.judgement() == Judgement::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::money::Currency;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_casts_the_same_orders_again_and_another_seed_others() {
        let cast = |seed| (0..20).map(|n| Cast::new(seed, n)).collect::<Vec<_>>();
        let names = |seed| {
            cast(seed)
                .into_iter()
                .map(|c| c.reference)
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(names(1), names(1));
        assert_eq!(names(1).len(), 20);
        assert_ne!(names(1), names(2));
        for one in cast(7) {
            assert_eq!(one.reference.len(), 7);
            assert!((500..20_500).contains(&one.amount.minor()));
        }
    }

    #[test]
    fn each_fate_holds_only_of_its_own_books() {
        let base = Customer {
            currency: Some(Currency::EUR),
            ..Customer::default()
        };
        let confirmed = Customer {
            charged: 100,
            payments: 1,
            owed: Some(100),
            is_confirmed: true,
            mails: 1,
            ..base.clone()
        };
        let double = Customer {
            charged: 200,
            refunded: 100,
            payments: 2,
            refunds: 1,
            ..confirmed.clone()
        };
        let back = Customer {
            charged: 100,
            refunded: 100,
            payments: 1,
            refunds: 1,
            ..base.clone()
        };
        let books = [confirmed, double, back, base];
        let fates = [
            Fate::Confirmed,
            Fate::ConfirmedExcessBack,
            Fate::AllBack,
            Fate::Untouched,
        ];
        for (place, fate) in fates.into_iter().enumerate() {
            for (other, customer) in books.iter().enumerate() {
                assert_eq!(
                    fate.holds(customer),
                    place == other,
                    "{fate:?} {customer:?}"
                );
            }
        }
        let half = Customer {
            refunded: 50,
            ..books[2].clone()
        };
        assert!(!Fate::AllBack.holds(&half));
    }
}
