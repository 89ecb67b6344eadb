//! The kinds of trouble a run may have, and whether one strikes here and now.
//!
//! How likely each kind is, is drawn per seed. A cut takes kinds away, or lets only the first few
//! strikes happen; that is how a failing run is made small. Knows no world.

use super::chance::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! hazards {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, )+) => {
        /// One kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Hazard {
            $( $(#[doc = $doc])+ $name, )+
        }

        impl Hazard {
            /// Every kind.
            pub const ALL: &'static [Hazard] = &[ $( Hazard::$name, )+ ];

            /// Its word on the command line and in traces.
            pub fn code(self) -> &'static str {
                match self { $( Hazard::$name => $code, )+ }
            }

            /// What it is, in one line for people.
            pub fn meaning(self) -> &'static str {
                match self { $( Hazard::$name => concat!($($doc),+), )+ }
            }
        }
    };
}

hazards! {
    /// A delivery never arrives and is never tried again.
    DeliveryLost = "delivery_lost",
    /// A delivery arrives twice.
    DeliveryDoubled = "delivery_doubled",
    /// A delivery arrives minutes to days later, others before it.
    DeliveryDelayed = "delivery_delayed",
    /// A delivery's body changes on the way.
    DeliveryCorrupted = "delivery_corrupted",
    /// A call does not reach the other side, and the caller knows it.
    CallRefused = "call_refused",
    /// A call is lost before it has its effect.
    CallLost = "call_lost",
    /// A call has its effect and the answer is lost.
    CallUnanswered = "call_unanswered",
    /// A call is answered with an error, a page or nonsense, with or without effect.
    CallMisanswered = "call_misanswered",
    /// The other side asks for patience.
    CallThrottled = "call_throttled",
    /// A call takes effect after its caller gave up.
    CallLate = "call_late",
    /// The PSP is away for a while.
    PspOutage = "psp_outage",
    /// The shop is away for a while.
    ShopOutage = "shop_outage",
    /// The store is away for a while.
    StoreOutage = "store_outage",
    /// A single call to the store fails, after its effect or before.
    StoreFails = "store_fails",
    /// The daemon dies between any two steps and starts again.
    Crash = "crash",
    /// Two daemons work on one store.
    TwoInstances = "two_instances",
    /// A daemon stands still, perhaps past its leases.
    Pause = "pause",
    /// The daemon's clock is off, and is set.
    ClockSkew = "clock_skew",
    /// Lists of the PSP lag behind: a payment is found by its id alone.
    ListLag = "list_lag",
    /// The PSP's refunds wait for the balance or take their time.
    RefundsSlow = "refunds_slow",
    /// Operators rule on whatever is held.
    Operator = "operator",
    /// Staff refunds in the PSP's dashboard.
    StaffRefund = "staff_refund",
    /// Staff cancels, edits, confirms and ships orders in the shop.
    ShopStaff = "shop_staff",
    /// Payers dispute at their banks.
    Dispute = "dispute",
    /// A refund that was accepted fails later.
    RefundFails = "refund_fails",
    /// The shop is restored from a backup.
    ShopRestored = "shop_restored",
    /// The shop answers `unknown` to everything for a while.
    ShopForgets = "shop_forgets",
    /// A secret or key is changed outside before it is changed here.
    SecretRotated = "secret_rotated",
    /// The guard's limits are low.
    GuardTight = "guard_tight",
}

impl Hazard {
    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Hazard> {
        Hazard::ALL.iter().copied().find(|one| one.code() == word)
    }
}

/// What of a run is left away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Only these checkouts, by number; none for all.
    pub only: Option<BTreeSet<usize>>,
    /// Without these kinds of trouble.
    pub without: BTreeSet<Hazard>,
    /// Only so many strikes, the first ones.
    pub strikes_max: Option<u32>,
}

impl Cut {
    /// The options that make this cut again.
    pub fn options(&self) -> String {
        let mut text = String::new();
        if let Some(only) = &self.only {
            let only: Vec<String> = only.iter().map(usize::to_string).collect();
            text.push_str(&format!(" --only {}", only.join(",")));
        }
        if !self.without.is_empty() {
            let without: Vec<&str> = self.without.iter().map(|one| one.code()).collect();
            text.push_str(&format!(" --without {}", without.join(",")));
        }
        if let Some(most) = self.strikes_max {
            text.push_str(&format!(" --strikes-max {most}"));
        }
        text
    }
}

