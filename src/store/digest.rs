//! What tells deliveries apart: a digest of sender and id, and one of the body.
//!
//! Sixteen bytes of SHA-256 each: compact where millions are kept, and nobody can make two
//! deliveries look the same by choosing their ids.

use super::NewDelivery;
use sha2::{Digest, Sha256};

/// Why a delivery is parked that came under a known id with another body.
pub(super) const CONFLICT: &str = "delivery_conflict: known under this id with another body";
/// Bytes of a digest.
pub(super) const KEY_BYTES: usize = 16;
/// A digest.
pub(super) type Key = [u8; KEY_BYTES];

/// A delivery's two digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// Of sender and delivery id.
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

/// A sender's text holds no NUL, so that it ends where the id begins.
pub(super) fn digests_of(delivery: &NewDelivery) -> Digests {
    let sender = delivery.sender.code();
    Digests {
        key: digest(&[sender.as_bytes(), b"\0", delivery.delivery_id.as_bytes()]),
        body: digest(&[&delivery.body]),
    }
}

/// The key of a delivery that came under a known id with another body, so that its repetition is
/// known in turn.
pub(super) fn conflict_key(key: &Key, body: &Key) -> Key {
    digest(&[key, body])
}
