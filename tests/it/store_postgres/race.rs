//! Several stores on one database, at the same things at the same time.
//!
//! Money on the line: nothing is lost, doubled, or done by who no longer holds it.

use super::*;
use reconciled::core::time::Span;
use reconciled::store::{ClaimRequest, Disposition};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_to_two_daemons_is_new_to_one() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    for round in 0..20 {
        let mut appending = JoinSet::new();
        for (turn, store) in stores.iter().enumerate() {
            let store = Arc::clone(store);
            let mut batch: Vec<_> = (0..8)
                .map(|n| delivery(&format!("{round}_{n}"), "1"))
                .collect();
            // In another order from each, and one of them with another body.
            batch.rotate_left(turn * 3);
            batch.push(delivery(&format!("{round}_0"), "other"));
            appending.spawn(async move { store.append(&batch).await.unwrap() });
        }
        let results: Vec<Appended> = appending.join_all().await.into_iter().flatten().collect();
        let count = |wanted| results.iter().filter(|one| **one == wanted).count();
        assert_eq!(
            (count(Appended::New), count(Appended::Conflict)),
            (8, 1),
            "{results:?}"
        );
    }
    assert_eq!(stores[0].pending(1_000).await.unwrap().len(), 160);
    assert_eq!(stores[0].parked(1_000).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_two_daemons_deal_with_is_dealt_with_by_one() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    for round in 0..20 {
        let name = format!("{round}");
        stores[0].append(&[delivery(&name, "1")]).await.unwrap();
        let waiting = stores[0].pending(9).await.unwrap();
        assert_eq!(waiting.len(), 1);
        let mut dealing = JoinSet::new();
        for (turn, store) in stores.iter().enumerate() {
            let store = Arc::clone(store);
            let unit = CommitUnit {
                deliveries: vec![(waiting[0].id, Disposition::Taken)],
                ..Draft::new(&format!("c{round}_{turn}")).unit()
            };
            dealing.spawn(async move { commit(&*store, unit).await });
        }
        let results = dealing.join_all().await;
        let happened = results.iter().filter(|one| **one == Committed::Done);
        assert_eq!(happened.count(), 1, "{results:?}");
    }
    assert_eq!(stores[0].audit_page(None, 99).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_is_leased_by_one_daemon_only() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    let mut row = done(&*stores[0], Draft::new("c1")).await;
    for round in 0..15 {
        let mut draft = Draft::after(&row);
        for n in 0..30 {
            draft = draft.action(look_up(&format!("{round}_{n}"), at(n)));
        }
        row = done(&*stores[0], draft).await;
        let mut leasing = JoinSet::new();
        for store in stores.iter().cycle().take(9) {
            let store = Arc::clone(store);
            let asked = LeaseRequest {
                limit: 7,
                ..request(at(1_000))
            };
            leasing.spawn(async move { store.lease(&asked).await.unwrap() });
        }
        let mut keys = BTreeSet::new();
        let mut leased = leasing.join_all().await;
        // What one held while another looked is left for the next turn.
        leased.push(stores[1].lease(&request(at(1_000))).await.unwrap());
        let mut ended = Draft::after(&row);
        for one in leased.iter().flatten() {
            let Leased::Attempt(action) = one else {
                panic!("lost: {one:?}");
            };
            assert!(keys.insert(action.key.to_string()), "leased twice: {one:?}");
            ended = ended.release(action.key.as_str(), &token(one));
        }
        assert_eq!(keys.len(), 30);
        row = done(&*stores[2], ended).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_a_daemon_that_was_killed_is_lost_when_its_lease_ran_out_and_not_before() {
    let database = Database::fresh().await;
    let survivor = database.open().await;
    let killed = database.open().await;
    done(&survivor, Draft::new("c1").action(refund("r", at(0)))).await;
    let held = lease(&killed, at(0)).await;
    assert_eq!(held.len(), 1);
    drop(killed);
    let restarted = database.open().await;
    assert_eq!(restarted.end_orphaned_leases(at(10)).await.unwrap(), 0);
    for store in [&restarted, &survivor] {
        assert_eq!(lease(store, at(59)).await, []);
    }
    let (one, other) = tokio::join!(lease(&restarted, at(60)), lease(&survivor, at(60)));
    let found: Vec<Leased> = one.into_iter().chain(other).collect();
    assert_eq!(lost(&found), ["r"]);
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_paused_holder_that_comes_back_late_changes_nothing() {
    let database = Database::fresh().await;
    let stores = stores(&database, 2).await;
    let (paused, other) = (&*stores[0], &*stores[1]);
    let row = done(other, Draft::new("c1").action(refund("r", at(0)))).await;
    let held = lease(paused, at(0)).await;
    let found = lease(other, at(60)).await;
    assert_eq!(lost(&found), ["r"]);
    let decided = Draft::after(&row)
        .release("r", &token(&found[0]))
        .verdict(Verdict::Held);
    let decided = done(other, decided).await;
    let late = Draft::after(&row)
        .release("r", &token(&held[0]))
        .verdict(Verdict::Returned)
        .action(refund("again", at(0)));
    assert_eq!(commit(paused, late.unit()).await, Committed::Conflict);
    assert_eq!(load(paused, "c1").await.unwrap().row, decided);
    assert_eq!(lease(paused, at(900)).await, []);
    assert_eq!(paused.journal(&id("c1"), 0, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_daemon_that_stands_still_while_it_chooses_keeps_no_other_from_working() {
    let database = Database::fresh().await;
    let store = database.open().await;
    store.append(&[delivery("a", "1")]).await.unwrap();
    done(&store, Draft::new("c1").wake_at(Some(at(1)))).await;
    let request = ClaimRequest {
        now: at(9),
        until: at(14),
        holder: "one".to_owned(),
        deliveries: 9,
        checkouts: 9,
    };
    let all = store.claim(&request).await.unwrap();
    assert_eq!((all.deliveries.len(), all.checkouts.len()), (1, 1));
    database.tamper("DELETE FROM claims").await;
    for place in [
        "SELECT pg_advisory_xact_lock(7308896, 0)",
        "LOCK TABLE claims",
    ] {
        let still = database.stand_still_after(place).await;
        assert_eq!(store.claim(&request).await.unwrap(), all, "{place}");
        still.release().await;
        let mut connection = database.connection().await;
        let claims = sqlx::query_scalar("SELECT count(*) FROM claims");
        let claims: i64 = claims.fetch_one(&mut connection).await.unwrap();
        assert_eq!(claims, 0, "{place} kept nobody from choosing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guards_limit_holds_across_daemons() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    let mut asking = JoinSet::new();
    for store in stores.iter().cycle().take(30) {
        let store = Arc::clone(store);
        asking.spawn(async move {
            let asked = Tally {
                shop: shop(),
                at: at(0),
                kind: TallyKind::Refund,
                amount: Some(eur(100)),
            };
            let judge = |_: &ShopRow, sums: &TallySums| {
                let sent = sums.counts.get(&TallyKind::Refund).copied().unwrap_or(0);
                (sent < 5).then_some(()).ok_or(BrakeCause::RefundCount)
            };
            let judged = store.admit_refund(&asked, at(-3_600), true, &judge).await;
            judged.unwrap().is_ok()
        });
    }
    let passed = asking.join_all().await.into_iter().filter(|passed| *passed);
    assert_eq!(passed.count(), 5);
    let sums = stores[0].tallies(&shop(), at(0)).await.unwrap();
    assert_eq!(sums.refunded, [eur(500)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orders_alike_that_settle_at_once_each_is_the_others_twin() {
    let database = Database::fresh().await;
    let stores = stores(&database, 2).await;
    for round in 0..20 {
        let names = [format!("a{round}"), format!("b{round}")];
        let mut settling = JoinSet::new();
        for (name, store) in names.iter().zip(&stores) {
            let store = Arc::clone(store);
            let draft = Draft::new(name).reference(name).verdict(Verdict::Settled);
            let sighting = Sighting {
                shop: shop(),
                mark: format!("mark_{round}"),
                amount: eur(5_995),
                paid_at: at(0),
            };
            let unit = CommitUnit {
                sightings: vec![(named(name), Some(sighting))],
                ..draft.unit()
            };
            settling.spawn(async move { commit(&*store, unit).await });
        }
        let settled = settling.join_all().await;
        assert_eq!(settled, [Committed::Done, Committed::Done]);
        let twins = [named(&names[0]), named(&names[1])];
        let twins = stores[0].twins(&twins).await.unwrap();
        let ids = [id(&names[0]), id(&names[1])];
        assert_eq!(twins.get(&ids[0]), Some(&ids[1]));
        assert_eq!(twins.get(&ids[1]), Some(&ids[0]));
    }
}

/// A daemon that makes, continues and ends checkouts which others are at as well; how many of its
/// units happened.
async fn busy(store: Arc<PostgresStore>, seed: usize) -> usize {
    let mut happened = 0;
    for round in 0..40 {
        let numbers = [(seed + round * 7) % 9, (seed * 5 + round) % 9];
        let mut units = Vec::new();
        for (nth, number) in numbers.iter().enumerate() {
            let name = format!("c{number}");
            // The same order and payment may be brought in under another id as well.
            let other = format!("x{number}");
            let wanted = Wanted {
                checkouts: vec![named(&name), named(&other)],
                ..Wanted::default()
            };
            let found = store.load(&wanted).await.unwrap().checkouts;
            let draft = match found.into_values().next() {
                Some(loaded) => Draft::after(&loaded.row),
                None if nth == seed % 2 => Draft::new(&name),
                None => Draft::new(&other),
            };
            let verdicts = [Verdict::Open, Verdict::Confirming, Verdict::Held];
            let key = format!("a{}", (round + seed) % 3);
            let draft = draft
                .reference(&format!("10000{number}"))
                .payment(&format!("pi_{number}"))
                .verdict(verdicts[(seed + round) % 3])
                .action(look_up(&key, at(0)))
                .with(|one| one.row.in_suspense = Some(eur(i64::try_from(round).unwrap())));
            units.push(CommitUnit {
                tallies: vec![Tally {
                    shop: shop(),
                    at: at(0),
                    kind: TallyKind::Capture,
                    amount: Some(eur(1)),
                }],
                epochs: vec![(shop(), u64::try_from(round).unwrap())],
                ..draft.unit()
            });
        }
        let results = store.commit(&units).await.unwrap();
        happened += results
            .iter()
            .filter(|one| **one == Committed::Done)
            .count();
        store.lease(&request(at(0))).await.unwrap();
    }
    happened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_at_the_same_checkouts_conflict_and_never_both_happen() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    let mut daemons = JoinSet::new();
    for (seed, store) in stores.iter().cycle().take(6).enumerate() {
        daemons.spawn(busy(Arc::clone(store), seed));
    }
    let happened: usize = daemons.join_all().await.into_iter().sum();
    let store = &*stores[1];
    let books = store.audit_page(None, 1_000).await.unwrap();
    assert_eq!(books.len(), 9, "one checkout an order");
    let mut written = 0;
    for (row, journal) in &books {
        assert_eq!(verify(row, journal), Ok(()), "{}", row.id);
        written += journal.len();
    }
    assert_eq!(written, happened);
    assert!(happened > 100, "{happened}");
    assert_eq!(store.overview().await.unwrap(), recount(store).await);
    let tallied = store.tallies(&shop(), at(0)).await.unwrap();
    let captures = tallied.counts.get(&TallyKind::Capture).copied();
    assert_eq!(captures, Some(u64::try_from(happened).unwrap()));
    assert_eq!(store.shop(&shop()).await.unwrap().epoch, Some(39));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_that_prune_at_once_let_go_of_everything_once() {
    let database = Database::fresh().await;
    let stores = stores(&database, 3).await;
    for n in 0..60 {
        let name = format!("c{n}");
        let first = done(
            &*stores[0],
            Draft::new(&name).reference(&name).payment(&name),
        )
        .await;
        let rest = Draft::after(&first).verdict(Verdict::Settled);
        done(&*stores[0], rest.action(look_up("a", at(0)))).await;
    }
    let retention = Retention {
        bodies: Span::from_days(7),
        checkouts: Span::from_days(90),
        rows_max: 20,
    };
    let mut pruning = JoinSet::new();
    for store in stores.iter().cycle().take(6) {
        let store = Arc::clone(store);
        pruning.spawn(async move {
            let mut touched = 0;
            loop {
                match store.prune(at(91 * 86_400), retention).await.unwrap() {
                    0 => return touched,
                    more => touched += more,
                }
            }
        });
    }
    // Somebody leases meanwhile; what is leased stays, and so does its checkout.
    let leased = lease(&*stores[1], at(0)).await;
    let touched: u64 = pruning.join_all().await.into_iter().sum();
    let store = &*stores[2];
    let left = store.audit_page(None, 1_000).await.unwrap();
    let left: BTreeSet<String> = left
        .into_iter()
        .map(|(row, _)| row.id.to_string())
        .collect();
    let held: BTreeSet<String> = leased
        .iter()
        .map(|one| match one {
            Leased::Attempt(row) | Leased::Lost(row) => row.checkout.to_string(),
            Leased::Unreadable(why) => panic!("{why}"),
        })
        .collect();
    assert_eq!(left, held);
    let gone = u64::try_from(60 - left.len()).unwrap();
    // Two entries, a payment, an action and itself.
    assert_eq!(touched, gone * 5);
    assert_eq!(store.overview().await.unwrap(), recount(store).await);
}
