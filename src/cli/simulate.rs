//! `reconciled simulate`: plays seeds against the daemon's own code, for its developers.
//!
//! Prints what was found and, for each failure, one command that plays it again.

use super::client::EXIT_NO;
use crate::clock::Clock;
use crate::simulation::hazard::{Cut, Hazard};
use crate::simulation::ledger::Failure;
use crate::simulation::run::{self, Found, Wanted};
use crate::simulation::{play, shrink};
use anyhow::Context;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::str::FromStr;

/// The arguments of `reconciled simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which seeds: A..B, without B
    #[arg(long, value_name = "A..B", default_value = "0..1000")]
    pub seeds: Seeds,
    /// Checkouts in each run
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub checkouts: usize,
    /// Only these checkouts of a run, by number
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub only: Vec<usize>,
    /// Without these kinds of trouble
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',', value_parser = kind)]
    pub without: Vec<Hazard>,
    /// Only the first strikes of trouble
    #[arg(long, value_name = "N")]
    pub strikes_max: Option<u32>,
    /// Threads; as many as there are processors when not given
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Stops after so many failing seeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub failures_max: usize,
    /// Shows what happens, line by line
    #[arg(long)]
    pub trace: bool,
    /// Leaves failing runs as large as they are
    #[arg(long)]
    pub no_shrink: bool,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// What is left away.
    pub fn cut(&self) -> Cut {
        let only = self.only.iter().copied().collect::<BTreeSet<_>>();
        Cut {
            only: Some(only).filter(|only| !only.is_empty()),
            without: self.without.iter().copied().collect(),
            strikes_max: self.strikes_max,
        }
    }
}

/// The command that plays one run again and shows what happens.
pub fn command(seed: u64, checkouts: usize, cut: &Cut) -> String {
    let next = seed.saturating_add(1);
    let options = cut.options();
    format!("reconciled simulate --trace --seeds {seed}..{next} --checkouts {checkouts}{options}")
}

/// A range of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let wrong = || "two numbers with `..` between them, such as 0..1000".to_owned();
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let from = from.parse().map_err(|_| wrong())?;
        let to = to.parse().map_err(|_| wrong())?;
        Ok(Seeds(from..to))
    }
}

fn kind(word: &str) -> Result<Hazard, String> {
    Hazard::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Hazard::ALL.iter().map(|one| one.code()).collect();
        format!("accepted: {}", known.join(", "))
    })
}

/// Plays the seeds. Exit 0 when every promise was kept, 1 when one was broken.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cut = args.cut();
    let mut out = std::io::stdout();
    if args.trace {
        for seed in args.seeds.0.clone() {
            let ended = play(seed, args.checkouts, &cut, true)?;
            write!(out, "seed {seed}\n{}", ended.trace)?;
            for failure in &ended.failures {
                writeln!(out, "BROKEN {}", words(failure))?;
            }
        }
    }
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = Wanted {
        seeds: args.seeds.0.clone(),
        checkouts: args.checkouts,
        cut,
        threads: args.threads.unwrap_or_else(processors),
        failures_max: args.failures_max.max(1),
    };
    let begun = Clock::System.now();
    let found = run::run(&wanted)?;
    let took = Clock::System.now().since(begun);
    let millis = took.micros().checked_div(1_000).unwrap_or(0).max(1);
    let speed = found
        .runs
        .saturating_mul(1_000)
        .checked_div(millis)
        .unwrap_or(0);
    if args.json {
        let report = report(&found, speed, millis);
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        tell(&mut out, args, &wanted, &found)?;
        writeln!(
            out,
            "{} runs, {} checkouts, {} failing, {millis} ms, {speed} seeds/s",
            found.runs,
            found.checkouts,
            found.failed.len()
        )?;
    }
    Ok(if found.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    })
}

fn words(failure: &Failure) -> String {
    format!("{} ({}): {}", failure.rule, failure.about, failure.detail)
}

fn report(found: &Found, speed: u64, millis: u64) -> serde_json::Value {
    let struck = found.struck.iter();
    let struck: serde_json::Map<_, _> = struck
        .map(|(hazard, count)| (hazard.code().to_owned(), json!(count)))
        .collect();
    let failed = found.failed.iter().map(|(seed, failures)| {
        let failures: Vec<_> = failures
            .iter()
            .map(|one| json!({"rule": one.rule, "about": one.about, "detail": one.detail}))
            .collect();
        json!({"seed": seed, "failures": failures})
    });
    json!({
        "runs": found.runs, "checkouts": found.checkouts, "took_ms": millis,
        "seeds_per_second": speed, "strikes": struck, "failed": failed.collect::<Vec<_>>(),
    })
}

fn tell(out: &mut impl Write, args: &Args, wanted: &Wanted, found: &Found) -> anyhow::Result<()> {
    for (hazard, count) in &found.struck {
        writeln!(out, "{:>9} {}", count, hazard.code())?;
    }
    for (seed, failures) in &found.failed {
        let first = failures.first().context("a failing seed without failure")?;
        writeln!(out, "\nseed {seed} breaks {}", words(first))?;
        for more in failures.iter().skip(1) {
            writeln!(out, "  and {}", words(more))?;
        }
        let mut cut = wanted.cut.clone();
        if !args.no_shrink && !args.trace {
            let shrunk = shrink::shrink(*seed, wanted.checkouts, &wanted.cut, first.rule)?;
            writeln!(
                out,
                "made small in {} runs: {} checkouts",
                shrunk.tries, shrunk.checkouts
            )?;
            cut = shrunk.cut;
        }
        writeln!(out, "{}", command(*seed, wanted.checkouts, &cut))?;
    }
    Ok(())
}
