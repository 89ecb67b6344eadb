//! `reconciled audit`: proves the books of a store, also while the daemon runs.
//!
//! Opens the store for reading only.

use super::client::EXIT_NO;
use crate::audit;
use crate::config::{Config, StoreUrl, Surroundings};
use crate::store::sqlite::SqliteStore;
use anyhow::Context;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The arguments of `reconciled audit`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Reads the whole store. Exit 0 when the books are whole, 1 when something differs.
pub async fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(path, &Surroundings::of_process())?;
    let StoreUrl::Sqlite { path } = &config.store;
    let store = SqliteStore::open_readonly(path).await;
    let store = store.with_context(|| format!("cannot read the store {}", config.store))?;
    let report = audit::run(&store).await?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{}", report.text())?;
    }
    let code = if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    };
    Ok(code)
}
