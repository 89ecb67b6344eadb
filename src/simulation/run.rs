//! Many runs on all cores, and what they found.
//!
//! Threads only share the next seed; each run is alone in its world.

use super::hazard::{Cut, Hazard};
use super::keys::BadSetting;
use super::ledger::Failure;
use super::play::play;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What to run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// Checkouts in each run.
    pub checkouts: usize,
    /// What is left away.
    pub cut: Cut,
    /// Threads.
    pub threads: usize,
    /// Stops after so many failing seeds.
    pub failures_max: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Runs that came to their end.
    pub runs: u64,
    /// Checkouts played in them.
    pub checkouts: u64,
    /// Strikes of each kind of trouble.
    pub struck: BTreeMap<Hazard, u64>,
    /// Failing seeds with what they broke first.
    pub failed: BTreeMap<u64, Vec<Failure>>,
}

/// Runs them all.
pub fn run(wanted: &Wanted) -> Result<Found, BadSetting> {
    let next = AtomicU64::new(wanted.seeds.start);
    let is_enough = AtomicBool::new(false);
    let found: Mutex<Found> = Mutex::default();
    let work = || -> Result<(), BadSetting> {
        while !is_enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= wanted.seeds.end {
                break;
            }
            let ended = play(seed, wanted.checkouts, &wanted.cut, false)?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.runs = found.runs.saturating_add(1);
            let count = u64::try_from(ended.checkouts).unwrap_or(u64::MAX);
            found.checkouts = found.checkouts.saturating_add(count);
            for (hazard, count) in ended.struck {
                let sum = found.struck.entry(hazard).or_insert(0);
                *sum = sum.saturating_add(u64::from(count));
            }
            if !ended.failures.is_empty() {
                found.failed.insert(seed, ended.failures);
            }
            if found.failed.len() >= wanted.failures_max {
                is_enough.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..wanted.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}
