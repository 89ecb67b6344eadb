//! A PostgreSQL server of this test run's own, and a fresh database in it for each test.
//!
//! Reachable through a socket in a throw-away folder only, with syncing on. A guardian outside the
//! run waits for the run's end, however that comes, then stops the server and removes the folder.
//! A missing server is a failing test. Knows nothing of what is tested.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "names databases of its own in SQL, and is told by the environment which server to take"
)]

use reconciled::store::Store;
use reconciled::store::postgres::{PostgresOptions, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// Names the folder of the server's programs, where it is not Debian's.
const BIN_VARIABLE: &str = "RECONCILED_POSTGRES_BIN";
const DEBIAN: &str = "/usr/lib/postgresql";
const PREFIX: &str = "reconciled-pg-";
/// Who runs the server when the test run itself is root, as whom it refuses to run.
const SERVER_USER: &str = "postgres";
/// What an operator runs to partition a store; with fewer partitions here, which are made faster.
const PARTITIONING: &str = include_str!("../../../docs/partitioning.sql");
const PARTS: [&str; 2] = ["integer := 16;", "integer := 4;"];
const SETTINGS: &str = "-c listen_addresses='' -c fsync=on -c shared_buffers=32MB \
                        -c max_connections=200 -c max_wal_size=256MB";
/// Waits for a run's end, which closes its input, then stops the server and removes the folder.
const GUARDIAN: &str = "trap '' HUP INT TERM; cd /; read -r line; \
    \"$1/pg_ctl\" -D \"$2/data\" -m immediate -w stop; rm -rf \"$2\"";

static SHARED: LazyLock<Result<Cluster, String>> = LazyLock::new(Cluster::start);
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// What a new database is made with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Schema {
    None,
    Newest,
    Partitioned,
}

/// A running server.
pub(crate) struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    guardian: Option<Child>,
    /// Settings beside those that all servers have.
    settings: String,
    databases: AtomicU32,
    /// The templates there are; held while a database is made, since nobody may be in them then.
    making: tokio::sync::Mutex<BTreeSet<Schema>>,
    spent: Mutex<Vec<String>>,
}

/// A database for one test.
pub(crate) struct Database {
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    /// A database with the newest schema and nothing in it.
    pub(crate) async fn fresh() -> Database {
        let cluster = Cluster::shared();
        let name = cluster.create(Schema::Newest).await;
        Database { cluster, name }
    }

    /// The same, partitioned as the documentation says.
    pub(crate) async fn partitioned() -> Database {
        let cluster = Cluster::shared();
        let name = cluster.create(Schema::Partitioned).await;
        Database { cluster, name }
    }

    /// Partitions it as the documentation says.
    pub(crate) async fn partition(&self) -> Result<(), String> {
        let mut connection = self.connection().await;
        let done = sqlx::raw_sql(AssertSqlSafe(partitioning()));
        let done = done.execute(&mut connection).await;
        connection.close().await.unwrap();
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    /// A database without any schema.
    pub(crate) async fn bare() -> Database {
        let cluster = Cluster::shared();
        let name = cluster.create(Schema::None).await;
        Database { cluster, name }
    }

    /// A database whose texts are in this encoding.
    pub(crate) async fn encoded(encoding: &str) -> Database {
        let cluster = Cluster::shared();
        let provider = if cluster.orders_as_people_do() {
            "LOCALE_PROVIDER libc"
        } else {
            ""
        };
        let how = format!("TEMPLATE template0 ENCODING {encoding} {provider} LOCALE 'C'");
        let name = cluster.create_as(&how).await;
        Database { cluster, name }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// How the store is to be opened on it.
    pub(crate) fn options(&self) -> PostgresOptions {
        options(self.url())
    }

    /// The store on it.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.options()).await.unwrap()
    }

    /// Runs SQL behind the store's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        run(&self.url(), sql).await;
    }

