//! The server dies under load and its synchronous standby takes over: what was acknowledged is
//! there, nothing is done twice, and both daemons go on by themselves.
//!
//! The address moves to the standby before that is promoted, as an address may; until then nobody
//! is told that anything was taken.

use super::together::{arrive, hasty, settle};
use super::{Chance, assert_audit, assert_books, assert_inbox, seed};
use crate::support::Rig;
use crate::support::cluster::Cluster;
use crate::support::forwarder::Forwarder;
use reconciled::sandbox::world::World;
use reconciled::wire::Method;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// Customers before the server dies, while it is gone, and after another took over.
const CUSTOMERS: [usize; 3] = [30, 10, 10];
/// The longest pause between two customers, in milliseconds.
const ARRIVAL_MS_MAX: u64 = 200;

async fn behind(forwarder: &Forwarder) -> Rig {
    let url = forwarder.url();
    Rig::prepare_with(|mut setup| {
        setup.store_url = url;
        hasty(setup)
    })
    .await
}

/// Deliveries so far that were put off.
fn put_off(rig: &Rig) -> usize {
    let world = rig.world().lock();
    let answers = world.psp.deliveries().iter().chain(world.shop.deliveries());
    answers.filter(|one| one.status == Some(503)).count()
}

/// Deliveries so far that were taken.
fn taken(rig: &Rig) -> usize {
    let world = rig.world().lock();
    let answers = world.psp.deliveries().iter().chain(world.shop.deliveries());
    let taken = answers.filter(|one| one.status.is_some_and(|code| (200..300).contains(&code)));
    taken.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_from_a_server_killed_under_load_has_all_that_was_acknowledged() {
    let seed = seed();
    println!("RECONCILED_KILL_SEED={seed}");
    let primary = Cluster::alone();
    let forwarder = Forwarder::to(&primary);
    let mut rig = behind(&forwarder).await;
    rig.shop(|shop| shop.set_careless(true));
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    second.restart().await.unwrap();
    let standby = primary.synchronous_standby().await;
    let (chance, customers) = (RefCell::new(Chance(seed)), RefCell::new(BTreeMap::new()));
    let limit = Cell::new(CUSTOMERS[0]);
    let come = |count: usize| {
        let (rig, chance, customers, limit) = (&rig, &chance, &customers, &limit);
        async move {
            limit.set(count);
            while customers.borrow().len() < limit.get() {
                arrive(rig, chance, customers);
                let pause = chance.borrow_mut().millis(ARRIVAL_MS_MAX);
                rig.pass(pause).await.unwrap();
            }
        }
    };
    come(CUSTOMERS[0]).await;
    // In the midst of it.
    tokio::task::block_in_place(|| primary.kill9());
    forwarder.lead_to(&standby);
    forwarder.cut();
    let (known, refused) = (taken(&rig), put_off(&rig));
    assert!(
        known > 50,
        "{known} deliveries taken before the server died"
    );
    come(CUSTOMERS[0] + CUSTOMERS[1]).await;
    rig.until_answer("/readyz", |answer| {
        let said = String::from_utf8_lossy(&answer.body);
        answer.status == 503 && said.contains("takes no writes, as a standby")
    })
    .await;
    rig.until_world("senders put off by the standby", |world| {
        let answers = world.psp.deliveries().iter();
        answers.filter(|one| one.status == Some(503)).count() > refused
    })
    .await;
    let alive = rig.admin_call(Method::Get, "/healthz", b"").await.unwrap();
    assert_eq!(alive.status, 200);
    tokio::task::block_in_place(|| standby.promote());
    rig.until_answer("/readyz", |answer| answer.status == 200)
        .await;
    come(CUSTOMERS.iter().sum()).await;
    rig.psp(|psp| psp.heal());
    rig.shop(|shop| shop.heal());
    rig.set_patience(Duration::from_secs(120));
    let customers = customers.into_inner();
    settle(&rig, &customers).await;
    assert_books(&rig, &customers);
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    assert_eq!(log.matches("\"serving\"").count(), 1, "it was started anew");
    rig.sigterm().await.unwrap();
    assert_inbox(&rig).await;
    assert_audit(&rig);
    println!(
        "{} customers, {known} deliveries taken before",
        customers.len()
    );
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_led_to_a_standby_is_not_ready_and_goes_on_when_it_is_led_to_the_primary() {
    let primary = Cluster::alone();
    let standby = primary.synchronous_standby().await;
    let forwarder = Forwarder::to(&standby);
    let mut rig = behind(&forwarder).await;
    let log = rig.log_path();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let moves = async {
        while !said().contains("takes no writes, as a standby") {
            tokio::task::yield_now().await;
        }
        assert!(said().contains("waiting for the database"), "{}", said());
        // What is open stays with the standby.
        forwarder.lead_to(&primary);
    };
    let (started, ()) = tokio::join!(rig.restart(), moves);
    started.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    forwarder.lead_to(&standby);
    forwarder.cut();
    rig.place_and_pay("1002");
    rig.until_answer("/readyz", |answer| answer.status == 503)
        .await;
    // The books can be read there.
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    forwarder.lead_to(&primary);
    rig.is_settled_once("1002").await;
    rig.until_answer("/readyz", |answer| answer.status == 200)
        .await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_standby_is_gone_nothing_is_acknowledged_that_it_does_not_have() {
    let primary = Cluster::alone();
    let standby = primary.synchronous_standby().await;
    let forwarder = Forwarder::to(&primary);
    let url = forwarder.url();
    let mut rig = Rig::prepare_with(|mut setup| {
        setup.store_url = url;
        let limit = "\"1s\"".to_owned();
        setup.store.insert("statement_timeout".to_owned(), limit);
        setup
    })
    .await;
    rig.restart().await.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    tokio::task::block_in_place(|| standby.halt()).unwrap();
    rig.place_and_pay("1002");
    let is_put_off = |world: &World| answers_about(world, "1002").contains(&503);
    rig.until_world("senders that are put off", is_put_off)
        .await;
    rig.until_answer("/readyz", |answer| answer.status == 503)
        .await;
    let answers = answers_about(&rig.world().lock(), "1002");
    assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
    tokio::task::block_in_place(|| primary.kill9());
    tokio::task::block_in_place(|| standby.resume()).unwrap();
    tokio::task::block_in_place(|| standby.promote());
    forwarder.lead_to(&standby);
    forwarder.cut();
    rig.is_settled_once("1002").await;
    assert_eq!(rig.fine("1001").mails, 1);
    rig.close().await;
}

/// How deliveries about this order were answered.
fn answers_about(world: &World, order: &str) -> Vec<u16> {
    let answers = world.psp.deliveries().iter().chain(world.shop.deliveries());
    let about = answers.filter(|one| one.reference.as_deref() == Some(order));
    about.filter_map(|one| one.status).collect()
}
