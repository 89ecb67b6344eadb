//! Webhooks on their way from the sandbox to the daemon: queued, signed when taken, tried again
//! when not acknowledged, and spoilt on demand.
//!
//! Knows no socket and no secret: whoever takes deliveries brings the signature.

use super::fault::{Aim, Faults, Times};
use crate::core::time::{Span, Time};
use crate::wire::{Headers, Method};

/// Attempts before the sender gives a delivery up.
pub const ATTEMPTS_MAX: u32 = 12;
/// Wait before the second attempt; doubles up to `RETRY_MAX`.
pub const RETRY_FIRST: Span = Span::from_millis(200);
/// Longest wait between two attempts.
pub const RETRY_MAX: Span = Span::from_seconds(2);
/// Longest that a delivery to be overtaken waits for another one.
pub const OVERTAKEN_MAX: Span = Span::from_seconds(2);

/// What can happen to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFault {
    /// Never arrives and is never tried again.
    Lose,
    /// Arrives twice.
    Double,
    /// Arrives this much later.
    Delay(Span),
    /// Arrives after the delivery that was made next.
    Reorder,
    /// One byte of the body changes after signing.
    Corrupt,
    /// Is signed with a secret that nobody shares.
    WrongSecret,
    /// Is signed for a moment this long ago.
    OldTimestamp(Span),
    /// Is signed for a moment this far ahead.
    FutureTimestamp(Span),
}

/// How a delivery must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The moment the signature names.
    pub at: Time,
    /// True when it must be made with a secret that nobody shares.
    pub is_secret_wrong: bool,
}

/// A message as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `POST`, or `GET` where a PSP delivers so.
    pub method: Method,
    /// The query string without `?`; empty for none.
    pub query: String,
    /// Signature and content type.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Sealed {
    /// A posted JSON body with these header fields.
    pub fn json(headers: Headers, body: &[u8]) -> Sealed {
        Sealed {
            method: Method::Post,
            query: String::new(),
            headers: headers.with("content-type", "application/json"),
            body: body.to_vec(),
        }
    }
}

/// Changes the last digit in a text, if it has one.
pub fn flip_digit(text: &mut [u8]) {
    if let Some(byte) = text.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        *byte = if *byte == b'7' { b'8' } else { b'7' };
    }
}

/// One attempt to deliver.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event's id, the same on every attempt.
    pub id: String,
    /// The event's type.
    pub what: String,
    /// The order it is about.
    pub reference: Option<String>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How it is sent.
    pub method: Method,
    /// The query string without `?`; empty for none.
    pub query: String,
    /// Signature and content type.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    trick: Option<DeliveryFault>,
    message: Vec<u8>,
}

impl Delivery {
    /// This path with the delivery's query.
    pub fn target(&self, path: &str) -> String {
        if self.query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", self.query)
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The event's id.
    pub id: String,
    /// The event's type.
    pub what: String,
    /// The order it is about.
    pub reference: Option<String>,
    /// The receiver's status; none when there was no answer.
    pub status: Option<u16>,
}

#[derive(Clone, Debug)]
struct Waiting {
    id: String,
    what: String,
    reference: Option<String>,
    body: Vec<u8>,
    due: Time,
    attempt: u32,
    trick: Option<DeliveryFault>,
}

/// What waits to be delivered, and how past attempts ended.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: Vec<Waiting>,
    faults: Faults<(), DeliveryFault>,
    answers: Vec<Answered>,
}

impl Outbox {
    /// Spoils the next deliveries (about one order, if one is named).
    pub fn spoil(&mut self, reference: Option<&str>, times: Times, fault: DeliveryFault) {
        let aim = reference.map_or_else(Aim::all, |reference| Aim::all().about(reference));
        self.faults.lay(aim, times, fault);
    }

    /// Takes all faults away; what is already queued keeps its own.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// How often a delivery about this order was spoilt.
    pub fn strikes_about(&self, reference: &str) -> usize {
        self.faults.strikes_about(reference)
    }

    /// How past attempts ended, oldest first.
    pub fn answers(&self) -> &[Answered] {
        &self.answers
    }

