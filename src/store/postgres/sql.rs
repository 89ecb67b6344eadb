//! Every statement that the PostgreSQL store runs, each with a name.
//!
//! Many rows go through one statement: each parameter is one column of them, an array, and
//! `unnest` makes rows of the arrays.

macro_rules! statements {
    ($( $(#[$doc:meta])* $name:ident = $sql:expr; )+) => {
        $( $(#[$doc])* pub(super) const $name: &str = $sql; )+
    };
}

statements! {
    /// Said in full, since the server's defaults may be others.
    BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    /// All statements see one moment.
    BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    /// `$1` is a limit in milliseconds; with `$2` it holds for the transaction only. A server that
    /// would acknowledge what it has not synced is told to sync for us.
    SETTINGS =
        "SELECT set_config('statement_timeout', $1, $2), \
           set_config('idle_in_transaction_session_timeout', $1, $2), \
           set_config('synchronous_commit', CASE \
             WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' \
             ELSE current_setting('synchronous_commit') END, $2)";
    ENCODING = "SELECT current_setting('server_encoding')";
    SCHEMA_VERSION = "SELECT max(version) FROM _sqlx_migrations WHERE success";
    /// Held until the transaction ends, so that a pooler cannot lose it.
    LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(7308895137226483045)";
    FORGET_STATEMENTS = "DEALLOCATE ALL";
}
