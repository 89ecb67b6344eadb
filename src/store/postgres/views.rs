//! Reading checkouts in PostgreSQL: for the engine, for people, and for the books.
//!
//! Reads one moment per call and changes nothing.

use super::commit::{find_orders, find_payments, ids_of, names};
use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::core::ids::{CheckoutId, CheckoutRef, OrderRef, PaymentRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Time;
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
use std::collections::{BTreeMap, BTreeSet};

/// A checkout with its whole journal.
type Book = (CheckoutRow, Vec<JournalEntry>);

pub(super) async fn load(session: &mut Session, wanted: &Wanted) -> Result<Found, Fault> {
    let payments: Vec<&PaymentRef> = wanted.payments.iter().collect();
    let orders = find_orders(session, &wanted.orders).await?;
    let payments = find_payments(session, &payments).await?;
    let mut named: BTreeSet<CheckoutRef> = wanted.checkouts.iter().cloned().collect();
    named.extend(shops_of(session, &wanted.ids).await?);
    let of_order = |(order, id): (&OrderRef, &CheckoutId)| CheckoutRef {
        shop: order.shop.clone(),
        id: id.clone(),
    };
    named.extend(orders.iter().map(of_order));
    named.extend(payments.values().cloned());
    Ok(Found {
        checkouts: by_name(session, &named).await?,
        orders,
        payments: ids_of(&payments),
    })
}

/// The shops of checkouts that are known by their ids alone; all shops are asked.
async fn shops_of(session: &mut Session, ids: &[CheckoutId]) -> Result<Vec<CheckoutRef>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_as(sql::SELECT_SHOPS_OF).bind(texts(ids));
    session.read(query, read_checkout_ref).await
}

fn texts<'a>(ids: impl IntoIterator<Item = &'a CheckoutId>) -> Vec<&'a str> {
    ids.into_iter().map(CheckoutId::as_str).collect()
}

async fn by_name(
    session: &mut Session,
    named: &BTreeSet<CheckoutRef>,
) -> Result<BTreeMap<CheckoutId, LoadedCheckout>, Fault> {
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = rows(session, named).await?;
    let (shops, ids) = names(named.iter().map(|one| (&one.shop, &one.id)));
    let query = sqlx::query_as(sql::SELECT_ACTIONS).bind(shops).bind(ids);
    let read = |raw: RawAction| Ok((raw.owner(), raw.read()));
    let actions = session.read(query, read).await?;
    Ok(with_actions(found, actions))
}

async fn rows<'a>(
    session: &mut Session,
    named: impl IntoIterator<Item = &'a CheckoutRef>,
) -> Result<Vec<CheckoutRow>, Fault> {
    let named = named.into_iter();
    let (shops, ids) = names(named.map(|one| (&one.shop, &one.id)));
    let query = sqlx::query_as(sql::SELECT_CHECKOUTS).bind(shops).bind(ids);
    session.read(query, RawCheckout::read).await
}

fn checkout_id(id: &str) -> Result<CheckoutId, StoreError> {
    Reading::of("checkouts", id).parsed("id", CheckoutId::parse(id))
}

pub(super) async fn due(
    session: &mut Session,
    now: Time,
    limit: u32,
) -> Result<Vec<CheckoutRef>, Fault> {
    let query = sqlx::query_as(sql::SELECT_DUE_CHECKOUTS)
        .bind(now.micros())
        .bind(i64::from(limit))
        .bind(i64::from(LOOK_ROWS_MAX));
    session.read(query, read_checkout_ref).await
}

pub(super) async fn next_due(session: &mut Session) -> Result<Option<Time>, Fault> {
    let query = sqlx::query_scalar(sql::SELECT_NEXT_DUE);
    let at: Option<i64> = session.scalar(query).await?;
    Ok(at.map(Time::from_micros))
}

/// One lane per shop and verdict, each read in its index's order, merged by age: the cost is
/// that of the page, however many checkouts there are.
pub(super) async fn checkouts(
    session: &mut Session,
    filter: &CheckoutFilter,
) -> Result<Vec<LoadedCheckout>, Fault> {
    let mut page = match &filter.reference {
        Some(reference) => {
            let query = sqlx::query_as(sql::SELECT_BY_REFERENCE).bind(reference.as_str());
            let found = session.read(query, RawCheckout::read).await?;
            let kept = found.into_iter().filter(|row| filter.takes(row));
            kept.map(|row| (row.since, row.id, row.shop)).collect()
        }
        None => lanes(session, filter).await?,
    };
    page.sort();
    page.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    let named = page.iter().map(|(_, id, shop)| CheckoutRef {
        shop: shop.clone(),
        id: id.clone(),
    });
    let mut loaded = by_name(session, &named.collect()).await?;
    let in_order = page.iter().filter_map(|(_, id, _)| loaded.remove(id));
    Ok(in_order.collect())
}

