//! What a PSP's dialect is: how calls are understood and answered, what is told of a change, and
//! how a delivery is signed.
//!
//! Pure over bytes, like the sandbox itself. The money is in the `Ledger`; a dialect keeps what
//! only its PSP has: idempotency keys, tokens, certificates. Knows no story and no socket.

use super::PspSetup;
use super::ledger::{Change, Ledger};
use crate::core::time::Time;
use crate::sandbox::fault::{Fault, response};
use crate::sandbox::outbox::{Sealed, Sealing, flip_digit};
use crate::wire::{Request, Response};

/// The kinds of calls that faults tell apart, in no PSP's words. A call that releases or gives back,
/// whichever is right, is what it will do to this payment: `Void` or `Refund`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PspCall {
    /// Read one payment.
    Fetch,
    /// List payments.
    List,
    /// Make a payment.
    Create,
    /// Call a payment off, or release what is held.
    Void,
    /// Take what is held.
    Capture,
    /// Read one attempt or capture.
    FetchCapture,
    /// List attempts or captures.
    ListCaptures,
    /// Give money back.
    Refund,
    /// Call a refund off.
    CancelRefund,
    /// Read one refund.
    FetchRefund,
    /// List refunds.
    ListRefunds,
    /// Read or list disputes.
    Disputes,
    /// Read or list what was told.
    Events,
    /// Get a token for the calls to come.
    Token,
    /// Get a certificate that deliveries are signed with.
    Certificate,
    /// Read or list where deliveries go.
    Webhooks,
    /// Read a report.
    Report,
    /// Anything else.
    Other,
}

/// What a call is, before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Its kind.
    pub call: PspCall,
    /// What it is about, as `Records::subject_of` names it; none when it is about no one payment.
    pub about: Option<String>,
    /// The key under which a repetition is known, be it a header or a field.
    pub key: Option<String>,
}

impl Nature {
    /// A call about nothing in particular.
    pub fn of(call: PspCall) -> Nature {
        Nature {
            call,
            about: None,
            key: None,
        }
    }
}

/// A message on its way to the daemon.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The event's id.
    pub id: &'a str,
    /// The message, as `Dialect::tell` posted it.
    pub body: &'a [u8],
}

/// How one PSP speaks.
pub trait Dialect: Send {
    /// What kind of call it is and what it is about.
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature;

    /// Answers a call as the API would, and books its effect.
    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response;

    /// A fault struck a call with this key: what its memory of keys makes of it.
    fn struck(&mut self, _key: &str, _fault: &Fault, _shown: Option<&Response>, _now: Time) {}

    /// Tells of a change that was just booked: any number of messages, with `Ledger::post`.
    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time);

    /// A message as it is sent, signed for the moment and with the secret that `sealing` asks for.
    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, sealing: Sealing) -> Sealed;

    /// Changes one byte that the signature covers, after signing.
    fn corrupt(&self, sealed: &mut Sealed) {
        flip_digit(&mut sealed.body);
    }

    /// True when the PSP takes this answer for an acknowledgement.
    fn is_acknowledged(&self, answer: &Response) -> bool {
        (200..300).contains(&answer.status)
    }

    /// The report file of all that is booked, where the PSP has one.
    fn report(&self, _ledger: &Ledger) -> Option<String> {
        None
    }

    /// Days go by: no idempotency key is remembered any more.
    fn forget_keys(&mut self) {}

    /// Itself, with all that it remembers.
    fn copied(&self) -> Box<dyn Dialect>;
}

/// Path and query of an address, absolute or not.
pub(super) fn split_url(url: &str) -> (&str, &str) {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => url,
    };
    path.split_once('?').unwrap_or((path, ""))
}

/// An answer in JSON.
pub(super) fn json_response(status: u16, body: &serde_json::Value) -> Response {
    response(status, "application/json", &json_bytes(body))
}

/// A value as it is written, straight into bytes.
pub(super) fn json_bytes(value: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// What makes a request the same as another under one key.
pub(super) fn fingerprint(request: &Request) -> String {
    let (path, query) = split_url(&request.url);
    let body = String::from_utf8_lossy(&request.body);
    format!("{path}?{query} {body}")
}
