//! Leases in PostgreSQL: which attempt is whose, until when, and what was lost.
//!
//! What another daemon is leasing at the same moment is passed over, not waited for. Knows due
//! times, destinations and tokens, nothing of what an action does.

use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::store::leases::{Taken, in_order};
use crate::store::rows::{ASK, GIVE_BACK, RawAction, destination_code};
use crate::store::{LeaseRequest, Leased, StoreError, turns};
use std::collections::BTreeMap;

/// Lost leases first, since each may be money already sent, then what is due the longest.
pub(super) async fn lease(
    session: &mut Session,
    request: &LeaseRequest,
) -> Result<Vec<Leased>, Fault> {
    let query = sqlx::query_as(sql::LEASE_LOST)
        .bind(request.now.micros())
        .bind(i64::from(request.limit))
        .bind(&request.holder)
        .bind(request.until.micros());
    let lost = session.read(query, taken).await?;
    let lost_count = u32::try_from(lost.len()).unwrap_or(u32::MAX);
    let mut leased = in_order(lost, Leased::Lost);
    let limit = request.limit.saturating_sub(lost_count);
    let chosen = choose(session, request, limit).await?;
    if !chosen.is_empty() {
        let (mut shops, mut checkouts, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (shop, checkout, key) in chosen {
            shops.push(shop);
            checkouts.push(checkout);
            keys.push(key);
        }
        let query = sqlx::query_as(sql::LEASE_ACTIONS)
            .bind(shops)
            .bind(checkouts)
            .bind(keys)
            .bind(&request.holder)
            .bind(request.until.micros())
            .bind(request.now.micros());
        let due = session.read(query, taken).await?;
        leased.extend(in_order(due, Leased::Attempt));
    }
    Ok(leased)
}

/// A row that was leased, whether it can be read or not.
fn taken(raw: RawAction) -> Result<Taken, StoreError> {
    Ok(raw.read())
}

/// The actions to lease, by shop, checkout and key: per destination no more than its room, overall no
/// more than `limit`. They are locked, so that they are still free when they are leased.
async fn choose(
    session: &mut Session,
    request: &LeaseRequest,
    limit: u32,
) -> Result<Vec<(String, String, String)>, Fault> {
    let mut room: BTreeMap<String, u32> = BTreeMap::new();
    let (mut destinations, mut lanes, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
    for (destination, free) in request.room.iter().filter(|(_, free)| **free > 0) {
        let code = destination_code(destination);
        let both = [ASK, GIVE_BACK];
        let open = both
            .iter()
            .filter(|lane| **lane == ASK || request.with_refunds);
        for lane in open {
            destinations.push(code.clone());
            lanes.push(*lane);
            rooms.push(i64::from((*free).min(limit)));
        }
        room.insert(code, *free);
    }
    if limit == 0 || lanes.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_as(sql::LOCK_DUE_ACTIONS)
        .bind(destinations)
        .bind(lanes)
        .bind(rooms)
        .bind(request.now.micros());
    let found: Vec<(i64, String, String, String, String)> = session.read(query, Ok).await?;
    let candidates = found
        .into_iter()
        .map(|(due, checkout, key, shop, destination)| {
            let order = (due, checkout, key, shop);
            (order, destination)
        });
    let room = |destination: &String| room.get(destination).copied().unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let chosen = turns::take(candidates, room, limit).into_iter();
    Ok(chosen
        .map(|(_, checkout, key, shop)| (shop, checkout, key))
        .collect())
}
