//! Group commit: one transaction for whatever waits, an answer only after it, bounds on both.
//!
//! Uses the store's gate to see what happens while a transaction is under way.

use crate::support::failing_store::FailingStore;
use crate::support::site::Site;
use crate::support::talk::{AGES, ask, read_one};
use reconciled::core::ids::AccountId;
use reconciled::core::time::Time;
use reconciled::http::counters::{IntakeCounters, Outcome, SenderKind};
use reconciled::http::intake::{Intake, IntakeLimits, NotTaken, intake};
use reconciled::http::listener::Limits;
use reconciled::store::{Appended, NewDelivery, Sender};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct Bench {
    store: Arc<FailingStore>,
    inbox: Intake,
    wake: Arc<Notify>,
    counters: Arc<IntakeCounters>,
    stop: CancellationToken,
    tracker: TaskTracker,
    writer: JoinHandle<()>,
}

impl Bench {
    fn new(limits: IntakeLimits) -> Bench {
        let store = Arc::new(FailingStore::default());
        let wake = Arc::new(Notify::new());
        let counters = Arc::new(IntakeCounters::default());
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (inbox, writer) = intake(store.clone(), wake.clone(), counters.clone(), limits);
        let writer = tracker.spawn(writer.run(stop.clone()));
        Bench {
            store,
            inbox,
            wake,
            counters,
            stop,
            tracker,
            writer,
        }
    }

    fn submit(&self, id: &str, body: &[u8]) -> JoinHandle<Result<Appended, NotTaken>> {
        let inbox = self.inbox.clone();
        let delivery = NewDelivery {
            sender: Sender::Psp(AccountId::parse("plain_nl").unwrap()),
            delivery_id: id.to_owned(),
            received_at: Time::from_seconds(1),
            told_at: None,
            is_signed: true,
            body: body.to_vec(),
        };
        self.tracker
            .spawn(async move { inbox.submit(delivery).await })
    }

    /// Submits so many while the store stands still with one of them.
    async fn crowd(
        &self,
        count: usize,
        body: &[u8],
    ) -> Vec<JoinHandle<Result<Appended, NotTaken>>> {
        let standing = self.store.stand_still().await;
        let first = self.submit("first", b"");
        self.store.until(|store| store.appends_begun() == 1).await;
        let mut rest: Vec<_> = (0..count)
            .map(|n| self.submit(&format!("evt_{n}"), body))
            .collect();
        for _ in 0..=count {
            tokio::task::yield_now().await;
        }
        drop(standing);
        rest.insert(0, first);
        rest
    }
}

async fn outcomes(
    tasks: Vec<JoinHandle<Result<Appended, NotTaken>>>,
) -> Vec<Result<Appended, NotTaken>> {
    let mut outcomes = Vec::new();
    for task in tasks {
        let outcome = tokio::time::timeout(AGES, task).await;
        outcomes.push(outcome.expect("a sender was never answered").unwrap());
    }
    outcomes
}

#[tokio::test]
async fn whatever_waits_goes_into_one_transaction() {
    let bench = Bench::new(IntakeLimits::default());
    let tasks = bench.crowd(50, b"{}").await;
    assert_eq!(outcomes(tasks).await, vec![Ok(Appended::New); 51]);
    assert_eq!(bench.store.batches(), [1, 50]);
}

#[tokio::test]
async fn a_transaction_has_a_limit_of_rows() {
    let bench = Bench::new(IntakeLimits {
        batch_rows_max: 20,
        ..IntakeLimits::default()
    });
    let tasks = bench.crowd(50, b"{}").await;
    assert_eq!(outcomes(tasks).await, vec![Ok(Appended::New); 51]);
    assert_eq!(bench.store.batches(), [1, 20, 20, 10]);
}

