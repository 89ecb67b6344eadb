//! Deliveries in SQLite: appended in bulk, told apart by digest, parked and quarantined.
//!
//! Knows what makes two deliveries the same, nothing of what they say.

use super::connect::Writing;
use super::pack::{Arena, Place, rows};
use super::{packed, read_all, sql};
use crate::store::digest::{CONFLICT, Digests, KEY_BYTES, Key, conflict_key, digests_of};
use crate::store::rows::{RawDelivery, RawParked, RawQuarantined};
use crate::store::turns::LOOK_ROWS_MAX;
use crate::store::{
    Appended, Delivery, NewDelivery, ParkedDelivery, QuarantineBounds, Quarantined, StoreError,
};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Longer bodies are read one by one, so that a batch of the longest ones is in memory once and not as
/// one value, too.
const PACKED_BODY_MAX: u32 = 16 * 1024;

/// Each delivery's digests; made before the write lock is taken.
pub(super) fn digests(batch: &[NewDelivery]) -> Vec<Digests> {
    batch.iter().map(digests_of).collect()
}

/// A key that a delivery wants to be the first to have.
struct Claim {
    key: Key,
    body: Key,
    inbox: i64,
}

/// Who has a key: its body's hash and its delivery.
type Owners = BTreeMap<Key, (Key, i64)>;

/// A delivery on its way into the inbox.
struct Entering<'a> {
    id: i64,
    key: Key,
    delivery: &'a NewDelivery,
    is_parked: bool,
}

/// The bytes of a batch, end to end, and where each delivery's begin.
pub(super) struct Packed {
    arena: Arena,
    places: Vec<Place>,
}

/// Lays out each delivery as `APPEND_UNKNOWN` reads it; before the writer's turn, too.
pub(super) fn pack(batch: &[NewDelivery], digests: &[Digests]) -> Packed {
    let sizes = batch.iter().map(|one| {
        let texts = one.delivery_id.len().saturating_add(one.body.len());
        texts.saturating_add(KEY_BYTES * 2)
    });
    let mut arena = Arena::with_capacity(sizes.sum());
    let mut places = Vec::with_capacity(batch.len());
    for (delivery, digests) in batch.iter().zip(digests) {
        places.push(arena.put(&digests.key));
        arena.put(&digests.body);
        arena.put(delivery.delivery_id.as_bytes());
        arena.put(&delivery.body);
    }
    Packed { arena, places }
}

/// Appends a batch in one go, as nearly all batches can be; false, and nothing is written, when
/// one of its deliveries is known already or comes twice.
pub(super) async fn append_unknown(
    writing: &mut Writing<'_>,
    batch: &[NewDelivery],
    packed: Packed,
) -> Result<bool, StoreError> {
    let mut unknown = Vec::with_capacity(batch.len());
    for (delivery, place) in batch.iter().zip(packed.places) {
        let received_at = delivery.received_at.micros();
        unknown.push((
            writing.next_inbox_id(received_at),
            delivery.sender.code(),
            i64::from(delivery.is_signed),
            received_at,
            place.begins(),
            delivery.delivery_id.len(),
            delivery.body.len(),
        ));
    }
    let transaction = sqlx::query(sql::APPEND_UNKNOWN)
        .bind(rows(&unknown)?)
        .bind(packed.arena.into_bytes());
    writing.run_whole(transaction).await
}

