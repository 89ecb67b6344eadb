//! Whether a full store is slower than an empty one, on either database.
//!
//! How many settled payments the full one holds is `FILLED` (200,000 when it is not set); one database
//! alone is measured where `FILLED_ON` says `sqlite` or `postgresql`.

use crate::filled::Mould;
use crate::server::Server;
use crate::subject::{
    Subject, configuration, event, file, order, program, signed_event, signed_order,
};
use crate::{SENDERS, load};
use reconciled::store::Store;
use reconciled::store::postgres::{PostgresOptions, PostgresStore};
use reconciled::store::sqlite::SqliteStore;
use sqlx::{Connection, PgConnection};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FILLED: usize = 200_000;
const INTAKE_COUNT: usize = 20_000;
const SETTLE_COUNT: usize = 8_000;
/// A daemon that starts first looks for what moved on the last day that has closed, which here is
/// everything.
const CALM_AFTER: Duration = Duration::from_secs(30);

struct Rates {
    intake: f64,
    settled: f64,
}

pub(crate) async fn run() {
    let named = std::env::var("FILLED").ok();
    let count = named.map_or(FILLED, |count| count.parse().expect("FILLED is a number"));
    let mould = Mould::cast().await;
    let only = std::env::var("FILLED_ON").ok();
    let is_meant = |database: &str| only.as_deref().is_none_or(|only| only == database);
    if is_meant("sqlite") {
        on_sqlite(&mould, count).await;
    }
    if is_meant("postgresql") {
        on_postgres(&mould, count).await;
    }
}

async fn on_sqlite(mould: &Mould, count: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let store = SqliteStore::open(&path).await.unwrap();
    fill(mould, &store, "SQLite", count).await;
    // The file is its own until it is let go of.
    drop(store);
    let size = std::fs::metadata(&path).unwrap().len();
    println!("SQLite: {} bytes per settled payment", size / count as u64);
    let empty = empty(Subject::start().await).await;
    let begun = Instant::now();
    let subject = Subject::start_in(directory, None).await;
    say(&subject, "SQLite", begun.elapsed(), &empty).await;
    audit(subject, "SQLite", count);
}

async fn on_postgres(mould: &Mould, count: usize) {
    let server = Server::start();
    let url = server.database();
    let store = open_postgres(&url).await;
    fill(mould, &store, "PostgreSQL", count).await;
    tidy(&url).await;
    let empty = empty(Subject::start_on(Some(server.database())).await).await;
    let begun = Instant::now();
    let subject = Subject::start_on(Some(url)).await;
    say(&subject, "PostgreSQL", begun.elapsed(), &empty).await;
    audit(subject, "PostgreSQL", count);
}

/// A new store in the database at this address, to be filled.
pub(crate) async fn open_postgres(url: &str) -> PostgresStore {
    let options = PostgresOptions {
        url: url.to_owned().into(),
        connections_max: 4,
        statement_timeout: Duration::from_secs(60),
        session_features: true,
    };
    PostgresStore::open(&options).await.unwrap()
}

/// The rates of a daemon on an empty store, measured right before those on the full one.
async fn empty(subject: Subject) -> Rates {
    let rates = rates(&subject, "empty").await;
    subject.stop().await;
    rates
}

/// What the server does by itself in time after so many rows came.
pub(crate) async fn tidy(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        let done = sqlx::raw_sql(statement).execute(&mut connection).await;
        done.unwrap();
    }
    connection.close().await.unwrap();
}

async fn fill(mould: &Mould, store: &dyn Store, name: &str, count: usize) {
    let begun = Instant::now();
    mould.fill(store, count).await;
    store.close().await;
    let took = begun.elapsed().as_secs_f64();
    println!("{name}: filled with {count} settled payments in {took:.0} s");
}

/// Tells of a daemon on a full store: its start, its page, and its rates beside an empty one's.
async fn say(subject: &Subject, name: &str, started: Duration, empty: &Rates) {
    let page = subject.status_page().await;
    let at_once = rates(subject, "full").await;
    println!(
        "{name}: started in {:.2} s, status page in {:.0} ms, RSS {} MiB",
        started.as_secs_f64(),
        page.as_secs_f64() * 1000.0,
        subject.rss_mib()
    );
    at_once.say(name, "right after the start", empty);
    tokio::time::sleep(CALM_AFTER).await;
    let later = rates(subject, "calm").await;
    later.say(name, "later", empty);
}

impl Rates {
    fn say(&self, name: &str, moment: &str, empty: &Rates) {
        println!(
            "{name}, {moment}: intake {:.0}/s full, {:.0}/s empty, ratio {:.2}; \
             settled {:.0}/s full, {:.0}/s empty, ratio {:.2}",
            self.intake,
            empty.intake,
            self.intake / empty.intake,
            self.settled,
            empty.settled,
            self.settled / empty.settled
        );
    }
}

async fn rates(subject: &Subject, name: &str) -> Rates {
    let events: Vec<Vec<u8>> = (0..INTAKE_COUNT)
        .map(|n| signed_event(&event(&format!("{name}i"), n)))
        .collect();
    let intake = load::run(subject.public, &events, SENDERS).await;
    subject.until_drained().await;
    let run = format!("{name}s");
    let orders: Vec<Vec<u8>> = (0..SETTLE_COUNT)
        .map(|n| signed_order(&order(&run, n)))
        .collect();
    load::run(subject.public, &orders, SENDERS).await;
    subject.until_drained().await;
    let before = subject.settled().await;
    let events: Vec<Vec<u8>> = (0..SETTLE_COUNT)
        .map(|n| signed_event(&event(&run, n)))
        .collect();
    let begun = Instant::now();
    load::run(subject.public, &events, SENDERS).await;
    subject.until_settled(before + SETTLE_COUNT).await;
    Rates {
        intake: intake.per_second(),
        settled: SETTLE_COUNT as f64 / begun.elapsed().as_secs_f64(),
    }
}

/// The audit of the whole store, by the command that an operator runs.
fn audit(subject: Subject, name: &str, count: usize) {
    let directory = subject.stop_and_keep();
    let begun = Instant::now();
    let audit = Command::new(program())
        .args(["audit", "--config"])
        .arg(configuration(&directory))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let took = begun.elapsed().as_secs_f64();
    let all = count + 2 * (INTAKE_COUNT + SETTLE_COUNT);
    println!(
        "{name}: audit of {all} checkouts in {took:.1} s, {:.0}/s ({audit})",
        all as f64 / took
    );
    directory.close().unwrap();
}
