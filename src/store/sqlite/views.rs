//! Reading checkouts in SQLite: for the engine, for people, and for the books.
//!
//! Reads one moment per call and changes nothing.

use super::commit::{find_orders, find_payments};
use super::pack::rows;
use super::{packed, read_all, sql};
use crate::core::ids::{CheckoutId, CheckoutRef, PaymentRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
use crate::store::books;
use crate::store::leases::Taken;
use crate::store::loaded::with_actions;
use crate::store::rows::{
    RawAction, RawCheckout, RawEntry, Reading, last_made_before, read_checkout_ref,
};
use crate::store::sums::{self, RawBacklog, action_count};
use crate::store::turns::LOOK_ROWS_MAX;
use crate::store::{
    Backlog, CheckoutFilter, CheckoutRow, Found, JournalEntry, LoadedCheckout, StoreError,
    VerdictCount, Wanted,
};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

/// A checkout with its whole journal.
type Book = (CheckoutRow, Vec<JournalEntry>);

pub(super) async fn load(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
) -> Result<Found, StoreError> {
    let payments: Vec<&PaymentRef> = wanted.payments.iter().collect();
    let orders = find_orders(&mut *connection, &wanted.orders).await?;
    let payments = find_payments(&mut *connection, &payments).await?;
    let mut ids: BTreeSet<CheckoutId> = wanted.ids.iter().cloned().collect();
    ids.extend(wanted.checkouts.iter().map(|one| one.id.clone()));
    ids.extend(orders.values().chain(payments.values()).cloned());
    Ok(Found {
        checkouts: by_id(connection, &ids).await?,
        orders,
        payments,
    })
}

async fn by_id(
    connection: &mut SqliteConnection,
    ids: &BTreeSet<CheckoutId>,
) -> Result<BTreeMap<CheckoutId, LoadedCheckout>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&CheckoutId> = ids.iter().collect();
    let query = sqlx::query_as(sql::SELECT_CHECKOUTS).bind(rows(&ids)?);
    let read = |raw: RawCheckout, document: &[u8]| raw.with(document)?.read();
    let found = packed::with_long(&mut *connection, "checkouts", query, read).await?;
    let actions = standing_actions(connection, &ids).await?;
    Ok(with_actions(found, actions))
}

async fn standing_actions(
    connection: &mut SqliteConnection,
    ids: &[&CheckoutId],
) -> Result<Vec<(String, Taken)>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_ACTIONS).bind(rows(ids)?);
    let read = |raw: RawAction, planned: &[u8]| {
        Ok((raw.owner(), raw.with(planned).and_then(RawAction::read)))
    };
    packed::with_long(connection, "actions", query, read).await
}

pub(super) async fn due(
    connection: &mut SqliteConnection,
    now: Time,
    limit: u32,
) -> Result<Vec<CheckoutRef>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_DUE_CHECKOUTS)
        .bind(now.micros())
        .bind(limit)
        .bind(LOOK_ROWS_MAX);
    read_all(connection, query, read_checkout_ref).await
}

fn checkout_id(id: &str) -> Result<CheckoutId, StoreError> {
    Reading::of("checkouts", id).parsed("id", CheckoutId::parse(id))
}

pub(super) async fn next_due(
    connection: &mut SqliteConnection,
) -> Result<Option<Time>, StoreError> {
    let at: Option<i64> = sqlx::query_scalar(sql::SELECT_NEXT_DUE)
        .fetch_one(connection)
        .await?;
    Ok(at.map(Time::from_micros))
}

/// One lane per shop and verdict, each read in its index's order, merged by age: the cost is
/// that of the page, however many checkouts there are.
pub(super) async fn checkouts(
    connection: &mut SqliteConnection,
    filter: &CheckoutFilter,
) -> Result<Vec<LoadedCheckout>, StoreError> {
    let mut page = match &filter.reference {
        Some(reference) => {
            let query = sqlx::query_as(sql::SELECT_BY_REFERENCE).bind(reference.as_str());
            let found = read_all(&mut *connection, query, RawCheckout::read).await?;
            let kept = found.into_iter().filter(|row| filter.takes(row));
            kept.map(|row| (row.since, row.id)).collect()
        }
        None => lanes(&mut *connection, filter).await?,
    };
    page.sort();
    page.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    let ids = page.iter().map(|(_, id)| id.clone()).collect();
    let mut loaded = by_id(connection, &ids).await?;
    let in_order = page.iter().filter_map(|(_, id)| loaded.remove(id));
    Ok(in_order.collect())
}

