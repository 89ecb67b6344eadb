//! Laws of commits: versions, homes, isolation of units, the journal's chain.
//!
//! A unit happens whole or not at all, and never on an outdated state.

use super::drafts::{
    Draft, at, commit, delivery, done, eur, id, load, look_up, named, order, other_shop, payment,
    shop,
};
use reconciled::core::ids::OrderRef;
use reconciled::core::plan::{Reason, Verdict};
use reconciled::store::journal::verify;
use reconciled::store::{
    CommitUnit, Committed, Disposition, JournalEntry, Store, StoreError, Tally, TallyKind, Wanted,
};
use std::sync::Arc;

use Committed::{Conflict, Done, Late};

pub(super) async fn a_committed_checkout_reads_back_whole(store: &Arc<dyn Store>) {
    let draft = Draft::new("c1")
        .reference("1000042")
        .verdict(Verdict::Confirming)
        .with(|one| {
            one.row.reason = Reason::ConfirmDue;
            one.row.in_suspense = Some(eur(5995));
            one.row.wake_at = Some(at(60));
            one.row.document = r#"{"a":"é \" \\ \u0000"}"#.to_owned();
        });
    let draft = draft
        .action(look_up("b", at(2)))
        .action(look_up("a", at(1)));
    let row = done(&**store, draft.clone()).await;
    let loaded = load(&**store, "c1").await.unwrap();
    assert_eq!(loaded.row, row);
    let planned: Vec<_> = loaded
        .actions
        .iter()
        .map(|one| one.planned.clone())
        .collect();
    assert_eq!(planned, [look_up("a", at(1)), look_up("b", at(2))]);
    for action in &loaded.actions {
        assert_eq!((&action.checkout, &action.shop), (&id("c1"), &shop()));
        assert_eq!(
            (action.attempts, action.last_sent_at, &action.lease),
            (0, None, &None)
        );
    }
    let next = Draft::after(&row).with(|one| {
        one.row.in_suspense = None;
        one.row.wake_at = None;
        one.row.since = at(9);
    });
    let row = done(&**store, next.verdict(Verdict::Settled)).await;
    let loaded = load(&**store, "c1").await.unwrap();
    assert_eq!((loaded.row, loaded.actions), (row, vec![]));
}

pub(super) async fn a_checkout_is_found_by_order_and_by_payment(store: &Arc<dyn Store>) {
    done(
        &**store,
        Draft::new("c1")
            .reference("1000042")
            .payment("pi_1")
            .payment("pi_2"),
    )
    .await;
    done(&**store, Draft::new("c2").payment("pi_3")).await;
    let elsewhere = OrderRef {
        shop: other_shop(),
        ..order("1000042")
    };
    let wanted = Wanted {
        checkouts: vec![named("c9")],
        ids: vec![id("c8")],
        orders: vec![order("1000042"), order("1000043"), elsewhere],
        payments: vec![payment("pi_2"), payment("pi_3"), payment("pi_4")],
    };
    let found = store.load(&wanted).await.unwrap();
    assert_eq!(
        found.checkouts.keys().collect::<Vec<_>>(),
        [&id("c1"), &id("c2")]
    );
    assert_eq!(
        found.orders.into_iter().collect::<Vec<_>>(),
        [(order("1000042"), id("c1"))]
    );
    let homes: Vec<_> = found.payments.into_iter().collect();
    assert_eq!(
        homes,
        [(payment("pi_2"), id("c1")), (payment("pi_3"), id("c2"))]
    );
    assert_eq!(
        store.load(&Wanted::default()).await.unwrap(),
        Default::default()
    );
}

pub(super) async fn a_stale_version_conflicts_and_changes_nothing(store: &Arc<dyn Store>) {
    let first = done(&**store, Draft::new("c1").action(look_up("a", at(0)))).await;
    let second = done(&**store, Draft::after(&first).action(look_up("a", at(0)))).await;
    let stale = Draft::after(&first).verdict(Verdict::Held).payment("pi_1");
    assert_eq!(commit(&**store, stale.unit()).await, Conflict);
    let loaded = load(&**store, "c1").await.unwrap();
    assert_eq!((loaded.row, loaded.actions.len()), (second.clone(), 1));
    assert_eq!(store.journal(&id("c1"), 0, 10).await.unwrap().len(), 2);
    let ahead = Draft::after(&second).with(|one| {
        one.row.version = 4;
        one.entry.seq = 4;
    });
    assert_eq!(commit(&**store, ahead.unit()).await, Conflict);
    let wanted = Wanted {
        payments: vec![payment("pi_1")],
        ..Wanted::default()
    };
    assert_eq!(store.load(&wanted).await.unwrap().payments.len(), 0);
}

