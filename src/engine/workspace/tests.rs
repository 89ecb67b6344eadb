//! When a payment that waited without an order may still move to the order that names it, and what
//! is noted or refused when facts are learned.
//!
//! Over the core's facts alone: no store, no engine.

use super::*;
use crate::core::fact::Outcome;
use crate::core::ids::{ActionKey, OrderRef, Reference};
use crate::core::plan::ActionKind;
use crate::store::LoadedCheckout;
use crate::store::sample::{captured, eur, minute, pay, policy, read, seen, shop};

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
            looks: None,
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
fn a_payment_whose_refund_is_on_its_way_or_was_lost_stays_whatever_was_read_since() {
    assert!(stays(&refunded(None)));
    let mut checkout = refunded(lost());
    // The request may be queued somewhere, and be carried out after this was read.
    checkout.observe(&seen(read("pi_1", eur(5_995), minute(50))));
    assert!(stays(&checkout));
    assert!(stays(&refunded(Some(Outcome::Done))));
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

#[test]
fn where_a_claim_is_refused_both_learn_of_it() {
    let home = refunded(lost());
    let (id, payment) = (home.id.clone(), pay("pi_1"));
    let target = checkout_id(minute(30), "order");
    let order = OrderRef {
        shop: shop(),
        reference: Reference::parse("1001").unwrap(),
    };
    let mut workspace = Workspace::default();
    workspace.create(id.clone(), &shop(), None);
    workspace.create(target.clone(), &shop(), Some(&order));
    workspace.checkouts.get_mut(&id).unwrap().checkout = home;
    workspace.payments.insert(payment.clone(), id.clone());
    let touched = workspace.claim(&payment, &target).unwrap();
    assert_eq!(touched, BTreeSet::from([id.clone(), target.clone()]));
    for one in [id, target] {
        let checkout = &workspace.checkouts[&one].checkout;
        assert!(checkout.refused_claims.contains(&payment), "{one}");
    }
}

#[test]
fn the_end_of_a_confirm_is_recorded_with_the_looks_that_had_left_by_then() {
    let id = checkout_id(minute(0), "order");
    let mut workspace = Workspace::default();
    workspace.create(id.clone(), &shop(), None);
    let ended = |key: &str, kind, attempt| Fact::AskAnswered {
        key: ActionKey::parse(key).unwrap(),
        kind,
        attempt,
        sent_at: minute(5),
        at: minute(6),
        outcome: Outcome::Done,
        looks: None,
    };
    let look = |attempt| Fact::AskSent {
        key: ActionKey::parse("lookup").unwrap(),
        kind: ActionKind::LookUp,
        attempt,
        at: minute(90),
        payment: None,
        amount: None,
    };
    let facts = [
        ended("confirm-1", ActionKind::Confirm, 1),
        look(3),
        ended("confirm-2", ActionKind::Confirm, 1),
        look(4),
        ended("refund-1", ActionKind::Refund, 1),
    ];
    workspace.learn_facts(&id, &facts).unwrap();
    let working = &workspace.checkouts[&id];
    let recorded = |key: &str| {
        let key = ActionKey::parse(key).unwrap();
        working.checkout.asks[&key].ended.as_ref().unwrap().looks
    };
    let all = ["confirm-1", "confirm-2", "refund-1"].map(recorded);
    assert_eq!(all, [None, Some(3), None]);
    // The journal has what the checkout has.
    let mut folded = Checkout::new(id.clone(), shop(), None);
    for fact in &working.facts {
        folded.observe(fact);
    }
    assert_eq!(folded, working.checkout);
}

#[test]
fn a_checkout_with_an_action_that_cannot_be_read_learns_nothing_and_is_no_stranger() {
    let damaged = checkout_id(minute(0), "damaged");
    let checkout = Checkout::new(damaged.clone(), shop(), None);
    let plan = checkout.reconcile(minute(0), &policy());
    let loaded = LoadedCheckout {
        row: CheckoutRow {
            id: damaged.clone(),
            shop: shop(),
            reference: None,
            verdict: plan.verdict,
            reason: plan.reason,
            since: minute(0),
            created_at: minute(0),
            in_suspense: None,
            wake_at: None,
            version: 1,
            head: String::new(),
            document: serde_json::to_string(&checkout).unwrap(),
        },
        actions: Vec::new(),
        unreadable: vec!["corrupt row in actions.due".to_owned()],
    };
    let found = Found {
        checkouts: [(damaged.clone(), loaded)].into(),
        ..Found::default()
    };
    let mut workspace = Workspace::new(found, &Decoded::default());
    let left = Fact::BrakeReleased { at: minute(1) };
    let refused = workspace.learn_facts(&damaged, &[left]).unwrap_err();
    assert_eq!(
        (refused.id, refused.why.as_str()),
        (damaged.clone(), "corrupt row in actions.due")
    );
    assert!(!workspace.is_readable(&damaged));
    assert!(workspace.is_readable(&checkout_id(minute(0), "never heard of")));
}
