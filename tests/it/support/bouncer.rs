//! PgBouncer in its transaction mode, before the server that all tests share.
//!
//! Lends a connection for one transaction only, each time the one that was free longest, so that
//! whatever is prepared, set or locked for longer than a transaction is missed. Reachable through a
//! socket in the server's own throw-away folder; a guardian stops it when the run ends, however that
//! comes. A missing PgBouncer is a failing test.

use super::cluster::{Cluster, Database};
use reconciled::store::postgres::PostgresOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// Where Debian puts it; elsewhere it is looked for by its name.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
/// The socket is named by the port; nothing listens there.
const PORT: u16 = 6432;
/// How often it is looked for, and the pause between two looks.
const LOOKS_MAX: u32 = 1_500;
const PAUSE: Duration = Duration::from_millis(20);
/// Starts it, waits for a run's end, which closes its input, and stops it.
const GUARDIAN: &str = "trap '' HUP INT TERM; cd /; \"$1\" -q \"$2\" & read -r line; kill -9 $!";

static SHARED: LazyLock<Result<Bouncer, String>> = LazyLock::new(Bouncer::start);

struct Bouncer {
    folder: PathBuf,
    /// Lives as long as the run: its input closes when the run is gone.
    _guardian: Child,
}

/// How a store is to be opened on this database behind it, where two transactions in a row get two
/// connections from here on.
pub(crate) async fn options(database: &Database) -> PostgresOptions {
    take_turns(&url(database)).await;
    PostgresOptions {
        url: url(database).into(),
        session_features: false,
        ..database.options()
    }
}

/// Where this database is behind it.
pub(crate) fn url(database: &Database) -> String {
    let bouncer = SHARED.as_ref().unwrap_or_else(|why| panic!("{why}"));
    let (name, folder) = (database.name(), bouncer.folder.display());
    format!("postgres:///{name}?host={folder}&port={PORT}&user=reconciled")
}

/// Two transactions at once make it open two connections; it lends them in turn, which is seen.
async fn take_turns(url: &str) {
    let [mut one, mut other] = [connect(url).await, connect(url).await];
    for words in ["BEGIN", "COMMIT"] {
        for client in [&mut one, &mut other] {
            sqlx::raw_sql(words).execute(client).await.unwrap();
        }
    }
    let mut lent = Vec::new();
    for _ in 0..2 {
        let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut one);
        lent.push(asked.await.unwrap().get::<i32, _>(0));
    }
    assert_ne!(lent[0], lent[1], "the same connection twice in a row");
    one.close().await.unwrap();
    other.close().await.unwrap();
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    // What the driver asks for at its start by itself is refused here.
    let options = options.extra_float_digits(None);
    PgConnection::connect_with(&options).await.unwrap()
}

impl Bouncer {
    fn start() -> Result<Bouncer, String> {
        let cluster = Cluster::shared();
        let folder = cluster.folder().to_owned();
        let config = folder.join("pgbouncer.ini");
        let told = |error: std::io::Error| format!("{}: {error}", config.display());
        fs::write(&config, settings(&folder)).map_err(told)?;
        let mut guardian = cluster.beside_it("/bin/sh");
        guardian.args(["-c", GUARDIAN, "guardian", program()]);
        guardian.arg(&config).stdin(Stdio::piped());
        guardian.stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = guardian.spawn();
        let guardian = spawned.map_err(|error| format!("no guardian for PgBouncer: {error}"))?;
        let socket = folder.join(format!(".s.PGSQL.{PORT}"));
        let mut looks = 0..LOOKS_MAX;
        while UnixStream::connect(&socket).is_err() {
            if looks.next().is_none() {
                let log = fs::read_to_string(folder.join("pgbouncer.log"));
                return Err(format!(
                    "these tests need PgBouncer (Debian: pgbouncer), and it did not come up: {log:?}"
                ));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Bouncer {
            folder,
            _guardian: guardian,
        })
    }
}

fn program() -> &'static str {
    if Path::new(DEBIAN).is_file() {
        DEBIAN
    } else {
        "pgbouncer"
    }
}

/// All databases of the server; as few connections to each as make turns matter. Everything else
/// as it comes, so that a start which asks for what PgBouncer does not know is refused.
fn settings(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[databases]\n\
         * = host={folder} port=5432 user=reconciled\n\
         [pgbouncer]\n\
         listen_addr =\n\
         listen_port = {PORT}\n\
         unix_socket_dir = {folder}\n\
         logfile = {folder}/pgbouncer.log\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 3\n\
         server_round_robin = 1\n\
         server_idle_timeout = 60\n\
         autodb_idle_timeout = 5\n\
         max_client_conn = 1000\n"
    )
}
