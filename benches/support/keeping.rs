//! What a store keeps, on either database: a backlog that waits to be decided, and payments that are
//! past their retention.
//!
//! How many deliveries the backlog has is `BACKLOG` (50,000 when it is not set), how many old payments
//! there are is `PRUNED` (50,000), and how many deliveries a second come meanwhile is `PACED` (4,000).
//! While old payments go they come for `PACED_FOR` seconds (40), while none go for 40 s; one database
//! alone is measured where `PRUNED_ON` says `sqlite` or `postgresql`.

use crate::filled::Mould;
use crate::flatness::{open_postgres, tidy};
use crate::server::Server;
use crate::subject::{Subject, event, file, signed_event};
use crate::{SENDERS, load};
use reconciled::store::Store;
use reconciled::store::sqlite::SqliteStore;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::time::{Duration, Instant};

const BACKLOG: usize = 50_000;
/// Deliveries that are made and sent at a time.
const CHUNK: usize = 25_000;
const PRUNED: usize = 50_000;
const PER_SECOND: f64 = 4_000.0;
const SECONDS: usize = 40;
const WARM_COUNT: usize = 2_000;
/// Far past every retention.
const DAYS_OLD: u64 = 1_000;
/// How many of the payments that the store was filled with are left.
const LEFT: &str = "SELECT count(*) FROM checkouts WHERE reference LIKE 'filling-%'";

fn given(name: &str, otherwise: usize) -> usize {
    let named = std::env::var(name).ok();
    named.map_or(otherwise, |count| count.parse().expect(name))
}

/// Deliveries come faster than they can be decided, and then no more: is memory bounded meanwhile?
pub(crate) async fn backlog() {
    let server = Server::start();
    let count = given("BACKLOG", BACKLOG);
    for (name, database) in [("SQLite", None), ("PostgreSQL", Some(server.database()))] {
        let subject = Subject::start_on(database).await;
        let begun = Instant::now();
        for first in (0..count).step_by(CHUNK) {
            let numbers = first..(first + CHUNK).min(count);
            let requests: Vec<Vec<u8>> = numbers.map(|n| signed_event(&event("k", n))).collect();
            load::run(subject.public, &requests, SENDERS).await;
        }
        let came = begun.elapsed().as_secs_f64();
        let waiting = subject.waiting().await;
        println!(
            "{name}: {count} deliveries came in {came:.0} s, {waiting} of them wait; RSS {} MiB",
            subject.rss_mib()
        );
        let (begun, mut left, mut told) = (Instant::now(), waiting, waiting);
        while left > 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            left = subject.waiting().await;
            if left <= told * 3 / 4 {
                told = left;
                println!("  {left} wait; RSS {} MiB", subject.rss_mib());
            }
        }
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{name}: drained in {took:.0} s, {:.0}/s; RSS {} MiB",
            waiting as f64 / took,
            subject.rss_mib()
        );
        subject.stop().await;
    }
}

/// Deliveries at an even pace, on a store whose payments stay and on one whose payments go.
pub(crate) async fn pruning() {
    let count = given("PRUNED", PRUNED);
    let only = std::env::var("PRUNED_ON").ok();
    let is_meant = |database: &str| only.as_deref().is_none_or(|only| only == database);
    for (days, seconds) in [(0, SECONDS), (DAYS_OLD, given("PACED_FOR", SECONDS))] {
        let mould = Mould::cast().await.aged(days);
        if is_meant("sqlite") {
            prune_on_sqlite(&mould, count, (days, seconds)).await;
        }
        if is_meant("postgresql") {
            prune_on_postgres(&mould, count, (days, seconds)).await;
        }
    }
}

async fn prune_on_sqlite(mould: &Mould, count: usize, (days, seconds): (u64, usize)) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&file(&directory)).await.unwrap();
    mould.fill(&store, count).await;
    store.close().await;
    drop(store);
    let subject = Subject::start_in(directory, None).await;
    let directory = pace(subject, "SQLite", days, seconds).await;
    let url = format!("sqlite:{}", file(&directory).display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let left = sqlx::query_scalar(LEFT).fetch_one(&mut connection);
    let left: i64 = left.await.unwrap();
    println!("  {left} of {count} payments are left");
    connection.close().await.unwrap();
    directory.close().unwrap();
}

async fn prune_on_postgres(mould: &Mould, count: usize, (days, seconds): (u64, usize)) {
    let server = Server::start();
    let url = server.database();
    let store = open_postgres(&url).await;
    mould.fill(&store, count).await;
    store.close().await;
    tidy(&url).await;
    let subject = Subject::start_on(Some(url.clone())).await;
    let directory = pace(subject, "PostgreSQL", days, seconds).await;
    directory.close().unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let left = sqlx::query_scalar(LEFT).fetch_one(&mut connection);
    let left: i64 = left.await.unwrap();
    println!("  {left} of {count} payments are left");
    connection.close().await.unwrap();
}

async fn pace(subject: Subject, name: &str, days: u64, seconds: usize) -> tempfile::TempDir {
    let per_second = given("PACED", PER_SECOND as usize) as f64;
    let made = |part: &str, count: usize| -> Vec<Vec<u8>> {
        (0..count).map(|n| signed_event(&event(part, n))).collect()
    };
    load::run(subject.public, &made("w", WARM_COUNT), SENDERS).await;
    let requests = made("p", per_second as usize * seconds);
    let ran = load::run_at(subject.public, &requests, SENDERS, per_second).await;
    println!(
        "{name}, payments {days} days old: at {per_second:.0}/s p50 {:.1}, p99 {:.1}, p99.9 {:.1} ms",
        ran.at(0.5),
        ran.at(0.99),
        ran.at(0.999)
    );
    subject.stop_and_keep()
}