    /// A connection to it that is not the store's.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Stops one of the server's ends of the store's connections, which stays open; its number.
    pub(crate) async fn freeze(&self) -> i32 {
        let mut connection = self.connection().await;
        let found = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'reconciled' ORDER BY state_change DESC LIMIT 1",
        );
        let pid: i32 = found.fetch_one(&mut connection).await.unwrap();
        signal("-STOP", pid);
        connection.close().await.unwrap();
        pid
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self, pid: i32) {
        signal("-CONT", pid);
    }

    /// Holds a whole table until it is released.
    pub(crate) async fn hold(&self, table: &str) -> Holder {
        self.stand_still_after(&format!("LOCK TABLE {table}")).await
    }

    /// A transaction that goes no further than this statement until it is released.
    pub(crate) async fn stand_still_after(&self, statement: &str) -> Holder {
        let mut connection = self.connection().await;
        let lock = format!("BEGIN; {statement}");
        let held = sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut connection);
        held.await.unwrap();
        Holder(connection)
    }
}

/// Somebody else's transaction that is in the way.
pub(crate) struct Holder(PgConnection);

impl Holder {
    /// Ends it.
    pub(crate) async fn release(self) {
        self.0.close().await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut spent = self.cluster.spent.lock();
        let spent = spent.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        spent.push(std::mem::take(&mut self.name));
    }
}

fn options(url: String) -> PostgresOptions {
    PostgresOptions {
        url: url.into(),
        connections_max: 6,
        statement_timeout: Duration::from_secs(20),
        session_features: true,
    }
}

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await;
    done.unwrap();
    connection.close().await.unwrap();
}

/// Partitions a store as an operator would.
fn partitioning() -> String {
    let [parts, fewer] = PARTS;
    assert!(PARTITIONING.contains(parts));
    PARTITIONING.replace(parts, fewer)
}

