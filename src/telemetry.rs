//! Counting and logging: one registry of metrics with typed labels, and the set-up of logs.
//!
//! Knows names of shops, accounts, kinds and outcomes, which are bounded by the configuration
//! and by our own enums. No label ever names a payment, an order or a customer.

mod labels;
pub mod logs;

use crate::core::fact::Outcome;
use crate::core::ids::{AccountId, ShopId};
use crate::core::money::Money;
use crate::core::plan::{ActionKind, Destination, Reason, Verdict};
use crate::core::time::Span;
use labels::{
    AccountLabel, ActionLabels, BreachLabels, BuildLabels, CaptureLabels, CodeLabel, ConfigLabels,
    DecisionLabels, DestinationLabel, KindLabel, RefundLabels, ResultLabel, ShopLabel, SweepLabels,
    kind_word, outcome_word,
};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Prefix of every name.
pub const PREFIX: &str = "reconciled";

/// Upper bounds of the action histogram in seconds; the last one is a call's own time limit.
const ACTION_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the batch histogram in checkouts.
const BATCH_UNITS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0];

/// Payments in a row that only sweeps told of, from which on the webhooks count as silent.
pub const UNHEARD_CAPTURES_MIN: u64 = 3;

type ActionSeconds = Family<KindLabel, Histogram, fn() -> Histogram>;

/// The counters of one daemon. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    actions: Family<ActionLabels, Counter>,
    action_seconds: ActionSeconds,
    batch_units: Histogram,
    units: Family<ResultLabel, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    breaches: Family<BreachLabels, Counter>,
    captures: Family<CaptureLabels, Counter>,
    unheard: Family<ShopLabel, Gauge>,
    unheard_now: Mutex<BTreeMap<ShopId, u64>>,
    refunds: Family<RefundLabels, Counter>,
    refunded: Family<RefundLabels, Counter>,
    sweeps: Family<SweepLabels, Counter>,
    swept_payments: Family<AccountLabel, Counter>,
    breaker_open: Family<DestinationLabel, Gauge>,
    admin_refusals: Family<CodeLabel, Counter>,
    reloads: Family<ResultLabel, Counter>,
    config: Family<ConfigLabels, Gauge>,
}

impl Telemetry {
    /// New counters, all at zero. `version` is the program's.
    pub fn new(version: &'static str) -> Telemetry {
        let mut shared = Shared {
            registry: Registry::with_prefix(PREFIX),
            actions: Family::default(),
            action_seconds: Family::new_with_constructor(|| Histogram::new(ACTION_SECONDS)),
            batch_units: Histogram::new(BATCH_UNITS),
            units: Family::default(),
            decisions: Family::default(),
            breaches: Family::default(),
            captures: Family::default(),
            unheard: Family::default(),
            unheard_now: Mutex::default(),
            refunds: Family::default(),
            refunded: Family::default(),
            sweeps: Family::default(),
            swept_payments: Family::default(),
            breaker_open: Family::default(),
            admin_refusals: Family::default(),
            reloads: Family::default(),
            config: Family::default(),
        };
        shared.register_actions();
        shared.register_work();
        shared.register_daemon(version);
        Telemetry {
            shared: Arc::new(shared),
        }
    }

    /// One attempt of an action ended.
    pub fn action_ended(
        &self,
        destination: &Destination,
        kind: ActionKind,
        outcome: &Outcome,
        took: Span,
    ) {
        let labels = ActionLabels {
            destination: destination.into(),
            kind: kind_word(kind),
            outcome: outcome_word(outcome),
        };
        self.shared.actions.get_or_create(&labels).inc();
        let seconds = Duration::from_micros(took.micros()).as_secs_f64();
        self.shared
            .action_seconds
            .get_or_create(&KindLabel {
                kind: kind_word(kind),
            })
            .observe(seconds);
    }

