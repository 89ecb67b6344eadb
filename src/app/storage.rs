//! The one place that opens the store that a configuration names.
//!
//! Knows which kinds there are and how long a start waits for one; everybody else holds a `Store`.

use crate::config::{PostgresConfig, StoreConfig};
use crate::store::place::Place;
use crate::store::postgres::{PostgresOptions, PostgresStore};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// A start waits this long for a database that cannot be reached, then leaves it to the service
/// manager to start again.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries to reach it.
const START_PAUSE: Duration = Duration::from_secs(1);

/// Opens the store and brings its schema up to date.
pub async fn open(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    let opened = match config {
        StoreConfig::Sqlite { path } => SqliteStore::open(path).await.map(shared),
        StoreConfig::Postgres(named) => PostgresStore::open(&options(named)).await.map(shared),
    };
    opened.map_err(|error| told("cannot open the store", config, error))
}

fn told(what: &str, config: &StoreConfig, error: StoreError) -> anyhow::Error {
    let why = format!("{what} {config}{}", hint(&error));
    anyhow::Error::new(error).context(why)
}

/// What to look at in the configuration, where the driver's or the server's words tell.
fn hint(error: &StoreError) -> &'static str {
    let said = error.to_string();
    let knows = [
        (
            "invalid peer certificate",
            ": is the authority of the server's certificate the one that sslrootcert in store.url \
             names, and the certificate for the host named there?",
        ),
        ("(28P01)", ": is store.password the password of this user?"),
    ];
    let found = knows.into_iter().find(|(words, _)| said.contains(words));
    found.map_or("", |(_, hint)| hint)
}

/// As `open`, and waits for a database on the network to be reachable.
pub(super) async fn open_when_reachable(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    let StoreConfig::Postgres(_) = config else {
        return open(config).await;
    };
    let trying = async {
        loop {
            match open(config).await {
                Err(error) if is_unreachable(&error) => {
                    tracing::warn!("waiting for the database: {error:#}");
                    tokio::time::sleep(START_PAUSE).await;
                }
                ended => return ended,
            }
        }
    };
    match tokio::time::timeout(START_PATIENCE, trying).await {
        Ok(ended) => ended,
        Err(_) => open(config).await,
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<StoreError>(),
        Some(StoreError::Unavailable(_))
    )
}

/// Opens the store for reading only, also beside daemons that have it open.
pub async fn open_readonly(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    let opened = match config {
        StoreConfig::Sqlite { path } => SqliteStore::open_readonly(path).await.map(shared),
        StoreConfig::Postgres(named) => {
            let store = PostgresStore::open_readonly(&options(named)).await;
            store.map(shared)
        }
    };
    opened.map_err(|error| told("cannot read the store", config, error))
}

/// The schema that the store has; none when it is empty or missing.
pub async fn schema(config: &StoreConfig) -> anyhow::Result<Option<i64>> {
    let found = match config {
        StoreConfig::Sqlite { path } => SqliteStore::schema(path).await,
        StoreConfig::Postgres(named) => place(named).await.map(|place| place.schema),
    };
    found.map_err(|error| told("cannot read the schema of", config, error))
}

/// Which database it is.
pub(super) async fn place(named: &PostgresConfig) -> Result<Place, StoreError> {
    Place::of_postgres(&options(named)).await
}

/// How a database is to be opened.
pub(super) fn options(named: &PostgresConfig) -> PostgresOptions {
    PostgresOptions {
        url: named.address(),
        connections_max: named.connections,
        statement_timeout: crate::work::duration(named.statement_timeout),
        session_features: named.session_features,
    }
}

fn shared(store: impl Store) -> Arc<dyn Store> {
    Arc::new(store)
}
