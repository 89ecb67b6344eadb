//! What a webhook event names, delivered or listed. Only that.
//!
//! A body that arrives is covered by a CRC-32, which anybody can match; so whatever it says of
//! statuses and amounts is not even looked at, and each payment it names is read with our own
//! credentials. Orders that are only approved hold no money and are passed over. Knows no
//! signatures.

use super::objects::{Created, Event, Named, Resource, Unit, capture_above, time};
use crate::core::ids::ExternalRef;
use crate::core::time::Time;
use crate::psp::{Unreadable, json};
use serde_json::value::RawValue;

/// Longest event type that is shown, in bytes.
const KIND_BYTES_MAX: usize = 64;
/// Most payments that one event may name.
const NAMES_MAX: usize = 32;

/// What an event is about.
pub(super) struct About {
    /// The payments it names; none for an event of no concern.
    pub(super) payments: Vec<ExternalRef>,
    /// Its type, shown when it names none.
    pub(super) kind: String,
    /// When PayPal made it.
    pub(super) at: Option<Time>,
}

/// Reads an event.
pub(super) fn about(body: &[u8]) -> Result<About, Unreadable> {
    let event: Event<'_> = json::object(body)?;
    let family = |prefix: &str| event.event_type.starts_with(prefix);
    let payments = if family("PAYMENT.CAPTURE.") || family("PAYMENT.REFUND.") {
        vec![capture(&event)?]
    } else if family("PAYMENT.AUTHORIZATION.") {
        vec![id(&resource(&event)?)?]
    } else if family("CUSTOMER.DISPUTE.") {
        disputed(&resource(&event)?)?
    } else if event.event_type == "CHECKOUT.ORDER.COMPLETED" {
        captures_of_order(&resource(&event)?)?
    } else {
        Vec::new()
    };
    if payments.len() > NAMES_MAX {
        return Err(Unreadable {
            code: "too_many_payments",
            detail: "the event names more payments than one event has".to_owned(),
        });
    }
    Ok(About {
        payments,
        kind: shown(&event.event_type),
        at: event.create_time.as_deref().and_then(time),
    })
}

/// When the event was created; the same whenever it is sent.
pub(super) fn created(body: &[u8]) -> Option<Time> {
    let Created { create_time } = json::object(body).ok()?;
    time(&create_time)
}

/// Refunds and reversals name their capture by a link and have an id of their own.
fn capture(event: &Event<'_>) -> Result<ExternalRef, Unreadable> {
    let resource = resource(event)?;
    if let Some(above) = capture_above(&resource.links) {
        return Ok(above);
    }
    let is_refund = event.resource_type.as_deref() == Some("refund")
        || event.event_type.starts_with("PAYMENT.REFUND.")
        || event.event_type == "PAYMENT.CAPTURE.REFUNDED";
    if is_refund {
        return Err(missing("a refund that names no capture"));
    }
    id(&resource)
}

fn disputed(resource: &Resource<'_>) -> Result<Vec<ExternalRef>, Unreadable> {
    let named = resource.disputed_transactions.iter();
    let named = named.filter_map(|one| one.0.seller_transaction_id.as_deref());
    let payments: Result<Vec<ExternalRef>, Unreadable> = named.map(reference).collect();
    let payments = payments?;
    if payments.is_empty() {
        return Err(missing("a dispute that names no transaction"));
    }
    Ok(payments)
}

fn captures_of_order(resource: &Resource<'_>) -> Result<Vec<ExternalRef>, Unreadable> {
    let mut payments = Vec::new();
    for raw in &resource.purchase_units {
        let unit: Unit<'_> = json::nested(raw)?;
        for raw in unit.payments.map(|one| one.0.captures).unwrap_or_default() {
            let named: Named = json::nested(raw)?;
            payments.push(named.id);
        }
    }
    Ok(payments)
}

fn resource<'a>(event: &Event<'a>) -> Result<Resource<'a>, Unreadable> {
    let raw: &'a RawValue = event.resource;
    Ok(json::nested(raw)?)
}

fn id(resource: &Resource<'_>) -> Result<ExternalRef, Unreadable> {
    let text = resource.id.as_deref();
    reference(text.ok_or_else(|| missing("a resource without an id"))?)
}

/// PayPal's ids go into addresses, so only their own characters pass.
fn reference(text: &str) -> Result<ExternalRef, Unreadable> {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ExternalRef::parse(text)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| Unreadable {
            code: "bad_id",
            detail: "an id with characters that PayPal's ids do not have".to_owned(),
        })
}

fn missing(what: &str) -> Unreadable {
    Unreadable {
        code: "missing_field",
        detail: what.to_owned(),
    }
}

fn shown(kind: &str) -> String {
    let is_shown = kind.len() <= KIND_BYTES_MAX && kind.bytes().all(|byte| byte.is_ascii_graphic());
    let what = if is_shown { kind } else { "unprintable" };
    what.to_owned()
}
