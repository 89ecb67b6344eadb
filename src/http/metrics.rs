//! `/metrics`: the daemon's counters, and what the store says at the moment of the scrape.
//!
//! Gauges over checkouts are read from the store each time, so that several instances on one
//! store tell the same and a restart forgets nothing. Labels name shops, accounts, kinds and
//! verdicts, never a payment, an order or a customer.

use super::admin::format;
use super::admin::{AdminState, store_problem};
use super::counters::{IntakeCounters, Outcome, SenderKind};
use super::problem::{Code, Problem};
use super::status::{LOOKALIKES_OVER, LOOKALIKES_READ};
use crate::core::ids::ShopId;
use crate::core::time::Time;
use crate::store::{Backlog, Lookalike, ShopRow, StoreError, SweepMark, VerdictCount};
use crate::telemetry::PREFIX;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;

/// The content type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    shop: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoneyLabels {
    shop: String,
    verdict: &'static str,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BrakeLabels {
    shop: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShopLabel {
    shop: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabel {
    account: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    sender: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

/// What the store says at a scrape.
#[derive(Debug, Default)]
pub struct Scraped {
    /// Counts by shop and verdict.
    pub overview: Vec<VerdictCount>,
    /// Sizes and ages.
    pub backlog: Backlog,
    /// Sweep marks.
    pub marks: Vec<SweepMark>,
    /// What is kept about the configured shops.
    pub shops: Vec<ShopRow>,
    /// Settled orders of the last day that look like another one.
    pub lookalikes: Vec<Lookalike>,
}

/// `GET /metrics`
pub async fn scrape(State(state): State<AdminState>) -> Response {
    let scraped = match read(&state).await {
        Ok(scraped) => scraped,
        Err(error) => return store_problem(&error),
    };
    let mut registry = Registry::with_prefix(PREFIX);
    fill(&mut registry, &scraped, state.clock.now());
    register_deliveries(&mut registry, &state.intake);
    match state.telemetry.encode(&registry) {
        Ok(text) => format::typed(text, OPEN_METRICS),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            Problem::new(Code::Internal).into_response()
        }
    }
}

async fn read(state: &AdminState) -> Result<Scraped, StoreError> {
    let keys: Vec<_> = state.roster.load().shops.keys().cloned().collect();
    let mut shops = Vec::with_capacity(keys.len());
    for key in &keys {
        shops.push(state.store.shop(key).await?);
    }
    let since = state.clock.now().minus(LOOKALIKES_OVER);
    Ok(Scraped {
        overview: state.store.overview().await?,
        backlog: state.store.backlog().await?,
        marks: state.store.sweep_marks().await?,
        shops,
        lookalikes: state.store.lookalikes(since, LOOKALIKES_READ).await?,
    })
}

/// Registers the gauges of one scrape.
pub fn fill(registry: &mut Registry, scraped: &Scraped, now: Time) {
    register_checkouts(registry, &scraped.overview, now);
    register_brakes(registry, &scraped.shops);
    register_lookalikes(registry, scraped);
    register_backlog(registry, &scraped.backlog, now);
    register_sweeps(registry, &scraped.marks, now);
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn age(since: Time, now: Time) -> i64 {
    gauge(now.since(since).seconds())
}

fn register_checkouts(registry: &mut Registry, overview: &[VerdictCount], now: Time) {
    let checkouts: Family<VerdictLabels, Gauge> = Family::default();
    let oldest: Family<VerdictLabels, Gauge> = Family::default();
    let suspense: Family<MoneyLabels, Gauge> = Family::default();
    for line in overview {
        let labels = VerdictLabels {
            shop: line.shop.to_string(),
            verdict: line.verdict.code(),
        };
        checkouts.get_or_create(&labels).set(gauge(line.count));
        if let Some(since) = line.oldest.filter(|_| !line.verdict.is_at_rest()) {
            oldest.get_or_create(&labels).set(age(since, now));
        }
        for money in &line.in_suspense {
            let labels = MoneyLabels {
                shop: line.shop.to_string(),
                verdict: line.verdict.code(),
                currency: money.currency().code().to_owned(),
            };
            suspense.get_or_create(&labels).set(money.minor());
        }
    }
    registry.register("checkouts", "Checkouts by shop and verdict", checkouts);
    registry.register_with_unit(
        "oldest_checkout_age",
        "Age of the oldest checkout that is not at rest, by shop and verdict",
        Unit::Seconds,
        oldest,
    );
    registry.register(
        "suspense_minor",
        "Captured money that is neither settled nor back, in minor units of the currency",
        suspense,
    );
}

fn register_brakes(registry: &mut Registry, shops: &[ShopRow]) {
    let brakes: Family<BrakeLabels, Gauge> = Family::default();
    for (shop, (cause, _)) in shops
        .iter()
        .filter_map(|row| row.brake.map(|brake| (&row.shop, brake)))
    {
        let labels = BrakeLabels {
            shop: shop.to_string(),
            cause: cause.code(),
        };
        brakes.get_or_create(&labels).set(1);
    }
    registry.register(
        "brake",
        "1 while the guard holds a shop's refunds back, by cause",
        brakes,
    );
}

fn register_lookalikes(registry: &mut Registry, scraped: &Scraped) {
    let alike: Family<ShopLabel, Gauge> = Family::default();
    let label = |shop: &ShopId| ShopLabel {
        shop: shop.to_string(),
    };
    for row in &scraped.shops {
        alike.get_or_create(&label(&row.shop)).set(0);
    }
    for one in &scraped.lookalikes {
        alike.get_or_create(&label(&one.shop)).inc();
    }
    registry.register(
        "lookalikes",
        "Settled orders of the last 24 h that look like a duplicate of another one, by shop",
        alike,
    );
}

fn register_backlog(registry: &mut Registry, backlog: &Backlog, now: Time) {
    let sizes: Family<QueueLabel, Gauge> = Family::default();
    for (queue, size) in [
        ("deliveries_pending", backlog.deliveries_pending),
        ("deliveries_parked", backlog.deliveries_parked),
        ("quarantine", backlog.quarantined),
    ] {
        sizes.get_or_create(&QueueLabel { queue }).set(gauge(size));
    }
    let actions: Family<KindLabel, Gauge> = Family::default();
    for (kind, count) in &backlog.actions {
        let labels = KindLabel { kind: kind.code() };
        actions.get_or_create(&labels).set(gauge(*count));
    }
    let delivery_age = Gauge::<i64>::default();
    delivery_age.set(backlog.oldest_delivery.map_or(0, |since| age(since, now)));
    let overdue = Gauge::<i64>::default();
    overdue.set(backlog.oldest_due.map_or(0, |due| age(due, now)));
    registry.register("backlog", "Rows that wait, by queue", sizes);
    registry.register("actions_wanted", "Standing actions, by kind", actions);
    registry.register_with_unit(
        "oldest_delivery_age",
        "Age of the oldest delivery that waits for the engine",
        Unit::Seconds,
        delivery_age,
    );
    registry.register_with_unit(
        "action_overdue",
        "How long the most overdue action has been due",
        Unit::Seconds,
        overdue,
    );
}

fn register_sweeps(registry: &mut Registry, marks: &[SweepMark], now: Time) {
    let mut worst: BTreeMap<&str, (Option<Time>, bool)> = BTreeMap::new();
    for mark in marks {
        let known = worst
            .entry(mark.account.as_str())
            .or_insert((mark.swept_at, false));
        known.0 = known.0.min(mark.swept_at);
        known.1 |= mark.last_error.is_some();
    }
    let ages: Family<AccountLabel, Gauge> = Family::default();
    let failing: Family<AccountLabel, Gauge> = Family::default();
    for (account, (swept_at, has_error)) in worst {
        let labels = AccountLabel {
            account: account.to_owned(),
        };
        if let Some(swept_at) = swept_at {
            ages.get_or_create(&labels).set(age(swept_at, now));
        }
        failing.get_or_create(&labels).set(i64::from(has_error));
    }
    registry.register_with_unit(
        "sweep_age",
        "Age of an account's latest whole sweep; missing before the first one",
        Unit::Seconds,
        ages,
    );
    registry.register(
        "sweep_failing",
        "1 while the latest sweep of an account was stopped by an error",
        failing,
    );
}

fn register_deliveries(registry: &mut Registry, counters: &IntakeCounters) {
    let deliveries: Family<DeliveryLabels, Counter> = Family::default();
    for kind in SenderKind::ALL {
        for outcome in Outcome::ALL {
            let labels = DeliveryLabels {
                sender: kind.word(),
                outcome: outcome.word(),
            };
            deliveries
                .get_or_create(&labels)
                .inc_by(counters.read(kind, outcome));
        }
    }
    registry.register(
        "deliveries",
        "Deliveries at the public listener, by kind of sender and outcome",
        deliveries,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fact::BrakeCause;
    use crate::core::ids::{AccountId, ShopId};
    use crate::core::money::{Currency, Money};
    use crate::core::plan::Verdict;

    #[test]
    fn a_scrape_tells_money_ages_brakes_and_sweeps() {
        let now = Time::from_seconds(1_000);
        let shop = ShopId::parse("klompen").unwrap();
        let mark = |listing, swept_at: Option<i64>, last_error: Option<&str>| SweepMark {
            account: AccountId::parse("stripe_nl").unwrap(),
            listing,
            mark: Time::from_seconds(0),
            swept_at: swept_at.map(Time::from_seconds),
            last_error: last_error.map(ToOwned::to_owned),
        };
        let scraped = Scraped {
            overview: vec![VerdictCount {
                shop: shop.clone(),
                verdict: Verdict::Confirming,
                count: 2,
                in_suspense: vec![Money::new(11_990, Currency::EUR)],
                oldest: Some(Time::from_seconds(160)),
            }],
            backlog: Backlog {
                deliveries_parked: 3,
                oldest_due: Some(Time::from_seconds(990)),
                ..Backlog::default()
            },
            marks: vec![
                mark(0, Some(988), None),
                mark(1, Some(900), Some("timeout")),
            ],
            shops: vec![ShopRow {
                shop,
                epoch: None,
                brake: Some((BrakeCause::RefundSum, now)),
            }],
            lookalikes: Vec::new(),
        };
        let mut registry = Registry::with_prefix(PREFIX);
        fill(&mut registry, &scraped, now);
        register_deliveries(&mut registry, &IntakeCounters::default());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"reconciled_checkouts{shop="klompen",verdict="confirming"} 2"#,
            r#"reconciled_oldest_checkout_age_seconds{shop="klompen",verdict="confirming"} 840"#,
            r#"reconciled_suspense_minor{shop="klompen",verdict="confirming",currency="EUR"} 11990"#,
            r#"reconciled_brake{shop="klompen",cause="max_refund_sum_per_hour"} 1"#,
            r#"reconciled_backlog{queue="deliveries_parked"} 3"#,
            r#"reconciled_lookalikes{shop="klompen"} 0"#,
            "reconciled_action_overdue_seconds 10",
            r#"reconciled_sweep_age_seconds{account="stripe_nl"} 100"#,
            r#"reconciled_sweep_failing{account="stripe_nl"} 1"#,
            r#"reconciled_deliveries_total{sender="psp",outcome="wrong_secret"} 0"#,
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
    }
}
