//! Liveness and readiness: `/healthz` says that the process answers, `/readyz` whether the
//! daemon can do its work, part by part.
//!
//! Knows no part but the store and the disk; the others register themselves. A PSP's or a
//! shop's outage makes nothing red here: restarting us would not mend it.

use super::admin::AdminState;
use super::admin::access::Caller;
use super::admin::format;
use super::intake::Intake;
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long one part may take to answer before it counts as failing.
const PART_TIMEOUT: Duration = Duration::from_secs(2);

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Fine,
    /// It works, and somebody should know this.
    Warning(String),
    /// It does not work, so the daemon is not ready.
    Failing(String),
}

/// One part of readiness.
#[async_trait]
pub trait Part: Send + Sync + 'static {
    /// Its stable name.
    fn name(&self) -> &'static str;

    /// How it is now.
    async fn health(&self) -> Health;
}

/// Everything that readiness is made of.
pub struct Readiness {
    parts: Vec<Box<dyn Part>>,
    part_timeout: Duration,
}

/// One part's line in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Its name.
    pub name: &'static str,
    /// `ok`, `warning` or `failing`.
    pub state: &'static str,
    /// What is wrong; only for callers who were let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Serialize)]
struct ReadyAnswer {
    ready: bool,
    failing: Vec<&'static str>,
    parts: Vec<PartReport>,
}

impl Readiness {
    /// Readiness of these parts.
    pub fn new(parts: Vec<Box<dyn Part>>) -> Readiness {
        Readiness {
            parts,
            part_timeout: PART_TIMEOUT,
        }
    }

    /// With another time limit per part.
    #[must_use]
    pub fn within(mut self, part_timeout: Duration) -> Readiness {
        self.part_timeout = part_timeout;
        self
    }

    /// Asks every part at once.
    pub async fn report(&self) -> Vec<PartReport> {
        let asked = self.parts.iter().map(|part| async {
            let health = tokio::time::timeout(self.part_timeout, part.health())
                .await
                .unwrap_or_else(|_| Health::Failing("no answer in time".to_owned()));
            report(part.name(), health)
        });
        futures_util::future::join_all(asked).await
    }
}

fn report(name: &'static str, health: Health) -> PartReport {
    let (state, detail) = match health {
        Health::Fine => ("ok", None),
        Health::Warning(detail) => ("warning", Some(detail)),
        Health::Failing(detail) => ("failing", Some(detail)),
    };
    PartReport {
        name,
        state,
        detail,
    }
}

/// `GET /healthz`
pub async fn healthz() -> Response {
    format::text("ok\n".to_owned())
}

/// `GET /readyz`: 200, or 503 with the failing parts named. Details only for callers who may
/// read.
pub async fn readyz(
    State(state): State<AdminState>,
    caller: Option<Extension<Caller>>,
) -> Response {
    let mut parts = state.readiness.report().await;
    if caller.is_none() {
        for part in &mut parts {
            part.detail = None;
        }
    }
    let failing: Vec<&'static str> = parts
        .iter()
        .filter(|part| part.state == "failing")
        .map(|part| part.name)
        .collect();
    let ready = failing.is_empty();
    let mut response = format::json(&ReadyAnswer {
        ready,
        failing,
        parts,
    });
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// The store takes a write and gives it back.
pub struct StoreWrite {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
}

#[async_trait]
impl Part for StoreWrite {
    fn name(&self) -> &'static str {
        "store"
    }

    async fn health(&self) -> Health {
        match self.store.probe(self.clock.now()).await {
            Ok(()) | Err(StoreError::Schema(_)) => Health::Fine,
            Err(error) => Health::Failing(error.to_string()),
        }
    }
}

/// The store's schema is the one this program knows.
pub struct StoreSchema {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
}

#[async_trait]
impl Part for StoreSchema {
    fn name(&self) -> &'static str {
        "schema"
    }

    async fn health(&self) -> Health {
        match self.store.probe(self.clock.now()).await {
            Err(StoreError::Schema(detail)) => Health::Failing(detail),
            Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Corrupt { .. }) => Health::Fine,
        }
    }
}

/// The intake takes deliveries: its queue has room.
pub struct IntakeQueue(pub Intake);

#[async_trait]
impl Part for IntakeQueue {
    fn name(&self) -> &'static str {
        "intake_queue"
    }

    async fn health(&self) -> Health {
        let (waiting, bound) = self.0.waiting();
        if waiting < bound {
            Health::Fine
        } else {
            Health::Failing(format!(
                "{waiting} deliveries wait for the store, the bound is {bound}"
            ))
        }
    }
}

/// What became of the latest reload of the configuration. A refused file keeps the running
/// configuration, so it is a warning and no failure.
#[derive(Clone, Debug, Default)]
pub struct ReloadNote(Arc<ArcSwapOption<String>>);

impl ReloadNote {
    /// The latest reload was refused, and why.
    pub fn refused(&self, why: String) {
        self.0.store(Some(Arc::new(why)));
    }

    /// The latest reload was taken.
    pub fn taken(&self) {
        self.0.store(None);
    }
}

#[async_trait]
impl Part for ReloadNote {
    fn name(&self) -> &'static str {
        "config"
    }

    async fn health(&self) -> Health {
        match self.0.load_full() {
            None => Health::Fine,
            Some(why) => Health::Warning(format!("the latest reload was refused: {why}")),
        }
    }
}

/// The file system of the store has room.
pub struct DiskSpace {
    /// A directory on it.
    pub directory: PathBuf,
    /// Below so many free bytes it is a warning.
    pub warn_below_bytes: u64,
    /// Below so many free bytes it fails.
    pub fail_below_bytes: u64,
}

#[async_trait]
impl Part for DiskSpace {
    fn name(&self) -> &'static str {
        "disk"
    }

    async fn health(&self) -> Health {
        let stat = match rustix::fs::statvfs(&self.directory) {
            Ok(stat) => stat,
            Err(error) => return Health::Failing(format!("cannot be asked: {error}")),
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let detail = format!("{} MiB free", free.checked_div(1 << 20).unwrap_or(0));
        if free < self.fail_below_bytes {
            Health::Failing(detail)
        } else if free < self.warn_below_bytes {
            Health::Warning(detail)
        } else {
            Health::Fine
        }
    }
}
