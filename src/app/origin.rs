//! Where the store came up before: notices one that was moved, copied or restored from an older
//! copy. An SQLite store is where its file is, a database where its server says it is, whoever of
//! several daemons starts on it.
//!
//! A copy that runs beside its original sees the same payments and other orders, so until an
//! operator has looked it refunds nothing. A restored store needs nobody: sweeps come first at
//! every start, and refunds of the lost time are found at the PSP by their marks.

use super::storage;
use crate::config::{Config, StoreConfig};
use crate::core::fact::BrakeCause;
use crate::core::time::Time;
use crate::http::health::{Health, Part};
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's own name for this installation; missing in many containers.
const MACHINE_ID: &str = "/etc/machine-id";

/// What was found at the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    remark: Option<String>,
}

#[async_trait]
impl Part for Origin {
    fn name(&self) -> &'static str {
        "origin"
    }

    async fn health(&self) -> Health {
        match &self.remark {
            None => Health::Fine,
            Some(remark) => Health::Warning(remark.clone()),
        }
    }
}

/// Notes this start in the store and beside it, and brakes every shop when the store was started
/// elsewhere before.
pub(super) async fn note(
    config: &Config,
    store: &dyn Store,
    now: Time,
) -> Result<Origin, StoreError> {
    let (home, counter) = match &config.store {
        StoreConfig::Sqlite { path } => {
            let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
            (home(machine.trim(), path), Some(counter(path)))
        }
        StoreConfig::Postgres(named) => (storage::place(named).await?.home, None),
    };
    let stamp = store.stamp(&home, now).await?;
    let counted = counter.and_then(|counter| count(&counter, stamp.generation));
    if stamp.before.is_some_and(|before| before != home) {
        for shop in config.shops.keys() {
            if store.shop(shop).await?.brake.is_none() {
                let brake = (BrakeCause::StoreMoved, now);
                store.set_brake(shop, Some(brake)).await?;
            }
        }
        let remark = "the store was started elsewhere before; refunds wait until an operator has \
                      made sure that no other daemon runs on a copy of it";
        tracing::error!("{remark}");
        return Ok(Origin {
            remark: Some(remark.to_owned()),
        });
    }
    if let Some(counted) = counted.filter(|counted| *counted >= stamp.generation) {
        let remark = format!(
            "the store is older than its last start (start {} of {counted}): restored from a copy; \
             sweeps come first, and refunds made since are found at the PSP",
            stamp.generation
        );
        tracing::warn!("{remark}");
        return Ok(Origin {
            remark: Some(remark),
        });
    }
    Ok(Origin::default())
}

/// Notes a start beside the store; gives the one that was noted before.
fn count(counter: &Path, generation: u64) -> Option<u64> {
    let counted = std::fs::read_to_string(counter).ok();
    if let Err(error) = std::fs::write(counter, format!("{generation}\n")) {
        tracing::warn!(%error, "the start could not be noted beside the store");
    }
    counted.and_then(|text| text.trim().parse().ok())
}

/// The same word at every start in the same place: this installation, this file.
fn home(machine: &str, path: &Path) -> String {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut digest = Sha256::new();
    digest.update(machine.as_bytes());
    digest.update(b"|");
    digest.update(path.as_os_str().as_encoded_bytes());
    hex::encode(digest.finalize()).chars().take(32).collect()
}

/// The file that counts starts beside the store.
fn counter(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".starts");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_the_installation_and_the_file_together() {
        let here = home("m1", Path::new("/nowhere/a.db"));
        assert_eq!(here, home("m1", Path::new("/nowhere/a.db")));
        assert_ne!(here, home("m2", Path::new("/nowhere/a.db")));
        assert_ne!(here, home("m1", Path::new("/nowhere/b.db")));
        assert_eq!(here.len(), 32);
    }
}
