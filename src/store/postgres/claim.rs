//! What daemons on one database take to decide, each its own share.
//!
//! A claim saves the others the same work and gives no right to anything: whoever commits names
//! versions, as without claims. It is one row per daemon in a table that is not logged, so that it
//! costs no sync; a daemon that dies keeps its share from the others until the claim's end.

use super::connect::{Line, Session};
use super::error::Fault;
use super::sql;
use crate::core::ids::CheckoutId;
use crate::store::rows::{RawDelivery, Reading};
use crate::store::turns::LOOK_ROWS_MAX;
use crate::store::{ClaimRequest, Claimed, StoreError};

pub(super) async fn claim(line: &Line, request: &ClaimRequest) -> Result<Claimed, StoreError> {
    // One after the other: a statement that begins before another daemon's choice is committed would
    // not see it, even where it gets the lock right after.
    let mut session = line.begin().await?;
    let taken = take_in_turn(&mut session, request).await;
    Ok(session.end(taken).await?.unwrap_or_default())
}

async fn take_in_turn(
    session: &mut Session,
    request: &ClaimRequest,
) -> Result<Option<Claimed>, Fault> {
    session.run(sqlx::query(sql::LOCK_CLAIMS)).await?;
    take(session, request).await
}

/// What was free and is claimed now; none, and nothing is claimed, while another daemon chooses.
async fn take(session: &mut Session, request: &ClaimRequest) -> Result<Option<Claimed>, Fault> {
    let query = sqlx::query_as(sql::CLAIM)
        .bind(&request.holder)
        .bind(request.now.micros())
        .bind(request.until.micros())
        .bind(i64::from(request.deliveries))
        .bind(i64::from(request.checkouts))
        .bind(i64::from(LOOK_ROWS_MAX));
    let read = |(is_turn, deliveries, checkouts): (bool, Vec<i64>, Vec<String>)| {
        Ok(is_turn.then_some((deliveries, checkouts)))
    };
    let Some((deliveries, checkouts)) = session.read(query, read).await?.pop().flatten() else {
        return Ok(None);
    };
    let mut claimed = Claimed::default();
    for id in checkouts {
        let reading = Reading::of("checkouts", &id);
        claimed
            .checkouts
            .push(reading.parsed("id", CheckoutId::parse(&id))?);
    }
    if !deliveries.is_empty() {
        let query = sqlx::query_as(sql::SELECT_CLAIMED).bind(deliveries);
        claimed.deliveries = session.read(query, RawDelivery::read).await?;
    }
    Ok(Some(claimed))
}
