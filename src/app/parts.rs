//! What the daemon's readiness is made of.
//!
//! A PSP's or a shop's outage is none of it: restarting the daemon would not mend it.

use super::Daemon;
use crate::config::{Config, StoreConfig};
use crate::http::health::{DiskSpace, IntakeQueue, Part, Readiness, StoreSchema, StoreWrite};
use crate::http::intake::Intake;

/// Free space below which somebody should know, in bytes.
const DISK_WARN_BELOW: u64 = 1024 * 1024 * 1024;
/// Free space below which the daemon is not ready, in bytes.
const DISK_FAIL_BELOW: u64 = 32 * 1024 * 1024;

pub(super) fn readiness(daemon: &Daemon, config: &Config, intake: Intake) -> Readiness {
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(StoreWrite {
            store: daemon.store.clone(),
            clock: daemon.clock.clone(),
        }),
        Box::new(StoreSchema {
            store: daemon.store.clone(),
            clock: daemon.clock.clone(),
        }),
        Box::new(IntakeQueue(intake)),
        Box::new(daemon.reload_note.clone()),
        Box::new(daemon.origin.clone()),
    ];
    match &config.store {
        // Its disk is its server's.
        StoreConfig::Postgres(_) => {}
        StoreConfig::Sqlite { path } => {
            if let Some(directory) = path.parent() {
                parts.push(Box::new(DiskSpace {
                    directory: directory.to_owned(),
                    warn_below_bytes: DISK_WARN_BELOW,
                    fail_below_bytes: DISK_FAIL_BELOW,
                }));
            }
        }
    }
    Readiness::new(parts)
}