    /// True when nothing waits to be delivered.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queues an event.
    pub fn push(&mut self, id: &str, what: &str, reference: Option<&str>, body: &[u8], now: Time) {
        let trick = self.faults.strike((), reference);
        let overtaken = |waiting: &&mut Waiting| waiting.trick == Some(DeliveryFault::Reorder);
        for waiting in self.waiting.iter_mut().filter(overtaken) {
            // One microsecond behind what is pushed now.
            waiting.due = now.plus(Span::from_micros(1));
            waiting.trick = None;
        }
        let due = match trick {
            Some(DeliveryFault::Lose) => return,
            Some(DeliveryFault::Delay(span)) => now.plus(span),
            Some(DeliveryFault::Reorder) => now.plus(OVERTAKEN_MAX),
            None
            | Some(
                DeliveryFault::Double
                | DeliveryFault::Corrupt
                | DeliveryFault::WrongSecret
                | DeliveryFault::OldTimestamp(_)
                | DeliveryFault::FutureTimestamp(_),
            ) => now,
        };
        let waiting = Waiting {
            id: id.to_owned(),
            what: what.to_owned(),
            reference: reference.map(str::to_owned),
            body: body.to_vec(),
            due,
            attempt: 1,
            trick,
        };
        if trick == Some(DeliveryFault::Double) {
            self.waiting.push(waiting.clone());
        }
        self.waiting.push(waiting);
    }

    /// Takes what is due, signed for now by `seal`, in the order it was queued; `corrupt` changes
    /// what is to be spoilt after signing.
    pub fn take(
        &mut self,
        now: Time,
        seal: impl Fn(&str, &[u8], Sealing) -> Sealed,
        corrupt: impl Fn(&mut Sealed),
    ) -> Vec<Delivery> {
        let mut due: Vec<Waiting> = Vec::new();
        self.waiting.retain(|waiting| {
            let is_due = waiting.due <= now;
            if is_due {
                due.push(waiting.clone());
            }
            !is_due
        });
        due.sort_by_key(|waiting| waiting.due);
        due.into_iter()
            .map(|waiting| {
                let mut sealed = seal(&waiting.id, &waiting.body, sealing(waiting.trick, now));
                if waiting.trick == Some(DeliveryFault::Corrupt) {
                    corrupt(&mut sealed);
                }
                attempt(waiting, sealed)
            })
            .collect()
    }

    /// Notes how an attempt ended; what was not taken is tried again later.
    pub fn answered(&mut self, delivery: Delivery, status: Option<u16>, is_taken: bool, now: Time) {
        self.answers.push(Answered {
            id: delivery.id.clone(),
            what: delivery.what.clone(),
            reference: delivery.reference.clone(),
            status,
        });
        if is_taken || delivery.attempt >= ATTEMPTS_MAX {
            return;
        }
        let doublings = delivery.attempt.saturating_sub(1).min(10);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(1);
        let wait = RETRY_FIRST
            .micros()
            .saturating_mul(factor)
            .min(RETRY_MAX.micros());
        self.waiting.push(Waiting {
            id: delivery.id,
            what: delivery.what,
            reference: delivery.reference,
            body: delivery.message,
            due: now.plus(Span::from_micros(wait)),
            attempt: delivery.attempt.saturating_add(1),
            trick: delivery.trick,
        });
    }
}

fn sealing(trick: Option<DeliveryFault>, now: Time) -> Sealing {
    let at = match trick {
        Some(DeliveryFault::OldTimestamp(span)) => now.minus(span),
        Some(DeliveryFault::FutureTimestamp(span)) => now.plus(span),
        None
        | Some(
            DeliveryFault::Lose
            | DeliveryFault::Double
            | DeliveryFault::Delay(_)
            | DeliveryFault::Reorder
            | DeliveryFault::Corrupt
            | DeliveryFault::WrongSecret,
        ) => now,
    };
    Sealing {
        at,
        is_secret_wrong: trick == Some(DeliveryFault::WrongSecret),
    }
}

