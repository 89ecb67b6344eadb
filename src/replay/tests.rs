//! Replays over hand-made stores: what differs is listed, what does not is not, and a journal
//! that was changed is named.

use super::*;
use crate::core::order::{OrderStatus, Via};
use crate::core::payment::RefundState;
use crate::core::plan::ActionKind;
use crate::core::policy::{GuardLimits, HoldOrRefund, Mode};
use crate::store::memory::MemoryStore;
use crate::store::sample::{
    captured, done, eur, minute, policy, read, said, seen, shop, with_refund, write,
};

const PRICE: i64 = 5_995;

fn policies(new: Policy) -> Policies {
    Policies {
        old: BTreeMap::from([(shop(), policy())]),
        new: BTreeMap::from([(shop(), new)]),
    }
}

async fn replayed(
    store: &MemoryStore,
    policies: &Policies,
    since: Option<Time>,
) -> (Vec<Found>, Summary) {
    let mut replay = Replay::new(store, policies, since, minute(600));
    let mut found = Vec::new();
    while let Some(one) = replay.next().await.unwrap() {
        found.push(one);
    }
    (found, replay.summary)
}

fn only(found: &[Found]) -> &Difference {
    match found {
        [Found::Differs(one)] => one,
        other => panic!("{other:?}"),
    }
}

/// Money without an order, held after its grace; and an order whose money settled it.
async fn two_lives() -> MemoryStore {
    let store = MemoryStore::new();
    let orphan = seen(captured("pi_1", eur(PRICE), minute(0)));
    let orphan = [(minute(0), vec![orphan]), (minute(15), vec![])];
    write(&store, "c1", None, &orphan, &policy()).await;
    let order = said(Via::Event, OrderStatus::Pending, eur(PRICE), minute(0));
    let paid = seen(captured("pi_2", eur(PRICE), minute(1)));
    let settled = said(Via::Confirm, OrderStatus::Confirmed, eur(PRICE), minute(2));
    let settled = [
        (minute(0), vec![order]),
        (minute(1), vec![paid]),
        (minute(2), vec![settled]),
    ];
    write(&store, "c2", Some("1001"), &settled, &policy()).await;
    store
}

