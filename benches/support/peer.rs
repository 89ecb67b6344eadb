//! The handlers that most teams would write, as they would run them, beside the daemon.
//!
//! Installed once, from their lock files, into the build's own folder.

use crate::running::{self, free_port, until_it_listens};
use crate::subject::PSP_SECRET;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const WORKERS: &str = "2";

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Express,
    FastApi,
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Peer {
    /// On this empty database.
    pub(crate) async fn start(kind: Kind, database: &str) -> Peer {
        let address = free_port().await;
        let port = address.port().to_string();
        let mut command = match kind {
            Kind::Express => {
                let mut command = Command::new("node");
                command.arg("server.js").current_dir(installed(kind));
                command
            }
            Kind::FastApi => {
                let folder = installed(kind);
                let mut command = Command::new(folder.join("venv/bin/uvicorn"));
                let how = ["app:app", "--host", "127.0.0.1", "--port", &port];
                command
                    .args(how)
                    .args(["--workers", WORKERS, "--log-level", "error"]);
                command.current_dir(folder);
                command
            }
        };
        let child = command
            .env("PORT", &port)
            .env("DATABASE_URL", socket_only(database))
            .env("WEBHOOK_SECRET", PSP_SECRET)
            .env("WORKERS", WORKERS)
            .env("NODE_ENV", "production")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until_it_listens(address).await;
        // Somebody listens once the first of the workers does.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        Peer { address, child }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stop(self) {
        running::stop(self.child);
    }
}

/// The same database with nothing but its socket in its address: one of the drivers asks a host in
/// the address first.
fn socket_only(database: &str) -> String {
    format!(
        "{}&user=measured",
        database.replace("measured@localhost", "")
    )
}

/// Where the peer stands with its libraries, which are fetched the first time.
fn installed(kind: Kind) -> PathBuf {
    let name = match kind {
        Kind::Express => "express",
        Kind::FastApi => "fastapi",
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    std::fs::create_dir_all(&folder).unwrap();
    run(Command::new("cp")
        .arg("-r")
        .arg(source.join(name))
        .arg(&folder));
    let folder = folder.join(name);
    match kind {
        Kind::Express if !folder.join("node_modules").exists() => {
            let words = ["ci", "--no-audit", "--no-fund"];
            run(Command::new("npm").args(words).current_dir(&folder));
        }
        Kind::FastApi if !folder.join("venv/bin/uvicorn").exists() => {
            let words = ["-m", "venv", "venv"];
            run(Command::new("python3").args(words).current_dir(&folder));
            let words = ["install", "--quiet", "-r", "requirements.txt"];
            run(Command::new(folder.join("venv/bin/pip"))
                .args(words)
                .current_dir(&folder));
        }
        Kind::Express | Kind::FastApi => {}
    }
    folder
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    let ended = status.expect("node, npm and python3 with venv must be installed here");
    assert!(ended.success(), "{command:?}: {ended}");
}
