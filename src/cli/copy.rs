//! `reconciled copy`: a whole store from one database into another, compared row by row.
//!
//! Reads the source and never writes it. Nobody starts on the target before it was found equal.

use super::client::{EXIT_NO, EXIT_USAGE};
use super::complain;
use crate::audit;
use crate::store::Store;
use crate::store::copy::{Content, CopyError, Export, Import, contents, transfer};
use crate::store::postgres::{PostgresExport, PostgresImport, PostgresOptions, PostgresStore};
use crate::store::sqlite::{SqliteExport, SqliteImport, SqliteStore};
use anyhow::Context;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Connections to a PostgreSQL database beside the one that carries the rows.
const CONNECTIONS_MAX: u32 = 2;
/// A statement of the audit may take this long.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);

const ACCEPTED: &str = "write sqlite:/path/to/reconciled.db, or postgres://user@host/database";
const PASSWORD: &str = "everybody on this machine can read a command line: give the password in \
    PGPASSWORD or in ~/.pgpass";

/// The arguments of `reconciled copy`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The store to read: sqlite:PATH or postgres://USER@HOST/DATABASE. Every daemon on it must be
    /// stopped
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The empty store to write; what an interrupted copy left there is begun anew
    #[arg(long, value_name = "URL")]
    pub to: String,
}

/// Where a store is. Holds no password, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// The address of a PostgreSQL database.
    Postgres(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let is_plain = !path.contains(['?', '#']) && !path.starts_with("//");
            return if is_plain && !path.is_empty() && path != ":memory:" {
                Ok(Place::Sqlite(PathBuf::from(path)))
            } else {
                Err(ACCEPTED.to_owned())
            };
        }
        let mut schemes = ["postgres://", "postgresql://"].iter();
        let Some(rest) = schemes.find_map(|scheme| text.strip_prefix(scheme)) else {
            return Err(ACCEPTED.to_owned());
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let user = place.rsplit_once('@').map_or("", |(user, _)| user);
        let mut parameters = query.split('&');
        if user.contains(':') || parameters.any(|one| one.starts_with("password=")) {
            return Err(PASSWORD.to_owned());
        }
        Ok(Place::Postgres(text.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(url) => f.write_str(url),
        }
    }
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: url.into(),
        connections_max: CONNECTIONS_MAX,
        statement_timeout: STATEMENT_TIMEOUT,
        session_features: true,
    }
}

/// A store that is read, while nobody writes it.
struct Source {
    store: Arc<dyn Store>,
    rows: Box<dyn Export>,
    _lock: Option<File>,
}

impl Source {
    async fn open(place: &Place) -> Result<Source, CopyError> {
        match place {
            Place::Sqlite(path) => {
                let (store, lock) = SqliteStore::open_source(path).await?;
                store.refuse_newer().await?;
                Ok(Source {
                    rows: Box::new(SqliteExport::of(&store).await?),
                    store: Arc::new(store),
                    _lock: Some(lock),
                })
            }
            Place::Postgres(url) => {
                let options = options(url);
                let rows = PostgresExport::of_source(&options).await?;
                let store = PostgresStore::open_readonly(&options).await?;
                store.refuse_newer().await?;
                Ok(Source {
                    rows: Box::new(rows),
                    store: Arc::new(store),
                    _lock: None,
                })
            }
        }
    }
}

/// A store that is written; empty, and used by nobody.
struct Target {
    store: Arc<dyn Store>,
    rows: Box<dyn Import>,
}

impl Target {
    async fn open(place: &Place) -> Result<Target, CopyError> {
        let mut target = match place {
            Place::Sqlite(path) => {
                let store = Arc::new(SqliteStore::open_target(path).await?);
                store.refuse_newer().await?;
                Target {
                    rows: Box::new(SqliteImport::into(store.clone())),
                    store,
                }
            }
            Place::Postgres(url) => {
                let options = options(url);
                let rows = PostgresImport::connect(&options).await?;
                let store = PostgresStore::open(&options).await?;
                store.refuse_newer().await?;
                Target {
                    rows: Box::new(rows),
                    store: Arc::new(store),
                }
            }
        };
        target.rows.begin().await?;
        Ok(target)
    }
}

/// Copies and compares. Exit 0 when both stores are equal and their books are whole; 1 when the
/// source's books are not, and nothing was copied, or when something differs afterwards; 69 when a
/// store cannot be opened or must not be used.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (option, why) = match (args.from.parse::<Place>(), args.to.parse::<Place>()) {
        (Ok(from), Ok(to)) => return copy(&from, &to).await,
        (Err(why), _) => ("--from", why),
        (Ok(_), Err(why)) => ("--to", why),
    };
    // The address itself is not repeated: it may hold a password.
    complain(&format!("{option}: {why}"));
    Ok(ExitCode::from(EXIT_USAGE))
}

async fn copy(from: &Place, to: &Place) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let source = Source::open(from).await;
    let mut source = source.with_context(|| format!("cannot copy from {from}"))?;
    let books = audit::run_on_all_processors(source.store.as_ref()).await?;
    if !books.is_clean() {
        writeln!(out, "{}Nothing was copied.", books.text())?;
        return Ok(ExitCode::from(EXIT_NO));
    }
    let target = Target::open(to).await;
    let mut target = target.with_context(|| format!("cannot copy to {to}"))?;
    let written = transfer(source.rows.as_mut(), target.rows.as_mut()).await;
    let written = written.with_context(|| format!("copying from {from} to {to}"))?;
    let mut again = target.rows.written().await?;
    let found = contents(again.as_mut()).await?;
    let proven = audit::run_on_all_processors(target.store.as_ref()).await?;
    let has_strays = again.strays().await? != 0;
    // A store waits at its end for whoever still reads it.
    drop(again);
    let differing = differences(&written, &found);
    if differing.is_empty() && proven == books && !has_strays {
        target.rows.finish().await?;
        for content in &found {
            writeln!(out, "{}: {} rows", content.table.name(), content.rows)?;
        }
        write!(out, "{}", proven.text())?;
        writeln!(out, "{to} is equal to {from}, row by row.")?;
        close(source, target).await;
        return Ok(ExitCode::SUCCESS);
    }
    for table in differing {
        writeln!(out, "DIFFERENCE in {table}")?;
    }
    write!(out, "{}", proven.text())?;
    writeln!(
        out,
        "{to} differs from {from}; no daemon will start on it. Run the copy again."
    )?;
    Ok(ExitCode::from(EXIT_NO))
}

async fn close(source: Source, target: Target) {
    drop((source.rows, target.rows));
    source.store.close().await;
    target.store.close().await;
}

fn differences(written: &[Content], found: &[Content]) -> Vec<&'static str> {
    let both = written.iter().zip(found);
    let differing = both.filter(|(one, other)| one != other);
    differing.map(|(one, _)| one.table.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_or_a_database_and_holds_no_password() {
        let file: Place = "sqlite:/a/b.db".parse().unwrap();
        assert_eq!(file, Place::Sqlite(PathBuf::from("/a/b.db")));
        for url in ["postgres://u@h/d?sslmode=verify-full", "postgresql:///d"] {
            assert_eq!(url.parse(), Ok(Place::Postgres(url.to_owned())));
        }
        for bad in ["", "sqlite:", "sqlite::memory:", "sqlite://a", "mysql://h"] {
            assert_eq!(bad.parse::<Place>(), Err(ACCEPTED.to_owned()), "{bad}");
        }
        for open in [
            "postgres://u:secret@h/d",
            "postgres:///d?host=/tmp&password=secret",
        ] {
            let refused = open.parse::<Place>().unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
