//! Readiness part by part, and the scrape of metrics.

use super::world::{Made, World, idle_intake, now, shop};
use async_trait::async_trait;
use futures_util::FutureExt;
use reconciled::clock::Clock;
use reconciled::http::health::{
    DiskSpace, Health, IntakeQueue, Part, Readiness, ReloadNote, StoreSchema, StoreWrite,
};
use reconciled::http::intake::IntakeLimits;
use reconciled::store::{Appended, NewDelivery, Sender, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

struct Fixed(Health);

#[async_trait]
impl Part for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
    async fn health(&self) -> Health {
        self.0.clone()
    }
}

/// A part that never answers.
struct Stuck;

#[async_trait]
impl Part for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }
    async fn health(&self) -> Health {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_part_that_does_not_answer_is_failing_and_holds_nobody_up() {
    let parts: Vec<Box<dyn Part>> = vec![Box::new(Stuck), Box::new(Fixed(Health::Fine))];
    let readiness = Readiness::new(parts).within(Duration::from_millis(20));
    let parts = readiness.report().await;
    assert_eq!((parts[0].name, parts[0].state), ("stuck", "failing"));
    assert_eq!((parts[1].name, parts[1].state), ("fixed", "ok"));
}

#[tokio::test]
async fn a_refused_reload_warns_until_the_next_one_is_taken() {
    let note = ReloadNote::default();
    assert_eq!(note.health().await, Health::Fine);
    note.clone().refused("line 3: unknown key".to_owned());
    let warned = Health::Warning("the latest reload was refused: line 3: unknown key".to_owned());
    assert_eq!(note.health().await, warned);
    note.taken();
    assert_eq!(note.health().await, Health::Fine);
}

#[tokio::test]
async fn a_full_queue_fails_and_one_place_is_enough() {
    let limits = IntakeLimits {
        queue_max: 2,
        ..IntakeLimits::default()
    };
    let (intake, writer) = idle_intake(limits);
    let queue = IntakeQueue(intake.clone());
    let delivery = |id: &str| NewDelivery {
        sender: Sender::Shop(shop()),
        delivery_id: id.to_owned(),
        received_at: now(),
        told_at: None,
        is_signed: true,
        body: Vec::new(),
    };
    let mut first = Box::pin(intake.submit(delivery("evt_1")));
    assert_eq!(first.as_mut().now_or_never(), None);
    assert_eq!(queue.health().await, Health::Fine);
    let mut second = Box::pin(intake.submit(delivery("evt_2")));
    assert_eq!(second.as_mut().now_or_never(), None);
    let why = "2 deliveries wait for the store, the bound is 2".to_owned();
    assert_eq!(queue.health().await, Health::Failing(why));
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop).await;
    assert_eq!(first.await, Ok(Appended::New));
    assert_eq!(queue.health().await, Health::Fine);
}

#[tokio::test]
async fn the_disk_fails_below_its_bound_and_when_it_is_gone() {
    let disk = |directory: &str, warn: u64, fail: u64| DiskSpace {
        directory: PathBuf::from(directory),
        warn_below_bytes: warn,
        fail_below_bytes: fail,
    };
    assert_eq!(disk("/", 0, 0).health().await, Health::Fine);
    assert!(matches!(
        disk("/", u64::MAX, 0).health().await,
        Health::Warning(_)
    ));
    assert!(matches!(
        disk("/", 0, u64::MAX).health().await,
        Health::Failing(_)
    ));
    let gone = disk("/nowhere/at/all", 0, 0).health().await;
    assert!(matches!(gone, Health::Failing(why) if why.starts_with("cannot be asked")));
}

#[tokio::test]
async fn a_store_that_takes_no_write_fails_as_store_and_not_as_schema() {
    let mut world = World::default();
    world.stock.is_down = true;
    let store: Arc<dyn Store> = Arc::new(world.stock.into_store());
    let clock = Clock::manual(now());
    let write = StoreWrite {
        store: Arc::clone(&store),
        clock: clock.clone(),
    };
    let schema = StoreSchema { store, clock };
    let why = "store unavailable: disk full".to_owned();
    assert_eq!(write.health().await, Health::Failing(why));
    assert_eq!(schema.health().await, Health::Fine);
}

#[tokio::test]
async fn a_ready_daemon_says_so_part_by_part() {
    let answer = World::default().start().get("/readyz", "*/*").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        serde_json::json!({"ready": true, "failing": [], "parts": [
            {"name": "store", "state": "ok"}, {"name": "intake_queue", "state": "ok"}]})
    );
}

#[tokio::test]
async fn a_scrape_names_shops_and_verdicts_and_no_payment_order_or_checkout() {
    let world = World::with_rows([Made::confirming("ck_1"), Made::settled("ck_2")]);
    let running = world.start();
    let stranger = http::Request::get("/status").body(axum::body::Body::empty());
    running.send(stranger.unwrap()).await;
    let answer = running.get("/metrics", "*/*").await;
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    for line in [
        r#"reconciled_checkouts{shop="klompen",verdict="confirming"} 1"#,
        r#"reconciled_suspense_minor{shop="klompen",verdict="confirming",currency="EUR"} 5995"#,
        r#"reconciled_admin_refusals_total{code="unauthorized"} 1"#,
        r#"reconciled_build_info{version="0.0.0"} 1"#,
    ] {
        assert!(answer.body.contains(line), "{line}\n{}", answer.body);
    }
    assert_eq!(answer.body.matches("# EOF").count(), 1);
    for secret in ["pi_1", "1000042", "ck_1"] {
        assert!(!answer.body.contains(secret), "{secret}");
    }
    let mut down = World::default();
    down.stock.is_down = true;
    let blind = down.start().get("/metrics", "*/*").await;
    assert_eq!(blind.code(), "store_unavailable");
}
