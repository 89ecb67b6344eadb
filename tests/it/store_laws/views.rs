//! Laws of what people and the books read.
//!
//! Whatever a store keeps to answer fast agrees with counting everything anew.

use super::drafts::{
    Draft, at, commit, delivery, done, eur, id, lease, load, look_up, other_shop, reference,
    refund, shop,
};
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use reconciled::core::ids::ShopId;
use reconciled::core::money::{Currency, Money};
use reconciled::core::plan::{ActionKind, Verdict};
use reconciled::core::time::Span;
use reconciled::store::journal::verify;
use reconciled::store::{
    CheckoutFilter, CheckoutRow, CommitUnit, Committed, Disposition, Retention, Store, VerdictCount,
};
use std::collections::BTreeMap;
use std::sync::Arc;

async fn list(store: &dyn Store, filter: CheckoutFilter) -> Vec<String> {
    let limit = if filter.limit == 0 {
        1_000
    } else {
        filter.limit
    };
    let found = store
        .checkouts(&CheckoutFilter { limit, ..filter })
        .await
        .unwrap();
    found
        .into_iter()
        .map(|one| one.row.id.to_string())
        .collect()
}

async fn four(store: &dyn Store) {
    for (name, seconds, verdict, order, whose) in [
        ("c1", 30, Verdict::Held, "1000042", shop()),
        ("c2", 10, Verdict::Settled, "1000043", shop()),
        ("c3", 20, Verdict::Confirming, "1000044", shop()),
        ("c4", 10, Verdict::Held, "1000042", other_shop()),
    ] {
        let draft = Draft::new(name)
            .verdict(verdict)
            .reference(order)
            .with(|one| {
                one.row.since = at(seconds);
                one.row.shop = whose;
            });
        done(store, draft.action(look_up("a", at(0)))).await;
    }
}

pub(super) async fn filters_take_what_they_name(store: &Arc<dyn Store>) {
    let store = &**store;
    four(store).await;
    let all = CheckoutFilter::default();
    assert_eq!(list(store, all.clone()).await, ["c2", "c4", "c3", "c1"]);
    let of_shop = CheckoutFilter {
        shop: Some(shop()),
        ..all.clone()
    };
    assert_eq!(list(store, of_shop.clone()).await, ["c2", "c3", "c1"]);
    let verdicts = vec![Verdict::Held, Verdict::Confirming];
    let trouble = CheckoutFilter {
        verdicts,
        ..all.clone()
    };
    assert_eq!(list(store, trouble.clone()).await, ["c4", "c3", "c1"]);
    let old = CheckoutFilter {
        since_before: Some(at(20)),
        ..trouble
    };
    assert_eq!(list(store, old).await, ["c4"]);
    let named = CheckoutFilter {
        reference: Some(reference("1000042")),
        ..all
    };
    assert_eq!(list(store, named.clone()).await, ["c4", "c1"]);
    let both = CheckoutFilter {
        reference: named.reference,
        ..of_shop
    };
    assert_eq!(list(store, both.clone()).await, ["c1"]);
    let none = CheckoutFilter {
        verdicts: vec![Verdict::Settled],
        ..both
    };
    assert_eq!(list(store, none).await, Vec::<String>::new());
    let found = store
        .checkouts(&CheckoutFilter {
            limit: 1,
            ..CheckoutFilter::default()
        })
        .await;
    let found = found.unwrap().remove(0);
    assert_eq!(found, load(store, "c2").await.unwrap());
    assert_eq!(found.actions.len(), 1);
}

pub(super) async fn pages_follow_each_other_without_gap_or_repetition(store: &Arc<dyn Store>) {
    let store = &**store;
    for (n, shuffled) in (0..23).zip((0..).step_by(7).map(|n: u32| n.rem_euclid(23))) {
        let verdict =
            [Verdict::Held, Verdict::Settled, Verdict::Open][usize::try_from(n % 3).unwrap()];
        let draft = Draft::new(&format!("c{shuffled:02}")).verdict(verdict);
        done(store, draft.with(|one| one.row.since = at(n / 4))).await;
    }
    for limit in [1, 4, 23, 50] {
        let mut filter = CheckoutFilter {
            limit,
            ..CheckoutFilter::default()
        };
        let mut seen: Vec<_> = Vec::new();
        loop {
            let page = store.checkouts(&filter).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some((last.row.since, last.row.id.clone()));
            seen.extend(page.into_iter().map(|one| (one.row.since, one.row.id)));
        }
        assert_eq!(seen.len(), 23);
        assert!(seen.windows(2).all(|two| two[0] < two[1]));
    }
}

type Recount = BTreeMap<(ShopId, Verdict), VerdictCount>;

