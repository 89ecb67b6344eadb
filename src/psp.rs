//! What a PSP adapter is: verify and read deliveries, build requests, read answers.
//!
//! Pure over bytes: an adapter does no I/O and knows no shop, store or decision. Adding a PSP
//! is one new file here, its fixtures, one line in the registry and one row in the README.

mod json;
pub mod rules;
pub mod stripe;

use crate::core::ids::{AccountId, ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::PaymentSnapshot;
use crate::core::plan::Reason;
use crate::core::policy::AccountTraits;
use crate::core::time::{Span, Time};
use crate::wire::{Headers, Reply, Request};

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

/// What a verified delivery says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Statements about payments, and payments that must be fetched to be understood.
    Seen {
        /// Statements.
        payments: Vec<PaymentSnapshot>,
        /// Payments that the delivery names but says nothing usable about.
        hints: Vec<ExternalRef>,
    },
    /// Understood and of no concern to us (an event about payouts, say).
    Ignored {
        /// The PSP's own word for it, for the counters; bounded and printable.
        what: String,
    },
}

/// A verified delivery that cannot be read: parked by name, never retried by the PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// A stable word (`not_json`, `missing_field`, `bad_amount`, `thin_event`).
    pub code: &'static str,
    /// For people; names fields and positions, never shows content.
    pub detail: String,
}

/// The acknowledgement a PSP wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// A 2xx.
    pub status: u16,
    /// The content type; none for an empty body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: &'static str,
}

/// A question or order to a PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PspAsk {
    /// Read one payment with its refunds and disputes.
    Fetch {
        /// Which.
        payment: ExternalRef,
    },
    /// Give money back.
    Refund {
        /// Which payment.
        payment: ExternalRef,
        /// How much; above zero.
        amount: Money,
        /// The decision's key: idempotency key and mark.
        key: ActionKey,
        /// Why.
        why: Reason,
    },
    /// Release an authorisation.
    Void {
        /// Which payment.
        payment: ExternalRef,
        /// The decision's key.
        key: ActionKey,
        /// Why.
        why: Reason,
    },
    /// One page of payments in a window of the PSP's clock.
    List {
        /// Which listing; an adapter numbers its ways of listing from 0 (by creation, by money).
        listing: u8,
        /// From, included.
        from: Time,
        /// To, excluded.
        to: Time,
        /// The page, as the last answer named it; none for the first.
        cursor: Option<String>,
    },
}

/// The next step of an exchange, given the replies so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this and come back with its reply appended.
    Send(Request),
    /// The exchange is over.
    Done(PspAnswer),
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PspAnswer {
    /// What a fetch, refund or void showed.
    Seen(Vec<PaymentSnapshot>),
    /// One page of a listing. Payments that the page names but does not describe enough are in
    /// `hints`.
    Page {
        /// Statements.
        payments: Vec<PaymentSnapshot>,
        /// Payments to fetch.
        hints: Vec<ExternalRef>,
        /// The next page; none when this was the last.
        next: Option<String>,
    },
    /// No usable answer, and what kind of none.
    Failed(Failure),
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
    /// Our credentials were not accepted; says nothing about the subject.
    Unauthorized(String),
    /// Not an answer in the agreed shape.
    Malformed(String),
    /// Explicitly declined, with the other side's stable word.
    Refused(String),
}

/// One PSP account, ready to verify, read, ask and understand.
pub trait Psp: Send + Sync + 'static {
    /// The configuration's word for this kind.
    fn kind(&self) -> &'static str;

    /// The account's key.
    fn account(&self) -> &AccountId;

    /// What it can do.
    fn traits(&self) -> AccountTraits;

    /// Checks a delivery over its raw bytes, in constant time, against every live secret.
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification;

    /// Reads a delivery that was verified (`is_signed`) or came without a scheme.
    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable>;

    /// The acknowledgement this PSP wants, for new, repeated and unreadable deliveries alike.
    fn acknowledgement(&self) -> Acknowledgement;

    /// How many ways of listing a sweep must go through; 0 when the PSP has no list.
    fn listings(&self) -> u8;

    /// The next step of an exchange that began at `asked_at`, given the replies so far.
    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step;
}
