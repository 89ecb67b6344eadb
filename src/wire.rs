//! HTTP as plain values: what an adapter verifies, builds and reads, and what the client sends.
//!
//! Knows no network and no PSP. Debug output never shows header values, which may hold secrets,
//! nor bodies, which may hold personal facts.

use crate::core::time::Span;
use std::fmt;

/// The methods our adapters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create or act.
    Post,
    /// Remove.
    Delete,
    /// Change.
    Patch,
}

/// Header fields: names in lower case, in the order they came, repeated ones kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Adds a field; the name is lowered.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Headers {
        self.push(name, value);
        self
    }

    /// All values of a field (name in lower case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The value of a field that occurs exactly once and is UTF-8.
    pub fn single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_some() {
            None
        } else {
            std::str::from_utf8(first).ok()
        }
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// A call that an adapter wants sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Header fields.
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        write!(
            f,
            "{:?} {path} {:?} {} bytes",
            self.method,
            self.headers,
            self.body.len()
        )
    }
}

/// A complete answer, within the size limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {} bytes",
            self.status,
            self.headers,
            self.body.len()
        )
    }
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The request certainly never reached the other side. Carries a stable word
    /// (`connection_refused`, `dns`, `tls`).
    NotSent(&'static str),
    /// It may have reached the other side. Carries a stable word (`timeout`, `reset`,
    /// `answer_too_large`).
    Unclear(&'static str),
}

/// What a call brought.
pub type Reply = Result<Response, CallError>;

/// A delivery as it arrived, nothing checked.
#[derive(Clone, Copy, Debug)]
pub struct RawDelivery<'a> {
    /// `POST` or `GET`, as sent.
    pub method: &'a str,
    /// All header fields.
    pub headers: &'a Headers,
    /// The query string without `?`; empty for none.
    pub query: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The sender holds the secret, and every byte that will be read is covered.
    Signed {
        /// The PSP's delivery or event id, for dropping repetitions; none when the body names
        /// none, then the body's hash serves.
        delivery_id: Option<String>,
    },
    /// This scheme has no signature here: the body is only a hint to fetch.
    Unsigned {
        /// What repetitions are coalesced by.
        delivery_id: String,
    },
    /// Not from the PSP, or not now, or not for us.
    Rejected(Rejection),
}

/// Why a delivery was rejected; shown in the quarantine, never to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No signature header.
    MissingSignature,
    /// The signature header does not have its scheme's shape.
    MalformedSignature,
    /// Well-formed, but made with another secret or over other bytes.
    WrongSecret,
    /// Made with our secret, but too long ago (positive) or in the future (negative).
    ClockOff {
        /// Our clock minus the sender's, in seconds.
        seconds: i64,
    },
}

impl Rejection {
    /// The stable word for the HTTP answer: `bad_signature` or `stale_timestamp`.
    pub fn problem_code(self) -> &'static str {
        match self {
            Rejection::MissingSignature
            | Rejection::MalformedSignature
            | Rejection::WrongSecret => "bad_signature",
            Rejection::ClockOff { .. } => "stale_timestamp",
        }
    }

    /// The diagnosis for the quarantine.
    pub fn diagnosis(self) -> String {
        match self {
            Rejection::MissingSignature => "missing signature".to_owned(),
            Rejection::MalformedSignature => "malformed signature header".to_owned(),
            Rejection::WrongSecret => "wrong secret, or the body was changed on the way".to_owned(),
            Rejection::ClockOff { seconds } => {
                let size = seconds.unsigned_abs();
                let side = if seconds > 0 {
                    "behind ours"
                } else {
                    "ahead of ours"
                };
                format!("clock off by {size} s: the sender's timestamp is {side}")
            }
        }
    }
}

/// A verified delivery that cannot be read: parked by name, never retried by the PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// A stable word (`not_json`, `missing_field`, `bad_amount`, `thin_event`).
    pub code: &'static str,
    /// For people; names fields and positions, never shows content.
    pub detail: String,
}

/// A failed exchange, named for the next act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Certainly without effect.
    NotSent(String),
    /// May have had its effect.
    Unclear(String),
    /// Asked for patience.
    Throttled {
        /// How long, by the other side's word or our default.
        wait: Span,
    },
    /// Declined for now, and not for good: the same is taken later. Some PSPs refuse what looks
    /// like a repetition for a while, so it may also mean that it was done already.
    Postponed {
        /// The other side's own stable word.
        code: String,
        /// How long, by the other side's word or its documentation.
        wait: Span,
    },
    /// Our credentials were not accepted; says nothing about the subject.
    Unauthorized(String),
    /// Not an answer in the agreed shape.
    Malformed(String),
    /// Explicitly declined, with the other side's stable word.
    Refused(String),
}

impl Failure {
    /// A stable word for logs and marks.
    pub fn code(&self) -> &str {
        match self {
            Failure::NotSent(code)
            | Failure::Unclear(code)
            | Failure::Unauthorized(code)
            | Failure::Malformed(code)
            | Failure::Refused(code)
            | Failure::Postponed { code, .. } => code,
            Failure::Throttled { .. } => "throttled",
        }
    }
}

/// True for a signature's usual fields: `…-signature…` and those of Standard Webhooks.
pub fn is_usual_signature_field(name: &str) -> bool {
    name.contains("signature") || name.starts_with("webhook-")
}
