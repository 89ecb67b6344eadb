//! What tells deliveries apart: a key from time, sender and id, and a digest of the body.
//!
//! Compact where millions are kept. A key is led by the second that the delivery tells of, so that
//! what comes in at one time stands together: keys without any order would touch another page of
//! their index each, the more so the more there are. The rest of it is SHA-256, so nobody can make two
//! deliveries look the same by choosing their ids.

use super::{NewDelivery, ToldAt};
use sha2::{Digest, Sha256};

/// Why a delivery is parked that came under a known id with another body.
pub(super) const CONFLICT: &str = "delivery_conflict: known under this id with another body";
/// Bytes of a key or a digest.
pub(super) const KEY_BYTES: usize = 16;
/// Those of them that lead a key where a time is told: its seconds, the greatest byte first.
const LEAD_BYTES: usize = 4;
/// A key or a digest.
pub(super) type Key = [u8; KEY_BYTES];

/// A delivery's key and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// Of the second it tells of, sender and delivery id.
    pub(super) key: Key,
    /// Of the body.
    pub(super) body: Key,
}

fn digest(parts: &[&[u8]]) -> Key {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    let mut key = [0; KEY_BYTES];
    for (to, from) in key.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    key
}

/// The key whose lead and rest these are.
fn led(lead: [u8; LEAD_BYTES], rest: &Key) -> Key {
    let mut key = [0; KEY_BYTES];
    for (to, from) in key.iter_mut().zip(lead.iter().chain(rest)) {
        *to = *from;
    }
    key
}

/// A sender's text holds no NUL, so that it ends where the id begins.
pub(super) fn digests_of(delivery: &NewDelivery) -> Digests {
    let sender = delivery.sender.code();
    let named = digest(&[sender.as_bytes(), b"\0", delivery.delivery_id.as_bytes()]);
    let told = delivery.told_at.map(ToldAt::seconds);
    Digests {
        key: told.map_or(named, |seconds| led(seconds.to_be_bytes(), &named)),
        body: digest(&[&delivery.body]),
    }
}

/// The key of a delivery that came under a known id with another body, so that its repetition is
/// known in turn.
pub(super) fn conflict_key(key: &Key, body: &Key) -> Key {
    digest(&[key, body])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::AccountId;
    use crate::core::time::Time;
    use crate::store::Sender;

    fn key(name: &str, told: Option<i64>) -> Key {
        let delivery = NewDelivery {
            sender: Sender::Psp(AccountId::parse("stripe_nl").unwrap()),
            delivery_id: name.to_owned(),
            received_at: Time::from_seconds(9),
            told_at: told.and_then(|seconds| ToldAt::of(Time::from_seconds(seconds))),
            is_signed: true,
            body: b"one".to_vec(),
        };
        digests_of(&delivery).key
    }

    #[test]
    fn keys_stand_in_the_order_of_their_seconds() {
        let told = [1, 256, 1_795_000_000, 4_294_967_295];
        let keys = told.map(|seconds| key("evt_1", Some(seconds)));
        assert!(keys.is_sorted());
        assert_eq!(keys[2][..LEAD_BYTES], 1_795_000_000_u32.to_be_bytes());
        let distinct = [
            key("evt_1", Some(1)),
            key("evt_2", Some(1)),
            key("evt_1", Some(2)),
            key("evt_1", None),
        ];
        assert_eq!(std::collections::BTreeSet::from(distinct).len(), 4);
        for beyond in [-1, 0, 4_294_967_296] {
            assert_eq!(key("evt_1", Some(beyond)), key("evt_1", None));
        }
    }

    #[test]
    fn what_tells_no_time_is_known_under_the_key_that_it_always_had() {
        let known = "e4b00faa5568d8e6c93db2c8d1ec54c0";
        assert_eq!(hex::encode(key("evt_1", None)), known);
    }
}
