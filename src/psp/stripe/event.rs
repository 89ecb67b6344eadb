//! What a snapshot event says, delivered or listed.
//!
//! An event's word is as old as its creation and never enough to move money; whatever it does
//! not show is named for fetching. Knows no signatures.

use super::objects::{
    Created, DisputeObject, Event, Named, Pointer, RefundObject, Session, payment_of, typed,
    typed_in,
};
use super::statement::{Frame, charge, looks_like_a_release};
use crate::core::ids::ExternalRef;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::Time;
use crate::psp::rules::AccountRules;
use crate::psp::{Reading, Unreadable, json};
use serde_json::value::RawValue;

/// Longest event type that is shown, in bytes; Stripe's own have less than 60.
const KIND_BYTES_MAX: usize = 64;

/// The event's own id, for dropping repetitions.
pub(super) fn delivery_id(body: &[u8]) -> Option<String> {
    let named: Named = json::object(body).ok()?;
    Some(named.id.to_string())
}

/// When the event was created; the same whenever it is sent.
pub(super) fn created(body: &[u8]) -> Option<Time> {
    let Created { created } = json::object(body).ok()?;
    Some(Time::from_seconds(created))
}

/// Reads a snapshot event.
pub(super) fn read(
    rules: &AccountRules,
    body: &[u8],
    received_at: Time,
) -> Result<Reading, Unreadable> {
    let named: Named = json::object(body)?;
    if named.object.starts_with("v2.core.event") {
        return Err(Unreadable {
            code: "thin_event",
            detail: "a thin event names an object without showing it".to_owned(),
        });
    }
    let event: Event<'_> = typed(body)?;
    if event.account.is_some() {
        return Ok(ignored("connected_account"));
    }
    let frame = Frame {
        rules,
        as_of: Time::from_seconds(event.created).min(received_at),
        observed_at: received_at,
        source: Source::Signed,
        event_live: Some(event.livemode),
    };
    let object = event.data.0.object;
    let family = |prefix: &str| event.kind.starts_with(prefix);
    if family("payment_intent.") {
        Ok(seen(frame.intent(object)?.snapshot))
    } else if family("charge.dispute.") {
        read_dispute(&frame, object)
    } else if family("refund.") || family("charge.refund.") {
        read_refund(&frame, object)
    } else if family("charge.") {
        read_charge(&frame, object)
    } else if family("checkout.session.") {
        read_session(&frame, object, &event.kind)
    } else {
        Ok(ignored(&event.kind))
    }
}

fn read_charge(frame: &Frame<'_>, object: &RawValue) -> Result<Reading, Unreadable> {
    let view = charge(object)?;
    match &view.intent {
        None => Ok(seen(frame.lone_charge(object, &view)?)),
        Some(intent) => Ok(seen_and_fetch(frame, frame.charge_of(intent, &view))),
    }
}

fn read_refund(frame: &Frame<'_>, object: &RawValue) -> Result<Reading, Unreadable> {
    let refund: RefundObject<'_> = typed_in(object)?;
    let Some(payment) = payment_of(refund.payment_intent, refund.charge)? else {
        return Ok(ignored("refund_without_payment"));
    };
    let mut snapshot = frame.blank(&payment);
    if looks_like_a_release(&refund) {
        return Ok(fetch(frame, snapshot));
    }
    frame.add_refund(&mut snapshot, &refund)?;
    frame.note_other_mode(&mut snapshot);
    Ok(seen(snapshot))
}

fn read_dispute(frame: &Frame<'_>, object: &RawValue) -> Result<Reading, Unreadable> {
    let dispute: DisputeObject<'_> = typed_in(object)?;
    let Some(payment) = payment_of(dispute.payment_intent, dispute.charge)? else {
        return Ok(ignored("dispute_without_payment"));
    };
    let mut snapshot = frame.blank(&payment);
    frame.add_dispute(&mut snapshot, &dispute)?;
    frame.note_other_mode(&mut snapshot);
    Ok(seen(snapshot))
}

/// A session never says what became of the money; its intent does.
fn read_session(frame: &Frame<'_>, object: &RawValue, kind: &str) -> Result<Reading, Unreadable> {
    let session: Session<'_> = typed_in(object)?;
    match payment_of(session.payment_intent, None)? {
        Some(payment) => Ok(fetch(frame, frame.blank(&payment))),
        None => Ok(ignored(kind)),
    }
}

fn seen(snapshot: PaymentSnapshot) -> Reading {
    Reading::Seen {
        payments: vec![snapshot],
        hints: Vec::new(),
    }
}

/// A statement that leaves open whose payment it is.
fn seen_and_fetch(frame: &Frame<'_>, snapshot: PaymentSnapshot) -> Reading {
    let is_fetchable = !frame.is_other_mode();
    let hints = is_fetchable.then(|| snapshot.payment.id.clone());
    Reading::Seen {
        hints: hints.into_iter().collect(),
        payments: vec![snapshot],
    }
}

/// Only a name. In the other mode it cannot be fetched with our key, but it is recorded.
fn fetch(frame: &Frame<'_>, mut snapshot: PaymentSnapshot) -> Reading {
    if frame.is_other_mode() {
        frame.note_other_mode(&mut snapshot);
        return seen(snapshot);
    }
    Reading::Seen {
        payments: Vec::new(),
        hints: vec![snapshot.payment.id],
    }
}

fn ignored(kind: &str) -> Reading {
    let is_shown = kind.len() <= KIND_BYTES_MAX && kind.bytes().all(|byte| byte.is_ascii_graphic());
    let what = if is_shown { kind } else { "unprintable" };
    Reading::Ignored {
        what: what.to_owned(),
    }
}

/// The payment that a listed event is about, when the event itself cannot be read.
pub(super) fn named_payment(event: &RawValue) -> Option<ExternalRef> {
    let event: Event<'_> = json::nested(event).ok()?;
    let object = event.data.0.object;
    if event.kind.starts_with("payment_intent.") {
        let named: Named = json::nested(object).ok()?;
        return Some(named.id);
    }
    let pointer: Pointer<'_> = json::nested(object).ok()?;
    payment_of(pointer.payment_intent, pointer.charge)
        .ok()
        .flatten()
}
