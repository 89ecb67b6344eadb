//! Orders that look alike, in SQLite: written with the commit that settles them, read for people.
//!
//! Each order points to the latest other one that is like it, so that the work of a commit does not
//! grow with a shop that calls all its customers the same.

use super::commit::run;
use super::pack::rows;
use super::{read_all, sql};
use crate::core::ids::{CheckoutId, CheckoutRef};
use crate::core::time::Time;
use crate::store::likeness::ALIKE_WITHIN;
use crate::store::rows::{RawLookalike, read_twin};
use crate::store::{CommitUnit, Lookalike, StoreError};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Takes over what the units say of sightings; nothing is asked when they say nothing.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    units: &[&CommitUnit],
) -> Result<(), StoreError> {
    let changed = || units.iter().flat_map(|unit| &unit.sightings);
    let ids: Vec<&str> = changed().map(|(one, _)| one.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut alone = forget(&mut *connection, &rows(&ids)?).await?;
    let seen = changed().filter_map(|(named, one)| one.as_ref().map(|one| (&named.id, one)));
    let seen: Vec<_> = seen
        .map(|(id, one)| {
            let (currency, minor) = (one.amount.currency(), one.amount.minor());
            (id, &one.shop, &one.mark, currency, minor, one.paid_at)
        })
        .collect();
    if !seen.is_empty() {
        run(&mut *connection, sql::INSERT_SIGHTINGS, rows(&seen)?).await?;
    }
    alone.extend(ids.into_iter().map(ToOwned::to_owned));
    let paired = sqlx::query(sql::PAIR_SIGHTINGS)
        .bind(rows(&alone)?)
        .bind(i64::try_from(ALIKE_WITHIN.micros()).unwrap_or(i64::MAX))
        .execute(connection);
    paired.await?;
    Ok(())
}

/// Forgets these checkouts' sightings; gives those that pointed to one of them.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    ids: &str,
) -> Result<Vec<String>, StoreError> {
    run(&mut *connection, sql::DELETE_SIGHTINGS, ids.to_owned()).await?;
    let query = sqlx::query_scalar(sql::FORGET_TWINS).bind(ids.to_owned());
    Ok(query.fetch_all(connection).await?)
}

pub(super) async fn since(
    connection: &mut SqliteConnection,
    since: Time,
    limit: u32,
) -> Result<Vec<Lookalike>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_LOOKALIKES)
        .bind(since.micros())
        .bind(limit);
    read_all(connection, query, RawLookalike::read).await
}

pub(super) async fn twins(
    connection: &mut SqliteConnection,
    named: &[CheckoutRef],
) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError> {
    let ids: Vec<&CheckoutId> = named.iter().map(|one| &one.id).collect();
    let query = sqlx::query_as(sql::SELECT_TWINS).bind(rows(&ids)?);
    let twins = read_all(connection, query, read_twin).await?;
    Ok(twins.into_iter().collect())
}
