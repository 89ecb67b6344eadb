//! The commit of units in SQLite: a few reads of what they name, then each table in bulk.
//!
//! Which units may happen is judged by `admission`. Everything runs inside the caller's
//! transaction; any error drops all of it.

use super::pack::{Arena, rows};
use super::{guard, likeness, packed, sql};
use crate::core::ids::{ActionKey, CheckoutId, OrderRef, PaymentRef, Reference, ShopId};
use crate::store::admission::{Held, Known, judge, order};
use crate::store::rows::{RawStanding, Reading, content, destination_code, epoch_code, lane, pair};
use crate::store::standing::StandingChanges;
use crate::store::{CheckoutCommit, CommitUnit, Committed, Disposition, StoreError};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

type Stood = BTreeMap<CheckoutId, RawStanding>;
type UnderWay = BTreeMap<CheckoutId, BTreeSet<ActionKey>>;

pub(super) async fn commit(
    connection: &mut SqliteConnection,
    units: &[CommitUnit],
) -> Result<Vec<Committed>, StoreError> {
    let all: Vec<&CheckoutCommit> = units.iter().flat_map(|unit| &unit.checkouts).collect();
    let (stood, under_way) = standings(connection, &all).await?;
    let known = Known {
        checkouts: held(&stood, under_way),
        orders: order_homes(connection, &all).await?,
        payments: payment_homes(connection, &all).await?,
        pending: still_pending(connection, units)
            .await?
            .into_iter()
            .collect(),
    };
    let homes = known.payments.clone();
    let results = judge(units, known)?;
    let admitted: Vec<&CommitUnit> = units
        .iter()
        .zip(&results)
        .filter(|(_, result)| **result == Committed::Done)
        .map(|(unit, _)| unit)
        .collect();
    if !admitted.is_empty() {
        write(connection, &admitted, &stood, &homes).await?;
    }
    Ok(results)
}

