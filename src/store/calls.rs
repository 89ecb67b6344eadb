//! Calls between daemons on one PostgreSQL database: "look", and nothing else.
//!
//! Knows a connection and a channel, not what there is to look at. Whoever misses a call looks a
//! little later by itself.

use super::StoreError;
use super::postgres::PostgresOptions;
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;

/// The channel that all daemons of a database listen to.
const CHANNEL: &str = "reconciled";
const CALL: &str = "SELECT pg_notify('reconciled', '')";
const WHO: &str = "SELECT pg_backend_pid()";
/// A server that takes longer to pass on a call, or to let us listen, is taken to be gone.
const CALL_PATIENCE: Duration = Duration::from_secs(5);

/// A line to the other daemons.
pub struct Calls {
    listener: PgListener,
    /// Our own calls come back to us, under this number.
    own: u32,
}

impl Calls {
    /// Begins to listen.
    pub async fn open(options: &PostgresOptions) -> Result<Calls, StoreError> {
        in_time(connect(options)).await
    }

    /// Tells all others to look.
    pub async fn call(&mut self) -> Result<(), StoreError> {
        in_time(async {
            sqlx::raw_sql(CALL).execute(&mut self.listener).await?;
            Ok(())
        })
        .await
    }

    /// Waits until another one calls.
    pub async fn heard(&mut self) -> Result<(), StoreError> {
        loop {
            match self.listener.try_recv().await? {
                Some(call) if call.process_id() == self.own => {}
                Some(_) => return Ok(()),
                None => {
                    let lost = "the connection that listens was lost".to_owned();
                    return Err(StoreError::Unavailable(lost));
                }
            }
        }
    }
}

async fn connect(options: &PostgresOptions) -> Result<Calls, sqlx::Error> {
    let address: PgConnectOptions = options.url.expose_secret().parse()?;
    let address = address
        .application_name("reconciled listens")
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(address);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let row = sqlx::raw_sql(WHO).fetch_one(&mut listener).await?;
    let own: i32 = sqlx::Row::try_get(&row, 0)?;
    Ok(Calls {
        listener,
        own: own.unsigned_abs(),
    })
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable("the server did not answer in time".to_owned());
    Ok(tokio::time::timeout(CALL_PATIENCE, work)
        .await
        .map_err(late)??)
}
