//! What integration tests share: the real binary between the sandbox PSP and the sandbox shop.
//!
//! The only place where a test may wait. Knows the sandbox's rig and adds what a test wants:
//! failures as panics with the whole story in them, and a look at the log at the end.

pub(crate) mod adapters;
pub(crate) mod asking;
pub(crate) mod bouncer;
pub(crate) mod cluster;
pub(crate) mod failing_store;
pub(crate) mod forwarder;
pub(crate) mod log;
pub(crate) mod scene;
pub(crate) mod site;
pub(crate) mod story;
pub(crate) mod talk;

use cluster::Database;
use reconciled::sandbox::books::{Customer, Judgement};
use reconciled::sandbox::psp::{Kind, stripe};
use reconciled::sandbox::rig::{self, Scratch, Setup, View};
use reconciled::sandbox::world::World;
use reconciled::store::Store;
use reconciled::store::sqlite::SqliteStore;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// The PSP that a story is played at, and the store of the daemon that plays it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Psp {
    pub(crate) kind: &'static Kind,
    pub(crate) keeps: Keeps,
}

/// Where the daemon of a story keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// In a file of its own.
    File,
    /// In a fresh database of the test run's server.
    Postgres,
    /// In such a database as well, with PgBouncer in transaction mode before it.
    BehindPgBouncer,
}

impl From<&'static Kind> for Psp {
    fn from(kind: &'static Kind) -> Psp {
        let keeps = Keeps::File;
        Psp { kind, keeps }
    }
}

impl Deref for Psp {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        self.kind
    }
}

/// The daemon in its world, for one story. Ends with `close`.
pub(crate) struct Rig {
    rig: Option<rig::Rig>,
    scratch: Scratch,
    database: Option<Database>,
    store_url: String,
    expected_errors: Vec<&'static str>,
}

impl Rig {
    /// Everything up and ready at Stripe, with spans of a second where the defaults are minutes.
    pub(crate) async fn raise() -> Rig {
        Rig::raise_with(|setup| setup).await
    }

    /// As `raise`, with changes to the configuration.
    pub(crate) async fn raise_with(change: impl FnOnce(Setup) -> Setup) -> Rig {
        Rig::raise_at_with(&stripe::KIND, change).await
    }

    /// As `raise_with`, with the daemon yet to be started by `restart`.
    pub(crate) async fn prepare_with(change: impl FnOnce(Setup) -> Setup) -> Rig {
        Rig::prepare_at_with(&stripe::KIND, change).await
    }

    /// As `raise`, at this PSP.
    pub(crate) async fn raise_at(psp: impl Into<Psp>) -> Rig {
        Rig::raise_at_with(psp, |setup| setup).await
    }

