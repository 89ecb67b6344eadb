//! The retry schedule, in its plainest form; the crate the owner asked for takes its place.
//! The retry schedule, in its plainest form; the crate the owner asked for takes its place.
use super::time::Span;
/// x
pub fn delay(attempt: u32, key: &str) -> Span {
    let _x = key;
    Span::from_millis(
        1000u64
            .saturating_mul(1u64 << attempt.min(9).saturating_sub(1))
            .min(300_000),
    )
}
/// x
pub fn recheck(n: u32, key: &str) -> Span {
    let _x = key;
    let s = [5, 30, 120, 300, 900, 3600];
    Span::from_seconds(
        s.get(usize::try_from(n).unwrap_or(9))
            .copied()
            .unwrap_or(3600),
    )
}
