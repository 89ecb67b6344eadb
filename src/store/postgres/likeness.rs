//! Orders that look alike, in PostgreSQL: written with the commit that settles them, read for
//! people.
//!
//! Each order points to the latest other one that is like it. Whoever writes about a customer
//! holds that customer's mark, since of two orders written at once neither sees the other.

use super::commit::names;
use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::core::ids::{CheckoutId, CheckoutRef};
use crate::core::time::Time;
use crate::store::likeness::ALIKE_WITHIN;
use crate::store::rows::{RawLookalike, read_twin};
use crate::store::{CommitUnit, Lookalike, Sighting};
use std::collections::BTreeMap;

/// Takes over what the units say of sightings; nothing is asked when they say nothing.
pub(super) async fn write(session: &mut Session, units: &[&CommitUnit]) -> Result<(), Fault> {
    let changed = || units.iter().flat_map(|unit| &unit.sightings);
    let (mut shops, mut ids): (Vec<String>, Vec<String>) = changed()
        .map(|(one, _)| (one.shop.to_string(), one.id.to_string()))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let seen: Vec<(&CheckoutId, &Sighting)> = changed()
        .filter_map(|(named, one)| Some((&named.id, one.as_ref()?)))
        .collect();
    let marks = seen.iter().map(|(_, one)| one.mark.clone());
    let alone = forget(session, (&shops, &ids), marks.collect()).await?;
    if !seen.is_empty() {
        insert(session, &seen).await?;
    }
    for (shop, id) in alone {
        shops.push(shop);
        ids.push(id);
    }
    let paired = sqlx::query(sql::PAIR_SIGHTINGS)
        .bind(shops)
        .bind(ids)
        .bind(i64::try_from(ALIKE_WITHIN.micros()).unwrap_or(i64::MAX));
    session.run(paired).await?;
    Ok(())
}

async fn insert(session: &mut Session, seen: &[(&CheckoutId, &Sighting)]) -> Result<(), Fault> {
    let texts = |of: fn(&Sighting) -> &str| -> Vec<String> {
        seen.iter().map(|(_, one)| of(one).to_owned()).collect()
    };
    let numbers =
        |of: fn(&Sighting) -> i64| -> Vec<i64> { seen.iter().map(|(_, one)| of(one)).collect() };
    let ids: Vec<&str> = seen.iter().map(|(id, _)| id.as_str()).collect();
    let currencies = seen.iter().map(|(_, one)| one.amount.currency());
    let insert = sqlx::query(sql::INSERT_SIGHTINGS)
        .bind(ids)
        .bind(texts(|one| one.shop.as_str()))
        .bind(texts(|one| &one.mark))
        .bind(currencies.map(String::from).collect::<Vec<_>>())
        .bind(numbers(|one| one.amount.minor()))
        .bind(numbers(|one| one.paid_at.micros()));
    session.run(insert).await?;
    Ok(())
}

/// Forgets the sightings of these checkouts, named by two columns, while their marks and those given
/// are held; gives shop and id of those that pointed to one of them.
pub(super) async fn forget(
    session: &mut Session,
    (shops, ids): (&[String], &[String]),
    mut marks: Vec<String>,
) -> Result<Vec<(String, String)>, Fault> {
    let held = sqlx::query_scalar(sql::SELECT_MARKS).bind(shops).bind(ids);
    marks.extend(session.scalars::<String>(held).await?);
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    session
        .run(sqlx::query(sql::LOCK_MARKS).bind(marks))
        .await?;
    let forgotten = sqlx::query(sql::DELETE_SIGHTINGS).bind(shops).bind(ids);
    session.run(forgotten).await?;
    let query = sqlx::query_as(sql::FORGET_TWINS).bind(shops).bind(ids);
    session.read(query, Ok).await
}

pub(super) async fn since(
    session: &mut Session,
    since: Time,
    limit: u32,
) -> Result<Vec<Lookalike>, Fault> {
    let query = sqlx::query_as(sql::SELECT_LOOKALIKES)
        .bind(since.micros())
        .bind(i64::from(limit));
    session.read(query, RawLookalike::read).await
}

pub(super) async fn twins(
    session: &mut Session,
    named: &[CheckoutRef],
) -> Result<BTreeMap<CheckoutId, CheckoutId>, Fault> {
    let (shops, ids) = names(named.iter().map(|one| (&one.shop, &one.id)));
    let query = sqlx::query_as(sql::SELECT_TWINS).bind(shops).bind(ids);
    Ok(session.read(query, read_twin).await?.into_iter().collect())
}
