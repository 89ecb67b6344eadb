//! What only a store on a server can show: several of them at once, a server that goes away,
//! schemas, statements that take too long.
//!
//! The laws it shares with every store are in `store_laws`.

use crate::store_laws::drafts::{
    Draft, at, commit, delivery, done, eur, id, lease, load, look_up, lost, named, refund, request,
    shop, token,
};
use crate::store_laws::leases::what_cannot_be_read_is_named_and_holds_up_no_other;
use crate::store_laws::views::recount;
use crate::support::cluster::{Cluster, Database};
use crate::support::forwarder::Forwarder;
use reconciled::core::fact::BrakeCause;
use reconciled::core::plan::Verdict;
use reconciled::store::journal::verify;
use reconciled::store::postgres::{PostgresOptions, PostgresStore};
use reconciled::store::{
    Appended, CommitUnit, Committed, LeaseRequest, Leased, Retention, ShopRow, Sighting, Store,
    StoreError, Tally, TallyKind, TallySums, Wanted,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod partitions;
mod plans;
mod race;

/// Several daemons' stores on one database.
async fn stores(database: &Database, count: usize) -> Vec<Arc<PostgresStore>> {
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(Arc::new(database.open().await));
    }
    stores
}

#[tokio::test]
async fn a_schema_from_the_future_or_from_elsewhere_is_refused() {
    let database = Database::fresh().await;
    for change in [
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of tomorrow', true, 'x', 0)",
        "DELETE FROM _sqlx_migrations WHERE version = 9999; \
         UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1",
    ] {
        database.tamper(change).await;
        let refused = PostgresStore::open(&database.options()).await.err();
        assert!(
            matches!(refused, Some(StoreError::Schema(_))),
            "{refused:?}"
        );
    }
    let bare = Database::bare().await;
    let refused = PostgresStore::open_readonly(&bare.options()).await.err();
    assert!(
        matches!(refused, Some(StoreError::Schema(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_table_that_is_gone_is_a_schema_that_this_program_does_not_know() {
    let database = Database::fresh().await;
    let store = database.open().await;
    database.tamper("DROP TABLE bodies").await;
    let failed = store.append(&[delivery("a", "1")]).await.unwrap_err();
    assert_eq!(failed.code(), "store_schema");
}

#[tokio::test]
async fn an_action_that_cannot_be_read_is_named_and_holds_up_no_other() {
    let database = Database::fresh().await;
    let store = database.open().await;
    what_cannot_be_read_is_named_and_holds_up_no_other(&store, |change| database.tamper(change))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_that_start_at_once_migrate_once() {
    let bare = Database::bare().await;
    let mut starting = JoinSet::new();
    for _ in 0..6 {
        let options = bare.options();
        starting.spawn(async move { PostgresStore::open(&options).await });
    }
    for started in starting.join_all().await {
        let store = started.unwrap();
        store.append(&[delivery("a", "1")]).await.unwrap();
        assert_eq!(store.pending(9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let ascii = Database::encoded("SQL_ASCII").await;
    let refused = PostgresStore::open(&ascii.options()).await.err();
    let told = refused.map(|error| error.to_string());
    assert!(
        told.as_ref().is_some_and(|text| text.contains("SQL_ASCII")),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_books_can_be_read_beside_a_running_daemon() {
    let database = Database::fresh().await;
    let daemon = database.open().await;
    done(&daemon, Draft::new("c1")).await;
    let books = PostgresStore::open_readonly(&database.options()).await;
    let books = books.unwrap();
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 1);
    done(&daemon, Draft::new("c2")).await;
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 2);
    for refused in [
        books.append(&[delivery("a", "1")]).await.unwrap_err(),
        books.commit(&[Draft::new("c3").unit()]).await.unwrap_err(),
        books.probe(at(0)).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("read-only"), "{refused}");
        assert_eq!(refused.code(), "store_unavailable");
    }
}

#[tokio::test]
async fn a_closed_store_answers_unavailable() {
    let database = Database::fresh().await;
    let store = database.open().await;
    store.close().await;
    let append = store.append(&[delivery("a", "1")]).await.unwrap_err();
    let read = store.pending(1).await.unwrap_err();
    assert_eq!(
        (append.code(), read.code()),
        ("store_unavailable", "store_unavailable")
    );
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let database = Database::fresh().await;
    let elsewhere = PostgresOptions {
        url: "postgres:///x?host=/nowhere&user=reconciled".into(),
        ..database.options()
    };
    let unread = PostgresOptions {
        url: "mysql://x".into(),
        ..database.options()
    };
    for options in [elsewhere, unread] {
        let refused = PostgresStore::open(&options).await.err().unwrap();
        assert_eq!(refused.code(), "store_unavailable", "{refused}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_unavailable_and_leaves_nothing_behind() {
    let database = Database::fresh().await;
    for session_features in [true, false] {
        let options = PostgresOptions {
            statement_timeout: Duration::from_millis(200),
            session_features,
            ..database.options()
        };
        let store = PostgresStore::open(&options).await.unwrap();
        let holder = database.hold("inbox").await;
        let late = store.append(&[delivery("a", "1")]).await.unwrap_err();
        assert_eq!(late.code(), "store_unavailable", "{late}");
        assert!(late.to_string().contains("57014"), "{late}");
        holder.release().await;
        assert_eq!(store.pending(9).await.unwrap(), []);
    }
    let store = database.open().await;
    let appended = store.append(&[delivery("a", "1")]).await.unwrap();
    assert_eq!(appended, [Appended::New]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_unavailable_and_its_connections_are_given_up() {
    let database = Database::fresh().await;
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(300),
        connections_max: 2,
        ..database.options()
    };
    let store = PostgresStore::open(&options).await.unwrap();
    let silent = database.freeze().await;
    assert!(silent > 0);
    let unit = [Draft::new("c1").unit()];
    let (append, commit) = tokio::join!(
        async { store.append(&[delivery("a", "1")]).await.err() },
        async { store.commit(&unit).await.err() },
    );
    let told = [append, commit].map(|error| error.map(|one| one.code()));
    // Whoever got a connection that still answers was served.
    assert!(told.contains(&Some("store_unavailable")), "{told:?}");
    // New connections take the place of the dead ones, without anybody's doing.
    assert!(answered(&store, "b").await <= 2);
    database.thaw(silent);
    let appended = store.append(&[delivery("b", "1")]).await.unwrap();
    assert_eq!(appended, [Appended::Duplicate]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_in_the_middle_leaves_no_open_transaction() {
    let database = Database::fresh().await;
    let store = database.open().await;
    let mut row = done(&store, Draft::new("c1")).await;
    for round in 0..60_u64 {
        let next = Draft::after(&row).action(look_up("a", at(0)));
        let patience = Duration::from_micros(round * 60);
        let unit = [next.clone().unit()];
        let ended = tokio::time::timeout(patience, store.commit(&unit)).await;
        // Waits for whatever the one that went away still holds, then sees what it did.
        let again = store.commit(&unit).await.unwrap();
        if ended.is_ok() {
            assert_eq!(again, [Committed::Conflict]);
        }
        let stands = load(&store, "c1").await.unwrap().row;
        assert_eq!(stands, next.0.row);
        row = stands;
    }
    assert_eq!(
        verify(&row, &store.journal(&id("c1"), 0, 99).await.unwrap()),
        Ok(())
    );
}

/// Asks until it is answered; how often it was not. There are no more dead connections than the
/// pool has.
async fn answered(store: &PostgresStore, name: &str) -> usize {
    for unanswered in 0..20 {
        if store.append(&[delivery(name, "1")]).await.is_ok() {
            return unanswered;
        }
    }
    panic!("the store does not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_is_unavailable_and_loses_nothing_that_was_acknowledged() {
    let cluster = Cluster::alone();
    // What the server would acknowledge without syncing: the store tells it not to.
    cluster
        .tamper(
            "ALTER SYSTEM SET synchronous_commit = off; \
             ALTER SYSTEM SET wal_writer_delay = 10000; SELECT pg_reload_conf()",
        )
        .await;
    let store = Arc::new(PostgresStore::open(&cluster.options()).await.unwrap());
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let answers = Arc::new(Semaphore::new(0));
        let mut senders = JoinSet::new();
        for sender in 0..4 {
            let (store, answers) = (Arc::clone(&store), Arc::clone(&answers));
            senders.spawn(async move {
                let mut stored = Vec::new();
                for number in 0_u32.. {
                    let name = format!("{round}_{sender}_{number}");
                    match store.append(&[delivery(&name, "1")]).await {
                        Ok(_) => {
                            stored.push(name);
                            answers.add_permits(1);
                        }
                        Err(error) => {
                            assert_eq!(error.code(), "store_unavailable", "{error}");
                            break;
                        }
                    }
                }
                stored
            });
        }
        drop(answers.acquire_many(50).await.unwrap());
        tokio::task::block_in_place(|| cluster.halt()).unwrap();
        for stored in senders.join_all().await {
            acknowledged.extend(stored);
        }
        for refused in [
            store.append(&[delivery("down", "1")]).await.unwrap_err(),
            store.pending(1).await.unwrap_err(),
            store.commit(&[Draft::new("c1").unit()]).await.unwrap_err(),
            store.probe(at(0)).await.unwrap_err(),
        ] {
            assert_eq!(refused.code(), "store_unavailable", "{refused}");
        }
        cluster.resume().unwrap();
        let name = format!("back_{round}");
        assert!(answered(&store, &name).await <= 6);
        acknowledged.insert(name);
    }
    let kept = store.pending(1_000_000).await.unwrap();
    let kept: BTreeSet<String> = kept
        .into_iter()
        .map(|one| one.delivery.delivery_id)
        .collect();
    let gone: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(gone.is_empty(), "acknowledged and gone: {gone:?}");
    assert!(acknowledged.len() > 150, "{}", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_standby_is_not_kept() {
    let primary = Cluster::alone();
    // Before the standby is made, so that it has the schema.
    let made = PostgresStore::open(&primary.options()).await.unwrap();
    made.close().await;
    let standby = primary.synchronous_standby().await;
    let forwarder = Forwarder::to(&primary);
    let options = PostgresOptions {
        url: forwarder.url().into(),
        connections_max: 1,
        ..primary.options()
    };
    let store = PostgresStore::open(&options).await.unwrap();
    forwarder.lead_to(&standby);
    forwarder.cut();
    // The first finds what was cut.
    let mut told = String::new();
    for _ in 0..4 {
        let refused = store.append(&[delivery("a", "1")]).await.unwrap_err();
        assert_eq!(refused.code(), "store_unavailable", "{refused}");
        told = refused.to_string();
    }
    assert!(told.contains("takes no writes, as a standby"), "{told}");
    // What is open leads to the standby still.
    forwarder.lead_to(&primary);
    assert!(answered(&store, "b").await <= 1);
    assert_eq!(store.pending(9).await.unwrap().len(), 1);
}
