//! What a run is set up with: the shop's policy, how long trouble lasts, and what happens to
//! everybody and when.
//!
//! All of it follows from the seed. Knows no daemon.

use super::act::{Away, Common, Secret};
use super::chance::Chance;
use super::hazard::{Hazard, Luck};
use super::network::{Outage, Side};
use crate::core::money::{Currency, Money};
use crate::core::policy::{HoldOrRefund, LatePayment, Mode, Overpayment, Policy};
use crate::core::time::{Span, Time};
use crate::psp::rules::Claims;

/// How many daemons there may be.
pub const INSTANCES_MAX: usize = 2;

/// How often each common trouble may come at most.
const COMES_MAX: u64 = 3;

/// What a run is set up with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// When it begins.
    pub begins: Time,
    /// How long customers keep arriving.
    pub arrivals: Span,
    /// How long there may be trouble.
    pub length: Span,
    /// The shop's policy, without its accounts.
    pub policy: Policy,
    /// Which payments are ours.
    pub claims: Claims,
    /// How often the PSP is swept.
    pub sweep_every: Span,
    /// Daemons on one store.
    pub instances: usize,
    /// True when the shop thanks its customer again at every repeated confirm.
    pub is_shop_careless: bool,
    /// How long what is at rest is kept; none when nothing is pruned.
    pub kept_for: Option<Span>,
    /// How outages look.
    pub outage: Outage,
    /// What happens to everybody, in order.
    pub commons: Vec<(Time, Common)>,
}

/// What is at rest is kept this much longer than a payment may be refunded.
const KEPT_LONGER: Span = Span::from_hours(4);

impl Setting {
    /// The setting of a run.
    pub fn of(luck: &Luck) -> Setting {
        let mut chance = luck.chance(&["setting"]);
        let hours = chance.weighted(&[(82, 3), (16, 12), (2, 60)]).unwrap_or(3);
        let length = Span::from_hours(hours);
        let sweeps: &[Span] = if hours > 3 {
            &[Span::from_hours(6), Span::from_hours(3)]
        } else {
            &[Span::from_minutes(45), Span::from_minutes(90)]
        };
        let sweep_every = chance.one_of(sweeps).copied().unwrap_or(length);
        let outages = [Outage::Refuses, Outage::Hangs, Outage::Gateway];
        let is_shared = luck.weight(Hazard::TwoInstances) > 0;
        let mut setting = Setting {
            begins: begins(),
            arrivals: Span::from_minutes(90),
            length,
            policy: policy(luck, &mut chance),
            claims: if chance.hits(500) {
                Claims::All
            } else {
                Claims::Referenced
            },
            sweep_every,
            instances: if is_shared { INSTANCES_MAX } else { 1 },
            is_shop_careless: chance.hits(300),
            kept_for: chance
                .hits(100)
                .then(|| chance.between(Span::from_hours(6), Span::from_days(2))),
            outage: chance.one_of(&outages).copied().unwrap_or(Outage::Hangs),
            commons: Vec::new(),
        };
        if let Some(kept) = setting.kept_for {
            // As the configuration demands it, with room for a clock that is ahead.
            let within = kept.micros().saturating_sub(KEPT_LONGER.micros());
            setting.policy.refund_within = Span::from_micros(within);
        }
        setting.plan(luck);
        setting
    }

    /// The last moment at which people outside act.
    pub fn acts_end(&self) -> Time {
        self.heals_at().minus(Span::from_seconds(1))
    }

    /// When all trouble ends.
    pub fn heals_at(&self) -> Time {
        self.begins.plus(self.length)
    }

    fn add(&mut self, at: Time, common: Common) {
        if at < self.heals_at() {
            self.commons.push((at, common));
        }
    }

    fn plan(&mut self, luck: &Luck) {
        for hazard in Hazard::ALL {
            let mut chance = luck.chance(&["common", hazard.code()]);
            let mut times = chance.below(COMES_MAX).saturating_add(1);
            while times > 0 {
                times = times.saturating_sub(1);
                let number = times.to_string();
                let per_mille = luck.weight(*hazard).saturating_mul(8).saturating_add(200);
                if luck.strikes_at(*hazard, &["common", &number], per_mille) {
                    let after = chance.between(Span::ZERO, self.length);
                    let at = self.begins.plus(after);
                    self.plan_one(*hazard, at, &mut chance);
                }
            }
        }
        let heals = self.heals_at();
        self.commons.push((heals, Common::Heal));
        self.commons.sort_by_key(|(at, _)| *at);
    }

