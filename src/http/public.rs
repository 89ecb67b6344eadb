//! The public listener's routes and what its handlers share.
//!
//! Holds the roster, the ways into inbox and quarantine, and a reader of checkouts; nothing
//! through which a handler could decide or move anything.

use super::counters::{IntakeCounters, Outcome, SenderKind};
use super::intake::{Intake, NotTaken};
use super::problem::{Code, Problem};
use super::quarantine::{Quarantine, seal};
use super::unsigned::UnsignedBudget;
use super::{orders, shop_events, webhook};
use crate::clock::Clock;
use crate::core::time::Time;
use crate::psp::{RawDelivery, Rejection};
use crate::roster::Roster;
use crate::store::{LoadedCheckout, Quarantined, Sender, Store};
use crate::wire::Headers;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::routing::{MethodRouter, any, get, post};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a sender is told to wait while too much is queued, in seconds.
const RETRY_AFTER_QUEUE_S: u32 = 5;
/// What a sender is told to wait while nothing can be stored, in seconds.
const RETRY_AFTER_STORE_S: u32 = 30;
/// Longest delivery id that is kept as it came, in bytes.
const DELIVERY_ID_BYTES_MAX: usize = 200;
/// Longest body the handlers take again from the listener, in bytes; the listener's own limit
/// was applied before.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A checkout that cannot be shown, with the reason for the log.
#[derive(Debug, thiserror::Error)]
#[error("checkout cannot be shown: {0}")]
pub struct Unshowable(pub String);

/// Writes a checkout as everyone sees it.
pub type ShowCheckout = dyn Fn(&LoadedCheckout) -> Result<Vec<u8>, Unshowable> + Send + Sync;

/// What the handlers of the public listener share.
pub struct Public {
    /// Who is served.
    pub roster: Arc<ArcSwap<Roster>>,
    /// The way into the inbox.
    pub intake: Intake,
    /// The way into quarantine.
    pub quarantine: Quarantine,
    /// How many unsigned deliveries are taken.
    pub unsigned: UnsignedBudget,
    /// What is counted.
    pub counters: Arc<IntakeCounters>,
    /// The time.
    pub clock: Clock,
    /// Where orders are read.
    pub store: Arc<dyn Store>,
    /// How they are shown.
    pub show: Arc<ShowCheckout>,
}

/// The table of routes: method, path, handler. The router is made from it, and a test holds it
/// against the OpenAPI document. Which methods a webhook takes is its account's own affair.
pub fn routes() -> [(&'static str, &'static str, MethodRouter<Arc<Public>>); 3] {
    [
        ("post", "/webhooks/{account}", any(webhook::receive)),
        ("post", "/shops/{shop}/events", post(shop_events::receive)),
        ("get", "/shops/{shop}/orders/{reference}", get(orders::show)),
    ]
}

/// The public listener's router.
pub fn router(public: Public) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| {
            router.route(path, handler)
        })
        .with_state(Arc::new(public))
}

/// A delivery as it came through the door, owned for as long as it is looked at.
pub(super) struct Arrived {
    pub(super) method: Method,
    pub(super) query: String,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    pub(super) at: Time,
}

impl Arrived {
    /// Takes a request apart; the listener has read its body.
    pub(super) async fn take(
        request: axum::extract::Request,
        clock: &Clock,
    ) -> Result<Arrived, Problem> {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| Problem::new(Code::BodyIncomplete))?;
        Ok(Arrived {
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: plain(&head.headers),
            method: head.method,
            body,
            at: clock.now(),
        })
    }

    /// As adapters see it.
    pub(super) fn raw(&self) -> RawDelivery<'_> {
        RawDelivery {
            method: self.method.as_str(),
            headers: &self.headers,
            query: &self.query,
            body: &self.body,
        }
    }
}

fn plain(fields: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.push(name.as_str(), value.as_bytes());
    }
    headers
}

