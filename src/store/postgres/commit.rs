//! The commit of units in PostgreSQL: what they name is locked and read, then each table is
//! written in bulk.
//!
//! Which units may happen is judged by `admission`, over rows that are held until the end. Locks
//! are taken table by table and row by row in one order, so that daemons do not wait for each
//! other in a circle: checkouts, deliveries, their actions with weight, payments, other actions, marks,
//! standings, shops, tallies.
//! What cannot be held because it does not exist yet fails the transaction when somebody else made
//! it meanwhile, and the next try sees it.

use super::connect::Session;
use super::error::Fault;
use super::write;
use super::{guard, likeness, sql};
use crate::core::ids::{
    ActionKey, CheckoutId, CheckoutRef, OrderRef, PaymentRef, Reference, ShopId,
};
use crate::store::admission::{Held, Known, judge, order};
use crate::store::rows::{RawStanding, Reading, pair};
use crate::store::standing::StandingChanges;
use crate::store::{CheckoutCommit, CommitUnit, Committed};
use std::collections::{BTreeMap, BTreeSet};

type Stood = BTreeMap<CheckoutId, RawStanding>;
type UnderWay = BTreeMap<CheckoutId, BTreeSet<ActionKey>>;
type Homes = BTreeMap<PaymentRef, CheckoutRef>;

pub(super) async fn commit(
    session: &mut Session,
    units: &[CommitUnit],
) -> Result<Vec<Committed>, Fault> {
    let all: Vec<&CheckoutCommit> = units.iter().flat_map(|unit| &unit.checkouts).collect();
    let stood = hold_checkouts(session, &all).await?;
    let pending = hold_pending(session, units).await?;
    let orders: Vec<OrderRef> = all.iter().copied().filter_map(order).collect();
    let payments: Vec<&PaymentRef> = all.iter().flat_map(|one| &one.payments).collect();
    let homes = find_payments(session, &payments).await?;
    let known = Known {
        orders: find_orders(session, &orders).await?,
        checkouts: held(&stood, hold_weighty(session, &stood).await?),
        payments: ids_of(&homes),
        pending: pending.into_iter().collect(),
    };
    let results = judge(units, known)?;
    let admitted: Vec<&CommitUnit> = units
        .iter()
        .zip(&results)
        .filter(|(_, result)| **result == Committed::Done)
        .map(|(unit, _)| unit)
        .collect();
    if !admitted.is_empty() {
        write_units(session, &admitted, &stood, &homes).await?;
    }
    Ok(results)
}

/// The checkouts, without their shops.
pub(super) fn ids_of<Thing: Clone + Ord>(
    homes: &BTreeMap<Thing, CheckoutRef>,
) -> BTreeMap<Thing, CheckoutId> {
    let bare = |(thing, home): (&Thing, &CheckoutRef)| (thing.clone(), home.id.clone());
    homes.iter().map(bare).collect()
}

/// Two columns that name checkouts.
pub(super) fn names<'a>(
    checkouts: impl Iterator<Item = (&'a ShopId, &'a CheckoutId)>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    checkouts
        .map(|(shop, id)| (shop.as_str(), id.as_str()))
        .unzip()
}

async fn hold_checkouts(
    session: &mut Session,
    commits: &[&CheckoutCommit],
) -> Result<Stood, Fault> {
    // Those at their first version are not there, or this commit conflicts.
    let (shops, ids) = names(commits.iter().map(|one| (&one.row.shop, &one.row.id)));
    if ids.is_empty() {
        return Ok(Stood::new());
    }
    let query = sqlx::query_as(sql::LOCK_CHECKOUTS).bind(shops).bind(ids);
    let read = |raw: RawStanding| Ok((raw.id()?, raw));
    Ok(session.read(query, read).await?.into_iter().collect())
}

