//! Rejected deliveries, kept within bounds for operators to look at and replay.
//!
//! Never delays an answer and never lets a stranger wear out the disk: a budget per sender, a
//! bounded queue, one writer. Knows no PSP; which header fields are kept is the adapter's word.

use super::counters::{IntakeCounters, Outcome, SenderKind};
use crate::core::time::{Span, Time};
use crate::psp::RawDelivery;
use crate::store::{QuarantineBounds, Quarantined, Sender, Store};
use crate::wire::Headers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Entries kept; the oldest give way.
const ENTRIES_MAX: u32 = 1_000;
/// Bytes of bodies kept.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Entries that may wait for the writer.
const QUEUE_MAX: usize = 64;
/// A sender may bring so many entries at once …
const BURST: u64 = 50;
/// … and from then on one per this span.
const PACE: Span = Span::from_seconds(2);
/// Fields that hold credentials are never kept, whatever an adapter says.
const NEVER_KEPT: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// How a delivery came, beside its body.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    method: String,
    query: String,
    headers: Vec<(String, String)>,
}

/// The envelope's text, with the fields that `is_kept` names.
pub(super) fn seal(delivery: &RawDelivery<'_>, is_kept: impl Fn(&str) -> bool) -> String {
    let envelope = Envelope {
        method: delivery.method.to_owned(),
        query: delivery.query.to_owned(),
        headers: delivery
            .headers
            .iter()
            .filter(|(name, _)| is_kept(name) && !NEVER_KEPT.contains(name))
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect(),
    };
    serde_json::to_string(&envelope).unwrap_or_default()
}

/// An envelope read back: method, query and header fields; none when it is not one of ours.
pub(super) fn open(envelope: &str) -> Option<(String, String, Headers)> {
    if !envelope.starts_with('{') {
        return None;
    }
    let envelope: Envelope = serde_json::from_str(envelope).ok()?;
    let mut headers = Headers::new();
    for (name, value) in envelope.headers {
        headers.push(&name, value);
    }
    Some((envelope.method, envelope.query, headers))
}

/// True when a sender's next entry fits its budget; `reserved_until` is the budget's state.
fn is_within_budget(reserved_until: &mut Time, now: Time) -> bool {
    let horizon = now.plus(Span::from_micros(PACE.micros().saturating_mul(BURST)));
    // A clock that was set back must not keep the door shut for longer than the pace asks.
    let from = (*reserved_until).clamp(now, horizon);
    let until = from.plus(PACE);
    let fits = until <= horizon;
    *reserved_until = if fits { until } else { from };
    fits
}

/// The way into quarantine; clones share it.
#[derive(Clone)]
pub struct Quarantine {
    queue: mpsc::Sender<Quarantined>,
    budgets: Arc<Mutex<BTreeMap<(Sender, bool), Time>>>,
    counters: Arc<IntakeCounters>,
}

/// The one task that writes entries.
pub struct QuarantineWriter {
    queue: mpsc::Receiver<Quarantined>,
    store: Arc<dyn Store>,
    counters: Arc<IntakeCounters>,
}

/// Makes the way in and the task that must run behind it.
pub fn quarantine(
    store: Arc<dyn Store>,
    counters: Arc<IntakeCounters>,
) -> (Quarantine, QuarantineWriter) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let way_in = Quarantine {
        queue: sender,
        budgets: Arc::default(),
        counters: Arc::clone(&counters),
    };
    let writer = QuarantineWriter {
        queue: receiver,
        store,
        counters,
    };
    (way_in, writer)
}

impl Quarantine {
    /// Puts an entry on its way if the sender's budget and the queue allow it; true if so. What
    /// holds our secret (`is_authentic`) has a budget of its own, which strangers cannot use up.
    /// Never waits; `entry` is only made when there is room for it.
    pub(super) fn offer(
        &self,
        sender: &Sender,
        is_authentic: bool,
        now: Time,
        entry: impl FnOnce() -> Quarantined,
    ) -> bool {
        let has_budget = {
            let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
            let reserved_until = budgets.entry((sender.clone(), is_authentic)).or_insert(now);
            is_within_budget(reserved_until, now)
        };
        let is_kept = has_budget
            && match self.queue.try_reserve() {
                Ok(room) => {
                    room.send(entry());
                    true
                }
                Err(_) => false,
            };
        let outcome = if is_kept {
            Outcome::Quarantined
        } else {
            Outcome::QuarantineDropped
        };
        self.counters.count(SenderKind::from(sender), outcome);
        is_kept
    }
}

impl QuarantineWriter {
    /// Writes until `stop`, then what is still queued.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut is_closed = false;
        loop {
            let entry = tokio::select! {
                biased;
                entry = self.queue.recv() => entry,
                () = stop.cancelled(), if !is_closed => {
                    is_closed = true;
                    self.queue.close();
                    continue;
                }
            };
            match entry {
                Some(entry) => self.write(&entry).await,
                None => return,
            }
        }
    }

    async fn write(&self, entry: &Quarantined) {
        let bounds = QuarantineBounds {
            entries_max: ENTRIES_MAX,
            bytes_max: BYTES_MAX,
        };
        if let Err(error) = self.store.quarantine(entry, bounds).await {
            self.counters
                .count(SenderKind::from(&entry.sender), Outcome::QuarantineDropped);
            tracing::warn!(code = error.code(), %error, "a rejected delivery was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_a_burst_and_then_a_pace() {
        let start = Time::from_seconds(1_000);
        let mut reserved = start;
        let admitted = (0..200)
            .filter(|_| is_within_budget(&mut reserved, start))
            .count();
        assert_eq!(admitted, 50);
        let later = start.plus(Span::from_seconds(20));
        let admitted = (0..200)
            .filter(|_| is_within_budget(&mut reserved, later))
            .count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn a_clock_set_back_does_not_close_the_quarantine() {
        let mut reserved = Time::from_seconds(1_000_000);
        let now = Time::from_seconds(1_000);
        assert!(!is_within_budget(&mut reserved, now));
        assert!(is_within_budget(&mut reserved, now.plus(PACE)));
    }

    #[test]
    fn an_envelope_keeps_the_signature_and_no_credential() {
        let headers = Headers::new()
            .with("Stripe-Signature", "t=1,v1=ab")
            .with("Authorization", "Basic c2VjcmV0")
            .with("User-Agent", "x");
        let delivery = RawDelivery {
            method: "POST",
            headers: &headers,
            query: "a=b",
            body: b"",
        };
        let text = seal(&delivery, |name| name != "user-agent");
        assert!(!text.contains("c2VjcmV0"));
        let (method, query, kept) = open(&text).unwrap();
        assert_eq!((method.as_str(), query.as_str()), ("POST", "a=b"));
        assert_eq!(kept.single("stripe-signature"), Some("t=1,v1=ab"));
        assert_eq!(kept.iter().count(), 1);
    }

    #[test]
    fn what_is_not_an_envelope_is_not_opened() {
        for text in ["", "[]", r#"["POST","",[]]"#, r#"{"method":"POST"}"#, "{"] {
            assert!(open(text).is_none(), "{text}");
        }
    }
}