async fn lanes(
    connection: &mut SqliteConnection,
    filter: &CheckoutFilter,
) -> Result<Vec<(Time, CheckoutId)>, StoreError> {
    let lanes: Vec<(String, String)> = sqlx::query_as(sql::SELECT_LANES)
        .fetch_all(&mut *connection)
        .await?;
    let after = filter.after.as_ref();
    let mut page = Vec::new();
    for (shop, verdict) in lanes {
        let shop_fits = filter.shop.as_ref().is_none_or(|one| one.as_str() == shop);
        let mut verdicts = filter.verdicts.iter();
        let verdict_fits = filter.verdicts.is_empty() || verdicts.any(|v| v.code() == verdict);
        if !shop_fits || !verdict_fits {
            continue;
        }
        let query = sqlx::query_as(sql::SELECT_LANE)
            .bind(shop)
            .bind(verdict)
            .bind(after.map_or(i64::MIN, |(since, _)| since.micros()))
            .bind(after.map_or(String::new(), |(_, id)| id.to_string()))
            .bind(filter.since_before.map_or(i64::MAX, Time::micros))
            .bind(filter.limit);
        let read = |(since, id): (i64, String)| Ok((Time::from_micros(since), checkout_id(&id)?));
        page.extend(read_all(&mut *connection, query, read).await?);
    }
    Ok(page)
}

pub(super) async fn newest_order(
    connection: &mut SqliteConnection,
    shop: &ShopId,
    (verdict, reason): (Verdict, Reason),
    before: Time,
) -> Result<Option<(Time, Reference)>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_NEWEST_ORDER)
        .bind(shop.as_str())
        .bind(verdict.code())
        .bind(reason.code())
        .bind(before.micros());
    let read = |(since, reference): (i64, String)| {
        let reading = Reading::of("checkouts", &reference);
        let reference = reading.parsed("reference", Reference::parse(&reference))?;
        Ok((Time::from_micros(since), reference))
    };
    Ok(read_all(connection, query, read).await?.into_iter().next())
}

pub(super) async fn journal(
    connection: &mut SqliteConnection,
    checkout: &CheckoutId,
    after: i64,
    limit: u32,
) -> Result<Vec<JournalEntry>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_JOURNAL)
        .bind(checkout.as_str())
        .bind(after)
        .bind(limit);
    read_all(connection, query, RawEntry::read).await
}

pub(super) async fn audit_page(
    connection: &mut SqliteConnection,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Vec<Book>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_AUDIT_PAGE)
        .bind(after.map_or("", CheckoutId::as_str))
        .bind(limit);
    packed::with_long(connection, "checkouts", query, book).await
}

pub(super) async fn audit_mark(
    connection: &mut SqliteConnection,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Option<CheckoutId>, StoreError> {
    let last: Option<String> = sqlx::query_scalar(sql::SELECT_AUDIT_MARK)
        .bind(after.map_or("", CheckoutId::as_str))
        .bind(limit)
        .fetch_one(connection)
        .await?;
    last.map(|id| checkout_id(&id)).transpose()
}

/// Its value: the short columns, the document and the journal, one after the other.
fn book((short, document): (usize, usize), value: &[u8]) -> Result<Book, StoreError> {
    let reading = Reading::of("checkouts", "packed");
    let split = value.split_at_checked(short);
    let split = split.and_then(|(short, rest)| Some((short, rest.split_at_checked(document)?)));
    let Some((short, (document, journal))) = split else {
        return Err(reading.corrupt("packed", "another length"));
    };
    let raw: RawCheckout = reading.parsed("packed", serde_json::from_slice(short))?;
    let row = raw.with(document)?.read()?;
    let entries = books::entries(&row.id, journal)?;
    Ok((row, entries))
}

pub(super) async fn moved_since(
    connection: &mut SqliteConnection,
    since: Time,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Vec<CheckoutId>, StoreError> {
    let read = |(id,): (String,)| checkout_id(&id);
    let (after, early) = (
        after.map_or("", CheckoutId::as_str),
        last_made_before(since),
    );
    if after < early.as_str() {
        let query = sqlx::query_as(sql::SELECT_MOVED)
            .bind(since.micros())
            .bind(i64::MIN)
            .bind(after)
            .bind(early.as_str())
            .bind(limit);
        let moved = read_all(&mut *connection, query, read).await?;
        let in_order: BTreeSet<CheckoutId> = moved.into_iter().collect();
        if !in_order.is_empty() {
            return Ok(in_order.into_iter().collect());
        }
    }
    let query = sqlx::query_as(sql::SELECT_MOVED_LATELY)
        .bind(since.micros())
        .bind(after.max(early.as_str()))
        .bind(limit);
    read_all(connection, query, read).await
}

pub(super) async fn books(
    connection: &mut SqliteConnection,
    ids: &[CheckoutId],
) -> Result<Vec<Book>, StoreError> {
    let ids: BTreeSet<&CheckoutId> = ids.iter().collect();
    let ids: Vec<&CheckoutId> = ids.into_iter().collect();
    let query = sqlx::query_as(sql::SELECT_BOOKS).bind(rows(&ids)?);
    packed::with_long(connection, "checkouts", query, book).await
}

pub(super) async fn overview(
    connection: &mut SqliteConnection,
) -> Result<Vec<VerdictCount>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_OVERVIEW);
    sums::overview(read_all(connection, query, Ok).await?)
}

pub(super) async fn backlog(connection: &mut SqliteConnection) -> Result<Backlog, StoreError> {
    let raw: RawBacklog = sqlx::query_as(sql::SELECT_BACKLOG)
        .fetch_one(&mut *connection)
        .await?;
    let query = sqlx::query_as(sql::COUNT_ACTIONS);
    Ok(raw.read(read_all(connection, query, action_count).await?))
}
