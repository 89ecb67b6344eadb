//! The yardstick: the least that stores a webhook durably.
//!
//! Reads the request, puts its body into a queue, commits whatever is queued in one transaction
//! of one multi-row insert on SQLite (WAL, synchronous FULL), answers. It has the daemon's keys (a
//! row id in the order of arrival, and a unique digest, without which a repetition would count
//! twice) and nothing else: no signature, no account, no bound, no engine beside it. Runs in a
//! child process of its own, as the daemon does, so that its processor time can be told apart.

use crate::subject::{cpu, free_port, until_it_listens};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use hyper_util::service::TowerToHyperService;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, SqliteConnection};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const ROWS_MAX: usize = 256;
const TABLE: &str = "CREATE TABLE inbox \
    (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL) STRICT";

/// The word that makes this program the yardstick.
pub(crate) const WORD: &str = "--be-the-yardstick";

type Waiting = (Bytes, oneshot::Sender<()>);

pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
}

impl Raw {
    pub(crate) async fn start() -> Raw {
        let directory = tempfile::tempdir().unwrap();
        let address = free_port().await;
        let child = Command::new(std::env::current_exe().unwrap())
            .arg(WORD)
            .arg(address.to_string())
            .arg(directory.path().join("raw.db"))
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
        cpu(self.child.id())
    }

    pub(crate) fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.directory.close().unwrap();
    }
}

/// What the child does until it is killed.
pub(crate) async fn serve(address: &str, path: &str) {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .unwrap();
    sqlx::query(TABLE).execute(&mut connection).await.unwrap();
    let (queue, waiting) = mpsc::channel::<Waiting>(4096);
    tokio::spawn(write(connection, waiting));
    let router = Router::new().route(
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
    );
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

async fn write(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while waiting.recv_many(&mut batch, ROWS_MAX).await > 0 {
        let mut transaction = connection.begin().await.unwrap();
        let mut insert = QueryBuilder::new("INSERT INTO inbox (key, body) ");
        insert.push_values(&batch, |mut row, (body, _)| {
            row.push_bind(Sha256::digest(body)[..16].to_vec());
            row.push_bind(body.to_vec());
        });
        insert.build().execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        for (_, done) in batch.drain(..) {
            assert!(done.send(()).is_ok(), "nobody waits");
        }
    }
}