/// What the overview must be, counted from every row.
pub(crate) async fn recount(store: &dyn Store) -> Vec<VerdictCount> {
    let filter = CheckoutFilter {
        limit: 100_000,
        ..CheckoutFilter::default()
    };
    let mut sums: BTreeMap<(ShopId, Verdict, Currency), i64> = BTreeMap::new();
    let mut counts = Recount::new();
    for CheckoutRow {
        shop,
        verdict,
        since,
        in_suspense,
        ..
    } in store
        .checkouts(&filter)
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.row)
    {
        let line = counts
            .entry((shop.clone(), verdict))
            .or_insert(VerdictCount {
                shop: shop.clone(),
                verdict,
                count: 0,
                in_suspense: vec![],
                oldest: None,
            });
        line.count = line.count.saturating_add(1);
        if !verdict.is_at_rest() {
            line.oldest = Some(line.oldest.map_or(since, |known| known.min(since)));
        }
        if let Some(money) = in_suspense {
            let sum: &mut i64 = sums.entry((shop, verdict, money.currency())).or_default();
            *sum = sum.saturating_add(money.minor());
        }
    }
    for ((shop, verdict, currency), minor) in sums {
        if minor != 0 {
            let line = counts.get_mut(&(shop, verdict)).unwrap();
            line.in_suspense.push(Money::new(minor, currency));
        }
    }
    counts.into_values().collect()
}

/// A change to one of twelve checkouts: which, the verdict, the money, the moment, stale or not.
type Change = (usize, usize, Option<(i64, bool)>, i64, bool);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let money = proptest::option::of((-5_000_000_000_i64..5_000_000_000, proptest::bool::ANY));
    let stale = proptest::bool::weighted(0.2);
    vec(
        (0..12_usize, 0..10_usize, money, 0..1_000_i64, stale),
        1..40,
    )
}

pub(super) async fn the_overview_equals_a_full_recount(store: &Arc<dyn Store>) {
    let store = &**store;
    let yen = Currency::parse("JPY").unwrap();
    let mut runner = TestRunner::deterministic();
    for round in 0..40 {
        let mut units = Vec::new();
        for (which, verdict, money, since, stale) in
            changes().new_tree(&mut runner).unwrap().current()
        {
            let name = format!("c{which}");
            let base = match load(store, &name).await {
                Some(known) if !stale => Draft::after(&known.row),
                Some(_) | None => Draft::new(&name),
            };
            let draft = base.verdict(Verdict::ALL[verdict]).written(at(since), "[]");
            let draft = draft.with(|one| {
                one.row.shop = if which % 3 == 0 { other_shop() } else { shop() };
                one.row.since = at(since);
                one.row.in_suspense = money
                    .map(|(minor, euro)| Money::new(minor, if euro { Currency::EUR } else { yen }));
            });
            units.push(draft.unit());
        }
        let committed = store.commit(&units).await.unwrap();
        assert!(committed.contains(&Committed::Done) || round > 0);
        if round % 8 == 7 {
            let retention = Retention {
                bodies: Span::ZERO,
                checkouts: Span::from_seconds(500),
                rows_max: 10,
            };
            store.prune(at(1_000), retention).await.unwrap();
        }
        assert_eq!(
            store.overview().await.unwrap(),
            recount(store).await,
            "round {round}"
        );
    }
}

pub(super) async fn suspense_past_the_range_ends_at_the_edge_and_comes_back(
    store: &Arc<dyn Store>,
) {
    let store = &**store;
    let huge = |name: &str| {
        Draft::new(name)
            .verdict(Verdict::Held)
            .with(|one| one.row.in_suspense = Some(eur(i64::MAX)))
    };
    let rows = [done(store, huge("c1")).await, done(store, huge("c2")).await];
    done(
        store,
        huge("c3").with(|one| one.row.in_suspense = Some(eur(7))),
    )
    .await;
    assert_eq!(
        store.overview().await.unwrap()[0].in_suspense,
        [eur(i64::MAX)]
    );
    for row in &rows {
        let settled = Draft::after(row).verdict(Verdict::Settled);
        done(store, settled.with(|one| one.row.in_suspense = None)).await;
    }
    let overview = store.overview().await.unwrap();
    let held = overview
        .iter()
        .find(|one| one.verdict == Verdict::Held)
        .unwrap();
    assert_eq!((held.count, &held.in_suspense), (1, &vec![eur(7)]));
}

pub(super) async fn the_backlog_counts_what_waits(store: &Arc<dyn Store>) {
    let store = &**store;
    assert_eq!(store.backlog().await.unwrap(), Default::default());
    let mut late = delivery("b", "1");
    late.received_at = at(50);
    store
        .append(&[delivery("a", "1"), late, delivery("a", "2")])
        .await
        .unwrap();
    let draft = Draft::new("c1")
        .action(look_up("a", at(3)))
        .action(look_up("b", at(4)));
    done(store, draft.action(refund("r", at(9)))).await;
    let backlog = store.backlog().await.unwrap();
    assert_eq!(
        (backlog.deliveries_pending, backlog.deliveries_parked),
        (2, 1)
    );
    assert_eq!(
        (backlog.oldest_delivery, backlog.oldest_due),
        (Some(at(0)), Some(at(3)))
    );
    let kinds: Vec<_> = backlog.actions.into_iter().collect();
    assert_eq!(kinds, [(ActionKind::LookUp, 2), (ActionKind::Refund, 1)]);
    lease(store, at(4)).await;
    let backlog = store.backlog().await.unwrap();
    assert_eq!(
        (backlog.oldest_due, backlog.actions[&ActionKind::LookUp]),
        (Some(at(9)), 2)
    );
    super::deliveries::deal_with_all(store, &Disposition::Taken).await;
    let backlog = store.backlog().await.unwrap();
    assert_eq!(
        (backlog.deliveries_pending, backlog.oldest_delivery),
        (0, None)
    );
}

