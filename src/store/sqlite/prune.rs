//! Letting go of what is past its retention, in SQLite, a bounded step at a time.
//!
//! Bodies first, then delivery ids, resting checkouts and old tallies. What waits stays.

use super::commit::{add_standings, run};
use super::pack::rows;
use super::{likeness, read_all, sql};
use crate::core::time::Time;
use crate::store::rows::{RawStanding, minute};
use crate::store::standing::StandingChanges;
use crate::store::{Retention, StoreError, TALLIES_KEPT};
use sqlx::SqliteConnection;

/// One step; the first kind that has something to let go of uses it up.
pub(super) async fn step(
    connection: &mut SqliteConnection,
    now: Time,
    retention: Retention,
) -> Result<u64, StoreError> {
    let most = retention.rows_max;
    let bodies = prune_before(
        &mut *connection,
        sql::PRUNE_BODIES,
        now.minus(retention.bodies).micros(),
        most,
    );
    let pruned = bodies.await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let before = now.minus(retention.checkouts).micros();
    let pruned = deliveries(&mut *connection, before, most).await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let pruned = checkouts(&mut *connection, before, most).await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let before = minute(now.minus(TALLIES_KEPT));
    prune_before(connection, sql::PRUNE_TALLIES, before, most).await
}

async fn prune_before(
    connection: &mut SqliteConnection,
    statement: &'static str,
    before: i64,
    most: u32,
) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(before)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Deliveries that were dealt with or parked, with their keys and whatever body is left. An id
/// is never before the moment of arrival.
async fn deliveries(
    connection: &mut SqliteConnection,
    before: i64,
    most: u32,
) -> Result<u64, StoreError> {
    let old: Vec<i64> = sqlx::query_scalar(sql::SELECT_OLD_DELIVERIES)
        .bind(before)
        .bind(most.div_ceil(3))
        .fetch_all(&mut *connection)
        .await?;
    if old.is_empty() {
        return Ok(0);
    }
    delete_each(
        connection,
        &[
            sql::DELETE_DELIVERY_KEYS,
            sql::DELETE_BODIES,
            sql::DELETE_INBOX,
        ],
        &rows(&old)?,
    )
    .await
}

/// Resting checkouts with everything that is theirs; at least one, whatever its journal's length.
async fn checkouts(
    connection: &mut SqliteConnection,
    before: i64,
    most: u32,
) -> Result<u64, StoreError> {
    let query = sqlx::query_as(sql::SELECT_OLD_CHECKOUTS)
        .bind(before)
        .bind(most);
    let old = read_all(&mut *connection, query, |raw: RawStanding| Ok(raw)).await?;
    let mut changes = StandingChanges::default();
    let mut ids: Vec<String> = Vec::new();
    let mut touched = 0_i64;
    for raw in old {
        // Its journal is as long as its version; its own row, payment and action come on top.
        touched = touched.saturating_add(raw.version).saturating_add(3);
        if touched > i64::from(most) && !ids.is_empty() {
            break;
        }
        changes.leave(&raw);
        ids.push(raw.id);
    }
    if ids.is_empty() {
        return Ok(0);
    }
    add_standings(&mut *connection, changes).await?;
    likeness::forget(&mut *connection, &rows(&ids)?).await?;
    delete_each(
        connection,
        &[
            sql::DELETE_JOURNALS,
            sql::DELETE_PAYMENTS,
            sql::DELETE_ACTIONS,
            sql::DELETE_CHECKOUTS,
        ],
        &rows(&ids)?,
    )
    .await
}

async fn delete_each(
    connection: &mut SqliteConnection,
    statements: &[&'static str],
    rows: &str,
) -> Result<u64, StoreError> {
    let mut touched = 0_u64;
    for statement in statements {
        let deleted = run(&mut *connection, statement, rows.to_owned()).await?;
        touched = touched.saturating_add(deleted);
    }
    Ok(touched)
}
