//! Laws of the inbox and the quarantine.
//!
//! What was acknowledged is there once, in order, byte for byte.

use super::drafts::{Draft, at, commit, delivery, done, shop};
use reconciled::core::ids::ShopId;
use reconciled::core::time::{Span, Time};
use reconciled::store::{
    Appended, ClaimRequest, Claimed, CommitUnit, Committed, Disposition, NewDelivery,
    QuarantineBounds, Quarantined, Sender, Store, ToldAt,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

use Appended::{Conflict, Duplicate, New};

async fn waiting(store: &dyn Store) -> Vec<String> {
    let pending = store.pending(1_000_000).await.unwrap();
    pending
        .into_iter()
        .map(|one| one.delivery.delivery_id)
        .collect()
}

pub(super) async fn a_new_delivery_waits_with_its_exact_bytes(store: &Arc<dyn Store>) {
    let mut unsigned = delivery("evt_2", "two");
    unsigned.is_signed = false;
    unsigned.sender = Sender::Shop(shop());
    let mut dated = delivery("evt_3", "three");
    dated.told_at = ToldAt::of(at(-7));
    assert!(dated.told_at.is_some());
    let batch = [delivery("evt_1", "one"), unsigned, dated];
    assert_eq!(store.append(&batch).await.unwrap(), [New, New, New]);
    let pending = store.pending(10).await.unwrap();
    let found: Vec<_> = pending.iter().map(|one| one.delivery.clone()).collect();
    let kept = batch.map(|one| NewDelivery {
        told_at: None,
        ..one
    });
    assert_eq!(found, kept);
    assert_eq!(store.pending(1).await.unwrap().len(), 1);
    assert_eq!(store.append(&[]).await.unwrap(), []);
}

pub(super) async fn a_repetition_changes_nothing(store: &Arc<dyn Store>) {
    store.append(&[delivery("evt_1", "one")]).await.unwrap();
    let mut later = delivery("evt_1", "one");
    later.received_at = at(3600);
    assert_eq!(store.append(&[later]).await.unwrap(), [Duplicate]);
    let pending = store.pending(10).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].delivery.received_at, at(0));
}

/// Both words are kept: neither can be told to be the repetition of the other.
pub(super) async fn what_tells_of_another_time_under_a_known_id_is_new(store: &Arc<dyn Store>) {
    let told = |seconds, body| NewDelivery {
        told_at: ToldAt::of(at(seconds)),
        ..delivery("evt_1", body)
    };
    let batch = [
        told(1, "one"),
        told(2, "one"),
        told(1, "one"),
        told(1, "two"),
    ];
    let appended = store.append(&batch).await.unwrap();
    assert_eq!(appended, [New, New, Duplicate, Conflict]);
    let appended = store.append(&batch).await.unwrap();
    assert_eq!(appended, [Duplicate; 4]);
}

pub(super) async fn another_body_under_a_known_id_is_parked_once(store: &Arc<dyn Store>) {
    store.append(&[delivery("evt_1", "one")]).await.unwrap();
    for expected in [Conflict, Duplicate, Duplicate] {
        assert_eq!(
            store.append(&[delivery("evt_1", "other")]).await.unwrap(),
            [expected]
        );
    }
    assert_eq!(
        store.append(&[delivery("evt_1", "third")]).await.unwrap(),
        [Conflict]
    );
    assert_eq!(
        store.append(&[delivery("evt_1", "one")]).await.unwrap(),
        [Duplicate]
    );
    assert_eq!(waiting(&**store).await, ["evt_1"]);
    let parked = store.parked(10).await.unwrap();
    assert_eq!(parked.len(), 2);
    assert!(
        parked
            .iter()
            .all(|one| one.why.starts_with("delivery_conflict"))
    );
}

