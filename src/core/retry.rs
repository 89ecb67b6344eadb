//! When to try again, and when to look again: two schedules as pure functions of a count and a
//! name. Knows no clock, no chance and no action; due times are written by whoever asks.
//!
//! The only file that uses the `backoff` crate, and only `next_backoff` as arithmetic. What was
//! read in its source (0.4.0), because a schedule for money must not depend on it unseen:
//! - it reads a monotonic clock on each step, but the result depends on it only through
//!   `max_elapsed_time`, which is off here: patience is counted from stored times, not from the
//!   start of the process;
//! - it draws a random number on each step, even with a `randomization_factor` of 0; the number
//!   then moves the result by at most one nanosecond upwards, which cutting to whole
//!   milliseconds takes away. Its own jitter is not used: it cannot be repeated and may exceed
//!   `max_interval`. (The draw is seeded by the kernel once per thread.)
//! - the interval itself grows without the random part, so replaying n steps gives the n-th
//!   delay exactly.
//!
//! A test pins it to six lines of our own, which can take its place.

use super::time::Span;
use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoffBuilder;
use std::time::Duration;

/// The delay after the first failure, before jitter.
const BASE_MS: u64 = 1_000;
/// No delay is longer, before or after jitter: five minutes.
const CAP_MS: u64 = 300_000;
/// No delay is shorter, so that full jitter never becomes a retry at once.
const FLOOR_MS: u64 = 200;
/// Attempts after which the schedule has long been flat; replaying more would be idle work.
const ATTEMPT_MAX: u32 = 64;

/// How often a checkout that is not at rest is looked at again: the wait, and how many times it
/// is used before the next one; the last is used for ever.
const LOOKS: [(Span, u32); 8] = [
    (Span::from_seconds(5), 1),
    (Span::from_seconds(30), 1),
    (Span::from_minutes(2), 1),
    (Span::from_minutes(5), 1),
    (Span::from_minutes(15), 1),
    (Span::from_hours(1), 24),
    (Span::from_hours(6), 28),
    (LAST_LOOK, u32::MAX),
];
const LAST_LOOK: Span = Span::from_days(1);

/// How long to wait after the `attempt`-th failure (the first is 1) of the action with this
/// key: full jitter below an exponential bound, 1 s doubling to 5 min.
///
/// The jitter is a function of key and attempt: the same on every instance and after every
/// restart, different from one key to the next, so that a shop that comes back is not met by
/// everyone at once.
pub fn delay(attempt: u32, key: &str) -> Span {
    let bound = bound_ms(attempt);
    let chosen = below(bound, attempt, key).saturating_add(1);
    Span::from_millis(chosen.max(FLOOR_MS))
}