#[tokio::test]
async fn a_transaction_has_a_limit_of_bytes_and_one_long_body_goes_alone() {
    let bench = Bench::new(IntakeLimits {
        batch_bytes_max: 2_500,
        ..IntakeLimits::default()
    });
    let tasks = bench.crowd(5, &[b'x'; 1_000]).await;
    assert_eq!(outcomes(tasks).await, vec![Ok(Appended::New); 6]);
    assert_eq!(bench.store.batches(), [1, 2, 2, 1]);
    let long = bench.submit("long", &[b'x'; 5_000]);
    assert_eq!(outcomes(vec![long]).await, [Ok(Appended::New)]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_takes_again_later() {
    let bench = Bench::new(IntakeLimits {
        queue_max: 2,
        ..IntakeLimits::default()
    });
    let tasks = bench.crowd(5, b"{}").await;
    let outcomes = outcomes(tasks).await;
    let refused = outcomes.iter().filter(|o| **o == Err(NotTaken::QueueFull));
    assert_eq!(refused.count(), 3, "{outcomes:?}");
    assert_eq!(bench.counters.read(SenderKind::Psp, Outcome::QueueFull), 3);
    assert_eq!(
        bench.submit("later", b"{}").await.unwrap(),
        Ok(Appended::New)
    );
}

#[tokio::test]
async fn a_repetition_within_one_transaction_is_a_duplicate() {
    let bench = Bench::new(IntakeLimits::default());
    let standing = bench.store.stand_still().await;
    let tasks = vec![
        bench.submit("evt_1", b"a"),
        bench.submit("evt_1", b"a"),
        bench.submit("evt_1", b"b"),
    ];
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(standing);
    assert_eq!(
        outcomes(tasks).await,
        [
            Ok(Appended::New),
            Ok(Appended::Duplicate),
            Ok(Appended::Conflict)
        ]
    );
}

#[tokio::test]
async fn one_row_that_cannot_be_written_does_not_stop_the_others() {
    let bench = Bench::new(IntakeLimits::default());
    bench.store.poison("evt_3");
    let outcomes = outcomes(bench.crowd(6, b"{}").await).await;
    for (index, outcome) in outcomes.into_iter().enumerate() {
        // The first is not one of the numbered.
        let expected = if index == 4 {
            Err(NotTaken::StoreUnavailable)
        } else {
            Ok(Appended::New)
        };
        assert_eq!(outcome, expected, "{index}");
    }
}

#[tokio::test]
async fn news_wakes_the_engine_and_repetitions_let_it_sleep() {
    let bench = Bench::new(IntakeLimits::default());
    bench.submit("evt_1", b"{}").await.unwrap().unwrap();
    tokio::time::timeout(AGES, bench.wake.notified())
        .await
        .expect("nobody was woken");
    let again = bench.submit("evt_1", b"{}").await.unwrap();
    assert_eq!(again, Ok(Appended::Duplicate));
    let woken = tokio::time::timeout(Duration::from_millis(50), bench.wake.notified()).await;
    assert!(woken.is_err(), "woken for a repetition");
}

#[tokio::test]
async fn the_stop_writes_what_is_queued_and_then_takes_nothing() {
    let bench = Bench::new(IntakeLimits::default());
    let standing = bench.store.stand_still().await;
    let first = bench.submit("first", b"");
    bench.store.until(|store| store.appends_begun() == 1).await;
    let queued = bench.submit("queued", b"");
    tokio::task::yield_now().await;
    bench.stop.cancel();
    drop(standing);
    assert_eq!(
        outcomes(vec![first, queued]).await,
        vec![Ok(Appended::New); 2]
    );
    tokio::time::timeout(AGES, bench.writer)
        .await
        .expect("the writer did not end")
        .unwrap();
    let late = NewDelivery {
        sender: Sender::Psp(AccountId::parse("plain_nl").unwrap()),
        delivery_id: "late".to_owned(),
        received_at: Time::from_seconds(1),
        told_at: None,
        is_signed: true,
        body: Vec::new(),
    };
    let refused = bench.inbox.submit(late).await;
    assert_eq!(refused, Err(NotTaken::StoreUnavailable));
    assert_eq!(bench.store.deliveries().len(), 2);
}

#[tokio::test]
async fn no_acknowledgement_leaves_before_the_commit() {
    let site = Site::open().await;
    let standing = site.store.stand_still().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = site.signed(b"{\"id\":\"evt_1\"}");
    stream.write_all(&request).await.unwrap();
    site.until_served().await;
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
    assert!(early.is_err(), "answered before the commit");
    assert!(site.store.deliveries().is_empty());
    drop(standing);
    assert_eq!(read_one(&mut stream).await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn a_full_queue_is_told_503_with_a_pause() {
    let limits = IntakeLimits {
        queue_max: 1,
        ..IntakeLimits::default()
    };
    let site = Site::with(Limits::default(), limits).await;
    let standing = site.store.stand_still().await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    // One stands before the store, one waits, one is refused; which one is not ours to say.
    for n in 0..3 {
        let request = site.signed(format!("{{\"id\":\"evt_{n}\"}}").as_bytes());
        let (address, tell) = (site.address, tell.clone());
        site.lifecycle
            .tracker()
            .spawn(async move { tell.send(ask(address, &request).await).unwrap() });
        site.until_served().await;
    }
    let refusal = told.recv().await.unwrap();
    assert_eq!(refusal.status, 503);
    assert_eq!(refusal.problem(), "overloaded");
    assert_eq!(refusal.field("retry-after"), Some("5"));
    drop(standing);
    for _ in 0..2 {
        assert_eq!(told.recv().await.unwrap().status, 200);
    }
    assert_eq!(site.store.deliveries().len(), 2);
    site.close().await;
}
