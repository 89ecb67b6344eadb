//! What happens to everybody in a run: outages, crashes, clocks, secrets, backups, operators, and
//! the end of all trouble.
//!
//! Each does one thing to the world or to a daemon; when it happens stands in the setting.

use super::act::{Away, Common, Secret};
use super::keys::{ACCOUNT, BadSetting, SHOP};
use super::ledger::Touch;
use super::play::{Event, Play};
use crate::core::fact::{Ruling, RulingKind};
use crate::core::ids::ShopId;
use crate::core::plan::Verdict;
use crate::core::reconcile::ruling::OVERRIDABLE;
use crate::core::time::Time;
use crate::desk::Desk;
use crate::http::replay;
use crate::http::view;
use crate::store::{CheckoutFilter, LoadedCheckout, Store};
use futures_util::FutureExt;

/// A daemon that is to die at one of its next steps dies at one of so many places.
const PLACES: u64 = 80;
/// Held checkouts among which an operator chooses.
const HELD_MAX: u32 = 50;
/// Entries of the quarantine that are replayed after all trouble.
const REPLAYED_MAX: u32 = 50;

const RULINGS: [(u32, RulingKind); 6] = [
    (30, RulingKind::Retry),
    (15, RulingKind::Confirm),
    (25, RulingKind::Refund),
    (5, RulingKind::Hold),
    (20, RulingKind::Resume),
    (5, RulingKind::Settle),
];

impl Play {
    /// Something happens to everybody.
    pub(super) fn common(&mut self, common: Common) -> Result<(), BadSetting> {
        self.say(|| format!("{common:?}"));
        let now = self.now();
        match common {
            Common::Outage(what, is_away) => self.outage(what, is_away),
            Common::Crash(number) => self.dies(number),
            Common::Pause(number, span) => {
                if let Some(Some(instance)) = self.instances.get_mut(number) {
                    instance.paused_until = Some(now.plus(span));
                    self.at(now.plus(span), Event::GoesOn);
                }
            }
            Common::Skew(number, off) => {
                if let Some(skew) = self.skews.get_mut(number) {
                    *skew = off;
                }
                self.look_all();
            }
            Common::ListsLag(are_lagging) => self.stage.let_lists_lag(are_lagging),
            Common::BalanceLow(is_low) => {
                self.stage.world.psp.set_balance_low(is_low, now);
            }
            Common::RefundsSlow(are_slow) => {
                self.stage.world.psp.set_refunds_slow(are_slow);
                if !are_slow {
                    self.stage.world.psp.finish_refunds(now);
                }
            }
            Common::OperatorLooks(number) => self.operator_looks(number),
            Common::Backup => self.stage.back_up(),
            Common::Restore => self.stage.restore(),
            Common::Forgets(forgets) => self.stage.world.shop.set_knows_nothing(forgets),
            Common::Rotate(secret) => self.rotate(secret),
            Common::Reload => self.reload()?,
            Common::Heal => self.heal()?,
        }
        self.collect_post();
        Ok(())
    }

    fn look_all(&self) {
        for instance in self.instances.iter().flatten() {
            instance.look();
        }
    }

    fn outage(&mut self, what: Away, is_away: bool) {
        match (what, is_away) {
            (Away::Outside(side), true) => {
                self.away.insert(side);
            }
            (Away::Outside(side), false) => {
                self.away.remove(&side);
            }
            (Away::Store, _) => {
                self.is_store_away = is_away;
                for instance in self.instances.iter().flatten() {
                    instance.gate.set_away(is_away);
                }
                if !is_away {
                    self.look_all();
                }
            }
        }
    }

    fn dies(&mut self, number: usize) {
        let Some(Some(instance)) = self.instances.get(number) else {
            return;
        };
        let mut chance = self.luck.chance(&["dies", &instance.name]);
        if chance.hits(300) {
            self.crash(number);
        } else {
            instance.gate.end_after(chance.below(PLACES));
        }
    }

    fn rotate(&mut self, what: Secret) {
        let keys = &mut self.stage.keys;
        let count = match what {
            Secret::Webhook => &mut keys.webhook,
            Secret::Shop => &mut keys.shop,
            Secret::Api => &mut keys.api,
        };
        *count = count.saturating_add(1);
        let keys = self.stage.keys;
        let world = &mut self.stage.world;
        world.psp.change_webhook_secret(&keys.webhook_secret());
        world.psp.change_api_key(&keys.api_key());
        world.shop.change_secret(keys.shop_secret());
    }

