//! Laws of what the guard and the sweeps rely on.
//!
//! Counted once, judged under the lock, and marks that only go forward.

use super::drafts::{Draft, account, at, commit, done, eur, other_shop, reference, shop};
use reconciled::core::fact::BrakeCause;
use reconciled::core::guard::{self, LastHour};
use reconciled::core::ids::AccountId;
use reconciled::core::money::{Currency, Money};
use reconciled::core::plan::{Reason, Verdict};
use reconciled::core::policy::{GuardLimits, Policy};
use reconciled::core::time::{Span, Time};
use reconciled::store::{
    CheckoutCommit, CommitUnit, Committed, ShopRow, Stamp, Store, SweepMark, Tally, TallyKind,
    TallySums,
};
use std::sync::Arc;
use tokio::task::JoinSet;

fn tally(kind: TallyKind, seconds: i64, amount: Option<Money>) -> Tally {
    Tally {
        shop: shop(),
        at: at(seconds),
        kind,
        amount,
    }
}

fn counting(tallies: Vec<Tally>) -> CommitUnit {
    CommitUnit {
        tallies,
        ..CommitUnit::default()
    }
}

pub(super) async fn tallies_add_up_by_kind_and_currency(store: &Arc<dyn Store>) {
    let yen = Money::new(700, Currency::parse("JPY").unwrap());
    let units = [
        counting(vec![
            tally(TallyKind::Refund, 0, Some(eur(100))),
            tally(TallyKind::Refund, 1, Some(eur(250))),
            tally(TallyKind::Capture, 2, Some(eur(9_999))),
        ]),
        counting(vec![
            tally(TallyKind::Refund, 200, Some(yen)),
            tally(TallyKind::OrderAnswered, 3, None),
            tally(TallyKind::OrderUnknown, 3, None),
            Tally {
                shop: other_shop(),
                ..tally(TallyKind::Refund, 0, Some(eur(1)))
            },
        ]),
    ];
    store.commit(&units).await.unwrap();
    let sums = store.tallies(&shop(), at(0)).await.unwrap();
    let counts: Vec<_> = sums.counts.into_iter().collect();
    let expected = [
        (TallyKind::Capture, 1),
        (TallyKind::Refund, 3),
        (TallyKind::OrderAnswered, 1),
        (TallyKind::OrderUnknown, 1),
    ];
    assert_eq!(counts, expected);
    assert_eq!(sums.refunded, [eur(350), yen]);
}

pub(super) async fn tallies_before_the_window_do_not_count(store: &Arc<dyn Store>) {
    let old = tally(TallyKind::Refund, -3_600, Some(eur(100)));
    let new = tally(TallyKind::Refund, 0, Some(eur(7)));
    store.commit(&[counting(vec![old, new])]).await.unwrap();
    let sums = store.tallies(&shop(), at(-1_800)).await.unwrap();
    assert_eq!(
        (sums.counts[&TallyKind::Refund], sums.refunded),
        (1, vec![eur(7)])
    );
    let sums = store.tallies(&shop(), at(-3_600)).await.unwrap();
    assert_eq!(sums.counts[&TallyKind::Refund], 2);
    assert_eq!(
        store.tallies(&shop(), at(600)).await.unwrap(),
        Default::default()
    );
}

