//! `reconciled migrate`: brings the store's schema up to date, and says from what to what.
//!
//! The daemon does the same at its start; this is for doing it before, and apart.

use crate::app;
use crate::config::{Config, Surroundings};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Migrates. Exit 0 when the schema is the newest, 69 when the store cannot be opened or a newer
/// program wrote it.
pub async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(path, &Surroundings::of_process())?;
    let before = app::schema(&config.store).await?.unwrap_or(0);
    app::open_store(&config.store).await?.close().await;
    let after = app::schema(&config.store).await?.unwrap_or(0);
    let said = if before == after {
        format!("{}: schema {after}, nothing to do", config.store)
    } else {
        format!("{}: schema {before} is now {after}", config.store)
    };
    writeln!(std::io::stdout(), "{said}")?;
    Ok(ExitCode::SUCCESS)
}
