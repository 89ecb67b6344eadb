//! What `reconciled check` says: what would run, for people and for machines.
//!
//! Pure over a checked `Config`; shows where each secret comes from and never the secret.

use super::Config;
use super::problem::Problem;
use super::psp::{AccountConfig, CLAIMS};
use super::secret::Secret;
use super::server::ROLES;
use super::shop::{HOLD_OR_REFUND, KINDS, LATE_PAYMENT, MODES, OVERPAYMENT, ShopConfig};
use super::store::{PostgresConfig, StoreConfig};
use super::value::{written_duration, written_share, written_time, written_word};
use crate::core::ids::{AccountId, ShopId};
use crate::core::money::Money;
use crate::core::policy::Policy;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What would run, for people: one line per fact, warnings last.
pub fn text(config: &Config) -> String {
    let mut lines = vec![
        format!("public     {}", config.server.public),
        format!("admin      {}", config.server.admin),
        format!("store      {}", config.store),
    ];
    if let StoreConfig::Postgres(postgres) = &config.store {
        push_rows(&mut lines, postgres_rows(postgres));
    }
    lines.push(format!(
        "retention  bodies {}, checkouts {}",
        written_duration(config.retention.bodies),
        written_duration(config.retention.checkouts)
    ));
    if config.server.heartbeat_url.is_some() {
        lines.push("heartbeat  set".to_owned());
    }
    for token in &config.admin_tokens {
        let role = written_word(ROLES, &token.role);
        lines.push(format!(
            "token      {} ({role}) {}",
            token.name, token.token
        ));
    }
    for (id, shop) in &config.shops {
        lines.push(String::new());
        let (kind, mode) = (
            written_word(KINDS, &shop.kind),
            written_word(MODES, &shop.policy.mode),
        );
        lines.push(format!("shop {id} ({kind}, mode {mode}): {}", shop.name));
        push_rows(&mut lines, shop_rows(id, shop));
        push_rows(&mut lines, policy_rows(&shop.policy));
    }
    for (id, account) in &config.accounts {
        lines.push(String::new());
        let live = if account.live { "live" } else { "test" };
        let kind = account.kind.word();
        lines.push(format!(
            "psp {id} ({kind}, {live}) for shop {}",
            account.shop
        ));
        push_rows(&mut lines, account_rows(id, account));
    }
    for warning in &config.warnings {
        lines.push(String::new());
        lines.push(warning.to_string());
    }
    lines.push(String::new());
    lines.push(summary(config));
    lines.join("\n")
}

/// What would run, for machines, with `warnings` and `fingerprint`.
pub fn json(config: &Config) -> Value {
    let warnings = config.warnings.iter().map(Problem::json).collect();
    let mut entries = meaning(config);
    entries.push(("warnings", Value::Array(warnings)));
    entries.push(("fingerprint", config.fingerprint().into()));
    object(entries)
}

/// SHA-256 over the redacted meaning in its canonical form (sorted keys, no blanks).
pub(super) fn fingerprint(config: &Config) -> String {
    let canonical = object(meaning(config)).to_string();
    hex::encode(Sha256::digest(canonical.as_bytes()))
}

fn summary(config: &Config) -> String {
    let count = |number: usize, noun: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {noun}{plural}")
    };
    let warnings = config.warnings.len();
    format!(
        "configuration accepted: {}, {}, {}; fingerprint {}",
        count(config.shops.len(), "shop"),
        count(config.accounts.len(), "PSP account"),
        count(warnings, "remark"),
        config.fingerprint().get(..12).unwrap_or_default(),
    )
}