pub(super) async fn making_a_checkout_twice_conflicts(store: &Arc<dyn Store>) {
    let row = done(&**store, Draft::new("c1")).await;
    assert_eq!(
        commit(&**store, Draft::new("c1").verdict(Verdict::Held).unit()).await,
        Conflict
    );
    assert_eq!(load(&**store, "c1").await.unwrap().row, row);
    let missing = Draft::after(&Draft::new("c2").0.row);
    assert_eq!(commit(&**store, missing.unit()).await, Conflict);
}

pub(super) async fn a_second_checkout_for_the_same_order_conflicts(store: &Arc<dyn Store>) {
    done(&**store, Draft::new("c1").reference("1000042")).await;
    let second = Draft::new("c2").reference("1000042");
    assert_eq!(commit(&**store, second.clone().unit()).await, Conflict);
    done(&**store, second.with(|one| one.row.shop = other_shop())).await;
    let bare = done(&**store, Draft::new("c3")).await;
    assert_eq!(
        commit(&**store, Draft::after(&bare).reference("1000042").unit()).await,
        Conflict
    );
    done(&**store, Draft::after(&bare).reference("1000043")).await;
}

pub(super) async fn a_conflicting_unit_drops_out_alone(store: &Arc<dyn Store>) {
    let old = done(&**store, Draft::new("c1")).await;
    done(&**store, Draft::after(&old)).await;
    let units = [
        Draft::new("c2").unit(),
        Draft::after(&old).verdict(Verdict::Held).unit(),
        Draft::new("c3").unit(),
    ];
    assert_eq!(store.commit(&units).await.unwrap(), [Done, Conflict, Done]);
    assert!(load(&**store, "c2").await.is_some());
    assert!(load(&**store, "c3").await.is_some());
    assert_eq!(
        load(&**store, "c1").await.unwrap().row.verdict,
        Verdict::Open
    );
    assert_eq!(store.commit(&[]).await.unwrap(), []);
}

pub(super) async fn two_units_on_one_checkout_do_not_both_happen(store: &Arc<dyn Store>) {
    let row = done(&**store, Draft::new("c1")).await;
    let next = Draft::after(&row);
    let chained = Draft::after(&next.0.row);
    let units = [
        next.clone().unit(),
        next.clone().verdict(Verdict::Held).unit(),
        chained.unit(),
    ];
    assert_eq!(
        store.commit(&units).await.unwrap(),
        [Done, Conflict, Conflict]
    );
    assert_eq!(load(&**store, "c1").await.unwrap().row, next.0.row);
    let twice = [Draft::new("c2").unit(), Draft::new("c2").unit()];
    assert_eq!(store.commit(&twice).await.unwrap(), [Done, Conflict]);
}

pub(super) async fn two_units_for_one_new_order_do_not_both_happen(store: &Arc<dyn Store>) {
    let units = [
        Draft::new("c1").reference("1000042").unit(),
        Draft::new("c2").reference("1000042").unit(),
    ];
    assert_eq!(store.commit(&units).await.unwrap(), [Done, Conflict]);
    assert!(load(&**store, "c2").await.is_none());
}

pub(super) async fn two_units_for_one_new_payment_do_not_both_happen(store: &Arc<dyn Store>) {
    let units = [
        Draft::new("c1").payment("pi_1").unit(),
        Draft::new("c2").payment("pi_1").unit(),
    ];
    assert_eq!(store.commit(&units).await.unwrap(), [Done, Conflict]);
    assert!(load(&**store, "c2").await.is_none());
}

pub(super) async fn a_payment_that_lives_elsewhere_conflicts(store: &Arc<dyn Store>) {
    let row = done(&**store, Draft::new("c1").payment("pi_1")).await;
    done(&**store, Draft::after(&row).payment("pi_1")).await;
    let taker = Draft::new("c2").payment("pi_2").payment("pi_1");
    assert_eq!(commit(&**store, taker.unit()).await, Conflict);
    let wanted = Wanted {
        payments: vec![payment("pi_1"), payment("pi_2")],
        ..Wanted::default()
    };
    let homes = store.load(&wanted).await.unwrap().payments;
    assert_eq!(
        homes.into_iter().collect::<Vec<_>>(),
        [(payment("pi_1"), id("c1"))]
    );
}