/// What is under way of the checkouts that exist, held as it is.
async fn hold_weighty(session: &mut Session, stood: &Stood) -> Result<UnderWay, Fault> {
    let mut under_way = UnderWay::new();
    if stood.is_empty() {
        return Ok(under_way);
    }
    let (shops, ids): (Vec<&str>, Vec<&str>) =
        stood.values().map(|raw| (&*raw.shop, &*raw.id)).unzip();
    let query = sqlx::query_as(sql::LOCK_WEIGHTY).bind(shops).bind(ids);
    let read = |(id, key, is_leased): (String, String, bool)| {
        let reading = Reading::of("actions", pair(&id, &key));
        let key = reading.parsed("key", ActionKey::parse(&key))?;
        Ok((reading.checkout("checkout", &id)?, key, is_leased))
    };
    for (id, key, is_leased) in session.read(query, read).await? {
        if is_leased {
            under_way.entry(id).or_default().insert(key);
        }
    }
    Ok(under_way)
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

async fn hold_pending(session: &mut Session, units: &[CommitUnit]) -> Result<Vec<i64>, Fault> {
    let named: Vec<i64> = units
        .iter()
        .flat_map(|unit| unit.deliveries.iter().map(|(id, _)| *id))
        .collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    session
        .scalars(sqlx::query_scalar(sql::LOCK_PENDING).bind(named))
        .await
}

pub(super) async fn find_orders(
    session: &mut Session,
    orders: &[OrderRef],
) -> Result<BTreeMap<OrderRef, CheckoutId>, Fault> {
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let shops: Vec<&str> = orders.iter().map(|one| one.shop.as_str()).collect();
    let references: Vec<&str> = orders.iter().map(|one| one.reference.as_str()).collect();
    let query = sqlx::query_as(sql::SELECT_ORDER_HOMES)
        .bind(shops)
        .bind(references);
    let read = |(shop, reference, id): (String, String, String)| {
        let reading = Reading::of("checkouts", &id);
        let order = OrderRef {
            shop: reading.parsed("shop", ShopId::parse(&shop))?,
            reference: reading.parsed("reference", Reference::parse(&reference))?,
        };
        Ok((order, reading.parsed("id", CheckoutId::parse(&id))?))
    };
    Ok(session.read(query, read).await?.into_iter().collect())
}

pub(super) async fn find_payments(
    session: &mut Session,
    payments: &[&PaymentRef],
) -> Result<Homes, Fault> {
    if payments.is_empty() {
        return Ok(BTreeMap::new());
    }
    let accounts: Vec<&str> = payments.iter().map(|one| one.account.as_str()).collect();
    let ids: Vec<&str> = payments.iter().map(|one| one.id.as_str()).collect();
    let query = sqlx::query_as(sql::SELECT_PAYMENT_HOMES)
        .bind(accounts)
        .bind(ids);
    let read = |(account, payment, shop, id): (String, String, String, String)| {
        let reading = Reading::of("payments", pair(&account, &payment));
        let payment = reading.parsed("payment", PaymentRef::parse(&account, &payment))?;
        let home = CheckoutRef {
            shop: reading.parsed("shop", ShopId::parse(&shop))?,
            id: reading.parsed("checkout", CheckoutId::parse(&id))?,
        };
        Ok((payment, home))
    };
    Ok(session.read(query, read).await?.into_iter().collect())
}

async fn write_units(
    session: &mut Session,
    units: &[&CommitUnit],
    stood: &Stood,
    homes: &Homes,
) -> Result<(), Fault> {
    let mut commits: Vec<&CheckoutCommit> = units.iter().flat_map(|unit| &unit.checkouts).collect();
    commits.sort_by(|one, other| one.row.id.cmp(&other.row.id));
    let mut changes = StandingChanges::default();
    if !commits.is_empty() {
        write::checkouts(session, &commits).await?;
        write::journal(session, &commits).await?;
        write::dispositions(session, units).await?;
        write::payments(session, &commits, homes).await?;
        write::actions(session, &commits).await?;
        for commit in &commits {
            if let Some(raw) = stood.get(&commit.row.id) {
                changes.leave(raw);
            }
            changes.enter(&commit.row);
        }
    } else {
        write::dispositions(session, units).await?;
    }
    likeness::write(session, units).await?;
    add_standings(session, changes).await?;
    write::epochs(session, units).await?;
    let tallies: Vec<_> = units.iter().flat_map(|unit| &unit.tallies).collect();
    guard::add_tallies(session, &tallies).await
}

/// Counts change last but for the guard's, because all commits of a shop change the same few rows.
pub(super) async fn add_standings(
    session: &mut Session,
    changes: StandingChanges,
) -> Result<(), Fault> {
    let (mut shops, mut verdicts, mut currencies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut highs, mut lows) = (Vec::new(), Vec::new(), Vec::new());
    for (shop, verdict, currency, count, high, low) in changes.into_rows() {
        shops.push(shop);
        verdicts.push(verdict);
        currencies.push(currency);
        counts.push(count);
        highs.push(high);
        lows.push(low);
    }
    if shops.is_empty() {
        return Ok(());
    }
    let added = sqlx::query(sql::ADD_STANDINGS)
        .bind(shops)
        .bind(verdicts)
        .bind(currencies)
        .bind(counts)
        .bind(highs)
        .bind(lows);
    session.run(added).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::ActionKind;

    #[test]
    fn what_a_commit_looks_out_for_is_what_has_weight() {
        for kind in ActionKind::ALL {
            let named = sql::LOCK_WEIGHTY.contains(&format!("'{}'", kind.code()));
            assert_eq!(named, kind.has_weight(), "{kind:?}");
        }
    }
}
