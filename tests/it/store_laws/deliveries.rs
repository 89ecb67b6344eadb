//! Laws of the inbox and the quarantine.
//!
//! What was acknowledged is there once, in order, byte for byte.

use super::drafts::{at, delivery, shop};
use reconciled::core::time::Time;
use reconciled::store::{
    Appended, Disposition, NewDelivery, QuarantineBounds, Quarantined, Sender, Store,
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
    let batch = [delivery("evt_1", "one"), unsigned];
    assert_eq!(store.append(&batch).await.unwrap(), [New, New]);
    let pending = store.pending(10).await.unwrap();
    let found: Vec<_> = pending.iter().map(|one| one.delivery.clone()).collect();
    assert_eq!(found, batch);
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