    fn reload(&mut self) -> Result<(), BadSetting> {
        self.told = self.stage.keys;
        for instance in self.instances.iter().flatten() {
            instance.reload(&self.house.setting, self.told)?;
        }
        Ok(())
    }

    /// All trouble ends: what is away comes back, what is unfinished outside comes to its end.
    fn heal(&mut self) -> Result<(), BadSetting> {
        let now = self.now();
        self.is_healed = true;
        self.luck.end();
        self.away.clear();
        self.is_store_away = false;
        self.skews.fill(0);
        for instance in self.instances.iter_mut().flatten() {
            instance.gate.set_away(false);
            instance.paused_until = None;
        }
        self.reload()?;
        self.stage.finish(&self.stories, now);
        for number in 0..self.house.setting.instances {
            self.start(number)?;
        }
        self.look_all();
        self.replay_quarantine(now);
        self.set_first_look();
        Ok(())
    }

    fn replay_quarantine(&self, now: Time) {
        let store = &self.house.store;
        let entries = store.quarantined(REPLAYED_MAX).now_or_never();
        let entries = entries.and_then(Result::ok).unwrap_or_default();
        let Some(instance) = self.instances.iter().flatten().next() else {
            return;
        };
        let (store, roster) = (store.clone(), instance.roster());
        self.say(|| format!("{} entries are replayed at {}", entries.len(), now.micros()));
        instance.spawn(async move {
            for entry in entries {
                let replayed = replay::replay(store.as_ref(), &roster, entry.id).await;
                if let Err(refused) = replayed {
                    tracing::debug!(%refused, "an entry was not replayed");
                }
            }
        });
    }

    /// An operator looks at what is held, and rules on one of it or releases the brake.
    fn operator_looks(&mut self, number: u32) {
        let name = number.to_string();
        let mut chance = self.luck.chance(&["operator", &name]);
        let filter = CheckoutFilter {
            verdicts: vec![Verdict::Held],
            limit: HELD_MAX,
            ..CheckoutFilter::default()
        };
        let held = self.house.store.checkouts(&filter).now_or_never();
        let held = held.and_then(Result::ok).unwrap_or_default();
        let Some(Some(instance)) = self.instances.iter().find(|one| one.is_some()) else {
            return;
        };
        let desk = instance.desk.clone();
        if chance.hits(300) {
            self.stage.ledger.epoch_back_at = None;
            if let Ok(shop) = ShopId::parse(SHOP) {
                instance.spawn(async move {
                    drop(desk.release_brake(&shop, "operator", "looked").await);
                });
            }
            return;
        }
        let Some(chosen) = chance.one_of(&held).cloned() else {
            return;
        };
        let overrides = OVERRIDABLE
            .into_iter()
            .filter(|_| chance.hits(200))
            .map(str::to_owned)
            .collect();
        let kind = chance.weighted(&RULINGS).unwrap_or(RulingKind::Retry);
        let ruling = Ruling {
            at: desk.clock.now(),
            ruling: kind,
            by: "operator".to_owned(),
            note: String::new(),
            overrides,
        };
        self.say(|| {
            format!(
                "operator: {kind:?} on {:?} {}",
                chosen.row.reference, chosen.row.id
            )
        });
        let id = chosen.row.id.clone();
        if let Some(Some(instance)) = self.instances.iter().find(|one| one.is_some()) {
            instance.spawn(async move {
                drop(desk.rule(&id, ruling, None).await);
            });
        }
        self.note_ruling(&chosen, kind);
    }

    fn note_ruling(&mut self, chosen: &LoadedCheckout, kind: RulingKind) {
        let ledger = &mut self.stage.ledger;
        ledger.epoch_back_at = None;
        let payments = view::checkout(chosen).map(|view| view.payments);
        let payments = payments.unwrap_or_default();
        let mut customers: Vec<String> = payments
            .into_iter()
            .filter(|payment| payment.account == ACCOUNT)
            .map(|payment| ledger.owner(&payment.id))
            .collect();
        customers.extend(chosen.row.reference.as_ref().map(ToString::to_string));
        for customer in customers {
            ledger.touch(&customer, Touch::Ruled);
            match kind {
                RulingKind::Confirm => ledger.touch(&customer, Touch::ConfirmForced),
                RulingKind::Refund => ledger.touch(&customer, Touch::RefundOrdered),
                RulingKind::Settle => ledger.touch(&customer, Touch::Settled),
                RulingKind::Retry | RulingKind::Hold | RulingKind::Resume => {}
            }
        }
    }
}
