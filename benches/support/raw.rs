//! The yardsticks: what reads a webhook and answers, what verifies it too, and the least that stores
//! it durably, on either database.
//!
//! The storing ones put the body into a queue, commit whatever is queued in one transaction of one
//! statement of many rows, and answer. They have the daemon's keys (a row id in the order of arrival,
//! and a unique digest, led by the second, without which a repetition would count twice) and nothing
//! else: no signature, no account, no bound, no engine beside it. Each runs in a child process of its
//! own, as the daemon does, so that its processor time can be told apart.

use crate::running::{self, free_port, until_it_listens};
use crate::subject::{PSP_SECRET, mac};
use crate::whole;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hyper_util::service::TowerToHyperService;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, QueryBuilder, SqliteConnection};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};

const ROWS_MAX: usize = 256;
const TABLE_SQLITE: &str = "CREATE TABLE inbox \
    (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL) STRICT";
const TABLE_POSTGRES: &str = "CREATE TABLE inbox \
    (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key bytea NOT NULL UNIQUE, \
     body bytea NOT NULL)";
const INSERT_POSTGRES: &str =
    "INSERT INTO inbox (key, body) SELECT * FROM UNNEST($1::bytea[], $2::bytea[])";

/// The word that makes this program a yardstick.
pub(crate) const WORD: &str = "--be-the-yardstick";
/// What the place of the yardstick of the whole way begins with; its shop and its database follow.
const WHOLE: &str = "whole way: ";

type Waiting = (Bytes, oneshot::Sender<()>);

/// Which yardstick.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Reads and answers.
    Bare,
    /// Verifies the signature and answers.
    Signed,
    /// Stores on SQLite (WAL, synchronous FULL).
    Sqlite,
    /// Stores on the PostgreSQL database at this address.
    Postgres(String),
    /// Goes the whole way (`crate::whole`), with the shop at this address, on the PostgreSQL database
    /// at the other, or on SQLite.
    Whole(SocketAddr, Option<String>),
}

pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
}

impl Raw {
    pub(crate) async fn start(kind: &Kind) -> Raw {
        let directory = tempfile::tempdir().unwrap();
        let address = free_port().await;
        let place = match kind {
            Kind::Bare => "bare".to_owned(),
            Kind::Signed => "signed".to_owned(),
            Kind::Sqlite => directory.path().join("raw.db").display().to_string(),
            Kind::Postgres(url) => url.clone(),
            Kind::Whole(shop, url) => {
                let file = || directory.path().join("raw.db").display().to_string();
                format!("{WHOLE}{shop} {}", url.clone().unwrap_or_else(file))
            }
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .args([WORD, &address.to_string(), &place])
            .spawn()
            .unwrap();
        until_it_listens(address).await;
        Raw {
            address,
            child,
            directory,
        }
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Duration {
        running::cpu(self.child.id())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stop(self) {
        running::stop(self.child);
        self.directory.close().unwrap();
    }
}

/// What the child does until it is killed.
pub(crate) async fn serve(address: &str, place: &str) {
    let whole = place.strip_prefix(WHOLE);
    let router = match (whole.and_then(|rest| rest.split_once(' ')), place) {
        (Some((shop, place)), _) => whole::router(place, shop.parse().unwrap()).await,
        (None, "bare") => {
            Router::new().route("/{*path}", post(|_: Bytes| async { StatusCode::OK }))
        }
        (None, "signed") => Router::new().route("/{*path}", post(verify)),
        (None, _) => storing(place).await,
    };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = TowerToHyperService::new(router.clone());
        let io = hyper_util::rt::TokioIo::new(stream);
        let connection = hyper::server::conn::http1::Builder::new();
        let connection = connection.serve_connection(io, service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn verify(headers: HeaderMap, body: Bytes) -> StatusCode {
    if signed(&headers, &body) {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

/// Whether the PSP signed it.
pub(crate) fn signed(headers: &HeaderMap, body: &Bytes) -> bool {
    let signature = headers["stripe-signature"].to_str().unwrap();
    let (at, given) = signature.split_once(",v1=").unwrap();
    let at = at.strip_prefix("t=").unwrap();
    let body = std::str::from_utf8(body).unwrap();
    let given = hex::decode(given).unwrap();
    mac(PSP_SECRET.as_bytes(), &[at, ".", body]) == given
}

/// A connection to an empty database of this server, with the table of what arrives.
pub(crate) async fn open_postgres(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(TABLE_POSTGRES)
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

/// A connection to this SQLite file; the first makes it, with the table of what arrives.
pub(crate) async fn open_sqlite(path: &str, first: bool) -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(first)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .unwrap();
    if first {
        sqlx::query(TABLE_SQLITE)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

async fn storing(place: &str) -> Router {
    let (queue, waiting) = mpsc::channel::<Waiting>(4096);
    if place.starts_with("postgres:") {
        tokio::spawn(write_postgres(open_postgres(place).await, waiting));
    } else {
        tokio::spawn(write_sqlite(open_sqlite(place, true).await, waiting));
    }
    Router::new().route(
        "/{*path}",
        post(move |body: Bytes| {
            let queue = queue.clone();
            async move {
                let (done, answer) = oneshot::channel();
                queue.send((body, done)).await.unwrap();
                answer.await.unwrap();
                StatusCode::OK
            }
        }),
    )
}

/// Led by the second, as the daemon's keys are.
pub(crate) fn key(body: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let second = u32::try_from(now.unwrap().as_secs()).unwrap();
    let mut key = second.to_be_bytes().to_vec();
    key.extend_from_slice(&Sha256::digest(body)[..12]);
    key
}

async fn write_sqlite(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while waiting.recv_many(&mut batch, ROWS_MAX).await > 0 {
        let mut transaction = connection.begin().await.unwrap();
        let mut insert = QueryBuilder::new("INSERT INTO inbox (key, body) ");
        insert.push_values(&batch, |mut row, (body, _)| {
            row.push_bind(key(body));
            row.push_bind(body.to_vec());
        });
        insert.build().execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        answer(&mut batch);
    }
}

async fn write_postgres(mut connection: PgConnection, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while waiting.recv_many(&mut batch, ROWS_MAX).await > 0 {
        let keys: Vec<Vec<u8>> = batch.iter().map(|(body, _)| key(body)).collect();
        let bodies: Vec<Vec<u8>> = batch.iter().map(|(body, _)| body.to_vec()).collect();
        let insert = sqlx::query(INSERT_POSTGRES).bind(keys).bind(bodies);
        insert.execute(&mut connection).await.unwrap();
        answer(&mut batch);
    }
}

fn answer(batch: &mut Vec<Waiting>) {
    for (_, done) in batch.drain(..) {
        assert!(done.send(()).is_ok(), "nobody waits");
    }
}
