//! Deliveries in PostgreSQL: appended in bulk, told apart by digest, parked and quarantined.
//!
//! Knows what makes two deliveries the same, nothing of what they say.

use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::store::digest::{CONFLICT, Digests, Key, conflict_key, digests_of};
use crate::store::rows::{RawDelivery, RawParked, RawQuarantined};
use crate::store::turns::LOOK_ROWS_MAX;
use crate::store::{
    Appended, Delivery, NewDelivery, ParkedDelivery, QuarantineBounds, Quarantined, StoreError,
};
use std::collections::BTreeMap;

/// A delivery may be known when it is appended and pruned when it is looked for, so often.
const ROUNDS_MAX: u32 = 4;

/// Each delivery's digests; made before a connection is taken.
pub(super) fn digests(batch: &[NewDelivery]) -> Vec<Digests> {
    batch.iter().map(digests_of).collect()
}

/// A delivery on its way in, under the key that it claims.
struct Claim<'a> {
    /// Its place in the batch.
    place: usize,
    key: Key,
    body: Key,
    delivery: &'a NewDelivery,
}

/// Appends a batch. What is new is durable with the first statement, which is all there is to do
/// for nearly every batch; only then are those told apart that were known. Outside a transaction a
/// failure in between leaves deliveries whose senders are told to come again, and then are known.
pub(super) async fn append(
    session: &mut Session,
    batch: &[NewDelivery],
    digests: &[Digests],
) -> Result<Vec<Appended>, Fault> {
    let mut results = vec![Appended::Duplicate; batch.len()];
    let mut waiting: Vec<Claim<'_>> = Vec::with_capacity(batch.len());
    for (place, (delivery, digests)) in batch.iter().zip(digests).enumerate() {
        waiting.push(Claim {
            place,
            key: digests.key,
            body: digests.body,
            delivery,
        });
    }
    for _ in 0..ROUNDS_MAX {
        let known = enter(session, waiting, None, |place| {
            mark(&mut results, place, Appended::New);
        })
        .await?;
        if known.is_empty() {
            return Ok(results);
        }
        let bodies = bodies_of(session, &known).await?;
        let mut disputed = Vec::new();
        waiting = Vec::new();
        for claim in known {
            match bodies.get(&claim.key) {
                Some(body) if *body == claim.body => {}
                Some(_) => disputed.push(Claim {
                    key: conflict_key(&claim.key, &claim.body),
                    ..claim
                }),
                None => waiting.push(claim),
            }
        }
        enter(session, disputed, Some(CONFLICT), |place| {
            mark(&mut results, place, Appended::Conflict);
        })
        .await?;
        if waiting.is_empty() {
            return Ok(results);
        }
    }
    let why = "deliveries were known and gone again and again".to_owned();
    Err(StoreError::Unavailable(why).into())
}

fn mark(results: &mut [Appended], place: usize, result: Appended) {
    if let Some(here) = results.get_mut(place) {
        *here = result;
    }
}

/// Lets in whose key nobody has, and tells `entered` their places; the others come back.
async fn enter<'a>(
    session: &mut Session,
    claims: Vec<Claim<'a>>,
    parked_for: Option<&str>,
    mut entered: impl FnMut(usize),
) -> Result<Vec<Claim<'a>>, Fault> {
    if claims.is_empty() {
        return Ok(claims);
    }
    let column = |of: fn(&Claim<'a>) -> &'a [u8]| claims.iter().map(of).collect::<Vec<_>>();
    let state = parked_for.map_or("pending", |_| "parked");
    let query = sqlx::query_scalar(sql::APPEND)
        .bind(claims.iter().map(|one| &one.key[..]).collect::<Vec<_>>())
        .bind(senders(&claims))
        .bind(claims.iter().map(|one| &one.body[..]).collect::<Vec<_>>())
        .bind(column(|one| one.delivery.delivery_id.as_bytes()))
        .bind(times(&claims))
        .bind(signatures(&claims))
        .bind(column(|one| &one.delivery.body))
        .bind(state)
        .bind(parked_for.map(str::as_bytes));
    let new: Vec<i64> = session.scalars(query).await?;
    if new.len() == claims.len() {
        claims.iter().for_each(|claim| entered(claim.place));
        return Ok(Vec::new());
    }
    let new: std::collections::BTreeSet<i64> = new.into_iter().collect();
    let mut known = Vec::new();
    for (number, claim) in (1_i64..).zip(claims) {
        if new.contains(&number) {
            entered(claim.place);
        } else {
            known.push(claim);
        }
    }
    Ok(known)
}