pub(super) async fn a_brake_that_is_released_forgets_what_counted_and_nobody_elses(
    store: &Arc<dyn Store>,
) {
    let tallies = vec![
        tally(TallyKind::Refund, 0, Some(eur(100))),
        tally(TallyKind::OrderUnknown, 1, None),
        tally(TallyKind::Unclaimed, 1, Some(eur(70))),
        Tally {
            shop: other_shop(),
            ..tally(TallyKind::Refund, 0, Some(eur(1)))
        },
    ];
    store.commit(&[counting(tallies)]).await.unwrap();
    let cause = (BrakeCause::RefundCount, at(2));
    store.set_brake(&shop(), Some(cause)).await.unwrap();
    let braked = store.tallies(&shop(), at(0)).await.unwrap();
    assert_eq!(
        braked.counts[&TallyKind::Refund],
        1,
        "pulling forgets nothing"
    );
    store.set_brake(&shop(), None).await.unwrap();
    let sums = store.tallies(&shop(), at(0)).await.unwrap();
    let counts: Vec<_> = sums.counts.into_iter().collect();
    assert_eq!(counts, [(TallyKind::Unclaimed, 1)], "no limit's count");
    assert_eq!((sums.refunded, sums.unclaimed), (vec![], vec![eur(70)]));
    let others = store.tallies(&other_shop(), at(0)).await.unwrap();
    assert_eq!(others.counts[&TallyKind::Refund], 1);
}

pub(super) async fn huge_tallies_end_at_the_edge(store: &Arc<dyn Store>) {
    for _ in 0..3 {
        let huge = tally(TallyKind::Refund, 0, Some(eur(i64::MAX)));
        let committed = store
            .commit(&[counting(vec![huge.clone(), huge])])
            .await
            .unwrap();
        assert_eq!(committed, [Committed::Done]);
    }
    let sums = store.tallies(&shop(), at(0)).await.unwrap();
    assert_eq!(
        (sums.counts[&TallyKind::Refund], sums.refunded),
        (6, vec![eur(i64::MAX)])
    );
}

pub(super) async fn a_refund_is_judged_and_counted_in_one_step(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for _ in 0..24 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let asked = tally(TallyKind::Refund, 0, Some(eur(100)));
            let judge = |_: &ShopRow, sums: &reconciled::store::TallySums| {
                let sent = sums.counts.get(&TallyKind::Refund).copied().unwrap_or(0);
                if sent < 5 {
                    Ok(())
                } else {
                    Err(BrakeCause::RefundCount)
                }
            };
            store
                .admit_refund(&asked, at(-3_600), true, &judge)
                .await
                .unwrap()
        });
    }
    let judged = tasks.join_all().await;
    assert_eq!(judged.iter().filter(|one| one.is_ok()).count(), 5);
    let refused = judged
        .iter()
        .filter(|one| **one == Err(BrakeCause::RefundCount));
    assert_eq!(refused.count(), 19);
    let sums = store.tallies(&shop(), at(0)).await.unwrap();
    assert_eq!(
        (sums.counts[&TallyKind::Refund], sums.refunded),
        (5, vec![eur(500)])
    );
}

pub(super) async fn a_refused_or_repeated_refund_is_not_counted(store: &Arc<dyn Store>) {
    let brake = (BrakeCause::UnknownRunaway, at(3));
    store.set_brake(&shop(), Some(brake)).await.unwrap();
    let asked = tally(TallyKind::Refund, 0, Some(eur(100)));
    let judge = |row: &ShopRow, _: &reconciled::store::TallySums| {
        row.brake.map_or(Ok(()), |(cause, _)| Err(cause))
    };
    let judged = store
        .admit_refund(&asked, at(0), true, &judge)
        .await
        .unwrap();
    assert_eq!(judged, Err(BrakeCause::UnknownRunaway));
    store.set_brake(&shop(), None).await.unwrap();
    assert_eq!(
        store
            .admit_refund(&asked, at(0), false, &judge)
            .await
            .unwrap(),
        Ok(())
    );
    assert_eq!(
        store.tallies(&shop(), at(0)).await.unwrap(),
        Default::default()
    );
    assert_eq!(
        store
            .admit_refund(&asked, at(0), true, &judge)
            .await
            .unwrap(),
        Ok(())
    );
    assert_eq!(
        store.tallies(&shop(), at(0)).await.unwrap().refunded,
        [eur(100)]
    );
}

