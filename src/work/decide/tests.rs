//! Which part of the work each of two workers takes.
//!
//! Over the memory store; what becomes of it there is the engine's.

use super::*;
use crate::core::fact::Fact;
use crate::core::ids::AccountId;
use crate::roster::Roster;
use crate::store::memory::MemoryStore;
use crate::store::sample::{self, eur, minute, policy, seen};
use crate::store::{CheckoutFilter, NewDelivery, Sender, Store};
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use std::sync::Arc;

struct Bench {
    worker: Decide,
    store: Arc<MemoryStore>,
}

/// A worker of this kind, with something told in its channel and a delivery in its store.
async fn bench(takes: fn(mpsc::Receiver<Input>) -> Takes) -> Bench {
    let store = Arc::new(MemoryStore::new());
    let paid = seen(sample::captured("pi_1", eur(5_995), minute(0)));
    sample::write(&store, "c1", None, &[(minute(0), vec![paid])], &policy()).await;
    let delivery = NewDelivery {
        sender: Sender::Psp(AccountId::parse("nobody").unwrap()),
        delivery_id: "evt_1".to_owned(),
        received_at: minute(1),
        told_at: None,
        is_signed: true,
        body: b"{}".to_vec(),
    };
    store.append(&[delivery]).await.unwrap();
    let clock = Clock::manual(minute(2));
    let roster = Arc::new(ArcSwap::from_pointee(Roster::default()));
    let telemetry = Telemetry::new("1.2.3");
    let engine = Engine::new(store.clone(), roster, clock.clone(), telemetry);
    let (inputs, received) = mpsc::channel(1);
    let checkout = store.checkouts(&filter()).await.unwrap().remove(0);
    let told = Input::Told {
        checkout: checkout.row.named(),
        facts: vec![Fact::BrakeReleased { at: minute(1) }],
    };
    inputs.send(told).await.unwrap();
    let worker = Decide::new(
        engine,
        "one".to_owned(),
        takes(received),
        Pulse::new(),
        clock,
        Pressure::default(),
    );
    Bench { worker, store }
}

fn filter() -> CheckoutFilter {
    CheckoutFilter {
        limit: 10,
        ..CheckoutFilter::default()
    }
}

impl Bench {
    /// Whether what was told is taken in, and whether what was stored is.
    async fn took(&self) -> (bool, bool) {
        let checkout = self.store.checkouts(&filter()).await.unwrap().remove(0);
        let waiting = self.store.pending(10).await.unwrap();
        (checkout.row.version == 2, waiting.is_empty())
    }
}

#[tokio::test]
async fn one_worker_takes_all_and_each_of_two_its_own_part() {
    type Kind = fn(mpsc::Receiver<Input>) -> Takes;
    let kinds: [(Kind, (bool, bool)); 3] = [
        (Takes::All, (true, true)),
        (Takes::Told, (true, false)),
        (|_| Takes::Stored, (false, true)),
    ];
    for (kind, expected) in kinds {
        let mut bench = bench(kind).await;
        assert_eq!(bench.took().await, (false, false));
        assert_eq!(bench.worker.step().await, Next::Again);
        assert_eq!(bench.took().await, expected);
    }
}

#[tokio::test]
async fn who_takes_what_is_told_rests_until_something_is() {
    let mut bench = bench(Takes::Told).await;
    assert_eq!(bench.worker.step().await, Next::Again);
    assert_eq!(bench.worker.step().await, Next::Rest(None));
    assert_eq!(bench.took().await, (true, false));
}

#[test]
fn two_workers_hold_no_more_than_one_and_leave_the_intake_as_much() {
    let one = Takes::All(mpsc::channel(1).1);
    let two = [Takes::Told(mpsc::channel(1).1), Takes::Stored];
    let held: usize = two.iter().map(Takes::inputs_max).sum();
    assert_eq!(held, one.inputs_max());
    let took = Span::from_millis(8);
    for each in &two {
        let yielded = each.yields_for(took).micros();
        assert_eq!(yielded, one.yields_for(took).micros() * 2);
    }
    assert_eq!(two[1].yields_for(Span::from_seconds(9)), YIELD_MAX);
}
