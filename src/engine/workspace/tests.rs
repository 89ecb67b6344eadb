//! When a payment that waited without an order may still move to the order that names it.
//!
//! Over the core's facts alone: no store, no engine.

use super::*;
use crate::core::ids::ActionKey;
use crate::core::payment::RefundState;
use crate::store::sample::{captured, eur, minute, pay, read, seen, shop, with_refund};

const KEY: &str = "refund-stripe_nl.pi_1-1";

/// A captured payment whose refund left at 20 and came to this end at 21.
fn refunded(outcome: Option<Outcome>) -> Checkout {
    let id = checkout_id(minute(0), "payment");
    let mut checkout = Checkout::new(id, shop(), None);
    checkout.observe(&seen(captured("pi_1", eur(5_995), minute(0))));
    let key = ActionKey::parse(KEY).unwrap();
    checkout.observe(&Fact::AskSent {
        key: key.clone(),
        kind: ActionKind::Refund,
        attempt: 1,
        at: minute(20),
        payment: Some(pay("pi_1")),
        amount: Some(eur(5_995)),
    });
    if let Some(outcome) = outcome {
        checkout.observe(&Fact::AskAnswered {
            key,
            kind: ActionKind::Refund,
            attempt: 1,
            sent_at: minute(20),
            at: minute(21),
            outcome,
        });
    }
    checkout
}

fn lost() -> Option<Outcome> {
    Some(Outcome::Unclear {
        code: "lost_lease".to_owned(),
    })
}

fn stays(checkout: &Checkout) -> bool {
    may_be_back(checkout, &pay("pi_1"))
}

#[test]
fn a_payment_whose_refund_is_on_its_way_or_lost_stays_until_a_list_read_since_shows_none() {
    assert!(stays(&refunded(None)));
    let mut checkout = refunded(lost());
    assert!(stays(&checkout));
    checkout.observe(&seen(read("pi_1", eur(5_995), minute(21))));
    assert!(stays(&checkout), "read in the moment when it was lost");
    checkout.observe(&seen(read("pi_1", eur(5_995), minute(22))));
    assert!(!stays(&checkout));
}

#[test]
fn a_payment_whose_refund_the_psp_shows_stays() {
    for state in [RefundState::Pending, RefundState::Succeeded] {
        let mut checkout = refunded(lost());
        let shown = with_refund(read("pi_1", eur(5_995), minute(22)), KEY, eur(5_995), state);
        checkout.observe(&seen(shown));
        assert!(stays(&checkout), "{state:?}");
    }
    let done = refunded(Some(Outcome::Done));
    assert!(stays(&done));
}

#[test]
fn a_payment_whose_refund_never_left_or_was_declined_may_move() {
    let code = "no_balance".to_owned();
    let ends = [
        Outcome::NotSent { code: code.clone() },
        Outcome::Refused { code },
    ];
    for outcome in ends {
        assert!(!stays(&refunded(Some(outcome.clone()))), "{outcome:?}");
    }
}