async fn standings(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<(Stood, UnderWay), StoreError> {
    let (mut stood, mut under_way) = (Stood::new(), UnderWay::new());
    let ids: Vec<&CheckoutId> = commits.iter().map(|commit| &commit.row.id).collect();
    if ids.is_empty() {
        return Ok((stood, under_way));
    }
    let query = sqlx::query_scalar(sql::SELECT_STANDINGS).bind(rows(&ids)?);
    let found: Vec<(RawStanding, _)> = packed::short(connection, "checkouts", query).await?;
    for (raw, leased) in found {
        let id = raw.id()?;
        under_way.insert(id.clone(), leased);
        stood.insert(id, raw);
    }
    Ok((stood, under_way))
}

fn held(stood: &Stood, mut under_way: UnderWay) -> BTreeMap<CheckoutId, Held> {
    let one = |(id, raw): (&CheckoutId, &RawStanding)| {
        let held = Held {
            version: raw.version,
            head: raw.head.clone(),
            under_way: under_way.remove(id).unwrap_or_default(),
        };
        (id.clone(), held)
    };
    stood.iter().map(one).collect()
}

/// Where the orders live that the commits name.
async fn order_homes(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<BTreeMap<OrderRef, CheckoutId>, StoreError> {
    let orders: Vec<OrderRef> = commits.iter().copied().filter_map(order).collect();
    find_orders(connection, &orders).await
}

pub(super) async fn find_orders(
    connection: &mut SqliteConnection,
    orders: &[OrderRef],
) -> Result<BTreeMap<OrderRef, CheckoutId>, StoreError> {
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<_> = orders
        .iter()
        .map(|one| (&one.shop, &one.reference))
        .collect();
    let wanted = rows(&wanted)?;
    let query = sqlx::query_scalar(sql::SELECT_ORDER_HOMES).bind(wanted);
    let read = |(shop, reference, id): (String, String, String)| {
        let reading = Reading::of("checkouts", &id);
        let order = OrderRef {
            shop: reading.parsed("shop", ShopId::parse(&shop))?,
            reference: reading.parsed("reference", Reference::parse(&reference))?,
        };
        Ok((order, reading.parsed("id", CheckoutId::parse(&id))?))
    };
    let found = packed::short(connection, "checkouts", query).await?;
    found.into_iter().map(read).collect()
}

/// Where the payments live that the commits name.
async fn payment_homes(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<BTreeMap<PaymentRef, CheckoutId>, StoreError> {
    let payments: Vec<&PaymentRef> = commits.iter().flat_map(|one| &one.payments).collect();
    find_payments(connection, &payments).await
}

pub(super) async fn find_payments(
    connection: &mut SqliteConnection,
    payments: &[&PaymentRef],
) -> Result<BTreeMap<PaymentRef, CheckoutId>, StoreError> {
    if payments.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<_> = payments.iter().map(|one| (&one.account, &one.id)).collect();
    let wanted = rows(&wanted)?;
    let query = sqlx::query_scalar(sql::SELECT_PAYMENT_HOMES).bind(wanted);
    let read = |(account, payment, id): (String, String, String)| {
        let reading = Reading::of("payments", pair(&account, &payment));
        let payment = reading.parsed("payment", PaymentRef::parse(&account, &payment))?;
        Ok((payment, reading.parsed("checkout", CheckoutId::parse(&id))?))
    };
    let found = packed::short(connection, "payments", query).await?;
    found.into_iter().map(read).collect()
}

async fn still_pending(
    connection: &mut SqliteConnection,
    units: &[CommitUnit],
) -> Result<Vec<i64>, StoreError> {
    let named: Vec<i64> = units
        .iter()
        .flat_map(|unit| unit.deliveries.iter().map(|(id, _)| *id))
        .collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_scalar(sql::SELECT_STILL_PENDING).bind(rows(&named)?);
    packed::short(connection, "inbox", query).await
}

async fn write(
    connection: &mut SqliteConnection,
    units: &[&CommitUnit],
    stood: &Stood,
    homes: &BTreeMap<PaymentRef, CheckoutId>,
) -> Result<(), StoreError> {
    let commits: Vec<&CheckoutCommit> = units.iter().flat_map(|unit| &unit.checkouts).collect();
    if !commits.is_empty() {
        write_checkouts(connection, &commits).await?;
        write_journal(connection, &commits).await?;
        write_payments(connection, &commits, homes).await?;
        write_actions(connection, &commits).await?;
        let mut changes = StandingChanges::default();
        for commit in &commits {
            if let Some(raw) = stood.get(&commit.row.id) {
                changes.leave(raw);
            }
            changes.enter(&commit.row);
        }
        add_standings(connection, changes).await?;
    }
    likeness::write(connection, units).await?;
    write_dispositions(connection, units).await?;
    let tallies: Vec<_> = units.iter().flat_map(|unit| &unit.tallies).collect();
    guard::add_tallies(connection, &tallies).await?;
    let epochs: Vec<_> = units.iter().flat_map(|unit| &unit.epochs).collect();
    if !epochs.is_empty() {
        let epochs: Vec<_> = epochs
            .into_iter()
            .map(|(shop, epoch)| (shop, epoch_code(*epoch)))
            .collect();
        run(connection, sql::RAISE_EPOCHS, rows(&epochs)?).await?;
    }
    Ok(())
}

/// Runs a statement over rows without long values.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: String,
) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(rows)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Runs a statement over rows whose long values lie in an arena.
async fn run_with(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: String,
    arena: Arena,
) -> Result<(), StoreError> {
    let query = sqlx::query(statement).bind(rows).bind(arena.into_bytes());
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn add_standings(
    connection: &mut SqliteConnection,
    changes: StandingChanges,
) -> Result<(), StoreError> {
    let changes = changes.into_rows();
    if !changes.is_empty() {
        run(connection, sql::ADD_STANDINGS, rows(&changes)?).await?;
    }
    Ok(())
}

async fn write_checkouts(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<(), StoreError> {
    let sizes = commits.iter().map(|commit| commit.row.document.len());
    let mut arena = Arena::with_capacity(sizes.sum());
    let mut written = Vec::with_capacity(commits.len());
    for commit in commits {
        let row = &commit.row;
        written.push((
            &row.id,
            &row.shop,
            &row.reference,
            row.verdict.code(),
            row.reason.code(),
            (row.since, row.created_at, commit.entry.at),
            row.in_suspense
                .map(|money| (money.minor(), money.currency())),
            row.wake_at,
            row.version,
            &row.head,
            arena.put(row.document.as_bytes()),
        ));
    }
    run_with(connection, sql::UPSERT_CHECKOUTS, rows(&written)?, arena).await
}

async fn write_journal(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<(), StoreError> {
    let entries = commits.iter().map(|commit| &commit.entry);
    let sizes = entries
        .clone()
        .map(|one| one.facts.len().saturating_add(one.decision.len()));
    let mut arena = Arena::with_capacity(sizes.sum());
    let mut written = Vec::with_capacity(commits.len());
    for entry in entries {
        written.push((
            &entry.checkout,
            entry.seq,
            entry.at,
            arena.put(entry.facts.as_bytes()),
            arena.put(entry.decision.as_bytes()),
            &entry.previous,
            &entry.hash,
        ));
    }
    run_with(connection, sql::INSERT_JOURNAL, rows(&written)?, arena).await
}

/// Records the homes of payments that are new or have moved; most commits name no such one.
async fn write_payments(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
    homes: &BTreeMap<PaymentRef, CheckoutId>,
) -> Result<(), StoreError> {
    let mut moved = Vec::new();
    for commit in commits {
        for payment in &commit.payments {
            if homes.get(payment) != Some(&commit.row.id) {
                moved.push((&payment.account, &payment.id, &commit.row.id));
            }
        }
    }
    if !moved.is_empty() {
        run(connection, sql::UPSERT_PAYMENTS, rows(&moved)?).await?;
    }
    Ok(())
}

/// Ends leases, takes the wanted actions over, and lets go of what is no longer wanted.
async fn write_actions(
    connection: &mut SqliteConnection,
    commits: &[&CheckoutCommit],
) -> Result<(), StoreError> {
    let (mut released, mut ended) = (Vec::new(), Vec::new());
    let mut wanted = Vec::new();
    let mut continued = Vec::new();
    let mut arena = Arena::with_capacity(commits.len().saturating_mul(512));
    for commit in commits {
        let row = &commit.row;
        for (key, token) in &commit.released {
            if commit.wants(key) {
                released.push((&row.id, key, token));
            } else {
                ended.push((&row.id, key, token));
            }
        }
        if row.version > 1 {
            continued.push((&row.id, row.version));
        }
        for planned in &commit.actions {
            wanted.push((
                &row.id,
                &planned.key,
                row.version,
                &row.shop,
                planned.action.kind().code(),
                destination_code(&planned.action.destination(&row.shop)),
                lane(planned),
                planned.due,
                arena.put(content(planned)?.as_bytes()),
                planned.attempts,
            ));
        }
    }
    for (statement, rows_of) in [
        (sql::RELEASE_ACTIONS, released),
        (sql::DELETE_ENDED_ACTIONS, ended),
    ] {
        if !rows_of.is_empty() {
            run(&mut *connection, statement, rows(&rows_of)?).await?;
        }
    }
    if !wanted.is_empty() {
        run_with(&mut *connection, sql::UPSERT_ACTIONS, rows(&wanted)?, arena).await?;
    }
    if !continued.is_empty() {
        run(connection, sql::DELETE_UNWANTED_ACTIONS, rows(&continued)?).await?;
    }
    Ok(())
}

async fn write_dispositions(
    connection: &mut SqliteConnection,
    units: &[&CommitUnit],
) -> Result<(), StoreError> {
    let mut arena = Arena::with_capacity(0);
    let mut written = Vec::new();
    for (id, disposition) in units.iter().flat_map(|unit| &unit.deliveries) {
        let (state, why) = match disposition {
            Disposition::Taken => ("taken", ""),
            Disposition::Ignored => ("ignored", ""),
            Disposition::Parked { why } => ("parked", why.as_str()),
        };
        written.push((*id, state, arena.put(why.as_bytes())));
    }
    if written.is_empty() {
        return Ok(());
    }
    run_with(connection, sql::UPDATE_INBOX, rows(&written)?, arena).await
}
