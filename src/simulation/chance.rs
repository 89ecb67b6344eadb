//! Everything random of a run: numbers that a seed and a name determine.
//!
//! A named chance does not depend on what was drawn elsewhere, so that leaving one part of a run
//! away changes as little as possible in the others. Knows no clock and no entropy.

use crate::core::time::Span;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

/// The finishing steps of splitmix64.
fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Chance {
    /// The stream of a seed and the parts of a name.
    pub fn named(seed: u64, parts: &[&str]) -> Chance {
        let mut hash = mixed(seed ^ 0xcbf2_9ce4_8422_2325);
        for part in parts {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Chance { state: mixed(hash) }
    }

    /// The same stream, set apart by one more word.
    pub fn state_apart(&mut self, word: &str) {
        *self = Chance::named(self.state, &[word]);
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// A number below a bound; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// True so many times in a thousand.
    pub fn hits(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// A length between two, each equally likely.
    pub fn between(&mut self, least: Span, most: Span) -> Span {
        let room = most.micros().saturating_sub(least.micros());
        let more = self.below(room.saturating_add(1));
        Span::from_micros(least.micros().saturating_add(more))
    }

    /// A length between two, each order of magnitude equally likely.
    pub fn widely(&mut self, least: Span, most: Span) -> Span {
        let doublings = most
            .micros()
            .checked_div(least.micros().max(1))
            .and_then(u64::checked_ilog2)
            .unwrap_or(0);
        let chosen = self.below(u64::from(doublings).saturating_add(1));
        let shift = u32::try_from(chosen).unwrap_or(0);
        let from = least.micros().checked_shl(shift).unwrap_or(least.micros());
        let upto = Span::from_micros(from.saturating_mul(2));
        self.between(Span::from_micros(from), upto.min(most))
    }

    /// The place of one of so many, each equally likely; 0 of none.
    pub fn index_below(&mut self, count: usize) -> usize {
        let bound = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// One of several, each equally likely; none of none.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.index_below(choices.len()))
    }

    /// One of several by weight; none when nothing has any.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> Option<T> {
        let total = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            match left.checked_sub(u64::from(*weight)) {
                Some(less) => left = less,
                None => return Some(*choice),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_numbers_and_others_give_others() {
        let drawn = |seed, parts: &[&str]| {
            let mut chance = Chance::named(seed, parts);
            (0..8).map(|_| chance.draw()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, &["a", "b"]), drawn(7, &["a", "b"]));
        assert_ne!(drawn(7, &["a", "b"]), drawn(8, &["a", "b"]));
        assert_ne!(drawn(7, &["a", "b"]), drawn(7, &["ab"]));
    }

    #[test]
    fn what_is_drawn_keeps_its_bounds() {
        let mut chance = Chance::named(1, &[]);
        let (least, most) = (Span::from_seconds(1), Span::from_days(3));
        let mut hit = 0_u32;
        for _ in 0..2_000 {
            assert!(chance.below(3) < 3);
            for span in [chance.between(least, most), chance.widely(least, most)] {
                assert!(least <= span && span <= most, "{span:?}");
            }
            assert_ne!(chance.weighted(&[(0, 'a'), (5, 'b')]), Some('a'));
            hit += u32::from(chance.hits(100));
        }
        assert!((100..300).contains(&hit), "{hit}");
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.one_of::<u8>(&[]), None);
        assert_eq!(chance.weighted(&[(0, 'a')]), None);
    }
}