pub(super) async fn a_conflicting_unit_is_not_counted(store: &Arc<dyn Store>) {
    done(&**store, Draft::new("c1")).await;
    let unit = CommitUnit {
        tallies: vec![tally(TallyKind::Capture, 0, None)],
        epochs: vec![(shop(), 9)],
        ..Draft::new("c1").unit()
    };
    assert_eq!(commit(&**store, unit).await, Committed::Conflict);
    assert_eq!(
        store.tallies(&shop(), at(0)).await.unwrap(),
        Default::default()
    );
    assert_eq!(store.shop(&shop()).await.unwrap().epoch, None);
}

pub(super) async fn a_brake_stands_until_it_is_cleared(store: &Arc<dyn Store>) {
    let plain = ShopRow {
        shop: shop(),
        epoch: None,
        brake: None,
    };
    assert_eq!(store.shop(&shop()).await.unwrap(), plain);
    for cause in BrakeCause::ALL {
        store
            .set_brake(&shop(), Some((cause, at(4))))
            .await
            .unwrap();
        let braked = ShopRow {
            brake: Some((cause, at(4))),
            ..plain.clone()
        };
        assert_eq!(store.shop(&shop()).await.unwrap(), braked);
    }
    assert_eq!(store.shop(&other_shop()).await.unwrap().brake, None);
    store.set_brake(&shop(), None).await.unwrap();
    assert_eq!(store.shop(&shop()).await.unwrap(), plain);
}

pub(super) async fn an_epoch_never_goes_back(store: &Arc<dyn Store>) {
    store
        .set_brake(&shop(), Some((BrakeCause::RefundSum, at(1))))
        .await
        .unwrap();
    for (heard, kept) in [
        (7, 7),
        (1_000, 1_000),
        (9, 1_000),
        (u64::MAX, u64::MAX),
        (0, u64::MAX),
    ] {
        let unit = CommitUnit {
            epochs: vec![(shop(), heard)],
            ..CommitUnit::default()
        };
        assert_eq!(commit(&**store, unit).await, Committed::Done);
        assert_eq!(store.shop(&shop()).await.unwrap().epoch, Some(kept));
    }
    let both = CommitUnit {
        epochs: vec![(other_shop(), 5), (other_shop(), 3)],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, both).await, Committed::Done);
    assert_eq!(store.shop(&other_shop()).await.unwrap().epoch, Some(5));
    assert!(store.shop(&shop()).await.unwrap().brake.is_some());
}

pub(super) async fn the_first_start_stays(store: &Arc<dyn Store>) {
    assert_eq!(store.first_start(&account(), at(5)).await.unwrap(), at(5));
    assert_eq!(store.first_start(&account(), at(9)).await.unwrap(), at(5));
    assert_eq!(store.first_start(&account(), at(1)).await.unwrap(), at(5));
    let other = AccountId::parse("mollie").unwrap();
    assert_eq!(store.first_start(&other, at(9)).await.unwrap(), at(9));
}

pub(super) async fn a_sweep_mark_never_moves_back(store: &Arc<dyn Store>) {
    assert_eq!(store.sweep_marks().await.unwrap(), []);
    let mark = |listing, seconds, swept, error: Option<&str>| SweepMark {
        account: account(),
        listing,
        mark: at(seconds),
        swept_at: swept,
        last_error: error.map(str::to_owned),
    };
    store
        .set_sweep_mark(&mark(0, 100, Some(at(110)), None))
        .await
        .unwrap();
    store
        .set_sweep_mark(&mark(1, 50, None, Some("status_500")))
        .await
        .unwrap();
    store
        .set_sweep_mark(&mark(0, 90, None, Some("timeout")))
        .await
        .unwrap();
    let expected = [
        mark(0, 100, Some(at(110)), Some("timeout")),
        mark(1, 50, None, Some("status_500")),
    ];
    assert_eq!(store.sweep_marks().await.unwrap(), expected);
    store
        .set_sweep_mark(&mark(0, 200, Some(at(205)), None))
        .await
        .unwrap();
    assert_eq!(
        store.sweep_marks().await.unwrap()[0],
        mark(0, 200, Some(at(205)), None)
    );
}

