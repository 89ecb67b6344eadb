//! The daemon on PostgreSQL, where that is another matter than a file: a server that is not there
//! yet or goes away, a schema that is old, new or missing, several daemons that come and go.
//!
//! The stories that any daemon plays are in `every_psp`, the store by itself in `store_postgres`.

mod tls;
mod upgrade;

use crate::support::cluster::{Cluster, Database};
use crate::support::talk::AGES;
use crate::support::{Psp, Rig};
use futures_util::FutureExt;
use reconciled::clock::Clock;
use reconciled::sandbox::psp::stripe;
use reconciled::store::calls::Calls;
use reconciled::store::postgres::PostgresOptions;
use reconciled::wire::Method;
use reconciled::work::calls::PassOn;
use reconciled::work::{Pulse, drive};
use secrecy::ExposeSecret;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A rig on a server of the test's own, which it may stop; the daemon is yet to be started.
async fn on(cluster: &Cluster) -> Rig {
    Rig::prepare_with(|mut setup| {
        setup.store_url = cluster.options().url.expose_secret().to_owned();
        setup
    })
    .await
}

/// A rig on a database of the shared server; the daemon is yet to be started.
async fn on_database(database: &Database) -> Rig {
    Rig::prepare_with(|mut setup| {
        setup.store_url = database.url();
        setup
    })
    .await
}

/// Was any delivery of the PSP about this order answered so?
fn was_answered(world: &reconciled::sandbox::world::World, order: &str, status: u16) -> bool {
    let mut answers = world.psp.deliveries().iter();
    answers.any(|one| one.reference.as_deref() == Some(order) && one.status == Some(status))
}

#[tokio::test]
async fn a_server_that_crashes_puts_senders_off_and_all_goes_on_by_itself_when_it_is_back() {
    let cluster = Cluster::alone();
    let mut rig = on(&cluster).await;
    rig.restart().await.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    for (gone, back) in [("1002", "1003"), ("1004", "1005")] {
        cluster.halt().unwrap();
        rig.place_and_pay(gone);
        let put_off = format!("{gone} is put off");
        rig.until_world(&put_off, |world| was_answered(world, gone, 503))
            .await;
        rig.until_answer("/readyz", |answer| answer.status == 503)
            .await;
        let alive = rig.admin_call(Method::Get, "/healthz", b"").await.unwrap();
        assert_eq!(alive.status, 200);
        cluster.resume().unwrap();
        rig.is_settled_once(gone).await;
        rig.until_answer("/readyz", |answer| answer.status == 200)
            .await;
        rig.place_and_pay(back);
        rig.is_settled_once(back).await;
    }
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    assert_eq!(log.matches("\"serving\"").count(), 1, "it was started anew");
    rig.sigterm().await.unwrap();
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    rig.close().await;
}

#[tokio::test]
async fn a_daemon_that_starts_before_its_server_waits_for_it_and_says_so() {
    let cluster = Cluster::alone();
    cluster.halt().unwrap();
    let mut rig = on(&cluster).await;
    let log = rig.log_path();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let server_starts = async {
        while !said().contains("waiting for the database") {
            tokio::task::yield_now().await;
        }
        cluster.resume().unwrap();
    };
    let (started, ()) = tokio::join!(rig.restart(), server_starts);
    started.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn migrate_makes_the_schema_once_and_refuses_that_of_a_newer_program() {
    let database = Database::bare().await;
    let rig = on_database(&database).await;
    let refused = rig.command(&["audit"]).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    let made = rig.command(&["migrate"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("schema 0 is now "), "{made:?}");
    let again = rig.command(&["migrate"]).await;
    assert!(again.out.contains("nothing to do"), "{again:?}");
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (9999, 'of tomorrow', true, 'x', 0)";
    database.tamper(newer).await;
    for words in [["migrate"], ["audit"], ["serve"]] {
        let refused = rig.command(&words).await;
        assert_eq!(refused.code, Some(69), "{words:?}: {refused:?}");
        assert!(refused.err.contains("9999"), "{words:?}: {refused:?}");
    }
    rig.close().await;
}

#[tokio::test]
async fn migrate_of_a_file_says_from_what_to_what() {
    let rig = Rig::prepare_with(|setup| setup).await;
    let made = rig.command(&["migrate"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("schema 0 is now "), "{made:?}");
    let again = rig.command(&["migrate"]).await;
    assert!(again.out.contains("nothing to do"), "{again:?}");
    rig.close().await;
}

#[tokio::test]
async fn daemons_that_come_and_go_on_one_database_raise_no_alarm() {
    let mut rig = Rig::prepare_at_with(on_postgres(), |setup| setup).await;
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    second.restart().await.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    for _ in 0..3 {
        rig.restart().await.unwrap();
        second.restart().await.unwrap();
    }
    // An orphan: nobody is braked, so it goes back.
    rig.pay("1002", crate::support::scene::price());
    rig.is_returned_once("1002").await;
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    rig.close().await;
}

#[tokio::test]
async fn behind_pgbouncer_two_daemons_settle_and_give_back() {
    let psp = Psp {
        kind: &stripe::KIND,
        keeps: crate::support::Keeps::BehindPgBouncer,
    };
    let mut rig = Rig::prepare_at_with(psp, |setup| setup).await;
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    second.restart().await.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    rig.pay("1002", crate::support::scene::price());
    rig.is_returned_once("1002").await;
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    rig.close().await;
}

fn on_postgres() -> Psp {
    Psp {
        kind: &stripe::KIND,
        keeps: crate::support::Keeps::Postgres,
    }
}

/// What one daemon has of the line to the others.
struct Wires {
    news: Arc<Notify>,
    looks: [Pulse; 2],
}

impl Wires {
    fn to(options: &PostgresOptions, tracker: &TaskTracker, stop: &CancellationToken) -> Wires {
        let wires = Wires {
            news: Arc::default(),
            looks: [Pulse::new(), Pulse::new()],
        };
        let looks = wires.looks.to_vec();
        let worker = PassOn::new(options.clone(), wires.news.clone(), looks);
        let driven = drive(worker, Pulse::new(), Clock::System, stop.clone());
        let stop = stop.clone();
        tracker.spawn(async move { stop.run_until_cancelled(driven).await });
        wires
    }

    /// Both loops are told to look.
    async fn are_given(&self) {
        for look in &self.looks {
            let notify = look.notify();
            let given = tokio::time::timeout(AGES, notify.notified()).await;
            given.expect("nobody was told to look");
        }
    }
}

#[tokio::test]
async fn news_of_one_daemon_wakes_the_loops_of_another_also_after_the_server_crashed() {
    let cluster = Cluster::alone();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let [one, other] = [(); 2].map(|()| Wires::to(&cluster.options(), &tracker, &stop));
    for _ in 0..2 {
        // Whoever begins to listen may have missed something.
        one.are_given().await;
        other.are_given().await;
        one.news.notify_one();
        other.are_given().await;
        other.news.notify_one();
        one.are_given().await;
        cluster.halt().unwrap();
        cluster.resume().unwrap();
    }
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn a_daemon_does_not_hear_its_own_calls() {
    let database = Database::fresh().await;
    let mut one = Calls::open(&database.options()).await.unwrap();
    let mut other = Calls::open(&database.options()).await.unwrap();
    one.call().await.unwrap();
    other.heard().await.unwrap();
    other.call().await.unwrap();
    one.heard().await.unwrap();
    assert!(one.heard().now_or_never().is_none());
    assert!(other.heard().now_or_never().is_none());
}
