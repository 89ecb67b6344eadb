//! Idempotency keys as a PSP remembers them: for how long, with which answer, and busy while
//! the first request takes its time.
//!
//! Knows no PSP: what a repeated, foreign or busy key is answered with is its dialect's.

use crate::core::time::{Span, Time};
use crate::sandbox::fault::{Fault, Symptom};
use crate::wire::Response;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Remembered {
    fingerprint: String,
    reply: Response,
    at: Time,
    busy_until: Time,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// The first request with it is still running.
    Busy,
    /// It came with another request.
    OtherRequest,
    /// It came with this request, which was answered so.
    Answered(Response),
}

/// The keys that an account remembers.
#[derive(Clone, Debug)]
pub struct Keys {
    lifetime: Span,
    known: BTreeMap<String, Remembered>,
}

impl Keys {
    /// No keys; each is forgotten this long after it was first used.
    pub fn new(lifetime: Span) -> Keys {
        Keys {
            lifetime,
            known: BTreeMap::new(),
        }
    }

    /// What is known of a key that comes with this request now.
    pub fn ask(&mut self, key: &str, fingerprint: &str, now: Time) -> Known {
        let lifetime = self.lifetime;
        self.known.retain(|_, one| now.since(one.at) < lifetime);
        match self.known.get(key) {
            None => Known::Nothing,
            Some(known) if known.fingerprint != fingerprint => Known::OtherRequest,
            Some(known) if known.busy_until > now => Known::Busy,
            Some(known) => Known::Answered(known.reply.clone()),
        }
    }

    /// Remembers how the first request with a key was answered.
    pub fn remember(&mut self, key: &str, fingerprint: &str, reply: &Response, now: Time) {
        let remembered = Remembered {
            fingerprint: fingerprint.to_owned(),
            reply: reply.clone(),
            at: now,
            busy_until: now,
        };
        self.known.insert(key.to_owned(), remembered);
    }

    /// A call that takes long keeps its key busy; a 500 after the effect is what the key
    /// remembers.
    pub fn struck(&mut self, key: &str, fault: &Fault, shown: Option<&Response>, now: Time) {
        let Some(known) = self.known.get_mut(key) else {
            return;
        };
        if let Symptom::Delay(span) = fault.symptom {
            known.busy_until = known.busy_until.max(now.plus(span));
        }
        let is_own_500 = matches!(fault.symptom, Symptom::Status { code: 500, .. });
        if let (true, true, Some(shown)) = (is_own_500, fault.is_applied, shown) {
            known.reply = shown.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::fault::response;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    #[test]
    fn a_key_answers_its_own_request_for_its_lifetime_and_refuses_another() {
        let reply = response(201, "text/plain", b"first");
        let mut keys = Keys::new(Span::from_hours(1));
        assert_eq!(keys.ask("k", "a", at(0)), Known::Nothing);
        keys.remember("k", "a", &reply, at(0));
        assert_eq!(keys.ask("k", "a", at(3_599)), Known::Answered(reply));
        assert_eq!(keys.ask("k", "b", at(3_599)), Known::OtherRequest);
        assert_eq!(keys.ask("k", "b", at(3_600)), Known::Nothing);
    }

    #[test]
    fn a_slow_call_keeps_its_key_busy_and_a_500_after_the_effect_is_remembered() {
        let mut keys = Keys::new(Span::from_hours(1));
        keys.remember("k", "a", &response(201, "text/plain", b""), at(0));
        let slow = Fault::delay(Span::from_seconds(5));
        keys.struck("k", &slow, None, at(0));
        assert_eq!(keys.ask("k", "a", at(4)), Known::Busy);
        let shown = response(500, "text/plain", b"");
        let symptom = Symptom::Status {
            code: 500,
            retry_after_s: None,
        };
        keys.struck("k", &Fault::after(symptom), Some(&shown), at(5));
        assert_eq!(keys.ask("k", "a", at(5)), Known::Answered(shown));
        keys.struck("unknown", &slow, None, at(5));
        assert_eq!(keys.ask("unknown", "a", at(5)), Known::Nothing);
    }
}
