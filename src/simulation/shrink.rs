//! Makes a failing run small: fewer checkouts, fewer kinds of trouble, fewer strikes, as long as
//! the same promise is broken.
//!
//! Knows only how to play again.

use super::hazard::{Cut, Hazard};
use super::keys::BadSetting;
use super::play::{Ended, play};
use std::collections::BTreeSet;

/// Runs that making one failure small may take.
const TRIES_MAX: u32 = 400;

/// A failing run made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// What is left away.
    pub cut: Cut,
    /// How many checkouts are left.
    pub checkouts: usize,
    /// How many runs it took.
    pub tries: u32,
}

struct Shrinking<'a> {
    seed: u64,
    checkouts: usize,
    is_broken: &'a dyn Fn(&Ended) -> bool,
    cut: Cut,
    tries: u32,
}

impl Shrinking<'_> {
    /// Keeps a smaller cut if the same promise is still broken.
    fn try_cut(&mut self, cut: Cut) -> Result<bool, BadSetting> {
        if self.tries >= TRIES_MAX {
            return Ok(false);
        }
        self.tries = self.tries.saturating_add(1);
        let ended = play(self.seed, self.checkouts, &cut, false)?;
        let is_same = (self.is_broken)(&ended);
        if is_same {
            self.cut = cut;
        }
        Ok(is_same)
    }

    fn chosen(&self) -> BTreeSet<usize> {
        let all = || (0..self.checkouts).collect();
        self.cut.only.clone().unwrap_or_else(all)
    }

    /// Leaves checkouts out, in halves first, then one by one.
    fn fewer_checkouts(&mut self) -> Result<(), BadSetting> {
        let mut size = self.chosen().len();
        while size >= 1 {
            let numbers: Vec<usize> = self.chosen().into_iter().collect();
            for part in numbers.chunks(size) {
                let mut only = self.chosen();
                only.retain(|number| !part.contains(number));
                if !only.is_empty() {
                    let only = Some(only);
                    let cut = Cut {
                        only,
                        ..self.cut.clone()
                    };
                    self.try_cut(cut)?;
                }
            }
            size = size.checked_div(2).unwrap_or(0);
        }
        Ok(())
    }

    fn fewer_kinds(&mut self) -> Result<(), BadSetting> {
        for hazard in Hazard::ALL {
            if !self.cut.without.contains(hazard) {
                let mut cut = self.cut.clone();
                cut.without.insert(*hazard);
                self.try_cut(cut)?;
            }
        }
        Ok(())
    }

    /// The least number of first strikes that is enough, by halving.
    fn fewer_strikes(&mut self) -> Result<(), BadSetting> {
        let ended = play(self.seed, self.checkouts, &self.cut, false)?;
        let total = ended
            .struck
            .values()
            .fold(0_u32, |sum, one| sum.saturating_add(*one));
        let (mut enough, mut least) = (total, 0_u32);
        while least < enough {
            let middle = least.midpoint(enough);
            let cut = Cut {
                strikes_max: Some(middle),
                ..self.cut.clone()
            };
            if self.try_cut(cut)? {
                enough = middle;
            } else {
                least = middle.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// Makes the run of a seed small that breaks this rule.
pub fn shrink(seed: u64, checkouts: usize, cut: &Cut, rule: &str) -> Result<Shrunk, BadSetting> {
    smallest(seed, checkouts, cut, &|ended| {
        ended.failures.iter().any(|one| one.rule == rule)
    })
}

/// Makes the run of a seed small as long as whoever judges it says that it is broken.
pub fn smallest(
    seed: u64,
    checkouts: usize,
    cut: &Cut,
    is_broken: &dyn Fn(&Ended) -> bool,
) -> Result<Shrunk, BadSetting> {
    let mut shrinking = Shrinking {
        seed,
        checkouts,
        is_broken,
        cut: cut.clone(),
        tries: 0,
    };
    shrinking.fewer_checkouts()?;
    shrinking.fewer_kinds()?;
    shrinking.fewer_strikes()?;
    shrinking.fewer_checkouts()?;
    let checkouts = shrinking.chosen().len();
    Ok(Shrunk {
        cut: shrinking.cut,
        checkouts,
        tries: shrinking.tries,
    })
}