/// Appends a batch inside the transaction.
pub(super) async fn append(
    writing: &mut Writing<'_>,
    batch: &[NewDelivery],
    digests: &[Digests],
) -> Result<Vec<Appended>, StoreError> {
    let mut claims = Vec::with_capacity(batch.len());
    for (delivery, digests) in batch.iter().zip(digests) {
        claims.push(Claim {
            key: digests.key,
            body: digests.body,
            inbox: writing.next_inbox_id(delivery.received_at.micros()),
        });
    }
    let connection = writing.connection().await?;
    let owners = claim(connection, &claims).await?;
    let mut disputed = Vec::new();
    for one in &claims {
        let owner = owners.get(&one.key);
        if owner.is_some_and(|(body, inbox)| *inbox != one.inbox && *body != one.body) {
            disputed.push(Claim {
                key: conflict_key(&one.key, &one.body),
                ..*one
            });
        }
    }
    let others = claim(connection, &disputed).await?;

    let mut appended = Vec::with_capacity(batch.len());
    let mut entering = Vec::with_capacity(batch.len());
    for (one, delivery) in claims.iter().zip(batch) {
        let other_key = conflict_key(&one.key, &one.body);
        let is_first = |owner: Option<&(Key, i64)>| owner.is_some_and(|(_, id)| *id == one.inbox);
        let (result, key) = if is_first(owners.get(&one.key)) {
            (Appended::New, one.key)
        } else if is_first(others.get(&other_key)) {
            (Appended::Conflict, other_key)
        } else {
            (Appended::Duplicate, one.key)
        };
        if result != Appended::Duplicate {
            entering.push(Entering {
                id: one.inbox,
                key,
                delivery,
                is_parked: result == Appended::Conflict,
            });
        }
        appended.push(result);
    }
    enter(connection, &entering).await?;
    Ok(appended)
}

/// Gives each key to the first who claims it, now or ever; who has which key afterwards.
async fn claim(connection: &mut SqliteConnection, claims: &[Claim]) -> Result<Owners, StoreError> {
    let mut owners = Owners::new();
    let mut arena = Arena::with_capacity(claims.len().saturating_mul(KEY_BYTES * 2));
    let mut wanted = Vec::with_capacity(claims.len());
    for one in claims {
        if let std::collections::btree_map::Entry::Vacant(free) = owners.entry(one.key) {
            free.insert((one.body, one.inbox));
            wanted.push((arena.put(&one.key), arena.put(&one.body), one.inbox));
        }
    }
    if wanted.is_empty() {
        return Ok(owners);
    }
    let (wanted_rows, blob) = (rows(&wanted)?, arena.into_bytes());
    let inserted = sqlx::query(sql::INSERT_DELIVERY_KEYS)
        .bind(&wanted_rows)
        .bind(&blob)
        .execute(&mut *connection)
        .await?;
    if usize::try_from(inserted.rows_affected()) == Ok(wanted.len()) {
        return Ok(owners);
    }
    let known: Vec<(Vec<u8>, Vec<u8>, i64)> = sqlx::query_as(sql::SELECT_DELIVERY_KEYS)
        .bind(&wanted_rows)
        .bind(&blob)
        .fetch_all(connection)
        .await?;
    for (key, body, inbox) in known {
        let (key, body) = (Key::try_from(key), Key::try_from(body));
        match (key, body) {
            (Ok(key), Ok(body)) => owners.insert(key, (body, inbox)),
            (Err(_), _) | (_, Err(_)) => return Err(short_key(inbox)),
        };
    }
    Ok(owners)
}

fn short_key(inbox: i64) -> StoreError {
    StoreError::Corrupt {
        table: "delivery_keys",
        column: "body_hash",
        row: inbox.to_string(),
        detail: "not sixteen bytes".to_owned(),
    }
}

async fn enter(
    connection: &mut SqliteConnection,
    entering: &[Entering<'_>],
) -> Result<(), StoreError> {
    if entering.is_empty() {
        return Ok(());
    }
    let sizes = entering.iter().map(|one| one.delivery.body.len());
    let mut bodies = Arena::with_capacity(sizes.sum());
    let mut texts = Arena::with_capacity(entering.len().saturating_mul(64));
    let (mut inbox_rows, mut body_rows) = (Vec::new(), Vec::new());
    for one in entering {
        let delivery = one.delivery;
        let (state, why) = if one.is_parked {
            ("parked", Some(CONFLICT))
        } else {
            ("pending", None)
        };
        inbox_rows.push((
            one.id,
            delivery.sender.code(),
            texts.put(delivery.delivery_id.as_bytes()),
            texts.put(&one.key),
            delivery.received_at.micros(),
            i64::from(delivery.is_signed),
            state,
            why,
        ));
        body_rows.push((one.id, bodies.put(&delivery.body)));
    }
    sqlx::query(sql::INSERT_INBOX)
        .bind(rows(&inbox_rows)?)
        .bind(texts.into_bytes())
        .execute(&mut *connection)
        .await?;
    sqlx::query(sql::INSERT_BODIES)
        .bind(rows(&body_rows)?)
        .bind(bodies.into_bytes())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn pending(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_PENDING)
        .bind(limit)
        .bind(LOOK_ROWS_MAX)
        .bind(PACKED_BODY_MAX);
    let read = |(bytes, mut raw): (usize, RawDelivery), body: &[u8]| {
        body.clone_into(&mut raw.body);
        Ok((bytes, raw))
    };
    let found = packed::with_long(&mut *connection, "inbox", query, read).await?;
    let left_behind = found.iter().filter(|(bytes, raw)| *bytes != raw.body.len());
    let left_behind: Vec<i64> = left_behind.map(|(_, raw)| raw.id).collect();
    let mut bodies = bodies(connection, &left_behind).await?;
    let whole = found.into_iter().map(|(_, mut raw)| {
        if let Some(body) = bodies.remove(&raw.id) {
            raw.body = body;
        }
        raw.read()
    });
    whole.collect()
}

/// The raw bodies of these deliveries, each a row of its own.
async fn bodies(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<BTreeMap<i64, Vec<u8>>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = sqlx::query_as(sql::SELECT_BODIES).bind(rows(ids)?);
    Ok(read_all(connection, query, Ok).await?.into_iter().collect())
}

pub(super) async fn parked(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<ParkedDelivery>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_PARKED).bind(limit);
    read_all(connection, query, RawParked::read).await
}

