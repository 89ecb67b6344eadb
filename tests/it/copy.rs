//! A whole store from one database into another by the real command, and what it refuses.
//!
//! What a store holds is written by its own verbs and compared in SQL, behind its back.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads and damages stores with SQL that only this file writes"
)]

mod moved;

use crate::store_laws::drafts::{
    Draft, account, at, attempts, commit, delivery, done, eur, lease, load, look_up, lost, named,
    refund, shop,
};
use crate::support::asking::{Said, reconciled};
use crate::support::cluster::Database;
use reconciled::core::checkout::Checkout;
use reconciled::core::fact::BrakeCause;
use reconciled::core::plan::Verdict;
use reconciled::core::time::Span;
use reconciled::store::postgres::PostgresStore;
use reconciled::store::sqlite::SqliteStore;
use reconciled::store::{
    Appended, CheckoutRow, CommitUnit, Committed, Disposition, NewDelivery, QuarantineBounds,
    Quarantined, Retention, Sender, Sighting, Store, StoreError, SweepMark, Tally, TallyKind,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More than one batch of short ones.
const SHORT: u32 = 2_100;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path(name).display())
    }

    /// A store with every kind of row.
    async fn filled(&self, name: &str) -> String {
        let store = SqliteStore::open(&self.path(name)).await.unwrap();
        fill(&store).await;
        store.close().await;
        self.url(name)
    }
}

async fn copy(from: &str, to: &str) -> Said {
    reconciled(&["copy", "--from", from, "--to", to], &[]).await
}

async fn copied(from: &str, to: &str) -> Said {
    let said = copy(from, to).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("The books are whole."), "{said:?}");
    said
}

/// A draft whose document is what folding its journal gives.
fn sound(draft: Draft) -> Draft {
    draft.with(|one| {
        let row = &one.row;
        let folded = Checkout::new(row.id.clone(), row.shop.clone(), row.reference.clone());
        one.row.document = serde_json::to_string(&folded).unwrap();
    })
}

async fn fill(store: &dyn Store) {
    deliveries(store).await;
    checkouts(store).await;
    store
        .set_brake(&shop(), Some((BrakeCause::RefundSum, at(1))))
        .await
        .unwrap();
    store.first_start(&account(), at(2)).await.unwrap();
    let mark = SweepMark {
        account: account(),
        listing: 1,
        mark: at(3),
        swept_at: Some(at(4)),
        last_error: Some("cut\0off".to_owned()),
    };
    store.set_sweep_mark(&mark).await.unwrap();
    store.stamp("the old home", at(5)).await.unwrap();
    let bounds = QuarantineBounds {
        entries_max: 9,
        bytes_max: 9_999,
    };
    for body in [&b""[..], &[0, 255, 7]] {
        let entry = Quarantined {
            id: 0,
            sender: Sender::Shop(shop()),
            received_at: at(6),
            diagnosis: "bad\0signature".to_owned(),
            envelope: "{\"é\":1}".to_owned(),
            body: body.to_vec(),
        };
        store.quarantine(&entry, bounds).await.unwrap();
    }
}