/// The id under which repetitions are recognised: the sender's own, or a hash where it gave
/// none or one that is no fit key.
pub(super) fn delivery_id(named: Option<&str>, body: &[u8]) -> String {
    let is_fit = |id: &&str| {
        !id.is_empty()
            && id.len() <= DELIVERY_ID_BYTES_MAX
            && id.chars().all(|c| c.is_ascii_graphic())
    };
    match named {
        Some(id) if is_fit(&id) => id.to_owned(),
        Some(id) => format!("id-sha256:{}", hex::encode(Sha256::digest(id))),
        None => format!("sha256:{}", hex::encode(Sha256::digest(body))),
    }
}

/// The id of a delivery whose scheme has no signature: those that name the same within one second
/// are one. Longer would lose what happened after the first was read.
pub(super) fn unsigned_id(named: &str, at: Time) -> String {
    format!("{named}@{}", at.seconds())
}

/// The work that verifying would have been, for senders that do not exist: how long an answer
/// takes must not tell which accounts do.
pub(super) fn verify_for_nobody(body: &[u8]) {
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(b"nobody holds this key") {
        mac.update(body);
        std::hint::black_box(mac.verify_slice(&[0; 32]).is_ok());
    }
}

impl Public {
    /// Counts and keeps a rejected delivery, and makes the answer, which does not say why.
    pub(super) fn reject(
        &self,
        sender: &Sender,
        arrived: &Arrived,
        rejection: Rejection,
        is_kept: impl Fn(&str) -> bool,
    ) -> Problem {
        self.counters
            .count(SenderKind::from(sender), Outcome::from(rejection));
        let (code, is_authentic) = match rejection {
            Rejection::MissingSignature
            | Rejection::MalformedSignature
            | Rejection::WrongSecret => (Code::BadSignature, false),
            Rejection::ClockOff { .. } => (Code::StaleTimestamp, true),
        };
        self.keep(
            sender,
            arrived,
            is_authentic,
            rejection.diagnosis(),
            is_kept,
        );
        Problem::new(code)
    }

    /// Puts a delivery on its way into quarantine, as far as budget and queue allow.
    pub(super) fn keep(
        &self,
        sender: &Sender,
        arrived: &Arrived,
        is_authentic: bool,
        diagnosis: String,
        is_kept: impl Fn(&str) -> bool,
    ) {
        let shown = diagnosis.clone();
        let entry = || Quarantined {
            id: 0,
            sender: sender.clone(),
            received_at: arrived.at,
            diagnosis,
            envelope: seal(&arrived.raw(), is_kept),
            body: arrived.body.to_vec(),
        };
        // What the budget lets through also bounds the log.
        if self
            .quarantine
            .offer(sender, is_authentic, arrived.at, entry)
        {
            tracing::warn!(
                sender = sender.code(),
                diagnosis = shown,
                "delivery rejected"
            );
        } else {
            tracing::debug!(
                sender = sender.code(),
                diagnosis = shown,
                "delivery rejected"
            );
        }
    }
}

/// The answer to a sender whose delivery was not made durable.
pub(super) fn come_again(not_taken: NotTaken) -> Problem {
    match not_taken {
        NotTaken::QueueFull => Problem::new(Code::Overloaded).retry_after(RETRY_AFTER_QUEUE_S),
        NotTaken::StoreUnavailable => {
            Problem::new(Code::StoreUnavailable).retry_after(RETRY_AFTER_STORE_S)
        }
    }
}

/// The answer when what is asked for cannot be read now.
pub(super) fn unreadable_store() -> Problem {
    Problem::new(Code::StoreUnavailable).retry_after(RETRY_AFTER_STORE_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_id_is_kept_and_an_unfit_one_is_hashed() {
        assert_eq!(delivery_id(Some("evt_1"), b"x"), "evt_1");
        let long = "e".repeat(DELIVERY_ID_BYTES_MAX + 1);
        for unfit in ["", "a b", "a\0b", "é", long.as_str()] {
            let id = delivery_id(Some(unfit), b"x");
            assert!(id.starts_with("id-sha256:"), "{id}");
            assert_ne!(id, delivery_id(Some("other id"), b"x"));
        }
        assert_eq!(
            delivery_id(None, b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