    /// As `raise_with`, at this PSP.
    pub(crate) async fn raise_at_with(
        psp: impl Into<Psp>,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Rig {
        let mut rig = Rig::prepare_at_with(psp, change).await;
        let started = rig.restart().await;
        started.unwrap_or_else(|error| panic!("{error}"));
        rig
    }

    /// As `prepare_with`, at this PSP.
    pub(crate) async fn prepare_at_with(
        psp: impl Into<Psp>,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Rig {
        let scratch = Scratch::new("story").expect("a throw-away directory");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_reconciled"));
        let psp = psp.into();
        let mut short = Setup::short(program, scratch.path().to_owned()).at(psp.kind);
        let database = match psp.keeps {
            Keeps::File => None,
            Keeps::Postgres | Keeps::BehindPgBouncer => Some(Database::fresh().await),
        };
        if let Some(database) = &database {
            short.store_url = database.url();
        }
        if let (Keeps::BehindPgBouncer, Some(database)) = (psp.keeps, &database) {
            short.store_url = bouncer::url(database);
            let feature = ("session_features".to_owned(), "false".to_owned());
            short.store.extend([feature]);
        }
        let setup = change(short);
        let store_url = setup.store_url.clone();
        let rig = rig::Rig::prepare(setup).await;
        Rig {
            rig: Some(rig.unwrap_or_else(|error| panic!("{error}"))),
            scratch,
            database,
            store_url,
            expected_errors: Vec::new(),
        }
    }

    /// The store of a daemon that is down.
    pub(crate) async fn open_store(&self) -> Box<dyn Store> {
        match &self.database {
            Some(database) => Box::new(database.open().await),
            None => {
                let path = self.scratch.path().join("reconciled.db");
                Box::new(SqliteStore::open(&path).await.unwrap())
            }
        }
    }

    /// Runs SQL on the store of a daemon that is down; the number of rows touched.
    pub(crate) async fn tamper(&self, sql: &'static str) -> u64 {
        if self.store_url.starts_with("postgres:") {
            let mut connection = PgConnection::connect(&self.store_url).await.unwrap();
            let done = sqlx::query(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            return done.rows_affected();
        }
        let path = self.config_path().with_file_name("reconciled.db");
        let url = format!("sqlite:{}", path.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let done = sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected()
    }

    /// What the inbox of a daemon that is down holds: deliveries and their states.
    pub(crate) async fn inbox(&self) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> = if self.store_url.starts_with("postgres:") {
            let mut connection = PgConnection::connect(&self.store_url).await.unwrap();
            let inbox = "SELECT convert_from(delivery_id, 'UTF8'), state FROM inbox";
            let rows = sqlx::query_as(inbox).fetch_all(&mut connection).await;
            connection.close().await.unwrap();
            rows.unwrap()
        } else {
            let path = self.config_path().with_file_name("reconciled.db");
            let url = format!("sqlite:{}", path.display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let inbox = "SELECT delivery_id, state FROM inbox";
            let rows = sqlx::query_as(inbox).fetch_all(&mut connection).await;
            connection.close().await.unwrap();
            rows.unwrap()
        };
        rows.into_iter().collect()
    }

    /// Copies the database of a daemon that is down; where the copy is. None where there is none.
    pub(crate) async fn copy_database(&self) -> Option<String> {
        let database = self.database.as_ref()?;
        let url = database.url();
        let (name, rest) = url.strip_prefix("postgres:///")?.split_once('?')?;
        let copy = format!("CREATE DATABASE {name}_copy TEMPLATE {name}");
        database.tamper(&copy).await;
        Some(format!("postgres:///{name}_copy?{rest}"))
    }

    /// The story expects lines at ERROR that hold these words.
    pub(crate) fn expect_error(&mut self, words: &'static str) {
        self.expected_errors.push(words);
    }

    /// Waits for a checkout to be as wanted.
    pub(crate) async fn until(&self, reference: &str, wanted: impl Fn(&View) -> bool) -> View {
        let found = self.deref().until(reference, wanted).await;
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for a verdict.
    pub(crate) async fn until_verdict(&self, reference: &str, verdict: &str) -> View {
        self.until(reference, |view| view.verdict == verdict).await
    }

    /// Waits for the world to be as wanted.
    pub(crate) async fn until_world(&self, what: &str, wanted: impl Fn(&World) -> bool) {
        let seen = self.deref().until_world(what, wanted).await;
        seen.unwrap_or_else(|error| panic!("{error}"));
    }

    /// What the books say of one customer, who must be fine.
    pub(crate) fn fine(&self, reference: &str) -> Customer {
        let customer = self.customer(reference);
        let judgement = customer.judgement();
        assert_eq!(judgement, Judgement::Fine, "{reference}: {customer:?}");
        customer
    }

    /// Ends the daemon and the world; fails on any unexpected line at ERROR and on any panic.
    pub(crate) async fn close(mut self) {
        let rig = self.rig.take().expect("a rig is closed once");
        let errors = rig.close().await.unwrap_or_else(|error| panic!("{error}"));
        let unexpected = unexpected(&errors, &self.expected_errors);
        assert!(unexpected.is_empty(), "logged at ERROR: {unexpected:#?}");
    }
}

impl Deref for Rig {
    type Target = rig::Rig;

    fn deref(&self) -> &rig::Rig {
        self.rig.as_ref().expect("a rig that is not closed")
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut rig::Rig {
        self.rig.as_mut().expect("a rig that is not closed")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let is_forgotten = self.rig.is_some() && !std::thread::panicking();
        assert!(
            !is_forgotten,
            "a story ends with close(), or its log is not looked at"
        );
    }
}

/// The lines that hold none of the words that a story expects.
fn unexpected<'a>(errors: &'a [String], expected: &[&str]) -> Vec<&'a String> {
    let is_expected = |line: &str| expected.iter().any(|words| line.contains(words));
    errors.iter().filter(|line| !is_expected(line)).collect()
}

#[tokio::test]
async fn a_story_fails_on_errors_in_the_log_unless_it_expects_them() {
    let mut rig = Rig::prepare_with(|setup| setup).await;
    let lines =
        "{\"level\":\"INFO\"}\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"disk full\"}}\n";
    std::fs::write(rig.log_path(), lines).unwrap();
    rig.expect_error("disk full");
    rig.close().await;
    let errors = ["disk full".to_owned(), "key revoked".to_owned()];
    assert_eq!(unexpected(&errors, &["disk full"]), [&errors[1]]);
}
