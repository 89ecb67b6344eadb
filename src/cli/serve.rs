//! `reconciled serve`: the daemon.
//!
//! Starts the log, reads the configuration and hands over to the app.

use crate::app;
use crate::config::{Config, Surroundings};
use crate::telemetry::logs::{self, LogForm};
use std::path::Path;
use std::process::ExitCode;

/// Runs the daemon until it is told to stop.
pub async fn run(path: &Path, inherited: app::Sockets) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings::of_process();
    let filter = surroundings.text("RUST_LOG");
    logs::start(LogForm::for_stderr(), filter.as_deref())?;
    let config = Config::load(path, &surroundings)?;
    app::serve(path, config, inherited).await?;
    Ok(ExitCode::SUCCESS)
}