pub(super) async fn a_payment_moves_when_its_old_home_is_in_the_same_unit(store: &Arc<dyn Store>) {
    let orphan = done(&**store, Draft::new("c1").payment("pi_1")).await;
    let unit = CommitUnit {
        checkouts: vec![
            Draft::after(&orphan).verdict(Verdict::Closed).0,
            Draft::new("c2").reference("1000042").payment("pi_1").0,
        ],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, unit).await, Done);
    let wanted = Wanted {
        payments: vec![payment("pi_1")],
        ..Wanted::default()
    };
    let found = store.load(&wanted).await.unwrap();
    assert_eq!(found.payments[&payment("pi_1")], id("c2"));
    let back = Draft::after(&load(&**store, "c1").await.unwrap().row).payment("pi_1");
    assert_eq!(commit(&**store, back.unit()).await, Conflict);
}

pub(super) async fn a_delivery_is_dealt_with_once(store: &Arc<dyn Store>) {
    store
        .append(&[delivery("a", "1"), delivery("b", "1")])
        .await
        .unwrap();
    let pending = store.pending(10).await.unwrap();
    let taking = |name: &str, nth: usize| CommitUnit {
        deliveries: vec![(pending[nth].id, Disposition::Taken)],
        ..Draft::new(name).unit()
    };
    let units = [taking("c1", 0), taking("c2", 0), taking("c3", 1)];
    assert_eq!(store.commit(&units).await.unwrap(), [Done, Late, Done]);
    assert_eq!(commit(&**store, taking("c4", 0)).await, Late);
    let unheard_of = CommitUnit {
        deliveries: vec![(4711, Disposition::Taken)],
        ..Draft::new("c5").unit()
    };
    assert_eq!(commit(&**store, unheard_of).await, Late);
    // Late, also where its checkout had moved; but not as long as there is a delivery to deal with.
    assert_eq!(commit(&**store, taking("c1", 1)).await, Late);
    store.append(&[delivery("c", "1")]).await.unwrap();
    let waiting = store.pending(10).await.unwrap().remove(0).id;
    let half = CommitUnit {
        deliveries: vec![
            (pending[0].id, Disposition::Taken),
            (waiting, Disposition::Taken),
        ],
        ..Draft::new("c4").unit()
    };
    assert_eq!(commit(&**store, half).await, Conflict);
    assert_eq!(store.pending(10).await.unwrap().remove(0).id, waiting);
    let last = CommitUnit {
        deliveries: vec![(waiting, Disposition::Ignored)],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, last).await, Done);
    for absent in ["c2", "c4", "c5"] {
        assert!(load(&**store, absent).await.is_none());
    }
    assert_eq!(store.pending(10).await.unwrap(), []);
}

pub(super) async fn a_unit_is_all_or_nothing(store: &Arc<dyn Store>) {
    store.append(&[delivery("a", "1")]).await.unwrap();
    let waiting = store.pending(10).await.unwrap().remove(0).id;
    let old = done(&**store, Draft::new("c1")).await;
    let now = done(&**store, Draft::after(&old)).await;
    let unit = CommitUnit {
        checkouts: vec![Draft::new("c2").payment("pi_1").0, Draft::after(&old).0],
        deliveries: vec![(waiting, Disposition::Taken)],
        tallies: vec![Tally {
            shop: shop(),
            at: at(0),
            kind: TallyKind::Capture,
            amount: None,
        }],
        epochs: vec![(shop(), 7)],
        sightings: vec![],
    };
    assert_eq!(commit(&**store, unit).await, Conflict);
    assert!(load(&**store, "c2").await.is_none());
    assert_eq!(load(&**store, "c1").await.unwrap().row, now);
    assert_eq!(store.pending(10).await.unwrap().len(), 1);
    assert_eq!(
        store.tallies(&shop(), at(0)).await.unwrap(),
        Default::default()
    );
    assert_eq!(store.shop(&shop()).await.unwrap().epoch, None);
}

pub(super) async fn dispositions_are_kept(store: &Arc<dyn Store>) {
    let batch = [
        delivery("a", "1"),
        delivery("b", "1"),
        delivery("c", "1"),
        delivery("d", "1"),
    ];
    store.append(&batch).await.unwrap();
    let pending = store.pending(10).await.unwrap();
    let why = "not_json: byte \"7\"\u{1f45f}".to_owned();
    let unit = CommitUnit {
        deliveries: vec![
            (pending[0].id, Disposition::Taken),
            (pending[1].id, Disposition::Ignored),
            (pending[2].id, Disposition::Parked { why: why.clone() }),
        ],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, unit).await, Done);
    assert_eq!(store.pending(10).await.unwrap(), [pending[3].clone()]);
    let parked = store.parked(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (&parked[0].delivery_id, &parked[0].why),
        (&"c".to_owned(), &why)
    );
    assert_eq!(
        (parked[0].id, parked[0].received_at),
        (pending[2].id, at(0))
    );
    let last = CommitUnit {
        deliveries: vec![(pending[3].id, Disposition::Parked { why: String::new() })],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, last).await, Done);
    assert_eq!(store.parked(1).await.unwrap()[0].delivery_id, "d");
}

