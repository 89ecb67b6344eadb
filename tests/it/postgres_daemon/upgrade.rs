//! Two releases on one database: what the newer one's migration says decides whether the older one
//! may go on, and start, on the schema it made.

use super::{on_database, on_postgres};
use crate::support::Rig;
use crate::support::cluster::Database;
use crate::support::talk::AGES;

/// What the next release adds: the older one does not know of it, and need not.
const ADDED: &str = "ALTER TABLE checkouts ADD COLUMN note TEXT; \
    CREATE TABLE notes (checkout TEXT NOT NULL PRIMARY KEY); \
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
    VALUES (9998, 'add notes since 0003', true, 'x', 0)";
/// What the one after that takes away, once nobody needs it.
const TAKEN: &str = "ALTER TABLE checkouts DROP COLUMN note; \
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
    VALUES (9999, 'drop notes since 9998', true, 'x', 0)";

#[tokio::test]
async fn an_older_daemon_runs_and_starts_beside_a_newer_one_until_the_schema_is_no_longer_for_it() {
    let database = Database::fresh().await;
    let mut rig = on_database(&database).await;
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    database.tamper(ADDED).await;
    rig.place_and_pay("1002");
    rig.is_settled_once("1002").await;
    second.restart().await.unwrap();
    rig.restart().await.unwrap();
    rig.place_and_pay("1003");
    rig.pay("1004", crate::support::scene::price());
    rig.is_settled_once("1003").await;
    rig.is_returned_once("1004").await;
    let migrated = rig.command(&["migrate"]).await;
    assert!(
        migrated.out.contains("schema 9998, nothing to do"),
        "{migrated:?}"
    );
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    // Whatever a copy does not know of would be left behind.
    let target = format!("sqlite:{}", rig.config_path().with_file_name("t").display());
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    rig.sigterm().await.unwrap();
    let words = ["copy", "--from", &database.url(), "--to", &target];
    let copied = crate::support::asking::reconciled(&words, &[]).await;
    assert_eq!(copied.code, Some(69), "{copied:?}");
    assert!(copied.err.contains("9998"), "{copied:?}");

    rig.restart().await.unwrap();
    database.tamper(TAKEN).await;
    // What runs goes on; what starts is refused and changes nothing.
    rig.place_and_pay("1005");
    rig.is_settled_once("1005").await;
    for words in [["migrate"], ["audit"], ["serve"]] {
        let refused = rig.command(&words).await;
        assert_eq!(refused.code, Some(69), "{words:?}: {refused:?}");
        assert!(refused.err.contains("9999"), "{words:?}: {refused:?}");
    }
    rig.close().await;
}

#[tokio::test]
async fn a_file_that_a_newer_release_added_to_is_served_and_one_it_changed_is_refused() {
    let mut rig = Rig::raise().await;
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    rig.sigterm().await.unwrap();
    let added = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (9998, 'add notes since 0003', true, x'00', 0)";
    rig.tamper(added).await;
    rig.restart().await.unwrap();
    rig.place_and_pay("1002");
    rig.is_settled_once("1002").await;
    rig.sigterm().await.unwrap();
    let taken = "UPDATE _sqlx_migrations SET description = 'add notes' WHERE version = 9998";
    assert_eq!(rig.tamper(taken).await, 1);
    for words in [["migrate"], ["audit"], ["serve"]] {
        let refused = rig.command(&words).await;
        assert_eq!(refused.code, Some(69), "{words:?}: {refused:?}");
        assert!(refused.err.contains("9998"), "{words:?}: {refused:?}");
    }
    rig.close().await;
}

#[tokio::test]
async fn a_column_that_is_added_while_daemons_write_costs_nobody_a_payment() {
    let mut rig = Rig::prepare_at_with(on_postgres(), |setup| setup).await;
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    second.restart().await.unwrap();
    rig.set_patience(AGES);
    for number in 1_001..1_010 {
        rig.place_and_pay(&number.to_string());
    }
    let added = "ALTER TABLE checkouts ADD COLUMN note TEXT";
    rig.tamper(added).await;
    for number in 1_010..1_020 {
        rig.place_and_pay(&number.to_string());
    }
    for number in 1_001..1_020 {
        rig.is_settled_once(&number.to_string()).await;
    }
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    rig.close().await;
}
