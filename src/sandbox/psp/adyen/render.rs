//! Items of Adyen's notices, made from the books.
//!
//! A modification's reference is its own, not the order's. Knows no endpoint and no key.

use super::MERCHANT_ACCOUNT;
use crate::core::money::Currency;
use crate::core::time::Time;
use crate::sandbox::psp::ledger::{self, Change, Ledger};
use crate::sandbox::psp::records::{Payment, PaymentStatus, RefundStatus};
use serde_json::{Value, json};

/// The note on a refund: its maker's reference.
pub(super) const REFERENCE: &str = "reference";
/// The note on a refund that was asked for as a reversal.
pub(super) const REVERSAL: &str = "reversal";

/// What an item tells.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) event: &'static str,
    pub(super) is_success: bool,
    pub(super) psp_reference: String,
    /// The payment.
    pub(super) payment: String,
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) tells: Option<ledger::Told>,
}

impl Told {
    /// An event of the payment's own.
    fn own(event: &'static str, is_success: bool, payment: &Payment) -> Told {
        Told {
            event,
            is_success,
            psp_reference: payment.id.clone(),
            payment: payment.id.clone(),
            reference: payment.reference().unwrap_or_default().to_owned(),
            amount: payment.amount,
            tells: None,
        }
    }

    fn modified(event: &'static str, psp_reference: &str, payment: &Payment) -> Told {
        Told {
            psp_reference: psp_reference.to_owned(),
            ..Told::own(event, true, payment)
        }
    }
}

/// The events that tell of a change.
pub(super) fn events(ledger: &Ledger, change: &Change) -> Vec<Told> {
    let records = ledger.records();
    let found = records.payment_of(&change.id);
    let Some(payment) = found.and_then(|id| records.payments.get(&id)) else {
        return Vec::new();
    };
    let own = |event, is_success| Told::own(event, is_success, payment);
    let latest = records.captures_of(&payment.id).last();
    let captured = |id: &str, amount: i64| Told {
        amount,
        ..Told::modified("CAPTURE", id, payment)
    };
    let mut told = match change.told {
        ledger::Told::Opened | ledger::Told::Processing | ledger::Told::RefundCancelled => {
            Vec::new()
        }
        ledger::Told::Failed => vec![own("AUTHORISATION", false)],
        ledger::Told::Authorised | ledger::Told::PaidAgain => vec![own("AUTHORISATION", true)],
        ledger::Told::Paid => {
            let capture = latest.map(|one| captured(&one.id, one.amount));
            [own("AUTHORISATION", true)]
                .into_iter()
                .chain(capture)
                .collect()
        }
        ledger::Told::Captured => {
            let capture = records.captures.get(&change.id);
            capture
                .map(|one| captured(&one.id, one.amount))
                .into_iter()
                .collect()
        }
        ledger::Told::Cancelled => vec![cancelled(payment)],
        ledger::Told::Expired => vec![expired(payment)],
        ledger::Told::RefundMade
        | ledger::Told::RefundDone
        | ledger::Told::RefundFailed
        | ledger::Told::RefundReversed => refund(ledger, change, payment).into_iter().collect(),
        ledger::Told::Disputed => dispute(ledger, change, payment, "CHARGEBACK"),
        ledger::Told::DisputeWon => dispute(ledger, change, payment, "CHARGEBACK_REVERSED"),
        ledger::Told::DisputeLost => dispute(ledger, change, payment, "SECOND_CHARGEBACK"),
    };
    if let Some(last) = told.last_mut() {
        last.tells = Some(change.told);
    }
    told
}

fn dispute(ledger: &Ledger, change: &Change, payment: &Payment, event: &'static str) -> Vec<Told> {
    let dispute = ledger.records().disputes.get(&change.id);
    let item = dispute.map(|one| Told {
        amount: one.amount,
        ..Told::modified(event, &one.id, payment)
    });
    item.into_iter().collect()
}

