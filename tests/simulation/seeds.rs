//! What every run must keep: its promises, and its trace when it is played again.
//!
//! Few seeds, since these builds are slow; which ones is of no matter.

use reconciled::simulation::hazard::{Cut, Hazard};
use reconciled::simulation::play;
use reconciled::simulation::run::{Wanted, run};
use std::collections::BTreeSet;

/// Checkouts in each run.
const CHECKOUTS: usize = 10;

#[test]
fn no_promise_is_broken_in_the_first_seeds() {
    let wanted = Wanted {
        seeds: 0..24,
        checkouts: CHECKOUTS,
        cut: Cut::default(),
        threads: 2,
        failures_max: 24,
    };
    let found = run(&wanted).unwrap();
    assert_eq!(found.runs, 24);
    assert_eq!(found.checkouts, 240);
    assert!(found.failed.is_empty(), "{:#?}", found.failed);
}

#[test]
fn the_first_seeds_meet_every_kind_of_trouble() {
    let wanted = Wanted {
        seeds: 0..40,
        checkouts: 3,
        cut: Cut::default(),
        threads: 2,
        failures_max: usize::MAX,
    };
    let struck = run(&wanted).unwrap().struck;
    // Two that are drawn with the setting and do not strike anything by themselves.
    let drawn = [Hazard::GuardTight, Hazard::TwoInstances];
    let never: Vec<&Hazard> = Hazard::ALL
        .iter()
        .filter(|hazard| !struck.contains_key(hazard) && !drawn.contains(hazard))
        .collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_to_the_byte() {
    for seed in [3, 11] {
        let one = play(seed, CHECKOUTS, &Cut::default(), true).unwrap();
        let other = play(seed, CHECKOUTS, &Cut::default(), true).unwrap();
        assert!(one.trace.lines().count() > 100);
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}

#[test]
fn a_cut_leaves_only_what_it_names() {
    let cut = Cut {
        only: Some(BTreeSet::from([2])),
        without: Hazard::ALL.iter().copied().collect(),
        strikes_max: Some(0),
    };
    let ended = play(5, CHECKOUTS, &cut, true).unwrap();
    assert_eq!((ended.checkouts, ended.struck.len()), (1, 0));
    assert!(ended.failures.is_empty(), "{:#?}", ended.failures);
    assert!(ended.trace.contains("R0002") && !ended.trace.contains("R0003"));
}

#[test]
fn a_sweep_that_failed_is_made_again_within_a_minute() {
    let without = |hazard: &&Hazard| **hazard != Hazard::CallRefused;
    let cut = Cut {
        without: Hazard::ALL.iter().filter(without).copied().collect(),
        ..Cut::default()
    };
    let lists =
        ["payment_intents", "charges", "events"].map(|list| format!("-> psp GET /v1/{list} "));
    let mut failed = 0;
    for seed in 0..60 {
        let trace = play(seed, 1, &cut, true).unwrap().trace;
        let is_list = |line: &&str| lists.iter().any(|list| line.contains(list));
        let asked: Vec<&str> = trace
            .lines()
            .filter(is_list)
            .take(lists.len() + 1)
            .collect();
        let (first, later) = asked.split_at(lists.len());
        if first.iter().any(|line| line.contains("(call_refused)")) {
            failed += 1;
            assert!(later[0].starts_with(" 00:00:3"), "seed {seed}: {asked:#?}");
        }
    }
    assert!(
        failed > 2,
        "{failed} sweeps failed; too few to show anything"
    );
}
