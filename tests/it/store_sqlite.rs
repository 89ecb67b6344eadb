//! What only a store in a file can show: reopening, locking, corruption, schemas, the log.
//!
//! The laws it shares with every store are in `store_laws`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "damages a store with SQL that only this file writes"
)]

use crate::store_laws::drafts::{
    Draft, account, at, commit, delivery, done, eur, id, lease, load, look_up, lost, shop, token,
};
use crate::store_laws::leases::what_cannot_be_read_is_named_and_holds_up_no_other;
use reconciled::core::fact::BrakeCause;
use reconciled::core::plan::Verdict;
use reconciled::core::time::Span;
use reconciled::store::sqlite::SqliteStore;
use reconciled::store::{
    Appended, CheckoutFilter, CommitUnit, Committed, Disposition, NewDelivery, Retention, Store,
    StoreError, SweepMark, Tally, TallyKind, Wanted,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod migrations;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("reconciled.db")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("reconciled.db{suffix}"))
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }
}

/// Runs SQL behind the store's back.
async fn tamper(path: &Path, sql: &str) {
    let url = format!("sqlite:{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await;
    done.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_drop_without_a_close() {
    let place = Place::new();
    let store = place.open().await;
    store
        .append(&[delivery("a", "1"), delivery("b", "1")])
        .await
        .unwrap();
    let first = store.pending(1).await.unwrap().remove(0);
    let unit = CommitUnit {
        deliveries: vec![(first.id, Disposition::Taken)],
        tallies: vec![Tally {
            shop: shop(),
            at: at(0),
            kind: TallyKind::Refund,
            amount: Some(eur(100)),
        }],
        epochs: vec![(shop(), 7)],
        ..Draft::new("c1")
            .reference("1000042")
            .payment("pi_1")
            .action(look_up("a", at(0)))
            .unit()
    };
    assert_eq!(commit(&store, unit).await, Committed::Done);
    let leased = lease(&store, at(0)).await;
    store
        .set_brake(&shop(), Some((BrakeCause::RefundSum, at(1))))
        .await
        .unwrap();
    store.first_start(&account(), at(2)).await.unwrap();
    let mark = SweepMark {
        account: account(),
        listing: 0,
        mark: at(3),
        swept_at: Some(at(4)),
        last_error: None,
    };
    store.set_sweep_mark(&mark).await.unwrap();
    let before = load(&store, "c1").await.unwrap();
    let overview = store.overview().await.unwrap();
    drop(store);

    let store = place.open().await;
    assert_eq!(load(&store, "c1").await.unwrap(), before);
    assert_eq!(store.overview().await.unwrap(), overview);
    assert_eq!(store.pending(9).await.unwrap().len(), 1);
    assert_eq!(
        store.append(&[delivery("a", "1")]).await.unwrap(),
        [Appended::Duplicate]
    );
    let row = store.shop(&shop()).await.unwrap();
    assert_eq!(
        (row.epoch, row.brake),
        (Some(7), Some((BrakeCause::RefundSum, at(1))))
    );
    assert_eq!(
        store.tallies(&shop(), at(0)).await.unwrap().refunded,
        [eur(100)]
    );
    assert_eq!(store.first_start(&account(), at(9)).await.unwrap(), at(2));
    assert_eq!(store.sweep_marks().await.unwrap(), [mark]);
    assert_eq!(store.journal(&id("c1"), 0, 9).await.unwrap().len(), 1);
    let found = lease(&store, at(60)).await;
    assert_eq!(lost(&found), ["a"]);
    assert_ne!(token(&found[0]), token(&leased[0]));
}

#[tokio::test]
async fn inbox_ids_go_on_growing_after_a_restart_with_a_clock_that_stepped_back() {
    let place = Place::new();
    let store = place.open().await;
    store.append(&[delivery("a", "1")]).await.unwrap();
    drop(store);
    let store = place.open().await;
    let mut early = delivery("b", "1");
    early.received_at = at(-1_000_000);
    store.append(&[early]).await.unwrap();
    let pending = store.pending(9).await.unwrap();
    let names: Vec<_> = pending
        .iter()
        .map(|one| one.delivery.delivery_id.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_second_daemon_on_the_same_file_is_refused_until_the_first_is_gone() {
    let place = Place::new();
    let store = place.open().await;
    let refused = SqliteStore::open(&place.path()).await.err().unwrap();
    assert_eq!(refused.code(), "store_unavailable");
    assert!(
        refused
            .to_string()
            .contains("another reconciled is running on this database")
    );
    drop(store);
    place.open().await;
}

#[tokio::test]
async fn files_are_for_the_daemons_eyes_only() {
    let place = Place::new();
    let store = place.open().await;
    store.append(&[delivery("a", "1")]).await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mode = std::fs::metadata(place.beside(suffix))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix:?}");
    }
}

#[tokio::test]
async fn a_closed_store_answers_unavailable() {
    let place = Place::new();
    let store = place.open().await;
    store.close().await;
    let refused = store.append(&[delivery("a", "1")]).await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
    let refused = store.pending(1).await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
}

#[tokio::test]
async fn a_schema_from_the_future_or_from_elsewhere_is_refused() {
    for (sql, expected) in [
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (9999, 'later', 1, x'00', 0)",
            "written by a newer version",
        ),
        (
            "UPDATE _sqlx_migrations SET checksum = x'00'",
            "is not the one that this program knows",
        ),
    ] {
        let place = Place::new();
        drop(place.open().await);
        tamper(&place.path(), sql).await;
        let refused = SqliteStore::open(&place.path()).await.err().unwrap();
        assert!(matches!(refused, StoreError::Schema(_)), "{refused:?}");
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    let place = Place::new();
    drop(place.open().await);
    tamper(
        &place.path(),
        "UPDATE _sqlx_migrations SET version = version + 7000",
    )
    .await;
    let refused = SqliteStore::open_readonly(&place.path())
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, StoreError::Schema(_)), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let place = Place::new();
    let content = "customers.csv\n".repeat(500);
    std::fs::write(place.path(), &content).unwrap();
    let refused = SqliteStore::open(&place.path()).await.err().unwrap();
    assert_eq!(refused.code(), "store_corrupt", "{refused}");
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), content);
}

