//! What can go wrong with a call to the sandbox, as values: which call, how often, what the
//! caller sees, and whether the call had its effect all the same.
//!
//! Knows neither the PSP nor the shop, and nothing of sockets.

use crate::core::time::Span;
use crate::wire::{Headers, Response};

/// A word that no API of the world uses for a status.
pub const UNKNOWN_WORD: &str = "perhaps_tomorrow";
/// Size of a huge answer in bytes; past every limit a careful client has.
pub const HUGE_BYTES: usize = 1_500_000;

/// What the caller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// The connection closes without an answer.
    Close,
    /// As `Close`; the call waits in a proxy until it is let through. The shop's side alone.
    Queue,
    /// This status, with a body of no use.
    Status {
        /// The code.
        code: u16,
        /// `Retry-After` in seconds.
        retry_after_s: Option<u64>,
    },
    /// 200 with a maintenance page.
    Html,
    /// 200 without a body.
    Empty,
    /// 200 with broken JSON.
    Garbage,
    /// The true answer with a status word that nobody knows; the call has its effect.
    UnknownWord,
    /// 302 to another page of this host.
    Redirect,
    /// 200 and more bytes than anyone should read.
    Huge,
    /// The true answer, this much later; the call has its effect at once.
    Delay(Span),
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the caller sees.
    pub symptom: Symptom,
    /// True when the call had its effect before it went wrong.
    pub is_applied: bool,
}

impl Fault {
    /// Goes wrong on the way there: the call has no effect.
    pub fn before(symptom: Symptom) -> Fault {
        Fault {
            symptom,
            is_applied: false,
        }
    }

    /// Goes wrong on the way back: the call has its effect.
    pub fn after(symptom: Symptom) -> Fault {
        Fault {
            symptom,
            is_applied: true,
        }
    }

    /// A status code without effect.
    pub fn status(code: u16) -> Fault {
        Fault::before(Symptom::Status {
            code,
            retry_after_s: None,
        })
    }

    /// The true answer, late.
    pub fn delay(span: Span) -> Fault {
        Fault::after(Symptom::Delay(span))
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many fitting calls.
    Next(u32),
    /// Every fitting call until the faults are cleared.
    Always,
}

/// Which calls a fault is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim<K> {
    /// Only calls of this kind; none for all.
    pub kind: Option<K>,
    /// Only calls about this order reference; none for all.
    pub reference: Option<String>,
}

impl<K> Aim<K> {
    /// Every call.
    pub fn all() -> Aim<K> {
        Aim {
            kind: None,
            reference: None,
        }
    }

    /// Every call of this kind.
    pub fn kind(kind: K) -> Aim<K> {
        Aim {
            kind: Some(kind),
            reference: None,
        }
    }

    /// Only what concerns this order.
    #[must_use]
    pub fn about(mut self, reference: &str) -> Aim<K> {
        self.reference = Some(reference.to_owned());
        self
    }
}

/// Rules in the order they were laid; the first that fits strikes.
#[derive(Clone, Debug)]
pub struct Faults<K, F> {
    rules: Vec<(Aim<K>, Times, F)>,
    struck: Vec<Option<String>>,
}

impl<K, F> Default for Faults<K, F> {
    fn default() -> Faults<K, F> {
        Faults {
            rules: Vec::new(),
            struck: Vec::new(),
        }
    }
}

impl<K: Copy + PartialEq, F: Clone> Faults<K, F> {
    /// Lays a fault in the way of what is aimed at.
    pub fn lay(&mut self, aim: Aim<K>, times: Times, fault: F) {
        self.rules.push((aim, times, fault));
    }

    /// How often a fault has struck something about this order: proof that the trouble happened.
    pub fn strikes_about(&self, reference: &str) -> usize {
        let about = Some(reference);
        let struck = self.struck.iter();
        struck.filter(|known| known.as_deref() == about).count()
    }

    /// Takes all faults away; what has struck stays counted.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that strikes this call, if any; counts it.
    pub fn strike(&mut self, kind: K, reference: Option<&str>) -> Option<F> {
        let fits = |aim: &Aim<K>| {
            let kind_fits = aim.kind.is_none_or(|wanted| wanted == kind);
            let wanted = aim.reference.as_deref();
            kind_fits && (wanted.is_none() || wanted == reference)
        };
        let place = self.rules.iter().position(|(aim, times, _)| {
            let is_left = *times != Times::Next(0);
            is_left && fits(aim)
        })?;
        let (_, times, fault) = self.rules.get_mut(place)?;
        if let Times::Next(left) = times {
            *left = left.saturating_sub(1);
        }
        let fault = fault.clone();
        self.struck.push(reference.map(str::to_owned));
        Some(fault)
    }
}

/// How a call to the sandbox ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// How long the answer takes.
    pub delay: Span,
    /// The answer; none when the connection closes without one.
    pub reply: Option<Response>,
}

/// Carries out a call under a fault: its effect, if it has one, and what the caller sees.
pub fn serve(fault: Option<&Fault>, effect: impl FnOnce() -> Response) -> Served {
    let Some(fault) = fault else {
        return Served {
            delay: Span::ZERO,
            reply: Some(effect()),
        };
    };
    let (delay, reply) = match &fault.symptom {
        Symptom::Delay(span) => (*span, Some(effect())),
        Symptom::UnknownWord => (Span::ZERO, Some(with_unknown_word(effect()))),
        Symptom::Close
        | Symptom::Queue
        | Symptom::Status { .. }
        | Symptom::Html
        | Symptom::Empty
        | Symptom::Garbage
        | Symptom::Redirect
        | Symptom::Huge => {
            if fault.is_applied {
                effect();
            }
            (Span::ZERO, shown(&fault.symptom))
        }
    };
    Served { delay, reply }
}