/// How long to wait before looking at a checkout again that has been looked at `looks` times
/// since it was last touched: 5 s, 30 s, 2 min, 5 min, 15 min, hourly for a day, six-hourly for
/// a week, then daily; each up to a tenth longer or shorter, as a function of key and count.
pub fn recheck(looks: u32, key: &str) -> Span {
    let mut left = looks;
    let mut wait = LAST_LOOK;
    for (span, times) in LOOKS {
        wait = span;
        match left.checked_sub(times) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    let tenth = wait.micros().checked_div(10).unwrap_or(0);
    let shift = below(tenth.saturating_mul(2).saturating_add(1), looks, key);
    Span::from_micros(wait.micros().saturating_sub(tenth).saturating_add(shift))
}

/// The upper bound of the delay after the `attempt`-th failure, in whole milliseconds.
fn bound_ms(attempt: u32) -> u64 {
    let mut schedule = ExponentialBackoffBuilder::<SystemClock>::new()
        .with_initial_interval(Duration::from_millis(BASE_MS))
        .with_multiplier(2.0)
        .with_max_interval(Duration::from_millis(CAP_MS))
        .with_randomization_factor(0.0)
        .with_max_elapsed_time(None)
        .build();
    let mut bound = Duration::from_millis(BASE_MS);
    for _ in 0..attempt.clamp(1, ATTEMPT_MAX) {
        bound = schedule.next_backoff().unwrap_or(bound);
    }
    u64::try_from(bound.as_millis())
        .unwrap_or(CAP_MS)
        .clamp(BASE_MS, CAP_MS)
}

/// A number from 0 up to and without `bound` that key and count determine.
fn below(bound: u64, count: u32, key: &str) -> u64 {
    let mut hash = FNV_OFFSET;
    for byte in key.bytes().chain(count.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
    mixed(hash).checked_rem(bound).unwrap_or(0)
}

/// FNV-1a for 64 bits: its offset basis and prime.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The finishing steps of splitmix64: FNV alone leaves neighbouring keys near each other.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "in a test an overflow is the failing test"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    /// What may take the crate's place.
    fn own_formula(attempt: u32) -> u64 {
        let doublings = attempt.clamp(1, ATTEMPT_MAX) - 1;
        BASE_MS
            .checked_shl(doublings)
            .filter(|grown| grown >> doublings == BASE_MS)
            .map_or(CAP_MS, |grown| grown.min(CAP_MS))
    }

    #[test]
    fn the_bound_is_our_own_formula_for_64_attempts_and_beyond() {
        for attempt in (0..=64).chain([65, 1_000, u32::MAX]) {
            for _ in 0..200 {
                assert_eq!(bound_ms(attempt), own_formula(attempt), "{attempt}");
            }
        }
        let first: Vec<u64> = (1..=11).map(bound_ms).collect();
        assert_eq!(
            first,
            [
                1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000,
                300_000
            ]
        );
    }

    #[test]
    fn the_noise_of_the_crate_is_at_most_a_nanosecond_and_never_downwards() {
        for _ in 0..500 {
            let mut schedule = ExponentialBackoffBuilder::<SystemClock>::new()
                .with_initial_interval(Duration::from_millis(BASE_MS))
                .with_multiplier(2.0)
                .with_max_interval(Duration::from_millis(CAP_MS))
                .with_randomization_factor(0.0)
                .with_max_elapsed_time(None)
                .build();
            for attempt in 1..=ATTEMPT_MAX {
                let exact = Duration::from_millis(own_formula(attempt));
                let found = schedule.next_backoff().unwrap();
                assert!(
                    found >= exact && found <= exact + Duration::from_nanos(1),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn the_jitter_is_pinned_so_that_a_restart_or_an_upgrade_keeps_the_times() {
        let delays: Vec<u64> = (1..=4)
            .map(|attempt| delay(attempt, "confirm:c1").micros() / 1_000)
            .collect();
        assert_eq!(delays, [768, 405, 1_653, 3_303]);
    }

    #[test]
    fn full_jitter_uses_the_whole_range_evenly() {
        const KEYS: usize = 8_000;
        let mut buckets = [0_usize; 8];
        for n in 0..KEYS {
            let ms = delay(10, &format!("confirm:c{n}")).micros() / 1_000;
            buckets[usize::try_from((ms - 1) * 8 / CAP_MS).unwrap()] += 1;
        }
        let fair = KEYS / buckets.len();
        for count in buckets {
            assert!(count.abs_diff(fair) < fair / 5, "{buckets:?}");
        }
    }

    #[test]
    fn looks_grow_rarer_from_seconds_to_days() {
        let spans: Vec<Span> = (0..70)
            .map(|looks| {
                let (span, _) = around(looks);
                span
            })
            .collect();
        let minutes = [5, 30, 120, 300, 900].map(Span::from_seconds);
        assert_eq!(spans[..5], minutes);
        assert!(spans[5..29].iter().all(|span| *span == Span::from_hours(1)));
        assert!(
            spans[29..57]
                .iter()
                .all(|span| *span == Span::from_hours(6))
        );
        assert!(spans[57..].iter().all(|span| *span == Span::from_days(1)));
        assert_eq!(around(u32::MAX).0, Span::from_days(1));
    }

    /// The wait without jitter, found from outside: the middle of what many keys get, and the
    /// greatest distance from it in thousandths.
    fn around(looks: u32) -> (Span, u64) {
        let waits: Vec<u64> = (0..400)
            .map(|n| recheck(looks, &format!("c{n}")).micros())
            .collect();
        let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        let middle = (least + most) / 2;
        let nearest = LOOKS
            .iter()
            .map(|(span, _)| span.micros())
            .min_by_key(|span| span.abs_diff(middle))
            .unwrap();
        let reach = (most - nearest).max(nearest - least) * 1_000 / nearest;
        (Span::from_micros(nearest), reach)
    }

    #[test]
    fn looks_are_spread_by_a_tenth_and_no_more() {
        for looks in [0, 1, 5, 30, 60, u32::MAX] {
            let (_, reach) = around(looks);
            assert!((90..=100).contains(&reach), "{looks}: {reach}");
        }
    }

    #[test]
    fn no_other_file_uses_the_backoff_crate() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut users = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read_to_string(&path)
                    .is_ok_and(|text| text.contains(concat!("backoff", "::")))
                {
                    users.push(path);
                }
            }
        }
        assert_eq!(users.len(), 1, "{users:?}");
        assert!(users[0].ends_with("src/core/retry.rs"), "{users:?}");
    }

    proptest! {
        #[test]
        fn every_delay_lies_between_the_floor_and_its_bound(
            attempt in any::<u32>(),
            key in ".{0,40}",
        ) {
            let found = delay(attempt, &key);
            prop_assert!(found >= Span::from_millis(FLOOR_MS));
            prop_assert!(found <= Span::from_millis(own_formula(attempt)));
            prop_assert_eq!(found, delay(attempt, &key));
        }

        #[test]
        fn every_look_is_within_a_tenth_of_a_step_of_the_schedule(
            looks in any::<u32>(),
            key in ".{0,40}",
        ) {
            let found = recheck(looks, &key).micros();
            prop_assert_eq!(found, recheck(looks, &key).micros());
            let fits = LOOKS.iter().any(|(span, _)| {
                found.abs_diff(span.micros()) <= span.micros() / 10
            });
            prop_assert!(fits);
        }
    }
}
