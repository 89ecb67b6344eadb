//! An order as MultiSafepay shows it, made from the books.
//!
//! Times are the PSP's wall clock, without a zone. Knows no endpoint.

use crate::core::money::Currency;
use crate::sandbox::psp::records::{
    DisputeStatus, Payment, PaymentStatus, Records, Refund, RefundStatus,
};
use serde_json::{Value, json};

/// How far the PSP's wall clock is ahead of UTC, in seconds.
const AHEAD_SECONDS: i64 = 3600;

/// The order with its related transactions; none for an id that is not booked.
pub(super) fn order(records: &Records, id: &str) -> Option<Value> {
    let payment = records.payments.get(id)?;
    let (status, financial) = words(records, payment);
    Some(json!({
        "order_id": payment.id,
        "transaction_id": number(payment.latest_charge.as_deref()),
        "amount": payment.amount,
        "amount_refunded": records.refunded_for(id),
        "currency": payment.currency.code(),
        "status": status,
        "financial_status": financial,
        "created": wall_clock(payment.created),
        "modified": wall_clock(payment.ended_at.unwrap_or(payment.created)),
        "payment_details": {"type": payment.method.to_ascii_uppercase()},
        "related_transactions": related(records, payment),
        "var1": payment.reference(),
        "var2": null,
        "var3": null,
    }))
}

fn words(records: &Records, payment: &Payment) -> (&'static str, &'static str) {
    let is_charged_back = records
        .disputes
        .values()
        .any(|one| one.payment == payment.id && one.status != DisputeStatus::Won);
    let received = records.received(&payment.id);
    let refunded = records.refunded_for(&payment.id);
    match payment.status {
        _ if is_charged_back => ("chargeback", "chargeback"),
        _ if received > 0 && refunded >= received => ("refunded", "completed"),
        _ if received > 0 && refunded > 0 => ("partial_refunded", "completed"),
        _ if received > 0 => ("completed", "completed"),
        PaymentStatus::Open => ("initialized", "initialized"),
        PaymentStatus::Processing => ("uncleared", "uncleared"),
        PaymentStatus::Authorised => ("completed", "initialized"),
        PaymentStatus::Paid => ("completed", "completed"),
        PaymentStatus::Cancelled => ("void", "void"),
        PaymentStatus::Expired => ("expired", "expired"),
    }
}

/// Captures where it was captured in parts, refunds, and complaints with their reversals.
fn related(records: &Records, payment: &Payment) -> Vec<Value> {
    let row = |id: &str, kind: &str, status: &str, amount: i64| json!({"transaction_id": number(Some(id)), "type": kind, "status": status, "amount": amount});
    let mut rows = Vec::new();
    if payment.is_manual {
        let captures = records.captures_of(&payment.id);
        rows.extend(captures.map(|one| row(&one.id, "capture", "completed", one.amount)));
    }
    for refund in records.refunds_for(&payment.id) {
        let mut shown = row(&refund.id, "refund", refund_word(refund), refund.amount);
        if let Some(fields) = shown.as_object_mut() {
            let own_id = json!(refund.metadata.get(super::OWN_ID));
            fields.insert("refund_order_id".to_owned(), own_id);
        }
        rows.push(shown);
    }
    let disputes = records.disputes.values();
    for one in disputes.filter(|one| one.payment == payment.id) {
        rows.push(row(&one.id, "chargeback", "completed", one.amount));
        if one.status == DisputeStatus::Won {
            let id = format!("9{}", one.id);
            rows.push(row(&id, "reverse-chargeback", "completed", one.amount));
        }
    }
    rows
}

fn refund_word(refund: &Refund) -> &'static str {
    match refund.status {
        RefundStatus::Pending => "initialized",
        RefundStatus::Waiting => "reserved",
        RefundStatus::Succeeded => "completed",
        RefundStatus::Failed | RefundStatus::Reversed => "declined",
        RefundStatus::Cancelled => "cancelled",
    }
}

fn number(id: Option<&str>) -> Option<u64> {
    id.and_then(|id| id.parse().ok())
}

/// Reads a currency code.
pub(super) fn currency(code: &str) -> Option<Currency> {
    Currency::parse(code).ok()
}

fn wall_clock(seconds: i64) -> String {
    let there = seconds.saturating_add(AHEAD_SECONDS);
    let moment = jiff::Timestamp::from_second(there).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime()
        .to_string()
}

/// Reads a moment of the PSP's wall clock, in Unix seconds.
pub(super) fn moment(text: &str) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    zoned.timestamp().as_second().checked_sub(AHEAD_SECONDS)
}
