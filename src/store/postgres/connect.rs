//! Connections and transactions of the PostgreSQL store.
//!
//! Knows what a connection must be set to and how a transaction begins and ends. Knows no table.

use super::error::Fault;
use super::sql;
use super::warm::{Lent, Warm};
use crate::store::StoreError;
use crate::store::failure::{check_version, from_migration};
use crate::store::schema::{self, Standing};
use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, Postgres,
};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{ConnectOptions, Connection, FromRow, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whoever asks waits so long for a free connection, and for the server to take a new one.
const POOL_PATIENCE: Duration = Duration::from_secs(5);
/// A connection that was unused for longer is looked at before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// A server that is there ends a statement by itself when its time is up; one that says nothing for
/// so much longer is not there, whatever the connection looks like.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// A connection that is looked at must answer within this long, or it is closed.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// An unused connection is closed after this long.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// A connection is opened anew after this long, so that a server that took over gets its share.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(1800);
/// Statements that a connection keeps prepared; there are fewer.
const STATEMENTS_MAX: usize = 200;

/// Where the database is and how it is to be used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`, or
    /// `postgres:///database?host=/run/postgresql` for a socket.
    pub url: SecretString,
    /// Connections at once, at most.
    pub connections_max: u32,
    /// A statement that takes longer is ended by the server, and so is a transaction that stands
    /// still for longer: a paused daemon must not hold what others wait for.
    pub statement_timeout: Duration,
    /// False when a pooler stands between that lends a connection for a transaction only: no
    /// statement stays prepared, nothing is set or locked for longer than a transaction.
    pub session_features: bool,
}

/// A connection of its own beside all pools, under a name of its own, on which a statement may take
/// as long as it wants.
pub(super) async fn alone(options: &PostgresOptions) -> Result<PgConnection, StoreError> {
    let settings = Settings {
        timeout: options.statement_timeout,
        has_session: true,
    };
    let address = address(options)?.application_name("reconciled copy");
    let connecting = tokio::time::timeout(POOL_PATIENCE, address.connect()).await;
    let mut connection = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    let limits = Limits {
        timeout_ms: "0",
        is_local: false,
        whole_tables: true,
    };
    settings.set(&mut connection, limits).await?;
    Ok(connection)
}

/// The way to the database.
pub(super) struct Line {
    pub(super) pool: PgPool,
    warm: Warm,
    standbys: Standbys,
    session: Settings,
    is_readonly: bool,
}

/// What a connection, or a transaction where no connection is ours, is set to.
#[derive(Clone, Copy)]
struct Settings {
    timeout: Duration,
    has_session: bool,
}

/// How long a statement may take, for how long that is set, and what may be read in one go.
struct Limits<'a> {
    timeout_ms: &'a str,
    is_local: bool,
    whole_tables: bool,
}

impl Settings {
    /// Waits for the server, but not for ever.
    async fn bounded<T>(
        self,
        asked: impl Future<Output = Result<T, impl Into<Fault>>>,
    ) -> Result<T, Fault> {
        let patience = self.timeout.saturating_add(SILENCE_MAX);
        match tokio::time::timeout(patience, asked).await {
            Ok(answered) => answered.map_err(Into::into),
            Err(_) => {
                let why = "the server does not answer".to_owned();
                Err(StoreError::Unavailable(why).into())
            }
        }
    }

    async fn apply(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // To the server, zero is no limit at all.
        let timeout_ms = self.timeout.as_millis().max(1).to_string();
        let limits = Limits {
            timeout_ms: &timeout_ms,
            is_local: !self.has_session,
            whole_tables: false,
        };
        self.set(connection, limits).await
    }

    async fn set(
        self,
        connection: &mut PgConnection,
        limits: Limits<'_>,
    ) -> Result<(), sqlx::Error> {
        let set = sqlx::query(sql::SETTINGS).persistent(false);
        set.bind(limits.timeout_ms)
            .bind(limits.is_local)
            .bind(if limits.whole_tables { "on" } else { "off" })
            .execute(connection)
            .await?;
        Ok(())
    }
}

fn address(options: &PostgresOptions) -> Result<PgConnectOptions, StoreError> {
    let parsed: Result<PgConnectOptions, _> = options.url.expose_secret().parse();
    let address = parsed.map_err(|error: sqlx::Error| {
        StoreError::Unavailable(format!("the database's address cannot be read: {error}"))
    })?;
    let address = address
        .application_name("reconciled")
        .disable_statement_logging();
    Ok(if options.session_features {
        address.statement_cache_capacity(STATEMENTS_MAX)
    } else {
        // A pooler knows few of the things that a client may ask for at its start.
        address.statement_cache_capacity(0).extra_float_digits(None)
    })
}

/// Whether a standby was ever at the other end, as while an address is led to another server. Such
/// a connection is of no use when the address has moved on, so from then on each one is asked.
#[derive(Clone, Default)]
struct Standbys(Arc<AtomicBool>);

