//! The yardstick of the whole way: the least that verifies a webhook, stores it, finds its order,
//! asks the shop to confirm it, and settles it once, on either database.
//!
//! It stores what is announced and what arrives as the raw group commit does, whatever is queued in
//! one transaction of one statement of many rows for each kind, and settles an order only while it is
//! open. It keeps no journal, no intention before a call and no account, knows one PSP and one shop,
//! never asks twice, and after a crash it would not go on: what the daemon does beside this is what it
//! is for.

use crate::raw::{key, open_postgres, open_sqlite, signed};
use crate::subject::{SHOP_KEY, mac};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::{Connection, PgConnection, QueryBuilder, SqliteConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};

const JOBS_MAX: usize = 256;
/// Calls to the shop at once, as many as the daemon is allowed.
const CALLS: usize = 64;
const ORDERS_SQLITE: &str = "CREATE TABLE orders \
    (reference TEXT PRIMARY KEY, cents INTEGER NOT NULL, payment TEXT) STRICT, WITHOUT ROWID";
const ORDERS_POSTGRES: &str =
    "CREATE TABLE orders (reference text PRIMARY KEY, cents bigint NOT NULL, payment text)";
const EVENTS_POSTGRES: &str =
    "INSERT INTO inbox (key, body) SELECT * FROM UNNEST($1::bytea[], $2::bytea[])";
const ANNOUNCE_POSTGRES: &str =
    "INSERT INTO orders (reference, cents) SELECT * FROM UNNEST($1::text[], $2::bigint[])";
const FIND_POSTGRES: &str = "SELECT reference, cents FROM orders \
    WHERE reference = ANY ($1::text[]) AND payment IS NULL";
const SETTLE_POSTGRES: &str = "UPDATE orders o SET payment = n.payment \
    FROM UNNEST($1::text[], $2::text[]) AS n (reference, payment) \
    WHERE o.reference = n.reference AND o.payment IS NULL";
const FIND_SQLITE: &str = "SELECT reference, cents FROM orders \
    WHERE reference IN (SELECT value FROM json_each(?)) AND payment IS NULL";
const SETTLE_SQLITE: &str = "UPDATE orders SET payment = n.payment \
    FROM (SELECT value ->> 0 AS reference, value ->> 1 AS payment FROM json_each(?)) AS n \
    WHERE orders.reference = n.reference AND orders.payment IS NULL";

/// What is written.
enum Job {
    Order(String, i64, oneshot::Sender<()>),
    Event(Bytes, Paid, oneshot::Sender<()>),
    Settled(Paid),
}

/// What a verified event says.
#[derive(Clone)]
struct Paid {
    reference: String,
    payment: String,
    cents: i64,
}