    /// The engine committed a batch: units taken, and units that dropped out on a conflict.
    pub fn batch_committed(&self, done: u32, conflicts: u32) {
        self.shared.batch_units.observe(f64::from(done));
        for (result, count) in [("done", done), ("conflict", conflicts)] {
            self.shared
                .units
                .get_or_create(&ResultLabel { result })
                .inc_by(u64::from(count));
        }
    }

    /// The engine decided: a checkout of this shop now stands here, and why.
    pub fn decided(&self, shop: &ShopId, verdict: Verdict, reason: Reason) {
        let labels = DecisionLabels {
            shop: shop.to_string(),
            verdict: verdict.code(),
            reason: reason.code(),
        };
        self.shared.decisions.get_or_create(&labels).inc();
    }

    /// How often payments of the other mode (test at a live account, or live at a test account)
    /// were told of for this shop, since the start.
    pub fn wrong_mode(&self, shop: &ShopId) -> u64 {
        let labels = DecisionLabels {
            shop: shop.to_string(),
            verdict: Verdict::Foreign.code(),
            reason: Reason::WrongMode.code(),
        };
        let counted = self.shared.decisions.get(&labels);
        counted.map_or(0, |counter| counter.get())
    }

    /// A plan for a checkout of this shop would have broken a promise and was not committed;
    /// `promise` is the check's own word.
    pub fn breached(&self, shop: &ShopId, promise: &'static str) {
        let labels = BreachLabels {
            shop: shop.to_string(),
            promise,
        };
        self.shared.breaches.get_or_create(&labels).inc();
    }

    /// Payments of this shop turned out to be captured; `learned_by` says who told first. Where
    /// sweeps tell nearly always, webhooks do not arrive.
    pub fn captured(&self, shop: &ShopId, learned_by: &'static str) {
        let labels = CaptureLabels {
            shop: shop.to_string(),
            learned_by,
        };
        self.shared.captures.get_or_create(&labels).inc();
        if learned_by != "sweep" {
            return;
        }
        let unheard = self.change_unheard(shop, |count| count.saturating_add(1));
        if unheard == UNHEARD_CAPTURES_MIN {
            tracing::warn!(
                %shop,
                unheard,
                "payments of {shop} are found by sweeps alone: no webhook of its PSP arrives"
            );
        }
    }

    /// A signed delivery of this shop's PSP came in: its webhooks reach us.
    pub fn heard(&self, shop: &ShopId) {
        self.change_unheard(shop, |_| 0);
    }

    /// Shops whose payments only sweeps have told of since the PSP's last delivery: how many in a
    /// row, where that is no chance any more.
    pub fn unheard(&self) -> Vec<(ShopId, u64)> {
        let counts = &self.shared.unheard_now;
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = counts
            .iter()
            .filter(|(_, count)| **count >= UNHEARD_CAPTURES_MIN);
        silent.map(|(shop, count)| (shop.clone(), *count)).collect()
    }

    fn change_unheard(&self, shop: &ShopId, change: impl FnOnce(u64) -> u64) -> u64 {
        let counts = &self.shared.unheard_now;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(shop.clone()).or_default();
        *count = change(*count);
        let label = ShopLabel {
            shop: shop.to_string(),
        };
        let shown = i64::try_from(*count).unwrap_or(i64::MAX);
        self.shared.unheard.get_or_create(&label).set(shown);
        *count
    }

    /// A PSP accepted a refund of ours.
    pub fn refunded(&self, shop: &ShopId, account: &AccountId, amount: Money) {
        let labels = RefundLabels {
            shop: shop.to_string(),
            account: account.to_string(),
            currency: amount.currency().code().to_owned(),
        };
        self.shared.refunds.get_or_create(&labels).inc();
        let minor = u64::try_from(amount.minor()).unwrap_or(0);
        self.shared.refunded.get_or_create(&labels).inc_by(minor);
    }

