//! Asks again after a pause until an answer is as wanted, and runs the program's commands.
//!
//! The one place where a test waits for a foreign process. Knows the command line and the admin
//! listener, nothing of what a command is for.

use super::Rig;
use reconciled::wire::Method;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const PAUSE: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(20);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it wrote to stdout, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program to its end.
pub(crate) async fn reconciled(words: &[&str], env: &[(&str, &str)]) -> Said {
    let running = Command::new(env!("CARGO_BIN_EXE_reconciled"))
        .args(words)
        .env_remove("RECONCILED_CONFIG")
        .env_remove("RECONCILED_TOKEN")
        .env_remove("RUST_LOG")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(PATIENCE, running).await;
    let output = ended
        .unwrap_or_else(|_| panic!("{words:?} did not end"))
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// As `reconciled`, with this configuration.
pub(crate) async fn with_config(config: &Path, words: &[&str]) -> Said {
    let config = config.to_str().unwrap();
    let words: Vec<&str> = [&["--config", config], words].concat();
    reconciled(&words, &[]).await
}

impl Rig {
    /// Runs a command with the daemon's own configuration.
    pub(crate) async fn command(&self, words: &[&str]) -> Said {
        with_config(&self.config_path(), words).await
    }

    /// Waits until a page of the admin listener is as wanted, and gives it.
    pub(crate) async fn until_page(&self, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        let asking = async {
            loop {
                let answer = self.admin_call(Method::Get, path, b"").await.unwrap();
                seen = String::from_utf8(answer.body).unwrap();
                if wanted(&seen) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            panic!("waited for {path}, last seen: {seen}");
        }
        seen
    }
}