async fn is_refused_whole(store: &dyn Store, bad: CommitUnit) {
    let units = [Draft::new("bystander").unit(), bad];
    let refused = store.commit(&units).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt { .. })),
        "{refused:?}"
    );
    assert!(load(store, "bystander").await.is_none());
}

pub(super) async fn an_entry_that_does_not_continue_the_journal_is_refused_whole(
    store: &Arc<dyn Store>,
) {
    let row = done(&**store, Draft::new("c1")).await;
    let next = Draft::after(&row);
    let rootless = |one: &mut reconciled::store::CheckoutCommit| {
        one.entry = JournalEntry::chained("", &id("c1"), 2, at(0), "[]".into(), "{}".into());
        one.row.head = one.entry.hash.clone();
    };
    is_refused_whole(&**store, next.clone().with(rootless).unit()).await;
    is_refused_whole(
        &**store,
        next.clone().with(|one| one.row.head = "00".into()).unit(),
    )
    .await;
    is_refused_whole(&**store, next.clone().with(|one| one.entry.seq = 1).unit()).await;
    is_refused_whole(
        &**store,
        next.clone()
            .with(|one| one.entry.checkout = id("c2"))
            .unit(),
    )
    .await;
    done(&**store, next).await;
}

pub(super) async fn one_thing_named_twice_in_a_unit_is_refused_whole(store: &Arc<dyn Store>) {
    let both = |a: Draft, b: Draft| CommitUnit {
        checkouts: vec![a.0, b.0],
        ..CommitUnit::default()
    };
    is_refused_whole(&**store, both(Draft::new("c1"), Draft::new("c1"))).await;
    let named = |name: &str| Draft::new(name).reference("1000042");
    is_refused_whole(&**store, both(named("c1"), named("c2"))).await;
    let paid = |name: &str| Draft::new(name).payment("pi_1");
    is_refused_whole(&**store, both(paid("c1"), paid("c2"))).await;
    store.append(&[delivery("a", "1")]).await.unwrap();
    let waiting = store.pending(1).await.unwrap()[0].id;
    let twice = CommitUnit {
        deliveries: vec![
            (waiting, Disposition::Taken),
            (waiting, Disposition::Ignored),
        ],
        ..CommitUnit::default()
    };
    is_refused_whole(&**store, twice).await;
}

pub(super) async fn the_journal_is_a_chain_that_verifies(store: &Arc<dyn Store>) {
    let mut row = done(&**store, Draft::new("c1").written(at(0), r#"["first"]"#)).await;
    for step in 1..8 {
        let facts = format!(r#"[{{"step":{step},"é":"\\"}}]"#);
        row = done(&**store, Draft::after(&row).written(at(step), &facts)).await;
    }
    let mut entries = store.journal(&id("c1"), 0, 100).await.unwrap();
    assert_eq!(entries.len(), 8);
    assert_eq!(verify(&row, &entries), Ok(()));
    assert_eq!(
        load(&**store, "c1").await.unwrap().row.head,
        entries[7].hash
    );
    entries[3].facts.push(' ');
    assert!(verify(&row, &entries).is_err());
}

pub(super) async fn a_unit_without_checkouts_settles_deliveries(store: &Arc<dyn Store>) {
    store.append(&[delivery("a", "1")]).await.unwrap();
    super::deliveries::deal_with_all(&**store, &Disposition::Ignored).await;
    assert_eq!(store.pending(10).await.unwrap(), []);
    assert_eq!(commit(&**store, CommitUnit::default()).await, Done);
}

pub(super) async fn large_and_odd_documents_read_back(store: &Arc<dyn Store>) {
    let large = format!("{{\"x\":\"{}\"}}", "é\u{1f45f}\"".repeat(100_000));
    let units: Vec<_> = ["", "{}", "nul \0 inside", "12", "null", large.as_str()]
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let draft = Draft::new(&format!("c{n}")).written(at(0), text);
            draft
                .with(|one| one.row.document = (*text).to_owned())
                .unit()
        })
        .collect();
    assert_eq!(store.commit(&units).await.unwrap(), [Done; 6]);
    for unit in &units {
        let commit = &unit.checkouts[0];
        let loaded = load(&**store, commit.row.id.as_str()).await.unwrap();
        assert_eq!(loaded.row, commit.row);
        let entries = store.journal(&commit.row.id, 0, 9).await.unwrap();
        assert_eq!(entries, std::slice::from_ref(&commit.entry));
    }
}