    /// A sweep of an account ended, whole or not, having listed so many payments.
    pub fn sweep_ended(&self, account: &AccountId, is_whole: bool, payments: u64) {
        let labels = SweepLabels {
            account: account.to_string(),
            result: if is_whole { "whole" } else { "broken_off" },
        };
        self.shared.sweeps.get_or_create(&labels).inc();
        self.shared
            .swept_payments
            .get_or_create(&AccountLabel {
                account: account.to_string(),
            })
            .inc_by(payments);
    }

    /// A destination's circuit breaker opened or closed.
    pub fn breaker(&self, destination: &Destination, is_open: bool) {
        self.shared
            .breaker_open
            .get_or_create(&DestinationLabel {
                destination: destination.into(),
            })
            .set(i64::from(is_open));
    }

    /// The admin listener refused a caller, with this problem code.
    pub fn admin_refused(&self, code: &'static str) {
        let labels = CodeLabel { code };
        self.shared.admin_refusals.get_or_create(&labels).inc();
    }

    /// A reload of the configuration was taken or refused.
    pub fn reloaded(&self, is_taken: bool) {
        let result = if is_taken { "taken" } else { "refused" };
        self.shared
            .reloads
            .get_or_create(&ResultLabel { result })
            .inc();
    }

    /// The running configuration's fingerprint; the one before disappears.
    pub fn config_loaded(&self, fingerprint: &str) {
        let labels = ConfigLabels {
            fingerprint: fingerprint.to_owned(),
        };
        self.shared.config.clear();
        self.shared.config.get_or_create(&labels).set(1);
    }

