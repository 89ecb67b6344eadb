//! What a database is before anything is opened on it: which one, and with which schema.
//!
//! For the start and for migrations alone. Asks one statement at a time, as text, so that any
//! pooler may stand between.

use super::StoreError;
use super::postgres::PostgresOptions;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

/// The database has this long to say what it is.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);

/// Not every server tells, and not everybody.
const SYSTEM: &str = "SELECT system_identifier::text FROM pg_control_system()";
const DATABASE: &str =
    "SELECT oid::text || '/' || datname FROM pg_database WHERE datname = current_database()";
const HAS_SCHEMA: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
const SCHEMA: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

/// A database on its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The same for everybody who is connected to this database, whichever way, and also after a
    /// replica of the server took over; another one in a database that was restored from a dump.
    pub home: String,
    /// The schema it has.
    pub schema: Option<i64>,
}

impl Place {
    /// What a PostgreSQL database is.
    pub async fn of_postgres(options: &PostgresOptions) -> Result<Place, StoreError> {
        let late = |_| StoreError::Unavailable("the database does not answer in time".to_owned());
        tokio::time::timeout(PLACE_PATIENCE, ask(options))
            .await
            .map_err(late)?
    }
}

async fn ask(options: &PostgresOptions) -> Result<Place, StoreError> {
    let parsed: Result<PgConnectOptions, _> = options.url.expose_secret().parse();
    let address = parsed?
        .application_name("reconciled")
        .disable_statement_logging();
    let address = address.extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&address).await?;
    let system: Result<String, sqlx::Error> = one(&mut connection, SYSTEM).await;
    let system = match system {
        Ok(system) => system,
        Err(sqlx::Error::Database(_)) => "-".to_owned(),
        Err(error) => return Err(error.into()),
    };
    let database: String = one(&mut connection, DATABASE).await?;
    let has_schema: bool = one(&mut connection, HAS_SCHEMA).await?;
    let schema: Option<i64> = match has_schema {
        true => one(&mut connection, SCHEMA).await?,
        false => None,
    };
    // What was read is read; a connection that does not end well ends all the same.
    drop(connection.close().await);
    Ok(Place {
        home: format!("{system}/{database}"),
        schema,
    })
}

async fn one<T>(connection: &mut PgConnection, statement: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    use sqlx::Row;
    let row = sqlx::raw_sql(statement).fetch_one(connection).await?;
    row.try_get(0)
}
