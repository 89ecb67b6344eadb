//! Letting go of what is past its retention, in PostgreSQL, a bounded step at a time.
//!
//! Bodies first, then delivery ids, resting checkouts and old tallies. What waits stays, and what
//! another daemon holds or prunes at the same moment is passed over.

use super::commit::add_standings;
use super::connect::Session;
use super::error::Fault;
use super::{likeness, sql};
use crate::core::time::Time;
use crate::store::rows::{RawStanding, minute};
use crate::store::standing::StandingChanges;
use crate::store::{Retention, TALLIES_KEPT};
use std::collections::BTreeSet;

/// One step; the first kind that has something to let go of uses it up.
pub(super) async fn step(
    session: &mut Session,
    now: Time,
    retention: Retention,
) -> Result<u64, Fault> {
    let most = retention.rows_max;
    let before = now.minus(retention.bodies).micros();
    let pruned = prune_before(session, sql::PRUNE_BODIES, before, most).await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let before = now.minus(retention.checkouts).micros();
    let pruned = deliveries(session, before, most).await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let pruned = checkouts(session, before, most).await?;
    if pruned > 0 {
        return Ok(pruned);
    }
    let before = minute(now.minus(TALLIES_KEPT));
    prune_before(session, sql::PRUNE_TALLIES, before, most).await
}

async fn prune_before(
    session: &mut Session,
    statement: &'static str,
    before: i64,
    most: u32,
) -> Result<u64, Fault> {
    let query = sqlx::query(statement).bind(before).bind(i64::from(most));
    session.run(query).await
}

/// Deliveries that were dealt with or parked, with their keys and whatever body is left.
async fn deliveries(session: &mut Session, before: i64, most: u32) -> Result<u64, Fault> {
    let query = sqlx::query_scalar(sql::LOCK_OLD_DELIVERIES)
        .bind(before)
        .bind(i64::from(most.div_ceil(3)));
    let old: Vec<i64> = session.scalars(query).await?;
    let mut touched = 0_u64;
    if !old.is_empty() {
        for statement in [
            sql::DELETE_DELIVERY_KEYS,
            sql::DELETE_BODIES,
            sql::DELETE_INBOX,
        ] {
            let deleted = session.run(sqlx::query(statement).bind(&old)).await?;
            touched = touched.saturating_add(deleted);
        }
    }
    Ok(touched)
}

/// Resting checkouts with everything that is theirs; at least one, whatever its journal's length.
async fn checkouts(session: &mut Session, before: i64, most: u32) -> Result<u64, Fault> {
    let query = sqlx::query_as(sql::LOCK_OLD_CHECKOUTS)
        .bind(before)
        .bind(i64::from(most));
    let old: Vec<RawStanding> = session.read(query, Ok).await?;
    let leased = leased_since(session, &old).await?;
    let mut changes = StandingChanges::default();
    let (mut shops, mut ids): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut touched = 0_i64;
    for raw in old.into_iter().filter(|raw| !leased.contains(&raw.id)) {
        // Its journal is as long as its version; its own row, payment and action come on top.
        touched = touched.saturating_add(raw.version).saturating_add(3);
        if touched > i64::from(most) && !ids.is_empty() {
            break;
        }
        changes.leave(&raw);
        shops.push(raw.shop);
        ids.push(raw.id);
    }
    if ids.is_empty() {
        return Ok(0);
    }
    likeness::forget(session, (&shops, &ids), Vec::new()).await?;
    let mut touched = 0_u64;
    for statement in [
        sql::DELETE_JOURNALS,
        sql::DELETE_PAYMENTS,
        sql::DELETE_ACTIONS,
        sql::DELETE_CHECKOUTS,
    ] {
        let query = sqlx::query(statement).bind(&shops).bind(&ids);
        let deleted = session.run(query).await?;
        touched = touched.saturating_add(deleted);
    }
    add_standings(session, changes).await?;
    Ok(touched)
}

/// Whose actions were leased after the checkout was looked at; from here on none can be.
async fn leased_since(
    session: &mut Session,
    old: &[RawStanding],
) -> Result<BTreeSet<String>, Fault> {
    if old.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (shops, ids): (Vec<&str>, Vec<&str>) = old.iter().map(|raw| (&*raw.shop, &*raw.id)).unzip();
    let query = sqlx::query_as(sql::LOCK_ACTIONS).bind(shops).bind(ids);
    let actions: Vec<(String, bool)> = session.read(query, Ok).await?;
    let leased = actions.into_iter().filter(|(_, is_leased)| *is_leased);
    Ok(leased.map(|(checkout, _)| checkout).collect())
}