pub(super) async fn a_batch_may_repeat_and_contradict_itself(store: &Arc<dyn Store>) {
    let batch = [
        delivery("a", "1"),
        delivery("b", "1"),
        delivery("a", "1"),
        delivery("a", "2"),
        delivery("a", "2"),
        delivery("c", "1"),
        delivery("b", "3"),
    ];
    let expected = [New, New, Duplicate, Conflict, Duplicate, New, Conflict];
    assert_eq!(store.append(&batch).await.unwrap(), expected);
    assert_eq!(waiting(&**store).await, ["a", "b", "c"]);
    let again = store.append(&batch).await.unwrap();
    assert_eq!(again, [Duplicate; 7]);
    let mixed = [delivery("a", "1"), delivery("d", "1"), delivery("b", "4")];
    assert_eq!(
        store.append(&mixed).await.unwrap(),
        [Duplicate, New, Conflict]
    );
    assert_eq!(waiting(&**store).await, ["a", "b", "c", "d"]);
}

pub(super) async fn senders_do_not_share_ids(store: &Arc<dyn Store>) {
    let mut other = delivery("evt_1", "other");
    other.sender = Sender::Shop(shop());
    assert_eq!(
        store
            .append(&[delivery("evt_1", "one"), other])
            .await
            .unwrap(),
        [New, New]
    );
}

pub(super) async fn deliveries_wait_in_order_of_arrival_even_when_the_clock_steps_back(
    store: &Arc<dyn Store>,
) {
    let mut ids = Vec::new();
    for (name, second) in [("a", 10), ("b", 10), ("c", -86_400), ("d", 0), ("e", 11)] {
        let mut one = delivery(name, name);
        one.received_at = at(second);
        store.append(&[one]).await.unwrap();
        ids.push(name);
    }
    assert_eq!(waiting(&**store).await, ids);
    let pending = store.pending(10).await.unwrap();
    assert!(pending.windows(2).all(|two| two[0].id < two[1].id));
    assert_eq!(pending[2].delivery.received_at, at(-86_400));
}

/// A delivery of one of the shops `a`, `b`, `c` by name.
fn of(sender: &str, name: &str) -> NewDelivery {
    let mut one = delivery(name, name);
    one.sender = Sender::Shop(ShopId::parse(sender).unwrap());
    one
}

pub(super) async fn senders_take_turns_when_more_waits_than_is_asked_for(store: &Arc<dyn Store>) {
    let backlog = (0..600).map(|nr| of("aa", &format!("a{nr}")));
    let batch: Vec<NewDelivery> = backlog.collect();
    store.append(&batch).await.unwrap();
    let few = [of("bb", "b0"), of("cc", "c0"), of("bb", "b1")];
    store.append(&few).await.unwrap();
    store.append(&[of("aa", "last")]).await.unwrap();
    let found = async |limit| -> Vec<String> {
        let pending = store.pending(limit).await.unwrap();
        assert!(pending.windows(2).all(|two| two[0].id < two[1].id));
        let names = pending.into_iter().map(|one| one.delivery.delivery_id);
        names.collect()
    };
    assert_eq!(found(1).await, ["a0"]);
    assert_eq!(found(3).await, ["a0", "b0", "c0"]);
    assert_eq!(found(4).await, ["a0", "a1", "b0", "c0"]);
    assert_eq!(found(6).await, ["a0", "a1", "a2", "b0", "c0", "b1"]);
    let many = found(256).await;
    assert_eq!(many.len(), 256);
    assert_eq!(many[250..], ["a250", "a251", "a252", "b0", "c0", "b1"]);
    assert_eq!(waiting(&**store).await.len(), 604);
    assert_eq!(store.backlog().await.unwrap().oldest_delivery, Some(at(0)));
}