pub(super) async fn quarantine(
    connection: &mut SqliteConnection,
    entry: &Quarantined,
    bounds: QuarantineBounds,
) -> Result<(), StoreError> {
    sqlx::query(sql::INSERT_QUARANTINE)
        .bind(i64::try_from(entry.body.len()).unwrap_or(i64::MAX))
        .bind(entry.sender.code())
        .bind(entry.received_at.micros())
        .bind(&entry.diagnosis)
        .bind(&entry.envelope)
        .bind(&entry.body)
        .execute(&mut *connection)
        .await?;
    sqlx::query(sql::BOUND_QUARANTINE)
        .bind(bounds.entries_max)
        .bind(i64::try_from(bounds.bytes_max).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn quarantined(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<Quarantined>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_QUARANTINE).bind(limit);
    read_all(connection, query, RawQuarantined::read).await
}

pub(super) async fn quarantined_one(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<Quarantined>, StoreError> {
    let query = sqlx::query_as(sql::SELECT_QUARANTINE_ONE).bind(id);
    Ok(read_all(connection, query, RawQuarantined::read)
        .await?
        .pop())
}

/// Appends the delivery and takes the entry out of quarantine. An entry that gave way meanwhile
/// does not matter: the delivery is verified by now.
pub(super) async fn requeue(
    writing: &mut Writing<'_>,
    id: i64,
    delivery: &NewDelivery,
) -> Result<Appended, StoreError> {
    let batch = std::slice::from_ref(delivery);
    let appended = append(writing, batch, &digests(batch)).await?;
    sqlx::query(sql::DELETE_QUARANTINE)
        .bind(id)
        .execute(writing.connection().await?)
        .await?;
    // One delivery went in, so one result came out.
    Ok(appended.first().copied().unwrap_or(Appended::Duplicate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::ShopId;
    use crate::core::time::Time;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Sender, Store};

    #[tokio::test]
    async fn bodies_come_back_as_they_were_sent_however_long_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("s.db"))
            .await
            .unwrap();
        let longest = usize::try_from(PACKED_BODY_MAX).unwrap();
        let sizes = [longest + 1, 0, longest, 3, longest * 16, 1];
        let sent: Vec<NewDelivery> = sizes
            .iter()
            .zip(0_u8..)
            .map(|(size, number)| NewDelivery {
                sender: Sender::Shop(ShopId::parse("klompen").unwrap()),
                delivery_id: format!("\u{e9}\0\"{number}"),
                received_at: Time::from_seconds(1_790_000_000),
                told_at: None,
                is_signed: true,
                // Neither text nor without NUL.
                body: [number, 0xff, 0].into_iter().cycle().take(*size).collect(),
            })
            .collect();
        store.append(&sent).await.unwrap();
        let found = store.pending(100).await.unwrap();
        let found: Vec<NewDelivery> = found.into_iter().map(|one| one.delivery).collect();
        assert!(found == sent, "other bodies, or another order");
    }
}
