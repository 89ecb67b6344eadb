//! The sandbox's records in Mollie's JSON and words, with what was asked to be embedded.
//!
//! Amounts are decimal text; a payment's status never says refunded or charged back. Knows no
//! endpoint.

use crate::core::money::{Currency, Money};
use crate::core::time::{Span, Time};
use crate::sandbox::psp::records::{
    Capture, Dispute, DisputeStatus, Payment, PaymentStatus, Records, Refund, RefundStatus,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How long an authorisation stands.
const HELD_FOR: Span = Span::from_days(28);

/// A second as Mollie writes it.
fn moment(seconds: i64) -> String {
    let written = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    written.to_string().replace('Z', "+00:00")
}

fn amount(minor: i64, currency: Currency) -> Value {
    json!({"value": Money::new(minor, currency).value(), "currency": currency.code()})
}

/// Mollie's word for where a payment stands.
fn payment_word(payment: &Payment, received: i64) -> &'static str {
    match payment.status {
        PaymentStatus::Open if payment.failure.is_some() => "failed",
        PaymentStatus::Open => "open",
        PaymentStatus::Processing => "pending",
        PaymentStatus::Authorised => "authorized",
        PaymentStatus::Paid => "paid",
        // What was captured before the rest was released stays taken.
        PaymentStatus::Cancelled if received > 0 => "paid",
        PaymentStatus::Cancelled => "canceled",
        PaymentStatus::Expired => "expired",
    }
}

fn refund_word(status: RefundStatus) -> &'static str {
    match status {
        RefundStatus::Pending => "pending",
        RefundStatus::Waiting => "queued",
        RefundStatus::Succeeded => "refunded",
        RefundStatus::Cancelled => "canceled",
        RefundStatus::Failed | RefundStatus::Reversed => "failed",
    }
}

fn mode(is_live: bool) -> &'static str {
    if is_live { "live" } else { "test" }
}

/// Taken back by payers' banks.
pub(super) fn charged_back(records: &Records, payment: &str) -> i64 {
    let disputes = records.disputes.values();
    let standing =
        disputes.filter(|one| one.payment == payment && one.status != DisputeStatus::Won);
    standing.fold(0, |sum, one| sum.saturating_add(one.amount))
}

fn notes<'a>(entries: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let entries = entries.into_iter();
    let pairs = entries.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let pairs: Map<String, Value> = pairs.collect();
    if pairs.is_empty() {
        Value::Null
    } else {
        Value::Object(pairs)
    }
}

/// A payment; `embed` names what is shown within it.
pub(super) fn payment(records: &Records, payment: &Payment, embed: &[&str]) -> Value {
    let received = records.received(&payment.id);
    let currency = payment.currency;
    let method = match payment.method.as_str() {
        "card" => "creditcard",
        other => other,
    };
    let status = payment_word(payment, received);
    let mut shown = json!({
        "resource": "payment", "id": payment.id, "mode": mode(payment.is_live),
        "createdAt": moment(payment.created), "amount": amount(payment.amount, currency),
        "description": format!("Order {}", payment.reference().unwrap_or("unnamed")),
        "method": method, "metadata": notes(&payment.metadata), "status": status,
        "isCancelable": payment.status == PaymentStatus::Open, "profileId": "pfl_sandbox0001",
        "sequenceType": "oneoff", "_links": {},
    });
    let mut optional: Vec<(&str, Value)> = Vec::new();
    if received > 0 {
        let refunded = records.refunded_for(&payment.id);
        let taken_back = charged_back(records, &payment.id);
        let left = received.saturating_sub(refunded).saturating_sub(taken_back);
        optional.push(("amountRefunded", amount(refunded, currency)));
        optional.push(("amountRemaining", amount(left.max(0), currency)));
        if taken_back > 0 {
            optional.push(("amountChargedBack", amount(taken_back, currency)));
        }
    }
    if payment.is_manual || received > payment.amount {
        optional.push(("amountCaptured", amount(received, currency)));
    }
    if payment.status == PaymentStatus::Authorised {
        let until = Time::from_seconds(payment.created).plus(HELD_FOR);
        optional.push(("captureBefore", Value::from(moment(until.seconds()))));
    }
    if !embed.is_empty() {
        optional.push(("_embedded", embedded(records, payment, embed)));
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.extend(
            optional
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    shown
}

fn embedded(records: &Records, payment: &Payment, embed: &[&str]) -> Value {
    let mut parts = Map::new();
    let id = &payment.id;
    for name in embed {
        let items: Vec<Value> = match *name {
            "refunds" => records
                .refunds_for(id)
                .map(|one| refund(records, one))
                .collect(),
            "captures" => records
                .captures_of(id)
                .map(|one| capture(records, one))
                .collect(),
            "chargebacks" => {
                let all = records.disputes.values().filter(|one| one.payment == *id);
                all.map(|one| chargeback(records, one)).collect()
            }
            _ => continue,
        };
        parts.insert((*name).to_owned(), Value::Array(items));
    }
    Value::Object(parts)
}

fn currency_of(records: &Records, payment: &str) -> Currency {
    let payment = records.payments.get(payment);
    payment.map_or(Currency::EUR, |payment| payment.currency)
}

fn mode_of(records: &Records, payment: &str) -> &'static str {
    let payment = records.payments.get(payment);
    mode(payment.is_some_and(|payment| payment.is_live))
}

/// A refund.
pub(super) fn refund(records: &Records, refund: &Refund) -> Value {
    let currency = currency_of(records, &refund.payment);
    json!({
        "resource": "refund", "id": refund.id, "mode": mode_of(records, &refund.payment),
        "amount": amount(refund.amount, currency), "status": refund_word(refund.status),
        "description": "made up", "metadata": notes(&refund.metadata),
        "paymentId": refund.payment, "createdAt": moment(refund.created), "_links": {},
    })
}

/// A capture.
pub(super) fn capture(records: &Records, capture: &Capture) -> Value {
    let currency = currency_of(records, &capture.payment);
    json!({
        "resource": "capture", "id": capture.id, "mode": mode_of(records, &capture.payment),
        "amount": amount(capture.amount, currency), "status": "succeeded",
        "paymentId": capture.payment, "createdAt": moment(capture.created), "_links": {},
    })
}

/// A chargeback.
pub(super) fn chargeback(records: &Records, dispute: &Dispute) -> Value {
    let currency = currency_of(records, &dispute.payment);
    let reversed = (dispute.status == DisputeStatus::Won).then(|| moment(dispute.created));
    json!({
        "resource": "chargeback", "id": dispute.id, "amount": amount(dispute.amount, currency),
        "reversedAt": reversed, "paymentId": dispute.payment,
        "createdAt": moment(dispute.created), "_links": {},
    })
}

/// Whatever has this id, as an event shows it.
pub(super) fn entity(records: &Records, id: &str) -> Option<Value> {
    let shown = records
        .payments
        .get(id)
        .map(|one| payment(records, one, &[]));
    let shown = shown.or_else(|| records.refunds.get(id).map(|one| refund(records, one)));
    let shown = shown.or_else(|| records.captures.get(id).map(|one| capture(records, one)));
    shown.or_else(|| records.disputes.get(id).map(|one| chargeback(records, one)))
}

/// A next-gen event around a thing as it stands now.
pub(super) fn event(id: &str, kind: &str, about: &str, now: Time, entity: &Value) -> Value {
    json!({
        "resource": "event", "id": id, "type": kind, "entityId": about,
        "createdAt": moment(now.seconds()), "_embedded": {"entity": entity}, "_links": {},
    })
}
