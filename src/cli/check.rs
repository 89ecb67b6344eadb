//! `reconciled check`: validates the configuration and shows what would run.
//!
//! Touches nothing: no store and, without `--online`, no network.

mod online;

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
    /// Also ask each PSP whether the key works, has the rights needed and is of the mode
    /// configured; changes nothing there
    #[arg(long)]
    pub online: bool,
}

/// Checks the file and, where asked for, the accounts. Exit 0, 78 with every problem of the file
/// listed, 1 when a PSP said no, 69 when one could not be asked.
pub async fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let config = match Config::load(path, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(errors) => {
            if args.json {
                writeln!(out, "{:#}", errors.json())?;
            } else {
                writeln!(std::io::stderr(), "{errors}")?;
            }
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let asked = match args.online {
        true => Some(online::ask(&config).await?),
        false => None,
    };
    if args.json {
        let mut shown = check::json(&config);
        if let (Some(asked), Some(fields)) = (&asked, shown.as_object_mut()) {
            fields.insert("online".to_owned(), online::json(asked));
        }
        writeln!(out, "{shown:#}")?;
    } else {
        write!(out, "{}", check::text(&config))?;
        if let Some(asked) = &asked {
            write!(out, "\n{}", online::text(asked))?;
        }
    }
    Ok(asked.map_or(ExitCode::SUCCESS, |asked| {
        ExitCode::from(online::exit_code(&asked))
    }))
}