pub(super) async fn of_very_many_senders_each_gets_its_turn(store: &Arc<dyn Store>) {
    for round in 0..3 {
        let all = (0..100).map(|nr| of(&format!("s{nr:03}"), &format!("d{round}")));
        store.append(&all.collect::<Vec<_>>()).await.unwrap();
    }
    let pending = store.pending(100).await.unwrap();
    let senders: BTreeSet<_> = pending.iter().map(|one| &one.delivery.sender).collect();
    assert_eq!((pending.len(), senders.len()), (100, 100));
    assert!(pending.iter().all(|one| one.delivery.delivery_id == "d0"));
    assert_eq!(store.pending(250).await.unwrap().len(), 250);
}

fn claim(holder: &str, now: Time, most: u32) -> ClaimRequest {
    ClaimRequest {
        now,
        until: now.plus(Span::from_seconds(5)),
        holder: holder.to_owned(),
        deliveries: most,
        checkouts: most,
    }
}

fn names(claimed: &Claimed) -> (Vec<&str>, Vec<&str>) {
    let deliveries = claimed.deliveries.iter();
    let checkouts = claimed.checkouts.iter();
    (
        deliveries
            .map(|one| one.delivery.delivery_id.as_str())
            .collect(),
        checkouts.map(|one| one.id.as_str()).collect(),
    )
}

/// Three deliveries wait, and three checkouts are due.
async fn with_work(store: &dyn Store) {
    let batch = ["d1", "d2", "d3"].map(|name| of("aa", name));
    store.append(&batch).await.unwrap();
    for (name, wake) in [("c1", 1), ("c2", 2), ("c3", 3), ("c4", 99)] {
        done(store, Draft::new(name).wake_at(Some(at(wake)))).await;
    }
}

pub(super) async fn who_claims_gets_what_waits_and_what_is_due(store: &Arc<dyn Store>) {
    let nothing = store.claim(&claim("one", at(9), 9)).await.unwrap();
    assert_eq!(nothing, Claimed::default());
    with_work(&**store).await;
    let claimed = store.claim(&claim("one", at(9), 2)).await.unwrap();
    assert_eq!(names(&claimed), (vec!["d1", "d2"], vec!["c1", "c2"]));
    assert_eq!(claimed.deliveries, store.pending(2).await.unwrap());
    // What was taken and is not dealt with is taken again.
    let claimed = store.claim(&claim("one", at(9), 9)).await.unwrap();
    let all = (vec!["d1", "d2", "d3"], vec!["c1", "c2", "c3"]);
    assert_eq!(names(&claimed), all);
    assert_eq!(store.pending(9).await.unwrap().len(), 3, "it still waits");
}

pub(super) async fn what_one_holder_claimed_the_others_leave_until_its_time_is_up(
    store: &Arc<dyn Store>,
) {
    with_work(&**store).await;
    let take = async |holder, second, most| -> (Vec<String>, Vec<String>) {
        let claimed = store.claim(&claim(holder, at(second), most)).await;
        let claimed = claimed.unwrap();
        let (deliveries, checkouts) = names(&claimed);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        (owned(deliveries), owned(checkouts))
    };
    let of = |deliveries: &[&str], checkouts: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect();
        (owned(deliveries), owned(checkouts))
    };
    assert_eq!(take("one", 9, 2).await, of(&["d1", "d2"], &["c1", "c2"]));
    assert_eq!(take("two", 10, 9).await, of(&["d3"], &["c3"]));
    assert_eq!(take("three", 11, 9).await, of(&[], &[]));
    // The first takes anew, and so gives back what it had; the second keeps its share.
    assert_eq!(take("one", 12, 1).await, of(&["d1"], &["c1"]));
    assert_eq!(take("three", 13, 9).await, of(&["d2"], &["c2"]));
    assert_eq!(take("one", 14, 9).await, of(&["d1"], &["c1"]));
    // The second is heard of no more.
    assert_eq!(take("three", 15, 9).await, of(&["d2", "d3"], &["c2", "c3"]));
    // A claim is no right: whoever commits deals with it.
    let id = store.pending(9).await.unwrap()[0].id;
    let unit = CommitUnit {
        deliveries: vec![(id, Disposition::Taken)],
        ..CommitUnit::default()
    };
    assert_eq!(commit(&**store, unit).await, Committed::Done);
    assert_eq!(take("one", 16, 9).await.0, Vec::<String>::new());
}