#[tokio::test]
async fn a_torn_page_is_corrupt_and_not_unavailable() {
    let place = Place::new();
    let store = place.open().await;
    let batch: Vec<_> = (0..200)
        .map(|n| delivery(&n.to_string(), &"x".repeat(1_500)))
        .collect();
    store.append(&batch).await.unwrap();
    store.close().await;
    drop(store);
    let mut bytes = std::fs::read(place.path()).unwrap();
    let from = 4_096 * 8;
    bytes[from..].fill(0xA5);
    std::fs::write(place.path(), bytes).unwrap();
    let failed = match SqliteStore::open(&place.path()).await {
        Ok(store) => store.pending(1_000).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(failed.code(), "store_corrupt", "{failed}");
}

/// Loads, lists and leases until something is said to be corrupt.
async fn first_failure(store: &SqliteStore) -> String {
    let wanted = Wanted {
        ids: vec![id("c1")],
        ..Wanted::default()
    };
    let filter = CheckoutFilter {
        limit: 9,
        ..CheckoutFilter::default()
    };
    let loaded = store.load(&wanted).await;
    let mut loaded = loaded.iter().flat_map(|found| found.checkouts.values());
    if let Some(action) = loaded.find_map(|one| one.unreadable.first()) {
        return action.clone();
    }
    let failures = [
        store.load(&wanted).await.err(),
        store.checkouts(&filter).await.err(),
        store.journal(&id("c1"), 0, 9).await.err(),
        store.shop(&shop()).await.err(),
        store.pending(9).await.err(),
        store.sweep_marks().await.err(),
        store.overview().await.err(),
        store.tallies(&shop(), at(0)).await.err(),
    ];
    let first = failures.into_iter().flatten().next();
    first.map_or("nothing".to_owned(), |error| error.to_string())
}

/// What is done to a row, and how it is named then.
const DAMAGES: &[(&str, &str)] = &[
    (
        "UPDATE checkouts SET verdict = 'odd'",
        "checkouts.verdict at c1",
    ),
    (
        "UPDATE checkouts SET reason = 'odd'",
        "checkouts.reason at c1",
    ),
    (
        "UPDATE checkouts SET reference = 'a' || char(0)",
        "checkouts.reference at c1",
    ),
    ("UPDATE checkouts SET shop = ''", "checkouts.shop at c1"),
    (
        "UPDATE checkouts SET suspense_currency = 'XXX'",
        "checkouts.suspense_currency at c1",
    ),
    (
        "UPDATE actions SET planned = '[]'",
        "actions.planned at c1/a",
    ),
    (
        "UPDATE actions SET planned = '{}'",
        "actions.planned at c1/a",
    ),
    ("UPDATE actions SET key = 'b'", "actions.planned at c1/b"),
    ("UPDATE actions SET due = due + 1", "actions.due at c1/a"),
    (
        "UPDATE actions SET attempts = 4294967296",
        "actions.attempts at c1/a",
    ),
    ("UPDATE shops SET epoch = '-1'", "shops.epoch at klompen"),
    (
        "UPDATE shops SET brake_cause = 'odd'",
        "shops.brake_cause at klompen",
    ),
    (
        "UPDATE inbox SET sender = 'fax:1'",
        "inbox.sender at 1790000000000000",
    ),
    ("UPDATE inbox SET is_signed = 2", "CHECK"),
    (
        "UPDATE sweeps SET listing = 256",
        "sweeps.listing at stripe_nl/256",
    ),
    (
        "UPDATE standings SET count = -1",
        "standings.count at klompen/open",
    ),
    (
        "UPDATE tallies SET kind = 'odd'",
        "tallies.kind at klompen/odd",
    ),
];

#[tokio::test]
async fn a_row_that_holds_what_it_must_not_is_named_by_table_column_and_row() {
    for (sql, expected) in DAMAGES {
        let place = Place::new();
        let store = place.open().await;
        store.append(&[delivery("a", "1")]).await.unwrap();
        let draft = Draft::new("c1")
            .reference("1000042")
            .action(look_up("a", at(0)));
        let unit = CommitUnit {
            tallies: vec![Tally {
                shop: shop(),
                at: at(0),
                kind: TallyKind::Capture,
                amount: None,
            }],
            epochs: vec![(shop(), 7)],
            ..draft.with(|one| one.row.in_suspense = Some(eur(1))).unit()
        };
        commit(&store, unit).await;
        store
            .set_brake(&shop(), Some((BrakeCause::RefundSum, at(1))))
            .await
            .unwrap();
        let mark = SweepMark {
            account: account(),
            listing: 0,
            mark: at(3),
            swept_at: None,
            last_error: None,
        };
        store.set_sweep_mark(&mark).await.unwrap();
        assert_eq!(first_failure(&store).await, "nothing");
        if *expected == "CHECK" {
            let url = format!("sqlite:{}", place.path().display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let refused = sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut connection);
            assert!(
                refused.await.unwrap_err().to_string().contains("CHECK"),
                "{sql}"
            );
            continue;
        }
        tamper(&place.path(), sql).await;
        let failure = first_failure(&store).await;
        assert!(failure.contains(expected), "{sql}: {failure}");
        assert!(failure.starts_with("corrupt row in "), "{failure}");
    }
}

#[tokio::test]
async fn an_action_that_cannot_be_read_is_named_and_holds_up_no_other() {
    let place = Place::new();
    let store = place.open().await;
    what_cannot_be_read_is_named_and_holds_up_no_other(&store, |change| {
        let path = place.path();
        async move { tamper(&path, change).await }
    })
    .await;
}

#[tokio::test]
async fn the_books_can_be_read_beside_a_running_daemon_and_after_it() {
    let place = Place::new();
    let missing = SqliteStore::open_readonly(&place.path())
        .await
        .err()
        .unwrap();
    assert_eq!(missing.code(), "store_unavailable");
    assert!(!place.path().exists());

    let daemon = place.open().await;
    done(&daemon, Draft::new("c1")).await;
    let books = SqliteStore::open_readonly(&place.path()).await.unwrap();
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 1);
    done(&daemon, Draft::new("c2")).await;
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 2);
    for refused in [
        books.append(&[delivery("a", "1")]).await.unwrap_err(),
        books.commit(&[Draft::new("c3").unit()]).await.unwrap_err(),
        books.probe(at(0)).await.unwrap_err(),
        books.checkpoint().await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("read-only"), "{refused}");
    }
    daemon.checkpoint().await.unwrap();
    daemon.close().await;
    drop(daemon);
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 2);
    drop(books);
    let books = SqliteStore::open_readonly(&place.path()).await.unwrap();
    assert_eq!(books.audit_page(None, 9).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_in_the_middle_leaves_no_open_transaction() {
    let place = Place::new();
    let store = place.open().await;
    for round in 0..60_u64 {
        let names = (0..50).map(|n| format!("{round}_{n}"));
        let batch: Vec<_> = names
            .map(|name| delivery(&name, &"x".repeat(2_000)))
            .collect();
        let patience = Duration::from_micros(round * 40);
        let ended = tokio::time::timeout(patience, store.append(&batch)).await;
        let appended = store.append(&batch).await.unwrap();
        // Whole or not at all, and after an answer whole for certain.
        let first = appended[0];
        assert!(appended.iter().all(|one| *one == first), "{appended:?}");
        if ended.is_ok() {
            assert_eq!(first, Appended::Duplicate);
        }
    }
    assert_eq!(store.pending(100_000).await.unwrap().len(), 60 * 50);
}

#[tokio::test]
async fn the_log_does_not_grow_while_checkpoints_are_taken() {
    let place = Place::new();
    let store = place.open().await;
    let mut longest = 0;
    for round in 0..12 {
        let batch: Vec<_> = (0..20)
            .map(|n| NewDelivery {
                body: vec![b'x'; 50_000],
                ..delivery(&format!("{round}_{n}"), "")
            })
            .collect();
        store.append(&batch).await.unwrap();
        longest = longest.max(std::fs::metadata(place.beside("-wal")).unwrap().len());
        store.checkpoint().await.unwrap();
    }
    assert!(longest < 4_000_000, "12 MB in {longest} bytes of log");
    assert_eq!(store.pending(1_000).await.unwrap().len(), 240);
}

#[tokio::test]
async fn a_log_that_grew_too_long_is_cut_back_and_begun_anew() {
    let place = Place::new();
    let store = place.open().await;
    let append = async |name: String| {
        let one = NewDelivery {
            body: vec![b'x'; 4_000_000],
            ..delivery(&name, "")
        };
        store.append(&[one]).await.unwrap();
    };
    let log = || std::fs::metadata(place.beside("-wal")).unwrap().len();
    for round in 0..18 {
        append(round.to_string()).await;
    }
    assert!(log() > 64 * 1024 * 1024, "{}", log());
    store.checkpoint().await.unwrap();
    for round in 18..32 {
        append(round.to_string()).await;
        assert!(log() <= 64 * 1024 * 1024, "{}", log());
    }
    assert_eq!(store.pending(100).await.unwrap().len(), 32);
}

#[tokio::test]
async fn a_log_is_begun_anew_although_writing_never_pauses() {
    let place = Place::new();
    let store = place.open().await;
    let mut longest = 0;
    for round in 0..25 {
        let write = async {
            for n in 0..8 {
                let one = NewDelivery {
                    body: vec![b'x'; 1_000_000],
                    ..delivery(&format!("{round}_{n}"), "")
                };
                store.append(&[one]).await.unwrap();
            }
        };
        let (_, moved) = tokio::join!(write, store.checkpoint());
        moved.unwrap();
        longest = longest.max(std::fs::metadata(place.beside("-wal")).unwrap().len());
    }
    assert!(longest < 48_000_000, "200 MB in {longest} bytes of log");
}

#[tokio::test]
async fn pruning_leaves_no_row_behind() {
    let place = Place::new();
    let store = place.open().await;
    store
        .append(&[delivery("a", "1"), delivery("a", "2")])
        .await
        .unwrap();
    let waiting = store.pending(9).await.unwrap().remove(0).id;
    let draft = Draft::new("c1")
        .reference("1000042")
        .payment("pi_1")
        .verdict(Verdict::Settled);
    let unit = CommitUnit {
        deliveries: vec![(waiting, Disposition::Taken)],
        ..draft.action(look_up("a", at(0))).unit()
    };
    assert_eq!(commit(&store, unit).await, Committed::Done);
    let retention = Retention {
        bodies: Span::ZERO,
        checkouts: Span::ZERO,
        rows_max: 100,
    };
    while store.prune(at(1), retention).await.unwrap() > 0 {}
    store.close().await;
    let url = format!("sqlite:{}", place.path().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for table in [
        "inbox",
        "bodies",
        "delivery_keys",
        "checkouts",
        "payments",
        "journal",
        "actions",
    ] {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let left: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(whole, "ok");
}
