//! Leases in SQLite: which attempt is whose, until when, and what was lost.
//!
//! Knows due times, destinations and tokens, nothing of what an action does.

use super::pack::rows;
use super::{packed, sql};
use crate::core::plan::Destination;
use crate::core::time::Time;
use crate::store::leases::{Taken, in_order};
use crate::store::rows::{ASK, GIVE_BACK, RawAction, destination_code};
use crate::store::{LeaseRequest, Leased, StoreError, turns};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Lost leases first, since each may be money already sent, then what is due the longest.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
) -> Result<Vec<Leased>, StoreError> {
    let lost: Vec<i64> = sqlx::query_scalar(sql::SELECT_LOST)
        .bind(request.now.micros())
        .bind(request.limit)
        .fetch_all(&mut *connection)
        .await?;
    let lost_count = u32::try_from(lost.len()).unwrap_or(u32::MAX);
    let due = choose(
        connection,
        request,
        request.limit.saturating_sub(lost_count),
    )
    .await?;
    let mut leased = Vec::with_capacity(lost.len().saturating_add(due.len()));
    if !lost.is_empty() {
        let lost = rows(&lost)?;
        let query = sqlx::query(sql::LEASE_LOST)
            .bind(&lost)
            .bind(&request.holder)
            .bind(request.until.micros());
        query.execute(&mut *connection).await?;
        let taken = taken(&mut *connection, lost, &request.holder).await?;
        leased.extend(in_order(taken, Leased::Lost));
    }
    if !due.is_empty() {
        let due = rows(&due)?;
        let query = sqlx::query(sql::LEASE_ACTIONS)
            .bind(&due)
            .bind(&request.holder)
            .bind(request.until.micros())
            .bind(request.now.micros());
        query.execute(&mut *connection).await?;
        let taken = taken(connection, due, &request.holder).await?;
        leased.extend(in_order(taken, Leased::Attempt));
    }
    Ok(leased)
}

/// What the holder has leased of these, as it stands now.
async fn taken(
    connection: &mut SqliteConnection,
    numbers: String,
    holder: &str,
) -> Result<Vec<Taken>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_LEASED)
        .bind(numbers)
        .bind(holder);
    let read = |raw: RawAction, planned: &[u8]| Ok(raw.with(planned).and_then(RawAction::read));
    packed::with_long(connection, "actions", query, read).await
}

/// The rows to lease: per destination no more than its room, overall no more than `limit`.
async fn choose(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let mut room: BTreeMap<String, u32> = BTreeMap::new();
    let mut lanes = Vec::new();
    for (destination, free) in request.room.iter().filter(|(_, free)| **free > 0) {
        lanes.extend(lanes_of(destination, request.with_refunds));
        room.insert(destination_code(destination), *free);
    }
    if limit == 0 || lanes.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<(String, String)> = sqlx::query_as(sql::SELECT_DUE_LANES)
        .bind(rows(&lanes)?)
        .bind(request.now.micros())
        .fetch_all(&mut *connection)
        .await?;
    let mut candidates = Vec::new();
    for (destination, lane) in lanes {
        let free = room.get(&destination).copied().unwrap_or(0);
        let query = sqlx::query_scalar(sql::SELECT_DUE_ACTIONS)
            .bind(&destination)
            .bind(&lane)
            .bind(request.now.micros())
            .bind(free.min(limit));
        let found: Vec<(i64, i64)> = packed::short(&mut *connection, "actions", query).await?;
        candidates.extend(
            found
                .into_iter()
                .map(|(nr, due)| ((due, nr), destination.clone())),
        );
    }
    let room = |destination: &String| room.get(destination).copied().unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let chosen = turns::take(candidates, room, limit).into_iter();
    Ok(chosen.map(|(_, nr)| nr).collect())
}

fn lanes_of(destination: &Destination, with_refunds: bool) -> Vec<(String, &'static str)> {
    let code = destination_code(destination);
    if with_refunds {
        vec![(code.clone(), ASK), (code, GIVE_BACK)]
    } else {
        vec![(code, ASK)]
    }
}

/// The lock on the file lets no second process in, so every lease found at start is orphaned.
pub(super) async fn end_all(
    connection: &mut SqliteConnection,
    now: Time,
) -> Result<u64, StoreError> {
    let ended = sqlx::query(sql::END_LEASES)
        .bind(now.micros())
        .execute(connection)
        .await?;
    Ok(ended.rows_affected())
}
