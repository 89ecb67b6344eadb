//! The command line: which commands there are, and which exit code each end becomes.
//!
//! The edge of the house: here errors become sentences and exit codes. Knows no rule of the
//! trade; each command stands in a file of its own.

pub mod audit;
pub mod check;
pub mod checkouts;
pub mod client;
pub mod copy;
pub mod demo;
pub mod import;
pub mod migrate;
pub mod replay;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod sweep;

use crate::config::{Config, ConfigErrors, Listen, Surroundings};
use crate::lifecycle;
use clap::{Parser, Subcommand};
use client::{Address, Client, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE};
use secrecy::SecretString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code: the configuration cannot be used.
pub const EXIT_CONFIG: u8 = 78;
/// Where the configuration is when nothing else is said.
pub const CONFIG_PATH: &str = "/etc/reconciled/reconciled.toml";

/// Sees to it that no customer is charged without an order.
#[derive(Debug, Parser)]
#[command(name = "reconciled", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration file
    #[arg(long, global = true, value_name = "PATH", default_value = CONFIG_PATH, env = "RECONCILED_CONFIG")]
    pub config: PathBuf,
    /// Where the admin listener is (127.0.0.1:8481 or unix:/path), for commands that ask the
    /// daemon; as configured when not given
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub admin: Option<Address>,
    /// Environment variable that holds the admin token, for commands that ask the daemon
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "RECONCILED_TOKEN"
    )]
    pub token_env: String,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve,
    /// Check the configuration and show what would run; touches nothing. With --online also ask
    /// the PSPs about their keys
    Check(check::Args),
    /// Play real trouble between the real daemon, a sandbox PSP and a sandbox shop
    Demo(demo::Args),
    /// Is anyone out of pocket? The on-call view
    Status(status::StatusArgs),
    /// List, show or rule on checkouts
    Checkouts(checkouts::CheckoutsArgs),
    /// Ask the PSPs for payments now
    Sweep(sweep::Args),
    /// Take in a PSP's report file, for payments whose webhooks never came (docs/psp/adyen.md)
    Import(import::Args),
    /// Bring the store's schema up to date; the daemon does so at its start, too
    Migrate,
    /// Copy a whole store from SQLite to PostgreSQL or back, and prove that both are equal
    Copy(copy::Args),
    /// Prove the books: chains, states and sums
    Audit(audit::Args),
    /// Play seeds of trouble against the daemon's own code (docs/simulation.md)
    #[command(hide = true)]
    Simulate(simulate::Args),
    /// Decide the recorded history again under another policy and list what would differ; touches
    /// nothing
    Replay(replay::Args),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_answer = !error.use_stderr();
            if error.print().is_err() {
                return ExitCode::FAILURE;
            }
            return ExitCode::from(if is_answer { EXIT_OK } else { EXIT_USAGE });
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Check(args) => runtime()?.block_on(check::run(args, &cli.config)),
        Command::Demo(args) => demo::run(args.clone()),
        Command::Serve => {
            let inherited = lifecycle::inherited_sockets()?;
            runtime()?.block_on(serve::run(&cli.config, inherited))
        }
        Command::Simulate(args) => simulate::run(args),
        Command::Migrate => runtime()?.block_on(migrate::run(&cli.config)),
        Command::Copy(args) => runtime()?.block_on(copy::run(args)),
        Command::Audit(args) => runtime()?.block_on(audit::run(args, &cli.config)),
        Command::Replay(args) => runtime()?.block_on(replay::run(args, &cli.config)),
        Command::Status(args) => {
            let client = client_of(&cli)?;
            let mut out = std::io::stdout();
            let run = status::run(args, &client, &mut out);
            Ok(ended(runtime()?.block_on(run)))
        }
        Command::Checkouts(args) => {
            let client = client_of(&cli)?;
            let mut out = std::io::stdout();
            let run = checkouts::run(args, &client, &mut out);
            Ok(ended(runtime()?.block_on(run)))
        }
        Command::Sweep(args) => {
            let client = client_of(&cli)?;
            let mut out = std::io::stdout();
            let run = sweep::run(args, &client, &mut out);
            Ok(ended(runtime()?.block_on(run)))
        }
        Command::Import(args) => {
            let client = client_of(&cli)?;
            let mut out = std::io::stdout();
            let run = import::run(args, &client, &mut out);
            Ok(ended(runtime()?.block_on(run)))
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

fn ended(result: Result<u8, status::CommandError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    let code = match error.downcast_ref::<ConfigErrors>() {
        Some(_) => EXIT_CONFIG,
        None => EXIT_UNREACHABLE,
    };
    ExitCode::from(code)
}

/// Says on stderr why the program ends; there is nowhere else to say it.
fn complain(why: &str) {
    let written = writeln!(std::io::stderr(), "reconciled: {why}");
    if written.is_err() {
        tracing::debug!("stderr is closed");
    }
}

/// The client for the running daemon: at the address given, or where the configuration says.
fn client_of(cli: &Cli) -> anyhow::Result<Client> {
    let surroundings = Surroundings::of_process();
    let address = match &cli.admin {
        Some(address) => address.clone(),
        None => match Config::load(&cli.config, &surroundings)?.server.admin {
            Listen::Tcp(address) => Address::Tcp(address.to_string()),
            Listen::Unix(path) => Address::Unix(path),
        },
    };
    let token = surroundings.text(&cli.token_env).map(SecretString::from);
    Ok(Client::new(address, token))
}
