//! What only a store on a server can show: several of them at once, a server that goes away,
//! schemas, poolers.
//!
//! The laws it shares with every store are in `store_laws`.

use crate::support::cluster::Database;
use reconciled::store::StoreError;
use reconciled::store::postgres::PostgresStore;

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
