//! A PostgreSQL server for one measuring, in a throw-away folder, with syncing on.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const DEBIAN: &str = "/usr/lib/postgresql";
/// Who runs the server when the measuring is root's, as whom it refuses to run.
const USER: &str = "postgres";
const SETTINGS: &str = "-c listen_addresses='' -c shared_buffers=256MB -c max_wal_size=3GB \
                        -c min_wal_size=3GB -c max_connections=200";
/// As much log as the server keeps files for, and some more.
const LOG_FILLED: &str = "SELECT count(pg_logical_emit_message(false, 'measured', \
                          repeat('x', 1000000))) FROM generate_series(1, 3300)";

pub(crate) struct Server {
    bin: PathBuf,
    user: Option<(u32, u32)>,
    folder: tempfile::TempDir,
    databases: AtomicU32,
}

impl Server {
    pub(crate) fn start() -> Server {
        let server = Server {
            bin: programs(),
            user: server_user(),
            folder: tempfile::tempdir().unwrap(),
            databases: AtomicU32::new(0),
        };
        if let Some((user, group)) = server.user {
            chown(server.folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "measured", "-A", "trust"]);
        let settings = format!("{SETTINGS} -k {}", server.folder.path().display());
        let log = format!("{}/log", server.folder.path().display());
        server.run(
            "pg_ctl",
            &["-D", &data, "-w", "-l", &log, "-o", &settings, "start"],
        );
        // As one that has been at work: the files of its log are there and are written over. Each new
        // one would stop everybody until it is filled and synced.
        server.tell(LOG_FILLED);
        server.tell("CHECKPOINT");
        server
    }

    fn data(&self) -> String {
        format!("{}/data", self.folder.path().display())
    }

    /// A new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!(
            "measured_{}",
            self.databases.fetch_add(1, Ordering::Relaxed)
        );
        let folder = self.folder.path().to_str().unwrap();
        self.run("createdb", &["-h", folder, "-U", "measured", &name]);
        format!("postgres://measured@localhost/{name}?host={folder}")
    }

    /// Drops every database that was made here and leaves nothing to be written back: what is measured
    /// next does not pay for what was measured before.
    pub(crate) fn clear(&self) {
        let made = self.databases.load(Ordering::Relaxed);
        for number in 0..made {
            let name = format!("measured_{number}");
            self.tell(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
        self.tell("CHECKPOINT");
    }

    fn tell(&self, statement: &str) {
        let folder = self.folder.path().display().to_string();
        let psql = [
            "-h", &folder, "-U", "measured", "-d", "postgres", "-qc", statement,
        ];
        self.run("psql", &psql);
    }

    /// The process that all others of the server come from.
    pub(crate) fn process(&self) -> u32 {
        let text = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-m", "immediate", "-w", "stop"],
        );
    }
}

/// The newest server's programs.
fn programs() -> PathBuf {
    let found = std::fs::read_dir(DEBIAN).into_iter().flatten();
    let mut versions: Vec<PathBuf> = found
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions
        .pop()
        .expect("no PostgreSQL server here: install Debian's package postgresql")
}

fn server_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find(|line| line.starts_with(&format!("{USER}:")))
        .expect("no user postgres here");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