enum Store {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What the child serves: orders and webhooks as the daemon gets them, and how many are settled.
pub(crate) async fn router(place: &str, shop: SocketAddr) -> Router {
    let settled = Arc::new(AtomicUsize::new(0));
    let (jobs, waiting) = mpsc::channel(4096);
    let (stored, to_find) = mpsc::unbounded_channel();
    let (found, to_call) = mpsc::channel(JOBS_MAX);
    let (writer, reader) = open(place).await;
    tokio::spawn(write(writer, waiting, stored, settled.clone()));
    tokio::spawn(find(reader, to_find, found));
    let to_call = Arc::new(Mutex::new(to_call));
    for _ in 0..CALLS {
        tokio::spawn(call(shop, to_call.clone(), jobs.clone()));
    }
    let announce = jobs.clone();
    Router::new()
        .route(
            "/shops/{shop}/events",
            post(move |body: Bytes| announced(body, announce.clone())),
        )
        .route(
            "/webhooks/{psp}",
            post(move |headers: HeaderMap, body: Bytes| arrived(headers, body, jobs.clone())),
        )
        .route(
            "/settled",
            get(move || async move { settled.load(Ordering::SeqCst).to_string() }),
        )
}

async fn open(place: &str) -> (Store, Store) {
    if place.starts_with("postgres:") {
        let mut writer = open_postgres(place).await;
        sqlx::query(ORDERS_POSTGRES)
            .execute(&mut writer)
            .await
            .unwrap();
        let reader = PgConnection::connect(place).await.unwrap();
        (Store::Postgres(writer), Store::Postgres(reader))
    } else {
        let mut writer = open_sqlite(place, true).await;
        sqlx::query(ORDERS_SQLITE)
            .execute(&mut writer)
            .await
            .unwrap();
        let reader = open_sqlite(place, false).await;
        (Store::Sqlite(writer), Store::Sqlite(reader))
    }
}

async fn announced(body: Bytes, jobs: mpsc::Sender<Job>) -> StatusCode {
    let said: Value = serde_json::from_slice(&body).unwrap();
    let reference = said["data"]["reference"].as_str().unwrap().to_owned();
    let value = said["data"]["amount"]["value"].as_str().unwrap();
    let cents = value.replace('.', "").parse().unwrap();
    let (done, answer) = oneshot::channel();
    let job = Job::Order(reference, cents, done);
    assert!(jobs.send(job).await.is_ok(), "nobody writes");
    answer.await.unwrap();
    StatusCode::OK
}

async fn arrived(headers: HeaderMap, body: Bytes, jobs: mpsc::Sender<Job>) -> StatusCode {
    if !signed(&headers, &body) {
        return StatusCode::BAD_REQUEST;
    }
    let said: Value = serde_json::from_slice(&body).unwrap();
    let intent = &said["data"]["object"];
    let reference = &intent["metadata"]["order_reference"];
    let paid = Paid {
        reference: reference.as_str().unwrap().to_owned(),
        payment: intent["id"].as_str().unwrap().to_owned(),
        cents: intent["amount_received"].as_i64().unwrap(),
    };
    let (done, answer) = oneshot::channel();
    let job = Job::Event(body, paid, done);
    assert!(jobs.send(job).await.is_ok(), "nobody writes");
    answer.await.unwrap();
    StatusCode::OK
}

async fn write(
    mut store: Store,
    mut waiting: mpsc::Receiver<Job>,
    stored: mpsc::UnboundedSender<Paid>,
    settled: Arc<AtomicUsize>,
) {
    let mut jobs = Vec::new();
    while waiting.recv_many(&mut jobs, JOBS_MAX).await > 0 {
        let (mut orders, mut events, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        let (mut answers, mut paid) = (Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Order(reference, cents, done) => {
                    orders.push((reference, cents));
                    answers.push(done);
                }
                Job::Event(body, one, done) => {
                    events.push(body);
                    paid.push(one);
                    answers.push(done);
                }
                Job::Settled(paid) => ended.push((paid.reference, paid.payment)),
            }
        }
        let count = match &mut store {
            Store::Sqlite(connection) => to_sqlite(connection, &orders, &events, &ended).await,
            Store::Postgres(connection) => to_postgres(connection, orders, &events, ended).await,
        };
        settled.fetch_add(usize::try_from(count).unwrap(), Ordering::SeqCst);
        for done in answers {
            assert!(done.send(()).is_ok(), "nobody waits");
        }
        for one in paid {
            assert!(stored.send(one).is_ok(), "nobody looks for orders");
        }
    }
}

async fn to_sqlite(
    connection: &mut SqliteConnection,
    orders: &[(String, i64)],
    events: &[Bytes],
    ended: &[(String, String)],
) -> u64 {
    let mut transaction = connection.begin().await.unwrap();
    if !orders.is_empty() {
        let mut insert = QueryBuilder::new("INSERT INTO orders (reference, cents) ");
        insert.push_values(orders, |mut row, (reference, cents)| {
            row.push_bind(reference.clone());
            row.push_bind(*cents);
        });
        insert.build().execute(&mut *transaction).await.unwrap();
    }
    if !events.is_empty() {
        let mut insert = QueryBuilder::new("INSERT INTO inbox (key, body) ");
        insert.push_values(events, |mut row, body| {
            row.push_bind(key(body));
            row.push_bind(body.to_vec());
        });
        insert.build().execute(&mut *transaction).await.unwrap();
    }
    let mut count = 0;
    if !ended.is_empty() {
        let update = sqlx::query(SETTLE_SQLITE).bind(serde_json::to_string(ended).unwrap());
        let done = update.execute(&mut *transaction).await.unwrap();
        count = done.rows_affected();
    }
    transaction.commit().await.unwrap();
    count
}

async fn to_postgres(
    connection: &mut PgConnection,
    orders: Vec<(String, i64)>,
    events: &[Bytes],
    ended: Vec<(String, String)>,
) -> u64 {
    let mut transaction = connection.begin().await.unwrap();
    if !orders.is_empty() {
        let (references, cents): (Vec<_>, Vec<_>) = orders.into_iter().unzip();
        let insert = sqlx::query(ANNOUNCE_POSTGRES).bind(references).bind(cents);
        insert.execute(&mut *transaction).await.unwrap();
    }
    if !events.is_empty() {
        let keys: Vec<Vec<u8>> = events.iter().map(|body| key(body)).collect();
        let bodies: Vec<Vec<u8>> = events.iter().map(|body| body.to_vec()).collect();
        let insert = sqlx::query(EVENTS_POSTGRES).bind(keys).bind(bodies);
        insert.execute(&mut *transaction).await.unwrap();
    }
    let mut count = 0;
    if !ended.is_empty() {
        let (references, payments): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let update = sqlx::query(SETTLE_POSTGRES).bind(references).bind(payments);
        let done = update.execute(&mut *transaction).await.unwrap();
        count = done.rows_affected();
    }
    transaction.commit().await.unwrap();
    count
}

/// Finds the open orders of what was stored, many at once.
async fn find(
    mut store: Store,
    mut stored: mpsc::UnboundedReceiver<Paid>,
    found: mpsc::Sender<Paid>,
) {
    let mut batch: Vec<Paid> = Vec::new();
    while stored.recv_many(&mut batch, JOBS_MAX).await > 0 {
        let references: Vec<String> = batch.iter().map(|paid| paid.reference.clone()).collect();
        let open: Vec<(String, i64)> = match &mut store {
            Store::Sqlite(connection) => sqlx::query_as(FIND_SQLITE)
                .bind(serde_json::to_string(&references).unwrap())
                .fetch_all(connection)
                .await
                .unwrap(),
            Store::Postgres(connection) => sqlx::query_as(FIND_POSTGRES)
                .bind(references)
                .fetch_all(connection)
                .await
                .unwrap(),
        };
        let open: std::collections::HashMap<String, i64> = open.into_iter().collect();
        for paid in batch.drain(..) {
            if open.get(&paid.reference) == Some(&paid.cents) {
                assert!(found.send(paid).await.is_ok(), "nobody calls");
            }
        }
    }
}

/// One of the callers, with a kept connection.
async fn call(shop: SocketAddr, found: Arc<Mutex<mpsc::Receiver<Paid>>>, jobs: mpsc::Sender<Job>) {
    let mut stream = TcpStream::connect(shop).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0_u8; 4096];
    loop {
        let next = found.lock().await.recv().await;
        let Some(paid) = next else { return };
        let body = serde_json::json!({
            "type": "order.confirm",
            "data": {"reference": paid.reference, "payment": paid.payment, "cents": paid.cents},
        })
        .to_string();
        let signature = STANDARD.encode(mac(&SHOP_KEY, &[&paid.payment, ".", &body]));
        let request = format!(
            "POST /reconciled HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nwebhook-id: {}\r\nwebhook-signature: v1,{signature}\r\ncontent-length: {}\r\n\r\n{body}",
            paid.payment,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let status = crate::load::answer(&mut stream, &mut buffer).await;
        assert_eq!(status, 200, "the shop");
        assert!(jobs.send(Job::Settled(paid)).await.is_ok(), "nobody writes");
    }
}