pub(super) async fn a_journal_is_read_in_pages(store: &Arc<dyn Store>) {
    let store = &**store;
    let mut row = done(store, Draft::new("c1")).await;
    for _ in 0..4 {
        row = done(store, Draft::after(&row)).await;
    }
    done(store, Draft::new("c2")).await;
    let seqs = |entries: Vec<reconciled::store::JournalEntry>| -> Vec<i64> {
        entries.into_iter().map(|one| one.seq).collect()
    };
    assert_eq!(seqs(store.journal(&id("c1"), 0, 2).await.unwrap()), [1, 2]);
    assert_eq!(
        seqs(store.journal(&id("c1"), 2, 9).await.unwrap()),
        [3, 4, 5]
    );
    assert_eq!(store.journal(&id("c1"), 5, 9).await.unwrap(), []);
    assert_eq!(store.journal(&id("c3"), 0, 9).await.unwrap(), []);
}

pub(super) async fn an_audit_reads_every_checkout_with_its_whole_journal(store: &Arc<dyn Store>) {
    let store = &**store;
    assert_eq!(store.audit_page(None, 5).await.unwrap(), []);
    for n in [3, 1, 4, 0, 2] {
        let mut row = done(store, Draft::new(&format!("c{n}"))).await;
        for _ in 0..n {
            row = done(store, Draft::after(&row)).await;
        }
    }
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = store.audit_page(after.as_ref(), 2).await.unwrap();
        let mark = store.audit_mark(after.as_ref(), 2).await.unwrap();
        assert_eq!(mark.as_ref(), page.last().map(|(row, _)| &row.id));
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id.clone());
        for (row, entries) in page {
            assert_eq!(verify(&row, &entries), Ok(()));
            seen.push((row.id.to_string(), entries.len()));
        }
    }
    let expected = [("c0", 1), ("c1", 2), ("c2", 3), ("c3", 4), ("c4", 5)];
    assert_eq!(
        seen,
        expected.map(|(name, length)| (name.to_owned(), length))
    );
    assert_eq!(commit(store, CommitUnit::default()).await, Committed::Done);
}

pub(super) async fn what_moved_is_what_changed_since_or_does_not_rest(store: &Arc<dyn Store>) {
    let store = &**store;
    let written = async |name: &str,
                         verdict: Verdict,
                         wake: Option<reconciled::core::time::Time>,
                         when: i64| {
        let draft = Draft::new(name).verdict(verdict).wake_at(wake);
        let mut row = done(store, draft.written(at(when), "[]")).await;
        row = done(store, Draft::after(&row).written(at(when), "[1]")).await;
        assert_eq!(row.version, 2);
    };
    written("c9", Verdict::Settled, None, 100).await;
    written("c8", Verdict::Settled, None, 99).await;
    written("c7", Verdict::Returned, None, 101).await;
    written("c6", Verdict::Closed, None, 1).await;
    written("c5", Verdict::Held, None, 1).await;
    written("c4", Verdict::Settled, Some(at(-5)), 1).await;
    written("c3", Verdict::Confirming, Some(at(500)), 1).await;
    written("c2", Verdict::Refunding, None, 200).await;
    // Their ids come before all that are made today: those above come after.
    written("01", Verdict::Settled, None, 100).await;
    written("02", Verdict::Settled, None, 99).await;
    written("03", Verdict::Held, Some(at(9)), 1).await;
    written("04", Verdict::Settled, None, 101).await;
    written("05", Verdict::Settled, None, 102).await;
    for limit in [1, 2, 3, 99] {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map(|last| id(last));
            let moved = store.moved_since(at(100), after.as_ref(), limit).await;
            let moved = moved.unwrap();
            assert!(moved.len() <= usize::try_from(limit).unwrap());
            if moved.is_empty() {
                break;
            }
            all.extend(moved.iter().map(ToString::to_string));
        }
        let expected = ["01", "03", "04", "05", "c2", "c3", "c4", "c5", "c7", "c9"];
        assert_eq!(all, expected, "{limit} at a time");
    }
    let books = store
        .books(&[id("c9"), id("c3"), id("none")])
        .await
        .unwrap();
    let found: Vec<_> = books
        .iter()
        .map(|(row, entries)| {
            assert_eq!(verify(row, entries), Ok(()));
            (row.id.as_str(), entries.len())
        })
        .collect();
    assert_eq!(found, [("c3", 2), ("c9", 2)]);
    assert_eq!(store.books(&[]).await.unwrap(), []);
}
