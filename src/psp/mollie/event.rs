//! What a delivery says: which payment should be read.
//!
//! A classic one is a form with one id and nothing else, from anybody. A next-gen one is signed
//! over all its bytes, but may be sent again for ever, so it too only names the payment. Knows
//! no signatures.

use super::ident;
use super::objects::{EventObject, Kind, Subject};
use super::statement::Frame;
use crate::core::payment::Source;
use crate::core::time::Time;
use crate::psp::rules::AccountRules;
use crate::psp::{Reading, Rejection, Unreadable, Verification, json};
use serde_json::value::RawValue;

/// Longest event type that is shown, in bytes; Mollie's own have less than 40.
const KIND_BYTES_MAX: usize = 64;

/// What a delivery without a signature is: a classic one, or nothing.
pub(super) fn classic(body: &[u8]) -> Verification {
    match classic_id(body) {
        Some(id) => Verification::Unsigned {
            delivery_id: id.to_owned(),
        },
        None => Verification::Rejected(Rejection::MissingSignature),
    }
}

/// The id of a classic delivery: exactly `id=` and an id.
fn classic_id(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let id = text.strip_prefix("id=")?;
    ident::classic_prefix(id).map(|_| id)
}

/// Reads a classic delivery. Mollie names the payment, whatever happened to it; the other ids
/// belong to things that the sweep finds by their payments.
pub(super) fn read_classic(body: &[u8]) -> Result<Reading, Unreadable> {
    let id = classic_id(body).ok_or(Unreadable {
        code: "not_classic",
        detail: "not a form with one id".to_owned(),
    })?;
    Ok(match ident::payment(id) {
        Some(payment) => named(payment),
        None => ignored(ident::classic_prefix(id).unwrap_or_default()),
    })
}

/// The event's own id, for dropping repetitions. A bare object has none: its id is the same for
/// every change.
pub(super) fn delivery_id(body: &[u8]) -> Option<String> {
    let subject: Subject = json::object(body).ok()?;
    let is_event = subject.resource == "event" && ident::is_event(&subject.id);
    is_event.then_some(subject.id)
}

/// Reads a signed delivery: an envelope with or without the object, or the bare object.
pub(super) fn read(
    rules: &AccountRules,
    body: &[u8],
    received_at: Time,
) -> Result<Reading, Unreadable> {
    let Kind { resource } = json::object(body)?;
    if resource != "event" {
        let subject: Subject = json::object(body)?;
        return Ok(about(rules, &subject, received_at, &resource));
    }
    let event: EventObject<'_> = json::object(body)?;
    let entity: Option<&RawValue> = event.embedded.and_then(|embedded| embedded.0.entity);
    if let Some(entity) = entity {
        let subject: Subject = json::nested(entity)?;
        return Ok(about(rules, &subject, received_at, &event.kind));
    }
    let payment = event.entity_id.as_deref().and_then(ident::payment);
    Ok(payment.map_or_else(|| ignored(&event.kind), named))
}

/// The payment that an object is, or belongs to. In the other mode it cannot be read with our
/// key, but it is recorded.
fn about(rules: &AccountRules, subject: &Subject, received_at: Time, what: &str) -> Reading {
    let payment = match subject.resource.as_str() {
        "payment" => ident::payment(&subject.id),
        "refund" | "capture" | "chargeback" => {
            subject.payment_id.as_deref().and_then(ident::payment)
        }
        _ => None,
    };
    let frame = Frame {
        rules,
        as_of: received_at,
        observed_at: received_at,
        source: Source::Signed,
    };
    let is_other = |mode: &String| frame.is_other_mode(mode);
    match payment {
        None => ignored(what),
        Some(payment) if subject.mode.as_ref().is_some_and(is_other) => Reading::Seen {
            payments: vec![frame.of_other_mode(&payment)],
            hints: Vec::new(),
        },
        Some(payment) => named(payment),
    }
}

fn named(payment: crate::core::ids::ExternalRef) -> Reading {
    Reading::Seen {
        payments: Vec::new(),
        hints: vec![payment],
    }
}

fn ignored(kind: &str) -> Reading {
    let is_shown = kind.len() <= KIND_BYTES_MAX && kind.bytes().all(|byte| byte.is_ascii_graphic());
    let what = if is_shown { kind } else { "unprintable" };
    Reading::Ignored {
        what: what.to_owned(),
    }
}