impl Cluster {
    /// The server that all tests of this run share, started by the first that asks.
    pub(crate) fn shared() -> &'static Cluster {
        SHARED.as_ref().unwrap_or_else(|why| panic!("{why}"))
    }

    /// A server for one test alone, which may stop and start it.
    pub(crate) fn alone() -> Cluster {
        Cluster::start().unwrap_or_else(|why| panic!("{why}"))
    }

    /// As `alone`, with these settings (`-c name=value`) as well, and with these lines before all
    /// others that say who may connect.
    pub(crate) fn alone_with(settings: &str, rules: &str) -> Cluster {
        let started = Cluster::prepare(settings).and_then(|cluster| {
            cluster.initialise()?;
            let path = cluster.folder.join("data/pg_hba.conf");
            let told = |error: std::io::Error| format!("{}: {error}", path.display());
            let known = fs::read_to_string(&path).map_err(told)?;
            fs::write(&path, format!("{rules}\n{known}")).map_err(told)?;
            Ok(cluster)
        });
        started.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Lays a file that the server alone may read among its own.
    pub(crate) fn install(&self, name: &str, contents: &[u8]) {
        let path = self.folder.join("data").join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// A standby of this server that follows it, and without which it acknowledges nothing from
    /// here on.
    pub(crate) async fn synchronous_standby(&self) -> Cluster {
        let follows = Cluster::prepare("-c hot_standby=on").and_then(|standby| {
            let mut copy = standby.program("pg_basebackup");
            copy.arg("-D").arg(standby.folder.join("data"));
            copy.arg("-h").arg(&self.folder).args(["-U", "reconciled"]);
            copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]);
            succeed(&mut copy)?;
            standby.resume()?;
            Ok(standby)
        });
        let standby = follows.unwrap_or_else(|why| panic!("{why}"));
        let wait = "ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()";
        self.tamper(wait).await;
        let is_sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while self.count(is_sync).await == 0 {
            tokio::task::yield_now().await;
        }
        standby
    }

    /// Makes a standby the server that takes writes.
    pub(crate) fn promote(&self) {
        let mut promote = self.program("pg_ctl");
        promote.arg("-D").arg(self.folder.join("data"));
        promote.args(["-w", "promote"]);
        succeed(&mut promote).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Ends the server at once, by its number, and waits until nothing of it is left.
    pub(crate) fn kill9(&self) {
        let file = self.folder.join("data/postmaster.pid");
        let first = fs::read_to_string(&file).unwrap();
        let pid: i32 = first.lines().next().unwrap().parse().unwrap();
        signal("-KILL", pid);
        while !is_gone(pid) {
            std::thread::yield_now();
        }
    }

    /// Asks for a number as the server's master.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let count: i64 = query.fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    /// Where the server's socket is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn start() -> Result<Cluster, String> {
        let cluster = Cluster::prepare("")?;
        cluster.initialise()?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// A folder for a server, and its guardian.
    fn prepare(settings: &str) -> Result<Cluster, String> {
        let bin = programs()?;
        let user = server_user()?;
        sweep(&bin, user);
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir(&folder).map_err(told)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(told)?;
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).map_err(told)?;
        }
        let mut cluster = Cluster {
            bin,
            folder,
            user,
            guardian: None,
            settings: settings.to_owned(),
            databases: AtomicU32::new(0),
            making: tokio::sync::Mutex::default(),
            spent: Mutex::new(Vec::new()),
        };
        cluster.guardian = Some(cluster.guard()?);
        Ok(cluster)
    }

    /// Makes the server's first databases.
    fn initialise(&self) -> Result<(), String> {
        let data = self.folder.join("data");
        let rules = [
            "-U",
            "reconciled",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-instructions",
        ];
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(&data).args(rules).arg("--locale=C");
        if self.orders_as_people_do() {
            initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
        }
        succeed(&mut initdb)
    }

    /// From version 15 on a database can have text in another order than that of its bytes, so
    /// that nobody relies on the server's order.
    fn orders_as_people_do(&self) -> bool {
        let said = self.program("initdb").arg("--version").output();
        let said = said.map_or(String::new(), |output| {
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        let mut words = said.split([' ', '.']).map(str::parse::<u32>);
        words.find_map(Result::ok).is_some_and(|major| major >= 15)
    }

    /// Starts the server after `halt`.
    pub(crate) fn resume(&self) -> Result<(), String> {
        let settings = format!(
            "{SETTINGS} -c unix_socket_directories='{}' {}",
            self.folder.display(),
            self.settings
        );
        let mut start = self.program("pg_ctl");
        start.arg("-D").arg(self.folder.join("data"));
        start.arg("-l").arg(self.folder.join("log"));
        start.args(["-w", "-o", &settings, "start"]);
        succeed(&mut start)
    }

    /// Stops the server as a crash would: nothing is finished, nobody is told.
    pub(crate) fn halt(&self) -> Result<(), String> {
        let mut stop = self.program("pg_ctl");
        stop.arg("-D").arg(self.folder.join("data"));
        stop.args(["-m", "immediate", "-w", "stop"]);
        succeed(&mut stop)
    }

    /// Runs SQL as the server's master.
    pub(crate) async fn tamper(&self, sql: &str) {
        for one in sql.split("; ") {
            run(&self.url("postgres"), one).await;
        }
    }

    /// How the store is to be opened on the server's first database.
    pub(crate) fn options(&self) -> PostgresOptions {
        options(self.url("postgres"))
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.display();
        format!("postgres:///{database}?host={folder}&user=reconciled")
    }

    /// A program of the server's, run as who owns the folder, which is all it can see.
    fn program(&self, name: &str) -> Command {
        let mut command = as_user(&self.bin.join(name), self.user);
        command.current_dir(&self.folder);
        command
    }

    /// Another program, run as who owns the folder and apart from the run's own processes.
    pub(crate) fn beside_it(&self, program: &str) -> Command {
        let mut command = as_user(Path::new(program), self.user);
        command.process_group(0);
        command
    }

    fn guard(&self) -> Result<Child, String> {
        let mut guardian = self.beside_it("/bin/sh");
        guardian.args(["-c", GUARDIAN, "guardian"]);
        guardian.arg(&self.bin).arg(&self.folder);
        guardian.stdin(Stdio::piped());
        let spawned = guardian.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        spawned.map_err(|error| format!("no guardian for the server: {error}"))
    }

    async fn create(&self, schema: Schema) -> String {
        let admin = self.url("postgres");
        let template = match schema {
            Schema::None => "template1",
            Schema::Newest => "template_migrated",
            Schema::Partitioned => "template_partitioned",
        };
        let mut templates = self.making.lock().await;
        if schema != Schema::None && templates.insert(schema) {
            run(&admin, &format!("CREATE DATABASE {template}")).await;
            let store = PostgresStore::open(&options(self.url(template))).await;
            store.unwrap().close().await;
            if schema == Schema::Partitioned {
                run(&self.url(template), &partitioning()).await;
            }
        }
        let spent = std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner));
        for name in spent {
            run(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        drop(templates);
        self.create_as(&format!("TEMPLATE {template}")).await
    }

    async fn create_as(&self, how: &str) -> String {
        let one_by_one = self.making.lock().await;
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let made = format!("CREATE DATABASE {name} {how}");
        run(&self.url("postgres"), &made).await;
        drop(one_by_one);
        name
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            let ended = guardian.wait();
            assert!(ended.is_ok(), "the server's guardian: {ended:?}");
        }
    }
}