#[tokio::test]
async fn the_same_policy_makes_no_difference() {
    let store = two_lives().await;
    let (found, summary) = replayed(&store, &policies(policy()), None).await;
    assert_eq!(found, []);
    let expected = Summary {
        checkouts: 2,
        ..Summary::default()
    };
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn only_what_would_end_otherwise_is_listed_with_the_money_at_stake() {
    let store = two_lives().await;
    let new = Policy {
        unreferenced: HoldOrRefund::Refund,
        ..policy()
    };
    let (found, summary) = replayed(&store, &policies(new), None).await;
    let one = only(&found);
    assert_eq!(one.checkout.as_str(), "c1");
    assert_eq!(
        (one.old.verdict, one.new.verdict),
        (Verdict::Held, Verdict::Refunding)
    );
    assert_eq!(one.parts_at, minute(15));
    assert_eq!(one.at_stake, [eur(PRICE)]);
    assert!(!one.is_only_later);
    assert_eq!((summary.checkouts, summary.differ), (2, 1));
    assert_eq!(summary.at_stake, BTreeMap::from([(Currency::EUR, PRICE)]));
}

#[tokio::test]
async fn a_money_action_that_only_one_policy_wants_is_a_difference() {
    let store = two_lives().await;
    let new = Policy {
        mode: Mode::Observe,
        ..policy()
    };
    let (found, _) = replayed(&store, &policies(new), None).await;
    let one = only(&found);
    assert_eq!(one.checkout.as_str(), "c2");
    // The record says that the shop confirmed; under the other policy nobody would have asked.
    assert_eq!(
        (one.old.verdict, one.new.verdict),
        (Verdict::Settled, Verdict::Settled)
    );
    let act = |one: &Act| (one.kind, one.amount);
    let old: Vec<_> = one.old.acts.iter().map(act).collect();
    assert_eq!(old, [(ActionKind::Confirm, Some(eur(PRICE)))]);
    assert_eq!(one.new.acts, []);
    assert_eq!(
        (one.parts_at, one.at_stake.as_slice()),
        (minute(1), &[eur(PRICE)][..])
    );
}

/// Money without an order that went back after the usual delay.
async fn a_refund(policy: &Policy) -> MemoryStore {
    let store = MemoryStore::new();
    let key = "refund-stripe_nl.pi_1-1";
    let paid = captured("pi_1", eur(PRICE), minute(0));
    let looked = read("pi_1", eur(PRICE), minute(26));
    let fetched = done("fetch-stripe_nl.pi_1", ActionKind::Fetch, None, minute(26));
    let asked = done(
        key,
        ActionKind::Refund,
        Some(("pi_1", eur(PRICE))),
        minute(26),
    );
    let gone = with_refund(
        read("pi_1", eur(PRICE), minute(27)),
        key,
        eur(PRICE),
        RefundState::Succeeded,
    );
    let moments = [
        (minute(0), vec![seen(paid)]),
        (minute(15), vec![]),
        (minute(25), vec![]),
        (minute(26), [vec![seen(looked)], fetched.to_vec()].concat()),
        (minute(27), [asked.to_vec(), vec![seen(gone)]].concat()),
    ];
    write(&store, "c1", None, &moments, policy).await;
    store
}

#[tokio::test]
async fn a_refund_that_would_only_have_come_later_is_listed_as_that() {
    let old = Policy {
        unreferenced: HoldOrRefund::Refund,
        ..policy()
    };
    let store = a_refund(&old).await;
    let new = Policy {
        refund_delay: Span::from_minutes(30),
        ..old.clone()
    };
    let mut both = policies(new);
    both.old.insert(shop(), old.clone());
    let (found, summary) = replayed(&store, &both, None).await;
    let one = only(&found);
    assert!(one.is_only_later, "{one:?}");
    assert_eq!((one.old.acts.len(), one.new.acts.len()), (1, 0));
    assert_eq!(
        (one.old.verdict, one.new.verdict),
        (Verdict::Returned, Verdict::Returned)
    );
    assert_eq!(summary.differ_only_in_when, 1);
    // Never wanting it at all is more than that.
    both.new.insert(shop(), policy());
    let (found, summary) = replayed(&store, &both, None).await;
    assert!(!only(&found).is_only_later);
    assert_eq!((summary.differ, summary.differ_only_in_when), (1, 0));
}

#[tokio::test]
async fn wake_ups_of_the_other_policy_between_two_entries_are_followed() {
    let store = MemoryStore::new();
    let order = said(Via::Event, OrderStatus::Pending, eur(PRICE), minute(0));
    let part = seen(captured("pi_1", eur(3_000), minute(0)));
    let rest = seen(captured("pi_2", eur(2_995), minute(10)));
    let moments = [(minute(0), vec![order, part]), (minute(10), vec![rest])];
    write(&store, "c1", Some("1001"), &moments, &policy()).await;
    let hasty = Policy {
        order_grace: Span::from_minutes(5),
        ..policy()
    };
    // Both ask for the confirm once the rest is here: the hold in between left no trace.
    let (found, _) = replayed(&store, &policies(hasty.clone()), None).await;
    assert_eq!(found, []);
    let checkout = Checkout::new(CheckoutId::parse("c1").unwrap(), shop(), None);
    let mut known = checkout.clone();
    known.observe(&seen(captured("pi_1", eur(3_000), minute(0))));
    let mut course = Course::new(&hasty);
    course.live(&known, minute(0), minute(10));
    course.end(&known, minute(10));
    let held = course::verdicts_of(&course);
    assert_eq!(held, [Verdict::Matching, Verdict::Held]);
}

#[tokio::test]
async fn since_leaves_out_what_rested_and_decides_only_from_then_on() {
    let store = two_lives().await;
    let new = Policy {
        mode: Mode::Observe,
        ..policy()
    };
    // The confirm of c2 was wanted at minute 1; only its end lies after minute 2.
    let (found, summary) = replayed(&store, &policies(new.clone()), Some(minute(2))).await;
    assert_eq!((found.len(), summary.checkouts), (0, 2));
    let (found, summary) = replayed(&store, &policies(new.clone()), Some(minute(1))).await;
    assert_eq!((found.len(), summary.checkouts), (1, 2));
    let (_, summary) = replayed(&store, &policies(new), Some(minute(3))).await;
    assert_eq!(summary.checkouts, 1);
}

#[tokio::test]
async fn a_record_of_another_policy_is_told_and_a_changed_one_is_named() {
    let store = two_lives().await;
    let held = Policy {
        unreferenced: HoldOrRefund::Refund,
        ..policy()
    };
    let mut both = policies(held.clone());
    both.old.insert(shop(), held);
    let (found, summary) = replayed(&store, &both, None).await;
    assert_eq!((found.len(), summary.unlike_recorded), (0, 1));
    let mut replay = Replay::new(&store, &both, None, minute(600));
    let (row, mut entries) = store.audit_page(None, 1).await.unwrap().remove(0);
    entries[0].facts.push(' ');
    let found = replay.judge(&row, &entries);
    let Some(Found::Unreadable { why, .. }) = found else {
        panic!("{found:?}");
    };
    assert!(why.contains("hash_differs"), "{why}");
    assert_eq!(replay.summary.unreadable, 1);
}

#[test]
fn limits_of_the_guard_that_differ_are_told() {
    let guard = GuardLimits {
        max_refunds_per_hour: 1,
        ..policy().guard
    };
    assert!(!policies(policy()).differ_in_guard());
    assert!(policies(Policy { guard, ..policy() }).differ_in_guard());
}
