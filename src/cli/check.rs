//! `reconciled check`: validates the configuration and shows what would run.
//!
//! Touches nothing: no store, no network.

use super::EXIT_CONFIG;
use crate::config::{Config, Surroundings, check};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The arguments of `reconciled check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Checks the file. Exit 0, or 78 with every problem listed.
pub fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    match Config::load(path, &Surroundings::of_process()) {
        Ok(config) if args.json => writeln!(out, "{:#}", check::json(&config))?,
        Ok(config) => write!(out, "{}", check::text(&config))?,
        Err(errors) => {
            if args.json {
                writeln!(out, "{:#}", errors.json())?;
            } else {
                writeln!(std::io::stderr(), "{errors}")?;
            }
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    }
    Ok(ExitCode::SUCCESS)
}
