//! Laws of letting go.
//!
//! What is past its retention goes in bounded steps; what waits stays whatever its age.

use super::deliveries::deal_with_all;
use super::drafts::{
    Draft, at, delivery, done, id, lease, load, look_up, named, order, payment, reference, shop,
};
use reconciled::core::plan::Verdict;
use reconciled::core::time::{Span, Time};
use reconciled::store::{
    Appended, CheckoutFilter, CommitUnit, Disposition, Retention, Store, Tally, TallyKind, Wanted,
};
use std::sync::Arc;

const DAY: i64 = 86_400;

fn retention(rows_max: u32) -> Retention {
    Retention {
        bodies: Span::from_days(7),
        checkouts: Span::from_days(90),
        rows_max,
    }
}

/// Prunes until nothing is left to let go of; how many steps it took.
async fn prune(store: &dyn Store, now: Time, rows_max: u32) -> usize {
    for steps in 0..10_000 {
        if store.prune(now, retention(rows_max)).await.unwrap() == 0 {
            return steps;
        }
    }
    panic!("pruning does not come to an end");
}

pub(super) async fn bodies_go_before_ids_and_waiting_deliveries_stay(store: &Arc<dyn Store>) {
    let store = &**store;
    store.append(&[delivery("taken", "1")]).await.unwrap();
    deal_with_all(store, &Disposition::Taken).await;
    store.append(&[delivery("waits", "1")]).await.unwrap();
    assert_eq!(prune(store, at(7 * DAY), 100).await, 0);
    assert_eq!(prune(store, at(7 * DAY + 1), 100).await, 1);
    assert_eq!(
        store.append(&[delivery("taken", "1")]).await.unwrap(),
        [Appended::Duplicate]
    );
    assert_eq!(
        store.append(&[delivery("taken", "2")]).await.unwrap(),
        [Appended::Conflict]
    );
    prune(store, at(1_000 * DAY), 100).await;
    let pending = store.pending(9).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].delivery, delivery("waits", "1"));
    assert_eq!(
        store.append(&[delivery("waits", "1")]).await.unwrap(),
        [Appended::Duplicate]
    );
}

pub(super) async fn a_pruned_delivery_id_is_new_again(store: &Arc<dyn Store>) {
    let store = &**store;
    let batch: Vec<_> = (0..10).map(|n| delivery(&n.to_string(), "1")).collect();
    store.append(&batch).await.unwrap();
    deal_with_all(store, &Disposition::Ignored).await;
    let mut late = delivery("late", "1");
    late.received_at = at(91 * DAY);
    store.append(&[late.clone()]).await.unwrap();
    deal_with_all(store, &Disposition::Ignored).await;
    prune(store, at(91 * DAY), 4).await;
    assert_eq!(store.append(&[late]).await.unwrap(), [Appended::Duplicate]);
    assert_eq!(store.append(&batch).await.unwrap(), [Appended::New; 10]);
    assert_eq!(store.pending(99).await.unwrap().len(), 10);
}

pub(super) async fn parked_deliveries_go_with_the_longest_retention(store: &Arc<dyn Store>) {
    let store = &**store;
    store
        .append(&[delivery("a", "1"), delivery("a", "2")])
        .await
        .unwrap();
    deal_with_all(
        store,
        &Disposition::Parked {
            why: "not_json".into(),
        },
    )
    .await;
    prune(store, at(90 * DAY), 100).await;
    assert_eq!(store.parked(9).await.unwrap().len(), 2);
    prune(store, at(90 * DAY + 1), 100).await;
    assert_eq!(store.parked(9).await.unwrap(), []);
    let again = store
        .append(&[delivery("a", "2"), delivery("a", "1")])
        .await
        .unwrap();
    assert_eq!(again, [Appended::New, Appended::Conflict]);
}

