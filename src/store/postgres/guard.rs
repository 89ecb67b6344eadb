//! What the guard and the sweeps keep in PostgreSQL: shops, tallies, first starts, marks.
//!
//! Knows numbers and moments; the judgement over them is the caller's.

use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, ShopId};
use crate::core::time::Time;
use crate::store::rows::{RawShop, RawSweep, Reading, minute};
use crate::store::sums::{RawTally, bucketed, summed};
use crate::store::{RefundJudge, ShopRow, Stamp, StoreError, SweepMark, Tally, TallySums};

pub(super) async fn shop(session: &mut Session, shop: &ShopId) -> Result<ShopRow, Fault> {
    read_shop(session, sql::SELECT_SHOP, shop).await
}

async fn read_shop(
    session: &mut Session,
    statement: &'static str,
    shop: &ShopId,
) -> Result<ShopRow, Fault> {
    let query = sqlx::query_as(statement).bind(shop.as_str());
    let found = session.read(query, |raw: RawShop| raw.read(shop)).await?;
    Ok(found.into_iter().next().unwrap_or(ShopRow {
        shop: shop.clone(),
        epoch: None,
        brake: None,
    }))
}

pub(super) async fn set_brake(
    session: &mut Session,
    shop: &ShopId,
    brake: Option<(BrakeCause, Time)>,
) -> Result<(), Fault> {
    let set = sqlx::query(sql::SET_BRAKE)
        .bind(shop.as_str())
        .bind(brake.map(|(cause, _)| cause.code()))
        .bind(brake.map(|(_, at)| at.micros()));
    session.run(set).await?;
    if brake.is_none() {
        let forget = sqlx::query(sql::FORGET_TALLIES).bind(shop.as_str());
        session.run(forget).await?;
    }
    Ok(())
}

pub(super) async fn tallies(
    session: &mut Session,
    shop: &ShopId,
    since: Time,
) -> Result<TallySums, Fault> {
    let query = sqlx::query_as(sql::SELECT_TALLIES)
        .bind(shop.as_str())
        .bind(minute(since));
    let raw: Vec<RawTally> = session.read(query, Ok).await?;
    Ok(summed(shop, raw)?)
}

pub(super) async fn add_tallies(session: &mut Session, tallies: &[&Tally]) -> Result<(), Fault> {
    if tallies.is_empty() {
        return Ok(());
    }
    let (mut shops, mut minutes, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut currencies, mut counts) = (Vec::new(), Vec::new());
    let (mut highs, mut lows) = (Vec::new(), Vec::new());
    for (shop, minute, kind, currency, count, high, low) in bucketed(tallies) {
        shops.push(shop.as_str());
        minutes.push(minute);
        kinds.push(kind);
        currencies.push(currency);
        counts.push(count);
        highs.push(high);
        lows.push(low);
    }
    let added = sqlx::query(sql::ADD_TALLIES)
        .bind(shops)
        .bind(minutes)
        .bind(kinds)
        .bind(currencies)
        .bind(counts)
        .bind(highs)
        .bind(lows);
    session.run(added).await?;
    Ok(())
}

/// Judges and counts while the shop's row is held, so that two refunds cannot both be the last
/// one, whichever daemons ask for them.
pub(super) async fn admit(
    session: &mut Session,
    tally: &Tally,
    since: Time,
    is_first_attempt: bool,
    judge: &RefundJudge<'_>,
) -> Result<Result<(), BrakeCause>, Fault> {
    let insert = sqlx::query(sql::INSERT_SHOP).bind(tally.shop.as_str());
    session.run(insert).await?;
    let row = read_shop(session, sql::LOCK_SHOP, &tally.shop).await?;
    let sums = tallies(session, &tally.shop, since).await?;
    let judged = judge(&row, &sums);
    if judged.is_ok() && is_first_attempt {
        add_tallies(session, &[tally]).await?;
    }
    Ok(judged)
}

pub(super) async fn first_start(
    session: &mut Session,
    account: &AccountId,
    now: Time,
) -> Result<Time, Fault> {
    let insert = sqlx::query(sql::INSERT_FIRST_START)
        .bind(account.as_str())
        .bind(now.micros());
    session.run(insert).await?;
    let query = sqlx::query_scalar(sql::SELECT_FIRST_START).bind(account.as_str());
    let first: i64 = session.scalar(query).await?;
    Ok(Time::from_micros(first))
}

pub(super) async fn stamp(session: &mut Session, home: &str, now: Time) -> Result<Stamp, Fault> {
    let before: Vec<String> = session.scalars(sqlx::query_scalar(sql::LOCK_HOME)).await?;
    let query = sqlx::query_scalar(sql::STAMP_INSTANCE)
        .bind(home)
        .bind(now.micros());
    let generation: i64 = session.scalar(query).await?;
    let reading = Reading::of("instance", 1);
    let generation = reading.parsed("generation", u64::try_from(generation))?;
    let before = before.into_iter().next();
    Ok(Stamp { generation, before })
}

pub(super) async fn sweep_marks(session: &mut Session) -> Result<Vec<SweepMark>, Fault> {
    let query = sqlx::query_as(sql::SELECT_SWEEPS);
    session.read(query, RawSweep::read).await
}

pub(super) async fn set_sweep_mark(session: &mut Session, mark: &SweepMark) -> Result<(), Fault> {
    let set = sqlx::query(sql::SET_SWEEP)
        .bind(mark.account.as_str())
        .bind(i64::from(mark.listing))
        .bind(mark.mark.micros())
        .bind(mark.swept_at.map(Time::micros))
        .bind(mark.last_error.as_deref().map(str::as_bytes));
    session.run(set).await?;
    Ok(())
}

pub(super) async fn probe(session: &mut Session, now: Time) -> Result<(), Fault> {
    let query = sqlx::query_scalar(sql::PROBE).bind(now.micros());
    let read: i64 = session.scalar(query).await?;
    if read == now.micros() {
        Ok(())
    } else {
        let reading = Reading::of("probe", 1);
        let odd: StoreError = reading.corrupt("at", "does not read back as written");
        Err(odd.into())
    }
}