pub(super) async fn the_probe_answers(store: &Arc<dyn Store>) {
    store.probe(at(0)).await.unwrap();
    store.probe(at(-5)).await.unwrap();
    store.checkpoint().await.unwrap();
    store.probe(at(1)).await.unwrap();
}

pub(super) async fn the_newest_order_that_stands_so_is_found(store: &Arc<dyn Store>) {
    let settled = (Verdict::Settled, Reason::ConfirmedByShop);
    let ours = shop();
    let newest = |before| store.newest_order(&ours, settled, before);
    assert_eq!(newest(at(100)).await.unwrap(), None);
    for (name, verdict, since) in [
        ("c1", settled, 10),
        ("c2", settled, 20),
        ("c3", (Verdict::Settled, Reason::OperatorSettled), 30),
        ("c4", (Verdict::Held, Reason::ConfirmedByShop), 40),
        ("c5", settled, 50),
    ] {
        let stands_so = |one: &mut CheckoutCommit| {
            (one.row.verdict, one.row.reason) = verdict;
            one.row.since = at(since);
        };
        let draft = Draft::new(name).reference(&format!("order-{name}"));
        done(&**store, draft.with(stands_so)).await;
    }
    let nameless = Draft::new("c6").with(|one| {
        (one.row.verdict, one.row.reason) = settled;
        one.row.since = at(60);
    });
    done(&**store, nameless).await;
    let found = |seconds, name: &str| Some((at(seconds), reference(name)));
    assert_eq!(newest(at(100)).await.unwrap(), found(50, "order-c5"));
    assert_eq!(newest(at(50)).await.unwrap(), found(50, "order-c5"));
    assert_eq!(newest(at(49)).await.unwrap(), found(20, "order-c2"));
    assert_eq!(newest(at(9)).await.unwrap(), None);
    let other = store.newest_order(&other_shop(), settled, at(100)).await;
    assert_eq!(other.unwrap(), None);
}

pub(super) async fn starts_are_counted_and_tell_where_the_one_before_was(store: &Arc<dyn Store>) {
    for (generation, home, before) in [
        (1, "here", None),
        (2, "here", Some("here")),
        (3, "there", Some("here")),
    ] {
        let stamp = store.stamp(home, at(0)).await.unwrap();
        let expected = Stamp {
            generation,
            before: before.map(str::to_owned),
        };
        assert_eq!(stamp, expected);
    }
}

pub(super) async fn x06_the_hours_budget_is_not_renewed_at_midnight(store: &Arc<dyn Store>) {
    // 2026-11-22 23:59:40 UTC, and forty seconds later it is tomorrow.
    let midnight = Time::from_seconds(1_795_392_000);
    let (before, after) = (
        midnight.minus(Span::from_seconds(20)),
        midnight.plus(Span::from_seconds(20)),
    );
    let limits = GuardLimits {
        max_refunds_per_hour: 1,
        ..Policy::default().guard
    };
    let judge = |_: &ShopRow, sums: &TallySums| {
        let hour = LastHour {
            refunds: sums.counts.get(&TallyKind::Refund).copied().unwrap_or(0),
            refunded: sums.refunded.clone(),
            ..LastHour::default()
        };
        guard::judge(&limits, &hour, eur(100), |_| false)
    };
    let ask = async |at: Time| {
        let refund = Tally {
            at,
            ..tally(TallyKind::Refund, 0, Some(eur(100)))
        };
        let since = at.minus(Span::from_minutes(guard::WINDOW_MINUTES));
        let judged = store.admit_refund(&refund, since, true, &judge).await;
        judged.unwrap()
    };
    assert_eq!(ask(before).await, Ok(()));
    assert_eq!(ask(after).await, Err(BrakeCause::RefundCount));
    assert_eq!(
        ask(after.plus(Span::from_minutes(59))).await,
        Err(BrakeCause::RefundCount)
    );
    assert_eq!(ask(after.plus(Span::from_minutes(61))).await, Ok(()));
}
