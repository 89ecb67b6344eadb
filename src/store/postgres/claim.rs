//! What daemons on one database take to decide, each its own share.
//!
//! A claim saves the others the same work and gives no right to anything: whoever commits names
//! versions, as without claims. It is one row per daemon in a table that is not logged, so that it
//! costs no sync; a daemon that dies keeps its share from the others until the claim's end. One that
//! stands still while it chooses keeps nobody from working: who waited long enough goes without.

use super::connect::{Line, Session};
use super::error::Fault;
use super::sql;
use crate::store::rows::{RawDelivery, read_checkout_ref};
use crate::store::turns::LOOK_ROWS_MAX;
use crate::store::{ClaimRequest, Claimed, StoreError};

/// Claims; none when others were in the way, so that whoever asked may go on without a claim.
pub(super) async fn claim(
    line: &Line,
    request: &ClaimRequest,
) -> Result<Option<Claimed>, StoreError> {
    let mut session = line.begin().await?;
    let claimed = take_in_turn(&mut session, request).await;
    match session.end(claimed).await {
        Ok(claimed) => Ok(Some(claimed)),
        Err(Fault::Overtaken(error)) => {
            tracing::debug!(%error, "goes without a claim");
            Ok(None)
        }
        Err(Fault::Final(error)) => Err(error),
    }
}

/// What was free and is claimed now; one daemon chooses after the other.
async fn take_in_turn(session: &mut Session, request: &ClaimRequest) -> Result<Claimed, Fault> {
    session.run(sqlx::query(sql::LOCK_CLAIMS)).await?;
    let query = sqlx::query_as(sql::CLAIM)
        .bind(&request.holder)
        .bind(request.now.micros())
        .bind(request.until.micros())
        .bind(i64::from(request.deliveries))
        .bind(i64::from(request.checkouts))
        .bind(i64::from(LOOK_ROWS_MAX));
    let chosen: Vec<(Vec<i64>, Vec<String>, Vec<String>)> = session.read(query, Ok).await?;
    let (deliveries, shops, checkouts) = chosen.into_iter().next().unwrap_or_default();
    let mut claimed = Claimed::default();
    for named in shops.into_iter().zip(checkouts) {
        claimed.checkouts.push(read_checkout_ref(named)?);
    }
    if !deliveries.is_empty() {
        let query = sqlx::query_as(sql::SELECT_CLAIMED).bind(deliveries);
        claimed.deliveries = session.read(query, RawDelivery::read).await?;
    }
    Ok(claimed)
}
