//! `reconciled audit`: proves the books of a store, also while the daemon runs.
//!
//! Opens the store for reading only.

use super::client::EXIT_NO;
use crate::app;
use crate::audit::day::Day;
use crate::audit::{self, statement};
use crate::clock::Clock;
use crate::config::{Config, Surroundings};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The arguments of `reconciled audit`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The closing statement of a UTC day per shop and currency, instead of the whole proof; the
    /// last day that has closed unless --day names one
    #[arg(long)]
    pub statement: bool,
    /// The day of the statement, such as 2026-11-20
    #[arg(long, value_name = "YYYY-MM-DD", requires = "statement", value_parser = day)]
    pub day: Option<Day>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

fn day(text: &str) -> Result<Day, String> {
    let begun = Day::parse(text).filter(|day| day.begins() <= Clock::System.now());
    begun.ok_or_else(|| "write a day that has begun, such as 2026-11-20".to_owned())
}

/// Reads the whole store, or a day of it. Exit 0 when the books are whole, 1 when something differs.
pub async fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(path, &Surroundings::of_process())?;
    let store = app::open_readonly(&config.store).await?;
    let (is_clean, json, text) = if args.statement {
        let now = Clock::System.now();
        let day = args.day.unwrap_or(Day::last_closed(now));
        let made = statement::of_day(store.as_ref(), day, None, now).await?;
        (
            made.is_clean(),
            serde_json::to_string_pretty(&made)?,
            made.text(),
        )
    } else {
        let report = audit::run_on_all_processors(store.as_ref()).await?;
        let json = serde_json::to_string_pretty(&report)?;
        (report.is_clean(), json, report.text())
    };
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{json}")?;
    } else {
        write!(out, "{text}")?;
    }
    let code = if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    };
    Ok(code)
}