    fn plan_one(&mut self, hazard: Hazard, at: Time, chance: &mut Chance) {
        let ends = at.plus(chance.widely(Span::from_seconds(20), Span::from_hours(14)));
        let who = usize::from(self.instances > 1 && chance.hits(500));
        let pair = |on: Common, off: Common| vec![(at, on), (ends, off)];
        let away = |what| pair(Common::Outage(what, true), Common::Outage(what, false));
        let planned = match hazard {
            Hazard::PspOutage => away(Away::Outside(Side::Psp)),
            Hazard::ShopOutage => away(Away::Outside(Side::Shop)),
            Hazard::StoreOutage => away(Away::Store),
            Hazard::Crash => vec![(at, Common::Crash(who))],
            Hazard::Pause => {
                let span = chance.widely(Span::from_seconds(1), Span::from_minutes(10));
                vec![(at, Common::Pause(who, span))]
            }
            Hazard::ClockSkew => {
                let most = [1_000_000, 40_000_000, 400_000_000, 7_200_000_000];
                let most = chance.one_of(&most).copied().unwrap_or(0);
                let off = i64::try_from(chance.below(most)).unwrap_or(0);
                let off = if chance.hits(500) {
                    off
                } else {
                    off.saturating_neg()
                };
                pair(Common::Skew(who, off), Common::Skew(who, 0))
            }
            Hazard::ListLag => pair(Common::ListsLag(true), Common::ListsLag(false)),
            Hazard::RefundsSlow if chance.hits(500) => {
                pair(Common::BalanceLow(true), Common::BalanceLow(false))
            }
            Hazard::RefundsSlow => pair(Common::RefundsSlow(true), Common::RefundsSlow(false)),
            Hazard::Operator => {
                let number = u32::try_from(chance.below(1_000_000)).unwrap_or(0);
                vec![
                    (at, Common::OperatorLooks(number)),
                    (ends, Common::OperatorLooks(number.saturating_add(1))),
                ]
            }
            Hazard::ShopRestored => pair(Common::Backup, Common::Restore),
            Hazard::ShopForgets => pair(Common::Forgets(true), Common::Forgets(false)),
            Hazard::SecretRotated => {
                let secrets = [Secret::Webhook, Secret::Shop, Secret::Api];
                let secret = chance.one_of(&secrets).copied();
                pair(
                    Common::Rotate(secret.unwrap_or(Secret::Api)),
                    Common::Reload,
                )
            }
            Hazard::DeliveryLost
            | Hazard::DeliveryDoubled
            | Hazard::DeliveryDelayed
            | Hazard::DeliveryCorrupted
            | Hazard::CallRefused
            | Hazard::CallLost
            | Hazard::CallUnanswered
            | Hazard::CallMisanswered
            | Hazard::CallThrottled
            | Hazard::CallLate
            | Hazard::StoreFails
            | Hazard::TwoInstances
            | Hazard::StaffRefund
            | Hazard::ShopStaff
            | Hazard::Dispute
            | Hazard::RefundFails
            | Hazard::GuardTight => Vec::new(),
        };
        for (at, common) in planned {
            self.add(at, common);
        }
    }
}

/// When every run begins: some day in 2027.
pub fn begins() -> Time {
    Time::from_seconds(1_800_000_000)
}

fn policy(luck: &Luck, chance: &mut Chance) -> Policy {
    let eur = |minor| Money::new(minor, Currency::EUR);
    let back = |is_back| {
        if is_back {
            HoldOrRefund::Refund
        } else {
            HoldOrRefund::Hold
        }
    };
    let mut policy = Policy {
        mode: Mode::Full,
        underpayment: back(chance.hits(500)),
        unreferenced: back(chance.hits(500)),
        auto_refund_limit: eur(100_000_000),
        confirm_patience: Span::from_hours(2),
        outage_patience: Span::from_hours(6),
        ..Policy::default()
    };
    if chance.hits(300) {
        policy.late_payment = LatePayment::Refund;
    }
    if chance.hits(300) {
        policy.overpayment = Overpayment::Hold;
    }
    if chance.hits(200) {
        policy.tolerance = eur(5);
    }
    policy.canary = chance.hits(700);
    policy.guard.max_refunds_per_hour = 1_000;
    policy.guard.max_refund_sum_per_hour = eur(1_000_000_000);
    policy.guard.max_refund_share_millionths = 1_000_000;
    if luck.weight(Hazard::GuardTight) > 0 {
        match chance.below(3) {
            0 => {
                let most = u32::try_from(chance.below(4)).unwrap_or(0);
                policy.guard.max_refunds_per_hour = most.saturating_add(1);
            }
            1 => policy.guard.max_refund_sum_per_hour = eur(60_000),
            _ => policy.auto_refund_limit = eur(40_000),
        }
    }
    policy
}