    /// Everything as OpenMetrics text: these counters, then what `scraped` holds.
    ///
    /// # Errors
    /// When a metric cannot be written, which is a fault of ours.
    pub fn encode(&self, scraped: &Registry) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.shared.registry)?;
        encode_registry(&mut text, scraped)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Shared {
    fn register_actions(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "actions",
            "Attempts of actions that ended, by destination, kind and outcome",
            self.actions.clone(),
        );
        registry.register_with_unit(
            "action",
            "How long attempts of actions took",
            Unit::Seconds,
            self.action_seconds.clone(),
        );
        registry.register(
            "refunds_accepted",
            "Refunds of ours that a PSP accepted",
            self.refunds.clone(),
        );
        registry.register(
            "refunds_accepted_minor",
            "Their sum in minor units of the currency",
            self.refunded.clone(),
        );
        registry.register(
            "breaker_open",
            "1 while calls to a destination are held back after failures",
            self.breaker_open.clone(),
        );
    }

    fn register_work(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "engine_batch_units",
            "Checkouts committed per batch of the engine",
            self.batch_units.clone(),
        );
        registry.register(
            "engine_units",
            "Units of change, by whether they were committed or met a conflict",
            self.units.clone(),
        );
        registry.register(
            "decisions",
            "Decisions of the engine, by shop, verdict and reason",
            self.decisions.clone(),
        );
        registry.register(
            "promise_breaches",
            "Plans that would have broken a promise and were not committed, by shop and promise",
            self.breaches.clone(),
        );
        registry.register(
            "captures",
            "Payments that turned out to be captured, by shop and by who told first",
            self.captures.clone(),
        );
        registry.register(
            "captures_unheard",
            "Captured payments in a row that only sweeps told of, since the PSP's last delivery",
            self.unheard.clone(),
        );
        registry.register(
            "sweeps",
            "Sweeps that ended, by account and whether the list was read whole",
            self.sweeps.clone(),
        );
        registry.register(
            "swept_payments",
            "Payments that sweeps listed",
            self.swept_payments.clone(),
        );
    }

    fn register_daemon(&mut self, version: &'static str) {
        let registry = &mut self.registry;
        registry.register(
            "admin_refusals",
            "Requests that the admin listener refused, by problem code",
            self.admin_refusals.clone(),
        );
        registry.register(
            "config_reloads",
            "Reloads of the configuration, by result",
            self.reloads.clone(),
        );
        registry.register(
            "config_loaded",
            "1 for the fingerprint of the running configuration",
            self.config.clone(),
        );
        let build = Info::new(BuildLabels { version });
        registry.register("build", "The program's version", build);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::money::Currency;

    fn shop() -> ShopId {
        ShopId::parse("klompen").unwrap()
    }

    fn account() -> AccountId {
        AccountId::parse("stripe_nl").unwrap()
    }

    fn encoded(telemetry: &Telemetry) -> String {
        telemetry.encode(&Registry::with_prefix(PREFIX)).unwrap()
    }

    #[test]
    fn webhooks_count_as_silent_after_three_sweeps_in_a_row_and_not_after_a_delivery() {
        let telemetry = Telemetry::new("1.2.3");
        telemetry.captured(&shop(), "sweep");
        telemetry.captured(&shop(), "sweep");
        telemetry.captured(&shop(), "delivery");
        telemetry.captured(&shop(), "read");
        assert_eq!(telemetry.unheard(), []);
        telemetry.captured(&shop(), "sweep");
        assert_eq!(telemetry.unheard(), [(shop(), 3)]);
        let line = r#"reconciled_captures_unheard{shop="klompen"} 3"#;
        assert!(encoded(&telemetry).contains(line));
        telemetry.heard(&shop());
        assert_eq!(telemetry.unheard(), []);
    }

    #[test]
    fn what_is_counted_is_told_with_its_labels() {
        let telemetry = Telemetry::new("1.2.3");
        let clone = telemetry.clone();
        clone.action_ended(
            &Destination::Shop(shop()),
            ActionKind::Confirm,
            &Outcome::Unclear {
                code: "timeout".to_owned(),
            },
            Span::from_millis(30),
        );
        clone.refunded(&shop(), &account(), Money::new(5995, Currency::EUR));
        clone.batch_committed(3, 1);
        clone.decided(&shop(), Verdict::Held, Reason::Disputed);
        clone.breached(&shop(), "never_both");
        clone.captured(&shop(), "sweep");
        clone.sweep_ended(&account(), false, 7);
        clone.breaker(&Destination::Psp(account()), true);
        clone.admin_refused("unauthorized");
        let text = encoded(&telemetry);
        for line in [
            r#"reconciled_actions_total{destination="shop:klompen",kind="confirm",outcome="unclear"} 1"#,
            r#"reconciled_action_seconds_bucket{le="0.025",kind="confirm"} 0"#,
            r#"reconciled_action_seconds_bucket{le="0.05",kind="confirm"} 1"#,
            r#"reconciled_refunds_accepted_minor_total{shop="klompen",account="stripe_nl",currency="EUR"} 5995"#,
            r#"reconciled_engine_units_total{result="conflict"} 1"#,
            r#"reconciled_decisions_total{shop="klompen",verdict="held",reason="disputed"} 1"#,
            r#"reconciled_promise_breaches_total{shop="klompen",promise="never_both"} 1"#,
            r#"reconciled_captures_total{shop="klompen",learned_by="sweep"} 1"#,
            r#"reconciled_sweeps_total{account="stripe_nl",result="broken_off"} 1"#,
            r#"reconciled_swept_payments_total{account="stripe_nl"} 7"#,
            r#"reconciled_breaker_open{destination="psp:stripe_nl"} 1"#,
            r#"reconciled_admin_refusals_total{code="unauthorized"} 1"#,
            r#"reconciled_build_info{version="1.2.3"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn only_the_running_configuration_is_told() {
        let telemetry = Telemetry::new("1.2.3");
        telemetry.config_loaded("aaaa");
        telemetry.config_loaded("bbbb");
        let text = encoded(&telemetry);
        assert!(text.contains(r#"reconciled_config_loaded{fingerprint="bbbb"} 1"#));
        assert!(!text.contains("aaaa"));
    }
}