impl Standbys {
    fn were_met(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    async fn note(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if is_standby(connection).await? {
            self.0.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Looks whether somebody is at the other end, who is no standby.
    async fn passes(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let answer = async {
            if self.were_met() {
                return Ok(!is_standby(connection).await?);
            }
            connection.ping().await.map(|()| true)
        };
        let answer = tokio::time::timeout(ANSWER_PATIENCE, answer);
        answer.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

/// Asked as text, in one go: behind a pooler a statement that is prepared first and run afterwards
/// may meet two servers.
async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(sql::IS_STANDBY).fetch_one(connection).await?;
    row.try_get(0)
}

impl Line {
    /// Connects, and looks whether the server is one we can work with.
    pub(super) async fn connect(
        options: &PostgresOptions,
        is_readonly: bool,
    ) -> Result<Line, StoreError> {
        let session = Settings {
            timeout: options.statement_timeout,
            has_session: options.session_features,
        };
        let standbys = Standbys::default();
        let (before, after, met) = (standbys.clone(), standbys.clone(), standbys.clone());
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max.max(1))
            .acquire_timeout(POOL_PATIENCE)
            .idle_timeout(IDLE_MAX)
            .max_lifetime(CONNECTION_AGE_MAX)
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                let is_trusted = known.idle_for <= TRUSTED_FOR;
                let before = before.clone();
                async move { Ok(is_trusted || before.passes(connection).await.unwrap_or(false)) }
                    .boxed()
            })
            .after_release(move |connection, _| {
                let after = after.clone();
                async move { after.passes(connection).await }.boxed()
            })
            .after_connect(move |connection, _| {
                let standbys = standbys.clone();
                async move {
                    if session.has_session {
                        session.apply(connection).await?;
                    }
                    match is_readonly {
                        true => Ok(()),
                        false => standbys.note(connection).await,
                    }
                }
                .boxed()
            });
        let line = Line {
            pool: pool.connect_lazy_with(address(options)?),
            warm: Warm::new(options.connections_max, TRUSTED_FOR),
            standbys: met,
            session,
            is_readonly,
        };
        let mut first = line.read().await?;
        let encoding = first.scalar(sqlx::query_scalar(sql::ENCODING)).await;
        let encoding: String = first.end(encoding).await?;
        if encoding == "UTF8" {
            Ok(line)
        } else {
            Err(StoreError::Schema(format!(
                "the database's encoding is {encoding}, this program needs UTF8"
            )))
        }
    }

    /// Brings the schema up to date, in one transaction that others who start at the same moment
    /// wait for; refuses one that a newer program wrote.
    pub(super) async fn migrate(&self, migrations: &Migrator) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with(sql::BEGIN_WRITING).await?;
        // What waits for its turn, and what rewrites a large table, may take long.
        let limits = Limits {
            timeout_ms: "0",
            is_local: true,
            whole_tables: true,
        };
        self.session.set(&mut tx, limits).await?;
        self.forget_statements(&mut tx).await?;
        let lock = sqlx::query(sql::LOCK_SCHEMA).persistent(false);
        lock.execute(&mut *tx).await?;
        let has_schema = sqlx::query_scalar(sql::HAS_SCHEMA).persistent(false);
        let applied = if has_schema.fetch_one(&mut *tx).await? {
            let applied = sqlx::query_as(sql::APPLIED).persistent(false);
            applied.fetch_all(&mut *tx).await?
        } else {
            Vec::new()
        };
        let migrated = match schema::standing(&applied, migrations)? {
            Standing::Known => migrations.run_direct(None, &mut *tx, false).await,
            Standing::Newer(_) => {
                let tolerant = schema::tolerant(migrations);
                tolerant.run_direct(None, &mut *tx, false).await
            }
        };
        migrated.map_err(from_migration)?;
        self.forget_statements(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// The driver's migrator prepares statements under names, which on a pooler's connection would
    /// be in the way of whoever gets it next.
    async fn forget_statements(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if !self.session.has_session {
            let forgotten = sqlx::raw_sql(sql::FORGET_STATEMENTS);
            forgotten.execute(connection).await?;
        }
        Ok(())
    }

    /// Refuses a schema that this program does not work on.
    pub(super) async fn check_schema(&self, migrations: &Migrator) -> Result<(), StoreError> {
        let mut session = self.read().await?;
        let query = sqlx::query_as(sql::APPLIED);
        let applied = session.read(query, Ok).await;
        let applied: Vec<(i64, String)> = session.end(applied).await?;
        schema::check(&applied, migrations)
    }

    /// Refuses a schema with more in it than this program knows of.
    pub(super) async fn refuse_newer(&self, migrations: &Migrator) -> Result<(), StoreError> {
        let mut session = self.read().await?;
        let query = sqlx::query_scalar(sql::SCHEMA_VERSION);
        let found = session.scalar(query).await;
        let found: Option<i64> = session.end(found).await?;
        let known = migrations.iter().map(|migration| migration.version).max();
        check_version(found, known)
    }

    /// For one statement that reads.
    pub(super) async fn read(&self) -> Result<Session, Fault> {
        if self.session.has_session {
            Ok(self.session_of(self.warm.take(&self.pool).await?))
        } else {
            self.within(sql::BEGIN_SNAPSHOT).await
        }
    }

    /// For several statements that read one moment.
    pub(super) async fn snapshot(&self) -> Result<Session, Fault> {
        self.within(sql::BEGIN_SNAPSHOT).await
    }

    /// For one statement that writes and is a transaction by itself.
    pub(super) async fn write(&self) -> Result<Session, Fault> {
        if self.session.has_session && !self.is_readonly {
            Ok(self.session_of(self.warm.take(&self.pool).await?))
        } else {
            self.begin().await
        }
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Session, Fault> {
        if self.is_readonly {
            let why = "the store was opened read-only".to_owned();
            return Err(StoreError::Unavailable(why).into());
        }
        self.within(sql::BEGIN_WRITING).await
    }

    async fn within(&self, begin: &'static str) -> Result<Session, Fault> {
        // Waiting for a free connection comes on top.
        let both = Settings {
            timeout: self.session.timeout.saturating_add(POOL_PATIENCE),
            ..self.session
        };
        both.bounded(self.begun(begin)).await
    }

    async fn begun(&self, begin: &'static str) -> Result<Session, Fault> {
        let mut session = self.session_of(self.warm.take(&self.pool).await?);
        session.is_open = true;
        let connection = session.connection()?;
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        if !self.session.has_session {
            self.session.apply(connection).await?;
        }
        Ok(session)
    }

    fn session_of(&self, lent: Lent) -> Session {
        Session {
            lent: Some(lent),
            is_open: false,
            warm: self.warm.clone(),
            standbys: self.standbys.clone(),
            settings: self.session,
        }
    }

    /// Closes all connections once they are free.
    pub(super) async fn close(&self) {
        self.warm.close();
        self.pool.close().await;
    }
}

/// A connection for the time of one verb, in a transaction where it needs one.
pub(super) struct Session {
    lent: Option<Lent>,
    /// A transaction was begun and has not ended.
    is_open: bool,
    warm: Warm,
    standbys: Standbys,
    settings: Settings,
}

impl Drop for Session {
    /// Nobody has to guess how far a transaction came that was let go of: its connection goes.
    fn drop(&mut self) {
        if let Some(lent) = self.lent.as_mut().filter(|_| self.is_open) {
            lent.connection.close_on_drop();
        }
    }
}

impl Session {
    fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        match &mut self.lent {
            Some(lent) => Ok(&mut lent.connection),
            None => Err(StoreError::Unavailable("the connection is gone".to_owned()).into()),
        }
    }

    /// Runs a statement; the number of rows touched.
    pub(super) async fn run(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, Fault> {
        let query = query.persistent(self.settings.has_session);
        let settings = self.settings;
        let done = settings.bounded(query.execute(self.connection()?)).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement and reads every row.
    pub(super) async fn read<R, T>(
        &mut self,
        query: QueryAs<'_, Postgres, R, PgArguments>,
        read: impl Fn(R) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, Fault>
    where
        R: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.settings.has_session);
        let settings = self.settings;
        let raw = settings
            .bounded(query.fetch_all(self.connection()?))
            .await?;
        Ok(raw.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Runs a statement whose rows have one column.
    pub(super) async fn scalars<T>(
        &mut self,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, Fault>
    where
        T: Send + Unpin,
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.settings.has_session);
        let settings = self.settings;
        settings.bounded(query.fetch_all(self.connection()?)).await
    }

    /// Runs a statement that answers one value.
    pub(super) async fn scalar<T>(
        &mut self,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<T, Fault>
    where
        T: Send + Unpin,
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.settings.has_session);
        let settings = self.settings;
        settings.bounded(query.fetch_one(self.connection()?)).await
    }

    /// Commits if the work went well. The server answers Ok to the commit of a failed transaction
    /// and keeps nothing, so work that failed is never committed.
    pub(super) async fn end<T>(mut self, worked: Result<T, Fault>) -> Result<T, Fault> {
        if self.is_open {
            match &worked {
                Ok(_) => self.close(sql::COMMIT).await?,
                Err(Fault::Overtaken(_)) => {
                    // Where even that fails the connection goes, and the next try has another.
                    if self.close(sql::ROLLBACK).await.is_err() {
                        tracing::debug!("a transaction was not rolled back; its connection goes");
                    }
                }
                Err(Fault::Final(_)) => {}
            }
        }
        let value = worked?;
        // Once a standby was met all go back to the pool, which asks them.
        if let Some(lent) = self.lent.take().filter(|_| !self.standbys.were_met()) {
            self.warm.keep(lent);
        }
        Ok(value)
    }

    async fn close(&mut self, statement: &'static str) -> Result<(), Fault> {
        let settings = self.settings;
        let ended = sqlx::raw_sql(statement).execute(self.connection()?);
        settings.bounded(ended).await?;
        self.is_open = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_statements_stay_prepared_on_a_connection() {
        assert!(sql::ALL.len() < STATEMENTS_MAX);
    }
}
