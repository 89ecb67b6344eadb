//! Laws of orders that look like one purchase made twice.
//!
//! A commit says what an order is recognised by; the store says which others are like it.

use super::drafts::{Draft, at, commit, done, eur, id, named, reference, shop};
use reconciled::core::plan::Verdict;
use reconciled::core::time::Span;
use reconciled::store::{CommitUnit, Committed, Lookalike, Retention, Sighting, Store};
use std::sync::Arc;

fn seen(mark: &str, minor: i64, seconds: i64) -> Sighting {
    Sighting {
        shop: shop(),
        mark: mark.to_owned(),
        amount: eur(minor),
        paid_at: at(seconds),
    }
}

async fn settles(store: &dyn Store, name: &str, sighting: Sighting) {
    let draft = Draft::new(name).reference(name).verdict(Verdict::Settled);
    let unit = CommitUnit {
        sightings: vec![(named(name), Some(sighting))],
        ..draft.unit()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
}

/// Each order that looks like another, with that other; both views must agree.
async fn pairs(store: &dyn Store) -> Vec<(String, String)> {
    let names = ["c1", "c2", "c3", "c4", "c5", "c6"].map(named);
    let twins = store.twins(&names).await.unwrap();
    let listed = store.lookalikes(at(0), 99).await.unwrap();
    assert_eq!(listed.len(), twins.len());
    for one in &listed {
        assert_eq!(twins.get(&one.checkout), Some(&one.twin));
    }
    let text = |(one, other): (_, _)| (format!("{one}"), format!("{other}"));
    twins.into_iter().map(text).collect()
}

fn pair(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

pub(super) async fn orders_alike_within_half_an_hour_point_to_each_other(store: &Arc<dyn Store>) {
    let store = &**store;
    settles(store, "c1", seen("k1", 5_995, 10_000)).await;
    settles(store, "c2", seen("k2", 5_995, 10_000)).await;
    settles(store, "c3", seen("k1", 5_996, 10_000)).await;
    settles(store, "c4", seen("k1", 5_995, 10_000 + 1_801)).await;
    assert_eq!(pairs(store).await, []);
    settles(store, "c5", seen("k1", 5_995, 10_000 - 1_800)).await;
    assert_eq!(pairs(store).await, [pair("c1", "c5"), pair("c5", "c1")]);
    let listed = store.lookalikes(at(10_000), 99).await.unwrap();
    let expected = Lookalike {
        checkout: id("c1"),
        shop: shop(),
        reference: Some(reference("c1")),
        twin: id("c5"),
        amount: eur(5_995),
        paid_at: at(10_000),
    };
    assert_eq!(listed, [expected]);
    let most = store.lookalikes(at(0), 1).await.unwrap();
    assert_eq!(most.len(), 1);
    assert_eq!(most[0].checkout, id("c1"), "the latest comes first");
}

pub(super) async fn an_order_that_is_recognised_no_more_leaves_the_others_to_each_other(
    store: &Arc<dyn Store>,
) {
    let store = &**store;
    for (name, seconds) in [("c1", 100), ("c2", 200), ("c3", 300)] {
        settles(store, name, seen("k1", 5_995, seconds)).await;
    }
    let three = [pair("c1", "c2"), pair("c2", "c1"), pair("c3", "c2")];
    assert_eq!(pairs(store).await, three);
    let unit = CommitUnit {
        sightings: vec![(named("c2"), None)],
        ..CommitUnit::default()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
    assert_eq!(pairs(store).await, [pair("c1", "c3"), pair("c3", "c1")]);
}

pub(super) async fn a_conflicting_commit_is_not_recognised_by_anything(store: &Arc<dyn Store>) {
    let store = &**store;
    settles(store, "c1", seen("k1", 5_995, 100)).await;
    done(store, Draft::new("c2")).await;
    let unit = CommitUnit {
        sightings: vec![(named("c2"), Some(seen("k1", 5_995, 100)))],
        ..Draft::new("c2").unit()
    };
    assert_eq!(commit(store, unit).await, Committed::Conflict);
    assert_eq!(pairs(store).await, []);
}

pub(super) async fn a_pruned_order_is_nobodys_twin(store: &Arc<dyn Store>) {
    let store = &**store;
    settles(store, "c1", seen("k1", 5_995, 100)).await;
    let awake = Draft::new("c2")
        .verdict(Verdict::Settled)
        .wake_at(Some(at(9)));
    let unit = CommitUnit {
        sightings: vec![(named("c2"), Some(seen("k1", 5_995, 100)))],
        ..awake.unit()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
    assert_eq!(pairs(store).await.len(), 2);
    let retention = Retention {
        bodies: Span::from_days(1),
        checkouts: Span::from_days(1),
        rows_max: 100,
    };
    store.prune(at(86_400 * 2), retention).await.unwrap();
    assert_eq!(pairs(store).await, []);
}