async fn lanes(
    session: &mut Session,
    filter: &CheckoutFilter,
) -> Result<Vec<(Time, CheckoutId, ShopId)>, Fault> {
    let query = sqlx::query_as(sql::SELECT_LANES);
    let lanes: Vec<(String, String)> = session.read(query, Ok).await?;
    let after = filter.after.as_ref();
    let mut page = Vec::new();
    for (shop, verdict) in lanes {
        let shop_fits = filter.shop.as_ref().is_none_or(|one| one.as_str() == shop);
        let mut verdicts = filter.verdicts.iter();
        let verdict_fits = filter.verdicts.is_empty() || verdicts.any(|v| v.code() == verdict);
        if !shop_fits || !verdict_fits {
            continue;
        }
        let owner = Reading::of("standings", &shop).parsed("shop", ShopId::parse(&shop))?;
        let query = sqlx::query_as(sql::SELECT_LANE)
            .bind(shop)
            .bind(verdict)
            .bind(after.map_or(i64::MIN, |(since, _)| since.micros()))
            .bind(after.map_or(String::new(), |(_, id)| id.to_string()))
            .bind(filter.since_before.map_or(i64::MAX, Time::micros))
            .bind(i64::from(filter.limit));
        let read = |(since, id): (i64, String)| {
            Ok((Time::from_micros(since), checkout_id(&id)?, owner.clone()))
        };
        page.extend(session.read(query, read).await?);
    }
    Ok(page)
}

pub(super) async fn newest_order(
    session: &mut Session,
    shop: &ShopId,
    (verdict, reason): (Verdict, Reason),
    before: Time,
) -> Result<Option<(Time, Reference)>, Fault> {
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
    Ok(session.read(query, read).await?.into_iter().next())
}

pub(super) async fn journal(
    session: &mut Session,
    checkout: &CheckoutId,
    after: i64,
    limit: u32,
) -> Result<Vec<JournalEntry>, Fault> {
    let query = sqlx::query_as(sql::SELECT_JOURNAL)
        .bind(checkout.as_str())
        .bind(after)
        .bind(i64::from(limit));
    session.read(query, RawEntry::read).await
}

pub(super) async fn audit_page(
    session: &mut Session,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Vec<Book>, Fault> {
    let query = sqlx::query_as(sql::SELECT_AUDIT_PAGE)
        .bind(after.map_or("", CheckoutId::as_str))
        .bind(i64::from(limit));
    let found = session.read(query, RawCheckout::read).await?;
    with_journals(session, found).await
}

pub(super) async fn audit_mark(
    session: &mut Session,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Option<CheckoutId>, Fault> {
    let query = sqlx::query_as(sql::SELECT_AUDIT_MARK)
        .bind(after.map_or("", CheckoutId::as_str))
        .bind(i64::from(limit));
    let read = |(id,): (Option<String>,)| id.map(|id| checkout_id(&id)).transpose();
    Ok(session
        .read(query, read)
        .await?
        .into_iter()
        .flatten()
        .next())
}

pub(super) async fn moved_since(
    session: &mut Session,
    since: Time,
    after: Option<&CheckoutId>,
    limit: u32,
) -> Result<Vec<CheckoutId>, Fault> {
    let read = |(id,): (String,)| checkout_id(&id);
    let (after, early) = (
        after.map_or("", CheckoutId::as_str),
        last_made_before(since),
    );
    if after < early.as_str() {
        let query = sqlx::query_as(sql::SELECT_MOVED)
            .bind(since.micros())
            .bind(after)
            .bind(early.as_str())
            .bind(i64::from(limit));
        let moved = session.read(query, read).await?;
        let in_order: BTreeSet<CheckoutId> = moved.into_iter().collect();
        if !in_order.is_empty() {
            return Ok(in_order.into_iter().collect());
        }
    }
    let query = sqlx::query_as(sql::SELECT_MOVED_LATELY)
        .bind(since.micros())
        .bind(after.max(early.as_str()))
        .bind(i64::from(limit));
    session.read(query, read).await
}

pub(super) async fn books(session: &mut Session, ids: &[CheckoutId]) -> Result<Vec<Book>, Fault> {
    let named = shops_of(session, ids).await?;
    let found = rows(session, &named).await?;
    with_journals(session, found).await
}

async fn with_journals(session: &mut Session, found: Vec<CheckoutRow>) -> Result<Vec<Book>, Fault> {
    let (shops, ids) = names(found.iter().map(|row| (&row.shop, &row.id)));
    let query = sqlx::query_as(sql::SELECT_JOURNALS).bind(shops).bind(ids);
    let mut journals: BTreeMap<CheckoutId, Vec<JournalEntry>> = BTreeMap::new();
    for entry in session.read(query, RawEntry::read).await? {
        let journal = journals.entry(entry.checkout.clone()).or_default();
        journal.push(entry);
    }
    let with_journal = |row: CheckoutRow| {
        let journal = journals.remove(&row.id).unwrap_or_default();
        (row, journal)
    };
    Ok(found.into_iter().map(with_journal).collect())
}

pub(super) async fn overview(session: &mut Session) -> Result<Vec<VerdictCount>, Fault> {
    let query = sqlx::query_as(sql::SELECT_OVERVIEW);
    Ok(sums::overview(session.read(query, Ok).await?)?)
}

pub(super) async fn backlog(session: &mut Session) -> Result<Backlog, Fault> {
    let query = sqlx::query_as(sql::SELECT_BACKLOG);
    let found: Vec<RawBacklog> = session.read(query, Ok).await?;
    let query = sqlx::query_as(sql::COUNT_ACTIONS);
    let actions = session.read(query, action_count).await?;
    let found = found.into_iter().next();
    Ok(found.map_or(Backlog::default(), |raw| raw.read(actions)))
}