fn signal(name: &str, pid: i32) {
    let sent = Command::new("kill").arg(name).arg(pid.to_string()).status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "kill {name} {pid}"
    );
}

/// Ended, and nobody waits to hear how.
fn is_gone(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn succeed(command: &mut Command) -> Result<(), String> {
    // The server keeps what it was given at its start; a pipe would not end before it does.
    let log = tempfile::tempfile().map_err(|error| format!("no log: {error}"))?;
    let outputs = (log.try_clone(), log.try_clone());
    let (Ok(stdout), Ok(stderr)) = outputs else {
        return Err("no second handle of a log".to_owned());
    };
    let ended = command.stdout(stdout).stderr(stderr).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let mut said = String::new();
            let mut log = log;
            let read = std::io::Seek::rewind(&mut log)
                .and_then(|()| std::io::Read::read_to_string(&mut log, &mut said));
            Err(format!("{command:?}: {status} ({read:?})\n{said}"))
        }
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// The folder with the server's programs: the one named, or Debian's newest.
fn programs() -> Result<PathBuf, String> {
    let found = match std::env::var_os(BIN_VARIABLE) {
        Some(named) => Some(PathBuf::from(named)),
        None => fs::read_dir(DEBIAN).ok().and_then(|versions| {
            let versions = versions.filter_map(|entry| {
                let path = entry.ok()?.path();
                let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
                Some((number, path.join("bin")))
            });
            versions.max().map(|(_, bin)| bin)
        }),
    };
    let found = found.filter(|bin| bin.join("initdb").is_file());
    found.ok_or_else(|| {
        format!(
            "these tests need PostgreSQL's server programs (Debian: postgresql), in {DEBIAN} or in \
             the folder that {BIN_VARIABLE} names"
        )
    })
}

/// Nobody else when we are an ordinary user; the server's own user when we are root.
fn server_user() -> Result<Option<(u32, u32)>, String> {
    let told = |error: std::io::Error| format!("who are we: {error}");
    if fs::metadata("/proc/self").map_err(told)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(told)?;
    let ids = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_server = fields.next() == Some(SERVER_USER);
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        is_server.then_some((uid, gid))
    });
    let missing = || format!("the server does not run as root, and there is no {SERVER_USER} here");
    ids.map(Some).ok_or_else(missing)
}

/// Removes what runs left behind whose guardian was ended, too.
fn sweep(bin: &Path, user: Option<(u32, u32)>) {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        if is_stale(&name) {
            let mut stop = as_user(&bin.join("pg_ctl"), user);
            stop.current_dir("/")
                .arg("-D")
                .arg(entry.path().join("data"));
            stop.args(["-m", "immediate", "-w", "stop"]);
            // There is mostly nothing to stop, and a guardian may be at the same work; what stays in
            // spite of both is the next run's.
            drop(succeed(&mut stop));
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// The name tells the run, and that run is over.
fn is_stale(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    let run = name.and_then(|rest| rest.split('-').next());
    run.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}
