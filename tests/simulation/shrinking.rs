//! A failing run is made small, still fails, and the command that is printed plays it again.
//!
//! The daemon keeps its promises, so the judge errs on purpose here: it takes lost calls for a
//! broken one.

use clap::Parser;
use reconciled::cli::simulate::{Args, command};
use reconciled::simulation::hazard::{Cut, Hazard};
use reconciled::simulation::shrink::smallest;
use reconciled::simulation::{Ended, play};

/// Checkouts before anything is left away.
const CHECKOUTS: usize = 10;
/// So many lost calls are one too many for this judge.
const LOST_MAX: u32 = 2;

/// `simulate` as it is typed, behind the program's name.
#[derive(Parser)]
enum Line {
    Simulate(Args),
}

fn lost(ended: &Ended) -> u32 {
    ended.struck.get(&Hazard::CallLost).copied().unwrap_or(0)
}

#[test]
fn a_failing_run_becomes_small_still_fails_and_is_played_again_by_the_command() {
    let all = Cut::default();
    let mut seeds = (0..).map(|seed| (seed, play(seed, CHECKOUTS, &all, false).unwrap()));
    let is_suited = |ended: &Ended| lost(ended) > 3 * LOST_MAX && ended.struck.len() > 4;
    let (seed, whole) = seeds.find(|(_, ended)| is_suited(ended)).unwrap();

    let small = smallest(seed, CHECKOUTS, &all, &|ended| lost(ended) > LOST_MAX).unwrap();

    assert!(small.checkouts < CHECKOUTS, "{small:?}");
    let line = command(seed, CHECKOUTS, &small.cut);
    let Line::Simulate(typed) = Line::try_parse_from(line.split(' ')).unwrap();
    assert_eq!(
        (typed.seeds.0.clone(), typed.checkouts),
        (seed..seed + 1, CHECKOUTS)
    );
    assert_eq!(typed.cut(), small.cut, "{line}");
    let again = play(seed, typed.checkouts, &typed.cut(), true).unwrap();
    assert_eq!(again.checkouts, small.checkouts);
    assert_eq!(
        again.struck.len(),
        1,
        "other trouble is left: {:?}",
        again.struck
    );
    assert_eq!(lost(&again), LOST_MAX + 1, "of {}", lost(&whole));
    assert!(again.trace.contains("call_lost"));
}

#[test]
fn what_does_not_fail_is_left_as_it_is() {
    let all = Cut::default();
    let same = smallest(3, 2, &all, &|_| false).unwrap();
    assert_eq!((same.cut, same.checkouts), (all, 2));
}
