//! The daemon as a child process, and its log.
//!
//! Ends only what it started, by its own process id. Knows the command line and the signals, and
//! that the log has one JSON object a line.

use super::{ASK_EVERY, READY_MAX, RigError};
use crate::sandbox::client;
use crate::wire::{Headers, Method};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Command;

/// Lines of the log that are shown when something went wrong.
const TAIL_LINES: usize = 12;

/// How a daemon ended after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In time, with this status.
    With(ExitStatus),
    /// Not in time; it was killed.
    Killed,
    /// There was none.
    WasNotRunning,
}

pub(super) struct Child {
    process: Mutex<tokio::process::Child>,
    log: PathBuf,
    id: u32,
}

impl Child {
    pub(super) fn start(
        program: &Path,
        config: &Path,
        log: &Path,
        env: &BTreeMap<String, String>,
    ) -> Result<Child, RigError> {
        let opening = || RigError::io(format!("opening {}", log.display()));
        let mut options = std::fs::OpenOptions::new();
        let out = options
            .create(true)
            .append(true)
            .open(log)
            .map_err(opening())?;
        let err = out.try_clone().map_err(opening())?;
        let process = Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .envs(env)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .map_err(RigError::io(format!("starting {}", program.display())))?;
        let id = process.id().unwrap_or_default();
        Ok(Child {
            process: Mutex::new(process),
            log: log.to_owned(),
            id,
        })
    }

    /// Waits until its admin listener says that it is ready.
    pub(super) async fn until_ready(&self, admin: SocketAddr) -> Result<(), RigError> {
        let ready = tokio::time::timeout(READY_MAX, async {
            loop {
                self.check_alive()?;
                let path = "/readyz";
                let answer = client::call(admin, Method::Get, path, &Headers::new(), b"").await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return Ok(());
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        });
        let late = |_| RigError::Waited {
            what: "the daemon to be ready".to_owned(),
            waited: READY_MAX,
            seen: "not ready".to_owned(),
            tail: tail(&self.log),
        };
        ready.await.map_err(late)?
    }

    pub(super) fn check_alive(&self) -> Result<(), RigError> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = process
            .try_wait()
            .map_err(RigError::io("looking after the daemon"))?;
        match ended {
            None => Ok(()),
            Some(status) => Err(RigError::Died {
                status: status.to_string(),
                log: self.log.clone(),
                tail: tail(&self.log),
            }),
        }
    }

    pub(super) async fn kill9(self) -> Result<(), RigError> {
        let mut process = self
            .process
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        process
            .kill()
            .await
            .map_err(RigError::io("killing the daemon"))
    }

    pub(super) async fn signal(&self, name: &str) -> Result<(), RigError> {
        // The shell's own `kill` is on every system that has signals.
        let script = format!("kill -{name} {}", self.id);
        let sent = Command::new("sh").arg("-c").arg(script).status().await;
        let sent = sent.map_err(RigError::io(format!("sending SIG{name} to the daemon")))?;
        if sent.success() {
            return Ok(());
        }
        self.check_alive()
    }

    pub(super) async fn sigterm(self, limit: Duration) -> Result<Ended, RigError> {
        self.check_alive()?;
        self.signal("TERM").await?;
        let mut process = self
            .process
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match tokio::time::timeout(limit, process.wait()).await {
            Ok(status) => status
                .map(Ended::With)
                .map_err(RigError::io("waiting for the daemon to end")),
            Err(_) => {
                let killed = process.kill().await;
                killed.map_err(RigError::io("killing the daemon"))?;
                Ok(Ended::Killed)
            }
        }
    }
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    lines.get(start..).unwrap_or_default().join("\n")
}

#[derive(Deserialize)]
struct LogLine {
    level: String,
}

/// The lines of a log that say ERROR, and panics.
pub(super) fn errors_in(log: &Path) -> Result<Vec<String>, RigError> {
    let text = match std::fs::read(log) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RigError::io(format!("reading {}", log.display()))(error)),
    };
    let text = String::from_utf8_lossy(&text);
    let is_error = |line: &&str| {
        let read = serde_json::from_str::<LogLine>(line);
        read.map_or_else(
            |_| line.contains("panicked at"),
            |line| line.level.eq_ignore_ascii_case("error"),
        )
    };
    Ok(text.lines().filter(is_error).map(str::to_owned).collect())
}