/// A release: the modification's own names stand in the payment's reason, as `routes` left them.
fn cancelled(payment: &Payment) -> Told {
    let reason = payment.end_reason.as_deref().unwrap_or_default();
    let mut words = reason.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("cancels"), Some(name), Some(reference)) => Told {
            reference: reference.to_owned(),
            ..Told::modified("CANCELLATION", name, payment)
        },
        (Some("reversals"), Some(name), Some(reference)) => Told {
            reference: reference.to_owned(),
            ..Told::modified("CANCEL_OR_REFUND", name, payment)
        },
        // By staff, in the Customer Area.
        (_, _, _) => Told::modified("CANCELLATION", &format!("{}X", payment.id), payment),
    }
}

/// What was never authorised is an offer that nobody took.
fn expired(payment: &Payment) -> Told {
    match payment.latest_charge {
        Some(_) => Told::modified("EXPIRE", &format!("{}E", payment.id), payment),
        None => Told::own("OFFER_CLOSED", true, payment),
    }
}

/// What became of a refund; nothing while it is under way.
fn refund(ledger: &Ledger, change: &Change, payment: &Payment) -> Option<Told> {
    let refund = ledger.records().refunds.get(&change.id)?;
    let is_reversal = refund.metadata.contains_key(REVERSAL);
    let event = match refund.status {
        RefundStatus::Pending | RefundStatus::Waiting | RefundStatus::Cancelled => return None,
        RefundStatus::Succeeded if is_reversal => "CANCEL_OR_REFUND",
        RefundStatus::Succeeded => "REFUND",
        RefundStatus::Failed => "REFUND_FAILED",
        RefundStatus::Reversed => "REFUNDED_REVERSED",
    };
    let reference = refund.metadata.get(REFERENCE).cloned();
    let modified = Told::modified(event, &refund.id, payment);
    Some(Told {
        reference: reference.unwrap_or_else(|| modified.reference.clone()),
        amount: refund.amount,
        ..modified
    })
}

/// The item, not signed.
pub(super) fn item(ledger: &Ledger, told: &Told, now: Time) -> Value {
    let payment = ledger.records().payments.get(&told.payment);
    let currency = payment.map_or(Currency::EUR, |payment| payment.currency);
    let method = payment.map_or("ideal", |payment| payment.method.as_str());
    let is_own = told.psp_reference == told.payment;
    let original = if is_own { "" } else { told.payment.as_str() };
    let moment = jiff::Timestamp::from_second(now.seconds()).unwrap_or_default();
    json!({
        "additionalData": {},
        "amount": {"currency": currency.code(), "value": wire(told.amount, currency)},
        "eventCode": told.event,
        "eventDate": moment.to_string(),
        "merchantAccountCode": MERCHANT_ACCOUNT,
        "merchantReference": told.reference,
        "originalReference": original,
        "paymentMethod": method,
        "pspReference": told.psp_reference,
        "reason": "",
        "success": told.is_success.to_string(),
    })
}

/// True when nothing was taken of it and something is held.
pub(super) fn is_only_held(ledger: &Ledger, payment: &Payment) -> bool {
    payment.status == PaymentStatus::Authorised && ledger.records().received(&payment.id) == 0
}

/// An amount in Adyen's own minor units.
pub(super) fn wire(minor: i64, currency: Currency) -> i64 {
    match currency.code() {
        "ISK" | "CLP" => minor.saturating_mul(100),
        "IDR" | "CVE" => minor.checked_div(100).unwrap_or_default(),
        _ => minor,
    }
}

/// The eight fields as they are signed.
pub(super) fn signed_text(item: &Value) -> String {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let amount = item.get("amount");
    let value = amount.and_then(|amount| amount.get("value")?.as_i64());
    let currency = amount.and_then(|amount| amount.get("currency")?.as_str());
    let value = value.map(|value| value.to_string()).unwrap_or_default();
    [
        text("pspReference"),
        text("originalReference"),
        text("merchantAccountCode"),
        text("merchantReference"),
        &value,
        currency.unwrap_or_default(),
        text("eventCode"),
        text("success"),
    ]
    .join(":")
}
