//! What the guard and the sweeps keep in SQLite: shops, tallies, first starts, marks.
//!
//! Knows numbers and moments; the judgement over them is the caller's.

use super::commit::run;
use super::pack::rows;
use super::{read_all, sql};
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, ShopId};
use crate::core::time::Time;
use crate::store::rows::{RawShop, RawSweep, Reading, minute};
use crate::store::sums::{RawTally, bucketed, summed};
use crate::store::{RefundJudge, ShopRow, Stamp, StoreError, SweepMark, Tally, TallySums};
use sqlx::SqliteConnection;

pub(super) async fn shop(
    connection: &mut SqliteConnection,
    shop: &ShopId,
) -> Result<ShopRow, StoreError> {
    let query = sqlx::query_as(sql::SELECT_SHOP).bind(shop.as_str());
    let found = read_all(connection, query, |raw: RawShop| raw.read(shop)).await?;
    Ok(found.into_iter().next().unwrap_or(ShopRow {
        shop: shop.clone(),
        epoch: None,
        brake: None,
    }))
}

pub(super) async fn set_brake(
    connection: &mut SqliteConnection,
    shop: &ShopId,
    brake: Option<(BrakeCause, Time)>,
) -> Result<(), StoreError> {
    sqlx::query(sql::SET_BRAKE)
        .bind(shop.as_str())
        .bind(brake.map(|(cause, _)| cause.code()))
        .bind(brake.map(|(_, at)| at.micros()))
        .execute(&mut *connection)
        .await?;
    if brake.is_none() {
        sqlx::query(sql::FORGET_TALLIES)
            .bind(shop.as_str())
            .execute(connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn tallies(
    connection: &mut SqliteConnection,
    shop: &ShopId,
    since: Time,
) -> Result<TallySums, StoreError> {
    let query = sqlx::query_as(sql::SELECT_TALLIES)
        .bind(shop.as_str())
        .bind(minute(since));
    let found: Vec<RawTally> = read_all(connection, query, Ok).await?;
    summed(shop, found)
}

pub(super) async fn add_tallies(
    connection: &mut SqliteConnection,
    tallies: &[&Tally],
) -> Result<(), StoreError> {
    if tallies.is_empty() {
        return Ok(());
    }
    run(connection, sql::ADD_TALLIES, rows(&bucketed(tallies))?).await?;
    Ok(())
}

/// Judges and counts under the write lock, so that two refunds cannot both be the last one.
pub(super) async fn admit(
    connection: &mut SqliteConnection,
    tally: &Tally,
    since: Time,
    is_first_attempt: bool,
    judge: &RefundJudge<'_>,
) -> Result<Result<(), BrakeCause>, StoreError> {
    let row = shop(&mut *connection, &tally.shop).await?;
    let sums = tallies(&mut *connection, &tally.shop, since).await?;
    let judged = judge(&row, &sums);
    if judged.is_ok() && is_first_attempt {
        add_tallies(connection, &[tally]).await?;
    }
    Ok(judged)
}

pub(super) async fn first_start(
    connection: &mut SqliteConnection,
    account: &AccountId,
    now: Time,
) -> Result<Time, StoreError> {
    sqlx::query(sql::INSERT_FIRST_START)
        .bind(account.as_str())
        .bind(now.micros())
        .execute(&mut *connection)
        .await?;
    let first: i64 = sqlx::query_scalar(sql::SELECT_FIRST_START)
        .bind(account.as_str())
        .fetch_one(connection)
        .await?;
    Ok(Time::from_micros(first))
}

pub(super) async fn stamp(
    connection: &mut SqliteConnection,
    home: &str,
    now: Time,
) -> Result<Stamp, StoreError> {
    let before: Option<String> = sqlx::query_scalar(sql::SELECT_HOME)
        .fetch_optional(&mut *connection)
        .await?;
    let generation: i64 = sqlx::query_scalar(sql::STAMP_INSTANCE)
        .bind(home)
        .bind(now.micros())
        .fetch_one(connection)
        .await?;
    let reading = Reading::of("instance", 1);
    let generation = reading.parsed("generation", u64::try_from(generation))?;
    Ok(Stamp { generation, before })
}

pub(super) async fn sweep_marks(
    connection: &mut SqliteConnection,
) -> Result<Vec<SweepMark>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_SWEEPS);
    read_all(connection, query, RawSweep::read).await
}

pub(super) async fn set_sweep_mark(
    connection: &mut SqliteConnection,
    mark: &SweepMark,
) -> Result<(), StoreError> {
    sqlx::query(sql::SET_SWEEP)
        .bind(mark.account.as_str())
        .bind(i64::from(mark.listing))
        .bind(mark.mark.micros())
        .bind(mark.swept_at.map(Time::micros))
        .bind(&mark.last_error)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn probe(connection: &mut SqliteConnection, now: Time) -> Result<(), StoreError> {
    let read: i64 = sqlx::query_scalar(sql::PROBE)
        .bind(now.micros())
        .fetch_one(connection)
        .await?;
    if read == now.micros() {
        Ok(())
    } else {
        let reading = Reading::of("probe", 1);
        Err(reading.corrupt("at", "does not read back as written"))
    }
}