fn attempt(waiting: Waiting, sealed: Sealed) -> Delivery {
    Delivery {
        id: waiting.id,
        what: waiting.what,
        reference: waiting.reference,
        attempt: waiting.attempt,
        method: sealed.method,
        query: sealed.query,
        headers: sealed.headers,
        body: sealed.body,
        trick: waiting.trick,
        message: waiting.body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_seconds(0).plus(Span::from_millis(millis))
    }

    fn seal(_: &str, body: &[u8], sealing: Sealing) -> Sealed {
        let headers = Headers::new()
            .with("at", &sealing.at.micros().to_string())
            .with("wrong", &sealing.is_secret_wrong.to_string());
        Sealed::json(headers, body)
    }

    fn take(outbox: &mut Outbox, now: Time) -> Vec<Delivery> {
        outbox.take(now, seal, |sealed| flip_digit(&mut sealed.body))
    }

    fn push(outbox: &mut Outbox, id: &str, now: Time) {
        outbox.push(id, "paid", Some("1001"), br#"{"amount":100}"#, now);
    }

    fn ids(outbox: &mut Outbox, now: Time) -> Vec<String> {
        let taken = take(outbox, now);
        taken.into_iter().map(|delivery| delivery.id).collect()
    }

    #[test]
    fn without_faults_each_event_is_delivered_once_in_order() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "one", at(0));
        push(&mut outbox, "two", at(0));
        assert_eq!(ids(&mut outbox, at(0)), ["one", "two"]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn lost_doubled_delayed_and_reordered_deliveries_are_just_that() {
        let mut outbox = Outbox::default();
        for fault in [
            DeliveryFault::Lose,
            DeliveryFault::Double,
            DeliveryFault::Delay(Span::from_millis(50)),
            DeliveryFault::Reorder,
        ] {
            outbox.spoil(Some("1001"), Times::Next(1), fault);
        }
        for id in ["lost", "doubled", "delayed", "overtaken", "last"] {
            push(&mut outbox, id, at(0));
        }
        assert_eq!(ids(&mut outbox, at(0)), ["doubled", "doubled", "last"]);
        assert_eq!(ids(&mut outbox, at(1)), ["overtaken"]);
        assert_eq!(ids(&mut outbox, at(50)), ["delayed"]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_spoilt_body_secret_or_timestamp_shows_in_the_attempt() {
        let mut outbox = Outbox::default();
        let old = Span::from_seconds(10);
        for fault in [
            DeliveryFault::Corrupt,
            DeliveryFault::WrongSecret,
            DeliveryFault::OldTimestamp(old),
            DeliveryFault::FutureTimestamp(old),
        ] {
            outbox.spoil(None, Times::Next(1), fault);
            push(&mut outbox, "event", at(20_000));
        }
        let taken = take(&mut outbox, at(20_000));
        assert_eq!(taken[0].body, br#"{"amount":107}"#);
        assert_eq!(taken[1].headers.single("wrong"), Some("true"));
        assert_eq!(taken[1].body, br#"{"amount":100}"#);
        assert_eq!(taken[2].headers.single("at"), Some("10000000"));
        assert_eq!(taken[2].headers.single("wrong"), Some("false"));
        assert_eq!(taken[3].headers.single("at"), Some("30000000"));
    }

    #[test]
    fn an_attempt_that_was_not_taken_is_tried_again_later_and_not_for_ever() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "event", at(0));
        let mut now = at(0);
        let mut attempts = 0;
        while !outbox.is_empty() {
            for delivery in take(&mut outbox, now) {
                attempts += 1;
                assert_eq!(delivery.attempt, attempts);
                outbox.answered(delivery, Some(503), false, now);
                assert!(take(&mut outbox, now).is_empty());
            }
            now = now.plus(RETRY_MAX);
        }
        assert_eq!(attempts, ATTEMPTS_MAX);
        push(&mut outbox, "fine", now);
        let delivery = take(&mut outbox, now).remove(0);
        outbox.answered(delivery, Some(200), true, now);
        assert!(outbox.is_empty());
        assert_eq!(outbox.answers().last().unwrap().status, Some(200));
    }
}