pub(super) async fn a_resting_checkout_goes_with_everything_that_is_its_own(
    store: &Arc<dyn Store>,
) {
    let store = &**store;
    for (name, order, pi, verdict) in [
        ("c1", "1000041", "pi_1", Verdict::Settled),
        ("c2", "1000042", "pi_2", Verdict::Returned),
        ("c3", "1000043", "pi_3", Verdict::Closed),
        ("c4", "1000044", "pi_4", Verdict::Foreign),
    ] {
        let first = done(store, Draft::new(name).reference(order).payment(pi)).await;
        let rest = Draft::after(&first)
            .verdict(verdict)
            .action(look_up("a", at(0)));
        done(
            store,
            rest.with(|one| one.entry.at = at(0)).written(at(0), "[]"),
        )
        .await;
    }
    let young = Draft::new("c5")
        .verdict(Verdict::Settled)
        .written(at(DAY), "[]");
    done(store, young).await;
    prune(store, at(90 * DAY), 100).await;
    assert!(load(store, "c1").await.is_some());
    prune(store, at(90 * DAY + 1), 100).await;
    let wanted = Wanted {
        checkouts: ["c1", "c2", "c3", "c4", "c5"].map(named).to_vec(),
        ids: ["c1", "c5"].map(id).to_vec(),
        orders: ["1000041", "1000042", "1000043", "1000044"]
            .map(order)
            .to_vec(),
        payments: ["pi_1", "pi_2", "pi_3", "pi_4"].map(payment).to_vec(),
    };
    let found = store.load(&wanted).await.unwrap();
    assert_eq!(found.checkouts.keys().collect::<Vec<_>>(), [&id("c5")]);
    assert_eq!((found.orders.len(), found.payments.len()), (0, 0));
    assert_eq!(store.journal(&id("c1"), 0, 9).await.unwrap(), []);
    assert_eq!(lease(store, at(DAY)).await, []);
    assert_eq!(store.overview().await.unwrap().len(), 1);
    let named = CheckoutFilter {
        reference: Some(reference("1000041")),
        limit: 9,
        ..Default::default()
    };
    assert_eq!(store.checkouts(&named).await.unwrap(), []);
    done(store, Draft::new("c1").reference("1000041").payment("pi_1")).await;
}

pub(super) async fn what_is_open_held_waking_or_leased_stays_whatever_its_age(
    store: &Arc<dyn Store>,
) {
    let store = &**store;
    let mut names = Vec::new();
    for verdict in Verdict::ALL.into_iter().filter(|one| !one.is_at_rest()) {
        done(store, Draft::new(verdict.code()).verdict(verdict)).await;
        names.push(verdict.code());
    }
    done(
        store,
        Draft::new("waking")
            .verdict(Verdict::Settled)
            .wake_at(Some(at(0))),
    )
    .await;
    done(
        store,
        Draft::new("leased")
            .verdict(Verdict::Settled)
            .action(look_up("a", at(0))),
    )
    .await;
    lease(store, at(0)).await;
    names.extend(["waking", "leased"]);
    assert_eq!(prune(store, at(10_000 * DAY), 100).await, 0);
    for name in names {
        assert!(load(store, name).await.is_some(), "{name}");
    }
}

pub(super) async fn a_step_is_bounded(store: &Arc<dyn Store>) {
    let store = &**store;
    let batch: Vec<_> = (0..30).map(|n| delivery(&n.to_string(), "1")).collect();
    store.append(&batch).await.unwrap();
    deal_with_all(store, &Disposition::Taken).await;
    let units: Vec<_> = (0..30)
        .map(|n| {
            Draft::new(&format!("c{n}"))
                .verdict(Verdict::Settled)
                .unit()
        })
        .collect();
    store.commit(&units).await.unwrap();
    let mut steps = 0_usize;
    loop {
        let touched = store.prune(at(1_000 * DAY), retention(10)).await.unwrap();
        assert!(touched <= 10, "{touched}");
        if touched == 0 {
            break;
        }
        steps = steps.saturating_add(1);
    }
    assert!(steps >= 9, "{steps}");
    assert_eq!(store.overview().await.unwrap(), []);
    assert_eq!(store.audit_page(None, 9).await.unwrap(), []);
}

pub(super) async fn old_tallies_go(store: &Arc<dyn Store>) {
    let store = &**store;
    let tally = |seconds| Tally {
        shop: shop(),
        at: at(seconds),
        kind: TallyKind::Capture,
        amount: None,
    };
    let unit = CommitUnit {
        tallies: vec![tally(-4 * DAY), tally(-DAY)],
        ..CommitUnit::default()
    };
    store.commit(&[unit]).await.unwrap();
    prune(store, at(0), 100).await;
    let sums = store.tallies(&shop(), at(-100 * DAY)).await.unwrap();
    assert_eq!(sums.counts[&TallyKind::Capture], 1);
}