pub(super) async fn who_claims_at_once_shares_all_of_it(store: &Arc<dyn Store>) {
    let batch: Vec<NewDelivery> = (0..200).map(|nr| of("aa", &format!("d{nr}"))).collect();
    store.append(&batch).await.unwrap();
    let mut tasks = JoinSet::new();
    for holder in 0..8 {
        let store = store.clone();
        let request = claim(&format!("holder-{holder}"), at(9), 25);
        tasks.spawn(async move { store.claim(&request).await.unwrap() });
    }
    let (mut taken, mut distinct) = (0, BTreeSet::new());
    while let Some(claimed) = tasks.join_next().await {
        let claimed = claimed.unwrap();
        taken += claimed.deliveries.len();
        distinct.extend(claimed.deliveries.into_iter().map(|one| one.id));
    }
    println!("{taken} taken, {} of them distinct", distinct.len());
    assert!(distinct.len() > 150, "{} of 200", distinct.len());
}

pub(super) async fn odd_ids_and_empty_or_binary_bodies_read_back(store: &Arc<dyn Store>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut batch = Vec::new();
    for (name, body) in [
        ("", b"".to_vec()),
        ("nul\0inside", every_byte.clone()),
        ("quote\"back\\slash\u{1f45f}", vec![0]),
        ("123", b"null".to_vec()),
        ("null", vec![b'x'; 300_000]),
        (" ", b"[]".to_vec()),
    ] {
        batch.push(NewDelivery {
            body,
            ..delivery(name, "")
        });
    }
    assert_eq!(store.append(&batch).await.unwrap(), [New; 6]);
    let pending = store.pending(10).await.unwrap();
    let found: Vec<_> = pending.into_iter().map(|one| one.delivery).collect();
    assert_eq!(found, batch);
}

pub(super) async fn a_clock_gone_mad_leaves_room_for_later_deliveries(store: &Arc<dyn Store>) {
    for (name, micros) in [("a", i64::MAX), ("b", i64::MIN), ("c", 0), ("d", i64::MAX)] {
        let mut one = delivery(name, name);
        one.received_at = Time::from_micros(micros);
        assert_eq!(store.append(&[one]).await.unwrap(), [New]);
    }
    assert_eq!(waiting(&**store).await, ["a", "b", "c", "d"]);
}

pub(super) async fn appending_from_many_tasks_loses_and_doubles_nothing(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut new = 0_usize;
            for batch in 0..8 {
                // Every delivery is sent by two tasks.
                let name = |n: i32| format!("evt_{}_{batch}_{n}", task / 2);
                let batch: Vec<_> = (0..8).map(|n| delivery(&name(n), "body")).collect();
                let appended = store.append(&batch).await.unwrap();
                assert!(appended.iter().all(|one| *one != Conflict));
                let fresh = appended.iter().filter(|one| **one == New).count();
                new = new.saturating_add(fresh);
            }
            new
        });
    }
    let new: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(new, 8 * 8 * 8);
    let names = waiting(&**store).await;
    assert_eq!(names.len(), new);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), new);
}

fn failed(name: &str, bytes: usize) -> Quarantined {
    Quarantined {
        id: 0,
        sender: Sender::Shop(shop()),
        received_at: at(0),
        diagnosis: name.to_owned(),
        envelope: r#"{"method":"POST"}"#.to_owned(),
        body: vec![7; bytes],
    }
}

async fn in_quarantine(store: &dyn Store) -> Vec<String> {
    let entries = store.quarantined(100).await.unwrap();
    entries.into_iter().map(|one| one.diagnosis).collect()
}

const WIDE: QuarantineBounds = QuarantineBounds {
    entries_max: 100,
    bytes_max: 1_000_000,
};