/// Decides where trouble strikes; clones count together.
#[derive(Clone, Debug)]
pub struct Luck {
    seed: u64,
    weights: Arc<BTreeMap<Hazard, u32>>,
    strikes_max: u32,
    struck: Arc<Mutex<Struck>>,
}

#[derive(Debug, Default)]
struct Struck {
    counts: BTreeMap<Hazard, u32>,
    is_over: bool,
}

impl Luck {
    /// The luck of a seed: some kinds of trouble never, some seldom, some often.
    pub fn of(seed: u64, cut: &Cut) -> Luck {
        let mut weights = BTreeMap::new();
        let mut chance = Chance::named(seed, &["weights"]);
        // One run in eight is undisturbed by the network, or nearly so.
        let is_quiet = chance.hits(125);
        for hazard in Hazard::ALL {
            let mut own = Chance::named(seed, &["weight", hazard.code()]);
            let drawn = own.weighted(&[(50, 0_u32), (25, 10), (15, 40), (10, 120)]);
            let weight = drawn.filter(|_| !is_quiet && !cut.without.contains(hazard));
            weights.insert(*hazard, weight.unwrap_or(0));
        }
        Luck {
            seed,
            weights: Arc::new(weights),
            strikes_max: cut.strikes_max.unwrap_or(u32::MAX),
            struck: Arc::default(),
        }
    }

    /// How likely a kind of trouble is in this run, in a thousand.
    pub fn weight(&self, hazard: Hazard) -> u32 {
        self.weights.get(&hazard).copied().unwrap_or(0)
    }

    /// A chance of this run.
    pub fn chance(&self, parts: &[&str]) -> Chance {
        Chance::named(self.seed, parts)
    }

    /// Does it strike what has this name, at its own weight?
    pub fn strikes(&self, hazard: Hazard, named: &[&str]) -> bool {
        self.strikes_at(hazard, named, self.weight(hazard))
    }

    /// Does it strike what has this name, so many times in a thousand where it exists at all?
    pub fn strikes_at(&self, hazard: Hazard, named: &[&str], per_mille: u32) -> bool {
        if self.weight(hazard) == 0 || per_mille == 0 || self.with(|struck| struck.is_over) {
            return false;
        }
        let mut chance = self.chance(named);
        chance.state_apart(hazard.code());
        chance.hits(per_mille) && self.is_left(hazard)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Struck) -> T) -> T {
        act(&mut self.struck.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a strike, if any is left.
    fn is_left(&self, hazard: Hazard) -> bool {
        self.with(|struck| {
            let counts = struck.counts.values();
            let total = counts.fold(0_u32, |sum, one| sum.saturating_add(*one));
            let is_left = total < self.strikes_max;
            if is_left {
                let count = struck.counts.entry(hazard).or_insert(0);
                *count = count.saturating_add(1);
            }
            is_left
        })
    }

    /// From now on nothing strikes any more.
    pub fn end(&self) {
        self.with(|struck| struck.is_over = true);
    }

    /// How often what struck.
    pub fn struck(&self) -> BTreeMap<Hazard, u32> {
        self.with(|struck| struck.counts.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for hazard in Hazard::ALL {
            assert_eq!(Hazard::parse(hazard.code()), Some(*hazard));
            assert!(hazard.meaning().len() > 20);
        }
        assert_eq!(Hazard::parse("bad_luck"), None);
    }

    #[test]
    fn a_cut_takes_kinds_and_strikes_away() {
        let all = Cut::default();
        let seed = (0..).find(|seed| Luck::of(*seed, &all).weight(Hazard::CallLost) > 100);
        let seed = seed.unwrap();
        let count = |cut: &Cut| {
            let luck = Luck::of(seed, cut);
            let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
            let struck = names
                .iter()
                .filter(|name| luck.strikes(Hazard::CallLost, &[name]));
            struck.count()
        };
        assert!(count(&all) > 50);
        let without = Cut {
            without: BTreeSet::from([Hazard::CallLost]),
            ..Cut::default()
        };
        assert_eq!(count(&without), 0);
        let few = Cut {
            strikes_max: Some(3),
            ..Cut::default()
        };
        assert_eq!(count(&few), 3);
        assert_eq!(without.options(), " --without call_lost");
        assert_eq!(few.options(), " --strikes-max 3");
    }
}