async fn deliveries(store: &dyn Store) {
    let raw = NewDelivery {
        sender: Sender::Shop(shop()),
        is_signed: false,
        body: vec![0, 255, 7],
        ..delivery("n\0l", "")
    };
    let mut first = vec![raw, delivery("a", ""), delivery("b", "1")];
    first.extend((0..SHORT).map(|nr| delivery(&format!("s{nr}"), "short")));
    store.append(&first).await.unwrap();
    let long = "x".repeat(3 << 20);
    let rest = [delivery("l", &long), delivery("m", &long)];
    store.append(&rest).await.unwrap();
    let conflict = store.append(&[delivery("b", "2")]).await.unwrap();
    assert_eq!(conflict, [Appended::Conflict]);
    let pending = store.pending(4).await.unwrap();
    let why = "not\0now".to_owned();
    let unit = CommitUnit {
        deliveries: vec![
            (pending[0].id, Disposition::Taken),
            (pending[2].id, Disposition::Ignored),
            (pending[3].id, Disposition::Parked { why }),
        ],
        ..CommitUnit::default()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
}

async fn checkouts(store: &dyn Store) {
    let draft = Draft::new("c1").reference("1000042").payment("pi_1");
    let draft = draft.wake_at(Some(at(900))).verdict(Verdict::Held);
    let draft = draft.with(|one| one.row.in_suspense = Some(eur(5995)));
    let planned = draft
        .action(look_up("a", at(0)))
        .action(refund("r", at(50)));
    let first = done(store, sound(planned)).await;
    assert_eq!(attempts(&lease(store, at(10)).await), ["a"]);
    let next = sound(Draft::after(&first)).written(at(20), "[]");
    let next = next.action(refund("r", at(50)));
    let unit = CommitUnit {
        tallies: vec![Tally {
            shop: shop(),
            at: at(0),
            kind: TallyKind::Refund,
            amount: Some(eur(i64::MAX)),
        }],
        epochs: vec![(shop(), 7)],
        ..next.unit()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
    for name in ["c2", "c3"] {
        let draft = Draft::new(name).reference(name).verdict(Verdict::Settled);
        let sighting = Sighting {
            shop: shop(),
            mark: "m".to_owned(),
            amount: eur(100),
            paid_at: at(1),
        };
        let unit = CommitUnit {
            sightings: vec![(named(name), Some(sighting))],
            ..sound(draft).unit()
        };
        assert_eq!(commit(store, unit).await, Committed::Done);
    }
}

async fn open_file(path: &Path) -> SqliteConnection {
    let url = format!("sqlite:{}", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

async fn tamper(path: &Path, sql: &str) {
    let mut connection = open_file(path).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await;
    done.unwrap();
    connection.close().await.unwrap();
}

async fn texts(connection: &mut SqliteConnection, sql: String) -> Vec<String> {
    let query = sqlx::query_scalar(AssertSqlSafe(sql));
    query.fetch_all(connection).await.unwrap()
}

/// Every row of every durable table, byte by byte and with the type of each value. `nr` is this
/// database's own number of a row, but in `instance`.
async fn dump(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut connection = open_file(path).await;
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' \
                  ESCAPE '\\' AND name NOT LIKE 'sqlite%' AND name <> 'probe'";
    let mut dumped = BTreeMap::new();
    for table in texts(&mut connection, tables.to_owned()).await {
        let columns = format!(
            "SELECT 'typeof(' || name || ') || hex(' || name || ')' \
             FROM pragma_table_info('{table}') WHERE name <> 'nr'"
        );
        let columns = texts(&mut connection, columns).await.join(" || ',' || ");
        let rows = format!("SELECT {columns} AS row FROM {table} ORDER BY 1");
        dumped.insert(table, texts(&mut connection, rows).await);
    }
    connection.close().await.unwrap();
    dumped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_comes_back_from_the_server_row_for_row() {
    let (files, database) = (Files::new(), Database::bare().await);
    let first = files.filled("first.db").await;
    let said = copied(&first, &database.url()).await;
    assert!(said.out.contains(&format!("inbox: {} rows", SHORT + 6)));
    assert!(said.out.contains("journal: 4 rows"), "{said:?}");
    copied(&database.url(), &files.url("second.db")).await;
    let (before, after) = (
        dump(&files.path("first.db")).await,
        dump(&files.path("second.db")).await,
    );
    assert!(before.len() >= 15, "{:?}", before.keys());
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "nothing in {table}: fill it");
        assert!(after.get(table) == Some(rows), "{table} differs");
    }
    assert_eq!(before.len(), after.len());
    // The schema is whole again: daemons start.
    SqliteStore::open(&files.path("second.db")).await.unwrap();
    database.open().await;
}

/// What must hold for whoever goes on working on a copy.
async fn goes_on(store: &dyn Store, pending: usize) {
    assert_eq!(
        store.append(&[delivery("a", "")]).await.unwrap(),
        [Appended::Duplicate]
    );
    let known = NewDelivery {
        sender: Sender::Shop(shop()),
        ..delivery("n\0l", "")
    };
    // Known, with another body.
    assert_eq!(store.append(&[known]).await.unwrap(), [Appended::Conflict]);
    let new = NewDelivery {
        received_at: at(-9),
        ..delivery("new", "")
    };
    assert_eq!(store.append(&[new]).await.unwrap(), [Appended::New]);
    let waiting = store.pending(9_999).await.unwrap();
    assert_eq!(waiting.len(), pending + 1);
    assert_eq!(waiting[pending].delivery.delivery_id, "new");
    assert_eq!(waiting[0].delivery.delivery_id, "a");
    // The lease stood when the store was copied: nobody saw the end of its attempt.
    let leased = lease(store, at(100)).await;
    assert_eq!(lost(&leased), ["a"]);
    assert_eq!(attempts(&leased), ["r"]);
    let retention = Retention {
        bodies: Span::from_days(30),
        checkouts: Span::from_days(400),
        rows_max: 99,
    };
    assert_eq!(store.prune(at(1_000), retention).await.unwrap(), 0);
    let row: CheckoutRow = load(store, "c1").await.unwrap().row;
    done(store, sound(Draft::after(&row).under_way("r"))).await;
    let stamp = store.stamp("a new home", at(9)).await.unwrap();
    assert_eq!(stamp.before.as_deref(), Some("the old home"));
    assert_eq!(stamp.generation, 2);
    let bounds = QuarantineBounds {
        entries_max: 9,
        bytes_max: 9_999,
    };
    let entry = store.quarantined(1).await.unwrap().remove(0);
    store.quarantine(&entry, bounds).await.unwrap();
    assert_eq!(store.quarantined(9).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_where_it_stood_on_the_server() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let first = files.filled("first.db").await;
    copied(&first, &database.url()).await;
    let store = database.open().await;
    goes_on(&store, usize::try_from(SHORT).unwrap() + 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_a_server_goes_on_in_a_file_and_nothing_is_taken_for_old() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let served = database.open().await;
    fill(&served).await;
    let order = |waiting: Vec<reconciled::store::Delivery>| {
        let names = waiting.into_iter().map(|one| one.delivery.delivery_id);
        names.collect::<Vec<_>>()
    };
    let before = order(served.pending(9_999).await.unwrap());
    served.close().await;
    copied(&database.url(), &files.url("first.db")).await;
    let store = SqliteStore::open(&files.path("first.db")).await.unwrap();
    assert_eq!(order(store.pending(9_999).await.unwrap()), before);
    goes_on(&store, before.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_copy_is_no_store_and_can_be_begun_anew() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let first = files.filled("first.db").await;
    let orphan = "PRAGMA foreign_keys = OFF; \
                  INSERT INTO payments (account, payment, checkout) VALUES ('z', 'z', 'gone')";
    tamper(&files.path("first.db"), orphan).await;
    let said = copy(&first, &database.url()).await;
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    let half = |refused: Option<StoreError>| {
        let told = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("run `reconciled copy` again"), "{told}");
    };
    half(PostgresStore::open(&database.options()).await.err());
    half(
        PostgresStore::open_readonly(&database.options())
            .await
            .err(),
    );
    let said = copy(&database.url(), &files.url("never.db")).await;
    assert_eq!(said.code, Some(69), "{said:?}");
    tamper(
        &files.path("first.db"),
        "DELETE FROM payments WHERE account = 'z'",
    )
    .await;
    copied(&first, &database.url()).await;

    let orphan = "INSERT INTO payments (account, payment, shop, checkout) VALUES \
                  ('z', 'z', 'z', 'gone')";
    database.tamper(orphan).await;
    let path = files.path("second.db");
    let said = copy(&database.url(), &files.url("second.db")).await;
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    half(SqliteStore::open(&path).await.err());
    half(SqliteStore::open_readonly(&path).await.err());
    database
        .tamper("DELETE FROM payments WHERE account = 'z'")
        .await;
    copied(&database.url(), &files.url("second.db")).await;
    assert!(dump(&path).await == dump(&files.path("first.db")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_something_stays_as_it_is() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let first = files.filled("first.db").await;
    let served = database.open().await;
    served.append(&[delivery("kept", "1")]).await.unwrap();
    served.close().await;
    let file = SqliteStore::open(&files.path("second.db")).await.unwrap();
    file.first_start(&account(), at(0)).await.unwrap();
    file.close().await;
    drop(file);
    for (to, table) in [
        (database.url(), "inbox"),
        (files.url("second.db"), "accounts"),
    ] {
        let said = copy(&first, &to).await;
        assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
        let told = format!("not empty: there are rows in {table}");
        assert!(said.err.contains(&told), "{said:?}");
    }
    let served = database.open().await;
    assert_eq!(served.pending(9).await.unwrap().len(), 1);
    let file = SqliteStore::open(&files.path("second.db")).await.unwrap();
    assert_eq!(file.first_start(&account(), at(1)).await.unwrap(), at(0));
}

/// A copy that ends with 69 and says why.
async fn refused(from: &str, to: &str, why: &str) {
    let said = copy(from, to).await;
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    assert!(said.err.contains(why), "{why}: {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_or_out_of_reach_is_not_copied() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let (empty, target) = (files.url("empty.db"), database.url());
    refused(&empty, &target, "there is no store").await;
    let bare = Database::bare().await;
    refused(&bare.url(), &empty, "there is no store").await;
    let first = files.filled("first.db").await;
    let nobody = "postgres:///d?host=/nowhere&user=reconciled";
    refused(&first, nobody, "cannot copy to").await;

    let daemon = SqliteStore::open(&files.path("first.db")).await.unwrap();
    refused(&first, &target, "another reconciled is running").await;
    drop(daemon);
    let daemon = database.open().await;
    daemon.append(&[]).await.unwrap();
    refused(&target, &empty, "in use by").await;
    refused(&first, &target, "in use by").await;
    daemon.close().await;

    let mut other = database.connection().await;
    let lock = sqlx::raw_sql("SELECT pg_advisory_lock(7308895137226483046)");
    lock.execute(&mut other).await.unwrap();
    refused(&first, &target, "another copy").await;
    let unlock = sqlx::raw_sql("SELECT pg_advisory_unlock(7308895137226483046)");
    unlock.execute(&mut other).await.unwrap();
    other.close().await.unwrap();

    let future = "INSERT INTO _sqlx_migrations \
                  (version, description, success, checksum, execution_time) \
                  VALUES (9999, 'of tomorrow', true, 'x', 0)";
    database.tamper(future).await;
    refused(&first, &target, "schema").await;
    refused(&target, &empty, "schema").await;
    tamper(&files.path("first.db"), future).await;
    refused(&first, &bare.url(), "schema").await;
    assert!(!files.path("empty.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_are_not_whole_are_not_copied() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let first = files.filled("first.db").await;
    let forged = "UPDATE journal SET at = at + 1 WHERE checkout = 'c1' AND seq = 1";
    tamper(&files.path("first.db"), forged).await;
    let said = copy(&first, &database.url()).await;
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    for words in ["DIFFERENCE checkout c1", "Nothing was copied."] {
        assert!(said.out.contains(words), "{said:?}");
    }
    let untouched = database.open().await;
    assert_eq!(untouched.pending(9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_came_out_otherwise_is_told_and_is_no_store() {
    let (files, database) = (Files::new(), Database::fresh().await);
    let first = files.filled("first.db").await;
    let forging = "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN NEW.mark := NEW.mark + 1; RETURN NEW; END $$; \
                   CREATE TRIGGER forge BEFORE INSERT ON sweeps \
                   FOR EACH ROW EXECUTE FUNCTION forge()";
    database.tamper(forging).await;
    let said = copy(&first, &database.url()).await;
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    let told: Vec<&str> = said.out.matches("DIFFERENCE in ").collect();
    assert_eq!(told.len(), 1, "{said:?}");
    assert!(said.out.contains("DIFFERENCE in sweeps"), "{said:?}");
    let opened = PostgresStore::open(&database.options()).await.err();
    assert!(matches!(opened, Some(StoreError::Schema(_))), "{opened:?}");
    database.tamper("DROP TRIGGER forge ON sweeps").await;
    copied(&first, &database.url()).await;
}

#[tokio::test]
async fn an_address_that_names_no_store_or_shows_a_password_ends_with_64() {
    for url in ["nowhere", "sqlite:", "postgres://u:hush@h/d"] {
        let said = copy(url, "sqlite:/x.db").await;
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{said:?}");
        assert!(said.err.contains("--from"), "{said:?}");
        assert!(!said.err.contains("hush"), "{said:?}");
    }
}