pub(super) async fn the_quarantine_lets_the_oldest_give_way_by_count(store: &Arc<dyn Store>) {
    let bounds = QuarantineBounds {
        entries_max: 3,
        ..WIDE
    };
    for name in ["a", "b", "c", "d", "e"] {
        store.quarantine(&failed(name, 1), bounds).await.unwrap();
    }
    assert_eq!(in_quarantine(&**store).await, ["e", "d", "c"]);
    let latest = store.quarantined(1).await.unwrap().remove(0);
    let one = store.quarantined_one(latest.id).await.unwrap().unwrap();
    assert_eq!(
        one,
        Quarantined {
            id: latest.id,
            ..failed("e", 1)
        }
    );
    assert_eq!(
        store
            .quarantined_one(latest.id.saturating_add(1))
            .await
            .unwrap(),
        None
    );
}

pub(super) async fn the_quarantine_lets_the_oldest_give_way_by_bytes(store: &Arc<dyn Store>) {
    let bounds = QuarantineBounds {
        bytes_max: 100,
        ..WIDE
    };
    for (name, bytes) in [("a", 40), ("b", 40), ("c", 20)] {
        store
            .quarantine(&failed(name, bytes), bounds)
            .await
            .unwrap();
    }
    assert_eq!(in_quarantine(&**store).await, ["c", "b", "a"]);
    store.quarantine(&failed("d", 41), bounds).await.unwrap();
    assert_eq!(in_quarantine(&**store).await, ["d", "c"]);
    store
        .quarantine(&failed("too large", 101), bounds)
        .await
        .unwrap();
    assert_eq!(in_quarantine(&**store).await, Vec::<String>::new());
}

pub(super) async fn a_requeued_entry_leaves_the_quarantine_and_waits(store: &Arc<dyn Store>) {
    store.quarantine(&failed("a", 1), WIDE).await.unwrap();
    store.quarantine(&failed("b", 1), WIDE).await.unwrap();
    let entry = store.quarantined(1).await.unwrap().remove(0);
    let moved = store
        .requeue(entry.id, &delivery("evt_1", "one"))
        .await
        .unwrap();
    assert_eq!(moved, New);
    assert_eq!(in_quarantine(&**store).await, ["a"]);
    assert_eq!(waiting(&**store).await, ["evt_1"]);
    store.quarantine(&failed("c", 1), WIDE).await.unwrap();
    let next = store.quarantined(1).await.unwrap().remove(0);
    assert!(next.id > entry.id, "an id was given out twice");
}

pub(super) async fn a_requeued_entry_is_known_like_any_other(store: &Arc<dyn Store>) {
    store.append(&[delivery("evt_1", "one")]).await.unwrap();
    for (body, expected) in [("one", Duplicate), ("two", Conflict)] {
        store.quarantine(&failed("a", 1), WIDE).await.unwrap();
        let entry = store.quarantined(1).await.unwrap().remove(0);
        let moved = store
            .requeue(entry.id, &delivery("evt_1", body))
            .await
            .unwrap();
        assert_eq!(moved, expected);
    }
    // It gave way meanwhile: the delivery is verified by now and must not be lost.
    assert_eq!(
        store
            .requeue(4711, &delivery("evt_2", "one"))
            .await
            .unwrap(),
        New
    );
    assert_eq!(in_quarantine(&**store).await, Vec::<String>::new());
    assert_eq!(waiting(&**store).await, ["evt_1", "evt_2"]);
}

/// Used by other laws: deals with everything that waits.
pub(super) async fn deal_with_all(store: &dyn Store, disposition: &Disposition) {
    let pending = store.pending(10_000).await.unwrap();
    let unit = reconciled::store::CommitUnit {
        deliveries: pending
            .iter()
            .map(|one| (one.id, disposition.clone()))
            .collect(),
        ..Default::default()
    };
    let committed = store.commit(&[unit]).await.unwrap();
    assert_eq!(committed, [reconciled::store::Committed::Done]);
}