fn senders(claims: &[Claim<'_>]) -> Vec<String> {
    claims
        .iter()
        .map(|one| one.delivery.sender.code())
        .collect()
}

fn times(claims: &[Claim<'_>]) -> Vec<i64> {
    let times = claims.iter().map(|one| one.delivery.received_at.micros());
    times.collect()
}

fn signatures(claims: &[Claim<'_>]) -> Vec<i16> {
    let signed = claims.iter().map(|one| i16::from(one.delivery.is_signed));
    signed.collect()
}

/// The body's hash of whoever has each key.
async fn bodies_of(
    session: &mut Session,
    claims: &[Claim<'_>],
) -> Result<BTreeMap<Key, Key>, Fault> {
    let keys: Vec<&[u8]> = claims.iter().map(|one| &one.key[..]).collect();
    let query = sqlx::query_as(sql::SELECT_DELIVERY_KEYS).bind(keys);
    let read = |(key, body): (Vec<u8>, Vec<u8>)| {
        let pair = Key::try_from(key).and_then(|key| Ok((key, Key::try_from(body)?)));
        pair.map_err(|odd| StoreError::Corrupt {
            table: "delivery_keys",
            column: "body_hash",
            row: hex::encode(odd),
            detail: "not sixteen bytes".to_owned(),
        })
    };
    Ok(session.read(query, read).await?.into_iter().collect())
}

pub(super) async fn pending(session: &mut Session, limit: u32) -> Result<Vec<Delivery>, Fault> {
    let query = sqlx::query_as(sql::SELECT_PENDING)
        .bind(i64::from(limit))
        .bind(i64::from(LOOK_ROWS_MAX));
    session.read(query, RawDelivery::read).await
}

pub(super) async fn parked(
    session: &mut Session,
    limit: u32,
) -> Result<Vec<ParkedDelivery>, Fault> {
    let query = sqlx::query_as(sql::SELECT_PARKED).bind(i64::from(limit));
    session.read(query, RawParked::read).await
}

pub(super) async fn quarantine(
    session: &mut Session,
    entry: &Quarantined,
    bounds: QuarantineBounds,
) -> Result<(), Fault> {
    let put = sqlx::query(sql::INSERT_QUARANTINE)
        .bind(i64::try_from(entry.body.len()).unwrap_or(i64::MAX))
        .bind(entry.sender.code())
        .bind(entry.received_at.micros())
        .bind(entry.diagnosis.as_bytes())
        .bind(entry.envelope.as_bytes())
        .bind(entry.body.as_slice());
    session.run(put).await?;
    let bound = sqlx::query(sql::BOUND_QUARANTINE)
        .bind(i64::from(bounds.entries_max))
        .bind(i64::try_from(bounds.bytes_max).unwrap_or(i64::MAX));
    session.run(bound).await?;
    Ok(())
}

pub(super) async fn quarantined(
    session: &mut Session,
    limit: u32,
) -> Result<Vec<Quarantined>, Fault> {
    let query = sqlx::query_as(sql::SELECT_QUARANTINE).bind(i64::from(limit));
    session.read(query, RawQuarantined::read).await
}

pub(super) async fn quarantined_one(
    session: &mut Session,
    id: i64,
) -> Result<Option<Quarantined>, Fault> {
    let query = sqlx::query_as(sql::SELECT_QUARANTINE_ONE).bind(id);
    Ok(session.read(query, RawQuarantined::read).await?.pop())
}

/// Appends the delivery and takes the entry out of quarantine. An entry that gave way meanwhile
/// does not matter: the delivery is verified by now.
pub(super) async fn requeue(
    session: &mut Session,
    id: i64,
    delivery: &NewDelivery,
) -> Result<Appended, Fault> {
    let batch = std::slice::from_ref(delivery);
    let appended = append(session, batch, &digests(batch)).await?;
    session
        .run(sqlx::query(sql::DELETE_QUARANTINE).bind(id))
        .await?;
    // One delivery went in, so one result came out.
    Ok(appended.first().copied().unwrap_or(Appended::Duplicate))
}