/// What stands in the place of the true answer; none when nothing does.
fn shown(symptom: &Symptom) -> Option<Response> {
    match symptom {
        Symptom::Close | Symptom::Queue | Symptom::Delay(_) | Symptom::UnknownWord => None,
        Symptom::Status {
            code,
            retry_after_s,
        } => {
            let mut reply = response(*code, "text/plain", b"the sandbox was told to say so");
            if let Some(seconds) = retry_after_s {
                reply.headers.push("retry-after", seconds.to_string());
            }
            Some(reply)
        }
        Symptom::Html => {
            let page = b"<!doctype html><title>Back soon</title><p>We are polishing the shop.";
            Some(response(200, "text/html", page))
        }
        Symptom::Empty => Some(response(200, "application/json", b"")),
        Symptom::Garbage => Some(response(200, "application/json", br#"{"order":{"stat"#)),
        Symptom::Redirect => {
            let mut reply = response(302, "text/plain", b"");
            reply.headers.push("location", "/elsewhere");
            Some(reply)
        }
        Symptom::Huge => Some(response(200, "application/json", &vec![b' '; HUGE_BYTES])),
    }
}

/// An answer with this status, content type and body.
pub fn response(status: u16, content_type: &str, body: &[u8]) -> Response {
    Response {
        status,
        headers: Headers::new().with("content-type", content_type),
        body: body.to_vec(),
    }
}

/// Replaces each status word in a JSON body of ours.
fn with_unknown_word(mut reply: Response) -> Response {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let mut parts = text.split("\"status\":\"");
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        changed.push_str(&format!("\"status\":\"{UNKNOWN_WORD}\"{rest}"));
    }
    reply.body = changed.into_bytes();
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kind {
        Ask,
        Act,
    }

    fn reply(body: &str) -> Response {
        response(200, "application/json", body.as_bytes())
    }

    #[test]
    fn a_fault_strikes_as_often_as_told_and_only_what_it_is_aimed_at() {
        let mut faults = Faults::default();
        let aim = Aim::kind(Kind::Act).about("1001");
        faults.lay(aim, Times::Next(2), Fault::status(503));
        assert_eq!(faults.strike(Kind::Ask, Some("1001")), None);
        assert_eq!(faults.strike(Kind::Act, Some("1002")), None);
        assert_eq!(faults.strike(Kind::Act, None), None);
        for _ in 0..2 {
            let struck = faults.strike(Kind::Act, Some("1001"));
            assert_eq!(struck, Some(Fault::status(503)));
        }
        assert_eq!(faults.strike(Kind::Act, Some("1001")), None);
        assert_eq!(faults.strikes_about("1001"), 2);
        faults.lay(Aim::all(), Times::Always, Fault::before(Symptom::Close));
        for _ in 0..9 {
            assert!(faults.strike(Kind::Ask, None).is_some());
        }
        faults.clear();
        assert_eq!(faults.strike(Kind::Ask, None), None);
        assert_eq!(faults.strikes_about("1001"), 2);
    }

    #[test]
    fn a_call_lost_on_the_way_there_has_no_effect_and_on_the_way_back_has() {
        for (fault, applied) in [
            (Fault::before(Symptom::Close), 0),
            (Fault::after(Symptom::Close), 1),
            (Fault::status(502), 0),
        ] {
            let mut count = 0;
            let served = serve(Some(&fault), || {
                count += 1;
                reply("{}")
            });
            assert_eq!(count, applied, "{fault:?}");
            let status = served.reply.map(|reply| reply.status);
            assert!(status.is_none() || status == Some(502), "{fault:?}");
        }
    }

    #[test]
    fn each_symptom_looks_like_what_it_is_named_for() {
        let seen = |symptom| serve(Some(&Fault::before(symptom)), || reply("{}"));
        let body = |symptom| seen(symptom).reply.unwrap().body;
        assert!(body(Symptom::Html).starts_with(b"<!doctype html>"));
        assert!(body(Symptom::Empty).is_empty());
        let garbage: Result<serde::de::IgnoredAny, _> =
            serde_json::from_slice(&body(Symptom::Garbage));
        assert!(garbage.is_err());
        assert_eq!(body(Symptom::Huge).len(), HUGE_BYTES);
        let moved = seen(Symptom::Redirect).reply.unwrap();
        assert_eq!(moved.status, 302);
        assert!(moved.headers.single("location").is_some());
        let busy = seen(Symptom::Status {
            code: 429,
            retry_after_s: Some(2),
        });
        let headers = busy.reply.unwrap().headers;
        assert_eq!(headers.single("retry-after"), Some("2"));
        let span = Span::from_seconds(2);
        assert_eq!(seen(Symptom::Delay(span)).delay, span);
    }

    #[test]
    fn an_unknown_word_replaces_every_status_and_nothing_else() {
        let served = serve(Some(&Fault::before(Symptom::UnknownWord)), || {
            reply(r#"{"a":{"status":"paid","b":1},"status":"open"}"#)
        });
        let body = String::from_utf8(served.reply.unwrap().body).unwrap();
        let expected = r#"{"a":{"status":"perhaps_tomorrow","b":1},"status":"perhaps_tomorrow"}"#;
        assert_eq!(body, expected);
    }
}