type Rows = Vec<(&'static str, Value)>;

fn meaning(config: &Config) -> Rows {
    let tokens = config.admin_tokens.iter().map(|token| {
        object(vec![
            ("name", token.name.as_str().into()),
            ("role", written_word(ROLES, &token.role).into()),
            ("token", secret(&token.token)),
        ])
    });
    let shops = config.shops.iter().map(|(id, shop)| {
        let mut rows = shop_rows(id, shop);
        rows.extend([
            ("name", shop.name.as_str().into()),
            ("kind", written_word(KINDS, &shop.kind).into()),
            ("mode", written_word(MODES, &shop.policy.mode).into()),
            ("policy", object(policy_rows(&shop.policy))),
        ]);
        (id.to_string(), object(rows))
    });
    let accounts = config.accounts.iter().map(|(id, account)| {
        let mut rows = account_rows(id, account);
        rows.extend([
            ("kind", account.kind.word().into()),
            ("shop", account.shop.as_str().into()),
            ("live", account.live.into()),
        ]);
        (id.to_string(), object(rows))
    });
    let mut rows = vec![
        ("public", config.server.public.to_string().into()),
        ("admin", config.server.admin.to_string().into()),
        ("store", config.store.to_string().into()),
        (
            "retention",
            object(vec![
                ("bodies", written_duration(config.retention.bodies).into()),
                (
                    "checkouts",
                    written_duration(config.retention.checkouts).into(),
                ),
            ]),
        ),
        ("admin_tokens", tokens.collect()),
        ("shops", Value::Object(shops.collect())),
        ("accounts", Value::Object(accounts.collect())),
    ];
    if let StoreConfig::Postgres(postgres) = &config.store {
        rows.push(("store_use", object(postgres_rows(postgres))));
    }
    // The address itself may be what the watcher knows us by.
    let heartbeat = config.server.heartbeat_url.as_ref();
    rows.extend(heartbeat.map(|_| ("heartbeat_url", "set".into())));
    rows
}

fn postgres_rows(postgres: &PostgresConfig) -> Rows {
    vec![
        ("password", postgres.password.as_ref().map(secret).into()),
        ("connections", postgres.connections.into()),
        (
            "statement_timeout",
            written_duration(postgres.statement_timeout).into(),
        ),
        ("session_features", postgres.session_features.into()),
    ]
}

fn shop_rows(id: &ShopId, shop: &ShopConfig) -> Rows {
    vec![
        ("calls", shop.url.as_str().into()),
        ("events", format!("POST /shops/{id}/events").into()),
        ("secret", secret(&shop.secret)),
        (
            "previous_secret",
            shop.previous_secret.as_ref().map(secret).into(),
        ),
        ("calls_at_once", shop.calls_at_once.into()),
        ("calls_per_second", shop.calls_per_second.into()),
    ]
}

fn policy_rows(policy: &Policy) -> Rows {
    let span = |span| Value::from(written_duration(span));
    let guard = &policy.guard;
    vec![
        ("order_grace", span(policy.order_grace)),
        ("second_look", span(policy.second_look)),
        ("refund_delay", span(policy.refund_delay)),
        ("reversal_wait", span(policy.reversal_wait)),
        ("refund_within", span(policy.refund_within)),
        ("confirm_patience", span(policy.confirm_patience)),
        ("outage_patience", span(policy.outage_patience)),
        ("confirm_check", span(policy.confirm_check)),
        ("refund_patience", span(policy.refund_patience)),
        (
            "late_payment",
            written_word(LATE_PAYMENT, &policy.late_payment).into(),
        ),
        (
            "overpayment",
            written_word(OVERPAYMENT, &policy.overpayment).into(),
        ),
        (
            "underpayment",
            written_word(HOLD_OR_REFUND, &policy.underpayment).into(),
        ),
        (
            "unreferenced",
            written_word(HOLD_OR_REFUND, &policy.unreferenced).into(),
        ),
        ("tolerance", money(policy.tolerance)),
        ("canary", policy.canary.into()),
        ("auto_refund_limit", money(policy.auto_refund_limit)),
        ("max_refunds_per_hour", guard.max_refunds_per_hour.into()),
        (
            "max_refund_sum_per_hour",
            money(guard.max_refund_sum_per_hour),
        ),
        (
            "max_refund_share",
            written_share(guard.max_refund_share_millionths).into(),
        ),
    ]
}

fn account_rows(id: &AccountId, account: &AccountConfig) -> Rows {
    let pattern = account.reference_pattern.as_ref();
    let paths = account.reference_paths.iter().map(String::as_str);
    let mut rows = vec![("webhooks", Value::from(format!("POST /webhooks/{id}")))];
    rows.extend(account.kind.rows());
    rows.extend([
        ("reference", paths.collect()),
        (
            "reference_pattern",
            pattern.map(|pattern| pattern.as_str()).into(),
        ),
        ("claims", written_word(CLAIMS, &account.claims).into()),
        ("since", account.since.map(written_time).into()),
        ("sweep_every", written_duration(account.sweep_every).into()),
        (
            "sweep_window",
            written_duration(account.sweep_window).into(),
        ),
        ("calls_at_once", account.calls_at_once.into()),
        ("calls_per_second", account.calls_per_second.into()),
        ("is_shared", account.is_shared.into()),
    ]);
    rows
}

pub(super) fn secret(secret: &Secret) -> Value {
    secret.to_string().into()
}

fn money(money: Money) -> Value {
    object(vec![
        ("value", money.value().into()),
        ("currency", money.currency().code().into()),
    ])
}

fn object(rows: Rows) -> Value {
    let rows = rows.into_iter().map(|(key, value)| (key.to_owned(), value));
    Value::Object(rows.collect::<Map<String, Value>>())
}

/// Rows for people: absent ones are left out, the others aligned.
fn push_rows(lines: &mut Vec<String>, rows: Rows) {
    for (key, value) in rows {
        if let Some(shown) = shown(&value) {
            lines.push(format!("  {key:<24} {shown}"));
        }
    }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(truth) => Some(if *truth { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(shown).collect();
            Some(items.join(", "))
        }
        Value::Object(entries) => {
            // The only table in a row is an amount.
            let part = |key: &str| entries.get(key).and_then(Value::as_str).unwrap_or_default();
            Some(format!("{} {}", part("value"), part("currency")))
        }
    }
}
